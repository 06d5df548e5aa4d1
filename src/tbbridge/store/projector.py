"""Embeddings as they are on disk: entries of a run's projector_config.pbtxt, and the files that they name.

Only what tells embeddings apart is read from the config; the Projector reads the rest. Files are only looked at below the
run's folder, as TensorBoard does (2.21 and later), and never through a link.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import limits
from tbbridge.model import INT64_MAX, INT64_MIN, PROJECTOR_CONFIG


@dataclass(frozen=True, slots=True)
class StoredEmbedding:
    """One entry. `files` are by part: 'tensors', 'metadata', 'sprite'; those that exist. wall_time: when the file was made."""

    tag: str
    step: int
    wall_time: float
    index: int  # among the entries of its tag
    files: dict[str, Path]
    size_bytes: int


# One token of protobuf's text format; what is no token is skipped, as this reader needs only a part of the config.
_TOKEN: Final = re.compile(r"""#[^\n]*|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|([A-Za-z_]\w*)|([{}<>:])""")
_ESCAPE: Final = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|.)")
_SINGLE: Final = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_STEP: Final = re.compile(r"(.+):(-?\d{4,20})", re.DOTALL)
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
    for entry in _entries(raw.decode(errors="replace")):
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
        tag, step = _tag_and_step(entry.get("tensor_name", ""))
        index = counts[tag] = counts.get(tag, -1) + 1
        found.append(StoredEmbedding(tag, step, wall_time, index, files, size))
    return found


def _tag_and_step(name: str) -> tuple[str, int]:
    """Writers put the step behind the tag: 'tag:00007'."""
    match = _STEP.fullmatch(name)
    if match is not None and INT64_MIN <= int(match[2]) <= INT64_MAX:
        return match[1], int(match[2])
    return name or "default", 0


def _below(folder: Path, path: str) -> Path | None:
    """The file of that name below `folder`; None for one that is not there or leads out of it."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", "..") for part in parts) or Path(path).is_absolute():
        return None
    at = folder
    for part in parts:
        at /= part
        if at.is_symlink():
            return None
    return at if at.is_file() else None


def _entries(text: str) -> Iterator[dict[str, str]]:
    """Strings of each `embeddings { ... }` by field name; those of messages inside as 'message.field'."""
    entry: dict[str, str] = {}
    inside: list[str] = []
    name = ""
    continues = ""  # strings that stand behind each other are one
    for match in _TOKEN.finditer(text):
        double, single, word, mark = match.groups()
        if word is not None:
            name, continues = word, ""
        elif mark in ("{", "<"):
            if not inside and name == "embeddings":
                entry = {}
            inside.append(name)
            continues = ""
        elif mark in ("}", ">"):
            if len(inside) == 1 and inside[0] == "embeddings":
                yield entry
            inside = inside[:-1]
            continues = ""
        elif (double is not None or single is not None) and inside[:1] == ["embeddings"]:
            field = ".".join((*inside[1:], name))
            continues += _unescaped(double if double is not None else single)
            entry[field] = continues


def _unescaped(quoted: str) -> str:
    def one(match: re.Match[str]) -> str:
        said = match[1]
        if said[0] in "01234567":
            return chr(int(said, 8) & 0xFF)
        if said[0] == "x" and len(said) > 1:
            return chr(int(said[1:], 16))
        return _SINGLE.get(said, said)

    if "\\" not in quoted:
        return quoted
    # Escapes are bytes of UTF-8, so the rest has to be bytes for a moment, too; latin-1 is a byte a character.
    as_bytes = _ESCAPE.sub(one, quoted.encode().decode("latin-1")).encode("latin-1")
    return as_bytes.decode(errors="replace")
