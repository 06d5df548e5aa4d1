"""`tbbridge.Remote`: what it raises when a bridge refuses, is full, is away or is none; its calls at work are in tests/e2e."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from fake_server import free_port

from tbbridge import InvalidItem, Rejected, Remote, Unavailable

PROBLEM = {"title": "Conflict", "detail": "run 'a' exists", "status": 409}


class Answering(BaseHTTPRequestHandler):
    """Answers every request with what the test says, and keeps what was asked; it understands nothing."""

    status, headers_sent, body = 200, {"Content-Type": "application/json"}, b"{}"
    asked: list[tuple[str, str, bytes, dict[str, str]]]

    def answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        self.asked.append((self.command, self.path, content, dict(self.headers)))
        self.send_response(self.status)
        for name, value in {"Content-Length": str(len(self.body)), **self.headers_sent}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.body)

    do_GET = do_PUT = do_POST = do_DELETE = answer  # noqa: N815 - the names that http.server asks for

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[type[Answering]]:
    class Own(Answering):
        asked = []  # noqa: RUF012 - the test's own

    with ThreadingHTTPServer(("127.0.0.1", 0), Own) as listening:
        Own.url = f"http://127.0.0.1:{listening.server_port}"
        threading.Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
        yield Own
        listening.shutdown()


@pytest.fixture
def bridge(server: type[Answering]) -> Iterator[Remote]:
    with Remote(server.url) as remote:
        yield remote


def calls(bridge: Remote) -> list:
    return [
        bridge.runs,
        lambda: bridge.run("a"),
        lambda: bridge.delete("a"),
        lambda: bridge.rename("a", "b"),
        lambda: bridge.archive("a", io.BytesIO()),
        lambda: bridge.restore("a", io.BytesIO(b"zip")),
        lambda: list(bridge.export(["a"])),
    ]


CALLS = ["runs", "run", "delete", "rename", "archive", "restore", "export"]


@pytest.mark.parametrize("call", range(len(CALLS)), ids=CALLS)
def test_a_refusal_is_raised_in_the_bridges_words(server, bridge, call) -> None:
    server.status, server.body = 409, json.dumps(PROBLEM).encode()
    server.headers_sent = {"Content-Type": "application/problem+json"}
    with pytest.raises(Rejected, match="run 'a' exists") as caught:
        calls(bridge)[call]()
    assert caught.value.status == 409


@pytest.mark.parametrize("call", range(len(CALLS)), ids=CALLS)
def test_a_bridge_that_is_full_says_when_to_come_again(server, bridge, call) -> None:
    server.status, server.headers_sent = 429, {"Retry-After": "7"}
    with pytest.raises(Unavailable) as caught:
        calls(bridge)[call]()
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize("call", range(len(CALLS)), ids=CALLS)
def test_nobody_there(call) -> None:
    with Remote(f"127.0.0.1:{free_port()}") as nobody, pytest.raises(Unavailable, match="is a bridge running there"):
        calls(nobody)[call]()


@pytest.mark.parametrize("call", [4, 6], ids=["archive", "export"])
def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(server, bridge, call) -> None:
    server.headers_sent = {"Content-Length": "1000", "Connection": "close"}
    with pytest.raises(Unavailable, match="broke off"):
        calls(bridge)[call]()


@pytest.mark.parametrize("body", [b"<html>", b"[]", b""])
def test_something_else_answers_there(server, bridge, body) -> None:
    server.body, server.headers_sent = body, {"Content-Type": "text/html"}
    with pytest.raises(Rejected, match="not a tbbridge server"):
        bridge.rename("a", "b")


def test_another_programs_json_is_not_taken_for_runs(bridge) -> None:
    with pytest.raises(Rejected, match="no tbbridge server"):
        bridge.runs()


def test_names_travel_in_the_query_and_the_body(server, bridge) -> None:
    server.body = b'{"runs": [], "warnings": []}'
    bridge.delete("a b/ä&c", "t?#", below=False)
    bridge.rename("a", "ä")
    bridge.restore("r", io.BytesIO(b"zip content"), replace=True)
    (deleted, renamed, restored) = server.asked
    assert deleted[:2] == ("DELETE", "/api/v1/runs?run=a+b%2F%C3%A4%26c&tag=t%3F%23")
    assert json.loads(renamed[2]) == {"run": "a", "to": "ä"}
    assert restored[1:3] == ("/api/v1/archive?run=r&replace=true", b"zip content")
    assert restored[3]["Content-Length"] == "11"


def test_a_password_goes_in_a_header_and_in_no_message(server) -> None:
    server.status = 401
    with Remote(server.url.replace("://", "://me:secret@")) as remote, pytest.raises(Rejected) as caught:
        remote.runs()
    assert server.asked[0][3]["Authorization"].startswith("Basic ")
    assert "secret" not in str(caught.value) + remote.address


def test_an_address_that_cannot_be(monkeypatch) -> None:
    with pytest.raises(InvalidItem):
        Remote("127.0.0.1:6007", hostname="other")
