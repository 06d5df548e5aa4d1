"""The paths that the old dialects share, and what is left when some of them are switched off."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tbbridge.errors import InvalidSetting
from tbbridge.pipeline.door import Ack
from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings, from_environment

POINT = {"modelName": "model1", "pointType": "validLoss", "pointValue": 2.5, "globalStep": 1}


@asynccontextmanager
async def bridge(settings: ServerSettings, *dialects: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a bridge that serves these dialects only."""
    app = build_app(dataclasses.replace(settings, dialects=dialects))
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
        yield client


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def text(answer) -> str:
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    return answer.text


def kind(answer) -> str:
    """Whose answer to `GET /` it is."""
    assert answer.status_code == 200
    if answer.headers["content-type"].startswith("text/html"):
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        return "page"
    return "crayon" if text_or_none(answer) == "0.5" else {"0.5.0": "lapiz"}[answer.json()["version"]]


def text_or_none(answer):
    return answer.text if answer.headers["content-type"].startswith("text/plain") else None


@pytest.mark.parametrize(
    ("dialects", "asked"),
    [
        (("lapiz", "crayon", "pastalog"), {BROWSER: "page", "application/json": "lapiz", "*/*": "crayon", None: "crayon"}),
        (("crayon",), {BROWSER: "page", "application/json": "crayon", "*/*": "crayon", None: "crayon"}),
        (("lapiz",), {BROWSER: "page", "application/json": "lapiz", "*/*": "lapiz", None: "lapiz"}),
        (("pastalog",), {BROWSER: "page", "application/json": "page", "*/*": "page", None: "page"}),
        ((), {BROWSER: "page", "application/json": "page", "*/*": "page", None: "page"}),
    ],
    ids=lambda part: "+".join(part) or "none" if isinstance(part, tuple) else "",
)
async def test_the_root_is_whose_the_accept_header_asks_for(settings, dialects, asked):
    async with bridge(settings, *dialects) as client:
        for accept, whose in asked.items():
            request = client.build_request("GET", "/", headers={} if accept is None else {"accept": accept})
            if accept is None:
                del request.headers["accept"]
            assert kind(await client.send(request)) == whose
        assert (await client.head("/")).status_code == 200


async def test_crayons_root_is_its_version_and_nothing_else(client):
    assert (await client.get("/")).content == b"0.5"


async def test_posted_data_is_crayons_or_pastalogs_by_its_body(client):
    assert text(await client.post("/data", json="experiment")) == "ok"
    assert text(await client.post("/data", json=POINT)) == "OK"
    assert (await client.get("/data")).json() == ["experiment", "model1"]
    series = (await client.get("/api/v1/scalars", params={"run": "model1", "tag": "validLoss"})).json()
    assert (series["steps"], series["values"]) == ([1], [2.5])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({**POINT, "modelName": None}, "modelName is missing or empty"),
        ({**POINT, "pointType": ""}, "pointType is missing or empty"),
        ({**POINT, "pointValue": "high"}, "pointValue is the text"),
        ({**POINT, "modelName": "a\nb"}, "control character"),
        ([POINT], "the body is a list; send {"),
        (7, "the body is 7"),
        (True, "the body is true"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
async def test_what_is_neither_is_refused_as_both_clients_know_it(client, body, says):
    answer = await client.post("/data", json=body)
    assert answer.status_code == 400
    assert says in text(answer)
    assert (await client.get("/data")).json() == []


async def test_a_point_without_a_step_goes_on_from_the_last(client):
    for value in (1, 2, 3):
        await client.post("/data", json={"modelName": "m", "pointType": "t", "pointValue": value})
    series = (await client.get("/api/v1/scalars", params={"run": "m", "tag": "t"})).json()
    assert (series["steps"], series["values"]) == ([0, 1, 2], [1, 2, 3])


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/data/scalars?xp=run&name=t", [1, 2, 3]),
        ("/data/histograms?xp=run&name=t&tobuild=true", [1, 2, [3]]),
        ("/data/run/run/summary", {"step": 1, "summaries": [{"tag": "t", "type": "scalar", "value": 1}]}),
        ("/data", POINT),
    ],
)
async def test_a_write_is_answered_when_it_is_on_disk(fake_client, door, settings, path, body):
    (settings.logdir / "run").mkdir(parents=True)
    (settings.logdir / "run" / "events.out.tfevents.1").write_bytes(b"")
    assert (await fake_client.post(path, json=body)).status_code == 200
    assert door.acks == [Ack.JOURNALED]


PATHS = {
    "lapiz": ["GET /health", "GET /data/runs", "POST /data/run/r/summary", "GET /data/backup/r", "POST /backup/r"],
    "crayon": ["GET /data", "DELETE /data", "POST /data/scalars", "GET /data/histograms", "GET /backup"],
    "pastalog": [],
}


@pytest.mark.parametrize("on", [("lapiz",), ("crayon",), ("pastalog",), ()], ids=lambda on: "+".join(on) or "none")
async def test_a_dialect_that_is_switched_off_has_no_paths(settings, on):
    async with bridge(settings, *on) as client:
        for dialect, paths in PATHS.items():
            for path in paths:
                answer = await client.request(*path.split())
                is_problem = answer.headers["content-type"] == "application/problem+json"
                assert is_problem == (dialect not in on), path
                assert not is_problem or answer.status_code in (404, 405)


@pytest.mark.parametrize(("on", "body", "off"), [("crayon", POINT, "pastalog"), ("pastalog", "name", "crayon")])
async def test_posted_data_of_a_dialect_that_is_off_is_told_how_to_switch_it_on(settings, on, body, off):
    async with bridge(settings, on) as client:
        answer = await client.post("/data", json=body)
        assert answer.status_code == 400
        assert f"add {off} to the bridge's --dialects" in text(answer)


async def test_what_was_made_is_there_after_a_restart(settings):
    for names in ([], ["experiment", "model1"]):
        async with bridge(settings, "crayon", "pastalog") as client:
            assert (await client.get("/data")).json() == names
            assert (await client.post("/data", json="experiment")).status_code == (400 if names else 200)
            assert (await client.post("/data", json={**POINT, "globalStep": len(names)})).status_code == 200
            rows = (await client.get("/data/scalars", params={"xp": "model1", "name": "validLoss"})).json()
            assert [row[1:] for row in rows] == [[0, 2.5], [2, 2.5]][: 1 + len(names) // 2]


async def test_the_document_does_not_list_them(client):
    """They are the interfaces of others; docs/compat/ describes them."""
    paths = (await client.get("/openapi.json")).json()["paths"]
    assert not {"/", "/data", "/health", "/backup", "/data/scalars"} & set(paths)


async def test_a_method_that_a_path_does_not_take_is_told(client):
    answer = await client.put("/data/scalars")
    assert (answer.status_code, answer.headers["content-type"]) == (405, "application/problem+json")


async def test_their_requests_are_counted_by_path_and_status(client):
    await client.get("/data/scalars", params={"xp": "nope", "name": "n"})
    metrics = (await client.get("/metrics")).text
    assert re.search(r'route="/data/scalars",status="400"} 1', metrics), metrics


@pytest.mark.parametrize(
    ("typed", "dialects"),
    [
        ("none", ()),
        ("None", ()),
        (" ", ()),
        ("crayon", ("crayon",)),
        ("crayon, LAPIZ", ("crayon", "lapiz")),
        ("lapiz,crayon,pastalog", ("lapiz", "crayon", "pastalog")),
    ],
)
def test_the_setting_names_those_that_are_on(typed, dialects):
    assert from_environment({"TBBRIDGE_DIALECTS": typed}).dialects == dialects


def test_all_are_on_unless_it_is_said():
    assert set(ServerSettings().dialects) == {"lapiz", "crayon", "pastalog"}


@pytest.mark.parametrize("typed", ["tensorplex", "crayon,", "crayon,crayon", "crayon lapiz", ","])
def test_a_name_that_is_no_dialect_is_refused(typed):
    with pytest.raises(InvalidSetting, match=r"TBBRIDGE_DIALECTS .* lapiz,crayon,pastalog"):
        from_environment({"TBBRIDGE_DIALECTS": typed})


PAGES = Path(__file__).parents[2] / "docs" / "compat"


def test_the_pages_describe_every_path_and_method():
    text = "\n".join(page.read_text() for page in PAGES.glob("*.md"))
    told = {(method, path) for method, path in re.findall(r"`([A-Z]+) (/[^`?]*)", text)}
    hidden = {
        (method, re.sub(r"\{name:\w+\}", "<name>", route.path))
        for route in build_app(ServerSettings()).routes
        if not getattr(route, "include_in_schema", True) and type(route).__module__ == "tbbridge.server.dialects"
        for method in route.methods
        if method != "HEAD"
    }
    assert len(hidden) == 15
    assert hidden <= told
