"""Where things are below the log folder: our own part of it, what belongs to a run, and runs that are veiled for a moment.

TensorBoard's readers cannot follow a run whose files are replaced while they watch; they can if they find its folder gone once.
So what a run gets soon after it was removed is kept in a *veil*, a folder of ours in which no name holds "tfevents", until they
have looked. pipeline/ makes and lifts veils; store/ reads through them. This file only knows names and looks at folders.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from tbbridge.names import EMBEDDINGS_FOLDER, PROJECTOR_CONFIG, STATE_FOLDER

# Below the state folder. A veil is VEILS/<number>/ with the file RUN_FILE, which holds the run's name, and the folder
# FILES_FOLDER, which holds what belongs to the run under veiled names.
VEILS: Final = "veils"
RUN_FILE: Final = "run"
FILES_FOLDER: Final = "files"
# Folders in which a run is put together before it is installed; what a crash leaves in here goes at the next start.
STAGED: Final = "staged"
# The groups that came over HTTP, also below the state folder.
GROUPS_FILE: Final = "groups.json"

# Of the same length, so that a veiled name fits wherever the name does. No run may have either in its name's parts.
_EVENTS: Final = "tfevents"
_VEILED: Final = "tf~vents"
# Folders in a run's own that belong to it: ours, and where the Projector's and the profiler's plugins keep files.
_OWN_FOLDERS: Final = (EMBEDDINGS_FOLDER, "plugins/org_tensorflow_tensorboard_projector", "plugins/profile")


def veiled_name(name: str) -> str:
    """A file's name under a veil, where no reader takes it for an event file. ValueError if it has that form already."""
    if _VEILED in name:
        raise ValueError("the name holds 'tf~vents', which is kept for veiled event files")
    return name.replace(_EVENTS, _VEILED)


def lifted_name(name: str) -> str:
    """The name that `veiled_name` veiled."""
    return name.replace(_VEILED, _EVENTS)


def is_event_file(name: str) -> bool:
    """What TensorBoard takes for an event file, by its name alone."""
    return _EVENTS in name


def own_files(folder: Path) -> Iterator[PurePosixPath]:
    """What belongs to the run in `folder`, relative to it: event files by name, embeddings, files of plugins.

    Not other runs below it, nor anything else that users keep there. Links are not followed and not listed. Under a veil,
    the names are veiled ones.
    """
    for entry in _entries(folder):
        if entry.is_file(follow_symlinks=False):
            name = lifted_name(entry.name)
            if is_event_file(name) or name == PROJECTOR_CONFIG:
                yield PurePosixPath(entry.name)
    for own in own_folders(folder):
        yield from (PurePosixPath(own.relative_to(folder)) / path for path in _plain_files(own))


def is_own(path: PurePosixPath) -> bool:
    """True if a file of this path in a run's folder belongs to the run; the names are not veiled ones."""
    if len(path.parts) == 1:
        return is_event_file(path.name) or path.name == PROJECTOR_CONFIG
    return any(PurePosixPath(own) in path.parents for own in _OWN_FOLDERS)


def own_folders(folder: Path) -> list[Path]:
    """The folders in a run's folder that belong to it; what is in them is no other run."""
    found = [folder / name for name in _OWN_FOLDERS]
    return [path for path in found if path.is_dir() and not path.is_symlink() and not path.parent.is_symlink()]


def _plain_files(folder: Path) -> Iterator[PurePosixPath]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from (PurePosixPath(entry.name) / path for path in _plain_files(Path(entry.path)))
        elif entry.is_file(follow_symlinks=False):
            yield PurePosixPath(entry.name)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []


def veils(logdir: Path) -> dict[str, Path]:
    """Of each veiled run the folder that holds its files meanwhile; it takes the place of the run's own."""
    found = {}
    for entry in _entries(logdir / STATE_FOLDER / VEILS):
        try:
            run = Path(entry.path, RUN_FILE).read_bytes().decode()
        except (FileNotFoundError, NotADirectoryError, UnicodeDecodeError):
            continue  # lifted a moment ago, or not finished by a process that was killed
        found[run] = Path(entry.path, FILES_FOLDER)
    return found
