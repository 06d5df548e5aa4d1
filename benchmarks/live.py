"""The live feed: how soon a listener is told of a point, and what listeners cost a writer.

A point's way is measured from the outside, over one connection that writes and one that listens: from its POST until that is
answered, and until its event has come. What listeners cost is the rate of 64 connections that write one point each time, and
the bridge's processor time for each of these requests, with nobody listening, one, and fifty. Each number of listeners has a
bridge of its own, since one on which somebody listened keeps watching for a minute. Listeners read in another process, on the
same cores: the rate is that of a machine that has those to feed as well, the processor time is the bridge's alone.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bodies import ONE_POINT
from benchmarks.load import Connections, closed_loop, get, post
from benchmarks.measure import Size, in_turns, percentile
from benchmarks.results import Result, Row, Spread
from benchmarks.servers import HOST, Server, bridge

WRITE = post(ONE_POINT)
COUNTS = (0, 1, 50)
PAUSE_S = 0.01  # between two points whose way is measured
_STEPS = re.compile(rb'"steps":\[([\d,]+)\]')

# Reads whatever comes and throws it away, until its standard input is closed.
LISTENERS = """
import selectors, socket, sys

port, count = int(sys.argv[1]), int(sys.argv[2])
waiting = selectors.DefaultSelector()
waiting.register(sys.stdin, selectors.EVENT_READ)
for _ in range(count):
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(b"GET /api/v1/live HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n")
    head = b""
    while b"event: hello" not in head:
        head += connection.recv(65536)
    waiting.register(connection, selectors.EVENT_READ)
print("listening", flush=True)
while True:
    for key, _ in waiting.select():
        if key.fileobj is sys.stdin or not key.fileobj.recv(1 << 20):
            sys.exit()
"""


@contextmanager
def listeners(server: Server, count: int) -> Iterator[None]:
    """So many of them, in a process of their own."""
    if not count:
        yield
        return
    command = [sys.executable, "-c", LISTENERS, str(server.port), str(count)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if not process.stdout.readline():
            raise RuntimeError("the listeners ended at once; their log above says why")
        yield
    finally:
        process.communicate()  # closes its standard input, which ends it


class Way:
    """One connection that listens, and when each step came there."""

    def __init__(self, server: Server) -> None:
        self.came: dict[int, float] = {}
        self._socket = socket.create_connection((HOST, server.port))
        self._socket.sendall(get("/api/v1/live?health=false"))
        while b"event: hello" not in self._socket.recv(65536):
            pass
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while piece := self._socket.recv(65536):
                now = time.perf_counter()
                *whole, rest = (rest + piece).split(b"\n\n")
                for steps in _STEPS.findall(b"".join(whole)):
                    self.came.update((int(step), now) for step in steps.split(b","))

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def way_s(server: Server, points: int) -> tuple[list[float], list[float]]:
    """Seconds from each POST to its answer, and to its event."""
    way, sent, answered = Way(server), {}, {}
    connections = Connections(server.port, 1)
    (connection,) = connections.all
    try:
        for step in range(points):
            body = {"runs": [{"run": "r", "scalars": [{"tag": "t", "steps": [step], "values": [0.5]}]}]}
            sent[step] = time.perf_counter()
            connections.send(connection, post(json.dumps(body).encode()), sent[step])
            while not (answers := list(connections.wait(1.0))):
                pass
            answered[step] = answers[0].seconds
            time.sleep(PAUSE_S)
        deadline = time.monotonic() + 10
        while len(way.came) < points and time.monotonic() < deadline:
            time.sleep(PAUSE_S)
    finally:
        connections.close()
        way.close()
    if len(way.came) < points:
        raise RuntimeError(f"{points - len(way.came)} of {points} points were not told of")
    return [*answered.values()], [way.came[step] - sent[step] for step in sent]


def run(size: Size) -> Result:
    """The way of a point, and what a write costs beside listeners."""
    rounds, seconds = size.pick((2, 0.2), (3, 0.4), (15, 1.0))

    def load(server: Server) -> tuple[float, float]:
        """Requests a second, and the bridge's seconds for each."""
        before = server.cpu_seconds
        loaded = closed_loop(server, lambda _: WRITE, 64, seconds=seconds)
        loaded.check(200)
        return loaded.rate(), (server.cpu_seconds - before) / len(loaded.answered[200])

    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        bridges = {count: stack.enter_context(bridge(folder / str(count))) for count in COUNTS}
        for count, server in bridges.items():
            closed_loop(server, lambda _: WRITE, 1, count=100)  # warm
            stack.enter_context(listeners(server, count))
        loads = in_turns({str(count): lambda server=server: load(server) for count, server in bridges.items()}, rounds, "live")  # type: ignore[misc]
        ways = [way_s(bridges[0], size.pick(20, 100, 500)) for _ in range(rounds)]  # the last on it: it is watched from now on
    return Result([*_of_ways(ways), *_of_loads(loads)], {})


def _of_ways(ways: list[tuple[list[float], list[float]]]) -> Iterator[Row]:
    for percent in (50, 99):
        told, answered = (Spread.of([percentile(way[at], percent) for way in ways]).times(1e3) for at in (1, 0))
        yield Row(f"from a point's POST to its event: p{percent}", "ms", told, answered, f"p{percent} of the POST's own answer")


def _of_loads(loads: Mapping[str, list[tuple[float, float]]]) -> Iterator[Row]:
    rates = {name: Spread.of([rate for rate, _ in found]) for name, found in loads.items()}
    costs = {name: Spread.of([cost for _, cost in found]).times(1e6) for name, found in loads.items()}
    for name in ("1", "50"):
        what = f"one point, 64 connections, {name} listening"
        yield Row(what, "requests/s", rates[name], rates["0"], "nobody listening", "more")
        yield Row(what, "us of the bridge's processor", costs[name], costs["0"], "nobody listening")
