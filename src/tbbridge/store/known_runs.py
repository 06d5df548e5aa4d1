"""Whether a run is there, answered at the cost of one stat: crayon's clients ask it with every point.

A folder's inode and time of change tell that nothing was added to it or removed from it since it was looked at; appending to an
event file does not touch them. So a run that somebody deletes, whoever and however, is unknown at once.
"""

from __future__ import annotations

import os
from pathlib import Path

from tbbridge import layout, limits


class KnownRuns:
    """The runs that were found, and what their folders were like then. Names given are checked run names."""

    def __init__(self, logdir: Path) -> None:
        self._logdir = logdir
        self._marks: dict[str, tuple[int, int, int]] = {}

    def is_known(self, run: str) -> bool:
        """True if the run was found before and its folder has not changed since; False says nothing."""
        mark = self._marks.get(run)
        return mark is not None and mark == _mark(self._logdir / run)

    def look(self, run: str) -> bool:
        """Whether the run is there: its veil, or its folder, holds an event file. Called from a thread.

        Meanwhile files may be moved from the one to the other, or back, once: so there is a second look.
        """
        return any(self._look(run) for _ in range(2))

    def _look(self, run: str) -> bool:
        veil = layout.veils(self._logdir).get(run)
        if veil is not None and _holds_events(veil):
            return True
        folder = self._logdir
        for part in run.split("/"):
            folder /= part
            if folder.is_symlink():  # it could lead out of the log folder
                return False
        mark = _mark(folder)  # before the look: what changes in between is then noticed
        if mark is None or not _holds_events(folder):
            return False
        if len(self._marks) >= limits.KNOWN_RUNS_KEPT:
            self._marks.clear()
        self._marks[run] = mark
        return True


def _mark(folder: Path) -> tuple[int, int, int] | None:
    try:
        said = os.lstat(folder)
    except OSError:
        return None
    return said.st_dev, said.st_ino, said.st_mtime_ns


def _holds_events(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(
                layout.is_event_file(layout.lifted_name(entry.name)) and entry.is_file(follow_symlinks=False)
                for entry in entries
            )
    except OSError:
        return False  # not there, or deleted a moment ago
