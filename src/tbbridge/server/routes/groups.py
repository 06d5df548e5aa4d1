"""GET and PUT /api/v1/groups: the table that says which runs and tags the members of groups write to.

A PUT is kept in the log folder before it is answered, and counts for every write that is read after that answer. Groups of the
settings file are fixed: an operator's word is not to be changed by a client.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import Body, FastAPI
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tbbridge import errors, limits
from tbbridge.errors import Conflict, TBBridgeError, TooLarge, UnsupportedMedia
from tbbridge.server.answers import JSON, Answer, form_of, form_of_scope, json_answer, problem
from tbbridge.server.bodies import body_of, read_head
from tbbridge.server.openapi import responses
from tbbridge.server.routes.write import DirectRoute
from tbbridge.server.service import Service
from tbbridge.store.groups_file import save_groups
from tbbridge.wire import groups_v1 as schema

PATH: Final = "/api/v1/groups"


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes of groups to `app`."""
    changing = asyncio.Lock()  # one PUT at a time: what is kept and what is in use are the same table

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await _put(scope, receive, service, changing)
        except TBBridgeError as error:
            response = problem(error, form_of_scope(scope))
        await response(scope, receive, send)

    class PutRoute(DirectRoute):
        direct = staticmethod(answer)

    @app.get(
        PATH,
        operation_id="getGroups",
        tags=["operate"],
        summary="The groups",
        response_model=schema.StoredGroups,
        responses=responses(),
    )
    async def get_groups() -> Response:
        """The table of groups in use; `fixed` if it comes from the settings file."""
        return _answer(service)

    app.router.add_api_route(
        PATH,
        put_groups,
        methods=["PUT"],
        operation_id="putGroups",
        tags=["operate"],
        summary="Replace the groups",
        responses=responses(
            errors.MalformedBody,
            errors.BodyTimeout,
            errors.TooLarge,
            errors.UnsupportedMedia,
            errors.InvalidBatch,
            errors.Conflict,
            errors.QueueFull,
            errors.Stopping,
            errors.StorageFailed,
            extra={507: "The disk is full"},
        ),
        route_class_override=PutRoute,
    )


async def put_groups(body: Annotated[schema.GroupTable, Body()]) -> schema.StoredGroups:
    """Replace the whole table of groups; it is kept over restarts. Values that are written already stay where they are.

    409 if the groups come from the settings file.
    """
    del body
    raise AssertionError("requests go to PutRoute.direct; this is its contract")


async def _put(scope: Scope, receive: Receive, service: Service, changing: asyncio.Lock) -> Answer:
    head = read_head(scope)
    if form_of(head.content_type) is not JSON:
        raise UnsupportedMedia("groups are sent as application/json; there is no protobuf form of them")
    if head.length > limits.GROUPS_MAX_BYTES:
        raise TooLarge(f"the table has {head.length} bytes, at most {limits.GROUPS_MAX_BYTES} are taken; use patterns")
    async with body_of(head, receive, service) as body:
        table = await asyncio.to_thread(schema.decode_groups, body)
    async with changing:
        if service.groups_fixed:
            raise Conflict("the groups come from the bridge's settings file; change them there, and restart it")
        _ = service.door  # raises while the bridge is not open: the log folder may be another's then
        await asyncio.to_thread(save_groups, service.settings.logdir, table)
        service.groups = table
    return _answer(service)


def _answer(service: Service) -> Answer:
    return json_answer({"groups": schema.listed(service.groups), "fixed": service.groups_fixed})
