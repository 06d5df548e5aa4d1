"""What a point costs when there are many runs and tags: it should be what it costs when there are few.

Requests of the same form, 10 tags with 100 points each of one run, in protobuf; only how many runs (or tags of one run) they
take turns in grows, from 1 (ten tags) to 10,000. The bridge of each case has its runs and tags before the clock starts, as a
server that has been up for long has. Processor time of the bridge, for the curve; rounds of all cases in turns.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

from benchmarks.bodies import PROTOBUF
from benchmarks.load import closed_loop, post
from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import Server, bridge
from tbbridge.limits import MiB
from tbbridge.v1 import write_pb2

TAGS, POINTS = 10, 100  # of a request
CONNECTIONS = 8


class Rate(NamedTuple):
    points_per_s: float
    cpu_us_a_point: float


class Case:
    """A bridge and the runs and tags that requests to it take turns in."""

    def __init__(self, server: Server, runs: int, tags: int) -> None:
        self.server = server
        self.runs, self.tags = runs, tags
        self._groups = max(1, tags // TAGS)  # of tags: a request has one of them
        self._turn = count()

    def body(self, points: int) -> bytes:
        """The next request, with `points` of each of its tags."""
        turn = next(self._turn)
        message = write_pb2.WriteRequest()
        run = message.runs.add(run=f"group{turn % self.runs // 100}/run{turn % self.runs}")
        first = turn // self.runs % self._groups * TAGS
        step = turn // (self.runs * self._groups) * POINTS
        for tag in range(first, first + TAGS):
            run.scalars.add(tag=f"train/metric-{tag}", steps=range(step, step + points), values=[0.5] * points)
        return post(message.SerializeToString(), PROTOBUF)

    def prepare(self) -> None:
        """Make all of its runs and tags: each of its first requests has some that are new. At least so many that it is warm."""
        every = self.runs * self._groups
        closed_loop(self.server, lambda _: self.body(1), CONNECTIONS, count=every * max(1, 200 // every)).check(200)

    def measure(self, requests: int) -> Rate:
        ready = iter([self.body(POINTS) for _ in range(requests)])
        cpu = self.server.cpu_seconds
        loaded = closed_loop(self.server, lambda _: next(ready), CONNECTIONS, count=requests)
        loaded.check(200)
        points = requests * TAGS * POINTS
        return Rate(points / loaded.seconds, (self.server.cpu_seconds - cpu) / points * 1e6)


def run(size: Size) -> Result:
    """The curves, and the ends of both compared."""
    numbers = size.pick((1, 10, 100), (1, 10, 1_000, 10_000))
    asked = {f"runs {number}": (number, TAGS) for number in numbers}
    asked |= {f"tags {number}": (1, number) for number in numbers if number > TAGS}
    cases: dict[str, Case] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        for title, (runs, tags) in asked.items():
            server = stack.enter_context(bridge(Path(name) / title.replace(" ", "-")))
            cases[title] = Case(server, runs, tags)
            cases[title].prepare()
        works = {title: partial(case.measure, size.pick(20, 250, 2_500)) for title, case in cases.items()}
        found = in_turns(works, size.pick(1, 3, 9), "scale")
        held = {title: case.server.memory_bytes / MiB for title, case in cases.items()}
    found["tags 10"] = found["runs 1"]  # one run of ten tags
    held["tags 10"] = held["runs 1"]
    cost = {title: Spread.of([rate.cpu_us_a_point for rate in all_]) for title, all_ in found.items()}
    rate = {title: Spread.of([rate.points_per_s for rate in all_]) for title, all_ in found.items()}
    rows, curves = [], {}
    for what, few in (("runs", 10), ("tags", TAGS)):
        titles = {number: f"{what} {number}" for number in numbers if f"{what} {number}" in found}
        for number, title in titles.items():
            if number != few:
                goal = Goal(0.5) if what == "runs" and number == numbers[-1] else None
                note = f"{rate[title].median:,.0f} points a second; {held[title]:.0f} MiB held"
                of, against = cost[f"{what} {few}"], f"{few} {what}"
                rows.append(
                    Row(f"processor time a point, {number:,} {what}", "us", cost[title], of, against, goal=goal, note=note)
                )
        curves[what] = [
            {"number": number, "cpu_us": cost[title].median, "points_per_s": rate[title].median}
            for number, title in titles.items()
        ]
    return Result(rows, {"curves": curves})
