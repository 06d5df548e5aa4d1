"""Rounds in turns, with a progress bar on a terminal, and the sizes that a benchmark comes in."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TypeVar

import numpy as np

T = TypeVar("T")
V = TypeVar("V")

_is_tracking = False


class Size(Enum):
    """How much is measured."""

    QUICK = "quick"  # seconds, to see that it works; its numbers are noise
    NORMAL = "normal"  # all benchmarks together within five minutes
    LONG = "long"  # as long as the issue of the matter asks, minutes each

    def pick(self, quick: T, normal: T, long: T | None = None) -> T:
        """The value for this size; a long run is a normal one where nothing else is given."""
        if self is Size.QUICK:
            return quick
        return normal if self is Size.NORMAL or long is None else long


def seconds(work: Callable[[], object]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def tracked(items: Sequence[T], what: str) -> Iterator[T]:
    """The items, with a progress bar if somebody looks at a terminal; one within another has none."""
    global _is_tracking  # noqa: PLW0603 - a terminal has one last line
    if _is_tracking or not sys.stderr.isatty():
        yield from items
        return
    from rich.console import Console
    from rich.progress import track

    _is_tracking = True
    try:
        yield from track(items, what, console=Console(stderr=True), transient=True)
    finally:
        _is_tracking = False


def in_turns(works: Mapping[str, Callable[[], V]], rounds: int, what: str) -> dict[str, list[V]]:
    """What each of `works` returned in each round: A B C, C B A, A B C ..., so that nobody always comes second."""
    found: dict[str, list[V]] = {name: [] for name in works}
    names = list(works)
    turns: Iterable[tuple[int, str]] = [
        (number, name) for number in range(rounds) for name in (names if number % 2 == 0 else reversed(names))
    ]
    for _, name in tracked(list(turns), what):
        found[name].append(works[name]())
    return found


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of them do not exceed; 0 of none."""
    return float(np.percentile(values, percent, method="inverted_cdf")) if len(values) else 0.0


def summary_of(values: Sequence[float]) -> dict[str, float]:
    """p50 to p99.9 and the largest, in the unit of `values`; and how many."""
    marks = {"p50": 50.0, "p90": 90.0, "p99": 99.0, "p99.9": 99.9}
    return {
        **{name: percentile(values, at) for name, at in marks.items()},
        "max": max(values, default=0.0),
        "count": len(values),
    }
