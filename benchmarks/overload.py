"""Twice what the bridge can take, for a while.

As much as it can do with 64 senders that wait for their answers and, open loop, twice as many requests a second, come what may,
over 2,000 connections: by turns, since files grow meanwhile and the machine's memory is not equally quick everywhere. Small
requests, where the work is HTTP's, and large ones, where it is the encoder's and the disk's. It should go on at its pace, tell
the rest at once that they are too many, and hold no more memory than it says. The load runs on the same cores, and takes its
share of them. What of a difference is due to there being so many connections, and not to there being too much, a load that is
nearly as high as can be taken shows, over as many.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.bodies import JSON, ONE_POINT, PROTOBUF
from benchmarks.load import UNANSWERED, Loaded, closed_loop, evenly, open_loop, post
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
# Of the most that it can: over 2,000 connections it takes about as much as this without refusing any.
NEARLY = 0.8


def many_points(count: int) -> bytes:
    """`count` points of one tag whose steps go on by themselves, so that the same body may come again and again."""
    message = write_pb2.WriteRequest()
    column = message.runs.add(run="a").scalars.add(tag="loss")
    column.values.extend(np.random.default_rng(1).random(count))
    return message.SerializeToString()


def measure(folder: Path, name: str, request: bytes, size: Size, *, with_calm: bool) -> list[Row]:
    rounds, at_most_s, nearly_s, over_s = size.pick((1, 0.5, 0.5, 0.5), (2, 0.5, 1.0, 2.5), (3, 3.0, 4.0, 8.0))
    connections = size.pick(200, CONNECTIONS)
    overs: list[Loaded] = []
    nearlies: list[Loaded] = []
    with bridge(folder) as server:
        closed_loop(server, lambda _: request, 64, count=200)  # warm
        mosts = [closed_loop(server, lambda _: request, 64, seconds=at_most_s)]
        for _ in range(rounds):
            most = mosts[-1].rate()
            if with_calm:
                due = evenly(NEARLY * most, nearly_s)
                nearlies.append(open_loop(server, lambda _: request, due, connections, grace_s=P99_S))
            overs.append(open_loop(server, lambda _: request, evenly(2 * most, over_s), connections, grace_s=P99_S))
            mosts.append(closed_loop(server, lambda _: request, 64, seconds=at_most_s))
        held = server.most_memory_bytes
    for closed in mosts:
        closed.check(200)
    for over in (*nearlies, *overs):
        over.check(200, 429, UNANSWERED)
    accepted = Spread.of([over.rate_under_load() for over in overs])
    refused = Spread.of([over.rate_under_load(429) for over in overs])
    p99_ms = Spread.of([over.percentile(99) * 1e3 for over in overs])
    shares = f"{accepted.median:,.0f} accepted and {refused.median:,.0f} refused a second"
    quick = "429s: " + ", ".join(f"p{p} {median(over.percentile(p, 429) for over in overs) * 1e3:.0f} ms" for p in (50, 99))
    most_can = Spread.of([closed.rate() for closed in mosts])
    rows = [
        Row(f"overload, {name}: accepted", "requests/s", accepted, most_can, "the most it can", "more", Goal(0.8), shares),
        Row(f"overload, {name}: p99 of the accepted", "ms", p99_ms, goal=Goal(P99_S * 1e3, "ours"), note=quick),
        Row(
            f"overload, {name}: memory",
            "MiB",
            Spread.one(held / limits.MiB),
            Spread.one(MEMORY_BYTES / limits.MiB),
            "its own bound",
            goal=Goal(1.0),
        ),
    ]
    if nearlies:
        calm = Spread.of([nearly.rate_under_load() for nearly in nearlies])
        refused_calm = median(nearly.rate_under_load(429) for nearly in nearlies)
        against, note = f"at {NEARLY:g} of that, over as many connections", f"then {refused_calm:,.0f} refused a second"
        rows.insert(1, Row(f"overload, {name}: accepted beside calm", "requests/s", accepted, calm, against, "more", note=note))
    return rows


def run(size: Size) -> Result:
    """Throughput, latency and memory at twice what can be taken."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = measure(folder / "small", "one point", post(ONE_POINT, JSON), size, with_calm=True)
        rows += measure(folder / "large", "10,000 points", post(many_points(10_000), PROTOBUF), size, with_calm=False)
    return Result(rows)
