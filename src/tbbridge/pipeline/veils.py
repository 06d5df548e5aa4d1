"""Veils: where runs that were removed a moment ago live until TensorBoard's readers have noticed the removal.

A reader that finds a run's files replaced keeps old points or stalls for good; one that found the run's folder gone reads
afresh what is there later. So whoever removes a run begins a veil for it, what the run gets next goes there, and `lift` puts
it in its place. See layout.py for the folders. Veils are not journalled: a file is here or in the run's folder, and counts in
both. Called by the writer only.

A run's folder outlives its files by a moment: a folder that vanishes while TensorBoard's Python reader (2.21) reads a run for
the first time ends the thread that reads all runs (EventMultiplexer.AddRun lets DirectoryDeletedError through), and nothing new
is shown until somebody starts TensorBoard again. A file that vanishes only ends the reading of that file.
"""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from tbbridge import disk, layout, limits
from tbbridge.model import STATE_FOLDER
from tbbridge.names import PROJECTOR_CONFIG

log = logging.getLogger(__name__)

_NUMBER: Final = "{:08d}"


@dataclass(slots=True)
class _Veil:
    folder: Path
    lift_at: float  # not before that; and not before `veil_s` after the folder vanished
    vanish_at: float | None  # until then the run's own folder stays, empty; None: it may be gone

    @property
    def files(self) -> Path:
        return self.folder / layout.FILES_FOLDER


class Veils:
    """The veils of one log folder. `veil_s`: how long a run stays veiled once its folder is gone; `emptied_s`: how long the
    folder stays before that, at least, and `emptied_max_s`: at most; `clock`: seconds that only go forward.

    `on_begin` is called, in the writer's thread, whenever a veil has begun or goes on for longer.
    """

    def __init__(
        self,
        logdir: Path,
        veil_s: float,
        *,
        emptied_s: float = limits.EMPTIED_S,
        emptied_max_s: float = limits.EMPTIED_MAX_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logdir = logdir
        self._root = logdir / STATE_FOLDER / layout.VEILS
        self._veil_s = veil_s
        self._emptied_max_s = min(emptied_max_s, veil_s * limits.EMPTIED_SHARE)
        self._emptied_s = min(emptied_s, self._emptied_max_s)
        self._clock = clock
        self._veils: dict[str, _Veil] = {}
        self._next = 1
        self.on_begin: Callable[[], object] = lambda: None

    def load(self) -> None:
        """At a start: find the veils that are left. Nobody knows when they began, so each begins anew.

        One that was being lifted, or begun, has files on both sides: it is lifted at once, so that what replay looks for is in
        one place.
        """
        if not self._root.is_dir():
            return
        present = sorted(self._root.iterdir())
        self._next = 1 + max((int(path.name) for path in present if path.name.isdigit()), default=0)
        for run, files in layout.veils(self._logdir).items():
            vanish_at = self._clock() + self._emptied_max_s  # how large the run was is not known any more
            self._veils[run] = _Veil(files.parent, vanish_at, vanish_at)
            if any(layout.own_files(self._logdir / run)):
                self.lift(run)
        kept = {veil.folder for veil in self._veils.values()}
        for path in present:
            if path in kept or not path.is_dir():
                continue
            if any(layout.own_files(path / layout.FILES_FOLDER)):
                log.error("%s holds files of a run but not its name, or one that another veil has; look into it", path)
            else:  # begun by a process that was killed: nothing was in it yet
                shutil.rmtree(path, ignore_errors=True)

    def __contains__(self, run: object) -> bool:
        return run in self._veils

    def __len__(self) -> int:
        return len(self._veils)

    def files(self, run: str) -> Path | None:
        """The folder that takes the place of the run's own, or None. It may not be made yet."""
        veil = self._veils.get(run)
        return None if veil is None else veil.files

    def vanish_at(self, runs: Iterable[str]) -> float:
        """When the folders of `runs`, about to be emptied, can vanish: all at one time, since they lie in each other."""
        now = self._clock()
        found = [now]
        for run in runs:
            veil, folder = self._veils.get(run), self._logdir / run
            sizes = [_size(folder / path) for path in layout.own_files(folder)]
            if veil is None or sizes:
                found.append(now + min(self._emptied_s + sum(sizes) / limits.EMPTIED_BYTES_PER_S, self._emptied_max_s))
            elif veil.vanish_at is not None:  # emptied a moment ago
                found.append(veil.vanish_at)
        return max(found)

    def begin(self, *runs: str, vanish_at: float | None) -> None:
        """Veil `runs` from now on; their folders stay until `vanish_at`. None: nobody knows them, lift them soon."""
        lift_at = self._clock() if vanish_at is None else vanish_at + self._veil_s
        made: dict[str, _Veil] = {}
        for run in dict.fromkeys(runs):
            veil = self._veils.get(run)
            if veil is not None:
                veil.lift_at = max(veil.lift_at, lift_at)
                if vanish_at is not None and (veil.vanish_at is not None or (self._logdir / run).exists()):
                    veil.vanish_at = max(veil.vanish_at or vanish_at, vanish_at)
                continue
            folder = self._root / _NUMBER.format(self._next)
            self._next += 1
            folder.mkdir(parents=True)
            (folder / layout.RUN_FILE).write_bytes(run.encode())
            made[run] = _Veil(folder, lift_at, vanish_at)
        if made:  # what a veil holds without its name on the disk would be lost
            folders = [veil.folder for veil in made.values()]
            disk.sync_files([folder / layout.RUN_FILE for folder in folders], [*folders, self._root, self._root.parent])
            self._veils.update(made)
        self.on_begin()

    @property
    def longest_s(self) -> float:
        """From the beginning of a veil until it can be lifted, at most."""
        return self._emptied_max_s + self._veil_s

    def begin_below(self, run: str) -> None:
        """Veil a run that begins below a veiled one, for as long: its folder would bring back the one that has to vanish."""
        if self._veils and run not in self._veils and self._above(run):
            self.begin(run, vanish_at=None)

    def _above(self, run: str) -> list[str]:
        return [name for name in names_above(run) if name in self._veils]

    def empty(self, run: str) -> None:
        """Remove what a veiled run holds; it stays veiled."""
        veil = self._veils.get(run)
        if veil is not None and veil.files.exists():
            shutil.rmtree(veil.files)

    def rename(self, run: str, to: str) -> None:
        """Let the veil of `run` be that of `to`, whose folder is not there yet."""
        veil = self._veils[run]
        disk.replace_durably(veil.folder / layout.RUN_FILE, to.encode())
        self._veils[to] = self._veils.pop(run)
        veil.vanish_at = None

    def runs(self) -> list[str]:
        """The runs that are veiled."""
        return list(self._veils)

    def covers(self, run: str) -> bool:
        """True if `run`, a run below it, or one above it is veiled."""
        return any(name == run or name.startswith(run + "/") or run.startswith(name + "/") for name in self.runs())

    def is_below(self, run: str) -> bool:
        """True if a run above `run` is veiled."""
        return bool(self._above(run))

    def due_in(self) -> float | None:
        """Seconds until the next folder can vanish or the next veil be lifted; None if there is no veil. From any thread."""
        times = self._due_times()
        return min(times.values()) - self._clock() if times else None

    def due(self) -> list[str]:
        """Runs whose veil can be lifted now."""
        now = self._clock()
        return [run for run, at in self._due_times().items() if at <= now and self._veils[run].vanish_at is None]

    def _due_times(self) -> dict[str, float]:
        """When each run's folder is to be removed or, after that, its veil lifted, which those above it hold up."""
        veils = self._veils.copy()  # the writer's thread may be at it
        lifts = {run: veil.lift_at if veil.vanish_at is None else veil.vanish_at + self._veil_s for run, veil in veils.items()}
        times = {}
        for run, veil in veils.items():
            above = [lifts[name] for name in names_above(run) if name in lifts]
            times[run] = veil.vanish_at if veil.vanish_at is not None else max((lifts[run], *above))
        return times

    def emptied(self, *, due: bool = False) -> list[str]:
        """Runs whose own folder still stays, empty; `due`: those of which it need not any more."""
        now = self._clock()
        return [run for run, veil in self._veils.items() if veil.vanish_at is not None and (not due or veil.vanish_at <= now)]

    def vanished(self, runs: Iterable[str]) -> None:
        """The folders of `runs` are gone, as far as they could be: from now on readers may notice."""
        for run in runs:
            veil = self._veils[run]
            veil.vanish_at = None
            veil.lift_at = max(veil.lift_at, self._clock() + self._veil_s)

    def hurry(self) -> None:
        """There is little time left, and it is better spent with the folders gone: let them stay for as short as can be."""
        soon = self._clock() + self._emptied_s
        for veil in list(self._veils.values()):
            if veil.vanish_at is not None:
                veil.vanish_at = min(veil.vanish_at, soon)
                veil.lift_at = veil.vanish_at + self._veil_s

    def postpone(self, run: str) -> None:
        """Something is in the way of lifting it; try again later."""
        self._veils[run].lift_at = self._clock() + max(1.0, self._veil_s)

    def lift(self, *runs: str) -> list[Path]:
        """Put the veiled files of `runs` in their folders, oldest event file first; returns them. May be repeated."""
        moved: list[Path] = []
        folders: set[Path] = set()
        for run in runs:
            files, target = self._veils[run].files, self._logdir / run
            names = sorted(layout.own_files(files), key=lambda path: (path.name == PROJECTOR_CONFIG, path))
            here = [self._move(files, name, target) for name in names]
            if here:
                folders |= {path.parent for path in here} | {target, *_between(self._logdir, target)}
            moved += here
        disk.sync_files([], folders)
        for run in runs:
            shutil.rmtree(self._veils[run].folder, ignore_errors=True)
            del self._veils[run]
        return moved

    def _move(self, files: Path, name: PurePosixPath, target: Path) -> Path:
        lifted = target.joinpath(*(layout.lifted_name(part) for part in name.parts))
        folder = disk.open_folder_below(self._logdir, Path(os.path.realpath(self._logdir)), lifted.parent, create=True)
        try:
            free, number = lifted, 0
            while free.name in os.listdir(folder):  # somebody else made a file of this name meanwhile: keep both
                number += 1
                free = lifted.with_name(f"{lifted.name}.{number}")
            if number:
                log.warning("%s came into being while its run was veiled; ours goes to %s", lifted, free.name)
            os.rename(files / name, free.name, dst_dir_fd=folder)
        finally:
            os.close(folder)
        return free


def names_above(run: str) -> list[str]:
    """The names of the folders that the run's folder lies in, from the outermost on."""
    parts = run.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:  # others may delete, too; and it is an estimate
        return 0


def _between(logdir: Path, folder: Path) -> list[Path]:
    """The folders from `logdir` down to above `folder`."""
    return [logdir, *(parent for parent in folder.parents if parent.is_relative_to(logdir))]
