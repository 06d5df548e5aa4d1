"""The live page as it is served: to browsers at `/` whatever else is there, to everybody without a token, and locked in.

What it does in a browser is tests/e2e/test_live_page_shown.py's.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tbbridge.errors import InvalidSetting
from tbbridge.server.app import build_app
from tbbridge.server.live_page import PATHS
from tbbridge.server.settings import ServerSettings, from_environment

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
WEB = Path(__file__).parents[2] / "web"
BUILT = Path(__file__).parents[2] / "src" / "tbbridge" / "server" / "web"
NODE = shutil.which("node")
# What the page may weigh, packed, all of it.
PACKED_MAX_BYTES = 300_000


class Links(HTMLParser):
    """The addresses that a page loads or leads to, and the attributes and scripts that it would run by itself."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.own: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.links += [value for name in ("href", "src") if (value := found.get(name))]
        self.own += [name for name in found if name.startswith("on") or name == "style"]
        if tag == "style" or (tag == "script" and "src" not in found):
            self.own.append(tag)


async def test_the_page_and_its_parts_are_there_and_lead_nowhere_else(client):
    answer = await client.get("/", headers=BROWSER)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = Links(answer.text)
    assert page.own == []
    assert {"page/app.js", "page/app.css", "page/icon.svg"} <= set(page.links)
    for link in page.links:
        if not link.startswith("#"):
            assert not re.match(r"[a-z]+:|/", link), "relative, so that a proxy may put it below any path"
            part = await client.get(f"/{link.removeprefix('./')}", headers=BROWSER)
            assert part.status_code == 200, link


@pytest.mark.parametrize("path", ["/", *PATHS])
async def test_the_headers_lock_it_in(client, path):
    headers = (await client.get(path, headers=BROWSER)).headers
    policy = dict(part.strip().partition(" ")[::2] for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert (policy["script-src"], policy["style-src"], policy["connect-src"]) == ("'self'", "'self'", "'self'")
    assert policy["require-trusted-types-for"] == "'script'"
    assert "unsafe" not in headers["content-security-policy"]
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize("path", ["/", *PATHS])
async def test_a_browser_that_has_it_is_told_so_and_gets_it_packed_otherwise(client, path):
    plain = await client.get(path, headers={**BROWSER, "accept-encoding": "identity"})
    async with client.stream("GET", path, headers={**BROWSER, "accept-encoding": "gzip"}) as packed:
        body = b"".join([piece async for piece in packed.aiter_raw()])
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(body) == plain.content
    assert "accept-encoding" in packed.headers["vary"]
    again = await client.get(path, headers={**BROWSER, "if-none-match": f'"other", {plain.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    assert (await client.get(path, headers={**BROWSER, "if-none-match": '"other"'})).status_code == 200
    assert (await client.head(path, headers=BROWSER)).status_code == 200


async def test_it_needs_neither_the_old_clients_nor_a_token(tmp_path, running):
    settings = ServerSettings(logdir=tmp_path, dialects=(), tokens="read:" + "x" * 24)
    async with running(build_app(settings)) as client:
        for path in ("/", *PATHS):
            assert (await client.get(path, headers=BROWSER)).status_code == 200
        assert (await client.get("/api/v1/runs")).status_code == 401


async def test_the_way_to_tensorboard_is_a_setting(tmp_path, running):
    for text, shown in (("https://tb.example.org/?a&b", "https://tb.example.org/?a&amp;b"), (":7007", ":7007"), ("none", "")):
        settings = from_environment({}, {"logdir": str(tmp_path), "tensorboard_url": text})
        async with running(build_app(settings)) as client:
            page = (await client.get("/", headers=BROWSER)).text
        assert f'<meta name="tensorboard" content="{shown}">' in page
    for text in ("javascript:alert(1)", "tb.example.org", ":70a"):
        with pytest.raises(InvalidSetting, match="give an address"):
            from_environment({}, {"tensorboard_url": text})


def test_what_is_served_was_built_from_the_sources_that_are_here():
    digest = hashlib.sha256()
    for source in [*sorted((WEB / "src").iterdir()), WEB / "package-lock.json"]:
        digest.update(source.read_bytes())
    for name in ("app.js", "app.css"):
        built = re.match(r"/\* tbbridge's live page, built from web/ ([0-9a-f]{64});", (BUILT / name).read_text("utf-8"))
        assert built is not None
        assert built[1] == digest.hexdigest(), "a source was changed: run `npm ci && npm run build` in web/"
    for name in ("index.html", "icon.svg"):
        assert (BUILT / name).read_bytes() == (WEB / "src" / name).read_bytes()


@pytest.mark.skipif(NODE is None, reason="there is no node on this machine: apt-get install nodejs")
def test_its_arithmetic_and_its_colours_are_right():
    tested = subprocess.run([NODE, "--test"], cwd=WEB, capture_output=True, text=True, timeout=60)
    assert tested.returncode == 0, tested.stdout
    assert "# pass 27" in tested.stdout


def test_it_weighs_little():
    packed = sum(len(gzip.compress(part.read_bytes(), 9)) for part in BUILT.iterdir())
    assert packed < PACKED_MAX_BYTES
