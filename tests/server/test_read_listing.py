"""The list of runs that is kept ready: own writes are in it at once, everybody's in the end, and it never lies about a run."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading

import pytest

from tbbridge import limits
from tbbridge.errors import StorageFailed
from tbbridge.events.summaries import encode_file_start
from tbbridge.server.app import build_app
from tbbridge.store.catalog import Catalog

JSON = {"content-type": "application/json"}
START = encode_file_start(1000.0, session_start=True)


@pytest.fixture(autouse=True)
def looks(monkeypatch):
    """How often all runs were looked at; none of the intervals passes unless a test says so."""
    monkeypatch.setattr(limits, "LISTING_LOOK_S", 1e6)
    monkeypatch.setattr(limits, "LISTING_STALE_S", 1e6)
    monkeypatch.setattr(limits, "LISTING_LOOK_TIMES", 0)
    monkeypatch.setattr(limits, "LISTING_STALE_TIMES", 0)
    count = []
    real = Catalog.runs
    monkeypatch.setattr(Catalog, "runs", lambda self: count.append(1) or real(self))
    return count


async def write(client, run, **column):
    body = {"runs": [{"run": run, "scalars": [{"tag": "loss", "values": [1.0], **column}]}]}
    answer = await client.post("/api/v1/write", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 200, answer.text


async def listed(client):
    answer = await client.get("/api/v1/runs")
    assert answer.status_code == 200, answer.text
    runs = answer.json()["runs"]
    assert [run["run"] for run in runs] == sorted(run["run"] for run in runs)
    return {run["run"]: run["points"] for run in runs}


def put(settings, run):
    folder = settings.logdir / run
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1.them.1.0").write_bytes(START)


async def test_own_writes_are_seen_at_once_without_another_look(client, looks):
    for number in range(20):
        await write(client, f"run/{number}")
        assert await listed(client) == {f"run/{number}": 1 for number in range(number + 1)}
    await write(client, "run/3")
    assert (await listed(client))["run/3"] == 2
    assert len(looks) == 1


async def test_many_who_ask_at_once_each_see_their_own_write(client):
    """What one of them took from the door, the others have to wait for."""

    async def one(name: str) -> None:
        for count in range(1, 8):
            await write(client, name)
            assert (await listed(client))[name] == count

    await asyncio.gather(*(one(f"run/{number}") for number in range(12)))


async def test_a_deleted_run_and_a_renamed_one_are_seen_at_once(client):
    for run in ("a", "b", "c"):
        await write(client, run)
    assert await listed(client) == {"a": 1, "b": 1, "c": 1}
    assert (await client.delete("/api/v1/runs", params={"run": "a"})).status_code == 200
    assert await listed(client) == {"b": 1, "c": 1}
    body = json.dumps({"run": "b", "to": "new/name"})
    answer = await client.post("/api/v1/runs/rename", content=body, headers=JSON)
    assert answer.status_code == 200, answer.text
    assert await listed(client) == {"c": 1, "new/name": 1}
    await write(client, "a")
    assert await listed(client) == {"a": 1, "c": 1, "new/name": 1}


async def test_what_others_change_is_found_while_the_old_list_is_given(client, app, settings, monkeypatch, looks):
    await write(client, "mine")
    assert await listed(client) == {"mine": 1}
    put(settings, "theirs")
    assert await listed(client) == {"mine": 1}
    monkeypatch.setattr(limits, "LISTING_LOOK_S", 0.0)
    while await listed(client) != {"mine": 1, "theirs": 0}:
        await asyncio.sleep(0)
    shutil.rmtree(settings.logdir / "theirs")
    while await listed(client) != {"mine": 1}:
        await asyncio.sleep(0)


async def test_after_a_while_without_questions_the_first_one_waits_for_a_look(client, settings, monkeypatch):
    assert await listed(client) == {}
    put(settings, "theirs")
    monkeypatch.setattr(limits, "LISTING_STALE_S", 0.0)
    monkeypatch.setattr(Catalog, "info", lambda self, name: pytest.fail("a look has it all"))
    assert await listed(client) == {"theirs": 0}


async def test_a_look_that_took_long_does_not_undo_what_was_written_meanwhile(client, monkeypatch):
    """It has read the run before the write, and comes back after the list was made anew."""
    await write(client, "a")
    assert await listed(client) == {"a": 1}
    read, go_on = threading.Event(), threading.Event()
    real = Catalog.runs

    def slow(self):
        found = real(self)
        read.set()
        go_on.wait(60)
        return found

    monkeypatch.setattr(Catalog, "runs", slow)
    monkeypatch.setattr(limits, "LISTING_LOOK_S", 0.0)
    assert await listed(client) == {"a": 1}  # this one starts the look
    await asyncio.to_thread(read.wait, 60)
    await write(client, "a")
    await write(client, "b")
    assert await listed(client) == {"a": 2, "b": 1}
    go_on.set()
    monkeypatch.setattr(Catalog, "runs", real)
    for _ in range(20):
        assert await listed(client) == {"a": 2, "b": 1}
        await asyncio.sleep(0)


async def test_a_failed_look_is_made_up_for(client, monkeypatch):
    """What it had taken from the door would else be missing until somebody writes to that run again."""
    await write(client, "a")
    assert await listed(client) == {"a": 1}
    await write(client, "b")

    def refuse(self, name):
        raise StorageFailed("the disk refuses")

    with monkeypatch.context() as patch:
        patch.setattr(Catalog, "info", refuse)
        assert (await client.get("/api/v1/runs")).status_code == 503
    assert await listed(client) == {"a": 1, "b": 1}


async def test_a_list_that_is_asked_for_again_comes_packed_and_never_an_old_one(client, monkeypatch):
    monkeypatch.setattr(limits, "LISTING_PACK_MIN_BYTES", 1)
    plain = {"accept-encoding": "identity"}
    for number in range(3):
        await write(client, f"run/{number}")
        expected = (await client.get("/api/v1/runs", headers=plain)).json()
        encodings = []
        while "gzip" not in encodings:
            answer = await client.get("/api/v1/runs", headers={"accept-encoding": "deflate, gzip"})
            assert answer.json() == expected
            assert answer.headers["vary"] == "accept-encoding"
            encodings.append(answer.headers.get("content-encoding", "none"))
            await asyncio.sleep(0)
        assert encodings[:2] == ["none", "none"]
        answer = await client.get("/api/v1/runs", headers=plain)
        assert ("content-encoding" in answer.headers, answer.json()) == (False, expected)


async def test_a_query_is_looked_at(client):
    await write(client, "a")
    answer = await client.get("/api/v1/runs?unknown=1")
    assert answer.status_code == 422
    assert (await client.get("/api/v1/runs?")).json() == (await client.get("/api/v1/runs")).json()


async def test_the_log_folder_is_looked_through_before_somebody_asks(settings, running):
    put(settings, "a")
    put(settings, "b/c")
    app = build_app(settings)
    async with running(app):
        async with asyncio.timeout(30):
            while len(app.state.service.catalog._indexes) < 2:
                await asyncio.sleep(0.01)


async def test_no_more_of_it_than_somebody_may_want(settings, running, monkeypatch):
    monkeypatch.setattr(limits, "LOOK_AHEAD_BYTES", 3 * len(START))
    for number in range(9):
        put(settings, f"r{number}")
    app = build_app(settings)
    async with running(app) as client:
        while len(app.state.service.catalog._indexes) < 3:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        assert len(app.state.service.catalog._indexes) == 3
        assert len(await listed(client)) == 9
