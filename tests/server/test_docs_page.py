"""Pages for people: whole, without scripts or other servers, and under headers that allow a page nothing but to be shown."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tbbridge.server import docs_page, pages
from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings


class Page(HTMLParser):
    """What a page holds; fails on an element that is closed wrongly."""

    ALONE = frozenset({"meta", "br"})
    UNCLOSED = frozenset({"html"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += attrs
        self.ids += [value for name, value in attrs if name == "id"]
        self.links += [value for name, value in attrs if name == "href"]
        if tag not in self.ALONE:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def document():
    return build_app(ServerSettings()).openapi()


@pytest.fixture(scope="module")
def shown(document):
    return Page(pages.page("docs", "\n".join(docs_page._page(document))).body.decode())


def test_every_call_parameter_schema_field_and_error_is_on_the_page(document, shown):
    missing = []
    for path, methods in document["paths"].items():
        for operation in methods.values():
            missing += [name for name in (operation["operationId"],) if name not in shown.ids]
            missing += [path] if path not in shown.text else []
            for one in operation.get("parameters", []):
                missing += [one["name"]] if one["name"] not in shown.text else []
            missing += [status for status in operation["responses"] if status not in shown.text]
    for name, schema in document["components"]["schemas"].items():
        missing += [name] if f"schema-{name}" not in shown.ids else []
        missing += [field for field in schema.get("properties", {}) if field not in shown.text]
    assert missing == []


def test_every_link_leads_to_a_place_on_the_page_or_the_document(shown):
    assert len(set(shown.ids)) == len(shown.ids)
    assert {link for link in shown.links if link.removeprefix("#") not in shown.ids} == {"/openapi.json"}


def test_text_of_the_document_is_never_markup(document):
    evil = "<script>alert('x')</script>&\"`<b>`"
    operation = {**document["paths"]["/api/v1/scalars"]["get"], "summary": evil, "description": evil}
    operation["parameters"] = [
        {"name": evil, "description": evil, "required": True, "schema": {"enum": [evil], "default": evil}}
    ]
    schema = {"description": evil, "properties": {evil: {"const": evil}}, "examples": [evil]}
    schemas = {**document["components"]["schemas"], evil: schema}
    told = {**document, "paths": {f"/{evil}": {"get": operation}}, "components": {**document["components"], "schemas": schemas}}
    shown = Page(pages.page(evil, "\n".join(docs_page._page(told))).body.decode())
    assert "script" not in shown.tags
    assert "b" in shown.tags  # ours
    assert shown.text.count("<script>") >= 8


async def test_the_page_runs_and_loads_nothing_and_says_so_to_the_browser(client):
    answer = await client.get("/docs", headers={"accept": "text/html"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    shown = Page(answer.text)
    assert shown.tags.isdisjoint({"script", "link", "img", "iframe", "form", "object", "embed", "base"})
    assert [name for name, _ in shown.attributes if name.startswith("on") or name in ("style", "src", "srcdoc")] == []
    assert [link for link in shown.links if not link.startswith(("#", "/"))] == []
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (answer.headers["x-content-type-options"], answer.headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert (await client.head("/docs", headers={"accept": "text/html"})).status_code == 200


def test_the_policy_allows_the_style_that_the_page_has():
    style = re.search(r"<style>(.*)</style>", pages.page("t", "").body.decode(), re.DOTALL)[1]
    assert style == pages._STYLE


async def test_the_document_is_that_of_the_app_and_the_same_each_time(app, client):
    for _ in range(2):
        answer = await client.get("/openapi.json")
        assert (answer.headers["content-type"], answer.json()) == ("application/json", app.openapi())


async def test_what_is_shown_to_anybody_is_made_once(client, monkeypatch):
    """Nobody needs a token for it, so it must cost next to nothing."""
    await client.get("/docs")
    monkeypatch.setattr(docs_page, "_page", lambda _: pytest.fail("made again"))
    assert (await client.get("/docs")).status_code == 200
