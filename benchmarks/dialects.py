"""One point by the requests of lapiz's, crayon's and pastalog's clients, each answered when it is on disk.

Those clients send one point or one step a request, so what their users wait for is a request. lapiz's own server, which was
Flask and TensorFlow and cannot be installed any more, was measured at 0.9 thousand requests a second over one connection on two
cores; ours is to do three times as many while it journals each.
"""

from __future__ import annotations

import tempfile
import urllib.request
from pathlib import Path

from benchmarks.bodies import JSON
from benchmarks.load import Loaded, closed_loop, post
from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import NO_OP, Server, bridge, floor

LAPIZ_SERVER = 900.0  # requests a second, one connection, two cores
REQUESTS = {
    "crayon": post(b"[1501914380.78, 1, 0.5]", JSON, "/data/scalars?xp=bench&name=loss"),
    "lapiz": post(
        b'{"wall_time": 1501914380.78, "step": 1, "summaries": [{"tag": "accuracy", "type": "scalar", "value": 0.8}]}',
        JSON,
        "/data/run/bench/summary",
    ),
    "pastalog": post(b'{"modelName": "bench", "pointType": "valid", "pointValue": 2.5, "globalStep": 1}', JSON, "/data"),
}


def run(size: Size) -> Result:
    """Requests a second of each dialect."""
    rounds, seconds = size.pick((1, 0.2), (3, 0.3), (3, 3.0))

    def load(server: Server, request: bytes, connections: int) -> Loaded:
        loaded = closed_loop(server, lambda _: request, connections, seconds=seconds)
        loaded.check(200)
        return loaded

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bridge(folder / "runs") as server, floor(NO_OP, folder) as no_op:
            experiment = urllib.request.Request(f"{server.url}/data", b'"bench"', {"Content-Type": JSON})
            with urllib.request.urlopen(experiment):
                pass  # the experiment that crayon's points go to
            works = {
                f"{dialect} {connections}": lambda request=request, connections=connections: load(server, request, connections)
                for dialect, request in REQUESTS.items()
                for connections in (1, 16)
            }
            empty = post(b"{}", path="/no-op")
            found = in_turns({"no-op": lambda: load(no_op, empty, 1), **works}, rounds, "dialects")
    rows = []
    for dialect in REQUESTS:
        one, many = found[f"{dialect} 1"], found[f"{dialect} 16"]
        p50, p99 = (Spread.of([loaded.percentile(percent) * 1e6 for loaded in one]).median for percent in (50, 99))
        most = Spread.of([loaded.rate() for loaded in many]).median
        note = f"p50 {p50:.0f} us, p99 {p99:.0f} us; {most:,.0f} a second over 16 connections"
        ours = Spread.of([loaded.rate() for loaded in one])
        title = f"{dialect}: one journalled point a request"
        goal = Goal(3.0) if dialect == "crayon" else None
        rows += [
            Row(title, "requests/s", ours, Spread.one(LAPIZ_SERVER), "lapiz's own server, measured once", "more", goal, note),
            Row(
                title,
                "requests/s",
                ours,
                Spread.of([loaded.rate() for loaded in found["no-op"]]),
                "no-op FastAPI route, no disk",
                "more",
            ),
        ]
    return Result(rows)
