"""lapiz's routes: health, runs, a step's summaries, backup and restore; refusals as one line of plain text."""

from __future__ import annotations

import io
import json
import threading
import zipfile

import pytest

from tbbridge.errors import QueueFull
from tbbridge.wire import lapiz

NAME = "run0,lr=1e-3,lambda=1e-1"
JSON = {"content-type": "application/json"}
ZIP = {"content-type": "application/zip"}


def step(number: int, *summaries):
    return {"wall_time": 1501914380.78, "step": number, "summaries": list(summaries)}


def scalar(value, tag="accuracy"):
    return {"tag": tag, "type": "scalar", "value": value}


def ok(answer) -> None:
    assert (answer.status_code, answer.text) == (200, "OK")


def refused(answer, status: int, says: str) -> None:
    assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8"), answer.text
    assert says in answer.text


async def points(client, run=NAME, tag="accuracy"):
    series = (await client.get("/api/v1/scalars", params={"run": run, "tag": tag})).json()
    return list(zip(series["steps"], series["values"], strict=True))


@pytest.mark.parametrize("host", ["trainer:6007", "trainer", "10.1.2.3:6007", "[::1]:6007"])
async def test_health_is_what_lapizs_client_looks_at(client, settings, host):
    for path, accept in (("/health", "*/*"), ("/", "application/json")):
        answer = await client.get(path, headers={"host": host, "accept": accept})
        said = answer.json()
        assert (answer.status_code, said["health"], said["version"]) == (200, "OK", "0.5.0")
        assert said["message"].startswith("tbbridge ")
        assert said["tensorboard"] == {
            "logdir": str(settings.logdir),
            "address": f"http://{host.removesuffix(':6007')}:6006",
        }


async def test_runs_with_values_and_without_are_told_apart(client, settings):
    (settings.logdir / "folder").mkdir(parents=True)
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(0, scalar(0.5))))
    await client.post("/data", json="made by crayon")
    assert (await client.get("/data/runs")).json() == {"runs": [NAME], "empty_runs": ["folder", "made by crayon"]}


async def test_a_step_is_read_back_by_every_interface(client):
    histo = {"tag": "w", "type": "histogram", "weights": [1, 2, 3], "histo": None}
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(1, scalar(0.25), histo)))
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(2, scalar(0.5))))
    assert await points(client) == [(1, 0.25), (2, 0.5)]
    assert (await client.get("/data", params={"xp": NAME})).json() == {"scalars": ["accuracy"], "histograms": ["w"]}
    rows = (await client.get("/data/scalars", params={"xp": NAME, "name": "accuracy"})).json()
    assert rows == [[1501914380.78, 1, 0.25], [1501914380.78, 2, 0.5]]


@pytest.mark.parametrize(
    ("path", "run"),
    [
        ("plain", "plain"),
        ("deep/er/run", "deep/er/run"),
        ("a%20b%2Fc", "a b/c"),
        ("%CE%BB=1", "λ=1"),
        ("run/x/summary", "run/x/summary"),
    ],
)
async def test_the_path_holds_the_name(client, path, run):
    ok(await client.post(f"/data/run/{path}/summary", json=step(1, scalar(1))))
    assert await points(client, run) == [(1, 1.0)]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("a%00b", "control character"),
        ("a%0Ab", "control character"),
        ("%2e%2e/%2e%2e/etc", "'..'"),
        ("/etc", "starts with '/'"),
        ("a//b", "the part ''"),
        ("%ff", "the path is not UTF-8"),
        ("x" * 10_000, "1 to 512 bytes"),
        (".tbbridge", "kept for tbbridge"),
    ],
)
async def test_a_path_that_holds_no_name_is_refused(client, path, says):
    refused(await client.post(f"/data/run/{path}/summary", json=step(1, scalar(1))), 400, says)
    assert (await client.get("/data/runs")).json() == {"runs": [], "empty_runs": []}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (step(1, scalar(1), scalar("x")), "summaries[1].value: value is the text"),
        (step(1, scalar(1), {"tag": "t", "type": "smell"}), "summaries[1].type: type is the text"),
        (step(1.5, scalar(1)), "step is 1.5"),
        ([], "the body is a list"),
    ],
)
async def test_a_step_with_anything_wrong_is_refused_whole(client, body, says):
    refused(await client.post(f"/data/run/{NAME}/summary", json=body), 400, says)
    assert (await client.get("/data/runs")).json() == {"runs": [], "empty_runs": []}


async def test_a_step_of_nothing_is_taken_and_makes_no_run(client):
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(1)))
    assert (await client.get("/data/runs")).json()["runs"] == []


async def test_a_tag_of_another_kind_is_refused(client):
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(1, scalar(1))))
    histogram = {"tag": "accuracy", "type": "histogram", "weights": [1]}
    refused(await client.post(f"/data/run/{NAME}/summary", json=step(2, histogram)), 400, "holds scalar values")


async def test_a_body_that_is_not_called_json_is_refused(client):
    answer = await client.post(f"/data/run/{NAME}/summary", content=json.dumps(step(1, scalar(1))))
    refused(answer, 400, "no Content-Type came; send application/json")


async def test_a_full_queue_says_so_by_its_status(fake_client, door):
    door.error = QueueFull("full")
    answer = await fake_client.post(f"/data/run/{NAME}/summary", json=step(1, scalar(1)))
    refused(answer, 429, "full")
    assert answer.headers["retry-after"] == "1"


async def test_a_long_step_is_decoded_beside_the_event_loop(client, monkeypatch):
    threads = []
    decode = lapiz.decode_summaries

    def watched(run, body):
        threads.append(threading.current_thread() is threading.main_thread())
        return decode(run, body)

    monkeypatch.setattr(lapiz, "decode_summaries", watched)
    weights = {"tag": "w", "type": "histogram", "weights": [0.123] * 100_000}
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(1, weights)))
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(1, scalar(1))))
    assert threads == [False, True]


# --- backup and restore -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("run", [NAME, "deep/er"])
async def test_a_run_comes_back_from_its_backup(client, run):
    ok(await client.post(f"/data/run/{run}/summary", json=step(1, scalar(0.5))))
    answer = await client.get(f"/data/backup/{run}")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    names = zipfile.ZipFile(io.BytesIO(answer.content)).namelist()
    own = run.rpartition("/")[2]
    assert {name.partition("/")[0] for name in names} == {own}, "entries start with the run's own folder"
    await client.delete("/api/v1/runs", params={"run": run})
    ok(await client.post(f"/backup/{run}", params={"force": "true"}, content=answer.content, headers=ZIP))
    ok(await client.post("/backup/other", files={"archive": ("backup.zip", answer.content)}))
    for name in (run, "other"):
        assert await points(client, name) == [(1, 0.5)]


async def test_force_replaces_a_run_and_without_it_one_that_is_there_stays(client):
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(1, scalar(0.5))))
    zipped = (await client.get(f"/data/backup/{NAME}")).content
    ok(await client.post(f"/data/run/{NAME}/summary", json=step(2, scalar(0.75))))
    refused(await client.post(f"/backup/{NAME}", content=zipped, headers=ZIP), 409, NAME)
    assert await points(client) == [(1, 0.5), (2, 0.75)]
    ok(await client.post(f"/backup/{NAME}", params={"force": "true"}, content=zipped, headers=ZIP))
    assert await points(client) == [(1, 0.5)]


async def test_what_is_not_there_has_no_backup(client):
    refused(await client.get("/data/backup/nope"), 404, "there is no run 'nope'")
    refused(await client.get("/data/backup/a//b"), 400, "the part ''")


@pytest.mark.parametrize(
    ("content", "params", "says"),
    [(b"no zip", {"force": "true"}, "send a whole zip"), (b"PK", {"force": "perhaps"}, "force is the text")],
)
async def test_an_archive_that_is_none_is_refused(client, content, params, says):
    refused(await client.post("/backup/new", params=params, content=content, headers=ZIP), 400, says)
    assert (await client.get("/data/runs")).json() == {"runs": [], "empty_runs": []}
