"""GET /api/v1/scalars/many: the same tags of many runs in one answer, thinned out: what a page of charts asks for.

Two thousand questions would take longer to ask than to answer. Overviews (store/overviews.py) answer what is asked of whole
tags; what is asked of a range of steps is read. All of it is made in one thread, which counts as one read.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import FastAPI, Query
from pydantic import ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict

from tbbridge import limits
from tbbridge.errors import InvalidQuery, ItemError, NotFound
from tbbridge.server.answers import Answer
from tbbridge.server.routes.read import READ_ERRORS, ScalarsAnswer, SelectionQuery, columns_of, kind_of, selected
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog


class ManyQuery(SelectionQuery):
    """Parameters of GET /api/v1/scalars/many."""

    model_config = ConfigDict(extra="forbid")
    tag: Annotated[
        list[str], Field(min_length=1, description="Repeat it for several tags.", examples=[["loss/train", "loss/test"]])
    ]
    run: Annotated[
        list[str],
        Field(default_factory=list, description="Repeat it for several runs; left out: all.", examples=[["digits/lr=1e-3"]]),
    ]


class ManySeries(TypedDict):
    """Tag by tag as they were asked for, and in each run by run."""

    series: list[ScalarsAnswer]


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the route to `app`."""

    @app.get(
        "/api/v1/scalars/many",
        operation_id="readManyScalars",
        tags=["read"],
        summary="Read tags of many runs",
        response_model=ManySeries,
        responses=READ_ERRORS,
    )
    async def read_many(query: Annotated[ManyQuery, Query()]) -> Response:
        """The points of scalar tags from many runs, each as GET /api/v1/scalars gives it; runs without a tag are left out.

        `max_points` is for each of them. `minmax` may come from a stored overview, in which of each stretch the first point,
        the lowest, the highest and a NaN are kept: points between may be other ones than those of GET /api/v1/scalars, and
        `count` an estimate.
        """
        query.check()
        await service.door.settled()
        return Answer(await service.read(_answered, service.catalog, query), b"application/json")


_TOO_MANY: Final = (
    f"the answer would have over {limits.READ_MANY_MAX_POINTS} points; ask for fewer runs or tags at a time, or with max_points"
)


def _answered(catalog: Catalog, query: ManyQuery) -> bytes:
    tags = list(dict.fromkeys(query.tag))
    by_tag: dict[str, list[bytes]] = {tag: [] for tag in tags}
    room = limits.READ_MANY_MAX_POINTS
    for run in dict.fromkeys(query.run) if query.run else catalog.names():
        for tag, count, found in _found(catalog, query, run, tags):
            room -= len(found)
            if room < 0:
                raise InvalidQuery([ItemError("max_points", "query", _TOO_MANY)])
            columns = {name: column.tolist() for name, column in columns_of(found).items()}
            said: dict[str, Any] = {"kind": kind_of(found), "run": run, "tag": tag, "count": count, **columns}
            by_tag[tag].append(to_json(said, inf_nan_mode="strings"))
    return b'{"series":[%s]}' % b",".join([one for several in by_tag.values() for one in several])


def _found(catalog: Catalog, query: ManyQuery, run: str, tags: list[str]) -> list[tuple[str, int, Any]]:
    try:
        if query.max_points is not None and query.downsample != "candlestick":
            return catalog.thinned(run, tags, query.max_points, query.min_step, query.max_step)
        held = catalog.scalar_tags(run)
        return [(tag, *selected(catalog, query, run, tag)) for tag in tags if tag in held]
    except NotFound:  # the run, or it was changed a moment ago
        return []
