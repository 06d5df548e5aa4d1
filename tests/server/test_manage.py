"""Deleting, renaming, archiving and restoring over HTTP, in front of the real pipeline; its own rules are tests/pipeline's."""

from __future__ import annotations

import asyncio
import io
import os
import zipfile
from pathlib import Path

import httpx
import pytest

from tbbridge import limits
from tbbridge.server.app import build_app
from tbbridge.server.routes import archives
from tbbridge.server.settings import ServerSettings

RUN = "digits/lr=1e-3"


async def write(client: httpx.AsyncClient, run: str = RUN, tags: tuple[str, ...] = ("loss",), values: int = 3) -> None:
    scalars = [{"tag": tag, "values": list(range(values))} for tag in tags]
    answer = await client.post("/api/v1/write", json={"runs": [{"run": run, "scalars": scalars}]})
    assert answer.status_code == 200, answer.text


async def tags(client: httpx.AsyncClient, run: str) -> dict[str, int] | None:
    """Values by tag, or None if there is no such run."""
    answer = await client.get("/api/v1/runs", params={"run": run})
    if answer.status_code == 404:
        return None
    return {tag["tag"]: tag["count"] for tag in answer.json()["runs"][0]["tags"]}


async def archived(client: httpx.AsyncClient, run: str = RUN) -> bytes:
    answer = await client.get("/api/v1/archive", params={"run": run})
    assert answer.status_code == 200, answer.text
    return answer.content


def stages(settings: ServerSettings) -> list[str]:
    folder = settings.logdir / ".tbbridge" / "staged"
    return os.listdir(folder) if folder.exists() else []


def event_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.rglob("*tfevents*")}


# --- delete and rename ------------------------------------------------------------------------------------------------


async def test_a_run_is_deleted_and_starts_afresh(client):
    await write(client, values=3)
    answer = await client.delete("/api/v1/runs", params={"run": RUN})
    assert (answer.status_code, answer.json()) == (200, {"runs": [RUN], "warnings": []})
    assert await tags(client, RUN) is None
    await write(client, values=1)
    points = (await client.get("/api/v1/scalars", params={"run": RUN, "tag": "loss"})).json()
    assert (points["steps"], points["values"]) == ([0], [0.0])


async def test_one_tag_is_deleted_and_the_others_stay(client):
    await write(client, tags=("loss", "accuracy"))
    answer = await client.delete("/api/v1/runs", params={"run": RUN, "tag": "loss"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["runs"] == [RUN]
    assert await tags(client, RUN) == {"accuracy": 3}


async def test_runs_below_are_deleted_only_if_asked(client):
    for run in ("a", "a/b", "a/b/c"):
        await write(client, run)
    await client.delete("/api/v1/runs", params={"run": "a/b"})
    assert [await tags(client, run) is None for run in ("a", "a/b", "a/b/c")] == [False, True, False]
    answer = await client.delete("/api/v1/runs", params={"run": "a", "below": "true"})
    assert sorted(answer.json()["runs"]) == ["a", "a/b/c"]
    assert (await client.get("/api/v1/runs")).json()["runs"] == []


async def test_a_run_is_renamed_with_those_below(client):
    await write(client, "a")
    await write(client, "a/b")
    answer = await client.post("/api/v1/runs/rename", json={"run": "a", "to": "new/place"})
    assert (answer.status_code, sorted(answer.json()["runs"])) == (200, ["a", "a/b"])
    assert [run["run"] for run in (await client.get("/api/v1/runs")).json()["runs"]] == ["new/place", "new/place/b"]


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"run": "nobody"}, 404, "nobody"),
        ({"run": RUN, "tag": "nothing"}, 404, "nothing"),
        ({"run": "../x"}, 422, "'..'"),
        ({"run": "."}, 422, "'.'"),
        ({"run": ""}, 422, "1 to 512"),
        ({"run": RUN, "tag": ""}, 422, "tag is empty"),
        ({"run": RUN, "tag": "loss", "below": "true"}, 422, "below"),
        ({"run": RUN, "recursive": "true"}, 422, "no such parameter"),
        ({}, 422, "missing"),
    ],
)
async def test_what_cannot_be_deleted(client, query, status, words):
    await write(client)
    answer = await client.delete("/api/v1/runs", params=query)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert await tags(client, RUN) == {"loss": 3}


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"run": "nobody", "to": "x"}, 404, "nobody"),
        ({"run": RUN, "to": "taken"}, 409, "taken"),
        ({"run": RUN, "to": "../x"}, 422, "'..'"),
        ({"run": "a//b", "to": "\n"}, 422, "run:"),
        ({"run": RUN}, 422, "to: 'to' is missing; add it"),
        ({"run": RUN, "to": 7}, 422, "to: 7 came where text is wanted; send a string"),
        ({"run": RUN, "to": "x", "force": True}, 422, "force: 'force' is not a field here; check its spelling or leave it out"),
        (b'{"run": ', 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[]", 422, "a list came where an object is wanted"),
    ],
)
async def test_what_cannot_be_renamed(client, body, status, words):
    await write(client)
    await write(client, "taken")
    raw = {"content": body, "headers": {"Content-Type": "application/json"}} if isinstance(body, bytes) else {"json": body}
    answer = await client.post("/api/v1/runs/rename", **raw)
    assert answer.status_code == status, answer.text
    assert words in answer.json()["detail"]
    assert await tags(client, RUN) == {"loss": 3}


async def test_a_rename_is_json(client):
    answer = await client.post("/api/v1/runs/rename", content=b"{}", headers={"Content-Type": "text/plain"})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media")


# --- archives ---------------------------------------------------------------------------------------------------------


async def test_archive_delete_restore_gives_the_same_bytes(client, settings):
    await write(client, tags=("loss", "accuracy"))
    archive = await archived(client)
    before = event_files(settings.logdir)
    await client.delete("/api/v1/runs", params={"run": RUN})
    assert event_files(settings.logdir) == {}
    answer = await client.put("/api/v1/archive", params={"run": RUN}, content=archive)
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "run": RUN,
        "files": 1,
        "size_bytes": sum(map(len, before.values())),
        "warnings": answer.json()["warnings"],
    }
    assert await tags(client, RUN) == {"loss": 3, "accuracy": 3}
    assert await archived(client) == archive
    assert stages(settings) == []


async def test_a_restored_run_goes_on(client):
    await write(client, values=3)
    archive = await archived(client)
    await client.put("/api/v1/archive", params={"run": "copy"}, content=archive)
    await write(client, "copy", values=2)
    points = (await client.get("/api/v1/scalars", params={"run": "copy", "tag": "loss"})).json()
    assert points["values"] == [0.0, 1.0, 2.0, 0.0, 1.0]


async def test_a_run_that_exists_is_replaced_only_if_asked(client):
    await write(client, values=3)
    archive = await archived(client)
    await write(client, values=2)
    answer = await client.put("/api/v1/archive", params={"run": RUN}, content=archive)
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert await tags(client, RUN) == {"loss": 5}
    answer = await client.put("/api/v1/archive", params={"run": RUN, "replace": "true"}, content=archive)
    assert answer.status_code == 200, answer.text
    assert await tags(client, RUN) == {"loss": 3}


async def test_an_archive_is_named_and_not_sniffed(client):
    await write(client, 'a/"ä"')
    answer = await client.get("/api/v1/archive", params={"run": 'a/"ä"'})
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["x-content-type-options"] == "nosniff"
    expected = "attachment; filename=\"a____.zip\"; filename*=UTF-8''a_%22%C3%A4%22.zip"
    assert answer.headers["content-disposition"] == expected


def hostile() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        made.writestr("events.out.tfevents.1", b"")
        made.writestr("../escaped", b"content")
    return raw.getvalue()


@pytest.mark.parametrize(
    ("body", "headers", "query", "status", "words"),
    [
        (b"no zip", {}, {}, 400, "cannot be read"),
        (b"", {}, {}, 400, "cannot be read"),
        (hostile(), {}, {}, 422, "'..'"),
        (hostile(), {"Content-Type": "text/html"}, {}, 415, "application/zip"),
        (hostile(), {"Content-Encoding": "gzip"}, {}, 415, "without a Content-Encoding"),
        (hostile(), {}, {"run": "../x"}, 422, "'..'"),
        (bytes(5000), {}, {}, 413, "archive_max_bytes"),
    ],
)
async def test_a_bad_archive_is_refused_and_nothing_is_left(tmp_path, body, headers, query, status, words):
    settings = ServerSettings(logdir=tmp_path / "runs", veil_s=0.05, archive_max_bytes=4096)
    app = build_app(settings)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        answer = await client.put("/api/v1/archive", params={"run": "new", **query}, content=body, headers=headers)
        assert answer.status_code == status, answer.text
        assert words in answer.json()["detail"]
        assert await tags(client, "new") is None
        assert stages(settings) == []
    assert not (tmp_path / "escaped").exists()


async def test_a_body_without_a_length_is_counted(tmp_path):
    settings = ServerSettings(logdir=tmp_path / "runs", veil_s=0.05, archive_max_bytes=4096)
    app = build_app(settings)

    async def pieces():
        for _ in range(5):
            yield bytes(1000)

    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        answer = await client.put("/api/v1/archive", params={"run": "new"}, content=pieces())
        assert answer.status_code == 413
        assert stages(settings) == []


async def test_a_disk_without_room_is_507_and_nothing_is_left(client, settings, monkeypatch):
    await write(client)
    archive = await archived(client)
    monkeypatch.setattr(limits, "ARCHIVE_ROOM_LEFT_BYTES", 1 << 60)
    answer = await client.put("/api/v1/archive", params={"run": "new"}, content=archive)
    assert (answer.status_code, answer.json()["code"]) == (507, "storage-failed")
    assert "retry-after" in answer.headers
    assert stages(settings) == []


async def send_and_go(app, messages) -> list[str]:
    """The statuses that a PUT gets whose body is these messages, and then nothing more."""
    left = list(messages)
    never = asyncio.Event()
    answers = []

    async def receive():
        if left:
            return left.pop(0)
        await never.wait()
        raise AssertionError

    async def send(message):
        if message["type"] == "http.response.start":
            answers.append(message["status"])

    scope = {
        "type": "http",
        "method": "PUT",
        "path": "/api/v1/archive",
        "raw_path": b"/api/v1/archive",
        "query_string": b"run=new",
        "headers": [],
        "http_version": "1.1",
        "scheme": "http",
        "server": ("bridge", 80),
        "client": ("test", 1),
        "root_path": "",
    }
    await app(scope, receive, send)
    return answers


async def test_a_sender_that_goes_away_leaves_nothing_behind(client, app, settings):
    first = {"type": "http.request", "body": bytes(limits.ARCHIVE_PIECE_BYTES), "more_body": True}
    assert await send_and_go(app, [first, {"type": "http.disconnect"}]) == []
    assert stages(settings) == []


async def test_a_sender_that_stalls_is_told_so(client, app, settings, monkeypatch):
    monkeypatch.setattr(limits, "BODY_READ_TIMEOUT_S", 0.01)
    assert await send_and_go(app, [{"type": "http.request", "body": b"PK", "more_body": True}]) == [408]
    assert stages(settings) == []


async def test_a_stop_in_the_middle_leaves_nothing_behind(client, app, settings, monkeypatch):
    """The thread that unpacks ends before its files are removed, so it makes none afterwards."""
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(path, staged, *, halt, **_):
        loop.call_soon_threadsafe(begun.set)
        while not halt._called.wait(0.01):
            (staged / "more").touch()
        (staged / "last").touch()

    monkeypatch.setattr(archives, "unpack", slow)
    task = asyncio.create_task(send_and_go(app, [{"type": "http.request", "body": b"PK", "more_body": False}]))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert stages(settings) == []


async def test_only_so_many_at_one_time(client, app, settings, monkeypatch):
    await write(client)
    monkeypatch.setattr(limits, "ARCHIVES_AT_ONCE", 0)
    assert (await client.get("/api/v1/archive", params={"run": RUN})).status_code == 429
    assert (await client.put("/api/v1/archive", params={"run": "new"}, content=b"")).status_code == 429
    monkeypatch.setattr(limits, "ARCHIVES_AT_ONCE", 1)
    for _ in range(2):  # each gives its place back
        archive = await archived(client)
        assert (await client.put("/api/v1/archive", params={"run": "new", "replace": "true"}, content=archive)).is_success
        assert (await client.put("/api/v1/archive", params={"run": "new"}, content=b"")).status_code == 400
