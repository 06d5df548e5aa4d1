"""The embeddings of a log folder: a run's projector_config.pbtxt, and the files that it names, as values to send.

They are in no event file. Files are only looked at below the run's folder and never through a link, as TensorBoard does. Reads;
sends nothing, which import_folder.py does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from tbbridge import limits
from tbbridge.commands.import_files import LeftOut, SourceFile
from tbbridge.errors import InvalidItem
from tbbridge.events.projector import entries_of, tag_and_step
from tbbridge.model import Embedding, RunBatch, tag_name

# A number as text has up to 15 characters with the tab; a file with more bytes holds more numbers than are taken.
_TENSORS_MAX_BYTES: Final = 24 * limits.EMBEDDING_MAX_VALUES


@dataclass(frozen=True, slots=True)
class FoundEmbedding:
    """One embedding; `identity` is the same wherever and whenever it is read."""

    batch: RunBatch
    identity: str


def embeddings_in(source: SourceFile) -> Iterator[FoundEmbedding | LeftOut]:
    """What the table lists, in its order; what cannot be sent with the reason."""
    try:
        raw = _read(source.path, limits.PROJECTOR_CONFIG_MAX_BYTES)
    except (OSError, ValueError) as error:
        yield LeftOut(str(source.path), _words(error))
        return
    for entry in entries_of(raw.decode(errors="replace")):
        name = entry.get("tensor_name", "")
        try:
            yield _embedding(source, entry, *tag_and_step(name))
        except (OSError, ValueError) as error:  # InvalidItem is a ValueError, too
            yield LeftOut(f"{source.path}: embedding {name[:60]!a}", _words(error), 1)


def _words(error: OSError | ValueError) -> str:
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror or error}"
    return error.message if isinstance(error, InvalidItem) else str(error)


def _embedding(source: SourceFile, entry: Mapping[str, str], tag: str, step: int) -> FoundEmbedding:
    tensors = _read(_below(source.path.parent, entry.get("tensor_path", "")), _TENSORS_MAX_BYTES)
    metadata, header = None, None
    sprite, sprite_size = None, None
    if entry.get("metadata_path"):
        text = _read(_below(source.path.parent, entry["metadata_path"]), 2 * limits.EMBEDDING_METADATA_MAX_BYTES)
        metadata, header = _table(text.decode(errors="replace"))
    if entry.get("sprite.image_path"):
        sprite = _read(_below(source.path.parent, entry["sprite.image_path"]), limits.SUMMARY_MAX_BYTES)
        width, _, height = entry.get("sprite.single_image_dim", "").partition(" ")
        if not (width.isdigit() and height.isdigit()):
            raise ValueError("its sprite has no single_image_dim")
        sprite_size = int(width), int(height)
    embedding = Embedding(tag_name(tag), _matrix(tensors), metadata, header, sprite, sprite_size, step=step)
    parts = (source.run.encode(), tag.encode(), b"%d" % step, tensors, repr(metadata).encode(), sprite or b"")
    identity = hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:40]
    return FoundEmbedding(RunBatch(source.run, summaries=(embedding,)), identity)


def _matrix(raw: bytes) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = [line.split(b"\t") for line in raw.splitlines() if line.strip()]
    if not rows or any(len(row) != len(rows[0]) for row in rows):
        raise ValueError("its tensor is no table of numbers with as many in each line")
    try:
        return np.array([[float(cell) for cell in row] for row in rows], np.float32)
    except ValueError:
        raise ValueError("its tensor is no table of numbers; one of raw bytes is not read") from None


def _table(text: str) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...] | None]:
    """Rows and header: a table of several columns has one, a single column none."""
    rows = tuple(tuple(line.split("\t")) for line in text.removesuffix("\n").split("\n"))
    return (rows[1:], rows[0]) if len(rows[0]) > 1 else (rows, None)


def _below(folder: Path, path: str) -> Path:
    parts = path.split("/")
    at = folder
    for part in parts:
        at /= part
        if part in ("", "..") or "\0" in part or at.is_symlink():
            raise ValueError(f"it names the file {path[:200]!a}, which is not in the run's folder")
    return at


def _read(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"{path.name} has over {most} bytes")
    return raw
