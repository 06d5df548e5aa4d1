"""Archives as crayon's and lapiz's clients send and ask for them: a zip as the body, or as a file of a multipart form.

How they are looked at and installed is that of /api/v1/archive (archives.py, store/archive.py).
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from tbbridge import limits
from tbbridge.errors import TooLarge, UnsupportedMedia
from tbbridge.model import RunName
from tbbridge.server.bodies import read_head
from tbbridge.server.routes.archives import Archives
from tbbridge.server.service import Service
from tbbridge.wire.multipart import FormFile

_FIELD: Final = "archive"
_ZIP_TYPES: Final = ("application/zip", "application/x-zip-compressed", "application/octet-stream")
_FORM: Final = "multipart/form-data"


class Backups:
    """Sends archives of runs, and restores runs from them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._archives = Archives(service)

    async def send(self, run: RunName, prefix: str) -> Response:
        """The run as a zip whose entries lie in the folder `prefix` ("": in none). Raises `NotFound`."""
        return await self._archives.read(run, prefix)

    async def restore(self, scope: Scope, receive: Receive, run: RunName, *, replace: bool) -> None:
        """Make the zip in the request's body the run; one folder around everything in it is taken off.

        Raises what `Archives.install` does, and `MalformedBody` or `UnsupportedMedia` for a body that is no zip and no form.
        """
        head = read_head(scope)
        content_type = head.content_type.decode("latin-1")
        kind = content_type.partition(";")[0].strip().lower()
        most = self._service.settings.archive_max_bytes
        if head.length > most:
            raise TooLarge(f"the body has {head.length} bytes, at most {most} are taken")
        if head.encoding:
            raise UnsupportedMedia("an archive is compressed already; send it without a Content-Encoding")
        if kind == _FORM:
            receive = _file_of(receive, FormFile(content_type, _FIELD))
        elif kind not in _ZIP_TYPES:
            raise UnsupportedMedia(f"Content-Type {content_type[:60]!a} is not taken; send application/zip or {_FORM}")
        await self._archives.install(receive, run, expected=max(head.length, 0), replace=replace)


def _file_of(receive: Receive, form: FormFile) -> Receive:
    """The body that `receive` gives, less everything but the file in it."""

    async def unwrapped() -> Message:
        message = await receive()
        if message["type"] != "http.request":
            return message
        piece: bytes = message.get("body", b"")
        if len(piece) <= limits.DECODE_INLINE_MAX_BYTES:
            content = form.feed(piece)
        else:
            content = await asyncio.to_thread(form.feed, piece)
        more = message.get("more_body", False)
        if not more:
            form.close()
        return {"type": "http.request", "body": content, "more_body": more}

    return unwrapped
