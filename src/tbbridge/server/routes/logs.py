"""GET /api/v1/logs: the records of a run's log as lines of JSON, from any place on, and further as they come.

A stream holds one window of a file at a time, whatever the log has; it goes as fast as its reader takes it. To follow is to
look at the file's length now and then. The files are store/log_files.py's.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope, Send
from typing_extensions import TypedDict

from tbbridge import errors, limits
from tbbridge.errors import InvalidItem, InvalidQuery, ItemError, NotFound, QueueFull, TBBridgeError
from tbbridge.logs.levels import read_level
from tbbridge.logs.lines import time_text
from tbbridge.model import LogRecord, RunName, run_name
from tbbridge.server.bodies import SenderGone
from tbbridge.server.openapi import component, responses
from tbbridge.server.service import Service
from tbbridge.store.log_files import LogFiles, LookBack, Place, Tail, Wanted

log = logging.getLogger(__name__)

NDJSON_TYPE: Final = "application/x-ndjson"
# A log's last record may be seen in the middle of its write, which is done by then.
_SETTLE_S: Final = 0.02


class LogLine(TypedDict):
    """One record, a line of the answer."""

    time: Annotated[
        str | None,
        Field(description="RFC 3339, in UTC, with microseconds; null: a line of the file that is no record of ours."),
    ]
    level: Annotated[int, Field(description="As in Python's logging: 10 debug, 20 info, 30, 40, 50 and numbers between.")]
    logger: str
    message: Annotated[str, Field(description="May have many lines.")]
    run: str
    cursor: Annotated[
        str, Field(description="The place behind it in the log: `after=` goes on from there.", examples=["1-4711"])
    ]


class LogsQuery(BaseModel):
    """Parameters of GET /api/v1/logs."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(description="The run whose log it is.", examples=["digits/lr=1e-3"])]
    since: Annotated[
        str | None,
        Field(
            description="Only records of this time or later: seconds since 1970, or RFC 3339.",
            examples=["2026-11-20T08:00:00Z"],
        ),
    ] = None
    level: Annotated[
        str, Field(description="Only records of this level or higher: a name such as `warning` or `debug3`, or a number.")
    ] = "0"
    limit: Annotated[
        int | None,
        Field(
            ge=0,
            le=limits.LOGS_LOOK_BACK_MAX,
            description="Only the newest so many of them, and what follows; 0: only what follows.",
        ),
    ] = None
    after: Annotated[str | None, Field(description="Go on behind the record that had this cursor; instead of limit.")] = None
    follow: Annotated[bool, Field(description="Go on with records as they come, until the reader or the bridge ends it.")] = (
        False
    )


_RESPONSES: Final = {
    200: {
        "description": "One JSON object a line, oldest first. With `follow` an empty line now and then, which says nothing.",
        "content": {
            NDJSON_TYPE: {
                "schema": {
                    "type": "string",
                    "contentMediaType": NDJSON_TYPE,
                    "contentSchema": component(LogLine),
                }
            }
        },
    },
    **responses(
        errors.NotFound,
        errors.InvalidQuery,
        errors.QueueFull,
        errors.Stopping,
        errors.StorageFailed,
        extra={507: "The disk is full"},
    ),
}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the route to `app`."""

    @app.get(
        "/api/v1/logs",
        operation_id="readLogs",
        tags=["read"],
        summary="Read or follow the log of a run",
        response_class=_Stream,
        responses=_RESPONSES,
    )
    async def read_logs(query: Annotated[LogsQuery, Query()], request: Request) -> Response:
        """The records of one run's log, a line of JSON each, in the order in which they arrived.

        With `follow` a log that does not exist yet is waited for.
        """
        run, wanted, after = _read_query(query)
        await service.door.settled()
        files = LogFiles(service.settings.logdir, run)
        if not query.follow and not await service.read(files.generations):
            raise NotFound(f"there is no log of a run {run!a}; send records to it with `logs` in a write")
        if query.follow and service.followers >= limits.LOGS_FOLLOWERS_MAX:
            raise QueueFull(f"{service.followers} requests follow logs already; end one, or read without follow")
        if after is None and query.limit is not None:
            after = await _found(service, LookBack(files, wanted, query.limit))
        lines = _lines(service, request.scope, run, Tail(files, wanted, after), follow=query.follow)
        return _Stream(lines, media_type=NDJSON_TYPE)


def _read_query(query: LogsQuery) -> tuple[RunName, Wanted, Place | None]:
    wrong: list[ItemError] = []
    run = RunName("")
    level, since, after = 0, None, None
    try:
        run = run_name(query.run)
    except InvalidItem as error:
        wrong.append(ItemError("run", "query", error.message))
    try:
        level = read_level(query.level)
    except InvalidItem as error:
        wrong.append(ItemError("level", "query", error.message))
    try:
        since = None if query.since is None else read_time(query.since)
    except ValueError as error:
        wrong.append(ItemError("since", "query", str(error)))
    try:
        after = None if query.after is None else Place.read(query.after)
    except ValueError as error:
        wrong.append(ItemError("after", "query", str(error)))
    if query.after is not None and query.limit is not None:
        wrong.append(ItemError("limit", "query", "with after all records behind it are sent; leave limit out"))
    if wrong:
        raise InvalidQuery(wrong)
    return run, Wanted(level, since), after


def read_time(text: str) -> float:
    """Seconds since 1970 of a number or an RFC 3339 time; one without a zone is in UTC. Raises ValueError."""
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(seconds):
            return seconds
    try:
        moment = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        raise ValueError(f"{text[:40]!a} is no time; give seconds since 1970, or a time like 2026-11-20T08:00:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


async def _found(service: Service, looking: LookBack) -> Place:
    while await service.read(looking.step):
        pass
    return looking.place


async def _lines(service: Service, scope: Scope, run: RunName, tail: Tail, *, follow: bool) -> AsyncIterator[bytes]:
    """The answer in pieces of one window each."""
    service.followers += follow
    try:
        is_second_look = False
        while not (follow and _is_stranger(service, scope)):
            taken = await service.read(tail.take)
            if taken:
                yield b"".join(_line(run, place, record) for place, record in taken)
            if taken is not None:
                is_second_look = False
            elif not is_second_look:
                is_second_look = True
                await asyncio.sleep(_SETTLE_S)
            elif not follow or service.stopping.is_set():
                return
            else:
                is_second_look = False
                if not await _grown(service, scope, tail):
                    yield b"\n"
    finally:
        service.followers -= follow


async def _grown(service: Service, scope: Scope, tail: Tail) -> bool:
    """Return when the log has more, or the bridge stops; or with False when it was quiet for a while."""
    for _ in range(math.ceil(limits.LOGS_HEARTBEAT_S / limits.LOGS_POLL_S)):
        if tail.has_more() or service.stopping.is_set() or _is_stranger(service, scope):
            return True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limits.LOGS_POLL_S):
                await service.stopping.wait()
    return False


def _is_stranger(service: Service, scope: Scope) -> bool:
    """A token may be revoked while its owner follows."""
    try:
        service.guard.check(scope)
    except TBBridgeError:
        return True
    return False


def _line(run: RunName, place: Place, record: LogRecord) -> bytes:
    line = LogLine(
        time=None if record.wall_time is None else time_text(record.wall_time),
        level=record.level,
        logger=record.logger,
        message=record.message,
        run=run,
        cursor=str(place),
    )
    return to_json(line) + b"\n"


class _Stream(StreamingResponse):
    """A stream whose reader may be slow, but not asleep."""

    media_type = NDJSON_TYPE

    async def stream_response(self, send: Send) -> None:
        """Send the pieces; a reader that takes none for limits.LOGS_STALL_S is let go."""

        async def send_soon(message: Message) -> None:
            try:
                async with asyncio.timeout(limits.LOGS_STALL_S):
                    await send(message)
            except TimeoutError:
                log.info("a reader of a log took nothing for %g s and was let go", limits.LOGS_STALL_S)
                raise SenderGone from None

        async with contextlib.aclosing(self.body_iterator):  # type: ignore[type-var] # ours is a generator
            await super().stream_response(send_soon)
