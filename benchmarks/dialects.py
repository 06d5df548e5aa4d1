"""One point by crayon's POST, each answered when it is on disk: `python -m benchmarks dialects`.

crayon and lapiz send one point or one step a request, so what their users wait for is a request. lapiz's own server, which was
Flask and TensorFlow and cannot be installed any more, was measured at 0.9 thousand requests a second over one connection on two
cores; ours has to do three times as many while it journals each. The load comes from wrk, one connection and then sixteen.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import urllib.request
from pathlib import Path

from benchmarks.post import free_port, running, wrk
from benchmarks.table import Row, print_table

ROUNDS = 3
LAPIZ_SERVER = 900.0  # requests a second, one connection, two cores
BODIES = {
    "crayon": ("/data/scalars?xp=bench&name=loss", "[1501914380.78, 1, 0.5]"),
    "lapiz": (
        "/data/run/bench/summary",
        '{"wall_time": 1501914380.78, "step": 1, "summaries": [{"tag": "accuracy", "type": "scalar", "value": 0.8}]}',
    ),
    "pastalog": ("/data", '{"modelName": "bench", "pointType": "valid", "pointValue": 2.5, "globalStep": 1}'),
}
SCRIPT = """
wrk.method = "POST"
wrk.body = '%s'
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency, requests)
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format("result %%d %%d %%d %%d\\n", latency:percentile(50), latency:percentile(99), summary.requests, bad))
end
"""


def run() -> list[Row]:
    """Requests a second of each dialect beside those of lapiz's own server."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs the load generator wrk: apt-get install wrk (or brew install wrk)")
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        port = free_port()
        bridge = f"http://127.0.0.1:{port}"
        serve = [sys.executable, "-m", "tbbridge.cli", "serve", "--logdir", str(folder / "runs"), "--port", str(port)]
        with running(serve, bridge + "/healthz"):
            request = urllib.request.Request(bridge + "/data", b'"bench"', {"Content-Type": "application/json"})
            with urllib.request.urlopen(request):
                pass  # the experiment that crayon's points go to
            for dialect, (path, body) in BODIES.items():
                script = folder / f"{dialect}.lua"
                script.write_text(SCRIPT % body)
                measured = [wrk(bridge + path, script) for _ in range(ROUNDS)]
                p50, p99, rate = (statistics.median(column) for column in zip(*measured, strict=True))
                many = wrk(bridge + path, script, connections=16)[2]
                note = f"p50 {p50:.0f} us, p99 {p99:.0f} us; {many:,.0f} a second over 16 connections; peer: lapiz's own server"
                target = 3.0 if dialect == "crayon" else None
                title = f"{dialect}: journalled one-point POST, one connection"
                rows.append(Row(title, "requests/s", rate, LAPIZ_SERVER, rate / LAPIZ_SERVER, target, note))
    return rows


if __name__ == "__main__":
    print_table(run())
