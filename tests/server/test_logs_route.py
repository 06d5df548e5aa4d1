"""GET /api/v1/logs: every record once and in order, as lines; a stream that follows ends with its reader or the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tbbridge import limits
from tbbridge.logs.lines import encode_record
from tbbridge.logs.names import log_path
from tbbridge.model import LogRecord, run_name
from tbbridge.server.routes.logs import read_time
from tbbridge.server.serve import serve
from tbbridge.server.settings import ServerSettings
from tbbridge.server.tokens import Scope, new_token

WRITTEN = [LogRecord(f"record {n}\nmore", (10, 20, 30)[n % 3], "part", 1_700_000_000.0 + n) for n in range(9)]


def put(logdir: Path, run: str, records: list[LogRecord], generation: int = 1) -> None:
    path = logdir / ".tbbridge" / "logs" / log_path(run_name(run), generation)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(map(encode_record, records)))


async def lines(client, **query) -> list[dict]:
    answer = await client.get("/api/v1/logs", params={"run": "node/7", **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_a_record_is_a_line_of_json(client, settings) -> None:
    put(settings.logdir, "node/7", WRITTEN[:1])
    assert await lines(client) == [
        {
            "time": "2023-11-14T22:13:20.000000Z",
            "level": 10,
            "logger": "part",
            "message": "record 0\nmore",
            "run": "node/7",
            "cursor": f"1-{len(encode_record(WRITTEN[0]))}",
        }
    ]


CHOICES = {
    "everything": ({}, range(9)),
    "the newest": ({"limit": 2}, [7, 8]),
    "a level by name": ({"level": "Warning"}, [2, 5, 8]),
    "a level by number": ({"level": "11"}, [1, 2, 4, 5, 7, 8]),
    "since a number": ({"since": "1700000006.5"}, [7, 8]),
    "since a time": ({"since": "2023-11-14T22:13:27Z"}, [7, 8]),
    "since a time elsewhere": ({"since": "2023-11-15T00:13:27+02:00"}, [7, 8]),
    "the newest of a level since a time": ({"since": "1700000002", "level": "warning", "limit": 2}, [5, 8]),
    "none of them": ({"limit": 0}, []),
}


@pytest.mark.parametrize(("query", "expected"), CHOICES.values(), ids=CHOICES.keys())
async def test_what_is_asked_for(client, settings, query, expected) -> None:
    put(settings.logdir, "node/7", WRITTEN[:5])
    put(settings.logdir, "node/7", WRITTEN[5:], generation=2)
    found = await lines(client, **query)
    assert [line["message"] for line in found] == [WRITTEN[number].message for number in expected]


async def test_a_cursor_goes_on_behind_its_record(client, settings) -> None:
    put(settings.logdir, "node/7", WRITTEN)
    everything = await lines(client)
    for number, line in enumerate(everything):
        assert await lines(client, after=line["cursor"]) == everything[number + 1 :]


WRONG = {
    "no run": ({"run": ""}, "run: a run name has"),
    "a run outside": ({"run": "../x"}, "run: run name '../x'"),
    "no level": ({"level": "loud"}, "level: 'loud' is no level"),
    "no time": ({"since": "yesterday"}, "since: 'yesterday' is no time"),
    "no cursor": ({"after": "x"}, "after: 'x' is no place"),
    "two places": ({"after": "1-0", "limit": 3}, "limit: with after"),
    "a limit beyond": ({"limit": limits.LOGS_LOOK_BACK_MAX + 1}, "limit"),
    "a parameter we do not have": ({"tag": "x"}, "tag: no such parameter"),
}


@pytest.mark.parametrize(("query", "message"), WRONG.values(), ids=WRONG.keys())
async def test_a_query_that_is_wrong(client, query, message) -> None:
    answer = await client.get("/api/v1/logs", params={"run": "node/7", **query})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(message)


async def test_a_log_that_is_not_there(client) -> None:
    answer = await client.get("/api/v1/logs", params={"run": "node/7"})
    assert answer.status_code == 404
    assert "no log of a run 'node/7'" in answer.json()["detail"]


def test_times_are_read_to_the_microsecond() -> None:
    assert read_time("2023-11-14T22:13:20.000001Z") == 1_700_000_000.000001
    assert read_time("2023-11-14") == 1_699_920_000.0
    with pytest.raises(ValueError, match="no time"):
        read_time("nan")


# --- following, over a real socket --------------------------------------------------------------------------------------


@pytest.fixture
async def bridge(tmp_path) -> AsyncIterator[tuple[str, Path, asyncio.Task[None]]]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    settings = ServerSettings(logdir=tmp_path / "runs", port=0)
    running = asyncio.create_task(serve(settings, on_ready=ready.set_result))
    try:
        yield await ready, settings.logdir, running
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


class Follower:
    """Reads a stream line by line."""

    def __init__(self, url: str, token: str = "", **query) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx.AsyncClient(base_url=url, timeout=60, headers=headers)
        self.request = self.client.build_request("GET", "/api/v1/logs", params={"run": "node/7", "follow": "true", **query})

    async def __aenter__(self) -> Follower:
        self.answer = await self.client.send(self.request, stream=True)
        self.lines = self.answer.aiter_lines()
        return self

    async def __aexit__(self, *_) -> None:
        await self.answer.aclose()
        await self.client.aclose()

    async def next(self, count: int) -> list[str]:
        found = []
        while len(found) < count:
            if line := await anext(self.lines):
                found.append(json.loads(line)["message"])
        return found


async def test_a_follower_gets_records_as_they_come_and_from_a_file_that_begins(bridge) -> None:
    url, logdir, _ = bridge
    put(logdir, "node/7", WRITTEN[:3])
    async with Follower(url, limit=1) as follower:
        assert await follower.next(1) == [WRITTEN[2].message]
        put(logdir, "node/7", WRITTEN[3:4])
        assert await follower.next(1) == [WRITTEN[3].message]
        put(logdir, "node/7", WRITTEN[4:6], generation=2)
        assert await follower.next(2) == [record.message for record in WRITTEN[4:6]]


async def test_a_log_that_does_not_exist_yet_is_waited_for(bridge) -> None:
    url, logdir, _ = bridge
    async with Follower(url) as follower:
        put(logdir, "node/7", WRITTEN[:2])
        assert await follower.next(2) == [record.message for record in WRITTEN[:2]]


async def test_streams_end_whole_when_the_bridge_stops(bridge) -> None:
    url, logdir, running = bridge
    put(logdir, "node/7", WRITTEN)
    async with Follower(url) as follower, Follower(url, limit=0) as silent:
        assert await follower.next(9) == [record.message for record in WRITTEN]
        running.cancel()
        assert [line async for line in follower.lines if line] == []  # its end is the answer's, not a broken connection
        assert [line async for line in silent.lines if line] == []


async def test_a_quiet_stream_shows_that_it_lives(bridge, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LOGS_HEARTBEAT_S", 0.01)
    monkeypatch.setattr(limits, "LOGS_POLL_S", 0.01)
    async with Follower(bridge[0]) as follower:
        assert [await anext(follower.lines) for _ in range(3)] == ["", "", ""]


async def test_a_stream_ends_when_its_token_is_revoked_and_gives_out_nothing_more(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "TOKENS_LOOK_S", 0.02)
    reads, line = new_token("reader", frozenset({Scope.READ}))
    file, logdir = tmp_path / "tokens", tmp_path / "runs"
    file.write_text(f"{line.line()}\n")
    file.chmod(0o600)
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(ServerSettings(logdir=logdir, port=0, tokens_file=file), on_ready=ready.set_result))
    try:
        put(logdir, "node/7", WRITTEN[:2])
        async with Follower(await ready, token=reads) as follower:
            assert await follower.next(2) == [record.message for record in WRITTEN[:2]]
            file.write_text("")
            async with asyncio.timeout(30):
                assert [line async for line in follower.lines if line] == []  # a whole answer, and its end
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_followers_are_counted_and_more_are_refused(bridge, monkeypatch) -> None:
    url, logdir, _ = bridge
    monkeypatch.setattr(limits, "LOGS_FOLLOWERS_MAX", 1)
    monkeypatch.setattr(limits, "LOGS_HEARTBEAT_S", 0.05)
    put(logdir, "node/7", WRITTEN)
    async with httpx.AsyncClient(base_url=url) as client:
        async with Follower(url) as follower:
            await follower.next(9)
            refused = await client.get("/api/v1/logs", params={"run": "node/7", "follow": "true"})
            assert (refused.status_code, refused.json()["code"]) == (429, "queue-full")
            assert (await client.get("/api/v1/logs", params={"run": "node/7"})).status_code == 200
        while True:  # the one that went away is noticed, and its place is free again
            async with Follower(url) as follower:
                if follower.answer.status_code == 200:
                    assert await follower.next(9) == [record.message for record in WRITTEN]
                    break
            await asyncio.sleep(0.01)


async def test_a_reader_that_takes_nothing_is_let_go(bridge, monkeypatch, caplog) -> None:
    url, logdir, _ = bridge
    monkeypatch.setattr(limits, "LOGS_STALL_S", 0.2)
    caplog.set_level("INFO", "tbbridge")
    put(logdir, "node/7", [LogRecord("x" * 1_000_000, 20, "", 1.0)] * 30)
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), limit=1024)
    try:
        writer.write(f"GET /api/v1/logs?run=node/7&follow=true HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        async with asyncio.timeout(30):
            while "was let go" not in caplog.text:
                await asyncio.sleep(0.02)
    finally:
        writer.close()
