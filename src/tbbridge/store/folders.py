"""Where the runs of a log folder are: folders with event files, or the veils that stand in for them for a moment (layout.py).

A run is named by its path below the log folder ("." is the log folder itself, as TensorBoard calls it). Symbolic links are not
followed: one could lead out of the log folder. Names and places only; what the files hold is catalog.py's.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import layout, limits
from tbbridge.errors import InvalidItem, InvalidQuery, ItemError, NotFound
from tbbridge.model import PROJECTOR_CONFIG, STATE_FOLDER, run_name
from tbbridge.store.eventfiles import Halt

ROOT_RUN: Final = "."


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run: its event files in the order of reading, in its own folder and under its veil."""

    run: str
    events: tuple[Path, ...]
    projector: Path | None  # the folder that holds its projector_config.pbtxt


class Folders:
    """All that may be a run below one log folder. Looks at the disk anew each time; belongs to any thread."""

    def __init__(self, logdir: Path, halt: Halt) -> None:
        self._logdir = logdir
        self._halt = halt

    def all(self) -> list[RunFolder]:
        """Every run, by name."""
        return sorted(self._walk([]), key=lambda found: found.run)

    def one(self, name: str) -> RunFolder:
        """The run of this name. Raises `NotFound`, or `InvalidQuery` for a name that cannot be."""
        own = self._own(name)
        veil = layout.veils(self._logdir).get(name)
        veiled = [] if veil is None else _entries(veil)  # before its own: a file that is lifted meanwhile is there then
        found = _run_folder(name, _entries(own), veiled)
        if found is None:
            raise NotFound(f"there is no run {name!a}{did_you_mean(name, [known.run for known in self.all()])}")
        return found

    def vacant(self) -> tuple[list[RunFolder], list[str]]:
        """Every run, and the names of folders that hold no file, neither themselves nor anywhere below them."""
        vacant: list[str] = []
        runs = sorted(self._walk(vacant), key=lambda found: found.run)
        held = {found.run for found in runs}  # what is veiled is about to be there
        for run in list(held):
            parts = run.split("/")
            held.update("/".join(parts[:count]) for count in range(1, len(parts)))
        return runs, [name for name in vacant if name not in held]

    def _own(self, name: str) -> Path:
        folder = self._logdir
        if name == ROOT_RUN:
            return folder
        try:
            run_name(name)
        except InvalidItem as error:
            raise InvalidQuery([ItemError("run", error.item_code, error.message)]) from None
        for part in name.split("/"):
            folder /= part
            if folder.is_symlink():
                raise NotFound(f"run {name!a} lies behind a symbolic link, which is not followed")
        return folder

    def _walk(self, vacant: list[str]) -> Iterator[RunFolder]:
        """The runs in no order; `vacant` gets the names of folders without any file, in no order either."""
        veiled = {name: _entries(folder) for name, folder in layout.veils(self._logdir).items()}
        filled: set[str] = set()
        seen: list[str] = []
        pending = [(ROOT_RUN, self._logdir)]
        while pending:
            self._halt.check()
            name, folder = pending.pop()
            entries = _entries(folder)
            if name != ROOT_RUN:
                seen.append(name)
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    below = entry.name if name == ROOT_RUN else f"{name}/{entry.name}"
                    if entry.name.casefold() != STATE_FOLDER:
                        pending.append((below, Path(entry.path)))
                else:
                    filled.add(name)
            if is_run(name):
                found = _run_folder(name, entries, veiled.pop(name, []))
                if found is not None:
                    yield found
        for name, entries in veiled.items():  # those that have no folder of their own now
            found = _run_folder(name, [], entries)
            if found is not None:
                yield found
        # Parents come before what is below them, so going backwards each folder is done when its parent's turn comes.
        for name in reversed(seen):
            if name not in filled:
                if is_run(name):
                    vacant.append(name)
            elif "/" in name:
                filled.add(name.rpartition("/")[0])


def is_run(name: str) -> bool:
    """False for a folder that others made and that no request could name."""
    if name == ROOT_RUN:
        return True
    try:
        run_name(name)
    except InvalidItem:
        return False
    return True


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a message that says that there is no `name`: what it may have been, or nothing."""
    matches = difflib.get_close_matches(name[:200], known[: limits.CLOSE_MATCHES_AMONG], n=3)
    return f"; did you mean {' or '.join(ascii(match) for match in matches)}?" if matches else ""


def _run_folder(name: str, own: Sequence[os.DirEntry[str]], veiled: Sequence[os.DirEntry[str]]) -> RunFolder | None:
    """The run that the entries of its own folder and of its veil make up; None if there is no event file.

    A veil is lifted file by file, so both hold some then. A file that was moved after it was seen is not there any more when it
    is opened; whoever opens it looks again.
    """
    files = []
    folder = None
    for entries, is_veil in ((veiled, True), (own, False)):
        for entry in entries:
            lifted = layout.lifted_name(entry.name) if is_veil else entry.name
            if layout.is_event_file(lifted):
                if entry.is_file(follow_symlinks=False):
                    files.append((lifted, Path(entry.path)))
            elif entry.name == PROJECTOR_CONFIG and folder is None and entry.is_file(follow_symlinks=False):
                folder = Path(entry.path).parent
    return RunFolder(name, tuple(path for _, path in sorted(files)), folder) if files else None


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []  # deleted a moment ago, not there yet, or not ours to read
