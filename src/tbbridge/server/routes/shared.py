"""The paths that several old dialects share, and the only place that knows which of them are switched on.

`GET /` is crayon's version, lapiz's health or the live page, as its Accept header asks. `POST /data` is crayon's if the
body is a JSON string, and pastalog's if it is an object.
"""

from __future__ import annotations

from typing import Final

from fastapi import FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope

from tbbridge.errors import InvalidItem
from tbbridge.server.dialects import Handler, add_route, always_400, plain, read_json
from tbbridge.server.live_page import LivePage
from tbbridge.server.routes.backups import Backups
from tbbridge.server.routes.crayon import Crayon
from tbbridge.server.routes.lapiz import Lapiz
from tbbridge.server.service import Service
from tbbridge.wire import crayon, family, pastalog

_HINT: Final = 'send {"modelName", "pointType", "pointValue", "globalStep"} for a point, or a name as a JSON string'


def add_routes(app: FastAPI, service: Service) -> None:
    """Add `/`, and the routes of all dialects that are switched on, to `app`."""
    on = service.settings.dialects
    backups = Backups(service)
    crayon_routes = Crayon(service, backups) if "crayon" in on else None
    lapiz_routes = Lapiz(service, backups, app.version) if "lapiz" in on else None
    live_page = LivePage(service)
    live_page.add_routes(app)
    root = _Root(live_page, crayon_routes is not None, lapiz_routes)
    add_route(app, "/", {"GET": root.answer, "HEAD": root.answer}, always_400)
    data: dict[str, Handler] = {}
    if crayon_routes is not None:
        crayon_routes.add_routes(app)
        data.update(crayon_routes.data_handlers)
    if lapiz_routes is not None:
        lapiz_routes.add_routes(app)
    if crayon_routes is not None or "pastalog" in on:
        data["POST"] = _Data(service, crayon_routes, takes_points="pastalog" in on).post
        add_route(app, "/data", data, always_400, first=True)


class _Root:
    """`GET /`."""

    def __init__(self, live_page: LivePage, is_crayon: bool, lapiz_routes: Lapiz | None) -> None:
        self._live_page = live_page
        self._is_crayon = is_crayon
        self._lapiz = lapiz_routes

    async def answer(self, scope: Scope, receive: Receive) -> Response:
        accept = b",".join(value for name, value in scope["headers"] if name == b"accept").lower()
        if b"text/html" in accept:
            return self._live_page.answer(scope)
        if self._lapiz is not None and (b"application/json" in accept or not self._is_crayon):
            return await self._lapiz.health(scope, receive)
        return plain(crayon.VERSION) if self._is_crayon else self._live_page.answer(scope)


class _Data:
    """`POST /data`."""

    def __init__(self, service: Service, crayon_routes: Crayon | None, *, takes_points: bool) -> None:
        self._service = service
        self._crayon = crayon_routes
        self._takes_points = takes_points

    async def post(self, scope: Scope, receive: Receive) -> Response:
        came = await read_json(scope, receive, self._service, lambda body: family.parse(body, _HINT))
        match came:
            case str() if self._crayon is not None:
                return await self._crayon.create(came)
            case dict() if self._takes_points:
                await self._service.door.submit(pastalog.point_of(came))
                return plain("OK")
            case str() | dict():
                name = "crayon" if isinstance(came, str) else "pastalog"
                raise InvalidItem("dialect", f"{name}'s clients are not served here; add {name} to the bridge's --dialects")
            case _:
                raise InvalidItem("type", f"the body is {family.shown(came)}; {_HINT}", "body")
