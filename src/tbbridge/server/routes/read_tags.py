"""GET /api/v1/tags: what can be looked at in the whole log folder, in one answer: each tag, and the runs that have it.

It names runs by their place in a list, so that a hundred thousand series are a few megabytes.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI
from pydantic import Field
from pydantic_core import to_json
from starlette.responses import Response
from typing_extensions import TypedDict

from tbbridge.server.answers import Answer
from tbbridge.server.routes.read import READ_ERRORS
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog


class TagOfRuns(TypedDict):
    """One tag of one kind; `runs` and `counts` are columns of equal length."""

    tag: str
    kind: Annotated[str, Field(description="The kind of its values.", examples=["scalar"])]
    runs: Annotated[list[int], Field(description="The runs that have it, as places in the list of runs, counted from 0.")]
    counts: Annotated[list[int], Field(description="Values that each of them holds.")]


class TagList(TypedDict):
    """All tags of all runs."""

    runs: Annotated[list[str], Field(description="The names of all runs, sorted.")]
    tags: Annotated[list[TagOfRuns], Field(description="In the order of their names, and then of their kinds.")]


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the route to `app`."""

    @app.get(
        "/api/v1/tags",
        operation_id="listTags",
        tags=["read"],
        summary="List the tags of all runs",
        response_model=TagList,
        responses=READ_ERRORS,
    )
    async def list_tags() -> Response:
        """Every tag in the log folder, with the runs that have it and how many values they hold."""
        await service.door.settled()
        return Answer(await service.read(_listed, service.catalog), b"application/json")


def _listed(catalog: Catalog) -> bytes:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    runs = []
    for place, (run, tags) in enumerate(catalog.tags()):
        runs.append(run)
        for tag in tags:
            entry = found.setdefault((tag.tag, tag.kind), {"tag": tag.tag, "kind": tag.kind, "runs": [], "counts": []})
            entry["runs"].append(place)
            entry["counts"].append(tag.count)
    return to_json({"runs": runs, "tags": [found[key] for key in sorted(found)]})
