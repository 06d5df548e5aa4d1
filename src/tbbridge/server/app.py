"""The HTTP interface as a FastAPI app. `build_app` only puts it together; the pipeline is opened when the app starts.

A write goes edge -> routes.write -> wire -> the pipeline's door; a read goes edge -> routes.read -> door.settled -> store.
"""

from __future__ import annotations

import asyncio
import importlib.metadata
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from tbbridge import limits
from tbbridge.errors import InvalidQuery, ItemError, TBBridgeError
from tbbridge.logs.levels import read_level
from tbbridge.pipeline.door import Door
from tbbridge.pipeline.logbook import LogSettings
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings
from tbbridge.server import docs_page, openapi
from tbbridge.server.answers import form_of_scope, http_problem, problem
from tbbridge.server.edge import Edge
from tbbridge.server.guard import own_names
from tbbridge.server.queries import refuse_repeats
from tbbridge.server.routes import (
    archives,
    groups,
    live,
    logs,
    manage,
    operate,
    read,
    read_export,
    read_many,
    read_tags,
    read_values,
    shared,
    write,
)
from tbbridge.server.service import Service
from tbbridge.server.settings import ServerSettings
from tbbridge.store.groups_file import load_groups

log = logging.getLogger(__name__)

OpenDoor = Callable[[ServerSettings], Awaitable[Door]]

# How the time that a stop may take is shared: requests under way, then the pipeline's close; the rest is for the signal itself.
REQUESTS_SHARE: Final = 0.4
CLOSE_SHARE: Final = 0.5


async def open_pipeline(settings: ServerSettings) -> Pipeline:
    """The real door: the pipeline on the settings' log folder."""
    return await Pipeline.open(
        PipelineSettings(
            logdir=settings.logdir,
            queue_max_bytes=settings.queue_max_bytes,
            segment_bytes=settings.segment_bytes,
            open_files_max=settings.open_files_max,
            veil_s=settings.veil_s,
            runs_max=settings.runs_max,
            tags_per_run_max=settings.tags_per_run_max,
            close_timeout_s=settings.shutdown_timeout_s * CLOSE_SHARE,
            logs=LogSettings(
                overwrite=settings.logs_mode == "overwrite",
                level=read_level(settings.logs_level),
                to_text=settings.logs_to_text,
                file_max_bytes=settings.logs_file_max_bytes,
                max_bytes=settings.logs_max_bytes,
            ),
        )
    )


class _App(FastAPI):
    """FastAPI's, but that the routes which are asked for all the time go to the edge before it does anything: 5% of a point."""

    edge: Edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http" and (scope["method"], scope["path"]) in self.edge.direct:
            await self.edge(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


def _placed(app: ASGIApp, edge: Edge) -> Edge:
    """The edge in its place among FastAPI's own layers, of which `app` is the next."""
    edge.app = app
    return edge


def build_app(settings: ServerSettings, *, open_door: OpenDoor = open_pipeline) -> FastAPI:
    """The app. Nothing happens until it starts: no folder is made, no file opened."""
    service = Service.of(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.opened = await open_door(settings)
        naming = asyncio.create_task(_learn_names(service))  # not awaited: a DNS that is down takes seconds
        looking = asyncio.create_task(_look_ahead(service))
        try:
            if not service.groups_fixed:  # read behind the door, which holds the folder's lock
                service.groups = await asyncio.to_thread(load_groups, settings.logdir)
            yield
        except KeyboardInterrupt:  # forced: what the journal holds is safe, and is replayed at the next start
            service.catalog.stop()
            log.warning("stopped without draining; the next start finishes from the journal")
            raise
        except BaseException:
            await _close(service)
            raise
        finally:
            naming.cancel()
            looking.cancel()
        await _close(service)

    app = _App(
        title="tbbridge",
        version=importlib.metadata.version("tbbridge"),
        summary="HTTP in, TensorBoard out.",
        lifespan=lifespan,
        redirect_slashes=False,
        docs_url=None,  # docs_page.py has both, without scripts of others
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(refuse_repeats)],
    )
    app.state.service = service
    app.edge = Edge(
        app,
        totals=service.totals,
        guard=service.guard,
        under_way=service.under_way,
        refused=service.refused,
        direct=service.direct,
    )
    app.add_middleware(_placed, edge=app.edge)
    app.add_exception_handler(TBBridgeError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid_query)
    app.add_exception_handler(HTTPException, _answer_http)
    for routes in (
        write,
        read,
        read_many,
        read_tags,
        read_values,
        read_export,
        live,
        logs,
        manage,
        archives,
        operate,
        groups,
        shared,
    ):
        routes.add_routes(app, service)
    openapi.install(app)
    docs_page.add_routes(app)
    return app


async def _learn_names(service: Service) -> None:
    service.guard.add_names(await asyncio.to_thread(own_names))


async def _look_ahead(service: Service) -> None:
    """Look through the log folder before somebody asks: the first page that is opened should not wait for it."""
    try:
        await service.read(service.catalog.look_ahead, limits.LOOK_AHEAD_BYTES)
    except TBBridgeError as error:  # the bridge stops already
        log.debug("the log folder was not looked through: %s", error)


async def _close(service: Service) -> None:
    service.live.stop()
    service.catalog.stop()  # a read that nobody waits for any more: the process ends only when its thread has
    door, service.opened = service.opened, None
    if door is not None:
        await door.close()


async def _answer_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, TBBridgeError)  # noqa: S101 - as registered above; starlette types handlers for any exception
    return problem(error, form_of_scope(request.scope))


async def _answer_invalid_query(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as registered above
    wrong = []
    for detail in error.errors():
        name = ".".join(str(part) for part in detail["loc"] if part != "query")
        if detail["type"] == "extra_forbidden":
            message = "no such parameter; the OpenAPI document lists them"
        elif detail["type"] == "missing":
            message = "this parameter is missing; add it to the query"
        else:
            message = f"{str(detail.get('input'))[:40]!a} is refused: {detail['msg']}"
        wrong.append(ItemError(ascii(name[:60])[1:-1], "query", message))
    return problem(InvalidQuery(wrong), form_of_scope(request.scope))


def _not_here(request: Request) -> str:
    """What is said of a path that is none; of another version's, what a client made for that can do nothing but show."""
    asked = re.match(r"/api/v([0-9]{1,4})/", request.url.path)
    if asked is None or int(asked[1]) == operate.API_VERSION:
        return "there is nothing at this path; /openapi.json lists what there is, /docs shows it"
    return (
        f"this bridge is tbbridge {request.app.version}, which speaks version {operate.API_VERSION} of the interface, and this "
        f"client speaks version {int(asked[1])}; use a tbbridge of the bridge's version here, or a bridge of this client's "
        "(/openapi.json lists what there is)"
    )


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - as registered above
    headers = [(name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items()]
    details = {
        404: _not_here(request),
        405: f"this path does not take {request.method}; it takes {(error.headers or {}).get('Allow', 'another method')}",
    }
    detail = details.get(error.status_code, str(error.detail))
    return http_problem(error.status_code, detail, form_of_scope(request.scope), headers)
