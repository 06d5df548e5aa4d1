"""Points a second into event files, and the processor time of a million of them, in every form in which they may be sent.

Bodies of 10,000 points of one tag with steps and values, ready made, over four connections; each is answered when its points
are in the event file (`ack=written`), journalled before. The limit is the disk: as many bytes as the journal and the event
files of these points have, written into the system's cache and nothing else. The load runs on the same cores.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.bodies import CODINGS, FORMS
from benchmarks.load import closed_loop, post
from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import Server, bridge

POINTS = 10_000
CONNECTIONS = 4
REQUESTS = {"JSON rows": 12, "JSON columns": 40, "protobuf columns": 80}
CHUNK = bytes(1 << 20)
DISK_BYTES_A_POINT = 72  # of journal and event file together, for points with their wall time


class Rate(NamedTuple):
    """Of one round."""

    points_per_s: float
    cpu_s_per_million: float
    body_bytes_a_point: float


def send(server: Server, run: str, form: str, coding: str, requests: int) -> Rate:
    """`requests` bodies whose steps rise; making them is not measured."""
    content_type, make = FORMS[form]
    encoding, pack = CODINGS[coding]
    headers = (f"Content-Encoding: {encoding}",) if encoding else ()
    bodies = [pack(make(run, number * POINTS, POINTS)) for number in range(requests)]
    ready = [post(body, content_type, "/api/v1/write?ack=written", *headers) for body in bodies]
    waiting = iter(ready)
    cpu = server.cpu_seconds
    loaded = closed_loop(server, lambda _: next(waiting), CONNECTIONS, count=requests)
    loaded.check(200)
    points = requests * POINTS
    size = sum(map(len, bodies)) / points
    return Rate(points / loaded.seconds, (server.cpu_seconds - cpu) / points * 1e6, size)


def disk(folder: Path, points: int) -> Rate:
    """The same bytes into the cache of the disk."""
    chunks = max(1, points * DISK_BYTES_A_POINT // len(CHUNK))
    place = folder / "disk"
    start = time.perf_counter()
    with place.open("wb", buffering=0) as file:
        for _ in range(chunks):
            file.write(CHUNK)
    took = time.perf_counter() - start
    place.unlink()
    return Rate(chunks * len(CHUNK) / DISK_BYTES_A_POINT / took, 0.0, 0.0)


def synced(folder: Path, points: int) -> Rate:
    """The same with the journal's part of it on the disk: a sync a body."""
    place = folder / "synced"
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT)
    body = bytes(POINTS * DISK_BYTES_A_POINT)
    start = time.perf_counter()
    for _ in range(points // POINTS):
        os.write(descriptor, body)
        os.fdatasync(descriptor)
    took = time.perf_counter() - start
    os.close(descriptor)
    place.unlink()
    return Rate(points / took, 0.0, 0.0)


def run(size: Size) -> Result:
    """Every form in every coding."""
    number = count()
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs") as server:

        def work(form: str, coding: str) -> Callable[[], Rate]:
            return lambda: send(server, f"run{next(number):06d}", form, coding, size.pick(4, REQUESTS[form]))

        works = {f"{form}, {coding}": work(form, coding) for form in FORMS for coding in CODINGS}
        for form in FORMS:
            send(server, f"warm-{form}".replace(" ", "-"), form, "plain", 4)
        before = server.metrics()
        send(server, "sizes", "protobuf columns", "plain", 10)
        after = server.metrics()
        most = size.pick(4, max(REQUESTS.values())) * POINTS
        works |= {"disk": lambda: disk(Path(name), most), "synced": lambda: synced(Path(name), most)}
        found = in_turns(works, size.pick(1, 3, 9), "throughput")
    stored = {
        what: (after[key] - before[key]) / (10 * POINTS)
        for what, key in (("journal", "tbbridge_journal_bytes_total"), ("event files", "tbbridge_event_bytes_total"))
    }
    rates = {what: Spread.of([rate.points_per_s for rate in all_]) for what, all_ in found.items()}
    limit = rates["disk"]
    goals = {
        "JSON rows, plain": Goal(500_000, "ours"),
        "JSON columns, plain": Goal(3e6, "ours"),
        "protobuf columns, plain": Goal(min(6e6, 0.7 * limit.median), "ours"),
    }
    rows, usual = [], "JSON columns, plain"
    cpu = {what: Spread.of([rate.cpu_s_per_million for rate in all_]) for what, all_ in found.items()}
    for what in list(works)[:-2]:
        size_ = found[what][0].body_bytes_a_point
        note = f"{size_:.1f} bytes a point sent"
        if what == "protobuf columns, plain":
            note += "".join(f", {part:.1f} in the {place}" for place, part in stored.items())
        against = "the same bytes into the disk's cache"
        rows.append(Row(what, "points/s", rates[what], limit, against, "more", goals.get(what), note))
    for what in list(works)[:-2]:
        peer, against = (None, "") if what == usual else (cpu[usual], usual)
        rows.append(Row(f"{what}: processor time", "s/M points", cpu[what], peer, against))
    rows.append(Row("the disk, a sync for each 10,000 points", "points/s", rates["synced"], limit, "no sync", "more"))
    return Result(rows)
