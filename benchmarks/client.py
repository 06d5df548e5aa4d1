"""The client against tensorboardX, in one run: `python -m benchmarks.client`.

The call is what a training loop pays: one `add_scalar` with a step, while the sender works behind it (ours sends to a bridge in
another process; theirs writes to a file). The rate is what a machine gets: one process logs scalars until they are in the event
file, the bridge's work on the second core included; theirs is from the first `add_scalar` to the closed file. Rounds of both
alternate, so that whatever else the machine does falls on both; medians are compared.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tensorboardX import SummaryWriter

from benchmarks.post import free_port, running
from benchmarks.table import Row, print_table
from tbbridge import Client

ROUNDS = 7
CALLS = 20_000  # in a row, of each; as many fit a training job's second many times over
POINTS = 500_000  # until on disk
PEER_POINTS = 20_000


@contextmanager
def bridge(folder: Path) -> Iterator[str]:
    """A bridge in a process of its own; its address."""
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "tbbridge.cli", "serve", "--logdir", str(folder), "--port", url.rpartition(":")[2]]
    with running(command, f"{url}/readyz"):
        yield url


def calls(client: Client, writer: SummaryWriter) -> Row:
    run = client.run("calls")
    ours, theirs = [], []
    for number in range(ROUNDS):
        first = number * CALLS
        start = time.perf_counter()
        for step in range(first, first + CALLS):
            run.add_scalar("train/loss", 0.5, step)
        ours.append((time.perf_counter() - start) / CALLS * 1e9)
        client.flush()
        start = time.perf_counter()
        for step in range(first, first + CALLS):
            writer.add_scalar("train/loss", 0.5, step)
        theirs.append((time.perf_counter() - start) / CALLS * 1e9)
        writer.flush()
    mine, peer = statistics.median(ours), statistics.median(theirs)
    return Row(
        "run.add_scalar(tag, value, step)",
        "ns",
        mine,
        peer,
        peer / mine,
        25,
        f"a call, best round {min(ours):.0f} ns, worst {max(ours):.0f} ns",
    )


def lapiz_calls(client: Client, peer: float) -> Row:
    """The other way to log: three values a step, then `step()`; per value."""
    run = client.run("steps")
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in range(CALLS // 3):
            run.add_scalar("train/loss", 0.5)
            run.add_scalar("train/accuracy", 0.5)
            run.add_scalar("train/rate", 0.5)
            run.step()
        times.append((time.perf_counter() - start) / (CALLS // 3 * 3) * 1e9)
        client.flush()
    mine = statistics.median(times)
    return Row("3 x run.add_scalar(tag, value), run.step()", "ns", mine, peer, peer / mine, None, "for each value")


def records(folder: Path) -> int:
    """How many records the event files of a run hold, walked frame by frame: length, its CRC, payload, its CRC."""
    count = 0
    for path in folder.glob("*tfevents*"):
        data = path.read_bytes()
        position = 0
        while position < len(data):
            position += 16 + int.from_bytes(data[position : position + 8], "little")
            count += 1
    return count


def rate(client: Client, folder: Path) -> Row:
    ours, theirs = [], []
    for number in range(ROUNDS):
        run = client.run(f"rate{number}")
        start = time.perf_counter()
        for step in range(POINTS):
            run.add_scalar("train/loss", 0.5, step)
        client.flush()
        ours.append(POINTS / (time.perf_counter() - start))
        run.close()
        if (found := records(folder / "runs" / f"rate{number}")) < POINTS:
            raise RuntimeError(f"the event file holds {found} records of {POINTS} points, so the numbers mean nothing")
        start = time.perf_counter()
        writer = SummaryWriter(str(folder / f"peer{number}"))
        for step in range(PEER_POINTS):
            writer.add_scalar("train/loss", 0.5, step)
        writer.close()
        theirs.append(PEER_POINTS / (time.perf_counter() - start))
    mine, peer = statistics.median(ours), statistics.median(theirs)
    note = f"{POINTS:,} points until all are in the event file; slowest round {min(ours):,.0f} points/s"
    return Row("Client to the event file", "points/s", mine, peer, mine / peer, 8, note)


def run() -> list[Row]:
    """Everything measured, for this table and for the one of all benchmarks."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with bridge(folder / "runs") as url, Client(url, ack="written") as client:
            writer = SummaryWriter(str(folder / "peer"))
            call = calls(client, writer)
            writer.close()
            rows = [call, lapiz_calls(client, call.peer), rate(client, folder)]
        if client.stats.dropped or client.stats.rejected:
            raise RuntimeError(f"points were lost, so the numbers mean nothing: {client.stats}")
        return rows


if __name__ == "__main__":
    print_table(run())
