"""TLS and one login in front of both: compose.prod.yaml, with its Caddyfile run by the Caddy of this machine.

Caddy's image need not be there: only the addresses in the Caddyfile are exchanged, for ports of loopback.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browser import CHROMIUM, Sight, chromium
from conftest import Starting
from playwright.sync_api import expect
from processes import ROOT, TBBRIDGE, Process, environment, until
from stack import Stack, free_port

PASSWORD = "a pass phrase"
PROGRAM, LOGIN = "program-" + "p" * 32, "login-" + "l" * 32
VARIABLES = {
    "TBBRIDGE_SITE": "localhost",
    "TBBRIDGE_TLS": "internal",
    "TBBRIDGE_LOGIN_USER": "lab",
    "TBBRIDGE_LOGIN_HASH": "$2a$14$with.dollars",
    "TBBRIDGE_LOGIN_TOKEN": LOGIN,
    "TBBRIDGE_TOKENS": f"write,read:{PROGRAM}",
}


def test_the_file_says_what_it_lacks(command: list[str]) -> None:
    for missing in ("TBBRIDGE_SITE", "TBBRIDGE_TLS", "TBBRIDGE_LOGIN_USER", "TBBRIDGE_LOGIN_TOKEN", "TBBRIDGE_TOKENS"):
        variables = {name: value for name, value in VARIABLES.items() if name != missing}
        project = Stack(command, "prod-lacks", variables, ROOT / "compose.prod.yaml")
        done = project.compose("config", check=False)
        assert done.returncode != 0
        assert missing in done.stdout
    shown = Stack(command, "prod", VARIABLES, ROOT / "compose.prod.yaml").compose("config").stdout
    assert f"read:{LOGIN} write,read:{PROGRAM}" in shown
    assert "with.dollars" in shown


@dataclass
class Front:
    """Caddy on loopback."""

    tensorboard: str
    bridge: str
    plain: str
    authority: Path

    def ask(self, url: str, *, login: str | None = None, method: str = "GET", **headers: str) -> tuple[int, str]:
        """Status and body; a redirect is not followed."""
        if login is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"lab:{login}".encode()).decode()
        request = urllib.request.Request(url, headers=headers, method=method)
        try:
            trusted = ssl.create_default_context(cafile=self.authority)
            opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trusted), _Stay)
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode() or error.headers.get("Location", "")


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


@pytest.fixture(scope="module")
def front(lasting_stack: Starting, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    caddy = shutil.which("caddy")
    if caddy is None:
        pytest.skip("there is no caddy here (Debian has the package caddy)")
    project = lasting_stack("prod", ROOT / "compose.prod.yaml", **VARIABLES)
    project.up("bridge", "tensorboard")
    folder = tmp_path_factory.mktemp("caddy")
    hashed = subprocess.run([caddy, "hash-password", "--plaintext", PASSWORD], check=True, capture_output=True, text=True)
    ports = {name: free_port() for name in ("plain", "tensorboard", "bridge", "health")}
    text = (ROOT / "docker" / "Caddyfile").read_text()
    for old, new in (
        ("\tadmin off\n", f"\tadmin off\n\thttp_port {ports['plain']}\n\thttps_port {ports['tensorboard']}\n"),
        ("(site) {\n", "(site) {\n\tbind 127.0.0.1\n"),
        ("tensorboard:6006", f"127.0.0.1:{project.ports['tensorboard']}"),
        ("bridge:6007", f"127.0.0.1:{project.ports['bridge']}"),
        (":8443", f":{ports['bridge']}"),
        (":2080", f":{ports['health']}"),
    ):
        assert old in text
        text = text.replace(old, new)
    config = folder / "Caddyfile"
    config.write_text(text)
    variables = {
        **{name: value for name, value in os.environ.items() if not name.startswith("TBBRIDGE_")},
        **VARIABLES,
        "TBBRIDGE_LOGIN_HASH": hashed.stdout.strip(),
        "XDG_DATA_HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "HOME": str(folder),
    }
    flags = ["--config", str(config), "--adapter", "caddyfile"]
    checked = subprocess.run([caddy, "validate", *flags], env=variables, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    project.until_answer()
    project.until_answer("tensorboard")
    with Process([caddy, "run", *flags], env=variables) as process:
        process.line("serving initial configuration")
        made = folder / "caddy/pki/authorities/local/root.crt"
        until(made.exists, "Caddy makes its authority")
        address = "https://localhost:{}".format
        yield Front(address(ports["tensorboard"]), address(ports["bridge"]), f"http://localhost:{ports['plain']}", made)
        process.end()


def program(front: Front, *arguments: str, token: str) -> subprocess.CompletedProcess[str]:
    variables = environment(TBBRIDGE_TOKEN=token, TBBRIDGE_URL=front.bridge, SSL_CERT_FILE=str(front.authority))
    return subprocess.run([TBBRIDGE, *arguments], capture_output=True, text=True, timeout=60, env=variables)


def test_programs_send_with_their_token(front: Front) -> None:
    done = program(front, "send", "proxied", "loss=0.5", token=PROGRAM)
    assert done.returncode == 0, done.stderr
    done = program(front, "health", token=PROGRAM)
    assert (done.returncode, done.stderr) == (0, "")
    assert "with this token" in done.stdout
    done = program(front, "health", token=PROGRAM[:-1])
    assert done.returncode == 1
    assert "this token is not known here" in done.stderr


def test_people_log_in_once_and_may_look(front: Front) -> None:
    for url in (f"{front.tensorboard}/data/runs", f"{front.bridge}/api/v1/runs", f"{front.bridge}/"):
        assert front.ask(url)[0] == 401
        assert front.ask(url, login="wrong")[0] == 401
        assert front.ask(url, login=PASSWORD)[0] == 200
    assert front.ask(f"{front.bridge}/api/v1/runs?run=proxied", login=PASSWORD, method="DELETE")[0] == 403
    own_page = {"Origin": front.bridge}
    assert front.ask(f"{front.bridge}/api/v1/runs", login=PASSWORD, **own_page)[0] == 200
    assert front.ask(f"{front.bridge}/api/v1/runs", login=PASSWORD, Origin="https://elsewhere.example.org")[0] == 403


def test_tensorboard_shows_what_programs_sent(front: Front) -> None:
    until(lambda: "proxied" in json.loads(front.ask(f"{front.tensorboard}/data/runs", login=PASSWORD)[1]), "the run is shown")


def test_whether_it_lives_is_told_to_anybody_and_plain_http_is_sent_on(front: Front) -> None:
    assert front.ask(f"{front.bridge}/readyz") == (200, '{"status":"ready"}')
    status, place = front.ask(f"{front.plain}/data/runs")
    assert status == 308
    assert place.startswith("https://localhost")


@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")
def test_the_live_page_needs_no_more_than_the_login(front: Front) -> None:
    with chromium() as browser:
        login = {"username": "lab", "password": PASSWORD}
        page = browser.new_page(http_credentials=login, ignore_https_errors=True)  # Caddy's authority is not the browser's
        sight = Sight(page)
        page.goto(front.bridge)
        sight.says("proxied")
        expect(page.locator(".connection")).to_have_text("live")
        assert [trouble for trouble in sight.troubles if "401" not in trouble] == [], (
            "but for the question that the login answers"
        )
