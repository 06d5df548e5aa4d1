"""GET /api/v1/live: what happens, as it happens, as Server-Sent Events. The feed is server/live/'s; here is only its request.

An answer has no end of its own, and holds one connection and one request of its address for as long as it lasts.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI, Header, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from tbbridge import errors
from tbbridge.server.live.events import Wanted
from tbbridge.server.live.listener import EVENT_STREAM, Listener
from tbbridge.server.openapi import responses
from tbbridge.server.service import Service


class LiveQuery(BaseModel):
    """Parameters of GET /api/v1/live."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[
        list[str], Field(description="Only this run; repeat it for several. Left out: all.", examples=[["digits/lr=1e-3"]])
    ] = []
    tag: Annotated[
        list[str], Field(description="Only this tag; repeat it for several. Left out: all.", examples=[["loss/train"]])
    ] = []
    logs: Annotated[bool, Field(description="Log records, too.")] = False
    health: Annotated[bool, Field(description="Once a second an event about the bridge itself.")] = True


_EXAMPLE: Final = """\
retry: 1000
id: 5f0c2a91-17
event: hello
data: {"version":"0.1.0","resumed":false,"retry_s":1.0}

id: 5f0c2a91-18
event: points
data: {"columns":[{"run":"digits/lr=1e-3","tag":"loss/train","steps":[7],"values":[0.25],"wall_times":[1794902400.5]}]}

"""
_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "description": "Events until the listener or the bridge ends it: `hello`, `points`, `summaries`, `runs`, `status`, "
        "`purged`, `deleted`, `renamed`, `restored`, `logs`, `lagging` and `health`; docs/live.md says what is in each.",
        "content": {EVENT_STREAM: {"schema": {"type": "string"}, "example": _EXAMPLE}},
    },
    **responses(errors.InvalidQuery, errors.TooManyRequests, errors.Stopping),
}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the feed to `app`."""

    @app.get(
        "/api/v1/live",
        operation_id="listen",
        tags=["read"],
        summary="Be told what happens",
        response_class=Response,
        responses=_RESPONSES,
    )
    async def listen(
        query: Annotated[LiveQuery, Query()],
        last_event_id: Annotated[
            str,
            Header(description="The id of the last event that was seen: what came behind it is told, each event once."),
        ] = "",
    ) -> Response:
        """New points, summaries, runs, statuses, deletions and log records, a few milliseconds after they are stored.

        The first event is `hello`. If it says `resumed`, all that came behind Last-Event-ID follows, each event once; if not,
        read what you show again, and what follows is what happens from then on. Values are told when a read would see them.
        """
        wanted = Wanted(frozenset(query.run), frozenset(query.tag), query.logs)
        return Listener(
            service.live,
            service.door,
            wanted,
            last_event_id,
            health=query.health,
            version=app.version,
            cut_off=service.cut_off,
        )
