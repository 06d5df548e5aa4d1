"""The histogram that server and client keep their times in. It reads no clock: whoever measures tells it.

Observing costs a fifth of a microsecond, so every batch is. What is shown of it, and under which names, is others' affair.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, Self

# For the stages of a point's way, of which a short one takes microseconds and a long one seconds: each bound twice the last.
STAGE_BOUNDS_S: Final = tuple(2**doublings / 1e6 for doublings in range(24))


class Histogram:
    """How often a value fell between two bounds, the sum of all values and the largest."""

    __slots__ = ("bounds", "counts", "most", "total")

    def __init__(self, bounds: Sequence[float] = STAGE_BOUNDS_S) -> None:
        """`bounds` rise; a value equal to one counts below it. Behind the last there is one bucket more."""
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.total = 0.0
        self.most = 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value
        if value > self.most:
            self.most = value

    def copy(self) -> Self:
        """The same as it is now, for whoever keeps it while others go on observing."""
        made = type(self)(self.bounds)
        made.counts, made.total, made.most = self.counts.copy(), self.total, self.most
        return made

    @property
    def count(self) -> int:
        """How many values there were."""
        return sum(self.counts)

    def percentile(self, percent: float) -> float:
        """About the value that `percent` of all values do not exceed, from the bucket it lies in; 0 if there were none."""
        wanted = self.count * percent / 100
        below = 0
        for position, here in enumerate(self.counts):
            if here and below + here >= wanted:
                low = self.bounds[position - 1] if position else 0.0
                high = min(self.most, self.bounds[position]) if position < len(self.bounds) else self.most
                return low + max(0.0, high - low) * (wanted - below) / here
            below += here
        return 0.0

    def rising(self) -> list[tuple[str, float]]:
        """(bound, values up to it) as Prometheus wants them, the last bound being '+Inf'."""
        shown, count = [], 0
        for bound, here in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            count += here
            shown.append((bound, float(count)))
        return shown
