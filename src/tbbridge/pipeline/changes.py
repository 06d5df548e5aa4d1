"""Changes to runs: deleting, renaming, installing, leaving out a tag. From what was asked (door.py) to what is on the disk.

Each goes `prepare` (the long work, beside the writer) -> `settle` (in the writer's order: is it possible, and what exactly) ->
the journal -> `apply`. What is applied is on the disk before the next entry is journalled, so only the journal's last entry may
ever have to be applied again; `apply` then goes on where it was cut off. Nothing is deleted before what replaces it is durable.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import disk, layout, limits
from tbbridge.errors import Conflict, ItemWarning, NotFound
from tbbridge.model import STATE_FOLDER, RunName, run_name
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, SettledChange, renamed
from tbbridge.pipeline.door import Change, Changed, DeleteRun, DeleteTag, InstallRun, RenameRun
from tbbridge.pipeline.eventfile import EventFiles
from tbbridge.pipeline.ledger import Run
from tbbridge.pipeline.rewriting import Rewrite, is_events, run_in
from tbbridge.pipeline.runfolders import RunFolders
from tbbridge.pipeline.veils import Veils, names_above

log = logging.getLogger(__name__)

# Behind the name of a staged folder that is the writer's now, so that whoever made it may clean up after himself.
_TAKEN: Final = "-taken"
# Holds the index of the last change that is wholly done.
DONE_FILE: Final = "changes-done"
# What concerns the folders of this change and not the disk: trying again for ever would hold everybody up.
_GIVE_UP: Final = disk.PATH_ERRNOS | {errno.ENOTEMPTY, errno.EXDEV, errno.EINVAL, errno.EBUSY}


@dataclass(slots=True)
class Prepared:
    """A change that was asked for, and what was done for it already."""

    asked: Change
    staged: Path | None = None
    rewrite: Rewrite | None = None
    installed: Run | None = None
    turn: int = 0  # how many changes had been begun or done when the files were looked at
    taken: bool = False  # the writer has it: whatever becomes of it, it is not the asker's any more


@dataclass(frozen=True, slots=True)
class Decided:
    """What a change will do, and what to tell whoever asked."""

    change: SettledChange
    changed: Changed
    also_touched: tuple[str, ...] = ()  # runs that are there now under another name


class Changes:
    """Makes the changes in one log folder. `prepare` may run beside the writer; everything else is called by the writer."""

    def __init__(self, logdir: Path, files: EventFiles, veils: Veils, clock: Callable[[], float]) -> None:
        self._logdir = logdir
        self._state = logdir / STATE_FOLDER
        self._staged = self._state / layout.STAGED
        self._files = files
        self._veils = veils
        self._folders = RunFolders(logdir, files, veils)
        self._clock = clock
        self._turn = 0

    # --- beside the writer --------------------------------------------------------------------------------------------

    def stage(self) -> Path:
        """A new folder in which files are put together."""
        folder = self._staged / secrets.token_hex(8)
        folder.mkdir(parents=True)
        return folder

    def clear_staged(self) -> None:
        """At a start: remove what nobody will install any more."""
        shutil.rmtree(self._staged, ignore_errors=True)

    def prepare(self, asked: Change) -> Prepared:
        """The part that takes long. Raises `NotFound`, `Conflict`."""
        match asked:
            case InstallRun(staged=staged):
                if not any(layout.is_event_file(layout.lifted_name(path.name)) for path in layout.own_files(staged)):
                    raise Conflict("what is to be installed holds no event file")
                taken = staged.rename(staged.with_name(staged.name + _TAKEN))
                _sync_tree(taken)
                _sync_up(self._staged, self._logdir)
                return Prepared(asked, taken, installed=run_in(taken, asked.run))
            case DeleteTag(run, tag):
                turn = self._turn
                folder = self._folders.existing(run)
                staged = self.stage()
                rewrite = Rewrite(folder, tag, staged)
                with contextlib.suppress(FileNotFoundError):  # moved meanwhile: `settle` sees where to
                    rewrite.catch_up()
                return Prepared(asked, staged, rewrite, turn=turn)
        return Prepared(asked)

    def abandon(self, prepared: Prepared) -> None:
        """The change will not be made: remove what was prepared for it."""
        if prepared.rewrite is not None:
            prepared.rewrite.close()
        if prepared.staged is not None:
            shutil.rmtree(prepared.staged, ignore_errors=True)

    # --- in the writer's order ----------------------------------------------------------------------------------------

    def settle(self, prepared: Prepared, index: int) -> Decided:
        """What exactly the change does, as entry `index`. Raises `NotFound`, `Conflict`, `InvalidItem`; OSError: no disk."""
        match prepared.asked:
            case DeleteRun(run, below):
                return self._settle_removal(run, below=below)
            case RenameRun(run, to):
                return self._settle_renaming(run, to)
            case InstallRun(run, _, replace):
                return self._settle_installation(run, prepared, replace=replace)
            case DeleteTag(run, tag):
                assert prepared.rewrite is not None  # noqa: S101 - `prepare` made it
                return self._settle_rewriting(run, tag, prepared.rewrite, index, prepared.turn)

    def _settle_removal(self, run: RunName, *, below: bool) -> Decided:
        exists = self._folders.exists(run)
        runs: list[str] = [run] if exists else []
        if below:
            runs += self._folders.runs_below(run)
        if not runs:
            raise self._folders.missing(run, below=not below and bool(self._folders.runs_below(run)))
        for name in runs:
            self._folders.check_writable(name)
        return Decided(Removed(tuple(runs)), Changed(tuple(runs), tuple(self._folders.left_behind(runs))))

    def _settle_renaming(self, run: RunName, to: RunName) -> Decided:
        self._folders.check_plain(run)
        moved: list[str] = [run] if self._folders.exists(run) else []
        moved += self._folders.runs_below(run)
        if not moved:
            raise self._folders.missing(run)
        if self._veils.covers(to):
            raise Conflict(f"run {to!a} was removed a moment ago, which TensorBoard may not have noticed; try it again")
        if to == run or to.startswith(run + "/"):
            raise Conflict(f"run {run!a} cannot be renamed to {to!a}, which is itself or lies in its own folder")
        target = self._logdir / to
        self._folders.check_way(to)
        if self._folders.exists(to) or _has_entries(target):
            raise Conflict(f"there is a run or folder {to!a} already; delete it or choose another name")
        for name in moved:
            run_name(to + name[len(run) :])  # with the longer name, one of them may no longer fit
            self._folders.check_writable(name)
        # What is moved has to be complete: replay writes to where files are, and these will be elsewhere.
        folders = [self._files.folder(name) for name in moved]
        disk.sync_files([folder / path for folder in folders for path in layout.own_files(folder)], folders)
        return Decided(Renamed(run, to), Changed(tuple(moved)), tuple(to + name[len(run) :] for name in moved))

    def _settle_installation(self, run: RunName, prepared: Prepared, *, replace: bool) -> Decided:
        assert prepared.staged is not None  # noqa: S101 - `prepare` took it
        self._folders.check_way(run)
        exists = self._folders.exists(run)
        if exists and not replace:
            raise Conflict(f"run {run!a} exists; say that it is to be replaced, or delete it first")
        if exists:
            self._folders.check_writable(run)
        warnings = list(self._folders.left_behind([run])) if exists else []
        if prepared.installed is None:
            message = "its newest event file is not whole: the run goes on in another one, and steps left out begin at 0 again"
            warnings.append(ItemWarning("run", "torn-file", message))
        known = exists or run in self._veils or self._veils.is_below(run)
        return Decided(Installed(run, prepared.staged.name, known, prepared.installed), Changed((run,), tuple(warnings)))

    def _settle_rewriting(self, run: RunName, tag: str, rewrite: Rewrite, index: int, turn: int) -> Decided:
        folder = self._folders.existing(run)
        self._folders.check_writable(run)
        if folder != rewrite.folder or turn != self._turn:  # veil lifted, or the run changed: what was copied may be gone
            rewrite.begin(folder)
        rewrite.catch_up()
        if rewrite.dropped == 0:
            raise NotFound(f"run {run!a} holds no values of tag {tag[:100]!a} in its event files")
        opening = self._files.new_file(run, index, self._clock())
        length = rewrite.finish(layout.veiled_name(opening.file), opening.wall_time)
        _sync_up(self._staged, self._logdir)
        change = Rewritten(run, tag, rewrite.staged.name, opening.file, length)
        return Decided(change, Changed((run,), tuple(self._folders.left_behind([run]))))

    # --- on the disk --------------------------------------------------------------------------------------------------

    def apply(self, change: SettledChange, index: int) -> None:
        """Do what the journal's entry `index` says, or what is left to do of it. OSError only for what may pass: a full disk.

        Whatever else goes wrong concerns this change alone, and is told in the log: the bridge has other runs to serve.
        """
        if self._done() >= index:
            return  # since then, the runs concerned are their owners' again
        self._turn += 1
        try:
            self._do(change)
        except OSError as error:
            if error.errno not in _GIVE_UP:
                raise
            log.error("a change to runs is incomplete: %s: %s", error.filename, error.strerror)  # noqa: TRY400
        except Exception:  # journalled, so it would end every later start as well; the log has the cause, other runs go on
            log.exception("a change to runs is incomplete")
        finally:
            self._turn += 1
        disk.replace_durably(self._state / DONE_FILE, b"%d\n" % index)

    def begin_at(self, next_index: int) -> None:
        """At a start, after the replay: entries from `next_index` on are yet to come.

        A journal that was damaged or taken away gives numbers again; what is remembered as done was another change then.
        """
        if self._done() >= next_index:
            disk.replace_durably(self._state / DONE_FILE, b"%d\n" % (next_index - 1))

    def _done(self) -> int:
        try:
            text = (self._state / DONE_FILE).read_text()
        except FileNotFoundError:
            return 0
        return int(text) if text.strip().isdigit() else 0

    def _do(self, change: SettledChange) -> None:
        match change:
            case Removed(runs):
                vanish_at = self._vanish_at(runs)
                self._veils.begin(*runs, vanish_at=vanish_at)
                self._empty(runs)
                self._hide_below(runs, vanish_at)
            case Rewritten(run=run):
                self._apply_rewriting(run, self._staged / change.staged)
            case Installed(run=run):
                self._apply_installation(run, self._staged / change.staged, known=change.known)
            case Renamed():
                self._apply_renaming(change)

    def remove_by_hand(self, run: RunName, *, below: bool) -> Changed:
        """Remove a run as its owner would, past the journal: for a disk so full that nothing can be journalled."""
        changed = self._settle_removal(run, below=below).changed
        self._empty(changed.runs)
        self._prune(changed.runs)
        return changed

    def lift_due(self) -> None:
        """Remove the emptied folders, and end the veils, whose time has come."""
        self._let_vanish(self._veils.emptied(due=True))
        self._lift(self._veils.due())

    def lift_all(self) -> None:
        """End every veil: there will be nobody to do it later."""
        self._let_vanish(self._veils.emptied())
        self._lift(self._veils.runs())

    def _let_vanish(self, runs: Sequence[str]) -> None:
        self._prune(runs)
        self._veils.vanished(runs)

    def _lift(self, runs: list[str]) -> None:
        for start in range(0, len(runs), limits.VEILS_AT_ONCE):
            some = runs[start : start + limits.VEILS_AT_ONCE]
            try:
                self._files.lift(*some)
            except OSError as error:
                if error.errno not in _GIVE_UP:
                    raise
                if len(some) == 1:
                    what = error.strerror
                    log.error("run %r cannot be put in its place: %s: %s", some[0], error.filename, what)  # noqa: TRY400
                    self._veils.postpone(some[0])
                else:
                    for run in some:
                        self._lift([run])

    def _apply_rewriting(self, run: str, staged: Path) -> None:
        names = list(layout.own_files(staged))
        if names:  # else: it was cut off after this, the last step
            vanish_at = self._vanish_at((run,))
            self._files.release(run)
            self._veils.begin(run, vanish_at=vanish_at)
            self._files.release(run)
            veil = self._files.folder(run)
            veil.mkdir(parents=True, exist_ok=True)
            for folder in (self._logdir / run, veil):
                for name in list(layout.own_files(folder)):
                    if len(name.parts) == 1 and is_events(name.name):
                        _attempt((folder / name).unlink)
                    elif folder != veil:
                        _move(folder / name, veil.joinpath(*map(_veiled, name.parts)))
            for name in names:
                (staged / name).rename(veil / name)
            _sync_tree(veil)
        shutil.rmtree(staged, ignore_errors=True)
        self._hide_below((run,), self._vanish_at((run,)))

    def _apply_installation(self, run: str, staged: Path, *, known: bool) -> None:
        if not staged.exists():  # it was cut off after this, the last step
            return
        vanish_at = self._vanish_at((run,)) if known else None
        self._empty((run,))
        self._veils.begin(run, vanish_at=vanish_at)
        veil = self._files.folder(run)
        staged.rename(veil)
        disk.sync_path(veil.parent)
        if vanish_at is not None:
            self._hide_below((run,), vanish_at)

    def _apply_renaming(self, change: Renamed) -> None:
        """One rename of the folder, which leaves an empty one. What is under a veil takes the other name with it.

        A veil that holds nothing stays: it waits for readers to miss the old name, and may be of this very change, done before.
        """
        source, target = self._logdir / change.run, self._logdir / change.to
        moved = [change.run, *self._folders.runs_below(change.run)]
        vanish_at = self._veils.vanish_at(moved)
        self._files.release(*moved)
        for name in self._veils.runs():
            to = renamed(name, change)
            if to is not None and any(layout.own_files(self._files.folder(name))):
                self._veils.rename(name, to)
        self._veils.begin(*moved, vanish_at=vanish_at)
        if _holds_more_than_folders(source):  # else: it was cut off after this
            stays = [(self._logdir / name).relative_to(source) for name in moved if (self._logdir / name).is_dir()]
            _make_folders(target, stays)
            try:
                if not disk.exchange(source, target):  # then there is a moment with no folder
                    _remove_empty_folders(target)
                    source.rename(target)
                    _make_folders(source, stays)
            except OSError:
                _remove_empty_folders(target)
                raise
        if target.exists():
            _sync_up(target.parent, self._logdir)
            disk.sync_files([], [source.parent])

    def _empty(self, runs: Sequence[str]) -> None:
        """Remove what belongs to `runs`, wherever it is."""
        self._files.release(*runs)
        for run in runs:
            folder = self._logdir / run
            for name in list(layout.own_files(folder)):
                _attempt((folder / name).unlink)
            _attempt(lambda: self._veils.empty(run))  # noqa: B023 - called here and now
        disk.sync_files([], [folder for folder in (self._logdir / run for run in runs) if folder.is_dir()])

    def _runs_below(self, runs: Sequence[str]) -> list[str]:
        gone = set(runs)
        top = [run for run in runs if not any(above in gone for above in names_above(run))]
        below = dict.fromkeys(name for run in top for name in self._folders.runs_below(run))
        return [name for name in below if name not in gone]

    def _vanish_at(self, runs: Sequence[str]) -> float:
        return self._veils.vanish_at((*runs, *self._runs_below(runs)))

    def _hide_below(self, runs: Sequence[str], vanish_at: float) -> None:
        """Veil the runs below `runs`: with their files there, the folder of the one above could not vanish."""
        hidden = [name for name in self._runs_below(runs) if name not in self._veils]
        self._files.release(*hidden)
        self._veils.begin(*hidden, vanish_at=vanish_at)
        for run in hidden:
            folder, veil = self._logdir / run, self._files.folder(run)
            for name in list(layout.own_files(folder)):
                target = veil.joinpath(*map(_veiled, name.parts))
                _move(folder / name, target)
                self._files.moved(target)
        disk.sync_files([], [veil for veil in map(self._files.folder, hidden) if veil.is_dir()])

    def _prune(self, runs: Sequence[str]) -> None:
        """Remove the folders of `runs` and those above them, as far as they are empty and need not stay."""
        staying = {self._logdir / name for name in {*self._veils.emptied()} - {*runs}}
        for run in sorted(runs, key=len, reverse=True):
            folder = self._logdir / run
            self._prune_own(folder)
            while folder != self._logdir and folder not in staying:
                if folder.is_dir() and not _remove_if_empty(folder):
                    break
                folder = folder.parent

    def _prune_own(self, folder: Path) -> None:
        """Remove the folders in `folder` that belong to its run, as far as they are empty now."""
        for own in layout.own_folders(folder):
            _remove_empty_folders(own)
            if own.parent != folder:
                _remove_if_empty(own.parent)


def _veiled(part: str) -> str:
    return layout.veiled_name(layout.lifted_name(part))


def _has_entries(folder: Path) -> bool:
    if not os.path.lexists(folder):
        return False
    return not folder.is_dir() or folder.is_symlink() or any(os.scandir(folder))


def _holds_more_than_folders(folder: Path) -> bool:
    """False for a folder that is not there. OSError if it cannot be told."""

    def fail(error: OSError) -> None:
        if error.errno not in disk.GONE_ERRNOS:
            raise error

    walk = os.walk(folder, onerror=fail)
    return any(names or any(Path(path, name).is_symlink() for name in folders) for path, folders, names in walk)


def _attempt(action: Callable[[], object]) -> None:
    """Do it, unless something about this one path is in the way: then say so and go on."""
    try:
        action()
    except OSError as error:
        if error.errno not in _GIVE_UP:
            raise
        if error.errno not in disk.GONE_ERRNOS:
            log.error("a change to runs is incomplete: %s: %s", error.filename, error.strerror)  # noqa: TRY400


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    _attempt(lambda: source.rename(target))


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in _GIVE_UP:
            raise
        return False
    return True


def _remove_empty_folders(folder: Path) -> None:
    for path, _, _ in os.walk(folder, topdown=False):
        _remove_if_empty(Path(path))


def _make_folders(folder: Path, below: Iterable[Path]) -> None:
    for path in below:
        (folder / path).mkdir(parents=True, exist_ok=True)


def _sync_tree(folder: Path) -> None:
    """Make all files below `folder` durable, and their names."""
    files, folders = [], []
    for path, _, names in os.walk(folder):
        folders.append(Path(path))
        files += [Path(path, name) for name in names]
    disk.sync_files(files, [])
    disk.sync_files([], folders)


def _sync_up(folder: Path, to: Path) -> None:
    """Make the names of `folder` and of those above it, up to `to`, durable."""
    while True:
        disk.sync_path(folder)
        if folder == to:
            return
        folder = folder.parent
