"""GET /api/v1/runs says how runs are, as JSON and protobuf senders said it, and which have fallen silent."""

from __future__ import annotations

import json

import pytest

from tbbridge import limits

JSON = {"content-type": "application/json"}


async def write(client, run, status=None, points=True):
    item = {"run": run}
    if points:
        item["scalars"] = [{"tag": "loss", "values": [1.0]}]
    if status is not None:
        item["status"] = status
    return await client.post("/api/v1/write", content=json.dumps({"runs": [item]}), headers=JSON)


async def listed(client):
    every = (await client.get("/api/v1/runs")).json()["runs"]
    for run in every:
        (one,) = (await client.get("/api/v1/runs", params={"run": run["run"]})).json()["runs"]
        assert one["status"] == run["status"]
    return {run["run"]: run["status"] for run in every}


async def test_the_list_follows_every_word(client):
    await write(client, "a", "running")
    await write(client, "b")
    assert await listed(client) == {"a": "running", "b": None}
    for status in ("failed", "running", "finished"):
        assert (await write(client, "a", status, points=False)).status_code == 200
        assert await listed(client) == {"a": status, "b": None}


async def test_a_silent_run_is_listed_as_lost_without_anybody_writing(client, app, monkeypatch):
    await write(client, "a", "running")
    await write(client, "b", "finished")
    assert await listed(client) == {"a": "running", "b": "finished"}
    monkeypatch.setattr(limits, "RUN_LOST_AFTER_S", -1.0)
    app.state.service.opened._heartbeats._look_at = 0.0  # the time has come
    assert await listed(client) == {"a": "lost", "b": "finished"}


@pytest.mark.parametrize("status", ["done", 1, None, "lost"])
async def test_a_status_that_is_none_is_refused_and_named(client, status):
    body = {"runs": [{"run": "a", "scalars": [{"tag": "loss", "values": [1.0]}], "status": status}]}
    answer = await client.post("/api/v1/write", content=json.dumps(body), headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "runs[0].status"
