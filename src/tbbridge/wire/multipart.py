"""One file out of a multipart form, as it streams by: bytes in, the file's bytes out, whatever its length (RFC 7578).

Old clients upload archives this way. Other fields of the form are read over. Pure: it holds no more than a part's header.
"""

from __future__ import annotations

import re
from email.message import Message
from typing import Final

from tbbridge import limits
from tbbridge.errors import MalformedBody

_BROKEN: Final = "the form is broken: {}; send multipart/form-data with the archive in the file field 'archive'"


class FormFile:
    """Finds the field `name` in a form. Feed it the body's pieces; each gives the bytes of the file that came with it."""

    def __init__(self, content_type: str, name: str) -> None:
        """Raises `MalformedBody` if the Content-Type is not a form's."""
        head = Message()
        head["content-type"] = content_type
        boundary = head.get_param("boundary")
        if head.get_content_type() != "multipart/form-data" or not isinstance(boundary, str) or not 1 <= len(boundary) <= 70:
            raise MalformedBody(_BROKEN.format("its Content-Type names no boundary"))
        self._name = name
        self._mark = b"\r\n--" + boundary.encode("latin-1", errors="replace")
        self._buffer = b"\r\n"  # the first boundary stands at the very beginning, the others behind a line break
        self._at = 0  # what stands before it in the buffer is done with; cut off once a piece
        self._state = "preamble"
        self._parts = 0
        self.found = False

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece of the body; return what it held of the file. Raises `MalformedBody`."""
        if self._state == "end":
            return b""
        self._buffer += piece
        self._at = 0
        out: list[bytes] = []
        while self._step(out):
            pass
        self._buffer = self._buffer[self._at :]
        return b"".join(out)

    def close(self) -> None:
        """The body has ended. Raises `MalformedBody` if the form has not, or the file was not in it."""
        if self._state != "end":
            raise MalformedBody(_BROKEN.format("it ends early"))
        if not self.found:
            raise MalformedBody(_BROKEN.format(f"it has no field {self._name!a}"))

    def _step(self, out: list[bytes]) -> bool:
        """Go on by one boundary or header, from `_at` in the buffer; False at the end, or if more bytes are needed for that."""
        if self._state == "end":
            self._at = len(self._buffer)
            return False
        if self._state == "head":
            return self._read_head()
        found = self._buffer.find(self._mark, self._at)
        if found < 0:
            self._pass_on(max(self._at, len(self._buffer) - len(self._mark) + 1), out)
            return False
        behind = found + len(self._mark)
        if self._buffer.startswith(b"--", behind):
            self._pass_on(found, out)
            self._state = "end"
            return True
        line_end = self._buffer.find(b"\r\n", behind, behind + limits.FORM_HEADER_MAX_BYTES)
        self._pass_on(found, out)
        if line_end < 0:
            if len(self._buffer) - behind > limits.FORM_HEADER_MAX_BYTES:
                raise MalformedBody(_BROKEN.format("a boundary's line does not end"))
            return False
        if self._buffer[behind:line_end].strip(b" \t"):
            raise MalformedBody(_BROKEN.format("something stands behind a boundary"))
        self._parts += 1
        if self._parts > limits.FORM_PARTS_MAX:
            raise MalformedBody(_BROKEN.format(f"it has over {limits.FORM_PARTS_MAX} parts"))
        # The line break stays in front of the header, so that an empty one ends as others do.
        self._state, self._at = "head", line_end
        return True

    def _read_head(self) -> bool:
        most = limits.FORM_HEADER_MAX_BYTES
        end = self._buffer.find(b"\r\n\r\n", self._at, self._at + most + 4)
        if end < 0:
            if len(self._buffer) - self._at > most:
                raise MalformedBody(_BROKEN.format("a part's header is too long"))
            return False
        head = self._buffer[self._at : end]
        name = re.search(rb'(?im)^content-disposition:[^\r\n]*;\s*name="?([^"\r\n;]*)', head)
        is_ours = name is not None and name[1].decode("latin-1") == self._name
        if is_ours and self.found:
            raise MalformedBody(_BROKEN.format(f"it has the field {self._name!a} twice"))
        self.found = self.found or is_ours
        self._state, self._at = ("file" if is_ours else "other"), end + 4
        return True

    def _pass_on(self, end: int, out: list[bytes]) -> None:
        """What stands before `end` is content of the part."""
        if self._state == "file" and end > self._at:
            out.append(self._buffer[self._at : end])
        self._at = end
