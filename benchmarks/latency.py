"""Latency against load: requests that come when they come (open loop), at 10% to 120% of what the bridge can take.

The capacity is what as many connections get answered when each sends its next request at once. Then requests are due at random
moments (Poisson), at parts of that rate, whatever the bridge does; times count from when a request was due. One point and 1,000
points a request, over 1 to 1,000 connections, each answered when it is on disk. Beside it, at the same rates, the floors: a
FastAPI route that does nothing, and a bare ASGI app. The load runs on the same cores.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.bodies import JSON, ONE_POINT, PROTOBUF
from benchmarks.load import UNANSWERED, Loaded, closed_loop, open_loop, poisson, post
from benchmarks.measure import Size, in_turns, summary_of, tracked
from benchmarks.overload import many_points
from benchmarks.results import Result, Row, Spread
from benchmarks.servers import BARE, NO_OP, Server, bridge, floor

LOADS = (0.1, 0.5, 0.9, 1.2)
CONNECTIONS = (1, 8, 64, 256, 1000)
BODIES = {1: post(ONE_POINT, JSON), 1000: post(many_points(1000), PROTOBUF)}
EMPTY = post(b"{}", path="/no-op")
FLOORS = {"no-op FastAPI route": NO_OP, "bare ASGI app": BARE}
FLOOR_AT = ((1, 0.5), (64, 0.5))  # connections, and the part of our capacity


def under(server: Server, request: bytes, rate: float, connections: int, seconds: float, seed: int) -> Loaded:
    loaded = open_loop(server, lambda _: request, poisson(rate, seconds, seed), connections)
    loaded.check(200, 429, UNANSWERED)
    return loaded


def merged(parts: list[Loaded]) -> dict[str, Any]:
    """What a picture needs: rates, and percentiles in ms; what was never answered counts as old as it got."""
    times = [took for loaded in parts for status, all_ in loaded.answered.items() if status != 429 for took in all_]
    late = [took for loaded in parts for took in loaded.late_s]
    return {
        "answered_per_s": float(np.mean([loaded.rate_under_load() for loaded in parts])),
        "ms": {name: took if name == "count" else took * 1e3 for name, took in summary_of(times).items()},
        "refused": sum(loaded.counts[429] for loaded in parts),
        "unanswered": sum(loaded.counts[UNANSWERED] for loaded in parts),
        "generator_late_ms": float(np.percentile(late, 99)) * 1e3 if late else 0.0,
    }


def curve(server: Server, points: int, connections: int, size: Size) -> dict[str, Any]:
    """Capacity, and latency at each load."""
    request = BODIES[points]
    seconds = size.pick(0.15, 0.16, 2.0)

    def most() -> float:
        loaded = closed_loop(server, lambda _: request, connections, seconds=seconds)
        loaded.check(200, 429)
        return loaded.rate()

    most()  # connections and caches are warm
    capacity = Spread.of([most() for _ in range(size.pick(1, 2))])
    loads = size.pick((0.5, 1.2), LOADS)
    works: dict[str, Callable[[], Loaded]] = {
        str(load): partial(under, server, request, load * capacity.median, connections, seconds, round(100 * load))
        for load in loads
    }
    found = in_turns(works, size.pick(1, 2), f"latency, {points} points, {connections} connections")
    return {
        "points": points,
        "connections": connections,
        "capacity_per_s": capacity.median,
        "loads": [{"load": load, "due_per_s": load * capacity.median, **merged(found[str(load)])} for load in loads],
    }


def beside_floors(ours: Server, folder: Path, curves: list[dict[str, Any]], size: Size) -> list[Row]:
    """One point at half of the capacity, and the floors at the same rate, in turns."""
    rows = []
    seconds, rounds = size.pick((0.2, 1), (0.25, 3), (2.0, 5))
    with floor(NO_OP, folder) as no_op, floor(BARE, folder) as bare:
        for connections, part in FLOOR_AT:
            of = [found for found in curves if found["points"] == 1 and found["connections"] == connections]
            if not of:
                continue
            rate = part * of[0]["capacity_per_s"]
            servers = {"tbbridge": (ours, BODIES[1]), "no-op FastAPI route": (no_op, EMPTY), "bare ASGI app": (bare, EMPTY)}
            works = {
                name: partial(under, server, request, rate, connections, seconds, 7)
                for name, (server, request) in servers.items()
            }
            found = in_turns(works, rounds, f"floors, {connections} connections")
            for percent in (50, 99):
                spread = {
                    name: Spread.of([loaded.percentile(percent) * 1e3 for loaded in all_]) for name, all_ in found.items()
                }
                title = f"one point, {plural(connections)}, {part:.0%} of capacity: p{percent}"
                note = f"{rate:,.0f} requests a second; ours waits for the disk"
                rows += [Row(title, "ms", spread["tbbridge"], spread[name], name, note=note) for name in FLOORS]
    return rows


def plural(connections: int) -> str:
    return f"{connections:,} connection{'s' if connections > 1 else ''}"


def row_of(found: dict[str, Any]) -> Row:
    """What it can take, and how long requests took below and above that."""
    title = f"{found['points']:,} point{'s' if found['points'] > 1 else ''} a request, {plural(found['connections'])}: most"
    at = [(load["load"], load["ms"]["p50"], load["ms"]["p99"]) for load in found["loads"]]
    note = "; ".join(f"at {load:.0%}: p50 {p50:.2f}, p99 {p99:.2f} ms" for load, p50, p99 in at)
    return Row(title, "requests/s", Spread.one(found["capacity_per_s"]), better="more", note=note)


def run(size: Size) -> Result:
    """All curves, and the floors."""
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs") as server:
        cells = [(points, connections) for points in BODIES for connections in size.pick((1, 64), CONNECTIONS)]
        curves = [curve(server, *cell, size) for cell in tracked(cells, "latency")]
        rows = [row_of(found) for found in curves]
        rows += beside_floors(server, Path(name), curves, size)
    return Result(rows, {"curves": curves})
