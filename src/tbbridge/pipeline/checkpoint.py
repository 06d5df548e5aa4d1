"""Checkpoints: what the journal has led to so far, so that its older segments can go.

The newest two are kept, `checkpoint-<next segment>`, with the segments that the older one needs: if the newest is damaged,
the older one and a longer replay give the same state. A checkpoint is written only after its event files are durable.
"""

from __future__ import annotations

import re
from pathlib import Path

from tbbridge import disk
from tbbridge.pipeline.codec import decode_checkpoint
from tbbridge.pipeline.ledger import Ledger

_NAME = re.compile(r"checkpoint-(\d{8,})")
_KEPT = 2


def _list(folder: Path) -> list[tuple[int, Path]]:
    found = ((_NAME.fullmatch(path.name), path) for path in folder.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def write_checkpoint(folder: Path, next_segment: int, data: bytes) -> int:
    """Store a checkpoint durably and drop those before the one before it. Returns the first segment still needed."""
    disk.replace_durably(folder / f"checkpoint-{next_segment:08d}", data)
    present = _list(folder)
    for _, path in present[:-_KEPT]:
        path.unlink(missing_ok=True)
    return present[-_KEPT:][0][0]


def load_checkpoint(folder: Path, ledger: Ledger) -> tuple[int | None, list[str]]:
    """Fill `ledger` from the newest checkpoint that is whole; return its next segment (None: none) and what was damaged.

    Damaged ones are put aside.
    """
    next_segment, damaged = read_checkpoint(folder, ledger)
    for path in damaged:
        path.rename(path.with_name(path.name + ".damaged"))
    return next_segment, [f"{path}: damaged checkpoint, passed over" for path in damaged]


def read_checkpoint(folder: Path, ledger: Ledger) -> tuple[int | None, list[Path]]:
    """The same, and the damaged ones are only named."""
    damaged: list[Path] = []
    for number, path in reversed(_list(folder)):
        next_segment = decode_checkpoint(path.read_bytes(), ledger)
        if next_segment == number:
            return next_segment, damaged
        damaged.append(path)
        ledger.runs.clear()
        ledger.marks.clear()
        ledger.logs.clear()
    return None, damaged
