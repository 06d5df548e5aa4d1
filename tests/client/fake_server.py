"""A small bridge in a thread, with a real socket, that can be told to misbehave. It keeps what it was sent in memory.

It reads bodies with tbbridge's own decoder and keeps each writer's last number. What it does not check: the journal, step
order, tags of two kinds, size limits; those are the real server's, in test_real_server.py.
"""

from __future__ import annotations

import gzip
import socket
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tbbridge.errors import ItemError, ItemWarning
from tbbridge.groups import NO_GROUPS
from tbbridge.model import Histogram, LogRecord, Summary, Text
from tbbridge.wire.protobuf_v1 import decode_batch, encode_problem, encode_response

PROTOBUF = "application/x-protobuf"


@dataclass
class Script:
    """What to do with one request."""

    status: int = 200
    take: bool = True  # store the batch, unless it is a repeat
    answer: bool = True  # else close the connection without a word
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = PROTOBUF
    detail: str = "no"
    warnings: tuple[ItemWarning, ...] = ()
    reject_run: str = ""  # leave this run out, as with partial=true
    hang: bool = False  # wait for `Server.release` before anything else


OK = Script()
LOST_ANSWER = Script(answer=False)
LOST_REQUEST = Script(take=False, answer=False)


def status(code: int, **more: Any) -> Script:
    return Script(status=code, take=False, **more)


class Server:
    """`script` is what happens to the coming requests, in turn; `always` to those after it."""

    def __init__(self, *script: Script, always: Script = OK, max_body: int | None = None) -> None:
        self.script = deque(script)
        self.always = always
        self.max_body = max_body
        self.groups = NO_GROUPS
        self.lock = threading.Lock()
        self.release = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.scalars: dict[tuple[str, str], list[tuple[int, float, float]]] = defaultdict(list)
        self.texts: list[tuple[str, Text]] = []
        self.histograms: list[tuple[str, Histogram]] = []
        self.summaries: list[tuple[str, Summary]] = []  # those two kinds and all others
        self.logs: dict[str, list[LogRecord]] = defaultdict(list)
        self.names: dict[tuple[str, str], tuple[str, str]] = {}
        self.requests: list[tuple[str, int]] = []
        self.paths: list[str] = []
        self.sizes: list[int] = []
        self.headers: list[dict[str, str]] = []
        self.high: dict[str, int] = {}
        self.stored: list[int] = []
        self.repeats = 0
        self._http: ThreadingHTTPServer | None = None
        self.port = 0

    def start(self, port: int = 0) -> None:
        handler = type("Handler", (_Handler,), {"fake": self})
        self._http = _QuietServer(("127.0.0.1", port), handler)
        self.port = self._http.server_address[1]
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.release.set()
        if self._http is not None:
            self._http.shutdown()
            self._http.server_close()
            self._http = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def values(self, run: str, tag: str) -> list[float]:
        with self.lock:
            return [value for _, value, _ in self.scalars[run, tag]]

    def steps(self, run: str, tag: str) -> list[int]:
        with self.lock:
            return [step for step, _, _ in self.scalars[run, tag]]

    def take(self, script: Script, raw: bytes) -> tuple[int, bool, list[ItemError]]:
        batch = decode_batch(raw, groups=self.groups).batch
        with self.lock:
            self.requests.append((batch.writer, batch.seq))
            self.sizes.append(len(raw))
            if not script.take:
                return 0, False, []
            if batch.seq <= self.high.get(batch.writer, 0):
                self.repeats += 1
                return 0, True, []
            self.high[batch.writer] = batch.seq
            self.stored.append(batch.seq)
            accepted, rejected = 0, []
            for position, run in enumerate(batch.runs):
                if run.run == script.reject_run:
                    rejected.append(ItemError(f"runs[{position}]", "run-name", "this run is not wanted; use another"))
                    continue
                accepted += run.points
                for column in run.scalars:
                    assert column.steps is not None
                    assert column.wall_times is not None
                    self.names[run.run, column.tag] = (column.display_name, column.description)
                    rows = zip(column.steps.tolist(), column.values.tolist(), column.wall_times.tolist(), strict=True)
                    self.scalars[run.run, column.tag].extend(rows)
                self.logs[run.run].extend(run.logs)
                for summary in run.summaries:
                    self.summaries.append((run.run, summary))
                    if isinstance(summary, Text):
                        self.texts.append((run.run, summary))
                    elif isinstance(summary, Histogram):
                        self.histograms.append((run.run, summary))
            return accepted, False, rejected


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of these tests."""


class _Handler(BaseHTTPRequestHandler):
    fake: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        fake = self.fake
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        with fake.lock:
            script = fake.script.popleft() if fake.script else fake.always
            fake.paths.append(self.path)
            fake.headers.append(dict(self.headers))
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        fake.arrived.release()
        if script.hang:
            fake.release.wait(60)
        if fake.max_body is not None and len(raw) > fake.max_body:
            script = status(413, detail="too much")
        accepted, duplicate, rejected = fake.take(script, raw)
        if not script.answer:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        body = script.body
        if body is None and script.status == 200:
            body = encode_response(accepted, duplicate=duplicate, rejected=rejected, warnings=script.warnings)
        elif body is None:
            body = encode_problem("about:blank", "Refused", script.status, script.detail, "some-code", [])
        self.send_response(script.status)
        for name, text in {"Content-Type": script.content_type, "Content-Length": str(len(body)), **script.headers}.items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass


@contextmanager
def serve(*script: Script, **settings: Any) -> Iterator[Server]:
    server = Server(*script, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def until(happened: Callable[[], bool], timeout_s: float = 30.0) -> None:
    """Wait for something that another thread does and cannot announce."""
    waiting = threading.Event()
    for _ in range(int(timeout_s / 0.01)):
        if happened():
            return
        waiting.wait(0.01)
    raise AssertionError("it did not happen")


def at_once(work: Callable[[int], None], count: int) -> None:
    """Do `work(0)`, `work(1)` ... in a thread each, and wait for all of them."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
