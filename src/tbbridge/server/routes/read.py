"""GET /api/v1/runs and /api/v1/scalars: what is in the event files, ours and those that other programs put there.

Both wait until all that was acknowledged before is in the files, so a sender reads its own writes. Files are read in a thread,
for a few requests at a time; the others wait.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict

from tbbridge import errors, limits
from tbbridge.errors import InvalidQuery, ItemError
from tbbridge.model import INT64_MAX, INT64_MIN
from tbbridge.server.answers import json_answer
from tbbridge.server.openapi import responses
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog, RunInfo, TagInfo
from tbbridge.store.series import Series
from tbbridge.wire.json_fields import Finites, Int64, Int64s, Numbers


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
    size_bytes: Annotated[int, Field(description="Size of its event files.")]
    tags: Annotated[list[TagDescription] | None, Field(description="Only when one run is asked for by `run`, else null.")]


class RunList(TypedDict):
    """Runs by name."""

    runs: list[RunDescription]


class ScalarSeries(TypedDict):
    """The points of one tag as columns of equal length, in the order in which they were written."""

    run: str
    tag: str
    count: Annotated[int, Field(description="Points between min_step and max_step, before `max_points`.")]
    steps: Int64s
    values: Numbers
    wall_times: Annotated[Finites, Field(description="Seconds since 1970.")]


class RunsQuery(BaseModel):
    """Parameters of GET /api/v1/runs."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str | None, Field(description="Only this run, with its tags.", examples=["digits/lr=1e-3"])] = None


class ScalarsQuery(BaseModel):
    """Parameters of GET /api/v1/scalars."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(examples=["digits/lr=1e-3"])]
    tag: Annotated[str, Field(examples=["loss/train"])]
    max_points: Annotated[
        int | None,
        Field(
            ge=2,
            le=limits.READ_MAX_POINTS,
            description="At most so many points: the first, the last, and the lowest and highest of equal stretches between.",
        ),
    ] = None
    min_step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="Only points from this step on.")] = None
    max_step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="Only points up to this step.")] = None


_ERRORS: Final = responses(
    errors.NotFound,
    errors.InvalidQuery,
    errors.Stopping,
    errors.StorageFailed,
    extra={507: "The disk is full"},
)


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes that read to `app`."""

    @app.get(
        "/api/v1/runs", operation_id="listRuns", tags=["read"], summary="List runs", response_model=RunList, responses=_ERRORS
    )
    async def list_runs(query: Annotated[RunsQuery, Query()]) -> Response:
        """Every run in the log folder, by name; with `run` that one and its tags."""
        await service.door.settled()
        if query.run is None:
            runs = await service.read(service.catalog.runs)
            return json_answer({"runs": [_described(run) for run in runs]})
        run, tags = await service.read(service.catalog.run, query.run)
        return json_answer({"runs": [{**_described(run), "tags": [_tag_described(tag) for tag in tags]}]})

    @app.get(
        "/api/v1/scalars",
        operation_id="readScalars",
        tags=["read"],
        summary="Read the points of a tag",
        response_model=ScalarSeries,
        responses=_ERRORS,
    )
    async def read_scalars(query: Annotated[ScalarsQuery, Query()]) -> Response:
        """The points of one scalar tag, as columns; NaN and infinities as the strings `NaN`, `Infinity` and `-Infinity`."""
        await service.door.settled()
        count, series = await service.read(_load, service.catalog, query)
        if len(series) > limits.READ_MAX_POINTS:
            message = f"{count} points are too many for one answer; ask for up to {limits.READ_MAX_POINTS}, or for less steps"
            raise InvalidQuery([ItemError("max_points", "query", message)])
        head = {"run": query.run, "tag": query.tag, "count": count}
        if len(series) <= limits.READ_PIECE_POINTS:
            steps, values, times = (column.tolist() for column in (series.steps, series.values, series.wall_times))
            return json_answer({**head, "steps": steps, "values": values, "wall_times": times})
        return StreamingResponse(_pieces(head, series), media_type="application/json")


def _load(catalog: Catalog, query: ScalarsQuery) -> tuple[int, Series]:
    """How many points there are, and those asked for."""
    series = catalog.series(query.run, query.tag, query.min_step, query.max_step)
    return len(series), series if query.max_points is None else series.downsampled(query.max_points)


async def _pieces(head: dict[str, Any], series: Series) -> AsyncIterator[bytes]:
    """The answer in pieces, so that a million points hold up nobody else."""
    yield to_json(head)[:-1]
    for name, column in (("steps", series.steps), ("values", series.values), ("wall_times", series.wall_times)):
        opening = b',"%s":[' % name.encode()
        for start in range(0, len(column), limits.READ_PIECE_POINTS):
            piece = column[start : start + limits.READ_PIECE_POINTS].tolist()
            yield opening + to_json(piece, inf_nan_mode="strings")[1:-1]
            opening = b","
        yield b"]"
    yield b"}"


def _described(run: RunInfo) -> dict[str, object]:
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
