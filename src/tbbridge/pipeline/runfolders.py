"""What is where, for a change that is asked for: which runs there are, and what is in its way. Looks, and changes nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from tbbridge import layout
from tbbridge.errors import Conflict, InvalidItem, ItemWarning, NotFound
from tbbridge.model import PROJECTOR_CONFIG, RunName, run_name
from tbbridge.pipeline.eventfile import EventFiles
from tbbridge.pipeline.veils import Veils


class RunFolders:
    """The folders of runs below one log folder, and under veils. For the writer, and for who prepares a change beside it."""

    def __init__(self, logdir: Path, files: EventFiles, veils: Veils) -> None:
        self._logdir = logdir
        self._files = files
        self._veils = veils

    def exists(self, run: str) -> bool:
        """True if the run holds event files, whoever wrote them."""
        folder = self._files.folder(run)
        return any(layout.is_event_file(layout.lifted_name(path.name)) for path in layout.own_files(folder))

    def existing(self, run: RunName) -> Path:
        """The folder that holds the run's files. A veil may be lifted meanwhile, so the run's own is looked at last."""
        self.check_plain(run)
        if not (self.exists(run) or any(layout.is_event_file(path.name) for path in layout.own_files(self._logdir / run))):
            raise self.missing(run)
        return self._files.folder(run)

    def missing(self, run: str, *, below: bool = False) -> NotFound:
        """What to raise for a run that is not there; `below`: there are some below its folder."""
        more = "; there are runs below its folder, which a deletion takes only with `below`" if below else ""
        return NotFound(f"there is no run {run!a}{more}")

    def runs_below(self, run: str) -> list[str]:
        """Runs in folders below the run's own, veiled ones included. Links are not followed."""
        found = {name for name in self._veils.runs() if name.startswith(run + "/") and self.exists(name)}
        for path, folders, names in os.walk(self._logdir / run):
            own = [name for name in folders if Path(path, name) in set(layout.own_folders(Path(path)))]
            folders[:] = [name for name in folders if name not in own]
            name = Path(path).relative_to(self._logdir).as_posix()
            if name != run and any(map(layout.is_event_file, names)) and _can_be_named(name):
                found.add(name)
        return sorted(found)

    def left_behind(self, runs: Sequence[str]) -> Iterator[ItemWarning]:
        """Warn of other people's files that keep a run's folder, and so the run in TensorBoard's Python reader, alive."""
        for run in runs:
            for path, folders, names in os.walk(self._logdir / run):
                here = Path(path)
                folders[:] = [name for name in folders if here / name not in set(layout.own_folders(here))]
                others = [name for name in names if not (layout.is_event_file(name) or name == PROJECTOR_CONFIG)]
                if not _can_be_named(here.relative_to(self._logdir).as_posix()):
                    others = names  # a folder of others, which no request can name
                if others or any((here / name).is_symlink() for name in folders):
                    shown = (here / (others or folders)[0]).relative_to(self._logdir).as_posix()
                    message = (
                        f"{shown!a} is not part of a run and stays, and with it the folder of run {run!a}: TensorBoard's "
                        "Python reader (--load_fast false) shows the change only after a restart"
                    )
                    yield ItemWarning("run", "folder-stays", message)
                    break

    def check_plain(self, run: str) -> None:
        """Raise `Conflict` if a link leads to the run."""
        folder = self._logdir
        for part in run.split("/"):
            folder /= part
            if folder.is_symlink():
                raise Conflict(f"run {run!a} lies behind the symbolic link {part!a}, which is not followed; remove the link")

    def check_way(self, run: str) -> None:
        """Raise `Conflict` if the folder of a run that is not there yet could not be made."""
        self.check_plain(run)
        folder = self._logdir / run
        while not os.path.lexists(folder):
            folder = folder.parent
        shown = folder.relative_to(self._logdir.parent)
        if not folder.is_dir():
            raise Conflict(
                f"{str(shown)!a} is a file, where the folder of run {run!a} would have to be; move it, or rename the run"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise Conflict(f"the folder {str(shown)!a} is not writable for this server; change its permissions")

    def check_writable(self, run: str) -> None:
        """Raise `Conflict` if the run's folder, or the one it is in, is not to be written in."""
        self.check_plain(run)
        folder = self._files.folder(run)
        while not folder.exists():
            folder = folder.parent
        for path in (folder, folder.parent):
            if not os.access(path, os.W_OK | os.X_OK):
                shown = path.relative_to(self._logdir.parent)
                raise Conflict(f"the folder {str(shown)!a} is not writable for this server; change its permissions")


def _can_be_named(name: str) -> bool:
    try:
        run_name(name)
    except InvalidItem:
        return False
    return True
