"""A thousand clients that flush once a second, 20 tags each: `python -m benchmarks clients_1000`.

Each has a connection, a run and a writer of its own, and sends what a training of ten steps a second makes: a numbered batch of
20 tags with ten points each, in protobuf, at a moment of its own within the second. The connections are of several addresses.
Times are from when a flush was due; every batch's answer says that it is on disk.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from benchmarks.load import Answered, Bridge, Connection, bridge, connect, post, run_loop
from benchmarks.table import Row, print_table
from tbbridge.limits import MiB
from tbbridge.v1 import write_pb2

CLIENTS = 1000
TAGS = 20
POINTS = 10
SECONDS = 30
P99_S = 0.25
MEMORY_BYTES = 300 * MiB


class Training:
    """One client's run."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._seq = 0

    def flush(self) -> bytes:
        """The next second's batch."""
        self._seq += 1
        message = write_pb2.WriteRequest(writer=f"client-{self._number}", seq=self._seq)
        run = message.runs.add(run=f"fleet/client-{self._number}")
        steps = range((self._seq - 1) * POINTS, self._seq * POINTS)
        for tag in range(TAGS):
            run.scalars.add(tag=f"train/metric-{tag}", steps=steps, values=[self._seq / (tag + 1)] * POINTS)
        return post(message.SerializeToString(), "application/x-protobuf")


async def flush_for(server: Bridge, seconds: int) -> tuple[dict[int, int], list[float], int]:
    """How often each status was answered, the seconds of each flush after the first second, and how many came late."""
    statuses: dict[int, int] = {}
    times: list[float] = []
    late = 0
    free: set[Connection] = set()
    all_free = asyncio.Event()
    started = time.perf_counter()

    def done(connection: Connection, answer: Answered) -> None:
        statuses[answer.status] = statuses.get(answer.status, 0) + 1
        if time.perf_counter() - started > 1:  # runs, files and connections are made in the first one
            times.append(answer.seconds)
        free.add(connection)
        if len(free) == CLIENTS:
            all_free.set()

    trainings = [Training(number) for number in range(CLIENTS)]
    connections = [await connect(server, done, f"127.0.0.{2 + number // 500}") for number in range(CLIENTS)]
    free.update(connections)
    started = time.perf_counter()
    for turn in range(seconds * CLIENTS):
        due = started + turn / CLIENTS
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        number = turn % CLIENTS
        if connections[number] in free:
            free.discard(connections[number])
            all_free.clear()
            connections[number].send(trainings[number].flush(), due)
        else:
            late += 1  # its last flush is not answered yet: a real client adds to the next one
        if turn % 16 == 0:
            await asyncio.sleep(0)
    await all_free.wait()
    for connection in connections:
        connection.transport.close()
    return statuses, times, late


def run() -> list[Row]:
    """p99 of a flush, and memory."""
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs") as server:
        before = server.cpu_seconds
        statuses, times, late = run_loop(flush_for(server, SECONDS))
        cpu = (server.cpu_seconds - before) / SECONDS
        held = server.most_memory_bytes
    if set(statuses) != {200}:
        raise RuntimeError(f"answers that should not be: {statuses}")
    times.sort()
    p50, p99 = times[len(times) // 2], times[len(times) * 99 // 100]
    note = f"p50 {p50 * 1e3:.1f} ms, {statuses[200]:,} flushes, {late} came before the last one's answer; {cpu:.0%} of a core"
    return [
        Row("1,000 clients, 20 tags a second: p99", "ms", p99 * 1e3, P99_S * 1e3, P99_S / p99, 1.0, note),
        Row("1,000 clients, 20 tags a second: memory", "MiB", held / MiB, MEMORY_BYTES / MiB, MEMORY_BYTES / held, 1.0),
    ]


if __name__ == "__main__":
    print_table(run())
