"""Which running runs have been silent for too long. A run's status is the ledger's; here is only who was heard when.

Not journalled: a bridge that starts gives every running run the whole time again, since nobody could be heard meanwhile.
Belongs to the event loop; `is_lost` may be asked from any thread.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from tbbridge import limits
from tbbridge.model import Batch, RunName, RunStatus


class Heartbeats:
    """`clock` is a monotonic one."""

    def __init__(self, running: Iterable[RunName], clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard = dict.fromkeys(running, clock())
        self._lost: set[RunName] = set()
        self._turned: set[RunName] = set()
        self._look_at = clock() + limits.RUN_LOST_AFTER_S

    def hear(self, batch: Batch) -> None:
        """Take what a batch says of its runs, whether it is new or a repeat."""
        for run in batch.runs:
            if run.status is RunStatus.RUNNING:
                self._heard[run.run] = self._clock()
            elif run.status is not None:
                self._heard.pop(run.run, None)
            else:
                continue
            if run.run in self._lost:
                self._lost.discard(run.run)
                self._turned.add(run.run)
        if len(self._heard) > 2 * limits.RUNS_MAX:  # names of runs that hold nothing, and so have no status
            self._heard = dict(sorted(self._heard.items(), key=lambda item: item[1])[-limits.RUNS_MAX :])

    def is_lost(self, run: str) -> bool:
        """Whether a run that is said to be running has been silent for limits.RUN_LOST_AFTER_S."""
        return self._clock() - self._heard.get(RunName(run), float("-inf")) > limits.RUN_LOST_AFTER_S

    def lost(self) -> frozenset[str]:
        """All runs that are lost now."""
        self._look()
        return frozenset(self._lost)

    def take_turned(self) -> set[str]:
        """Runs that were lost, or found again, since the last call."""
        self._look()
        turned, self._turned = self._turned, set()
        return set(turned)

    def _look(self) -> None:
        now = self._clock()
        if now > self._look_at:
            lost = {run for run, heard in self._heard.items() if now - heard > limits.RUN_LOST_AFTER_S}
            self._turned |= lost - self._lost
            self._lost = lost
            alive = [heard for run, heard in self._heard.items() if run not in lost]
            self._look_at = min(alive, default=now) + limits.RUN_LOST_AFTER_S
