"""One journalled point over HTTP against its floor, in one run: `python -m benchmarks.post`.

The floor is what nobody can do without who promises that a 200 is on disk: a FastAPI route that does nothing, under the same
uvicorn with the same loop and parser, and twice an append of the same size with fdatasync on the same file system. Rounds of
the three alternate; medians of the rounds' medians are compared. The load comes from wrk, one connection, so that no Python
client is measured.
"""

from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.table import Row, print_table

ROUNDS = 5
SECONDS = 3  # of wrk a round; its first half second of connecting and warming is a small part of it
SYNCS = 2_000
BODY = '{"runs":[{"run":"a","scalars":[{"tag":"loss","steps":[1],"values":[0.5]}]}]}'
ENTRY_BYTES = 70  # of the journal for that body
SCRIPT = f"""
wrk.method = "POST"
wrk.body = '{BODY}'
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency, requests)
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("result %d %d %d %d\\n", latency:percentile(50), latency:percentile(99), summary.requests, bad))
end
"""
NO_OP = """
import sys
import uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.post("/no-op")
async def no_op() -> dict[str, int]:
    return {"accepted": 1}

uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(command: list[str], url: str) -> Iterator[None]:
    """A server process, from when `url` answers anything until the end of the block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(200):
            if process.poll() is not None:
                raise RuntimeError(f"{command[:3]} ended at once: {process.stderr.read() if process.stderr else ''}")
            try:
                with urllib.request.urlopen(url, timeout=1):
                    break
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


def wrk(url: str, script: Path, connections: int = 1) -> tuple[float, float, float]:
    """Median and 99th percentile in microseconds, and requests per second."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{SECONDS}s", "-s", str(script), url]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next(line for line in output.splitlines() if line.startswith("result "))
    p50, p99, requests, bad = map(float, line.split()[1:])
    if bad:
        raise RuntimeError(f"{bad:.0f} of {requests:.0f} requests to {url} failed:\n{output}")
    return p50, p99, requests / SECONDS


def append_and_sync(folder: Path) -> float:
    """Microseconds of one append with fdatasync, the median of many."""
    times = []
    fd = os.open(folder / "floor", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for _ in range(SYNCS):
            start = time.perf_counter()
            os.write(fd, b"x" * ENTRY_BYTES)
            os.fdatasync(fd)
            times.append(time.perf_counter() - start)
    finally:
        os.close(fd)
    return statistics.median(times) * 1e6


def run() -> list[Row]:
    """The journalled one-point POST, and the three numbers it is compared with."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs the load generator wrk: apt-get install wrk (or brew install wrk)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        script = folder / "post.lua"
        script.write_text(SCRIPT)
        no_op, bridge = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
        serve = [
            sys.executable,
            "-m",
            "tbbridge.cli",
            "serve",
            "--logdir",
            str(folder / "runs"),
            "--port",
            bridge.rsplit(":")[-1],
        ]
        measured: dict[str, list[float]] = {"no-op": [], "sync": [], "post": [], "p99": []}
        with running([sys.executable, "-c", NO_OP, no_op.rsplit(":")[-1]], no_op), running(serve, bridge + "/healthz"):
            for _ in range(ROUNDS):
                measured["no-op"].append(wrk(no_op + "/no-op", script)[0])
                p50, p99, _ = wrk(bridge + "/api/v1/write", script)
                measured["post"].append(p50)
                measured["p99"].append(p99)
                measured["sync"].append(append_and_sync(folder))
    post, empty, sync = (statistics.median(measured[key]) for key in ("post", "no-op", "sync"))
    floor = empty + 2 * sync
    note = f"floor: no-op route {empty:.0f} us + 2 fdatasyncs of {sync:.0f} us; p99 {statistics.median(measured['p99']):.0f} us"
    return [Row("journalled one-point POST, p50", "us", post, floor, floor / post, 1.0, note)]


if __name__ == "__main__":
    print_table(run())
