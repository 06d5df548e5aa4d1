"""The outermost layer: counts every request, and answers what nobody below foresaw with an id instead of its cause.

Pure ASGI, since a layer that makes tasks or copies requests would cost more than the request. The cause goes to the log, once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tbbridge.errors import Forbidden, Misdirected, Stopping, TBBridgeError, TooManyRequests, Unauthorized
from tbbridge.server import request_ids
from tbbridge.server.answers import NO_SNIFFING, form_of_scope, problem, raw_problem
from tbbridge.server.bodies import SenderGone
from tbbridge.server.connections import RequestsUnderWay, client_of
from tbbridge.server.guard import PREFLIGHT_ANSWER, Denials, Guard, Headers
from tbbridge.server.service import BEGAN, Direct
from tbbridge.server.totals import RequestTotals

log = logging.getLogger(__name__)

_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"})
# nginx's number for a sender that went away before it was answered; it is counted, never sent.
_SENDER_GONE = 499
_STOPPED = (
    "the bridge is shutting down, and did not finish this request in time; send it again when it is back "
    "(with writer and seq nothing is written twice)"
)


class Edge:
    """ASGI middleware around the whole app."""

    def __init__(
        self,
        app: ASGIApp,
        totals: RequestTotals,
        guard: Guard,
        under_way: RequestsUnderWay,
        refused: Counter[str],
        direct: Mapping[tuple[str, str], Direct] | None = None,
    ) -> None:
        """`refused` is counted up, by the code of its error, for each request that is answered with one.

        `direct`, by method and path: routes that are asked for all the time, called past `app`, where they are found too.
        """
        self.app = app
        self.totals = totals
        self.guard = guard
        self.under_way = under_way
        self.refused = refused
        self._denials = Denials()
        self.direct = {} if direct is None else direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":  # we have none, and what is not guarded is not passed on
            return
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        client = client_of(scope["client"][0]) if scope.get("client") else ""
        counted = False
        status = 0
        started = scope[BEGAN] = time.perf_counter()
        note = request_ids.begin(scope["headers"])
        own = (request_ids.HEADER, note.id.encode())
        added: Headers | None = None

        async def counting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), own, NO_SNIFFING, *(added or ())]}
            await send(message)

        try:
            self.under_way.begin(client)
            counted = True
            added = self.guard.check(scope)
            if note.report is not None:
                self.totals.take_report(note.report)
            if added is not None and scope["method"] == "OPTIONS":
                await _preflight(counting_send)
            elif (found := self.direct.get((scope["method"], scope["path"]))) is not None:
                scope["route"] = found
                await found.direct(scope, receive, counting_send)
            else:
                await self.app(scope, receive, counting_send)
        except (TooManyRequests, Unauthorized, Forbidden, Misdirected) as error:  # of these lines; the body is not read
            if not isinstance(error, TooManyRequests):
                self._denials.note(error, _method(scope), client)
            await problem(error, form_of_scope(scope))(scope, receive, counting_send)
        except SenderGone:
            status = _SENDER_GONE
        except asyncio.CancelledError:  # the stop has waited long enough for this request; uvicorn would log a traceback
            log.info("%s %s was not done when the bridge stopped", scope["method"], _route(scope))
            if status:  # an answer cut off in the middle; uvicorn closes the connection
                return
            await problem(Stopping(_STOPPED), form_of_scope(scope))(scope, receive, counting_send)
        except Exception:  # whatever nobody below foresaw: the log gets the cause, the sender an id, and neither is lost
            log.exception("error %s in %s %s", note.id, scope["method"], _route(scope))
            if status:  # the answer is under way and cannot be taken back; uvicorn closes the connection
                raise
            detail = f"an internal error; the log has it under id {note.id}"
            answer = raw_problem(TBBridgeError.title, TBBridgeError.status, detail, TBBridgeError.code, form_of_scope(scope))
            await answer(scope, receive, counting_send)
        finally:
            if counted:
                self.under_way.end(client)
            if note.code:
                self.refused[note.code] += 1
            method = _method(scope)
            took = time.perf_counter() - started
            self.totals.observe(method, _route(scope), status, took)
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s %s answered with %d after %.1f ms", method, _route(scope), status, took * 1000)


async def _preflight(send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": PREFLIGHT_ANSWER})
    await send({"type": "http.response.body", "body": b""})


def _method(scope: Scope) -> str:
    """The method; one that a stranger made up would be a metric of its own."""
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    """The path of the route that was found: a path that strangers make up would be a metric of its own each time."""
    route = scope.get("route")
    return "none" if route is None else getattr(route, "path", "none")
