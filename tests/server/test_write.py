"""POST /api/v1/write: what is taken, what is refused, in both forms, and that what is refused leaves nothing behind."""

from __future__ import annotations

import gzip
import json
import struct
import sys
from typing import Any

import pytest

from tbbridge.errors import QueueFull, Stopping, StorageFailed
from tbbridge.pipeline.door import Ack
from tbbridge.v1 import write_pb2 as pb
from tbbridge.wire import json_v1_schema as schema

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WRITE = "/api/v1/write"
JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}
GOOD = {"run": "good", "scalars": [{"tag": "t", "values": [1.0]}]}
NAN = float("nan")

# Every bad input of the interface, as JSON and (where it can be said) as protobuf: body of the run, path, code, remedy.
BAD: dict[str, tuple[Any, pb.RunBatch | None, str, str, str]] = {}


def bad(name: str, item: Any, message: pb.RunBatch | None, path: str, code: str, remedy: str) -> None:
    BAD[name] = (item, message, path, code, remedy)


def scalars(**fields: Any) -> dict[str, Any]:
    return {"run": "bad", "scalars": [{"tag": "t", "values": [1.0, 2.0], **fields}]}


def scalars_pb(**fields: Any) -> pb.RunBatch:
    return pb.RunBatch(run="bad", scalars=[pb.ScalarColumns(**{"tag": "t", "values": [1.0, 2.0], **fields})])


for label, run in {
    "run with ..": "a/../../b",
    "run from the root": "/etc/passwd",
    "run with a NUL": "a\0b",
    "run with a newline": "a\nb",
    "empty run": "",
    "run with an empty part": "a//b",
    "run of 513 bytes": "r/" * 256 + "r",
    "run in our folder": ".tbbridge/journal",
    "run that looks like an event file": "events.out.tfevents.1",
}.items():
    column = pb.ScalarColumns(tag="t", values=[1.0])
    bad(label, {**GOOD, "run": run}, pb.RunBatch(run=run, scalars=[column]), "run", "run-name", "")
bad("empty tag", scalars(tag=""), scalars_pb(tag=""), "scalars[0].tag", "tag", "give the series a name")
bad("over-long tag", scalars(tag="t" * 1025), scalars_pb(tag="t" * 1025), "scalars[0].tag", "tag", "shorten it")
bad("unequal lengths", scalars(steps=[1]), scalars_pb(steps=[1]), "scalars[0].steps", "length", "send one step a value")
bad(
    "NaN wall_time",
    scalars(wall_times=[1, NAN]),
    scalars_pb(wall_times=[1, NAN]),
    "scalars[0].wall_times[1]",
    "wall-time",
    "finite",
)
bad("bool for a number", scalars(values=[1, True]), None, "scalars[0].values[1]", "type", "send a number")
bad("string for a number", scalars(values=[1, "2"]), None, "scalars[0].values[1]", "type", "without quotes")
bad("bool for a step", scalars(steps=[1, True]), None, "scalars[0].steps[1]", "type", "whole number")
bad("float for a step", scalars(steps=[1, 2.0]), None, "scalars[0].steps[1]", "type", "neither as 7.0")
bad("step outside int64", scalars(steps=[1, 2**63]), None, "scalars[0].steps[1]", "step", "-2^63 to 2^63-1")
bad("unknown field", scalars(stpes=[1, 2]), None, "scalars[0].stpes", "unknown-field", "check its spelling")
bad(
    "unknown kind",
    {"run": "bad", "summaries": [{"kind": "smell", "tag": "t"}]},
    pb.RunBatch(run="bad", summaries=[pb.Summary(tag="t")]),
    "summaries[0].kind",
    "kind",
    "scalar, text",
)
bad(
    "histogram of nothing and everything",
    {"run": "bad", "summaries": [{"kind": "histogram", "tag": "t", "buckets": [[2, 1, 1]]}]},
    pb.RunBatch(run="bad", summaries=[pb.Summary(tag="t", histogram=pb.Histogram(lefts=[2], rights=[1], counts=[1]))]),
    "summaries[0].buckets",
    "bucket",
    "sort the buckets",
)


def written(settings) -> list[str]:
    return sorted(str(path.parent.relative_to(settings.logdir)) for path in settings.logdir.rglob("*tfevents*"))


each_bad = pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())


@each_bad
class TestBadInput:
    async def test_json_refuses_all_of_it(self, client, settings, case):
        item, _, path, code, remedy = case
        answer = await client.post(WRITE, content=json.dumps({"runs": [GOOD, item]}), headers=JSON)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        (error,) = problem["errors"]
        assert (problem["code"], error["path"], error["code"]) == ("invalid-batch", f"runs[1].{path}", code)
        assert remedy in error["message"]
        assert written(settings) == []

    async def test_json_with_partial_takes_the_rest(self, client, settings, case):
        item, _, path, code, _ = case
        answer = await client.post(
            WRITE + "?partial=true&ack=written", content=json.dumps({"runs": [GOOD, item]}), headers=JSON
        )
        assert answer.status_code == 200
        said = answer.json()
        assert said["accepted"] == 1
        assert [(error["path"], error["code"]) for error in said["rejected"]] == [(f"runs[1].{path}", code)]
        assert written(settings) == ["good"]


@pytest.mark.parametrize("name", [name for name, case in BAD.items() if case[1] is not None])
class TestBadInputInProtobuf:
    """Without what protobuf has no way to say: text for a number, a step outside int64."""

    async def test_says_the_same(self, client, settings, name):
        _, message, path, code, remedy = BAD[name]
        good = pb.RunBatch(run="good", scalars=[pb.ScalarColumns(tag="t", values=[1.0])])
        body = pb.WriteRequest(runs=[good, message]).SerializeToString()
        answer = await client.post(WRITE, content=body, headers=PROTOBUF)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/x-protobuf")
        problem = pb.Problem.FromString(answer.content)
        (error,) = problem.errors
        assert (problem.status, problem.code, error.path, error.code) == (422, "invalid-batch", f"runs[1].{path}", code)
        assert remedy in error.message
        assert written(settings) == []
        partial = await client.post(WRITE + "?partial=true&ack=written", content=body, headers=PROTOBUF)
        said = pb.WriteResponse.FromString(partial.content)
        assert (partial.status_code, said.accepted, [error.path for error in said.rejected]) == (200, 1, [f"runs[1].{path}"])
        assert written(settings) == ["good"]


ONE = json.dumps(schema.ONE_POINT_EXAMPLE).encode()
ONE_PB = pb.WriteRequest(runs=[pb.RunBatch(run="first", scalars=[pb.ScalarColumns(tag="t", values=[1.0])])]).SerializeToString()

UNREADABLE = {
    "not JSON": (JSON, b"loss=0.5", 400, "malformed-body", "send an object such as"),
    "half of the JSON": (JSON, ONE[:20], 400, "malformed-body", "line 1 column 20"),
    "nothing": (JSON, b"", 400, "malformed-body", "the body is empty"),
    "not protobuf": (PROTOBUF, b"\xff\xff\xff", 400, "malformed-body", "tbbridge.v1.WriteRequest"),
    "half of the protobuf": (PROTOBUF, ONE_PB[:5], 400, "malformed-body", "tbbridge.v1.WriteRequest"),
    "no content type": ({}, ONE, 415, "unsupported-media", "application/json or application/x-protobuf"),
    "a form": ({"content-type": "application/x-www-form-urlencoded"}, ONE, 415, "unsupported-media", "application/json"),
    "another charset": ({"content-type": "application/json; charset=latin-1"}, ONE, 415, "unsupported-media", "UTF-8"),
    "another encoding": ({**JSON, "content-encoding": "br"}, ONE, 415, "unsupported-media", "gzip, zstd, identity"),
    "truncated gzip": ({**JSON, "content-encoding": "gzip"}, gzip.compress(ONE)[:-9], 400, "malformed-body", "ends early"),
    "truncated zstd": ({**JSON, "content-encoding": "zstd"}, zstd.compress(ONE)[:-3], 400, "malformed-body", "ends early"),
    "gzip that is none": ({**JSON, "content-encoding": "gzip"}, ONE, 400, "malformed-body", "compress it anew"),
    "a gzip bomb": ({**JSON, "content-encoding": "gzip"}, gzip.compress(bytes(80 << 20)), 413, "too-large", "send less"),
    "a zstd bomb": ({**JSON, "content-encoding": "zstd"}, zstd.compress(bytes(80 << 20)), 413, "too-large", "send less"),
    "a bomb in protobuf": ({**PROTOBUF, "content-encoding": "zstd"}, zstd.compress(bytes(80 << 20)), 413, "too-large", "less"),
    "too large": (JSON, bytes((32 << 20) + 1), 413, "too-large", "at most 33554432 are taken; send less"),
}


@pytest.mark.parametrize("partial", ["", "?partial=true"])
@pytest.mark.parametrize("case", UNREADABLE.values(), ids=UNREADABLE.keys())
async def test_a_body_that_cannot_be_read_is_refused_and_writes_nothing(client, settings, case, partial):
    headers, body, status, code, remedy = case
    answer = await client.post(WRITE + partial, content=body, headers=headers)
    assert answer.status_code == status
    if headers.get("content-type") == "application/x-protobuf":
        problem = pb.Problem.FromString(answer.content)
        said, detail = problem.code, problem.detail
    else:
        said, detail = answer.json()["code"], answer.json()["detail"]
    assert said == code
    assert remedy in detail
    assert written(settings) == []
    assert (answer.headers.get("accept-encoding") == "gzip, zstd, identity") == (status == 415)


@pytest.mark.parametrize(
    ("query", "path", "remedy"),
    [
        ("ack=never", "ack", "queued, journaled, written"),
        ("ack=", "ack", "queued"),
        ("partial=maybe", "partial", "true or false"),
        ("partail=true", "partail", "known are ack, partial"),
        ("a=%ff", "?", "UTF-8"),
        ("&".join(["ack=queued"] * 50), "?", "too long"),
    ],
)
async def test_a_bad_query_is_refused_and_writes_nothing(client, settings, query, path, remedy):
    answer = await client.post(f"{WRITE}?{query}", content=ONE, headers=JSON)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "invalid-query")
    assert problem["errors"][0]["path"] == path
    assert remedy in problem["errors"][0]["message"]
    assert written(settings) == []


# --- what is taken ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["identity", "gzip", "x-gzip", "zstd"])
@pytest.mark.parametrize("kind", ["json", "protobuf"])
async def test_every_form_and_compression_is_answered_in_kind(fake_client, door, kind, encoding):
    headers, body = (JSON, ONE) if kind == "json" else (PROTOBUF, ONE_PB)
    if encoding != "identity":
        body = gzip.compress(body) if "gzip" in encoding else zstd.compress(body)
    answer = await fake_client.post(WRITE, content=body, headers={**headers, "content-encoding": encoding})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == headers["content-type"]
    if kind == "json":
        assert answer.json() == {"accepted": 1, "duplicate": False, "rejected": [], "warnings": []}
    else:
        assert pb.WriteResponse.FromString(answer.content) == pb.WriteResponse(accepted=1)
    assert door.batches[0].runs[0].run == "first"


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", 'application/json;charset="UTF-8"'])
async def test_content_type_is_read_as_http_says(fake_client, kind):
    assert (await fake_client.post(WRITE, content=ONE, headers={"content-type": kind})).status_code == 200


@pytest.mark.parametrize(("ack", "status"), [("queued", 202), ("journaled", 200), ("written", 200), (None, 200)])
async def test_ack_reaches_the_door_and_queued_is_202(fake_client, door, ack, status):
    answer = await fake_client.post(WRITE + (f"?ack={ack}" if ack else ""), content=ONE, headers=JSON)
    assert (answer.status_code, door.acks) == (status, [Ack(ack or "journaled")])


async def test_an_empty_batch_without_writer_is_taken_and_goes_nowhere(fake_client, door):
    answer = await fake_client.post(WRITE, content=b'{"runs":[]}', headers=JSON)
    assert (answer.json()["accepted"], door.batches) == (0, [])


async def test_a_partial_batch_of_bad_items_still_counts_its_seq(client):
    body = {"writer": "w", "seq": 1, "runs": [{"run": "..", "scalars": []}]}
    first = await client.post(WRITE + "?partial=true", content=json.dumps(body), headers=JSON)
    again = await client.post(WRITE + "?partial=true", content=json.dumps(body), headers=JSON)
    assert [first.json()["duplicate"], again.json()["duplicate"]] == [False, True]


async def test_a_retry_is_answered_as_done_and_written_once(client):
    body = {"writer": "w", "seq": 1, "runs": [GOOD]}
    answers = [(await client.post(WRITE, content=json.dumps(body), headers=JSON)).json() for _ in range(3)]
    assert [(said["accepted"], said["duplicate"]) for said in answers] == [(1, False), (0, True), (0, True)]
    points = (await client.get("/api/v1/scalars", params={"run": "good", "tag": "t"})).json()
    assert points["values"] == [1.0]


async def test_a_step_that_goes_back_is_a_warning(client):
    for steps in ([5], [3]):
        body = {"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0], "steps": steps}]}]}
        answer = await client.post(WRITE, content=json.dumps(body), headers=JSON)
    assert answer.json()["accepted"] == 1
    assert len(answer.json()["warnings"]) == 1


# --- what the door refuses ----------------------------------------------------------------------------------------------

REFUSALS = {
    "queue is full": (QueueFull("the queue is full", retry_after_s=2.4), 429, "queue-full", "2"),
    "stopping": (Stopping("the bridge is shutting down"), 503, "stopping", "1"),
    "disk refuses": (StorageFailed("input/output error"), 503, "storage-failed", "1"),
    "disk is full": (StorageFailed("no space left", full=True, retry_after_s=5), 507, "storage-failed", "5"),
}


@pytest.mark.parametrize("form", [JSON, PROTOBUF], ids=["json", "protobuf"])
@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_says_when_to_come_back(fake_client, door, refusal, form):
    door.error, status, code, seconds = refusal
    answer = await fake_client.post(WRITE, content=ONE if form is JSON else ONE_PB, headers=form)
    assert (answer.status_code, answer.headers["retry-after"]) == (status, seconds)
    if form is JSON:
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem == {
            "type": f"urn:tbbridge:error:{code}",
            "title": type(door.error).title,
            "status": status,
            "detail": door.error.message,
            "code": code,
            "request_id": answer.headers["x-request-id"],
        }
    else:
        problem = pb.Problem.FromString(answer.content)
        assert (problem.status, problem.code, problem.detail) == (status, code, door.error.message)


async def test_a_column_that_is_no_whole_number_of_elements_names_the_column(client):
    """Nine bytes where doubles are: field 3 of a column, inside field 2 of a run, inside field 3 of the request."""
    column = b"\x0a\x01t" + b"\x1a\x09" + struct.pack("<dB", 1.0, 0)
    run = b"\x0a\x01r" + b"\x12" + bytes([len(column)]) + column
    answer = await client.post(WRITE, content=b"\x1a" + bytes([len(run)]) + run, headers=PROTOBUF)
    (error,) = pb.Problem.FromString(answer.content).errors
    assert (answer.status_code, error.path) == (422, "runs[0].scalars[0].values")
