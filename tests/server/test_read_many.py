"""GET /api/v1/scalars/many: each series as GET /api/v1/scalars has it, of all runs and tags that were asked for."""

from __future__ import annotations

import pytest

from tbbridge import limits

MANY = "/api/v1/scalars/many"
ONE = "/api/v1/scalars"


@pytest.fixture
async def filled(client):
    runs = []
    for number, run in enumerate(("a", "b/c", "d")):
        columns = [{"tag": "x", "values": [float(number), "NaN", 3.0]}, {"tag": f"y{number}", "values": [7.0] * 5}]
        runs.append({"run": run, "scalars": columns, "summaries": [{"kind": "text", "tag": "note", "text": "no scalar"}]})
    wave = [((step * 37) % 101) / 7 for step in range(3000)]
    runs.append({"run": "long", "scalars": [{"tag": "x", "values": wave}]})
    assert (await client.post("/api/v1/write", json={"runs": runs})).status_code == 200
    return client


async def ask(client, **query):
    answer = await client.get(MANY, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["series"]


async def single(client, **query):
    return (await client.get(ONE, params=query)).json()


CASES = {
    "every point": {},
    "a range of steps": {"min_step": 1, "max_step": 2000},
    "thinned out": {"max_points": 50, "min_step": 0},
    "candlesticks": {"downsample": "candlestick", "max_points": 20},
    "few enough": {"max_points": 1000, "run": ["a", "d"]},
}


@pytest.mark.parametrize("query", CASES.values(), ids=CASES)
async def test_each_series_is_the_one_that_is_read_alone(filled, query) -> None:
    runs = query.get("run", ["a", "b/c", "d", "long"])
    found = await ask(filled, tag="x", **query)
    assert found == [await single(filled, tag="x", **{**query, "run": run}) for run in runs]


async def test_overviews_have_the_lowest_the_highest_and_the_ends(filled) -> None:
    (found,) = await ask(filled, tag="x", run="long", max_points=100)
    whole = await single(filled, tag="x", run="long")
    assert found["count"] == 3000
    assert len(found["steps"]) <= 100
    assert (found["steps"][0], found["steps"][-1]) == (0, 2999)
    assert (min(found["values"]), max(found["values"])) == (min(whole["values"]), max(whole["values"]))
    assert all(whole["values"][step] == value for step, value in zip(found["steps"], found["values"], strict=True))


async def test_points_that_were_just_written_are_in_it(filled) -> None:
    for step in range(5):
        body = {"runs": [{"run": "a", "scalars": [{"tag": "x", "steps": [100 + step], "values": [step]}]}]}
        await filled.post("/api/v1/write", json=body)
        (found,) = await ask(filled, tag="x", run="a", max_points=500)
        assert (found["steps"][-1], found["values"][-1], found["count"]) == (100 + step, step, 4 + step)


async def test_what_is_not_there_is_left_out(filled) -> None:
    asked = {"tag": ["y1", "x", "note", "never", "y1"], "run": ["d", "nobody", "b/c", "d"], "max_points": 10}
    found = await ask(filled, **asked)
    assert [(one["tag"], one["run"]) for one in found] == [("y1", "b/c"), ("x", "d"), ("x", "b/c")]
    assert await ask(filled, **asked, min_step=0) == found
    assert await ask(filled, tag="never") == []


WRONG = {
    "no tag": ({}, "tag"),
    "a parameter that is none": ({"tag": "x", "points": 3}, "points"),
    "all points, but not too many": ({"tag": "x", "downsample": "none", "max_points": 3}, "max_points"),
    "a run that cannot be": ({"tag": "x", "run": "../x"}, "run"),
}


@pytest.mark.parametrize(("query", "path"), WRONG.values(), ids=WRONG)
async def test_wrong_questions_are_told_what_is_wrong(filled, query, path) -> None:
    answer = await filled.get(MANY, params=query)
    assert answer.status_code == 422
    assert [error["path"] for error in answer.json()["errors"]] == [path]


async def test_an_answer_is_bounded(filled, monkeypatch) -> None:
    monkeypatch.setattr(limits, "READ_MANY_MAX_POINTS", 3005)
    answer = await filled.get(MANY, params={"tag": "x"})
    assert answer.status_code == 422
    assert "ask for fewer runs or tags" in answer.json()["detail"]
    assert len(await ask(filled, tag="x", max_points=100)) == 4
