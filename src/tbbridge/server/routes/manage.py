"""DELETE /api/v1/runs and POST /api/v1/runs/rename: runs deleted and renamed. Archives are archives.py's.

A change goes through the pipeline's door, in its order among the writes, and is answered when it is on disk.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Final, TypeVar

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from typing_extensions import TypedDict

from tbbridge import errors, limits
from tbbridge.errors import InvalidBatch, InvalidItem, InvalidQuery, ItemError, MalformedBody, UnsupportedMedia
from tbbridge.model import RunName, run_name, tag_name
from tbbridge.pipeline.door import Change, Changed, DeleteRun, DeleteTag, RenameRun
from tbbridge.server.answers import json_answer
from tbbridge.server.bodies import body_of, read_head
from tbbridge.server.openapi import component, responses
from tbbridge.server.service import Service
from tbbridge.wire.json_errors import explained
from tbbridge.wire.json_v1_schema import ItemWarning

T = TypeVar("T")


class ChangeDone(TypedDict):
    """What a change did."""

    runs: Annotated[list[str], Field(description="The runs concerned, under the names they had.")]
    warnings: list[ItemWarning]


class DeleteQuery(BaseModel):
    """Parameters of DELETE /api/v1/runs."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(examples=["digits/lr=1e-3"])]
    tag: Annotated[str | None, Field(description="Only this tag of the run.", examples=["loss/train"])] = None
    below: Annotated[bool, Field(description="Also all runs below it: of `digits` also `digits/lr=1e-3`.")] = False


class RenameRequest(BaseModel):
    """Body of POST /api/v1/runs/rename."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(description="The run, or the folder of runs, to rename.")]
    to: Annotated[str, Field(description="Its new name; nothing may be there yet.")]


_RENAME_EXAMPLES: Final = {"one run": {"summary": "One run", "value": {"run": "digits/lr=1e-3", "to": "digits/best"}}}
_RENAME: Final = TypeAdapter(RenameRequest)
# What every change may be answered.
SHARED: Final = (errors.InvalidQuery, errors.QueueFull, errors.Stopping, errors.StorageFailed)
FULL: Final = {507: "The disk is full"}


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes that change runs to `app`."""

    @app.delete(
        "/api/v1/runs",
        operation_id="deleteRuns",
        tags=["manage"],
        summary="Delete a run or a tag",
        response_model=ChangeDone,
        responses=responses(errors.NotFound, errors.Conflict, *SHARED, extra=FULL),
    )
    async def delete(query: Annotated[DeleteQuery, Query()]) -> Response:
        """Delete a run, one with all runs below it, or one tag of a run; TensorBoard shows it at its next reload.

        A series that was deleted and gets points again starts afresh.
        """
        run = asked_run(query.run)
        change: Change
        if query.tag is None:
            change = DeleteRun(run, query.below)
        elif query.below:
            raise InvalidQuery([ItemError("below", "query", "a tag is deleted from one run; leave out below, or the tag")])
        else:
            change = DeleteTag(run, named(tag_name, query.tag, "tag"))
            await service.door.settled()  # the files are looked at beside the writer, which may have them still to make
        return _done(await service.door.change(change))

    @app.post(
        "/api/v1/runs/rename",
        operation_id="renameRun",
        tags=["manage"],
        summary="Rename a run",
        response_model=ChangeDone,
        responses=responses(
            errors.NotFound,
            errors.Conflict,
            errors.MalformedBody,
            errors.BodyTimeout,
            errors.TooLarge,
            errors.UnsupportedMedia,
            errors.InvalidBatch,
            *SHARED,
            extra=FULL,
        ),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": component(RenameRequest), "examples": _RENAME_EXAMPLES}},
            }
        },
    )
    async def rename(request: Request) -> Response:
        """Rename a run, with all runs below it; TensorBoard shows it at its next reload."""
        head = read_head(request.scope)
        if head.content_type.partition(b";")[0].strip().lower() != b"application/json":
            raise UnsupportedMedia("send the names as application/json")
        async with body_of(head, request.receive, service) as body:
            run, to = _read_rename(body)
        return _done(await service.door.change(RenameRun(run, to)))


def asked_run(name: str) -> RunName:
    """The run that a parameter names. Raises `InvalidQuery`."""
    return named(run_name, name, "run")


def named(check: Callable[[str], T], name: str, parameter: str) -> T:
    """What `check` makes of a parameter. Raises `InvalidQuery`."""
    try:
        return check(name)
    except InvalidItem as error:
        raise InvalidQuery([ItemError(parameter, error.item_code, error.message)]) from None


def _read_rename(body: bytes) -> tuple[RunName, RunName]:
    try:
        asked = _RENAME.validate_json(body)
    except ValidationError as error:
        found = error.errors(include_url=False)
        if found[0]["type"] == "json_invalid":
            raise MalformedBody(f'the body is not JSON: {found[0]["msg"]}; send {{"run": ..., "to": ...}}') from None
        raise InvalidBatch([explained(one, "") for one in found[: limits.REPORTED_ITEMS]]) from None
    names = []
    wrong = []
    for path, name in (("run", asked.run), ("to", asked.to)):
        try:
            names.append(run_name(name))
        except InvalidItem as error:
            wrong.append(ItemError(path, error.item_code, error.message))
    if wrong:
        raise InvalidBatch(wrong)
    return names[0], names[1]


def _done(changed: Changed) -> Response:
    return json_answer({"runs": list(changed.runs), "warnings": warnings_of(changed.warnings)})


def warnings_of(warnings: tuple[errors.ItemWarning, ...]) -> list[dict[str, str]]:
    """Warnings as they stand in an answer."""
    return [{"path": one.path, "code": one.code, "message": one.message} for one in warnings]
