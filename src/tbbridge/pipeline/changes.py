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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tbbridge import disk, layout, limits
from tbbridge.errors import Conflict, ItemWarning, NotFound
from tbbridge.events.rewrite import without_tag
from tbbridge.events.summaries import encode_file_start
from tbbridge.events.tfrecord import Corrupt
from tbbridge.model import PROJECTOR_CONFIG, STATE_FOLDER, RunName, run_name
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, SettledChange, renamed
from tbbridge.pipeline.door import Change, Changed, DeleteRun, DeleteTag, InstallRun, RenameRun
from tbbridge.pipeline.eventfile import EventFiles
from tbbridge.pipeline.veils import Veils

log = logging.getLogger(__name__)

# What concerns the folders of this change and not the disk: trying again for ever would hold everybody up.
_TAKEN: Final = (
    "-taken"  # behind the name of a staged folder that is the writer's now: whoever made it may clean up after himself
)
_GIVE_UP: Final = disk.PATH_ERRNOS | {errno.ENOTEMPTY, errno.EXDEV, errno.EINVAL, errno.EBUSY}


@dataclass(slots=True)
class Prepared:
    """A change that was asked for, and what was done for it already."""

    asked: Change
    staged: Path | None = None
    rewrite: _Rewrite | None = None
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
        self._staged = logdir / STATE_FOLDER / layout.STAGED
        self._files = files
        self._veils = veils
        self._clock = clock

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
                return Prepared(asked, taken)
            case DeleteTag(run, tag):
                folder = self._existing(run)
                staged = self.stage()
                rewrite = _Rewrite(folder, tag, staged)
                with contextlib.suppress(FileNotFoundError):  # moved meanwhile: `settle` sees where to
                    rewrite.catch_up()
                return Prepared(asked, staged, rewrite)
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
                assert prepared.staged is not None  # noqa: S101 - `prepare` took it
                return self._settle_installation(run, prepared.staged, replace=replace)
            case DeleteTag(run, tag):
                assert prepared.rewrite is not None  # noqa: S101 - `prepare` made it
                return self._settle_rewriting(run, tag, prepared.rewrite, index)

    def _settle_removal(self, run: RunName, *, below: bool) -> Decided:
        exists = self._exists(run)
        runs: list[str] = [run] if exists else []
        if below:
            runs += self._runs_below(run)
        if not runs:
            raise self._missing(run, below=not below and bool(self._runs_below(run)))
        for name in runs:
            self._check_writable(name)
        return Decided(Removed(tuple(runs)), Changed(tuple(runs), tuple(self._left_behind(runs))))

    def _settle_renaming(self, run: RunName, to: RunName) -> Decided:
        self._check_plain(run)
        moved: list[str] = [run] if self._exists(run) else []
        moved += self._runs_below(run)
        if not moved:
            raise self._missing(run)
        if self._veils.covers(to):
            raise Conflict(f"run {to!a} was removed a moment ago, which TensorBoard may not have noticed; try it again")
        if to == run or to.startswith(run + "/"):
            raise Conflict(f"run {run!a} cannot be renamed to {to!a}, which is itself or lies in its own folder")
        target = self._logdir / to
        self._check_plain(to)
        if self._exists(to) or _has_entries(target):
            raise Conflict(f"there is a run or folder {to!a} already; delete it or choose another name")
        for name in moved:
            run_name(to + name[len(run) :])  # with the longer name, one of them may no longer fit
            self._check_writable(name)
        # What is moved has to be complete: replay writes to where files are, and these will be elsewhere.
        folders = [self._files.folder(name) for name in moved]
        disk.sync_files([folder / path for folder in folders for path in layout.own_files(folder)], folders)
        return Decided(Renamed(run, to), Changed(tuple(moved)), tuple(to + name[len(run) :] for name in moved))

    def _settle_installation(self, run: RunName, staged: Path, *, replace: bool) -> Decided:
        self._check_plain(run)
        exists = self._exists(run)
        if exists and not replace:
            raise Conflict(f"run {run!a} exists; say that it is to be replaced, or delete it first")
        if exists:
            self._check_writable(run)
        known = exists or run in self._veils
        return Decided(Installed(run, staged.name, known), Changed((run,), tuple(self._left_behind([run]) if exists else ())))

    def _settle_rewriting(self, run: RunName, tag: str, rewrite: _Rewrite, index: int) -> Decided:
        folder = self._existing(run)
        self._check_writable(run)
        if folder != rewrite.folder:  # its veil was lifted meanwhile, or it was removed and begun again
            rewrite.begin(folder)
        rewrite.catch_up()
        if rewrite.dropped == 0:
            raise NotFound(f"run {run!a} holds no values of tag {tag[:100]!a} in its event files")
        opening = self._files.new_file(run, index, self._clock())
        length = rewrite.finish(layout.veiled_name(opening.file), opening.wall_time)
        _sync_up(self._staged, self._logdir)
        change = Rewritten(run, tag, rewrite.staged.name, opening.file, length)
        return Decided(change, Changed((run,), tuple(self._left_behind([run]))))

    # --- on the disk --------------------------------------------------------------------------------------------------

    def apply(self, change: SettledChange) -> None:
        """Do what the journal says, or what is left to do of it. OSError only for what may pass, such as a full disk."""
        match change:
            case Removed(runs):
                for run in runs:
                    self._veils.begin(run)
                    self._empty(run)
                for run in runs:
                    self._clear_way(run, but=runs)
            case Rewritten(run=run):
                self._apply_rewriting(run, self._staged / change.staged)
            case Installed(run=run):
                self._apply_installation(run, self._staged / change.staged, known=change.known)
            case Renamed():
                self._apply_renaming(change)

    def lift_due(self) -> None:
        """End the veils whose time has come."""
        for run in self._veils.due():
            self._lift(run)

    def lift_all(self) -> None:
        """End every veil: there will be nobody to do it later."""
        for run in self._veils.runs():
            self._lift(run)

    def _lift(self, run: str) -> None:
        try:
            self._files.lift(run)
        except OSError as error:
            if error.errno not in _GIVE_UP:
                raise
            log.error("run %r cannot be put in its place: %s: %s", run, error.filename, error.strerror)  # noqa: TRY400
            self._veils.postpone(run)

    def _apply_rewriting(self, run: str, staged: Path) -> None:
        names = list(layout.own_files(staged))
        if names:  # else: it was cut off after this, the last step
            self._files.release(run)
            veil = self._veils.begin(run)
            self._files.release(run)
            veil.mkdir(parents=True, exist_ok=True)
            for folder in (self._logdir / run, veil):
                for name in list(layout.own_files(folder)):
                    if len(name.parts) == 1 and _is_events(name.name):
                        _attempt((folder / name).unlink)
                    elif folder != veil:
                        _move(folder / name, veil.joinpath(*map(_veiled, name.parts)))
            for name in names:
                (staged / name).rename(veil / name)
            _sync_tree(veil)
        shutil.rmtree(staged, ignore_errors=True)
        self._clear_way(run, but=())

    def _apply_installation(self, run: str, staged: Path, *, known: bool) -> None:
        if not staged.exists():  # it was cut off after this, the last step
            return
        self._empty(run)
        veil = self._veils.begin(run, at_once=not known)
        self._veils.empty(run)
        staged.rename(veil)
        disk.sync_path(veil.parent)
        if known:
            self._clear_way(run, but=())

    def _apply_renaming(self, change: Renamed) -> None:
        """One rename of the folder. What is under a veil takes the other name with it.

        A veil that holds nothing stays: it waits for readers to miss the old name, and may be of this very change, done before.
        """
        source, target = self._logdir / change.run, self._logdir / change.to
        moved = [change.run, *self._runs_below(change.run)]
        for name in moved:
            self._files.release(name)
        for name in self._veils.runs():
            to = renamed(name, change)
            if to is not None and any(layout.own_files(self._files.folder(name))):
                self._veils.rename(name, to)
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            _attempt(lambda: source.rename(target))
            _sync_up(target.parent, self._logdir)
            if source.parent.exists():
                disk.sync_path(source.parent)
        for name in moved:
            self._veils.begin(name)
        self._prune(source.parent)

    def _empty(self, run: str) -> None:
        """Remove what belongs to `run`, wherever it is."""
        self._files.release(run)
        folder = self._logdir / run
        for name in list(layout.own_files(folder)):
            _attempt((folder / name).unlink)
        self._veils.empty(run)
        self._prune_own(folder)
        if folder.is_dir():
            disk.sync_path(folder)

    def _clear_way(self, run: str, *, but: tuple[str, ...]) -> None:
        """Let the run's folder vanish, as TensorBoard's Python reader wants it: veil the runs below it, then remove it."""
        folder = self._logdir / run
        for name in self._runs_below(run):
            if name not in but and name not in self._veils:
                self._hide(name)
        self._prune_own(folder)
        self._prune(folder)

    def _hide(self, run: str) -> None:
        folder = self._logdir / run
        self._files.release(run)
        veil = self._veils.begin(run)
        for name in list(layout.own_files(folder)):
            target = veil.joinpath(*map(_veiled, name.parts))
            _move(folder / name, target)
            self._files.moved(target)
        if veil.is_dir():
            disk.sync_path(veil)
        self._prune_own(folder)
        self._prune(folder)

    def _prune_own(self, folder: Path) -> None:
        """Remove the folders in `folder` that belong to its run, as far as they are empty now."""
        for own in layout.own_folders(folder):
            for path, _, _ in os.walk(own, topdown=False):
                _remove_if_empty(Path(path))
            if own.parent != folder:
                _remove_if_empty(own.parent)

    def _prune(self, folder: Path) -> None:
        """Remove `folder` and those above it, as far as they are empty."""
        while folder != self._logdir and folder.is_relative_to(self._logdir):
            if folder.is_dir() and not _remove_if_empty(folder):
                break
            folder = folder.parent
        if folder.is_dir():
            disk.sync_path(folder)

    # --- what is there ------------------------------------------------------------------------------------------------

    def _exists(self, run: str) -> bool:
        """True if the run holds event files, whoever wrote them."""
        folder = self._files.folder(run)
        return any(layout.is_event_file(layout.lifted_name(path.name)) for path in layout.own_files(folder))

    def _existing(self, run: RunName) -> Path:
        """The folder that holds the run's files. A veil may be lifted meanwhile, so the run's own is looked at last."""
        self._check_plain(run)
        if not (self._exists(run) or any(layout.is_event_file(path.name) for path in layout.own_files(self._logdir / run))):
            raise self._missing(run)
        return self._files.folder(run)

    def _missing(self, run: str, *, below: bool = False) -> NotFound:
        more = "; there are runs below its folder, which a deletion takes only with `below`" if below else ""
        return NotFound(f"there is no run {run!a}{more}")

    def _runs_below(self, run: str) -> list[str]:
        """Runs in folders below the run's own, veiled ones included. Links are not followed."""
        found = {name for name in self._veils.runs() if name.startswith(run + "/") and self._exists(name)}
        for path, folders, names in os.walk(self._logdir / run):
            own = [name for name in folders if Path(path, name) in set(layout.own_folders(Path(path)))]
            folders[:] = [name for name in folders if name not in own]
            if any(map(layout.is_event_file, names)) and Path(path) != self._logdir / run:
                found.add(Path(path).relative_to(self._logdir).as_posix())
        return sorted(found)

    def _left_behind(self, runs: Sequence[str]) -> Iterator[ItemWarning]:
        """Warn of other people's files that keep a run's folder, and so the run in TensorBoard's Python reader, alive."""
        for run in runs:
            for path, folders, names in os.walk(self._logdir / run):
                here = Path(path)
                folders[:] = [name for name in folders if here / name not in set(layout.own_folders(here))]
                others = [name for name in names if not (layout.is_event_file(name) or name == PROJECTOR_CONFIG)]
                if others or any((here / name).is_symlink() for name in folders):
                    shown = (here / (others or folders)[0]).relative_to(self._logdir).as_posix()
                    message = (
                        f"{shown!a} is not part of a run and stays, and with it the folder of run {run!a}: TensorBoard's "
                        "Python reader (--load_fast false) shows the change only after a restart"
                    )
                    yield ItemWarning("run", "folder-stays", message)
                    break

    def _check_plain(self, run: str) -> None:
        folder = self._logdir
        for part in run.split("/"):
            folder /= part
            if folder.is_symlink():
                raise Conflict(f"run {run!a} lies behind the symbolic link {part!a}, which is not followed; remove the link")

    def _check_writable(self, run: str) -> None:
        self._check_plain(run)
        folder = self._files.folder(run)
        while not folder.exists():
            folder = folder.parent
        for path in (folder, folder.parent):
            if not os.access(path, os.W_OK | os.X_OK):
                shown = path.relative_to(self._logdir.parent)
                raise Conflict(f"the folder {str(shown)!a} is not writable for this server; change its permissions")


def _veiled(part: str) -> str:
    return layout.veiled_name(layout.lifted_name(part))


def _has_entries(folder: Path) -> bool:
    if not os.path.lexists(folder):
        return False
    return not folder.is_dir() or folder.is_symlink() or any(os.scandir(folder))


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


@dataclass(slots=True)
class _Rewrite:
    """The event files of a run being copied into one without a tag. `catch_up` may be called again when they have grown."""

    folder: Path
    tag: str
    staged: Path
    dropped: int = 0
    _file: str = ""
    _offset: int = 0
    _plugins: dict[str, str] = field(default_factory=dict)
    _length: int = 0
    _fd: int = -1

    def begin(self, folder: Path) -> None:
        """Begin anew with the files in `folder`."""
        self.close()
        self.folder, self.dropped, self._length, self._file = folder, 0, 0, ""

    def catch_up(self) -> None:
        """Copy what is there and not copied yet. Raises `Conflict` at damage: nobody may throw away what lies behind it."""
        names = [path.name for path in layout.own_files(self.folder) if len(path.parts) == 1]
        for name in sorted(filter(_is_events, names), key=layout.lifted_name):
            if layout.lifted_name(name) < layout.lifted_name(self._file):
                continue
            if name != self._file:
                self._file, self._offset, self._plugins = name, 0, {}
            self._copy(self.folder / name)

    def _copy(self, path: Path) -> None:
        window = limits.READ_WINDOW_BYTES
        with path.open("rb") as file:
            while True:
                file.seek(self._offset)
                data = file.read(window)
                kept = without_tag(data, self.tag, self._plugins)
                if isinstance(kept.stopped, Corrupt):
                    at = self._offset + kept.end
                    raise Conflict(
                        f"event file {path.name} is damaged at byte {at}; what is behind it would be lost. Import the run "
                        "under another name, which keeps what can be read, or delete the whole run"
                    )
                self.dropped += kept.dropped
                self._write(kept.pieces)
                self._plugins, self._offset = kept.plugins, self._offset + kept.end
                if len(data) < window:
                    return  # the end, or a torn record that may be completed later
                window = limits.READ_WINDOW_BYTES if kept.end else 4 * window  # a record that is larger than the window

    def _write(self, pieces: list[memoryview | bytes]) -> None:
        if self._fd < 0:
            self._fd = os.open(self.staged / "copy", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        for piece in pieces:
            disk.write_all(self._fd, piece, self._length)
            self._length += len(piece)

    def finish(self, name: str, wall_time: float) -> int:
        """Give the copy its name, durably; returns its length."""
        if self._length == 0:  # without a record, no reader would know that there is a run
            self._write([encode_file_start(wall_time, session_start=True)])
        disk.sync_data(self._fd)
        self.close()
        (self.staged / "copy").rename(self.staged / name)
        disk.sync_path(self.staged)
        return self._length

    def close(self) -> None:
        """Close the copy."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _is_events(name: str) -> bool:
    return layout.is_event_file(layout.lifted_name(name))
