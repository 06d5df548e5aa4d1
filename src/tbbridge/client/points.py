"""Scalars while they wait: points, and rows, which are the points of many series at one step and one time in one piece.

A training logs the same tags at each step. As a row they are the numbers, packed, beside what is the same each time: a hundred
tags take a twentieth of the memory of as many points, and cost nothing each, neither the log call nor the sender.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from typing_extensions import TypeIs

# (series, value, step, wall_time); series counts the (run, tag) pairs of the client. Plain numbers only, so that the
# garbage collector stops tracking a waiting point at its first look: a million of them cost the training loop nothing.
Point: TypeAlias = tuple[int, float, int, float]
# (series, their values as float64 in the machine's byte order, step, wall_time); no series twice. Rows of one `RowForm` share
# the tuple of their series.
Row: TypeAlias = tuple[tuple[int, ...], bytes, int, float]
Logged: TypeAlias = Point | Row

_SERIES, _VALUE, _STEP, _WALL_TIME = (itemgetter(position) for position in range(4))
# Numbers that `struct` reads as `float` does. What others are is not for it to say: see `as_float`.
_PLAIN: Final = frozenset({float, int, np.float64, np.float32})


def is_row(item: Logged) -> TypeIs[Row]:
    """Whether it is many points."""
    return type(item[0]) is tuple


def size_of(item: Logged) -> int:
    """How many points it is."""
    return len(item[0]) if is_row(item) else 1


class RowForm:
    """Makes the values of rows of these series, which are those of `tags`."""

    __slots__ = ("_pack", "nones", "series", "size", "tags")

    def __init__(self, series: Iterable[int], tags: tuple[str, ...] = ()) -> None:
        self.tags = tags
        self.series = tuple(series)
        self.size = len(self.series)
        self.nones = [None] * (self.size - 1)  # what follows a row in the backlog
        self._pack = struct.Struct(f"{self.size}d").pack

    def packed(self, values: Collection[object]) -> bytes | None:
        """The values of a row; None if one of them is no plain number, or an integer that no float holds."""
        types = [*map(type, values)]
        if types.count(float) != self.size and not _PLAIN.issuperset(types):
            return None
        try:
            return self._pack(*values)
        except (struct.error, OverflowError):  # the first: another thread added a value meanwhile
            return None


class Column(NamedTuple):
    """The points of one series: float64, int64 and float64 [N]."""

    series: int
    values: NDArray[np.float64]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Points:
    """Points and rows in the order logged. `count`, and `len()`, is how many points they are."""

    items: Sequence[Logged]
    count: int

    @classmethod
    def of(cls, items: Iterable[Logged]) -> Self:
        """Counts them."""
        kept = [*items]
        return cls(kept, sum(map(size_of, kept)))

    def __len__(self) -> int:
        return self.count

    @property
    def first_wall_time(self) -> float:
        """Of the oldest one."""
        return self.items[0][3]

    def each(self) -> Iterator[Point]:
        """All as points."""
        for item in self.items:
            if is_row(item):
                row_series, packed, step, wall_time = item
                for series, value in zip(row_series, np.frombuffer(packed).tolist(), strict=True):
                    yield series, value, step, wall_time
            else:
                yield item

    def halves(self) -> tuple[Points, Points]:
        """The same in two parts, neither of them empty: of two points or more."""
        items = self.items if len(self.items) > 1 else [*self.each()]
        first = Points.of(items[: len(items) // 2])
        return first, Points(items[len(items) // 2 :], self.count - first.count)

    def series(self) -> set[int]:
        """The series they are of."""
        points, rows = self._sorted_out()
        return {series for _, (series, *_) in points}.union(*(form[0][1][0] for form in rows))

    def columns(self) -> Iterator[Column]:
        """A column for each series, its points in the order logged."""
        if len(self.items) == self.count:
            yield from _grouped([_of_points(range(self.count), self.items)])  # type: ignore[arg-type]  # then none is a row
            return
        points, rows = self._sorted_out()
        if not points and len(rows) == 1:
            yield from _columns_of_rows([row for _, row in rows[0]])
        else:
            parts = [_of_rows(*zip(*form, strict=True)) for form in rows]
            yield from _grouped([_of_points(*zip(*points, strict=True)), *parts] if points else parts)

    def _sorted_out(self) -> tuple[list[tuple[int, Point]], list[list[tuple[int, Row]]]]:
        """The points, and the rows by their series; each with its place, from which the order of a series can be told."""
        points: list[tuple[int, Point]] = []
        rows: dict[int, list[tuple[int, Row]]] = {}
        for place, item in enumerate(self.items):
            if not is_row(item):
                points.append((place, item))
            elif (same := rows.get(id(item[0]))) is not None:
                same.append((place, item))
            else:
                rows[id(item[0])] = [(place, item)]
        return points, [*rows.values()]


class _Arrays(NamedTuple):
    """Points one by one: [N] each."""

    places: NDArray[np.int64]
    series: NDArray[np.int64]
    values: NDArray[np.float64]
    steps: NDArray[np.int64]
    wall_times: NDArray[np.float64]


def _of_points(places: Sequence[int], points: Sequence[Point]) -> _Arrays:
    count = len(points)
    return _Arrays(
        np.fromiter(places, np.int64, count),
        np.fromiter(map(_SERIES, points), np.int64, count),
        np.fromiter(map(_VALUE, points), np.float64, count),
        np.fromiter(map(_STEP, points), np.int64, count),
        np.fromiter(map(_WALL_TIME, points), np.float64, count),
    )


def _of_rows(places: Sequence[int], rows: Sequence[Row]) -> _Arrays:
    count, size = len(rows), len(rows[0][0])
    return _Arrays(
        np.repeat(np.fromiter(places, np.int64, count), size),
        np.tile(np.array(rows[0][0], np.int64), count),
        np.frombuffer(b"".join(map(_VALUE, rows))),
        np.repeat(np.fromiter(map(_STEP, rows), np.int64, count), size),
        np.repeat(np.fromiter(map(_WALL_TIME, rows), np.float64, count), size),
    )


def _grouped(parts: Sequence[_Arrays]) -> Iterator[Column]:
    if not parts or not len(parts[0].places):
        return
    places, series, values, steps, wall_times = map(np.concatenate, zip(*parts, strict=True))
    key = series << 32 | places  # a client has fewer than 2**31 series: each is an object of a hundred bytes
    if (np.diff(key) < 0).any():
        order = np.argsort(key)
        series, values, steps, wall_times = series[order], values[order], steps[order], wall_times[order]
    edges = [0, *(np.flatnonzero(np.diff(series)) + 1).tolist(), len(series)]
    for start, end in pairwise(edges):
        yield Column(int(series[start]), values[start:end], steps[start:end], wall_times[start:end])


def _columns_of_rows(rows: Sequence[Row]) -> Iterator[Column]:
    """Of rows of one form, which need no sorting: a column of the table each. They share steps and times."""
    count = len(rows)
    table = np.ascontiguousarray(np.frombuffer(b"".join(map(_VALUE, rows))).reshape(count, -1).T)
    steps = np.fromiter(map(_STEP, rows), np.int64, count)
    wall_times = np.fromiter(map(_WALL_TIME, rows), np.float64, count)
    for series, values in zip(rows[0][0], table, strict=True):
        yield Column(series, values, steps, wall_times)
