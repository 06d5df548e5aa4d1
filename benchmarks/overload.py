"""Twice what the bridge can take, for a while.

First as much as it can do with 64 senders that wait for their answers; then, open loop, twice as many requests a second, come
what may, over 2,000 connections. Small requests, where the work is HTTP's, and large ones, where it is the encoder's and the
disk's. It should go on at its pace, tell the rest at once that they are too many, and hold no more memory than it says. The
load runs on the same cores, and takes its share of them.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.bodies import JSON, ONE_POINT, PROTOBUF
from benchmarks.load import UNANSWERED, closed_loop, evenly, open_loop, post
from benchmarks.measure import Size
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import bridge
from tbbridge import limits
from tbbridge.v1 import write_pb2

CONNECTIONS = 2000
# What the bridge may hold at most: itself, the queue, the bodies being read and parsed, and the group at work in four forms.
ITSELF_BYTES = 120 * limits.MiB
MEMORY_BYTES = ITSELF_BYTES + limits.QUEUE_MAX_BYTES + limits.BODIES_IN_FLIGHT_MAX_BYTES + 4 * limits.GROUP_MAX_BYTES
# Within which an accepted request is answered: under way are at most limits.REQUESTS_MAX, and in the queue QUEUE_MAX_BYTES.
P99_S = 2.0


def many_points(count: int) -> bytes:
    """`count` points of one tag whose steps go on by themselves, so that the same body may come again and again."""
    message = write_pb2.WriteRequest()
    column = message.runs.add(run="a").scalars.add(tag="loss")
    column.values.extend(np.random.default_rng(1).random(count))
    return message.SerializeToString()


def measure(folder: Path, name: str, request: bytes, size: Size) -> list[Row]:
    at_most_s, over_s = size.pick((0.5, 0.5), (0.8, 2.0), (5.0, 15.0))
    with bridge(folder) as server:
        closed_loop(server, lambda _: request, 64, count=200)  # warm
        before = closed_loop(server, lambda _: request, 64, seconds=at_most_s)
        over = open_loop(
            server, lambda _: request, evenly(2 * before.rate(), over_s), size.pick(200, CONNECTIONS), grace_s=P99_S
        )
        after = closed_loop(server, lambda _: request, 64, seconds=at_most_s)
        held = server.most_memory_bytes
    before.check(200)
    after.check(200)
    over.check(200, 429, UNANSWERED)
    most = Spread.of([before.rate(), after.rate()])
    accepted, refused = over.rate_under_load(), over.rate_under_load(429)
    shares = f"{accepted:,.0f} accepted and {refused:,.0f} refused a second of {2 * before.rate():,.0f}"
    quick = f"429s: p50 {over.percentile(50, 429) * 1e3:.0f} ms, p99 {over.percentile(99, 429) * 1e3:.0f} ms"
    p99_ms = over.percentile(99) * 1e3
    of = "the most it can, before and after"
    return [
        Row(f"overload, {name}: accepted", "requests/s", Spread.one(accepted), most, of, "more", Goal(0.8), shares),
        Row(f"overload, {name}: p99 of the accepted", "ms", Spread.one(p99_ms), goal=Goal(P99_S * 1e3, "ours"), note=quick),
        Row(
            f"overload, {name}: memory",
            "MiB",
            Spread.one(held / limits.MiB),
            Spread.one(MEMORY_BYTES / limits.MiB),
            "its own bound",
            goal=Goal(1.0),
        ),
    ]


def run(size: Size) -> Result:
    """Throughput, latency and memory at twice what can be taken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = measure(folder / "small", "one point", post(ONE_POINT, JSON), size)
        rows += measure(folder / "large", "10,000 points", post(many_points(10_000), PROTOBUF), size)
    return Result(rows)
