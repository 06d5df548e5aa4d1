"""Embeddings as they are on disk: entries of a run's projector_config.pbtxt, and the files that they name.

Only what tells embeddings apart is read from the config; the Projector reads the rest. Files are only looked at below the
run's folder, as TensorBoard does (2.21 and later), and never through a link.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import limits
from tbbridge.events.projector import entries_of, tag_and_step
from tbbridge.model import PROJECTOR_CONFIG


@dataclass(frozen=True, slots=True)
class StoredEmbedding:
    """One entry. `files` are by part: 'tensors', 'metadata', 'sprite'; those that exist. wall_time: when the file was made."""

    tag: str
    step: int
    wall_time: float
    index: int  # among the entries of its tag
    files: dict[str, Path]
    size_bytes: int


_PARTS: Final = {"tensor_path": "tensors", "metadata_path": "metadata", "sprite.image_path": "sprite"}


def read_embeddings(folder: Path) -> list[StoredEmbedding]:
    """The embeddings that the config in `folder` lists, in its order; none if it is not there or too long to be one."""
    try:
        with (folder / PROJECTOR_CONFIG).open("rb") as file:
            raw = file.read(limits.PROJECTOR_CONFIG_MAX_BYTES + 1)
            written = os.fstat(file.fileno()).st_mtime
    except OSError:  # gone a moment ago, or not ours to read
        return []
    if len(raw) > limits.PROJECTOR_CONFIG_MAX_BYTES:
        return []
    counts: dict[str, int] = {}
    found = []
    for entry in entries_of(raw.decode(errors="replace")):
        files = {}
        size = 0
        wall_time = written
        for name, part in _PARTS.items():
            path = _below(folder, entry.get(name, ""))
            if path is None:
                continue
            said = path.stat()
            files[part] = path
            size += said.st_size
            if part == "tensors":
                wall_time = said.st_mtime
        tag, step = tag_and_step(entry.get("tensor_name", ""))
        index = counts[tag] = counts.get(tag, -1) + 1
        found.append(StoredEmbedding(tag, step, wall_time, index, files, size))
    return found


def _below(folder: Path, path: str) -> Path | None:
    """The file of that name below `folder`; None for one that is not there or leads out of it."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", "..") for part in parts) or Path(path).is_absolute():
        return None
    at = folder
    try:
        for part in parts:
            at /= part
            if at.is_symlink():
                return None
        return at if at.is_file() else None
    except OSError:  # a name that is too long for a file's
        return None
