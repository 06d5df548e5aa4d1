"""The committed OpenAPI document as a contract: it is the app's, valid, every call in it works, and no client of it breaks."""

from __future__ import annotations

import copy
import json
from typing import Any

import httpx
import pytest
from breaking_changes import breaking_changes
from jsonschema import Draft202012Validator
from openapi_document import COMMITTED, RELEASED, document
from openapi_spec_validator import OpenAPIV31SpecValidator

from tbbridge.server.openapi_shape import resolved
from tbbridge.wire import json_v1_schema as schema

DOCUMENT: dict[str, Any] = json.loads(COMMITTED.read_text(encoding="utf-8"))
OPERATIONS = {
    said["operationId"]: (method, path, said) for path, item in DOCUMENT["paths"].items() for method, said in item.items()
}

# Answers that go on until the asker has enough: their own tests listen to a real server.
ENDLESS = {"listen"}


def test_the_committed_document_is_that_of_the_app() -> None:
    assert document() == DOCUMENT, "docs/openapi.json is behind; `make openapi` writes it"


def test_it_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


# --- every operation works as its examples say ------------------------------------------------------------------------------


def request_of(operation_id: str, archive: bytes) -> dict[str, Any]:
    """The request that an operation's examples make: all parameters that have one, and the first example of its body."""
    _, _, said = OPERATIONS[operation_id]
    asked = {one["name"]: one["schema"]["examples"][0] for one in said.get("parameters", ()) if "examples" in one["schema"]}
    missing = [one["name"] for one in said.get("parameters", ()) if one.get("required") and one["name"] not in asked]
    assert not missing, f"{operation_id} has no example for {missing}"
    if "requestBody" not in said:
        return {"params": asked}
    kind, content = next(iter(said["requestBody"]["content"].items()))
    if "zip" in kind:
        return {"params": {**asked, "run": "restored"}, "content": archive, "headers": {"content-type": kind}}
    examples = [*content.get("examples", {}).values()]
    value = examples[0]["value"] if examples else resolved(DOCUMENT, content["schema"])["examples"][0]
    return {"params": asked, "json": value}


@pytest.mark.parametrize("operation_id", [name for name in OPERATIONS if name not in ENDLESS])
async def test_the_examples_of_an_operation_are_answered_as_it_says(client: httpx.AsyncClient, operation_id: str) -> None:
    """Against the real pipeline; JSON answers are held to their schema, field by field."""
    await client.post("/api/v1/write", json=schema.WRITE_EXAMPLE)
    method, path, said = OPERATIONS[operation_id]
    archive = (await client.get("/api/v1/archive", params={"run": schema.RUN_EXAMPLE["run"]})).content
    answer = await client.request(method, path, **request_of(operation_id, archive))
    assert answer.status_code == 200, answer.text
    content = said["responses"]["200"]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content
    if kind == "application/json":
        validator_of(content[kind]["schema"]).validate(answer.json())
        assert values_in(answer.json()) > 0
    else:
        assert answer.content
        if kind == "application/x-ndjson":
            for line in answer.text.splitlines():
                validator_of(content[kind]["schema"]["contentSchema"]).validate(json.loads(line))


def validator_of(part: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**part, "components": DOCUMENT["components"]})


def values_in(answer: Any) -> int:
    """How many values an answer holds: an empty list would satisfy any schema."""
    if isinstance(answer, dict):
        return sum(values_in(value) for value in answer.values())
    return sum(values_in(one) for one in answer) if isinstance(answer, list) else 1


async def test_candlesticks_are_answered_as_the_document_says(client: httpx.AsyncClient) -> None:
    await client.post("/api/v1/write", json=schema.WRITE_EXAMPLE)
    query = {"run": schema.RUN_EXAMPLE["run"], "tag": schema.SCALARS_EXAMPLE["tag"], "downsample": "candlestick"}
    answer = (await client.get("/api/v1/scalars", params=query)).json()
    said = OPERATIONS["readScalars"][2]["responses"]["200"]["content"]["application/json"]["schema"]
    validator_of(said).validate(answer)
    assert answer["kind"] == "candlesticks"


@pytest.mark.parametrize("name", [name for name, said in DOCUMENT["components"]["schemas"].items() if "examples" in said])
def test_examples_of_schemas_satisfy_them(name: str) -> None:
    for example in DOCUMENT["components"]["schemas"][name]["examples"]:
        validator_of({"$ref": f"#/components/schemas/{name}"}).validate(example)


@pytest.mark.parametrize("name", DOCUMENT["components"]["responses"])
def test_examples_of_errors_are_problems(name: str) -> None:
    for example in DOCUMENT["components"]["responses"][name]["content"]["application/problem+json"]["examples"].values():
        validator_of({"$ref": "#/components/schemas/Problem"}).validate(example["value"])


# --- what was released stays ------------------------------------------------------------------------------------------------


def test_no_client_of_the_last_release_breaks() -> None:
    assert breaking_changes(json.loads(RELEASED.read_text(encoding="utf-8")), DOCUMENT) == []


WRITE = ("paths", "/api/v1/write", "post")
SCHEMAS = ("components", "schemas")
GONE = object()
BREAKING: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "a path": (("paths", "/api/v1/texts"), GONE, "GET /api/v1/texts: is gone"),
    "a method": (("paths", "/api/v1/runs", "delete"), GONE, "DELETE /api/v1/runs: is gone"),
    "a name": ((*WRITE, "operationId"), "send", "is called send, was write"),
    "a parameter": ((*WRITE, "parameters", 1), GONE, "parameter partial is gone"),
    "a parameter required": ((*WRITE, "parameters", 1, "required"), True, "parameter partial is now required"),
    "a parameter's value": ((*SCHEMAS, "Ack", "enum"), ["queued", "written"], "ack: the values was narrowed: ['journaled']"),
    "a parameter's bound": (
        ("paths", "/api/v1/scalars", "get", "parameters", 0, "schema", "maximum"), 10, "max_points: was narrowed: maximum",
    ),
    "a body's type": ((*WRITE, "requestBody", "content", "application/x-protobuf"), GONE, "x-protobuf is no longer taken"),
    "a field sent": ((*SCHEMAS, "ScalarColumns", "properties", "steps"), GONE, "body.runs[].scalars[].steps: is gone"),
    "a field sent, required": (
        (*SCHEMAS, "ScalarColumns", "required"), ["tag", "values", "steps"], "scalars[].steps: is now required",
    ),
    "a new field required": ((*SCHEMAS, "WriteRequest", "required"), ["runs", "team"], "body.team: is now required"),
    "a field's type": (
        (*SCHEMAS, "LogRecord", "properties", "message", "type"), "integer", "message: was narrowed from string to integer",
    ),
    "a field's length": ((*SCHEMAS, "RunBatch", "properties", "run", "maxLength"), 9, "run: was narrowed: maxLength 512 and 9"),
    "a field's format": (
        (*SCHEMAS, "ScalarColumns", "properties", "steps", "items", "format"), "int32", "steps[]: was narrowed: format",
    ),
    "NaN": ((*SCHEMAS, "NumberValue", "anyOf"), [{"type": "number", "format": "double"}], "string is no longer taken"),
    "a special number": ((*SCHEMAS, "SpecialNumber", "enum"), ["NaN"], "'-Infinity', 'Infinity'"),
    "a kind": ((*SCHEMAS, "Summary", "oneOf", 3), GONE, "summaries[]: kind image is no longer taken"),
    "a field of a kind": (
        (*SCHEMAS, "TextSummary", "required"), ["kind", "tag", "text", "step"], "summaries[].step: is now required",
    ),
    "a map's values": (
        (*SCHEMAS, "HParamValue", "anyOf"), [{"type": "string"}], "values.*: boolean is no longer taken",
    ),
    "an answer's field": ((*SCHEMAS, "WriteResponse", "properties", "accepted"), GONE, "answer 200.accepted: is gone"),
    "an answer's field, optional": (
        (*SCHEMAS, "WriteResponse", "required"), ["accepted", "duplicate", "rejected"], "200.warnings: may now be missing",
    ),
    "an answer's type": (
        (*SCHEMAS, "TagDescription", "properties", "count", "type"), "string", "count: was widened from integer to string",
    ),
    "an answer's new value": (
        (*SCHEMAS, "RunStatus", "enum"), ["running", "finished", "failed", "lost", "paused"], "status: the values was widened",
    ),
    "an answer's null": ((*SCHEMAS, "TagDescription", "properties", "tag", "type"), ["string", "null"], "tag: null is new"),
    "an answer's content": (
        ("paths", "/metrics", "get", "responses", "200", "content", "text/plain"), GONE, "is no longer text/plain",
    ),
    "a success": ((*WRITE, "responses", "202"), GONE, "answer 202 is gone"),
    "another success": ((*WRITE, "responses", "204"), {"description": ""}, "answer 204 is new"),
    "an error's shape": ((*SCHEMAS, "Problem", "properties", "code"), GONE, "answer 400.code: is gone"),
    "a token, always": ((*WRITE, "security"), [{"token": []}], "now needs a token always"),
}  # fmt: skip
FINE: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a path": (("paths", "/api/v1/later"), {"get": {"operationId": "later", "responses": {}}}),
    "an optional parameter": (
        (*WRITE, "parameters"), [*DOCUMENT["paths"]["/api/v1/write"]["post"]["parameters"], {"name": "x", "schema": {}}],
    ),
    "a field that may be sent": ((*SCHEMAS, "ScalarColumns", "properties", "unit"), {"type": "string"}),
    "a field answered": ((*SCHEMAS, "WriteResponse", "properties", "took_s"), {"type": "number"}),
    "a field no longer required": ((*SCHEMAS, "ScalarColumns", "required"), ["values"]),
    "an answer's field always there": (
        (*SCHEMAS, "Problem", "required"), [*DOCUMENT["components"]["schemas"]["Problem"]["required"], "request_id"],
    ),
    "a wider bound": ((*SCHEMAS, "RunBatch", "properties", "run", "maxLength"), 1024),
    "a value more for a parameter": ((*SCHEMAS, "Downsample", "enum"), ["none", "minmax", "candlestick", "lttb"]),
    "a wider type": (
        (*SCHEMAS, "TextSummary", "properties", "text"), {"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]},
    ),
    "another kind": (
        (*SCHEMAS, "Summary", "oneOf"), [*DOCUMENT["components"]["schemas"]["Summary"]["oneOf"], {"type": "object"}],
    ),
    "a narrower answer": ((*SCHEMAS, "RunStatus", "enum"), ["running", "finished"]),
    "an error more": ((*WRITE, "responses", "451"), {"description": "never seen before"}),
    "an error less": ((*WRITE, "responses", "507"), GONE),
    "other words": (("info", "description"), "Another text."),
}  # fmt: skip


def changed(place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The document with something else, or nothing, at one place."""
    made = copy.deepcopy(DOCUMENT)
    part: Any = made
    for key in place[:-1]:
        part = part[key]
    if value is GONE:
        del part[place[-1]]
    else:
        part[place[-1]] = value
    return made


@pytest.mark.parametrize("name", BREAKING)
def test_what_breaks_a_client_is_found(name: str) -> None:
    place, value, words = BREAKING[name]
    found = breaking_changes(DOCUMENT, changed(place, value))
    assert any(words in line for line in found), found


@pytest.mark.parametrize("name", FINE)
def test_what_breaks_no_client_is_let_through(name: str) -> None:
    assert breaking_changes(DOCUMENT, changed(*FINE[name])) == []
