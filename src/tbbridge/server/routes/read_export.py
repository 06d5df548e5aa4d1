"""GET /api/v1/export: every scalar point of runs as one download, streamed while the files are read.

A piece is made in a thread when the one before it was taken, so neither a slow receiver nor a large run fills the memory. If
something goes wrong after the first piece, the connection is closed before the end: an answer that ends properly is whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tbbridge import errors, limits
from tbbridge.server.openapi import responses
from tbbridge.server.routes.read import CSV_TYPE
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog
from tbbridge.store.export import CSV_HEAD, csv_row, export_rows, export_tensorboard_json, json_row, wanted_runs
from tbbridge.wire.json_fields import named

log = logging.getLogger(__name__)

JSON_LINES_TYPE: Final = "application/x-ndjson"
_TYPES: Final = {"csv": CSV_TYPE, "jsonl": JSON_LINES_TYPE, "tensorboard-json": "application/json"}
_ENDINGS: Final = {"csv": "csv", "jsonl": "jsonl", "tensorboard-json": "json"}


class ExportQuery(BaseModel):
    """Parameters of GET /api/v1/export."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[
        list[str], Field(description="Repeat it for several runs; left out: all.", examples=[["digits/lr=1e-3"]])
    ] = []
    tag: Annotated[
        list[str],
        Field(description="Only this tag, and only the runs that have it; repeat it for several.", examples=[["loss/train"]]),
    ] = []
    format: Annotated[
        Literal["csv", "jsonl", "tensorboard-json"],
        Field(
            description="`csv`: columns run, tag, step, wall_time, value. `jsonl`: the same as one object a line. "
            '`tensorboard-json`: `{"<run>/<tag>": [[wall_time, step, value], ...]}`, as tensorboardX exports scalars.',
            json_schema_extra=named("ExportFormat"),
        ),
    ] = "csv"


_CONTENT: Final[dict[str, Any]] = {
    CSV_TYPE: {"schema": {"type": "string"}},
    JSON_LINES_TYPE: {"schema": {"type": "string"}},
    "application/json": {"schema": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "array"}}}},
}
_ERRORS: Final = responses(
    errors.NotFound,
    errors.Conflict,
    errors.InvalidQuery,
    errors.Stopping,
    errors.StorageFailed,
    extra={507: "The disk is full"},
)


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the export to `app`."""

    @app.get(
        "/api/v1/export",
        operation_id="exportScalars",
        tags=["read"],
        summary="Export every point of runs",
        response_class=Response,
        responses={200: {"content": _CONTENT}, **_ERRORS},
    )
    async def export(query: Annotated[ExportQuery, Query()]) -> Response:
        """All points of scalars, streamed. NaN and infinities are the words NaN, Infinity and -Infinity, in JSON as strings.

        An answer that is cut off is not whole: the run was deleted meanwhile, or the bridge stopped.
        """
        await service.door.settled()
        pieces = _pieces(service.catalog, query)
        first = await service.read(next, pieces, b"")  # what is wrong is known by now, and still has a status of its own
        headers = {"content-disposition": f'attachment; filename="export.{_ENDINGS[query.format]}"'}
        kind = _TYPES[query.format]
        return StreamingResponse(_streamed(service, first, pieces), media_type=kind, headers=headers)


def _pieces(catalog: Catalog, query: ExportQuery) -> Generator[bytes]:
    tags = dict.fromkeys(query.tag)  # in their order, and quick to look into
    runs = wanted_runs(catalog, query.run, tags)
    if query.format == "tensorboard-json":
        yield from export_tensorboard_json(catalog, runs, tags)
    elif query.format == "jsonl":
        yield b""  # the checks are done; a run may take a while to its first point
        yield from export_rows(catalog, runs, tags, json_row)
    else:
        yield CSV_HEAD
        yield from export_rows(catalog, runs, tags, csv_row)


async def _streamed(service: Service, first: bytes, pieces: Generator[bytes]) -> AsyncIterator[bytes]:
    """The pieces as they are asked for. If nobody wants more, the open file is closed when the thread is done with it."""
    under_way: asyncio.Future[bytes | None] | None = None
    try:
        yield first
        while True:
            under_way = asyncio.ensure_future(service.read(_next, pieces))
            piece = await asyncio.shield(under_way)
            if piece is None:
                return
            yield piece
    finally:
        if under_way is None or under_way.done():
            pieces.close()
        else:
            under_way.add_done_callback(lambda done: _end(done, pieces))


def _end(done: asyncio.Future[bytes | None], pieces: Generator[bytes]) -> None:
    pieces.close()
    if not done.cancelled() and (error := done.exception()) is not None:
        log.info("an export that nobody waits for any more ended: %s", error)


def _next(pieces: Iterator[bytes]) -> bytes | None:
    """Enough of them to be worth a turn of a thread; None at the end."""
    some = []
    size = 0
    for piece in pieces:
        some.append(piece)
        size += len(piece)
        if size >= limits.EXPORT_PIECE_BYTES:
            break
    return b"".join(some) if some else None
