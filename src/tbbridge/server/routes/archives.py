"""GET and PUT /api/v1/archive: runs taken away and put back, as zips; the old clients' archives go the same way (backups.py).

An archive is streamed both ways: memory stays small whatever a run holds. An upload is a file in a staging folder until all of
it has been looked at; if the sender goes away, or anything is wrong, nothing of it is left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import quote

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import iterate_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive
from typing_extensions import TypedDict

from tbbridge import errors, limits
from tbbridge.errors import BodyTimeout, QueueFull, TooLarge, UnsupportedMedia
from tbbridge.model import RunName
from tbbridge.pipeline.door import Changed, InstallRun
from tbbridge.server.answers import json_answer
from tbbridge.server.bodies import SenderGone, read_head
from tbbridge.server.openapi import responses
from tbbridge.server.routes.manage import FULL, SHARED, asked_run, warnings_of
from tbbridge.server.service import Service
from tbbridge.store.archive import Upload, archive_entries, remove_stage, zip_pieces
from tbbridge.store.eventfiles import Halt
from tbbridge.store.unpack import Unpacked, unpack
from tbbridge.wire.json_v1_schema import ItemWarning

T = TypeVar("T")

ZIP_TYPE: Final = "application/zip"
# What senders call a file that they do not look into; curl -T says nothing at all.
_TAKEN_TYPES: Final = ("", ZIP_TYPE, "application/x-zip-compressed", "application/octet-stream")


class Restored(TypedDict):
    """What an archive held."""

    run: str
    files: int
    size_bytes: int
    warnings: list[ItemWarning]


class ArchiveQuery(BaseModel):
    """Parameters of GET /api/v1/archive."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(examples=["digits/lr=1e-3"])]


class RestoreQuery(BaseModel):
    """Parameters of PUT /api/v1/archive."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(description="Its name here, whatever it was called before.", examples=["digits/lr=1e-3"])]
    replace: Annotated[bool, Field(description="Remove what the run holds; without it a run that exists is a conflict.")] = (
        False
    )


_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary", "contentMediaType": ZIP_TYPE}}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes of archives to `app`."""
    archives = Archives(service)

    @app.get(
        "/api/v1/archive",
        operation_id="getArchive",
        tags=["manage"],
        summary="Take a run away as a zip",
        response_class=Response,
        responses={
            200: {"description": "The zip, streamed.", "content": {ZIP_TYPE: _BINARY}},
            **responses(errors.NotFound, errors.Conflict, *SHARED, extra=FULL),
        },
    )
    async def get_archive(query: Annotated[ArchiveQuery, Query()]) -> Response:
        """What belongs to the run, as its files are now: event files, embeddings, files of TensorBoard's plugins."""
        return await archives.read(query.run)

    @app.put(
        "/api/v1/archive",
        operation_id="putArchive",
        tags=["manage"],
        summary="Put a run back from a zip",
        response_model=Restored,
        responses=responses(
            errors.Conflict,
            errors.MalformedBody,
            errors.BodyTimeout,
            errors.TooLarge,
            errors.UnsupportedMedia,
            errors.InvalidItem,
            *SHARED,
            extra=FULL,
        ),
        openapi_extra={"requestBody": {"required": True, "content": {ZIP_TYPE: _BINARY, "application/octet-stream": _BINARY}}},
    )
    async def put_archive(request: Request, query: Annotated[RestoreQuery, Query()]) -> Response:
        """Make a zip's files those of a run; one folder around all of them is taken off.

        A zip with anything in it that no run has (or that could do harm) is refused whole.
        """
        return await archives.write(request, asked_run(query.run), replace=query.replace)


class Archives:
    """Sends and receives archives, a few at one time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._under_way = 0
        self._unpacking = asyncio.Semaphore(limits.ARCHIVES_UNPACKED_AT_ONCE)

    async def read(self, run: str, prefix: str = "") -> Response:
        """The answer that streams the archive of `run`; its files lie in the folder `prefix` in there, if one is given."""
        await self._service.door.settled()
        entries = await self._service.read(archive_entries, self._service.settings.logdir, run, prefix)
        self._begin()
        name = run.replace("/", "_").replace("\\", "_") if run != "." else "runs"
        plain = "".join(letter if letter.isascii() and letter.isprintable() and letter not in '"%' else "_" for letter in name)
        headers = {
            "Content-Disposition": f"attachment; filename=\"{plain}.zip\"; filename*=UTF-8''{quote(name, safe='')}.zip",
        }
        return _Streamed(self._pieces(zip_pieces(entries)), self._end, headers)

    async def _pieces(self, pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in iterate_in_threadpool(pieces):
            yield piece

    async def write(self, request: Request, run: RunName, *, replace: bool) -> Response:
        """Receive an archive and install it."""
        head = read_head(request.scope)
        most = self._service.settings.archive_max_bytes
        if head.encoding:
            raise UnsupportedMedia("an archive is compressed already; send it without a Content-Encoding")
        if head.content_type.partition(b";")[0].strip().lower().decode("latin-1") not in _TAKEN_TYPES:
            raise UnsupportedMedia(f"an archive is a zip; send it as {ZIP_TYPE}")
        if head.length > most:
            raise _too_large(most)
        found, changed = await self.install(request.receive, run, expected=max(head.length, 0), replace=replace)
        warnings = [*warnings_of(found.warnings), *warnings_of(changed.warnings)]
        return json_answer({"run": run, "files": found.files, "size_bytes": found.size_bytes, "warnings": warnings})

    async def install(
        self, receive: Receive, run: RunName, *, expected: int, replace: bool, strip_prefix: str | None = None
    ) -> tuple[Unpacked, Changed]:
        """Receive a zip of about `expected` bytes and make its files those of `run`; `strip_prefix` as for `unpack`."""
        most = self._service.settings.archive_max_bytes
        self._begin()
        try:
            async with self._stage() as folder, self._stage() as staged:
                path = await _receive(receive, folder, expected, most)
                async with self._unpacking:
                    found: Unpacked = await _in_thread(
                        lambda halt: unpack(path, staged, strip_prefix=strip_prefix, max_bytes=most, halt=halt)
                    )
                return found, await self._service.door.change(InstallRun(run, staged, replace))
        finally:
            self._end()

    def _begin(self) -> None:
        if self._under_way >= limits.ARCHIVES_AT_ONCE:
            raise QueueFull(f"{self._under_way} archives are under way, which is as many as may be; send it again later")
        self._under_way += 1

    def _end(self) -> None:
        self._under_way -= 1

    @asynccontextmanager
    async def _stage(self) -> AsyncIterator[Path]:
        """A staging folder, which is gone when the block ends, unless it was installed."""
        folder = await self._service.door.stage()
        try:
            yield folder
        finally:
            await asyncio.to_thread(remove_stage, folder)


class _Streamed(StreamingResponse):
    """A streamed zip; `at_end` is called once, whether or not all of it was wanted."""

    def __init__(self, pieces: AsyncIterator[bytes], at_end: Callable[[], None], headers: dict[str, str]) -> None:
        super().__init__(pieces, media_type=ZIP_TYPE, headers=headers)
        self._at_end = at_end

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._at_end()


async def _receive(receive: Receive, folder: Path, expected: int, most: int) -> Path:
    """The body as a file. Raises `TooLarge`, `BodyTimeout`, `StorageFailed` and `SenderGone`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limits.BODY_READ_TIMEOUT_S
    size = 0
    with await asyncio.to_thread(Upload, folder, expected) as upload:
        waiting: list[bytes] = []
        more = True
        while more:
            try:
                async with asyncio.timeout_at(deadline + size / limits.ARCHIVE_MIN_BYTES_PER_S):
                    message = await receive()
            except TimeoutError:
                raise BodyTimeout(f"the archive came too slowly: {size} bytes so far; send it over a faster line") from None
            if message["type"] == "http.disconnect":
                raise SenderGone
            piece: bytes = message.get("body", b"")
            more = message.get("more_body", False)
            waiting.append(piece)
            size += len(piece)
            if size > most:
                raise _too_large(most)
            if not more or sum(map(len, waiting)) >= limits.ARCHIVE_PIECE_BYTES:
                await _in_thread(lambda _: upload.write(b"".join(waiting)))
                waiting.clear()
        return upload.path


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the archive has over {most} bytes, which is as much as is taken here (the setting archive_max_bytes)")


async def _in_thread(work: Callable[[Halt], T]) -> T:
    """What `work` returns; if we are cancelled it is told to end, and has ended before its files are removed."""
    halt = Halt()
    task = asyncio.create_task(asyncio.to_thread(work, halt))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        halt.call()
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # it is not ours to tell any more; looked at, so that it is not reported as lost
        raise
