"""Twice what the bridge can take, for a while: `python -m benchmarks overload`.

First as much as it can do with 64 senders that wait for their answers; then, open loop, twice as many requests a second, come
what may, over 3,000 connections. Small requests, where the work is HTTP's, and large ones, where it is the encoder's and the
disk's. It should go on at its pace, tell the rest at once that they are too many, and hold no more memory than it says. The
load runs on the same cores, and takes its share of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.load import UNSENT, Loaded, bridge, closed_loop, open_loop, post, run_loop
from benchmarks.table import Row, print_table
from tbbridge import limits
from tbbridge.v1 import write_pb2

SECONDS_AT_MOST = 5.0
SECONDS_OVER = 15.0
CONNECTIONS = 3000
# What the bridge may hold at most: itself, the queue, the bodies being read and parsed, and the group at work in four forms.
ITSELF_BYTES = 120 * limits.MiB
MEMORY_BYTES = ITSELF_BYTES + limits.QUEUE_MAX_BYTES + limits.BODIES_IN_FLIGHT_MAX_BYTES + 4 * limits.GROUP_MAX_BYTES
# Within which an accepted request is answered: under way are at most limits.REQUESTS_MAX, and in the queue QUEUE_MAX_BYTES.
P99_S = 2.0
ONE_POINT = b'{"runs":[{"run":"a","scalars":[{"tag":"loss","steps":[1],"values":[0.5]}]}]}'


def many_points(count: int) -> bytes:
    """`count` points of one tag, as our own client sends them."""
    message = write_pb2.WriteRequest()
    column = message.runs.add(run="a").scalars.add(tag="loss")
    column.values.extend(np.random.default_rng(1).random(count))
    return message.SerializeToString()


def measure(folder: Path, name: str, request: bytes) -> list[Row]:
    with bridge(folder) as server:
        most = run_loop(closed_loop(server, request, 64, SECONDS_AT_MOST))
        over = run_loop(open_loop(server, request, 2 * most.rate(200), CONNECTIONS, SECONDS_OVER))
        held = server.most_memory_bytes
    check(most, {200})
    check(over, {200, 429})
    shares = f"{over.rate(200):,.0f} accepted and {over.rate(429):,.0f} refused a second of {2 * most.rate(200):,.0f}"
    quick = over.percentile(429, 99)
    refused = f"429s: p50 {over.percentile(429, 50) * 1e3:.0f} ms, p99 {quick * 1e3:.0f} ms"
    p99 = over.percentile(200, 99)
    ratio = over.rate(200) / most.rate(200)
    return [
        Row(f"overload, {name}: accepted of the most it can", "req/s", over.rate(200), most.rate(200), ratio, 0.8, shares),
        Row(f"overload, {name}: p99 of the accepted", "ms", p99 * 1e3, P99_S * 1e3, P99_S / max(p99, 1e-6), 1.0, refused),
        Row(f"overload, {name}: memory", "MiB", held / limits.MiB, MEMORY_BYTES / limits.MiB, MEMORY_BYTES / held, 1.0),
    ]


def check(loaded: Loaded, expected: set[int]) -> None:
    """Nothing but what is expected, and requests that found no free connection."""
    wrong = {status: count for status, count in loaded.counts.items() if status not in {*expected, UNSENT}}
    if wrong:
        raise RuntimeError(f"answers that should not be: {wrong}")


def run() -> list[Row]:
    """Throughput, latency and memory at twice what can be taken."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += measure(folder / "small", "one point", post(ONE_POINT, "application/json"))
        rows += measure(folder / "large", "10,000 points", post(many_points(10_000), "application/x-protobuf"))
    return rows


if __name__ == "__main__":
    print_table(run())
