"""One shape for every error of every route, whoever finds it; and nothing about the inside in any of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter

import pytest

from tbbridge.errors import StorageFailed
from tbbridge.pipeline.door import Health
from tbbridge.server.connections import RequestsUnderWay
from tbbridge.server.edge import Edge
from tbbridge.server.guard import Guard
from tbbridge.server.tokens import Tokens
from tbbridge.server.totals import RequestTotals
from tbbridge.v1 import write_pb2 as pb

ONE = json.dumps({"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]}]})
JSON = {"content-type": "application/json"}

ERRORS = {
    "unknown path": ("GET", "/nothing/here", 404, "not-found", "/openapi.json"),
    "unknown path, posted": ("POST", "/api/v1/rite", 404, "not-found", "there is nothing at this path; /openapi.json"),
    "a newer client's path": ("POST", "/api/v2/write", 404, "not-found", "speaks version 1 of the interface, and this client"),
    "slash too many": ("GET", "/healthz/", 404, "not-found", "/openapi.json"),
    "GET for POST": ("GET", "/api/v1/write", 405, "method-not-allowed", "it takes POST"),
    "POST for GET": ("POST", "/api/v1/runs", 405, "method-not-allowed", "it takes GET"),
    "a method nobody knows": ("BREW", "/healthz", 405, "method-not-allowed", "it takes GET"),
    "unknown run": ("GET", "/api/v1/runs?run=nope", 404, "not-found", "there is no run 'nope'"),
    "unknown run's scalars": ("GET", "/api/v1/scalars?run=nope&tag=t", 404, "not-found", "there is no run 'nope'"),
    "run that cannot be": ("GET", "/api/v1/runs?run=../etc", 422, "invalid-query", "'..'"),
    "run missing": ("GET", "/api/v1/scalars?tag=t", 422, "invalid-query", "run: this parameter is missing"),
    "unknown parameter": ("GET", "/api/v1/runs?rum=x", 422, "invalid-query", "rum: no such parameter"),
    "no number": ("GET", "/api/v1/scalars?run=r&tag=t&max_points=many", 422, "invalid-query", "max_points: 'many'"),
    "one point": ("GET", "/api/v1/scalars?run=r&tag=t&max_points=1", 422, "invalid-query", "greater than or equal to 2"),
    "step outside int64": ("GET", "/api/v1/scalars?run=r&tag=t&min_step=9223372036854775808", 422, "invalid-query", "min_step"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
async def test_error_is_a_problem(client, case):
    method, path, status, code, says = case
    answer = await client.request(method, path)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert {*problem} - {"errors"} == {"type", "title", "status", "detail", "code", "request_id"}
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:tbbridge:error:{code}")
    assert says in problem["detail"]
    if status == 405:
        assert answer.headers["allow"] in problem["detail"]


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
async def test_error_is_protobuf_if_the_request_was(client, case):
    method, path, status, code, _ = case
    answer = await client.request(method, path, headers={"content-type": "application/x-protobuf"})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/x-protobuf")
    problem = pb.Problem.FromString(answer.content)
    assert (problem.status, problem.code) == (status, code)
    assert problem.request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_what_nobody_foresaw_is_logged_once_and_shown_by_its_id_only(fake_client, door, caplog, monkeypatch, method):
    async def settled() -> None:
        raise door.error

    door.error = RuntimeError("the secret cause")
    monkeypatch.setattr(door, "settled", settled)
    with caplog.at_level(logging.ERROR):
        if method == "POST":
            answer = await fake_client.post("/api/v1/write", content=ONE, headers=JSON)
        else:
            answer = await fake_client.get("/api/v1/runs")
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (500, "internal")
    assert "secret" not in answer.text
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert problem["detail"].endswith(record.args[0])
    assert "the secret cause" in caplog.text


async def test_reads_that_cannot_see_the_last_writes_say_so(fake_client, door):
    door.error = StorageFailed("the disk refuses to store")
    for path in ("/api/v1/runs", "/api/v1/scalars?run=r&tag=t"):
        answer = await fake_client.get(path)
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (503, "storage-failed", "1")


async def test_not_ready_says_why_while_alive(fake_client, door):
    assert (await fake_client.get("/readyz")).status_code == 200
    door.health = Health(False, "the disk is full; free some space")
    answer = await fake_client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert answer.json()["detail"] == "the disk is full; free some space"
    assert (await fake_client.get("/healthz")).json() == {"status": "alive"}


async def test_an_answer_cut_off_by_the_stop_ends_without_a_traceback():
    """uvicorn cancels what is under way when the time of a stop is over, and logs whatever comes out of the app then."""
    under_way = asyncio.Event()

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        under_way.set()
        await asyncio.Event().wait()

    sent = []

    async def send(message):
        sent.append(message["type"])

    scope = {"type": "http", "method": "GET", "path": "/", "headers": []}
    edge = Edge(app, RequestTotals(), Guard(Tokens(None)), RequestsUnderWay(1), Counter())
    request = asyncio.create_task(edge(scope, None, send))
    await under_way.wait()
    request.cancel()
    await request
    assert sent == ["http.response.start"]
