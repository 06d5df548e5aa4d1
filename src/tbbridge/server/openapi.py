"""The OpenAPI document: what FastAPI finds in the routes' signatures, and what they cannot say.

Every error answer of every route is listed with an example, the protobuf form of bodies stands beside the JSON one, and the
examples are those that the tests send. Generators read it, so names are stable: operationIds are given, schemas are named once.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import TypeAdapter

from tbbridge import errors
from tbbridge.errors import TBBridgeError
from tbbridge.server.answers import JSON, PROTOBUF, problem_type
from tbbridge.server.guard import scope_of
from tbbridge.server.openapi_shape import shaped
from tbbridge.wire import json_kinds_schema as kinds
from tbbridge.wire import json_v1_schema as schema
from tbbridge.wire.json_fields import named

DESCRIPTION: Final = """\
Send numbers, pictures, sound, text and whatever else TensorBoard shows over HTTP; they become event
files that stock TensorBoard shows.

Names of runs and tags travel in the body or the query, never in the path. Every error answer is `application/problem+json`
(RFC 9457) with a stable `code`; if the request was protobuf, it is the message `tbbridge.v1.Problem`. Every answer has
the header `X-Request-ID`, the sender's own or one of ours, and a problem has it as `request_id`.
"""

TAGS: Final = [
    {"name": "write", "description": "Points in."},
    {"name": "read", "description": "Points back, as they are in the event files: what was acknowledged before is seen."},
    {"name": "manage", "description": "Delete, rename, archive and restore runs; TensorBoard follows within a reload."},
    {"name": "operate", "description": "For whoever runs the bridge."},
]

# Where generated clients ask if nobody tells them otherwise: where `tbbridge up` and `serve` listen if nobody tells them.
SERVERS: Final = [
    {"url": "http://127.0.0.1:6007", "description": "A bridge on this machine, with the port that it has if none is said"}
]

_SECURITY_SCHEMES: Final[dict[str, Any]] = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "Only where the bridge was started with tokens. `write` sends points, `read` reads, `admin` does all.",
    }
}

WRITE_EXAMPLES: Final[dict[str, Any]] = {
    "one point": {"summary": "One point, its step counted by the server", "value": schema.ONE_POINT_EXAMPLE},
    "every kind": {"summary": "Every kind, with a writer so that a retry is free", "value": schema.WRITE_EXAMPLE},
}

# A tag of the kind that each route reads, which the example of a write makes; graphs and layouts have none.
_TAG_EXAMPLES: Final[dict[str, str]] = {
    "readHistograms": schema.HISTOGRAM_EXAMPLE["tag"],
    "readTexts": schema.TEXT_EXAMPLE["tag"],
    "readImages": kinds.IMAGE_EXAMPLE["tag"],
    "readBlob": kinds.IMAGE_EXAMPLE["tag"],
    "readAudio": kinds.AUDIO_EXAMPLE["tag"],
    "readRunMetadata": kinds.RUN_METADATA_EXAMPLE["tag"],
    "readPrCurves": kinds.PR_CURVE_EXAMPLE["tag"],
    "readMeshes": kinds.MESH_EXAMPLE["tag"],
    "readEmbeddings": kinds.EMBEDDING_EXAMPLE["tag"],
    "readTensors": kinds.TENSOR_EXAMPLE["tag"],
    "readValues": kinds.TENSOR_EXAMPLE["tag"],
}

# What each error looks like to a client: one example detail for each class that a route may answer with.
_EXAMPLE_DETAILS: Final[dict[type[TBBridgeError], str]] = {
    errors.InvalidBatch: "runs[0].scalars[0].steps: 2 steps for 3 values; send one step a value, or no steps",
    errors.InvalidQuery: "ack: 'never' is none; send one of queued, journaled, written",
    errors.MalformedBody: "the gzip body ends early: it was cut off on its way; send it again whole",
    errors.BodyTimeout: "the body was not complete after 60 s; send less at a time, or compress it",
    errors.TooLarge: "the body has 50331648 bytes, at most 33554432 are taken; send less at a time",
    errors.UnsupportedMedia: "the Content-Type header is missing; send application/json or application/x-protobuf",
    errors.Conflict: "there is a run 'digits/lr=1e-3' already; delete it first, or take another name",
    errors.InvalidItem: "entry '../x' has the part '', '.' or '..' in its path; nothing of the archive was taken",
    errors.Unauthorized: "this token is not known here: mistyped, revoked, or of another bridge",
    errors.Forbidden: "the token 'trainers' does not allow admin; ask for one that does",
    errors.Misdirected: "this bridge is not called 'tb.example.org'; name it by its address or host name, or add the name "
    "to --allowed-hosts",
    errors.NotFound: "there is no run 'digits/lr=1e-3'",
    errors.QueueFull: "the queue is full; send it again in a second",
    errors.TooManyRequests: "192.0.2.7 has 1024 requests under way already; send several points in one",
    errors.TooManyConnections: "the bridge has 4096 connections open, as many as it takes",
    errors.Stopping: "the bridge is shutting down; send it again in a moment",
    errors.StorageFailed: "the disk refuses to store; what was acknowledged before is safe",
    errors.NotReady: "the disk refuses to store",
}

_FULL_DETAIL: Final = "the disk is full; free some space, and send it again"


def responses(*kinds: type[TBBridgeError], extra: dict[int, str] | None = None) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these errors; `extra` are statuses that errors take now and then."""
    by_status: dict[int, list[type[TBBridgeError]]] = {}
    every: tuple[type[TBBridgeError], ...] = (*kinds, TBBridgeError)
    for kind in every:
        by_status.setdefault(kind.status, []).append(kind)
    made: dict[int | str, dict[str, Any]] = {status: _response(status, kinds) for status, kinds in by_status.items()}
    for status, title in (extra or {}).items():
        made[status] = {**_response(status, []), "description": title}
    return dict(sorted(made.items(), key=lambda item: int(item[0])))


def component(model: Any) -> dict[str, Any]:
    """The schema of `model`, to be a component of its name; for types that FastAPI does not see in a signature."""
    found = TypeAdapter(model).json_schema(ref_template="#/components/schemas/{model}")
    return {**found, **named(model.__name__, found.pop("description", ""))}


def _problem(kind: type[TBBridgeError], status: int) -> dict[str, Any]:
    return {
        "type": problem_type(kind.code),
        "title": kind.title,
        "status": status,
        "detail": _EXAMPLE_DETAILS.get(kind, "an internal error; the log has it under id 1f3a9c5e"),
        "code": kind.code,
        "request_id": "5f1c9a02-1b",
    }


def _response(status: int, kinds: Sequence[type[TBBridgeError]]) -> dict[str, Any]:
    reference = {"$ref": "#/components/schemas/Problem"}
    examples = {kind.code: {"value": _problem(kind, status)} for kind in kinds}
    if status == HTTPStatus.INSUFFICIENT_STORAGE:
        examples[errors.StorageFailed.code] = {"value": {**_problem(errors.StorageFailed, status), "detail": _FULL_DETAIL}}
    made: dict[str, Any] = {
        "description": " or ".join(dict.fromkeys(kind.title for kind in kinds)),
        "content": {JSON.problem_type: {"schema": reference, "examples": examples}},
    }
    if any(issubclass(kind, errors.Unready) for kind in kinds) or status == HTTPStatus.INSUFFICIENT_STORAGE:
        made["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}
    return made


_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary", "contentMediaType": PROTOBUF.media_type}}

WRITE_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {PROTOBUF.media_type: {**_BINARY}}},
    202: {
        "description": "Admitted to the queue, in memory only: answered to `ack=queued`.",
        "content": {JSON.media_type: {"schema": {"$ref": "#/components/schemas/WriteResponse"}}, PROTOBUF.media_type: _BINARY},
    },
    **responses(
        errors.MalformedBody,
        errors.BodyTimeout,
        errors.TooLarge,
        errors.UnsupportedMedia,
        errors.InvalidBatch,
        errors.InvalidQuery,
        errors.QueueFull,
        errors.Stopping,
        errors.StorageFailed,
        extra={507: "The disk is full"},
    ),
}
WRITE_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "description": "JSON, or `tbbridge.v1.WriteRequest` of proto/tbbridge/v1/write.proto in protobuf's binary form. "
        "Either may be compressed: Content-Encoding gzip or zstd.",
        "content": {PROTOBUF.media_type: _BINARY},
    }
}


def install(app: FastAPI) -> None:
    """Make `app.openapi` answer the finished document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=DESCRIPTION,
                routes=app.routes,
                tags=TAGS,
                servers=SERVERS,
                license_info={"name": "MIT", "identifier": "MIT"},
            )
            app.openapi_schema = _finished(made)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign] # FastAPI's documented way to extend the document


def _finished(document: dict[str, Any]) -> dict[str, Any]:
    schemas = document["components"]["schemas"]
    found = TypeAdapter(schema.Problem).json_schema(ref_template="#/components/schemas/{model}")
    schemas.update(found.pop("$defs", {}))
    schemas["Problem"] = found
    for name in ("HTTPValidationError", "ValidationError"):  # FastAPI's own error shape, which this server never answers
        schemas.pop(name, None)
    document["components"]["securitySchemes"] = _SECURITY_SCHEMES
    for name, path in document["paths"].items():
        for method, operation in path.items():
            _guarded(operation, method.upper(), name)
            for parameter in operation.get("parameters", ()):
                if parameter["name"] == "tag" and operation["operationId"] in _TAG_EXAMPLES:
                    parameter["schema"]["examples"] = [_TAG_EXAMPLES[operation["operationId"]]]
            invalid = operation["responses"].get("422")
            if invalid is not None and JSON.problem_type not in invalid["content"]:
                operation["responses"].pop("422")
    return shaped(document)


def _guarded(operation: dict[str, Any], method: str, path: str) -> None:
    """Say what the guard, which stands before every route, may answer; and that a token is asked for if there are any."""
    scope = scope_of(method, path)
    kinds: list[type[TBBridgeError]] = [errors.Misdirected, errors.Forbidden, errors.TooManyRequests, errors.TooManyConnections]
    if scope is not None:
        kinds.append(errors.Unauthorized)
        operation["security"] = [{"token": []}, {}]
    for status, said in responses(*kinds).items():
        present = operation["responses"].get(str(status))
        operation["responses"][str(status)] = said if present is None else _joined(present, said)
    operation["responses"] = dict(sorted(operation["responses"].items()))


def _joined(present: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """A problem's answer with the examples of another of the same status too."""
    problem = present["content"][JSON.problem_type]
    added = more["content"][JSON.problem_type]["examples"]
    content = {**problem, "examples": {**problem.get("examples", {}), **added}}
    descriptions = dict.fromkeys([*present["description"].split(" or "), *more["description"].split(" or ")])
    return {**more, **present, "description": " or ".join(descriptions), "content": {JSON.problem_type: content}}
