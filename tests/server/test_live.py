"""GET /api/v1/live over real sockets: every point once and in order, whatever listeners and the bridge do meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tbbridge import limits
from tbbridge.server.live import listener
from tbbridge.server.live.events import Wanted
from tbbridge.server.live.feed import Feed
from tbbridge.server.serve import serve
from tbbridge.server.settings import ServerSettings
from tbbridge.server.tokens import Scope, new_token

TLS = ssl.create_default_context()  # made once: httpx takes 30 ms to make its own for each client, used or not
LIVE = "/api/v1/live"
WRITE = "/api/v1/write"
RUNS = "/api/v1/runs"


@dataclass
class Bridge:
    """A bridge in this event loop, and a client of it."""

    url: str
    running: asyncio.Task[None]
    client: httpx.AsyncClient
    logdir: Path

    async def write(self, run: str, tag: str = "loss", values: Any = (1.0,), **more: Any) -> None:
        answer = await self.client.post(
            WRITE, json={"runs": [{"run": run, "scalars": [{"tag": tag, "values": [*values]}], **more}]}
        )
        assert answer.status_code == 200, answer.text

    async def send(self, body: dict[str, Any]) -> None:
        answer = await self.client.post(WRITE, json={"runs": [body]})
        assert answer.status_code == 200, answer.text

    async def metric(self, name: str) -> float:
        text = (await self.client.get("/metrics")).text
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


@contextlib.asynccontextmanager
async def bridge_over(logdir: Path, **settings: Any) -> AsyncIterator[Bridge]:
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(ServerSettings(logdir=logdir, port=0, **settings), on_ready=ready.set_result))
    await asyncio.wait([ready, running], return_when=asyncio.FIRST_COMPLETED)
    async with httpx.AsyncClient(base_url=await ready, timeout=60, verify=TLS) as client:
        try:
            yield Bridge(str(client.base_url), running, client, logdir)
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


@pytest.fixture
async def bridge(tmp_path) -> AsyncIterator[Bridge]:
    async with bridge_over(tmp_path / "runs", veil_s=0.05) as made:
        yield made


@dataclass
class Event:
    id: str
    name: str
    data: Any


@dataclass
class Listener:
    """Reads a feed event by event, health left out."""

    url: str
    query: dict[str, Any] = field(default_factory=dict)
    last_id: str = ""
    token: str = ""

    async def __aenter__(self) -> Listener:
        self.client = httpx.AsyncClient(base_url=self.url, timeout=60, verify=TLS)
        headers = {"Last-Event-ID": self.last_id} if self.last_id else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = self.client.build_request("GET", LIVE, params={"health": "false", **self.query}, headers=headers)
        self.answer = await self.client.send(request, stream=True)
        self.lines = self.answer.aiter_lines()
        if self.answer.status_code == 200:
            self.hello = await self.event()
            assert self.hello.name == "hello"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.answer.aclose()
        await self.client.aclose()

    async def event(self) -> Event:
        said: dict[str, str] = {}
        async for line in self.lines:
            if not line and "event" in said:
                self.last_id = said["id"]
                return Event(said["id"], said["event"], json.loads(said["data"]))
            name, _, value = line.partition(": ")
            said[name] = value
        raise EOFError

    async def next(self, *names: str) -> list[Any]:
        """What the next events say, whose names must be these."""
        found = [await self.event() for _ in names]
        assert [event.name for event in found] == [*names], found
        return [event.data for event in found]


def without_times(columns: list[dict[str, Any]]) -> list[tuple[str, str, list[int], list[Any]]]:
    return [(column["run"], column["tag"], column["steps"], column["values"]) for column in columns]


# --- what is told -------------------------------------------------------------------------------------------------------


async def test_a_point_is_told_with_its_new_run_and_can_be_read_by_then(bridge) -> None:
    async with Listener(bridge.url) as listener:
        assert listener.answer.headers["content-type"] == "text/event-stream"
        assert listener.answer.headers["cache-control"] == "no-store"
        assert listener.answer.headers["x-accel-buffering"] == "no"
        assert listener.hello.data["resumed"] is False
        await bridge.write("a/b", values=[1, "NaN", 0.1, "-Infinity", 1e300])
        runs, points = await listener.next("runs", "points")
        assert runs == {"runs": [{"run": "a/b", "tags": [{"tag": "loss", "kind": "scalar"}]}]}
        read = (await bridge.client.get("/api/v1/scalars", params={"run": "a/b", "tag": "loss"})).json()
        del read["count"], read["kind"]
        assert points == {"columns": [read]}
        assert read["values"] == [1.0, "NaN", 0.10000000149011612, "-Infinity", "Infinity"]


async def test_every_kind_is_told_by_its_tag_and_step(bridge) -> None:
    summaries = [
        {"kind": "text", "tag": "note", "text": "hello", "step": 3},
        {"kind": "histogram", "tag": "weights", "values": [1.0, 2.0], "step": 4},
    ]
    async with Listener(bridge.url) as listener:
        await bridge.send({"run": "r", "summaries": summaries})
        runs, told = await listener.next("runs", "summaries")
        kinds = [(tag["tag"], tag["kind"]) for tag in runs["runs"][0]["tags"]]
        assert kinds == [("note", "text"), ("weights", "histogram")]
        assert [(one["run"], one["tag"], one["kind"], one["step"]) for one in told["summaries"]] == [
            ("r", "note", "text", 3),
            ("r", "weights", "histogram", 4),
        ]
        listed = (await bridge.client.get(RUNS, params={"run": "r"})).json()["runs"][0]["tags"]
        assert [(tag["tag"], tag["kind"]) for tag in listed] == kinds  # the same words as in the list


async def test_statuses_come_behind_the_points_they_came_with(bridge) -> None:
    async with Listener(bridge.url) as listener:
        await bridge.write("r", status="running")
        await listener.next("runs", "points")
        assert await listener.next("status") == [{"run": "r", "status": "running"}]
        await bridge.write("r", status="failed")
        points, status = await listener.next("points", "status")
        assert points["columns"][0]["steps"] == [1]
        assert status == {"run": "r", "status": "failed"}


async def test_a_run_that_falls_silent_is_told_to_be_lost_and_to_be_back(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "RUN_LOST_AFTER_S", 0.3)
    monkeypatch.setattr(limits, "LIVE_BEAT_S", 0.05)
    async with bridge_over(tmp_path) as bridge, Listener(bridge.url) as listener:
        await bridge.write("r", status="running")
        await listener.next("runs", "points", "status")
        assert await listener.next("status") == [{"run": "r", "status": "lost"}]
        await bridge.send({"run": "r", "status": "running"})
        assert await listener.next("status") == [{"run": "r", "status": "running"}]
        assert await listener.next("status") == [{"run": "r", "status": "lost"}]
        await bridge.send({"run": "r", "status": "finished"})
        assert await listener.next("status") == [{"run": "r", "status": "finished"}]
        await bridge.write("r")
        await listener.next("points")  # and nothing of its being found again between


async def test_log_records_are_told_to_those_who_ask(bridge) -> None:
    async with Listener(bridge.url, {"logs": "true"}) as follower, Listener(bridge.url) as other:
        await bridge.send({"run": "r", "logs": [{"message": "one\ntwo", "level": 30, "logger": "part"}]})
        await bridge.write("r")
        (said,) = await follower.next("logs")
        stored = json.loads((await bridge.client.get("/api/v1/logs", params={"run": "r"})).text)
        stored.pop("cursor")
        assert said == {"records": [stored]}
        await other.next("runs", "points")


async def test_changes_to_runs_are_told_in_their_order_among_the_points(bridge) -> None:
    await bridge.write("a/one")
    await bridge.write("a/two")
    async with Listener(bridge.url) as listener:
        await bridge.write("a/one", "acc")
        await bridge.client.request("DELETE", RUNS, params={"run": "a/one", "tag": "acc"})
        await listener.next("runs", "points")
        assert await listener.next("deleted") == [{"run": "a/one", "tag": "acc"}]
        await bridge.client.post(f"{RUNS}/rename", json={"run": "a", "to": "b"})
        moved = await listener.next("renamed", "renamed")
        assert moved == [{"run": "a/one", "to": "b/one"}, {"run": "a/two", "to": "b/two"}]
        archive = (await bridge.client.get("/api/v1/archive", params={"run": "b/one"})).content
        await bridge.client.request("DELETE", RUNS, params={"run": "b", "below": "true"})
        assert await listener.next("deleted", "deleted") == [{"run": "b/one"}, {"run": "b/two"}]
        kind = {"content-type": "application/zip"}
        put = await bridge.client.put("/api/v1/archive", params={"run": "c"}, content=archive, headers=kind)
        assert put.status_code in (200, 201), put.text
        assert await listener.next("restored") == [{"run": "c"}]
        await bridge.write("c")
        (points,) = await listener.next("points")
        assert without_times(points["columns"]) == [("c", "loss", [1], [1.0])]  # it goes on where the archive ended


async def test_a_purge_is_told_behind_what_it_hides_and_before_what_takes_its_place(bridge) -> None:
    async with Listener(bridge.url) as listener:
        last_id = listener.last_id
        await bridge.write("r", values=[1, 2, 3])
        await bridge.send({"run": "r", "purge_step": 1, "scalars": [{"tag": "loss", "steps": [1], "values": [9]}]})
        await bridge.send({"run": "other", "purge_step": 5})
        async with Listener(bridge.url, {"run": "r"}, last_id=last_id) as other:
            _, before, purged, after = await other.next("runs", "points", "purged", "points")
            assert purged == {"run": "r", "step": 1}
            assert without_times(before["columns"]) == [("r", "loss", [0, 1, 2], [1.0, 2.0, 3.0])]
            assert without_times(after["columns"]) == [("r", "loss", [1], [9.0])]
        read = await bridge.client.get("/api/v1/scalars", params={"run": "r", "tag": "loss"})
        assert read.json()["values"] == [1, 9]


async def test_members_are_told_under_the_names_of_their_charts(bridge) -> None:
    await bridge.client.put("/api/v1/groups", json={"groups": [{"name": "agent", "kind": "indexed", "bin_size": 10}]})
    async with Listener(bridge.url) as listener:
        body = {"runs": [{"member": "agent/17", "scalars": [{"tag": "reward", "values": [2.0]}]}]}
        assert (await bridge.client.post(WRITE, json=body)).status_code == 200
        _, points = await listener.next("runs", "points")
        (column,) = points["columns"]
        listed = (await bridge.client.get(RUNS)).json()["runs"]
        assert [column["run"]] == [run["run"] for run in listed]
        read = await bridge.client.get("/api/v1/scalars", params={"run": column["run"], "tag": column["tag"]})
        assert read.json()["values"] == [2.0]


async def test_old_clients_points_are_told_as_well(bridge) -> None:
    async with Listener(bridge.url) as listener:
        point = {"modelName": "m", "pointType": "cost", "pointValue": 0.5, "globalStep": 7}
        assert (await bridge.client.post("/data", json=point)).text == "OK"
        _, points = await listener.next("runs", "points")
        assert without_times(points["columns"]) == [("m", "cost", [7], [0.5])]


FILTERS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "everything": ({}, [("a", "x"), ("a", "y"), ("b", "x"), ("b", "y")]),
    "a run": ({"run": "a"}, [("a", "x"), ("a", "y")]),
    "runs that are not there": ({"run": ["b", "never"]}, [("b", "x"), ("b", "y")]),
    "a tag": ({"tag": "y"}, [("a", "y"), ("b", "y")]),
    "both": ({"run": ["a", "b"], "tag": "x"}, [("a", "x"), ("b", "x")]),
}


@pytest.mark.parametrize(("query", "expected"), FILTERS.values(), ids=FILTERS)
async def test_a_listener_gets_what_it_asks_for(bridge, query, expected) -> None:
    async with Listener(bridge.url, query) as listener:
        for run in ("a", "b"):
            columns = [{"tag": tag, "values": [1.0]} for tag in ("x", "y")]
            await bridge.send({"run": run, "scalars": columns})
        told: list[tuple[str, str]] = []
        tags: list[tuple[str, str]] = []
        while len(told) < len(expected):
            event = await listener.event()
            if event.name == "points":
                told += [(column["run"], column["tag"]) for column in event.data["columns"]]
            else:
                tags += [(run["run"], tag["tag"]) for run in event.data["runs"] for tag in run["tags"]]
        assert told == tags == expected


async def test_health_comes_once_a_second_and_says_how_the_bridge_is(bridge, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LIVE_BEAT_S", 0.05)
    async with Listener(bridge.url, {"health": "true"}) as listener:
        await listener.event()
        body = {"writer": "w", "seq": 1, "runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0] * 500}]}]}
        assert (await bridge.client.post(WRITE, json=body)).status_code == 200
        seen = 0.0
        while not seen:
            event = await listener.event()
            if event.name == "health":
                seen = event.data["points_per_s"]
        assert event.data["ready"] is True
        assert event.data["writers"] == event.data["listeners"] == 1
        assert event.data["connections"] == 2
        assert 0 < event.data["p50_ms"] <= event.data["p99_ms"]
        assert event.data["disk_free_bytes"] > 0
        assert event.data["queue_max_bytes"] == limits.QUEUE_MAX_BYTES


async def test_a_quiet_feed_shows_that_it_lives(bridge, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LIVE_HEARTBEAT_S", 0.01)
    async with Listener(bridge.url) as listener:
        assert [await anext(listener.lines) for _ in range(4)] == [":", "", ":", ""]


# --- once and in order ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(2))
async def test_every_point_comes_once_and_in_order_however_often_the_connection_is_lost(bridge, seed) -> None:
    """Four writers write while the listener is cut off at random places, comes back, and is slow or quick by chance."""
    chance = random.Random(seed)
    per_writer = 100

    async def writer(number: int) -> None:
        for step in range(per_writer):
            columns = [{"tag": tag, "steps": [step], "values": [step + number]} for tag in ("x", "y")]
            await bridge.send({"run": f"r{number}", "scalars": columns})
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random() * 0.02)

    told: dict[tuple[str, str], list[tuple[int, float]]] = {}
    last_id, connections = "", 0
    async with Listener(bridge.url) as first:
        last_id = first.last_id
    writers = [asyncio.create_task(writer(number)) for number in range(4)]
    while sum(map(len, told.values())) < 4 * 2 * per_writer:
        connections += 1
        async with Listener(bridge.url, last_id=last_id) as listener:
            assert listener.hello.data["resumed"] is True
            for _ in range(chance.choice([0, 1, 2, 5, 40])):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        event = await listener.event()
                        last_id = event.id
                        for column in event.data.get("columns", ()):
                            points = zip(column["steps"], column["values"], strict=True)
                            told.setdefault((column["run"], column["tag"]), []).extend(points)
                        continue
                break
            if chance.random() < 0.3:
                await asyncio.sleep(chance.random() * 0.05)
    await asyncio.gather(*writers)
    assert connections > 5
    for number in range(4):
        for tag in ("x", "y"):
            assert told[f"r{number}", tag] == [(step, float(step + number)) for step in range(per_writer)]


async def test_a_filtered_listener_that_got_nothing_for_long_comes_back_without_a_gap(bridge, monkeypatch) -> None:
    """Its place moves on with what it did not want: `health` says so."""
    monkeypatch.setattr(limits, "LIVE_RING_BYTES", 20_000)
    monkeypatch.setattr(limits, "LIVE_BEAT_S", 0.05)
    async with Listener(bridge.url, {"run": "wanted", "health": "true"}) as listener:
        async with Listener(bridge.url) as other:
            for number in range(60):
                await bridge.write("noise")
                await other.next(*(["points"] if number else ["runs", "points"]))  # each write is told by itself
            now = other.last_id
        while (seen := await listener.event()).id != now:
            assert seen.name == "health"
    async with Listener(bridge.url, {"run": "wanted"}, last_id=seen.id) as listener:
        assert listener.hello.data["resumed"] is True


def other_epoch(last_id: str) -> str:
    return "0123abcd-" + last_id.partition("-")[2]


def later(last_id: str) -> str:
    return f"{last_id.partition('-')[0]}-99999"


def nonsense(_: str) -> str:
    return "x" * 500


@pytest.mark.parametrize("wrong", [other_epoch, later, nonsense])
async def test_an_id_that_is_not_known_begins_anew(bridge, wrong: Callable[[str], str]) -> None:
    async with Listener(bridge.url) as listener:
        await bridge.write("r")
        await listener.next("runs", "points")
        async with Listener(bridge.url, last_id=wrong(listener.last_id)) as other:
            assert other.hello.data["resumed"] is False
            await bridge.write("r")
            (points,) = await other.next("points")
            assert points["columns"][0]["steps"] == [1]


async def test_an_id_that_has_left_the_ring_begins_anew(bridge, monkeypatch) -> None:
    async with Listener(bridge.url) as listener:
        await bridge.write("r")
        await listener.next("runs", "points")
        monkeypatch.setattr(limits, "LIVE_RING_BYTES", 10_000)
        last_id = listener.last_id
        for _ in range(40):
            await bridge.write("r")
            await listener.next("points")  # an event of its own, also where many writes would share one
        async with Listener(bridge.url, last_id=last_id) as other:
            assert other.hello.data["resumed"] is False


async def test_what_happens_is_kept_for_a_while_when_nobody_listens(bridge, monkeypatch) -> None:
    async with Listener(bridge.url) as listener:
        last_id = listener.last_id
    while await bridge.metric("tbbridge_live_listeners"):
        await asyncio.sleep(0.01)
    await bridge.write("r")
    monkeypatch.setattr(limits, "LIVE_KEPT_S", 0.01)
    async with Listener(bridge.url, last_id=last_id) as listener:
        assert listener.hello.data["resumed"] is True
        await listener.next("runs", "points")
        last_id = listener.last_id
    while await bridge.metric("tbbridge_live_listeners"):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    async with Listener(bridge.url, last_id=last_id) as listener:
        assert listener.hello.data["resumed"] is False


async def test_a_restart_is_another_epoch(tmp_path) -> None:
    async with bridge_over(tmp_path) as bridge, Listener(bridge.url) as listener:
        last_id = listener.last_id
    async with bridge_over(tmp_path) as bridge, Listener(bridge.url, last_id=last_id) as listener:
        assert listener.hello.data["resumed"] is False
        assert listener.last_id.partition("-")[0] != last_id.partition("-")[0]


# --- slow, many, strange ----------------------------------------------------------------------------------------------------


async def test_what_a_slow_listener_has_not_taken_is_merged(bridge, monkeypatch) -> None:
    """By tag, in one event that counts for all of them."""
    async with Listener(bridge.url) as listener:
        last_id = listener.last_id
        for step in range(30):
            await bridge.write("r", values=[step])
        await listener.next("runs")
        while (await listener.event()).data["columns"][0]["steps"][-1] < 29:
            pass  # the feed may tell of a point a moment after its write was answered
        async with Listener(bridge.url, last_id=last_id) as other:
            _, points = await other.next("runs", "points")
            assert without_times(points["columns"]) == [("r", "loss", [*range(30)], [float(step) for step in range(30)])]


async def asleep(bridge: Bridge) -> asyncio.StreamWriter:
    """A listener that takes nothing."""
    host, port = bridge.url.removeprefix("http://").rstrip("/").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
    writer.write(f"GET {LIVE} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    await reader.readuntil(b"hello")
    return writer


async def test_a_listener_that_takes_nothing_is_ended_and_holds_up_nobody(bridge, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LIVE_STALL_S", 0.5)
    monkeypatch.setattr(limits, "LIVE_PAUSE_MIN_S", 0)
    monkeypatch.setattr(limits, "LIVE_PAUSE_TIMES", 0)  # everything is to be told, however much of the loop it takes
    writer = await asleep(bridge)
    told = sent = 0

    async def read(listener: Listener) -> None:
        nonlocal told
        while True:
            told += sum(len(column["steps"]) for column in (await listener.event()).data.get("columns", ()))

    async with Listener(bridge.url) as awake:
        reading = asyncio.create_task(read(awake))
        try:
            while not await bridge.metric("tbbridge_live_dropped_total"):
                await bridge.write("r", values=[0.123456789] * 5000)
                sent += 5000
                assert sent < 10_000_000
            while told < sent:
                await asyncio.sleep(0.01)
            assert told == sent
            assert await bridge.metric("tbbridge_live_listeners") == 1
        finally:
            reading.cancel()
            writer.close()


async def test_a_slow_listener_is_told_how_much_it_missed_but_every_change(bridge, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LIVE_LAG_BYTES", 10_000)
    monkeypatch.setattr(limits, "LIVE_LAG_S", 0.3)
    goes_on = asyncio.Event()
    send = listener.Listener._send

    async def slow_send(self: Any, *arguments: Any) -> None:
        await send(self, *arguments)
        if self._wanted.logs:  # the slow one
            await goes_on.wait()

    monkeypatch.setattr(listener.Listener, "_send", slow_send)
    async with Listener(bridge.url) as quick, Listener(bridge.url, {"logs": "true"}) as slow:
        for _ in range(10):
            await bridge.write("r", values=[0.123456789] * 300)
        await bridge.client.request("DELETE", RUNS, params={"run": "r"})
        told = 0
        while (event := await quick.event()).name != "deleted":
            told += sum(len(column["steps"]) for column in event.data.get("columns", ()))
        assert told == 3000
        await asyncio.sleep(0.4)
        goes_on.set()
        assert await slow.next("runs", "deleted", "lagging") == [
            {"runs": [{"run": "r", "tags": [{"tag": "loss", "kind": "scalar"}]}]},
            {"run": "r"},
            {"dropped": 3000},
        ]
        await bridge.write("s")
        _, points = await slow.next("runs", "points")
        assert points["columns"][0]["run"] == "s"


async def test_more_than_anybody_can_watch_is_counted_and_read(bridge) -> None:
    async with Listener(bridge.url) as listener:
        await bridge.write("r", values=[1.0] * (limits.LIVE_GROUP_ITEMS + 1))
        await bridge.write("r")
        _, lagging = await listener.next("runs", "lagging")
        assert lagging == {"dropped": limits.LIVE_GROUP_ITEMS + 1}
        (points,) = await listener.next("points")
        assert points["columns"][0]["steps"] == [limits.LIVE_GROUP_ITEMS + 1]


async def test_listeners_are_counted_and_more_are_refused(bridge, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LIVE_LISTENERS_MAX", 1)
    async with Listener(bridge.url) as first:
        assert await bridge.metric("tbbridge_live_listeners") == 1
        async with Listener(bridge.url) as second:
            assert second.answer.status_code == 429
        await bridge.write("r")
        await first.next("runs", "points")
        assert await bridge.metric("tbbridge_live_events_total") == 3
    while True:  # whoever went away is noticed, and his place is free again
        async with Listener(bridge.url) as third:
            if third.answer.status_code == 200:
                break
        await asyncio.sleep(0.01)


async def test_a_feed_needs_a_token_that_reads_and_ends_when_it_is_revoked(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "LIVE_BEAT_S", 0.05)
    monkeypatch.setattr(limits, "TOKENS_LOOK_S", 0.02)
    writes, line = new_token("writer", frozenset({Scope.WRITE}))
    reads, other = new_token("reader", frozenset({Scope.READ}))
    file = tmp_path / "tokens"
    file.write_text(f"{line.line()}\n{other.line()}\n")
    file.chmod(0o600)
    async with bridge_over(tmp_path / "runs", tokens_file=file) as bridge:
        for token, status in (("", 401), (writes, 403)):
            async with Listener(bridge.url, token=token) as listener:
                assert listener.answer.status_code == status
        async with Listener(bridge.url, token=reads) as listener:
            await bridge.client.post(
                WRITE,
                json={"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1]}]}]},
                headers={"Authorization": f"Bearer {writes}"},
            )
            await listener.next("runs", "points")
            file.write_text(f"{line.line()}\n")
            with pytest.raises(EOFError):
                await listener.event()


async def test_a_stop_ends_all_listeners_and_waits_for_none(bridge) -> None:
    writer = await asleep(bridge)
    try:
        async with Listener(bridge.url) as awake:
            for _ in range(8):
                await bridge.write("r", values=[0.123456789] * 19_000)
            began = time.monotonic()
            bridge.running.cancel()
            with contextlib.suppress(EOFError):  # its end is the answer's, not a broken connection
                while True:
                    await awake.event()
            with contextlib.suppress(asyncio.CancelledError):
                await bridge.running
            assert time.monotonic() - began < 1.9  # requests under way have two seconds, which would be used up
    finally:
        writer.close()


class WatchedDoor:
    """Notes who watches it."""

    def __init__(self) -> None:
        self.watcher: Any = None

    def watch(self, watcher: Any) -> None:
        self.watcher = watcher


async def test_the_writer_is_watched_while_somebody_listens_and_a_while_after(monkeypatch) -> None:
    async def beat(_: Feed) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(limits, "LIVE_KEPT_S", 0.02)
    door, feed = WatchedDoor(), Feed(beat)
    one, two = (listener.Listener(feed, door, Wanted(), "", health=False, version="", cut_off=lambda _: None) for _ in range(2))
    assert door.watcher is None
    feed.join(door, one)
    feed.join(door, two)
    feed.leave(one)
    assert door.watcher is feed
    feed.leave(two)
    feed.join(door, one)
    await asyncio.sleep(0.05)
    assert door.watcher is feed
    feed.leave(one)
    assert door.watcher is feed
    await asyncio.sleep(0.05)
    assert door.watcher is None
