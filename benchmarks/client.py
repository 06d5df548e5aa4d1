"""The client against tensorboardX: what a log call costs, and how many points a second one process gets into event files.

The call is what a training loop pays: one `add_scalar` with a step, while the sender works behind it (ours sends to a bridge in
another process; theirs writes to a file). The rate is what a machine gets: one process logs scalars until they are in the event
file, the bridge's work on the second core included; theirs is from the first `add_scalar` to the closed file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from tensorboardX import SummaryWriter

from benchmarks.measure import Size, in_turns, seconds
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import bridge
from tbbridge import Client


def one_call_ns(log: Callable[[str, float, int], object], first: int, calls: int, settle: Callable[[], object]) -> float:
    start = time.perf_counter()
    for step in range(first, first + calls):
        log("train/loss", 0.5, step)
    took = time.perf_counter() - start
    settle()
    return took / calls * 1e9


def lapiz_call_ns(client: Client, name: str, calls: int) -> float:
    """The other way to log: three values a step, then `step()`; per value."""
    run = client.run(name)
    start = time.perf_counter()
    for _ in range(calls // 3):
        run.add_scalar("train/loss", 0.5)
        run.add_scalar("train/accuracy", 0.5)
        run.add_scalar("train/rate", 0.5)
        run.step()
    took = time.perf_counter() - start
    client.flush()
    return took / (calls // 3 * 3) * 1e9


def records(folder: Path) -> int:
    """How many records the event files of a run hold, walked frame by frame: length, its CRC, payload, its CRC."""
    found = 0
    for path in folder.glob("*tfevents*"):
        data = path.read_bytes()
        position = 0
        while position < len(data):
            position += 16 + int.from_bytes(data[position : position + 8], "little")
            found += 1
    return found


def run(size: Size) -> Result:
    """Calls and rate, of both."""
    calls, points, peer_points = size.pick((1_000, 5_000, 500), (20_000, 300_000, 10_000))
    number = count()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bridge(folder / "runs") as server, Client(server.url, ack="written") as client:
            writer = SummaryWriter(str(folder / "peer"))
            run = client.run("calls")

            def our_rate() -> float:
                mine = client.run(f"rate{next(number)}")
                took = seconds(lambda: _log(mine, points, client.flush))
                mine.close()
                if (found := records(folder / "runs" / mine.name)) < points:
                    raise RuntimeError(f"the event file holds {found} records of {points} points, so the numbers mean nothing")
                return points / took

            def peer_rate() -> float:
                start = time.perf_counter()
                theirs = SummaryWriter(str(folder / f"peer{next(number)}"))
                _log(theirs, peer_points, theirs.close)
                return peer_points / (time.perf_counter() - start)

            works: dict[str, Callable[[], float]] = {
                "call": lambda: one_call_ns(run.add_scalar, next(number) * calls, calls, client.flush),
                "peer's call": lambda: one_call_ns(writer.add_scalar, next(number) * calls, calls, writer.flush),
                "lapiz's way": lambda: lapiz_call_ns(client, f"steps{next(number)}", calls),
                "rate": our_rate,
                "peer's rate": peer_rate,
            }
            found = in_turns(works, size.pick(1, 5, 7), "client")
            writer.close()
        if client.stats.dropped or client.stats.rejected:
            raise RuntimeError(f"points were lost, so the numbers mean nothing: {client.stats}")
    spread = {what: Spread.of(values) for what, values in found.items()}
    call, rate = spread["peer's call"], spread["peer's rate"]
    return Result(
        [
            Row("run.add_scalar(tag, value, step)", "ns", spread["call"], call, "tensorboardX", goal=Goal(25.0)),
            Row(
                "3 x run.add_scalar(tag, value), run.step()",
                "ns",
                spread["lapiz's way"],
                call,
                "tensorboardX",
                note="for each value",
            ),
            Row(
                "one process into the event file",
                "points/s",
                spread["rate"],
                rate,
                "tensorboardX",
                "more",
                Goal(8.0),
                f"{points:,} points until all are there",
            ),
        ]
    )


def _log(writer: Any, points: int, settle: Callable[[], object]) -> None:
    for step in range(points):
        writer.add_scalar("train/loss", 0.5, step)
    settle()
