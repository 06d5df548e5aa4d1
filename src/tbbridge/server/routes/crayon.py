"""crayon's routes (version 0.5): experiments, one point a request, and reading back what was written a moment ago.

An experiment is a run. Every error is one line of plain text with status 400, as crayon's clients expect it; only what passes
by itself (the queue is full, the disk refuses) has its own status and Retry-After. `/` and `POST /data` are in shared.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Final

from fastapi import FastAPI
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope

from tbbridge import limits
from tbbridge.errors import Conflict, InvalidQuery, ItemError, NotFound
from tbbridge.model import Batch, RunBatch, RunName
from tbbridge.pipeline.door import Ack, DeleteRun
from tbbridge.server.answers import Answer
from tbbridge.server.dialects import Handler, add_route, always_400, plain, query_of, write
from tbbridge.server.routes.backups import Backups
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog
from tbbridge.store.folders import ROOT_RUN
from tbbridge.store.known_runs import KnownRuns
from tbbridge.wire import crayon, family

_JSON: Final = b"application/json"


class Crayon:
    """crayon's experiments on one service."""

    def __init__(self, service: Service, backups: Backups) -> None:
        self._service = service
        self._backups = backups
        self._known = KnownRuns(service.settings.logdir)
        self._creating = asyncio.Lock()

    def add_routes(self, app: FastAPI) -> None:
        """Add all routes but those of `/` and `/data`, which `data_handlers` and `create` are for."""
        add_route(app, "/data/histograms", {"GET": self._read_histograms, "POST": self._write_histogram}, always_400)
        add_route(app, "/backup", {"GET": self._backup, "POST": self._restore}, always_400)
        scalars: dict[str, Handler] = {"GET": self._read_scalars, "POST": self._write_scalar}
        add_route(app, "/data/scalars", scalars, always_400, first=True)

    @property
    def data_handlers(self) -> dict[str, Handler]:
        """What `/data` answers besides POST."""
        return {"GET": self._describe, "DELETE": self._delete}

    # --- experiments ----------------------------------------------------------------------------------------------------

    async def create(self, name: str) -> Response:
        """Make an experiment, which must not be there yet."""
        run = crayon.experiment(name)
        async with self._creating:  # of two that ask for the same name, one is refused
            if await self._is_there(run):
                raise Conflict(f"the experiment {run!a} exists already; choose another name, or open it")
            await self._service.door.submit(Batch((RunBatch(run, create=True),)), ack=Ack.WRITTEN)
        return _ok()

    async def _describe(self, scope: Scope, _: Receive) -> Response:
        query = query_of(scope)
        await self._service.door.settled()
        if "xp" not in query:
            runs = await self._service.read(self._service.catalog.names)
            return Answer(crayon.encode([run for run in runs if run != ROOT_RUN]), _JSON)
        run = crayon.experiment(query["xp"])
        found = await self._service.read(self._service.catalog.run, run)
        named = {kind: [tag.tag for tag in found[1] if tag.kind == kind] for kind in ("scalar", "histogram")}
        return Answer(crayon.encode({"scalars": named["scalar"], "histograms": named["histogram"]}), _JSON)

    async def _delete(self, scope: Scope, _: Receive) -> Response:
        run = crayon.experiment(query_of(scope).get("xp"))
        await self._service.door.change(DeleteRun(run, below=False))
        return _ok()

    async def _is_there(self, run: RunName) -> bool:
        await self._service.door.settled()
        return await asyncio.to_thread(self._known.look, run)  # not behind those who read long series

    async def _require(self, run: RunName) -> None:
        """Raises `NotFound` unless the experiment was created; nearly always at the cost of one stat."""
        if not self._known.is_known(run) and not await self._is_there(run):
            raise NotFound(f"there is no experiment {run!a}; create it first")

    # --- scalars and histograms -----------------------------------------------------------------------------------------

    async def _write_scalar(self, scope: Scope, receive: Receive) -> Response:
        query = query_of(scope)
        run, tag = crayon.experiment(query.get("xp")), crayon.series(query.get("name"))
        await self._require(run)
        await write(scope, receive, self._service, lambda body: crayon.decode_scalar(run, tag, body))
        return _ok()

    async def _write_histogram(self, scope: Scope, receive: Receive) -> Response:
        query = query_of(scope)
        run, tag = crayon.experiment(query.get("xp")), crayon.series(query.get("name"))
        build = family.flag(query.get("tobuild"), "tobuild")
        await self._require(run)
        await write(scope, receive, self._service, lambda body: crayon.decode_histogram(run, tag, body, build=build))
        return _ok()

    async def _read_scalars(self, scope: Scope, _: Receive) -> Response:
        query = query_of(scope)
        run, tag = crayon.experiment(query.get("xp")), crayon.series(query.get("name"))
        await self._service.door.settled()
        series = await self._service.read(self._service.catalog.series, run, tag)
        if len(series) > limits.READ_MAX_POINTS:
            message = f"{len(series)} points are too many for one answer; ask /api/v1/scalars for some of them"
            raise InvalidQuery([ItemError("name", "query", message)])

        def rows(start: int, end: int) -> Sequence[Sequence[object]]:
            columns = (series.wall_times, series.steps, series.values)
            return list(zip(*(column[start:end].tolist() for column in columns), strict=True))

        if len(series) <= limits.READ_PIECE_POINTS:
            return Answer(crayon.encode(rows(0, len(series))), _JSON)

        async def pieces() -> AsyncIterator[bytes]:
            opening = b"["
            for start in range(0, len(series), limits.READ_PIECE_POINTS):
                yield opening + crayon.encode(rows(start, start + limits.READ_PIECE_POINTS))[1:-1]
                opening = b","
            yield b"]"

        return StreamingResponse(pieces(), media_type="application/json")

    async def _read_histograms(self, scope: Scope, _: Receive) -> Response:
        query = query_of(scope)
        run, tag = crayon.experiment(query.get("xp")), crayon.series(query.get("name"))
        await self._service.door.settled()
        return Answer(await self._service.read(_histograms, self._service.catalog, run, tag), _JSON)

    # --- archives -------------------------------------------------------------------------------------------------------

    async def _backup(self, scope: Scope, _: Receive) -> Response:
        return await self._backups.send(crayon.experiment(query_of(scope).get("xp")), prefix="")

    async def _restore(self, scope: Scope, receive: Receive) -> Response:
        query = query_of(scope)
        run = crayon.experiment(query.get("xp"))
        if not family.flag(query.get("force"), "force"):
            raise InvalidQuery([ItemError("force", "query", "an experiment is only restored with force=true; send it so")])
        if await self._is_there(run):  # before all of the zip came; what begins meanwhile is refused as it is installed
            raise Conflict(f"the experiment {run!a} exists already; remove it first, or restore under another name")
        await self._backups.restore(scope, receive, run, replace=False)
        return _ok()


def _ok() -> Answer:
    return plain("ok")


def _histograms(catalog: Catalog, run: str, tag: str) -> bytes:
    rows: list[list[object]] = []
    for one in catalog.histograms(run, tag):
        total, squares = one.sum, one.sum_squares
        if total is None or squares is None:
            total, squares = crayon.sums_of(one.lefts, one.rights, one.counts)
        histo = [one.min, one.max, one.num, total, squares, one.rights.tolist(), one.counts.tolist()]
        rows.append([one.wall_time, one.step, histo])
    return crayon.encode(rows)
