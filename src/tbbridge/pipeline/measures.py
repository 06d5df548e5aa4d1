"""Times that the pipeline keeps of itself, and the histogram they are kept in. It reads no clock: whoever measures tells it.

Observing costs a third of a microsecond, so every batch is. What is shown of it, and under which names, server/totals.py says.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

# Upper bounds in seconds. A sync takes 50 us on a drive with a capacitor, 10 ms on one that turns, seconds on one that fails.
SYNC_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
# A point is in its event file a millisecond after it came, behind a full body a second; while a disk refuses, much later.
LATENCY_BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0)


class Histogram:
    """How often a value fell between two bounds, and the sum of all values."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """`bounds` rise; a value equal to one counts below it. Behind the last there is one bucket more."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def rising(self) -> list[tuple[str, float]]:
        """(bound, values up to it) as Prometheus wants them, the last bound being '+Inf'."""
        shown, count = [], 0
        for bound, here in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            count += here
            shown.append((bound, float(count)))
        return shown


@dataclass(slots=True)
class DiskTimes:
    """Where the time at the disk went. Kept by whoever is at the disk, one at a time; read at any moment."""

    sync: Histogram = field(default_factory=lambda: Histogram(SYNC_BOUNDS_S))  # each journal write with its fdatasync
    encode_seconds: float = 0.0  # making the bytes of event files
    write_seconds: float = 0.0  # writing them, and doing the changes to runs
