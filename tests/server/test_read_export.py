"""An export holds every point, in each format, exactly; and one that is cut off does not look whole."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
import threading

import numpy as np
import pytest
from tensorboardX import SummaryWriter

from tbbridge import limits
from tbbridge.server.routes.read_export import _streamed
from tbbridge.server.service import Service
from tbbridge.store.catalog import Catalog
from tbbridge.store.export import export_tensorboard_json

JSON = {"content-type": "application/json"}
NAN, INF = float("nan"), float("inf")
# run -> tag -> (steps, values as stored); names that CSV and JSON have to quote.
SENT = {
    "a": {"loss": ([0, 1, 1, -5], [0.5, NAN, INF, -INF]), 'q"u,o\nté': ([2**62], [0.25])},
    "b/c,d": {"loss": ([7], [1.0]), "acc": (list(range(30)), [step / 4 for step in range(30)])},
}


@pytest.fixture
async def filled(client):
    runs = []
    for run, tags in SENT.items():
        scalars = [
            {"tag": tag, "steps": steps, "values": values, "wall_times": [1e9 + step / 8 for step in range(len(steps))]}
            for tag, (steps, values) in tags.items()
        ]
        runs.append({"run": run, "scalars": scalars, "summaries": [{"kind": "text", "tag": "note", "text": "hi"}]})
    answer = await client.post("/api/v1/write", content=json.dumps({"runs": runs}), headers=JSON)
    assert answer.status_code == 200, answer.text
    return client


async def export(client, **query):
    answer = await client.get("/api/v1/export", params=query)
    assert answer.status_code == 200, answer.text
    return answer.text


def number(text):
    return {"NaN": NAN, "Infinity": INF, "-Infinity": -INF}[text] if text in ("NaN", "Infinity", "-Infinity") else float(text)


def from_csv(text):
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["run", "tag", "step", "wall_time", "value"]
    return [(run, tag, int(step), float(time), number(value)) for run, tag, step, time, value in rows[1:]]


def from_jsonl(text):
    rows = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    return [(row["run"], row["tag"], row["step"], row["wall_time"], number(row["value"])) for row in rows]


def check(rows, runs=SENT):
    found = {}
    for run, tag, step, time, value in rows:
        found.setdefault(run, {}).setdefault(tag, []).append((step, time, value))
    expected = {
        run: {
            tag: [(step, 1e9 + at / 8, value) for at, (step, value) in enumerate(zip(steps, values, strict=True))]
            for tag, (steps, values) in tags.items()
        }
        for run, tags in runs.items()
    }
    assert repr({run: dict(sorted(tags.items())) for run, tags in sorted(found.items())}) == repr(
        {run: dict(sorted(tags.items())) for run, tags in sorted(expected.items())}
    )


@pytest.mark.parametrize(("form", "parse"), [("csv", from_csv), ("jsonl", from_jsonl)])
async def test_every_point_is_a_row(filled, form, parse, monkeypatch):
    monkeypatch.setattr(limits, "READ_PIECE_POINTS", 7)
    monkeypatch.setattr(limits, "EXPORT_PIECE_BYTES", 100)
    check(parse(await export(filled, format=form)))
    check(parse(await export(filled, format=form, run="a")), {"a": SENT["a"]})
    check(parse(await export(filled, format=form, run=["b/c,d", "a", "a"])))
    only = {run: {"loss": tags["loss"]} for run, tags in SENT.items()}
    check(parse(await export(filled, format=form, tag="loss")), only)
    check(parse(await export(filled, format=form, tag="acc")), {"b/c,d": {"acc": SENT["b/c,d"]["acc"]}})


@pytest.mark.parametrize("tags", [["loss", "acc"], ["acc", "loss", "acc"]])
async def test_of_several_tags_none_is_left_out(filled, tags):
    """`tbbridge export --tag loss --tag acc` once gave the last one only, and said nothing."""
    wanted = {run: {tag: points for tag, points in held.items() if tag in tags} for run, held in SENT.items()}
    check(from_csv(await export(filled, tag=tags)), wanted)
    check(from_jsonl(await export(filled, format="jsonl", tag=tags)), wanted)
    shown = json.loads(await export(filled, format="tensorboard-json", tag=tags))
    assert set(shown) == {f"{run}/{tag}" for run, held in wanted.items() for tag in held}


@pytest.mark.parametrize("held", [1, 5, 31, 1000])
async def test_tensorboardx_json_has_each_series_once_whatever_fits_in_memory(filled, monkeypatch, held):
    monkeypatch.setattr(limits, "EXPORT_HELD_POINTS", held)
    monkeypatch.setattr(limits, "READ_PIECE_POINTS", 7)
    pairs = json.loads(
        await export(filled, format="tensorboard-json"), object_pairs_hook=lambda found: found, parse_constant=pytest.fail
    )
    assert len(pairs) == len(dict(pairs)) == 4
    split = {f"{run}/{tag}": (run, tag) for run, tags in SENT.items() for tag in tags}
    check([(*split[key], step, time, number(str(value))) for key, points in pairs for time, step, value in points])


async def test_the_json_has_the_form_that_tensorboardx_gives_it(client, settings, tmp_path):
    with SummaryWriter(str(settings.logdir / "x")) as writer:
        for step in range(20):
            writer.add_scalars("group", {"sin": math.sin(step), "cos": math.cos(step)}, step, walltime=1000 + step)
        writer.export_scalars_to_json(str(tmp_path / "theirs.json"))
    theirs = json.loads((tmp_path / "theirs.json").read_text())
    ours = json.loads(await export(client, format="tensorboard-json"))
    assert len(ours) == len(theirs) == 2
    assert np.allclose(sorted(ours.values()), sorted(theirs.values()))


@pytest.mark.parametrize(
    ("form", "text"), [("csv", "run,tag,step,wall_time,value\n"), ("jsonl", ""), ("tensorboard-json", "{}\n")]
)
async def test_no_runs_are_no_points(client, form, text):
    assert await export(client, format=form) == text


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"run": "missing"}, 404, "no run 'missing'"),
        ({"run": ["a", "missing"], "format": "jsonl"}, 404, "no run 'missing'"),
        ({"run": "a", "tag": "los", "format": "tensorboard-json"}, 404, "did you mean 'loss'"),
        ({"run": "a", "tag": "note"}, 404, "kind text"),
        ({"tag": "nowhere"}, 404, "none of 2 runs"),
        ({"tag": ["loss", "nowhere"]}, 404, "'nowhere'"),
        ({"format": ["csv", "jsonl"]}, 422, "format: this parameter comes 2 times"),
        ({"run": "../a"}, 422, "'..'"),
        ({"format": "xml"}, 422, "format"),
        ({"max_points": "2"}, 422, "no such parameter"),
    ],
)
async def test_a_wrong_question_has_a_status_of_its_own(filled, query, status, said):
    answer = await filled.get("/api/v1/export", params=query)
    assert answer.status_code == status
    assert said in answer.text


async def test_two_series_that_would_have_one_key_are_refused(client):
    """In an object the second one would silently take the place of the first."""
    runs = [{"run": "a", "scalars": [{"tag": "b/c", "values": [1]}]}, {"run": "a/b", "scalars": [{"tag": "c", "values": [2]}]}]
    await client.post("/api/v1/write", content=json.dumps({"runs": runs}), headers=JSON)
    answer = await client.get("/api/v1/export", params={"format": "tensorboard-json"})
    assert (answer.status_code, "'a/b/c'" in answer.json()["detail"]) == (409, True)
    assert json.loads(await export(client, format="tensorboard-json", run="a/b"))["a/b/c"][0][2] == 2.0


async def test_a_download_is_named_and_typed(filled):
    for form, kind, ending in (
        ("csv", "text/csv; charset=utf-8", "csv"),
        ("jsonl", "application/x-ndjson", "jsonl"),
        ("tensorboard-json", "application/json", "json"),
    ):
        answer = await filled.get("/api/v1/export", params={"format": form})
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"] == f'attachment; filename="export.{ending}"'


def test_a_large_tag_is_never_held_as_a_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "EXPORT_HELD_POINTS", 100)
    monkeypatch.setattr(limits, "READ_PIECE_POINTS", 100)
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", 5000)
    with SummaryWriter(str(tmp_path / "x")) as writer:
        for step in range(2000):
            writer.add_scalar("loss", step, step)
    pieces = list(export_tensorboard_json(Catalog(tmp_path), ["x"], ()))
    assert max(map(len, pieces)) < 10_000
    assert [point[1] for point in json.loads(b"".join(pieces))["x/loss"]] == list(range(2000))


@pytest.mark.parametrize("under_way", [False, True])
async def test_a_receiver_that_goes_away_leaves_no_file_open(settings, under_way):
    """Whether it goes between two pieces, or while a thread makes the next one."""
    closed, loop = asyncio.Event(), asyncio.get_running_loop()
    making, go_on = threading.Event(), threading.Event()

    def pieces():
        try:
            while True:
                yield b"x" * limits.EXPORT_PIECE_BYTES
                making.set()
                go_on.wait(60)
        finally:
            loop.call_soon_threadsafe(closed.set)

    answer = _streamed(Service.of(settings), b"head", pieces())
    assert [await anext(answer), len(await anext(answer))] == [b"head", limits.EXPORT_PIECE_BYTES]
    if under_way:
        waiting = asyncio.create_task(anext(answer))
        await asyncio.to_thread(making.wait, 60)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert not closed.is_set()
        go_on.set()
    await answer.aclose()
    await asyncio.wait_for(closed.wait(), 60)
