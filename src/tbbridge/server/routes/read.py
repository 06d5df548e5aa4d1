"""GET /api/v1/runs and /api/v1/scalars: what is in the event files, ours and those that other programs put there.

Both wait until all that was acknowledged before is in the files, so a sender reads its own writes. Files are read in a thread,
for a few requests at a time; the others wait. The other kinds are read_values.py's, whole runs read_export.py's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Annotated, Any, Final, Literal, NotRequired

import numpy as np
from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from typing_extensions import TypedDict

from tbbridge import errors, limits
from tbbridge.errors import InvalidQuery, ItemError, TBBridgeError
from tbbridge.model import INT64_MAX, INT64_MIN
from tbbridge.server.answers import Answer, form_of_scope, json_answer, problem
from tbbridge.server.openapi import responses
from tbbridge.server.routes.read_listing import Listing
from tbbridge.server.service import Service
from tbbridge.store.candles import Candlesticks, candlesticks
from tbbridge.store.catalog import Catalog, RunInfo, TagInfo
from tbbridge.store.export import csv_line, number_texts
from tbbridge.store.series import Series
from tbbridge.wire.json_fields import Finites, Int64, Int64s, Numbers, named

CSV_TYPE: Final = "text/csv"
# About as many candlesticks as fit a chart side by side.
_CANDLESTICKS: Final = 500


class TagDescription(TypedDict):
    """One tag of a run."""

    tag: str
    kind: Annotated[str, Field(description="The kind of its values.", examples=["scalar"])]
    count: Annotated[int, Field(description="Values in the event files.")]
    first_step: Int64
    last_step: Int64
    first_wall_time: float
    last_wall_time: float


class RunDescription(TypedDict):
    """One run: a folder that holds event files."""

    run: str
    tag_counts: Annotated[dict[str, int], Field(description="Tags by kind.", examples=[{"scalar": 2, "text": 1}])]
    points: Annotated[int, Field(description="Values of any kind in its event files.")]
    first_step: Annotated[Int64 | None, Field(description="null: the run holds no values yet.")]
    last_step: Int64 | None
    first_wall_time: Annotated[float | None, Field(description="Seconds since 1970.")]
    last_wall_time: float | None
    size_bytes: Annotated[int, Field(description="Size of its event files and of the files of its embeddings.")]
    status: Annotated[
        Annotated[Literal["running", "finished", "failed", "lost"], Field(json_schema_extra=named("RunStatus"))] | None,
        Field(description="As the program that makes it says. `lost`: it runs, and has been silent. null: it never said."),
    ]
    tags: Annotated[list[TagDescription] | None, Field(description="Only when one run is asked for by `run`, else null.")]


class RunList(TypedDict):
    """Runs by name."""

    runs: list[RunDescription]


class ScalarSeries(TypedDict):
    """The points of one tag as columns of equal length, in the order in which they were written."""

    kind: Annotated[Literal["points"], Field(description="Tells this answer from candlesticks.")]
    run: str
    tag: str
    count: Annotated[int, Field(description="Points between min_step and max_step, before `max_points`.")]
    steps: Int64s
    values: Numbers
    wall_times: Annotated[Finites, Field(description="Seconds since 1970.")]
    sampled: NotRequired[
        Annotated[
            list[int],
            Field(
                description="Only if points were left out: positions in the columns, from 0, of points that were taken evenly, "
                "whatever their value. Average these: the others are there because they are low or high."
            ),
        ]
    ]


class CandlestickSeries(TypedDict):
    """The points of one tag as candlesticks: columns of equal length, one element a bin. NaN: the bin holds no number."""

    kind: Annotated[Literal["candlesticks"], Field(description="Tells this answer from points.")]
    run: str
    tag: str
    count: Annotated[int, Field(description="Points between min_step and max_step.")]
    first_steps: Int64s
    last_steps: Int64s
    counts: Annotated[list[int], Field(description="Points that are numbers.")]
    nans: Annotated[list[int], Field(description="Points that are NaN; the values leave them out.")]
    min: Numbers
    q1: Annotated[Numbers, Field(description="First quartile, exact; between two points interpolated.")]
    median: Numbers
    q3: Numbers
    max: Numbers


ScalarsAnswer = Annotated[
    ScalarSeries | CandlestickSeries,
    Field(discriminator="kind", json_schema_extra=named("ScalarsAnswer", "Points, or candlesticks if they were asked for.")),
]


class RunsQuery(BaseModel):
    """Parameters of GET /api/v1/runs."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str | None, Field(description="Only this run, with its tags.", examples=["digits/lr=1e-3"])] = None


class SelectionQuery(BaseModel):
    """Which points of a tag are read, and how they are thinned out."""

    model_config = ConfigDict(extra="forbid")
    max_points: Annotated[
        int | None,
        Field(
            ge=2,
            le=limits.READ_MAX_POINTS,
            description="At most so many points, or candlesticks. Left out: all points, or "
            f"{_CANDLESTICKS} candlesticks of up to {limits.CANDLESTICK_MAX_BINS}.",
        ),
    ] = None
    downsample: Annotated[
        Annotated[Literal["none", "minmax", "candlestick"], Field(json_schema_extra=named("Downsample"))] | None,
        Field(
            description="How to thin out. `minmax`: the first point, the last, and of equal stretches between the lowest, the "
            "highest, one taken whatever it is, and a NaN if there is one. `candlestick`: quartiles of equal ranges of steps. "
            "Left out: `minmax` with max_points, else `none`."
        ),
    ] = None
    min_step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="Only points from this step on.")] = None
    max_step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="Only points up to this step.")] = None

    def check(self) -> None:
        """Raises `InvalidQuery` for parameters that do not go together."""
        message = None
        if self.downsample == "none" and self.max_points is not None:
            message = "with downsample=none all points are given; leave max_points out, or ask for minmax or candlestick"
        elif self.downsample == "minmax" and self.max_points is None:
            message = "this parameter is missing; downsample=minmax needs to know how many points to leave"
        elif self.downsample == "candlestick" and (self.max_points or 0) > limits.CANDLESTICK_MAX_BINS:
            message = f"{self.max_points} is too large; ask for up to {limits.CANDLESTICK_MAX_BINS} candlesticks"
        if message is not None:
            raise InvalidQuery([ItemError("max_points", "query", message)])


class ScalarsQuery(SelectionQuery):
    """Parameters of GET /api/v1/scalars."""

    run: Annotated[str, Field(examples=["digits/lr=1e-3"])]
    tag: Annotated[str, Field(examples=["loss/train"])]
    format: Annotated[
        Literal["json", "csv"],
        Field(description="CSV has a line of names, then one line a point or bin.", json_schema_extra=named("SeriesFormat")),
    ] = "json"


READ_ERRORS: Final = responses(
    errors.NotFound,
    errors.InvalidQuery,
    errors.Stopping,
    errors.StorageFailed,
    extra={507: "The disk is full"},
)


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes that read to `app`."""
    _add_listing(app, service)
    _add_scalars(app, service)


def _add_listing(app: FastAPI, service: Service) -> None:
    def described(run: RunInfo) -> dict[str, object]:
        return {**_found_in(run), "status": None if service.opened is None else service.opened.status_of(run.run)}

    listing = Listing(service, described)

    async def list_all(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await service.door.settled()
            packed = await listing.packed() if _takes_gzip(scope) else None
            if packed is None:
                answer = Answer(await listing.answer(), b"application/json", headers=_VARY)
            else:
                answer = Answer(packed, b"application/json", headers=[(b"content-encoding", b"gzip"), *_VARY])
        except TBBridgeError as error:
            answer = problem(error, form_of_scope(scope))
        await answer(scope, receive, send)

    class RunsRoute(APIRoute):
        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            """Without a query there is nothing to check: FastAPI's own path takes longer than sending a thousand runs."""
            if scope["method"] == "GET" and not scope["query_string"]:
                await list_all(scope, receive, send)
            else:
                await super().handle(scope, receive, send)

    async def list_runs(query: Annotated[RunsQuery, Query()]) -> Response:
        """Every run in the log folder, by name; with `run` that one and its tags.

        What was written through this bridge is seen at once; in the list of all runs, what other programs changed after up to
        ten seconds, or twenty times as long as it takes to look at all of them.
        """
        await service.door.settled()
        if query.run is None:
            return Answer(await listing.answer(), b"application/json")
        run, tags = await service.read(service.catalog.run, query.run)
        return json_answer({"runs": [{**described(run), "tags": [_tag_described(tag) for tag in tags]}]})

    app.router.add_api_route(
        "/api/v1/runs",
        list_runs,
        methods=["GET"],
        operation_id="listRuns",
        tags=["read"],
        summary="List runs",
        response_model=RunList,
        responses=READ_ERRORS,
        route_class_override=RunsRoute,
    )


def _add_scalars(app: FastAPI, service: Service) -> None:
    @app.get(
        "/api/v1/scalars",
        operation_id="readScalars",
        tags=["read"],
        summary="Read the points of a tag",
        response_model=ScalarsAnswer,
        responses={200: {"content": {CSV_TYPE: {"schema": {"type": "string"}}}}, **READ_ERRORS},
    )
    async def read_scalars(query: Annotated[ScalarsQuery, Query()]) -> Response:
        """The points of one scalar tag, as columns; NaN and infinities as the strings `NaN`, `Infinity` and `-Infinity`.

        CSV has the columns step, wall_time, value; of candlesticks those of the JSON answer.
        """
        query.check()
        await service.door.settled()
        count, found = await service.read(selected, service.catalog, query, query.run, query.tag)
        if len(found) > limits.READ_MAX_POINTS:
            message = f"{count} points are too many for one answer; ask for up to {limits.READ_MAX_POINTS}, or for less steps"
            raise InvalidQuery([ItemError("max_points", "query", message)])
        columns = columns_of(found)
        if query.format == "csv":
            return StreamingResponse(_csv_pieces(found), media_type=f"{CSV_TYPE}; charset=utf-8")
        head = {"kind": kind_of(found), "run": query.run, "tag": query.tag, "count": count}
        if len(found) <= limits.READ_PIECE_POINTS:
            return json_answer({**head, **{name: column.tolist() for name, column in columns.items()}})
        return StreamingResponse(_pieces(head, columns), media_type="application/json")


_VARY: Final = [(b"vary", b"accept-encoding")]


def _takes_gzip(scope: Scope) -> bool:
    """False also for a sender that says `*` or gives a weight: no harm is done by not packing."""
    for name, value in scope["headers"]:
        if name == b"accept-encoding":
            return b"gzip" in (part.strip() for part in value.lower().split(b","))
    return False


def selected(catalog: Catalog, query: SelectionQuery, run: str, tag: str) -> tuple[int, Series | Candlesticks]:
    """How many points of a tag there are, and what was asked for. Raises as `Catalog.series`."""
    series = catalog.series(run, tag, query.min_step, query.max_step)
    if query.downsample == "candlestick":
        return len(series), candlesticks(series, query.max_points or _CANDLESTICKS)
    return len(series), series if query.max_points is None else series.downsampled(query.max_points)


def kind_of(found: Series | Candlesticks) -> str:
    """What tells the two answers apart."""
    return "points" if isinstance(found, Series) else "candlesticks"


def columns_of(found: Series | Candlesticks) -> dict[str, NDArray[Any]]:
    """The columns of an answer, by name."""
    columns = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, Series):
        sampled = columns.pop("sampled")
        if sampled is not None:
            columns["sampled"] = np.flatnonzero(sampled)
    return columns


async def _pieces(head: dict[str, Any], columns: dict[str, NDArray[Any]]) -> AsyncIterator[bytes]:
    """The answer in pieces, so that a million points hold up nobody else."""
    yield to_json(head)[:-1]
    for name, column in columns.items():
        opening = b',"%s":[' % name.encode()
        for start in range(0, len(column), limits.READ_PIECE_POINTS):
            piece = column[start : start + limits.READ_PIECE_POINTS].tolist()
            yield opening + to_json(piece, inf_nan_mode="strings")[1:-1]
            opening = b","
        yield b"]"
    yield b"}"


async def _csv_pieces(found: Series | Candlesticks) -> AsyncIterator[bytes]:
    if isinstance(found, Series):
        columns = {"step": found.steps, "wall_time": found.wall_times, "value": found.values}
    else:
        columns = columns_of(found)
    yield csv_line(*columns).encode()
    for start in range(0, len(found), limits.CSV_PIECE_LINES):
        texts = [number_texts(column[start : start + limits.CSV_PIECE_LINES].tolist()) for column in columns.values()]
        yield "".join([",".join(line) + "\n" for line in zip(*texts, strict=True)]).encode()


def _found_in(run: RunInfo) -> dict[str, object]:
    return {
        "run": run.run,
        "tag_counts": dict(run.tag_counts),
        "points": run.points,
        "first_step": run.first_step,
        "last_step": run.last_step,
        "first_wall_time": run.first_wall_time,
        "last_wall_time": run.last_wall_time,
        "size_bytes": run.size_bytes,
        "tags": None,
    }


def _tag_described(tag: TagInfo) -> dict[str, object]:
    return {
        "tag": tag.tag,
        "kind": tag.kind,
        "count": tag.count,
        "first_step": tag.first_step,
        "last_step": tag.last_step,
        "first_wall_time": tag.first_wall_time,
        "last_wall_time": tag.last_wall_time,
    }
