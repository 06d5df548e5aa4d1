"""Who is let in: by the Host, by the page that asks, by the token; at every route, and cheaper than any body is read."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from tbbridge.server.app import build_app
from tbbridge.server.guard import scope_of
from tbbridge.server.settings import ServerSettings
from tbbridge.server.tokens import Scope

WRITER, READER, ADMIN = "w" * 20, "r" * 20, "a" * 20
POINT = {"runs": [{"run": "a", "scalars": [{"tag": "loss", "values": [1]}]}]}

Running = Callable[[FastAPI], AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
async def guarded(running: Running, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    tokens = f"write:{WRITER} read:{READER} admin:{ADMIN}"
    settings = ServerSettings(
        logdir=tmp_path, tokens=tokens, allowed_hosts=("bridge.example.org",), allowed_origins=("https://dash.example.org",)
    )
    async with running(build_app(settings)) as client:
        yield client


@pytest.fixture
async def unguarded(running: Running, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    async with running(build_app(ServerSettings(logdir=tmp_path))) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/api/v1/write", Scope.WRITE),
        ("GET", "/api/v1/runs", Scope.READ),
        ("GET", "/api/v1/logs", Scope.READ),
        ("GET", "/api/v1/live", Scope.READ),
        ("GET", "/api/v1/scalars/many", Scope.READ),
        ("GET", "/metrics", Scope.READ),
        ("HEAD", "/metrics", Scope.READ),
        ("DELETE", "/api/v1/runs", Scope.ADMIN),
        ("POST", "/api/v1/runs/rename", Scope.ADMIN),
        ("PUT", "/api/v1/archive", Scope.ADMIN),
        ("PUT", "/api/v1/groups", Scope.ADMIN),
        ("POST", "/data", Scope.WRITE),
        ("POST", "/data/scalars", Scope.WRITE),
        ("POST", "/data/run/a/summary", Scope.WRITE),
        ("DELETE", "/data", Scope.ADMIN),
        ("GET", "/backup", Scope.READ),
        ("POST", "/backup", Scope.ADMIN),
        ("POST", "/whatever/comes/next", Scope.ADMIN),
        ("GET", "/healthz", None),
        ("GET", "/", None),
    ],
)
def test_what_a_request_needs(method: str, path: str, scope: Scope | None) -> None:
    assert scope_of(method, path) is scope


async def test_every_route_that_is_not_meant_for_everybody_asks_for_a_token(guarded: httpx.AsyncClient) -> None:
    document = (await guarded.get("/openapi.json")).json()
    asked = 0
    for path, operations in document["paths"].items():
        for method in operations:
            answer = await guarded.request(method, path.replace("{name}", "a"))
            if path in ("/", "/health", "/healthz", "/readyz", "/api/v1/version"):
                assert answer.status_code == 200, f"{method} {path}"
            else:
                asked += 1
                assert answer.status_code == 401, f"{method} {path}"
                assert answer.headers["www-authenticate"].startswith("Bearer")
    assert asked > 15


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        (bearer("x" * 20), 401),
        (bearer(""), 401),
        ({"authorization": WRITER}, 401),
        ({"authorization": "Basic !!!"}, 401),
        (bearer(READER), 403),
        (bearer(WRITER), 200),
        (bearer(ADMIN), 200),
        ({"authorization": "Basic " + base64.b64encode(f"me:{WRITER}".encode()).decode()}, 200),
    ],
    ids=str,
)
async def test_writing_needs_a_token_that_allows_it(
    guarded: httpx.AsyncClient, headers: Mapping[str, str], status: int
) -> None:
    answer = await guarded.post("/api/v1/write", json=POINT, headers=headers)
    assert answer.status_code == status
    assert WRITER not in answer.text
    assert READER not in answer.text


async def test_a_deletion_needs_an_admin(guarded: httpx.AsyncClient) -> None:
    await guarded.post("/api/v1/write", json=POINT, headers=bearer(WRITER))
    for token, status in ((WRITER, 403), (READER, 403), (ADMIN, 200)):
        answer = await guarded.delete("/api/v1/runs", params={"run": "a"}, headers=bearer(token))
        assert answer.status_code == status


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:6007", 200),
        ("[::1]:6007", 200),
        ("10.0.0.3", 200),
        ("localhost:6007", 200),
        ("bridge", 200),
        ("a.localhost:80", 200),
        ("evil.example.org", 421),
        ("evil.example.org:6007", 421),
        ("127.0.0.1.evil.example.org", 421),
        ("bridge.example.org.evil.org", 421),
    ],
)
async def test_a_name_that_somebodys_dns_points_at_us_is_refused(unguarded: httpx.AsyncClient, host: str, status: int) -> None:
    answer = await unguarded.get("/api/v1/runs", headers={"host": host})
    assert answer.status_code == status
    if status == 421:
        assert "--allowed-hosts" in answer.json()["detail"]


async def test_names_that_are_allowed_are_ours(guarded: httpx.AsyncClient) -> None:
    for host in ("bridge.example.org", "BRIDGE.example.org.:6007"):
        answer = await guarded.get("/healthz", headers={"host": host})
        assert answer.status_code == 200, host


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://testserver", 200),
        ("https://testserver", 200),
        ("https://evil.example.org", 403),
        ("null", 403),
        ("http://testserver.evil.org", 403),
    ],
)
async def test_a_page_of_another_origin_can_neither_write_nor_read(
    unguarded: httpx.AsyncClient, origin: str, status: int
) -> None:
    headers = {"origin": origin, "host": "testserver"}
    assert (await unguarded.post("/api/v1/write", json=POINT, headers=headers)).status_code == status
    answer = await unguarded.get("/api/v1/runs", headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


async def test_a_page_of_an_allowed_origin_may_ask_with_a_token(guarded: httpx.AsyncClient) -> None:
    origin = {"origin": "https://dash.example.org"}
    preflight = await guarded.options("/api/v1/runs", headers={**origin, "access-control-request-method": "DELETE"})
    assert preflight.status_code == 204
    assert "DELETE" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert preflight.headers["access-control-allow-origin"] == "https://dash.example.org"
    assert preflight.headers["x-request-id"]
    answer = await guarded.get("/api/v1/runs", headers={**origin, **bearer(READER)})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://dash.example.org"
    assert "origin" in answer.headers["vary"]
    assert (await guarded.get("/api/v1/runs", headers=origin)).status_code == 401
    other = await guarded.options(
        "/api/v1/runs", headers={"origin": "https://evil.org", "access-control-request-method": "GET"}
    )
    assert other.status_code == 403


async def test_no_answer_may_be_taken_for_a_page(guarded: httpx.AsyncClient) -> None:
    """Tables and messages hold names that strangers chose; only stored bytes and archives forbade browsers to guess."""
    named = {"runs": [{"run": "a", "scalars": [{"tag": "<script>alert(1)</script>", "values": [1]}]}]}
    asked = [await guarded.post("/api/v1/write", json=named, headers=bearer(WRITER))]
    for path in ("runs", "export?run=a", "scalars?run=a&tag=<script>alert(1)</script>&format=csv", "scalars?run=<b>&tag=x"):
        asked.append(await guarded.get(f"/api/v1/{path}", headers=bearer(READER)))  # noqa: PERF401 - one after the other
    asked += [await guarded.get("/docs"), await guarded.get("/metrics"), await guarded.get("/healthz")]
    assert [answer.status_code for answer in asked] == [200, 200, 200, 200, 404, 200, 401, 200]
    assert [answer.headers.get_list("x-content-type-options") for answer in asked] == [["nosniff"]] * len(asked)


async def test_a_stranger_is_not_told_where_the_log_folder_is(guarded: httpx.AsyncClient, tmp_path: Path) -> None:
    """The old clients' /health is open to anybody, and named the folder with the path above it."""
    for path in ("/health", "/"):
        answer = await guarded.get(path, headers={"accept": "application/json"})
        assert answer.json()["tensorboard"]["logdir"] == tmp_path.name


async def test_a_refused_request_is_answered_before_its_body_is_read(guarded: httpx.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was asked for")
        yield b""

    transport = httpx.ASGITransport(guarded._transport.app)  # type: ignore[attr-defined]
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.post("/api/v1/write", content=never())
    assert answer.status_code == 401
