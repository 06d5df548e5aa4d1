"""lapiz's routes (version 0.5): health, runs, the summaries of one step, backup and restore.

Errors are one line of plain text: 400 for what is wrong in a request, 404 for a run that is not there, 409 for one that is.
`/` is in shared.py.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope

from tbbridge.server.answers import json_answer
from tbbridge.server.dialects import add_route, path_name, plain, query_of, with_status, write
from tbbridge.server.routes.backups import Backups
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog
from tbbridge.store.folders import ROOT_RUN
from tbbridge.wire import family, lapiz

# Where lapiz's readers look for TensorBoard, and `tbbridge up` runs it unless told otherwise.
_TENSORBOARD_PORT: Final = 6006


class Lapiz:
    """lapiz's runs on one service."""

    def __init__(self, service: Service, backups: Backups, version: str) -> None:
        self._service = service
        self._backups = backups
        self._message = f"tbbridge {version}"

    def add_routes(self, app: FastAPI) -> None:
        """Add all routes but that of `/`, which `health` is for."""
        add_route(app, "/health", {"GET": self.health, "HEAD": self.health}, with_status)
        add_route(app, "/data/runs", {"GET": self._runs}, with_status)
        add_route(app, "/data/run/{name:anyname}/summary", {"POST": self._summary}, with_status, first=True)
        add_route(app, "/data/backup/{name:anyname}", {"GET": self._backup}, with_status)
        add_route(app, "/backup/{name:anyname}", {"POST": self._restore}, with_status)

    async def health(self, scope: Scope, _: Receive) -> Response:
        """What lapiz's client looks at before it works: the version has to be its own, in major and minor."""
        host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "127.0.0.1")
        name = host[: host.rindex("]") + 1] if "]" in host else host.partition(":")[0]
        logdir = self._service.settings.logdir.absolute()
        # Where there are tokens, anybody may still ask this, and is not told what the machine's folders are called.
        tensorboard = {
            "logdir": logdir.name if self._service.guard.tokens.required else str(logdir),
            "address": f"http://{name}:{_TENSORBOARD_PORT}",
        }
        return json_answer({"health": "OK", "version": lapiz.VERSION, "message": self._message, "tensorboard": tensorboard})

    async def _runs(self, _scope: Scope, _: Receive) -> Response:
        await self._service.door.settled()
        runs, empty = await self._service.read(_names, self._service.catalog)
        return json_answer({"runs": runs, "empty_runs": empty})

    async def _summary(self, scope: Scope, receive: Receive) -> Response:
        run = lapiz.run_of(path_name(scope, "/data/run/", "/summary"))
        await write(scope, receive, self._service, lambda body: lapiz.decode_summaries(run, body))
        return plain("OK")

    async def _backup(self, scope: Scope, _: Receive) -> Response:
        run = lapiz.run_of(path_name(scope, "/data/backup/"))
        return await self._backups.send(run, prefix=run.rpartition("/")[2])

    async def _restore(self, scope: Scope, receive: Receive) -> Response:
        run = lapiz.run_of(path_name(scope, "/backup/"))
        force = query_of(scope).get("force")
        await self._backups.restore(scope, receive, run, replace=family.flag(force, "force"))
        return plain("OK")


def _names(catalog: Catalog) -> tuple[list[str], list[str]]:
    """Runs that hold values, and folders that hold none."""
    runs = [run.run for run in catalog.runs() if run.run != ROOT_RUN and run.points]
    held = set(runs)
    return runs, [name for name in catalog.empty_runs() if name not in held]
