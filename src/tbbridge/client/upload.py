"""Sends what processes left in their spools: each body as it is, under the number it has, until the server has it.

What a server has already it answers as done, so two who send the same file, or one who begins again, change nothing. A file is
removed when all of it is sent and the process that wrote it has ended. The files themselves are spool.py's.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tbbridge import limits
from tbbridge.client import bodies, spool
from tbbridge.client.answers import Refused, Smaller, Stored
from tbbridge.client.patience import post_patiently
from tbbridge.client.spool import Damage
from tbbridge.client.transport import Transport


@dataclass(slots=True)
class Outcome:
    """What became of one file. `is_live`: its process still writes to it. All counts but `bodies_sent` are values or bytes."""

    path: Path
    bodies_sent: int = 0
    stored: int = 0
    known: int = 0  # which the server had already
    refused: int = 0
    is_live: bool = False
    is_removed: bool = False
    is_unreadable: bool = False  # damaged so that its rest cannot be found; it is kept, under another name
    torn_bytes: int = 0  # of a body that a killed process did not finish
    problems: list[str] = field(default_factory=list)  # damage, and what the server refused for good


class Upload:
    """The way of spools to one server. One that is away or full is tried for `patience_s`, then `Unavailable` is raised."""

    def __init__(
        self, transport: Transport, shown: str, patience_s: float, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._transport = transport
        self._shown = shown
        self._patience_s = patience_s
        self._sleep = sleep

    def send(self, path: Path, progress: Callable[[int], None] = lambda _: None) -> Outcome:
        """Send what is in the file now; `progress` is told the offset reached.

        Raises `Unavailable`, `Rejected` for a token that is missing or wrong, and OSError; then a repeat goes on from there.
        """
        outcome = Outcome(path)
        head = spool.read_head(path)
        created = 0.0 if head is None else head.created
        with path.open("rb") as file:
            reached = before = spool.load_progress(path)
            stored_at = time.monotonic()
            try:
                for end, body in spool.read_bodies(file, reached):
                    if not isinstance(body, Damage):
                        self._deliver(body, outcome)
                        outcome.bodies_sent += 1
                    else:
                        outcome.problems.append(f"{path}: damaged at byte {body.offset}; {_what_is_lost(body)}")
                        outcome.is_unreadable = body.end is None
                    reached = end
                    progress(reached)
                    if time.monotonic() - stored_at > limits.SPOOL_PROGRESS_S:
                        stored_at = time.monotonic()
                        spool.store_progress(path, reached, created)
            finally:
                if reached != before:
                    spool.store_progress(path, reached, created)
            self._finish(path, file, outcome, reached)
        return outcome

    def _finish(self, path: Path, file: BinaryIO, outcome: Outcome, end: int) -> None:
        """Remove a file that nobody writes to, once all of it is sent; keep what is damaged, under another name."""
        if not spool.lock(file):
            outcome.is_live = True
            return
        size = file.seek(0, 2)
        if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
            return  # its process sent all of it itself, and began another one of that name
        if outcome.is_unreadable:
            outcome.problems.append(f"{path} is kept as {spool.set_aside(path).name}")
            return
        if any(True for _ in spool.read_bodies(file, end)):
            return  # its process wrote something and ended meanwhile: for the next time
        outcome.torn_bytes = size - max(end, spool.behind_head(file))
        spool.remove(path)
        outcome.is_removed = True

    def _deliver(self, raw: bytes, outcome: Outcome) -> None:
        hint = "; the same command goes on from here"
        verdict = post_patiently(self._transport, self._shown, raw, self._patience_s, hint=hint, sleep=self._sleep)
        count = bodies.count_values(raw)
        if isinstance(verdict, Smaller):
            halves = bodies.halves(raw)
            if halves is not None:
                for half in halves:
                    self._deliver(half, outcome)
                return
        if isinstance(verdict, Stored):
            if verdict.duplicate:
                outcome.known += count
                return
            outcome.stored += verdict.accepted
            outcome.refused += max(0, count - verdict.accepted)
            outcome.problems += [f"{error.path}: {error.message}" for error in verdict.rejected]
            return
        outcome.refused += count
        reason = verdict.reason
        if isinstance(verdict, Refused) and verdict.errors:
            reason = f"{verdict.errors[0].path}: {verdict.errors[0].message}"
        outcome.problems.append(f"{self._shown} refused {count} points: {reason}")


def _what_is_lost(damage: Damage) -> str:
    if damage.end is None:
        return "this and all behind it cannot be read"
    if damage.offset:
        return "this body cannot be read"
    return "which says for whom it is; what is behind it is sent, and known where it was sent before"
