"""The OpenAPI document: what generators rely on, and that its examples work when they are sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tbbridge.server.app import build_app
from tbbridge.server.openapi_shape import resolved
from tbbridge.server.settings import ServerSettings
from tbbridge.wire import json_v1_schema as schema


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_app(ServerSettings()).openapi()


def operations(document):
    return {(method, path): said for path, item in document["paths"].items() for method, said in item.items()}


def walk(part):
    if isinstance(part, dict):
        yield part
        for one in part.values():
            yield from walk(one)
    elif isinstance(part, list):
        for one in part:
            yield from walk(one)


def test_operations_are_those_that_were_promised(document):
    """A generated client's method names: to change one is to break its users."""
    assert {key: said["operationId"] for key, said in operations(document).items()} == {
        ("post", "/api/v1/write"): "write",
        ("get", "/api/v1/runs"): "listRuns",
        ("get", "/api/v1/tags"): "listTags",
        ("get", "/api/v1/scalars"): "readScalars",
        ("get", "/api/v1/scalars/many"): "readManyScalars",
        ("get", "/api/v1/histograms"): "readHistograms",
        ("get", "/api/v1/texts"): "readTexts",
        ("get", "/api/v1/images"): "readImages",
        ("get", "/api/v1/audio"): "readAudio",
        ("get", "/api/v1/graphs"): "readGraphs",
        ("get", "/api/v1/run_metadata"): "readRunMetadata",
        ("get", "/api/v1/pr_curves"): "readPrCurves",
        ("get", "/api/v1/meshes"): "readMeshes",
        ("get", "/api/v1/embeddings"): "readEmbeddings",
        ("get", "/api/v1/hparams"): "readHparams",
        ("get", "/api/v1/custom_scalars"): "readCustomScalars",
        ("get", "/api/v1/tensors"): "readTensors",
        ("get", "/api/v1/values"): "readValues",
        ("get", "/api/v1/blob"): "readBlob",
        ("get", "/api/v1/export"): "exportScalars",
        ("get", "/api/v1/logs"): "readLogs",
        ("get", "/api/v1/live"): "listen",
        ("delete", "/api/v1/runs"): "deleteRuns",
        ("post", "/api/v1/runs/rename"): "renameRun",
        ("get", "/api/v1/archive"): "getArchive",
        ("put", "/api/v1/archive"): "putArchive",
        ("get", "/api/v1/groups"): "getGroups",
        ("put", "/api/v1/groups"): "putGroups",
        ("get", "/healthz"): "getHealth",
        ("get", "/readyz"): "getReadiness",
        ("get", "/metrics"): "getMetrics",
        ("get", "/api/v1/version"): "getVersion",
    }


def test_every_operation_is_described(document):
    for said in operations(document).values():
        assert said["summary"]
        assert said["description"]
        assert {*said["tags"]} <= {tag["name"] for tag in document["tags"]}
        assert all(
            parameter.get("description") or parameter["name"] in ("run", "tag") for parameter in said.get("parameters", ())
        )


def test_every_reference_leads_somewhere(document):
    references = [part["$ref"] for part in walk(document) if isinstance(part.get("$ref"), str)]
    assert len(references) > 20
    for reference in references:
        assert resolved(document, {"$ref": reference})


def test_no_schema_is_left_over(document):
    used = {part["$ref"].rsplit("/", 1)[1] for part in walk(document) if isinstance(part.get("$ref"), str)}
    mapped = {name.rsplit("/", 1)[1] for part in walk(document) for name in part.get("mapping", {}).values()}
    assert {*document["components"]["schemas"], *document["components"]["responses"]} == used | mapped


def test_kinds_are_told_apart_by_kind(document):
    items = document["components"]["schemas"]["RunBatch"]["properties"]["summaries"]["items"]
    summary = resolved(document, items)
    assert items == {"$ref": "#/components/schemas/Summary"}
    assert summary["discriminator"]["propertyName"] == "kind"
    assert set(summary["discriminator"]["mapping"]) == set(schema.KINDS)
    assert len(summary["oneOf"]) == len(schema.KINDS) == 14


def test_no_type_is_left_for_generators_to_name(document):
    """Unions and lists of words stand among the components; in their places stand references, or null beside one type."""
    unnamed = []
    for name, part in document["components"]["schemas"].items():
        inside = {key: value for key, value in part.items() if key not in ("anyOf", "oneOf", "enum")}
        unnamed += [(name, found) for found in walk(inside) if "enum" in found or len(unions_in(found)) > 1]
    for (_, path), said in operations(document).items():
        unnamed += [(path, found) for found in walk(said) if "enum" in found or len(unions_in(found)) > 1]
    assert unnamed == []


def unions_in(part):
    return [one for key in ("anyOf", "oneOf") for one in part.get(key, ()) if one != {"type": "null"}]


def test_no_number_is_left_for_generators_to_shorten(document):
    """Without a format, an integer is 32 bits in Go and Java, and a number a float of 32 bits."""
    numbers = [part for part in walk(document) if part.get("type") in ("integer", "number") and "examples" not in part]
    assert len(numbers) > 50
    assert [part for part in numbers if "format" not in part] == []


def test_no_parameter_may_be_null(document):
    for said in operations(document).values():
        assert [part for part in walk(said.get("parameters", [])) if part.get("type") == "null"] == []


def test_bytes_are_declared(document):
    """Bodies that are no text, answered or sent, have the format from which generators make bytes, a file or a stream."""
    found = 0
    for said in operations(document).values():
        bodies = [said.get("requestBody", {}), *(resolved(document, answer) for answer in said["responses"].values())]
        for kind, content in ((kind, content) for body in bodies for kind, content in body.get("content", {}).items()):
            if kind.startswith(("image/", "audio/")) or kind in ("application/zip", "application/x-protobuf"):
                assert content["schema"]["format"] == "binary", (said["operationId"], kind)
                found += 1
    assert found > 8


def test_every_error_answer_is_a_problem_with_an_example(document):
    for (method, path), said in operations(document).items():
        errors = {status: resolved(document, answer) for status, answer in said["responses"].items() if int(status) >= 400}
        assert "500" in errors, (method, path)
        for status, answer in errors.items():
            problem = answer["content"]["application/problem+json"]
            assert problem["schema"] == {"$ref": "#/components/schemas/Problem"}, (method, path, status)
            assert problem["examples"]
            for example in problem["examples"].values():
                assert example["value"]["status"] == int(status)
                assert set(example["value"]) <= set(document["components"]["schemas"]["Problem"]["properties"])


def test_write_declares_both_forms_and_every_refusal(document):
    write = document["paths"]["/api/v1/write"]["post"]
    assert set(write["requestBody"]["content"]) == {"application/json", "application/x-protobuf"}
    assert write["requestBody"]["content"]["application/x-protobuf"]["schema"]["format"] == "binary"
    assert set(write["responses"]) == {
        "200",
        "202",
        "400",
        "401",
        "403",
        "408",
        "413",
        "415",
        "421",
        "422",
        "429",
        "500",
        "503",
        "507",
    }
    for status in ("429", "503", "507"):
        assert "Retry-After" in resolved(document, write["responses"][status])["headers"]


def test_numbers_are_one_named_schema(document):
    assert document["components"]["schemas"]["ScalarColumns"]["properties"]["values"]["items"] == {
        "$ref": "#/components/schemas/NumberValue"
    }


def test_document_is_json_and_the_same_each_time(document):
    assert json.loads(json.dumps(document)) == build_app(ServerSettings()).openapi()


async def test_examples_of_the_document_are_taken_and_read_back(client):
    document = (await client.get("/openapi.json")).json()
    examples = document["paths"]["/api/v1/write"]["post"]["requestBody"]["content"]["application/json"]["examples"]
    for example in examples.values():
        answer = await client.post("/api/v1/write", json=example["value"])
        assert answer.status_code == 200, answer.text
        assert answer.json()["accepted"] > 0
    query = {"run": schema.RUN_EXAMPLE["run"], "tag": schema.SCALARS_EXAMPLE["tag"]}
    points = (await client.get("/api/v1/scalars", params=query)).json()
    assert points["steps"] == schema.SCALARS_EXAMPLE["steps"]


@pytest.mark.parametrize("name", ["ScalarColumns", *(kind.__name__ for kind in schema.KINDS.values())])
async def test_examples_of_the_schemas_are_taken(client, name):
    document = (await client.get("/openapi.json")).json()
    for example in document["components"]["schemas"][name]["examples"]:
        place = "scalars" if name == "ScalarColumns" else "summaries"
        answer = await client.post("/api/v1/write", json={"runs": [{"run": "r", place: [example]}]})
        assert answer.status_code == 200, answer.text


def test_building_the_app_touches_nothing(tmp_path):
    build_app(ServerSettings(logdir=tmp_path / "runs")).openapi()
    assert list(tmp_path.iterdir()) == []


async def test_of_a_parameter_sent_twice_neither_value_wins(client, document):
    """`DELETE ?tag=x&tag=y` deleted y only, and answered that it was done. Every parameter of every path is tried."""
    tried = 0
    for (method, path), said in operations(document).items():
        given = [one for one in said.get("parameters", []) if one["in"] == "query"]
        for twice in given:
            query = [(one["name"], "1") for one in given if one.get("required")]
            query += [(twice["name"], "1")] * (1 if twice.get("required") else 2)
            if path == "/api/v1/live" and twice["schema"].get("type") == "array":
                query.append(("health", "neither"))  # refused all the same: what is taken has no end
            kind = {"content-type": "application/json"} if method in ("post", "put") else {}
            answer = await client.request(method, path, params=query, headers=kind)
            is_list = twice["schema"].get("type") == "array"
            told = f"{twice['name']}: this parameter comes 2 times, and has one value; send it once" in answer.text
            assert (told, answer.status_code == 422 and told) == (not is_list, not is_list), (
                method,
                path,
                twice["name"],
                answer.text,
            )
            tried += 1
    assert tried > 20


async def test_an_old_clients_parameter_sent_twice_is_refused_in_its_form(client):
    for method, path in (
        ("GET", "/data?xp=a&xp=b"),
        ("DELETE", "/data?xp=a&xp=b"),
        ("POST", "/backup/a?force=true&force=false"),
    ):
        answer = await client.request(method, path, headers={"content-type": "application/zip"})
        assert answer.status_code == 400
        assert "this parameter comes 2 times" in answer.text
