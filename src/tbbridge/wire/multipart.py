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
        self._state = "preamble"
        self.found = False

    def feed(self, piece: bytes) -> bytes:
        """Take the next piece of the body; return what it held of the file. Raises `MalformedBody`."""
        self._buffer += piece
        out: list[bytes] = []
        while self._step(out):
            pass
        return b"".join(out)

    def close(self) -> None:
        """The body has ended. Raises `MalformedBody` if the form has not, or the file was not in it."""
        if self._state != "end":
            raise MalformedBody(_BROKEN.format("it ends early"))
        if not self.found:
            raise MalformedBody(_BROKEN.format(f"it has no field {self._name!a}"))

    def _step(self, out: list[bytes]) -> bool:
        """Go on by one boundary or header; False if more bytes are needed for that."""
        if self._state == "end":
            self._buffer = b""
            return False
        if self._state == "head":
            return self._read_head()
        before, mark, after = self._buffer.partition(self._mark)
        if not mark:
            self._pass_on(self._buffer[: 1 - len(self._mark)], out)
            self._buffer = self._buffer[max(0, len(self._buffer) - len(self._mark) + 1) :]
            return False
        if after.startswith(b"--"):
            self._pass_on(before, out)
            self._state, self._buffer = "end", b""
            return False
        if b"\r\n" in after[: limits.FORM_HEADER_MAX_BYTES]:
            # The line break stays in front of the header, so that an empty one ends as others do.
            rest = after.partition(b"\r\n")[0]
            if rest.strip(b" \t"):
                raise MalformedBody(_BROKEN.format("something stands behind a boundary"))
            self._pass_on(before, out)
            self._state, self._buffer = "head", after[len(rest) :]
            return True
        if len(after) > limits.FORM_HEADER_MAX_BYTES:
            raise MalformedBody(_BROKEN.format("a boundary's line does not end"))
        self._pass_on(before, out)  # and wait for the line's end
        self._buffer = mark + after
        return False

    def _read_head(self) -> bool:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if len(head) > limits.FORM_HEADER_MAX_BYTES:
            raise MalformedBody(_BROKEN.format("a part's header is too long"))
        if not end:
            return False
        name = re.search(rb'(?im)^content-disposition:[^\r\n]*;\s*name="?([^"\r\n;]*)', head)
        is_ours = name is not None and name[1].decode("latin-1") == self._name
        if is_ours and self.found:
            raise MalformedBody(_BROKEN.format(f"it has the field {self._name!a} twice"))
        self.found = self.found or is_ours
        self._state, self._buffer = ("file" if is_ours else "other"), rest
        return True

    def _pass_on(self, content: bytes, out: list[bytes]) -> None:
        if self._state == "file" and content:
            out.append(content)
