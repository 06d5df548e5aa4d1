"""`tbbridge health` as a container's health check and a tired person run it: one line, whatever is wrong."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import urllib.error
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from processes import TBBRIDGE, Process, address_in, environment, get, post, serve

from tbbridge.pipeline.lock import FolderLock

TOKEN = "t" * 32
WRONG = "w" * 32


def health(*arguments: str, **variables: str) -> tuple[int, str]:
    """Exit code and the only line of `tbbridge health`."""
    command = [TBBRIDGE, "health", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(**variables))
    (line,) = (done.stdout + done.stderr).splitlines()
    assert (done.stderr == "") == (done.returncode == 0)
    return done.returncode, line


def free_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        return str(nobody.getsockname()[1])


@pytest.mark.parametrize("how", ["url", "variable", "settings"])
def test_a_bridge_that_takes_points(bridge: str, how: str) -> None:
    port = bridge.rpartition(":")[2]
    asked = {
        "url": lambda: health("--url", bridge),
        "variable": lambda: health(TBBRIDGE_URL=bridge),
        "settings": lambda: health(TBBRIDGE_HOST="0.0.0.0", TBBRIDGE_PORT=port),
    }[how]()
    version = get(f"{bridge}/api/v1/version")["version"]
    assert asked == (0, f"tbbridge {version} at {bridge} takes points")


@pytest.mark.parametrize("more", [{}, {"TBBRIDGE_TOKEN": TOKEN}], ids=["open", "token"])
def test_a_health_check_is_light(bridge: str, more: dict[str, str]) -> None:
    """A container runs it every fifteen seconds: numpy, httpx and protobuf took four fifths of its processor time."""
    program = "import sys; from tbbridge.cli import main; code = main(['health']); print(*sys.modules); sys.exit(code)"
    variables = environment(TBBRIDGE_PORT=bridge.rpartition(":")[2], **more)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=variables)
    assert done.returncode == 0, done.stderr
    loaded = done.stdout.split()
    assert "tbbridge.commands.health" in loaded
    heavy = ("numpy", "httpx", "google", "pydantic", "fastapi", "rich", "asyncio", "importlib.metadata", "tbbridge.model")
    assert [name for name in loaded if name.startswith(heavy)] == []


def test_a_token_is_known_or_not_and_the_log_says_who_was_refused(logdir: Path) -> None:
    command = [TBBRIDGE, "serve", "--logdir", str(logdir), "--port", "0"]
    with Process(command, env=environment(TBBRIDGE_TOKENS=f"write:{TOKEN}")) as server:
        url = address_in(server)
        code, line = health("--url", url, TBBRIDGE_TOKEN=TOKEN)
        assert code == 0
        assert line.endswith("takes points with this token")
        for _ in range(2):
            code, line = health("--url", url, TBBRIDGE_TOKEN=WRONG)
            assert code == 1
            assert "401" in line
            assert "this token is not known here" in line
        assert health("--url", url)[0] == 0, "without a token there is none to judge"
        server.line(r"WARNING refused a POST of 127\.0\.0\.1: this token is not known here")
        for _ in range(20):  # no line for each of them
            with pytest.raises(urllib.error.HTTPError, match="401") as refused:
                post(f"{url}/api/v1/write", {"runs": []})
            refused.value.close()
        assert server.end() == 0
    assert len([line for line in server.lines if "refused a" in line]) == 1
    assert WRONG not in server.output


def test_https_of_this_machine_needs_no_name_and_believes_no_other_certificate(logdir: Path, tmp_path: Path) -> None:
    for name in ("own", "other"):
        files = ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2", "-nodes"]
        subprocess.run([*command, *files, "-subj", "/CN=bridge.example.org"], check=True, capture_output=True)
    tls = ("--tls-cert", str(tmp_path / "own.pem"), "--tls-key", str(tmp_path / "own.key"))
    with serve(logdir, *tls) as server:
        port = server.line(r"https://127\.0\.0\.1:(\d+)")[1]
        own, other = str(tmp_path / "own.pem"), str(tmp_path / "other.pem")
        assert health(TBBRIDGE_PORT=port, TBBRIDGE_TLS_CERT=own)[0] == 0
        code, line = health(TBBRIDGE_PORT=port, TBBRIDGE_TLS_CERT=other)
        assert code == 1
        assert "certificate verify failed" in line
        code, line = health(TBBRIDGE_PORT=port, TBBRIDGE_TLS_CERT=str(tmp_path / "none.pem"))
        assert code == 1
        assert "none.pem cannot be read" in line


def test_nobody_there(logdir: Path) -> None:
    logdir.mkdir()
    port = free_port()
    code, line = health(TBBRIDGE_PORT=port, TBBRIDGE_LOGDIR=str(logdir))
    assert code == 1
    assert f"no answer from http://127.0.0.1:{port}" in line


def test_a_bridge_that_is_still_starting(logdir: Path) -> None:
    (logdir / ".tbbridge").mkdir(parents=True)
    lock = FolderLock(logdir / ".tbbridge")  # both are taken before the journal is replayed
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
        code, line = health("--timeout", "0.2", TBBRIDGE_PORT=port, TBBRIDGE_LOGDIR=str(logdir))
    lock.release()
    assert code == 1
    assert f"process {os.getpid()} has the log folder, and is still starting" in line


@pytest.mark.skipif(os.getuid() != 0, reason="to become another user needs root")
def test_nobody_there_and_the_folder_is_of_another_user(logdir: Path) -> None:
    # The code may be closed to another user, so all of it is loaded before this becomes one.
    program = """
import encodings.idna, os, sys
import tbbridge.commands.health, tbbridge.pipeline.inspection, tbbridge.server.settings_file, tbbridge.server.tokens
from tbbridge.cli import main
os.setuid(65534)
sys.exit(main(["health"]))
"""
    logdir.mkdir()
    variables = environment(TBBRIDGE_PORT=free_port(), TBBRIDGE_LOGDIR=str(logdir))
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, env=variables)
    assert done.returncode == 1, done.stderr
    assert "is not readable and writable for this user (uid 65534)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_settings_that_cannot_be_are_told_as_a_start_would(logdir: Path) -> None:
    logdir.mkdir()
    code, line = health(TBBRIDGE_PORT=free_port(), TBBRIDGE_LOGDIR=str(logdir), TBBRIDGE_TOKENS="write:short")
    assert code == 1
    assert "item 1 of TBBRIDGE_TOKENS is no 'scopes:token'" in line
    code, line = health(TBBRIDGE_PORT="many")
    assert code == 1
    assert "TBBRIDGE_PORT is 'many'" in line


class OfAnotherTime(BaseHTTPRequestHandler):
    """A bridge of years to come."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"version": "9.1.0", "api": 2, "python": "3.19.0"}')

    def log_message(self, *_: object) -> None:
        pass


def test_a_bridge_that_speaks_another_interface() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), OfAnotherTime) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            code, line = health("--url", f"127.0.0.1:{server.server_port}")
        finally:
            server.shutdown()
    assert code == 1
    assert "speaks version 2 of the interface, and this program version 1; install tbbridge 9.1.0 here too" in line


def test_something_else_answers() -> None:
    with Process(["python3", "-u", "-m", "http.server", "--bind", "127.0.0.1", "0"]) as other:
        port = other.line(r"port (\d+)")[1]
        code, line = health("--url", f"127.0.0.1:{port}")
    assert code == 1
    assert "is not a tbbridge server" in line
