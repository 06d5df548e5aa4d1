"""The runs of one client that a program holds, and the numbers of its (run, tag) pairs, which points carry.

Called from log calls of any thread, and never waits. outbox.py asks which runs there are, packing.py what a number means.
"""

from __future__ import annotations

import threading
import weakref
from typing import Protocol

from tbbridge.client.packing import Series
from tbbridge.model import RunName, RunStatus, tag_name


class Frames(Protocol):
    """What a run is to the outbox: it may hold an open frame."""

    def hand_over(self) -> None:
        """Give the backlog the open frame."""

    def end(self, message: str, status: RunStatus) -> None:
        """The same, and refuse later log calls with `message`; the run has ended so."""

    def forget(self) -> None:
        """Drop the open frame, in a forked child."""


class Registry:
    """`table` is read by the sender while log calls append to it."""

    def __init__(self) -> None:
        self.table: list[Series] = []
        self._ids: dict[tuple[str, str], int] = {}
        self._own = 0  # series before it are those of the process that this one was forked from
        self._runs: weakref.WeakSet[Frames] = weakref.WeakSet()
        self._lock = threading.RLock()  # reentrant: a finalizer of the user's may log, at any moment

    def series(self, run: RunName, tag: str, display_name: str, description: str) -> int:
        """The number of this (run, tag). Checks the tag; a run asks once for each and remembers it."""
        checked = tag_name(tag)
        with self._lock:
            number = self._ids.get((run, checked))
            if number is None:
                number = len(self.table)
                self.table.append(Series(run, checked))
                self._ids[run, checked] = number  # last: a Ctrl-C in between leaves an unused row, not a wrong one
            if display_name or description:
                self.table[number] = Series(run, checked, display_name, description)
            return number

    def adopt(self, run: Frames) -> None:
        """Remember a run, for as long as the user does."""
        with self._lock:
            self._runs.add(run)

    @property
    def runs(self) -> list[Frames]:
        """The runs that still exist."""
        with self._lock:
            return list(self._runs)

    @property
    def own_names(self) -> list[RunName]:
        """The runs of the series that this process asked for first."""
        with self._lock:
            return [series.run for series in self.table[self._own :]]

    def forget(self) -> None:
        """In a forked child: the series keep their numbers, since runs remember them."""
        self._lock = threading.RLock()  # a thread of the parent may have held the old one
        self._own = len(self.table)
        for run in list(self._runs):
            run.forget()
