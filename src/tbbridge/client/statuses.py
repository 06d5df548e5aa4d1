"""How this client's runs are: which of them live, and which have been silent so long that they should say so.

Knows names and times only; outbox.py sends what this says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from tbbridge import limits
from tbbridge.model import RunName, RunStatus


class RunStatuses:
    """`begin` and `end` may be called from any thread; the rest is the sender's."""

    def __init__(self) -> None:
        self._said: dict[RunName, float] = {}  # when the server was last told that the run lives
        self._ended: set[RunName] = set()
        self._seen: set[RunName] = set()

    def begin(self, run: RunName) -> None:
        """The run is logged to, perhaps again."""
        self._ended.discard(run)

    def end(self, run: RunName) -> None:
        """The run has said its last status: values that still come do not make it a running one."""
        self._ended.add(run)
        self._said.pop(run, None)

    def has_ended(self, run: RunName) -> bool:
        """Whether it has."""
        return run in self._ended

    def said(self, run: RunName) -> RunStatus | None:
        """What to send with values of this run."""
        self._seen.add(run)
        if run in self._ended:
            return None
        self._said[run] = time.monotonic()
        return RunStatus.RUNNING

    def worth_telling(
        self, ends: Mapping[RunName, RunStatus], here: Callable[[], Iterable[RunName]]
    ) -> dict[RunName, RunStatus]:
        """Without those of runs that never had a value, neither before nor `here`, where the ends are told."""
        unseen = ends.keys() - self._seen
        unseen -= set(here()) if unseen else set()
        return {run: status for run, status in ends.items() if run not in unseen}

    def silent(self) -> list[RunName]:
        """Runs that should show that they live; those whose time comes soon are told along with one that is due."""
        now = time.monotonic()
        times = list(self._said.items())
        if not any(now - said >= limits.CLIENT_HEARTBEAT_S for _, said in times):
            return []
        return [run for run, said in times if now - said >= limits.CLIENT_HEARTBEAT_S / 2]

    @property
    def living(self) -> list[RunName]:
        """Runs that have sent values and have not ended."""
        return list(self._said)
