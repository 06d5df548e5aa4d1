"""POST /api/v1/write: a body becomes a batch, the pipeline takes it, the answer says what became of it.

This is the path every point takes, so it does its work once: the raw bytes are read in one go by `wire`, where FastAPI would
parse, validate and copy them. FastAPI still has the route's signature, and makes the OpenAPI document from it.
"""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Final
from urllib.parse import parse_qsl

from fastapi import Body, FastAPI, Query
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from tbbridge import limits
from tbbridge.errors import InvalidQuery, ItemError, QueueFull, TBBridgeError
from tbbridge.pipeline.door import Ack, Receipt
from tbbridge.server import openapi
from tbbridge.server.answers import Answer, form_of, form_of_scope, problem
from tbbridge.server.bodies import body_of, read_head
from tbbridge.server.queries import repeats_in
from tbbridge.server.service import BEGAN, Service
from tbbridge.wire import json_v1_schema as schema

PATH: Final = "/api/v1/write"


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the write route to `app`."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        held_at = 0.0
        try:
            response, held_at = await _write(scope, receive, service)
        except TBBridgeError as error:
            if isinstance(error, QueueFull):
                service.note_overload()
            response = problem(error, form_of_scope(scope))
        await response(scope, receive, send)
        if held_at:
            service.totals.answer.observe(time.perf_counter() - held_at)

    class WriteRoute(DirectRoute):
        direct = staticmethod(answer)

    app.router.add_api_route(
        PATH,
        write,
        methods=["POST"],
        operation_id="write",
        tags=["write"],
        summary="Write points",
        response_description="On disk, or with `ack=written` also in the event files. A repeat is answered with `duplicate`.",
        responses=openapi.WRITE_RESPONSES,
        openapi_extra=openapi.WRITE_BODY,
        route_class_override=WriteRoute,
    )
    # Asked for all the time: the edge calls it itself, which saves a third of what the way through the app costs.
    route = app.router.routes[-1]
    assert isinstance(route, DirectRoute)  # noqa: S101 - as said above
    service.direct["POST", PATH] = route


class DirectRoute(APIRoute):
    """A route whose endpoint is its contract only: requests of its method go straight to the ASGI application `direct`."""

    direct: ASGIApp

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, without FastAPI's dependencies and response models: 50 us that change nothing here."""
        if scope["method"] in (self.methods or ()):
            await type(self).direct(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


async def write(
    body: Annotated[schema.WriteRequest, Body(openapi_examples=openapi.WRITE_EXAMPLES)],
    ack: Annotated[
        Ack, Query(description="When to answer: `queued` (202, in memory only), `journaled` or `written`.")
    ] = Ack.JOURNALED,
    partial: Annotated[
        bool, Query(description="Write the good items and list the bad ones in `rejected`, instead of all or nothing.")
    ] = False,
) -> schema.WriteResponse:
    """Write scalars, texts and histograms to any number of runs.

    By default the answer comes when all of it is on disk. With `writer` and `seq` a retry is free: a batch that was already
    taken is answered with `duplicate` and not written again. A 429, 503 or 507 says in Retry-After when to send it again.
    """
    del body, ack, partial
    raise AssertionError("requests go to WriteRoute.direct; this is its contract")


async def _write(scope: Scope, receive: Receive, service: Service) -> tuple[Answer, float]:
    """The answer, and since when what it says holds."""
    head = read_head(scope)
    form = form_of(head.content_type)
    query = scope["query_string"]
    ack, partial = _read_query(query) if query else (Ack.JOURNALED, False)
    async with body_of(head, receive, service) as body:
        received = time.perf_counter()
        if len(body) <= limits.DECODE_INLINE_MAX_BYTES:
            collected = form.decode_batch(body, partial=partial, groups=service.groups)
        else:
            collected = await asyncio.to_thread(form.decode_batch, body, partial=partial, groups=service.groups)
    service.totals.receive.observe(received - scope[BEGAN])
    service.totals.parse.observe(time.perf_counter() - received)
    batch = collected.batch
    if batch.runs or batch.writer:
        receipt = await service.door.submit(batch, ack=ack, partial=partial, received=received)
    else:
        receipt = Receipt(accepted=0)
    rejected = (*collected.rejected, *receipt.rejected)
    if rejected:
        service.totals.take_rejected(rejected)
    answer = form.encode_response(
        receipt.accepted,
        duplicate=receipt.duplicate,
        rejected=rejected,
        warnings=receipt.warnings,
    )
    return Answer(answer, form.media_type_bytes, 202 if ack is Ack.QUEUED else 200), receipt.held_at


_BOOLEANS: Final = {"true": True, "1": True, "false": False, "0": False}


def _read_query(query: bytes) -> tuple[Ack, bool]:
    ack, partial = Ack.JOURNALED, False
    try:
        given = parse_qsl(query.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        raise InvalidQuery([ItemError("?", "query", "the query is not UTF-8 or too long; send ?ack= and ?partial=")]) from None
    errors = repeats_in(name for name, _ in given)
    for name, value in given:
        if name == "ack" and value in _ACKS:
            ack = _ACKS[value]
        elif name == "partial" and value in _BOOLEANS:
            partial = _BOOLEANS[value]
        elif name == "ack":
            errors.append(ItemError("ack", "query", f"{value[:40]!a} is none; send one of " + ", ".join(_ACKS)))
        elif name == "partial":
            errors.append(ItemError("partial", "query", f"{value[:40]!a} is neither; send true or false"))
        else:
            errors.append(ItemError(ascii(name[:40])[1:-1], "query", "no such parameter; known are ack, partial"))
    if errors:
        raise InvalidQuery(errors)
    return ack, partial


_ACKS: Final = {ack.value: ack for ack in Ack}
