"""What was written is read back: at once, exactly, thinned out on demand, and whoever wrote it."""

from __future__ import annotations

import asyncio
import json
import math
import threading

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from tbbridge import limits
from tbbridge.errors import Stopping
from tbbridge.server.service import Service

JSON = {"content-type": "application/json"}


async def write(client, run, query="", **column):
    body = {"runs": [{"run": run, "scalars": [{"tag": "loss", **column}]}]}
    answer = await client.post("/api/v1/write" + query, content=json.dumps(body), headers=JSON)
    assert answer.status_code in (200, 202), answer.text


async def read(client, run, tag="loss", **query):
    answer = await client.get("/api/v1/scalars", params={"run": run, "tag": tag, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_read_after_a_200_sees_the_point(client):
    for step in range(30):
        await write(client, "a", steps=[step], values=[step / 4])
        assert (await read(client, "a"))["steps"] == list(range(step + 1))


async def test_many_writers_each_read_their_own(client):
    async def one(name: str) -> None:
        for step in range(10):
            await write(client, name, steps=[step], values=[1.0])
            assert (await read(client, name))["steps"] == list(range(step + 1))

    await asyncio.gather(*(one(f"group/{number}") for number in range(8)))


async def test_values_come_back_as_tensorboard_holds_them(client):
    values = [0.1, 1e39, -0.0, 1e-46, "NaN", "-Infinity"]
    steps = [-(2**63), -1, 0, 2**31, 2**53 + 1, 2**63 - 1]
    await write(client, "a", steps=steps, values=values, wall_times=[0, -1.5, 1e9, 2e9, 3e9, 4e9])
    got = await read(client, "a")
    assert got["steps"] == steps
    assert got["values"] == [float(np.float32(0.1)), "Infinity", 0.0, 0.0, "NaN", "-Infinity"]
    assert math.copysign(1, got["values"][2]) == -1
    assert got["wall_times"] == [0.0, -1.5, 1e9, 2e9, 3e9, 4e9]


@pytest.mark.parametrize(
    ("query", "steps"),
    [
        ({}, list(range(10))),
        ({"min_step": 7}, [7, 8, 9]),
        ({"max_step": 2}, [0, 1, 2]),
        ({"min_step": 3, "max_step": 4}, [3, 4]),
        ({"min_step": 100}, []),
    ],
)
async def test_steps_bound_what_is_read(client, query, steps):
    await write(client, "a", steps=list(range(10)), values=[1.0] * 10)
    got = await read(client, "a", **query)
    assert (got["steps"], got["count"]) == (steps, len(steps))
    assert len(got["values"]) == len(got["wall_times"]) == len(steps)


async def test_max_points_keeps_the_spike_and_both_ends(client):
    values = [math.sin(step / 100) for step in range(10_000)]
    values[4321] = 99.0
    await write(client, "a", steps=list(range(10_000)), values=values)
    got = await read(client, "a", max_points=100)
    assert len(got["steps"]) <= 100
    assert got["count"] == 10_000
    assert (got["steps"][0], got["steps"][-1]) == (0, 9999)
    assert got["values"][got["steps"].index(4321)] == 99.0
    assert got["steps"] == sorted(set(got["steps"]))


async def test_candlesticks_hold_the_quartiles_of_each_bin(client):
    values = [*range(10), "NaN", 7.5, *range(12, 20)]
    await write(client, "a", steps=list(range(20)), values=values)
    assert await read(client, "a", downsample="candlestick", max_points=2) == {
        "kind": "candlesticks",
        "run": "a",
        "tag": "loss",
        "count": 20,
        "first_steps": [0, 10],
        "last_steps": [9, 19],
        "counts": [10, 9],
        "nans": [0, 1],
        "min": [0.0, 7.5],
        "q1": [2.25, 13.0],
        "median": [4.5, 15.0],
        "q3": [6.75, 17.0],
        "max": [9.0, 19.0],
    }
    assert len((await read(client, "a", downsample="candlestick"))["counts"]) == 20
    ranged = await read(client, "a", downsample="candlestick", max_points=2, min_step=18, max_step=18)
    assert (ranged["count"], ranged["median"]) == (1, [18.0])
    assert (await read(client, "a", downsample="candlestick", min_step=99))["min"] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"downsample": "none", "max_points": 5}, "leave max_points out"),
        ({"downsample": "minmax"}, "is missing"),
        ({"downsample": "candlestick", "max_points": limits.CANDLESTICK_MAX_BINS + 1}, "up to"),
        ({"downsample": "mean"}, "'mean' is refused"),
        ({"format": "xml"}, "'xml' is refused"),
        ({"max_points": 1}, "max_points"),
    ],
)
async def test_parameters_that_do_not_go_together_are_refused(client, query, said):
    answer = await client.get("/api/v1/scalars", params={"run": "a", "tag": "loss", **query})
    assert (answer.status_code, said in answer.text) == (422, True)


async def test_csv_has_a_line_a_point_and_reads_back_exactly(client, monkeypatch):
    monkeypatch.setattr(limits, "CSV_PIECE_LINES", 3)
    values = [0.1, "NaN", "-Infinity", 1e-40, -2.0, 3.0, 4.0]
    steps = [-(2**63), 0, 1, 2, 3, 2**62, 2**63 - 1]
    await write(client, "a", steps=steps, values=values, wall_times=[1.5] * 7)
    answer = await client.get("/api/v1/scalars", params={"run": "a", "tag": "loss", "format": "csv"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    head, *lines = answer.text.splitlines()
    assert head == "step,wall_time,value"
    rows = [line.split(",") for line in lines]
    assert [int(row[0]) for row in rows] == steps
    assert [row[2] for row in rows][1:3] == ["NaN", "-Infinity"]
    assert np.array_equal([np.float32(row[2]) for row in rows], np.float32([float(value) for value in values]), equal_nan=True)
    answer = await client.get(
        "/api/v1/scalars", params={"run": "a", "tag": "loss", "format": "csv", "downsample": "candlestick"}
    )
    assert answer.text.splitlines()[0] == "first_steps,last_steps,counts,nans,min,q1,median,q3,max"


async def test_an_answer_in_pieces_is_the_same_json(client, monkeypatch):
    count = 2 * limits.READ_PIECE_POINTS + 1
    values = [float(step % 1000) for step in range(count - 1)] + ["NaN"]
    await write(client, "a/'\"b", steps=list(range(count)), values=values)
    got = await read(client, "a/'\"b")
    assert (got["run"], got["count"], got["steps"], got["values"]) == ("a/'\"b", count, list(range(count)), values)
    monkeypatch.setattr(limits, "READ_MAX_POINTS", 1000)
    answer = await client.get("/api/v1/scalars", params={"run": "a/'\"b", "tag": "loss"})
    assert (answer.status_code, answer.json()["errors"][0]["path"]) == (422, "max_points")
    assert (await read(client, "a/'\"b", max_points=1000))["count"] == count


async def test_runs_are_listed_with_what_they_hold(client):
    body = {
        "runs": [
            {
                "run": "b/ä,lr=1e-3",
                "scalars": [{"tag": "x", "steps": [5, 7], "values": [1, 2], "wall_times": [10, 20]}],
                "summaries": [
                    {"kind": "text", "tag": "note", "text": "hi", "step": 1, "wall_time": 5},
                    {"kind": "histogram", "tag": "w", "values": [1, 2], "step": 9, "wall_time": 30},
                ],
            },
            {"run": "a", "scalars": [{"tag": "x", "values": [1]}]},
        ]
    }
    await client.post("/api/v1/write", content=json.dumps(body), headers=JSON)
    first, second = (await client.get("/api/v1/runs")).json()["runs"]
    assert (first["run"], first["points"], first["tags"]) == ("a", 1, None)
    assert second.pop("size_bytes") > 100
    assert second == {
        "run": "b/ä,lr=1e-3",
        "tag_counts": {"scalar": 1, "text": 1, "histogram": 1},
        "points": 4,
        "first_step": 1,
        "last_step": 9,
        "first_wall_time": 5.0,
        "last_wall_time": 30.0,
        "status": None,
        "tags": None,
    }
    (one,) = (await client.get("/api/v1/runs", params={"run": "b/ä,lr=1e-3"})).json()["runs"]
    x, note, _ = one["tags"]
    assert x == {
        "tag": "x",
        "kind": "scalar",
        "count": 2,
        "first_step": 5,
        "last_step": 7,
        "first_wall_time": 10.0,
        "last_wall_time": 20.0,
    }
    assert (note["tag"], note["kind"]) == ("note", "text")


async def test_files_of_other_writers_are_read_too(client, settings):
    with SummaryWriter(str(settings.logdir / "theirs")) as writer:
        for step in range(100):
            writer.add_scalar("loss", step / 8, step, walltime=1000 + step)
        writer.add_text("note", "hi", 3)
    got = await read(client, "theirs")
    assert (got["steps"], got["values"]) == (list(range(100)), [step / 8 for step in range(100)])
    (run,) = (await client.get("/api/v1/runs", params={"run": "theirs"})).json()["runs"]
    assert run["tag_counts"] == {"scalar": 1, "text": 1}


async def test_a_misspelt_name_is_told_what_it_may_mean(client):
    await write(client, "digits/lr=1e-3", values=[1.0])
    for query, hint in (
        ({"run": "digits/lr=1e3", "tag": "loss"}, "lr=1e-3"),
        ({"run": "digits/lr=1e-3", "tag": "los"}, "'loss'"),
    ):
        answer = await client.get("/api/v1/scalars", params=query)
        assert answer.status_code == 404
        assert hint in answer.json()["detail"]


async def test_a_tag_that_is_no_scalar_says_what_it_is(client):
    body = {"runs": [{"run": "a", "summaries": [{"kind": "text", "tag": "note", "text": "hi"}]}]}
    await client.post("/api/v1/write", content=json.dumps(body), headers=JSON)
    answer = await client.get("/api/v1/scalars", params={"run": "a", "tag": "note"})
    assert (answer.status_code, "kind text" in answer.json()["detail"]) == (404, True)


async def test_metrics_count_what_happened(client):
    await write(client, "a", values=[1.0, 2.0])
    await client.get("/made/up/by/a/stranger")
    text = (await client.get("/metrics")).text
    assert 'tbbridge_points_total{kind="scalar"} 2.0' in text
    assert "tbbridge_ready 1.0" in text
    assert 'tbbridge_requests_total{method="POST",route="/api/v1/write",status="200"} 1.0' in text
    assert 'tbbridge_requests_total{method="GET",route="none",status="404"} 1.0' in text
    assert 'tbbridge_request_seconds_count{route="/api/v1/write"} 1.0' in text
    assert "stranger" not in text


async def test_version_says_what_runs(client):
    answer = (await client.get("/api/v1/version")).json()
    assert (answer["api"], answer["version"].count(".")) == (1, 2)


async def test_large_reads_do_not_pile_up_in_memory_and_who_waits_can_be_cancelled(settings):
    service = Service.of(settings)
    gate = threading.Event()
    lock = threading.Lock()
    now, most = 0, 0

    def look() -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        gate.wait(60)
        with lock:
            now -= 1

    reads = [asyncio.create_task(service.read(look)) for _ in range(limits.READS_AT_ONCE + 3)]
    while now < limits.READS_AT_ONCE:
        await asyncio.sleep(0)
    reads[-1].cancel()
    with pytest.raises(asyncio.CancelledError):
        await reads[-1]
    gate.set()
    await asyncio.gather(*reads[:-1])
    assert most == limits.READS_AT_ONCE


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/runs",
        "/api/v1/runs?run=a",
        "/api/v1/scalars?run=a&tag=loss&max_points=2",
        "/api/v1/scalars?run=a&tag=loss&downsample=candlestick&format=csv",
        "/api/v1/texts?run=a&tag=note",
        "/api/v1/embeddings?run=a&tag=e",
        "/api/v1/blob?run=a&tag=graph",
        "/api/v1/export?tag=missing",
    ],
)
async def test_every_route_that_reads_files_waits_its_turn(app, client, path):
    taken = []

    class Counted(asyncio.Semaphore):
        async def acquire(self) -> bool:
            taken.append(path)
            return await super().acquire()

    await write(client, "a", values=[1.0, 2.0, 3.0])
    app.state.service.reads = Counted(1)
    assert (await client.get(path)).status_code in (200, 404)
    assert taken == [path]


async def test_the_end_of_the_app_ends_what_is_still_reading(app):
    """A read that nobody waits for any more: the process would wait for its thread all the same."""
    async with app.router.lifespan_context(app):
        assert app.state.service.catalog.runs() == []
    with pytest.raises(Stopping):
        app.state.service.catalog.runs()
