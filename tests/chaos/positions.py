"""What the writers share: the value of a point follows from where it stands, and notes say what was acknowledged.

A note is one line in one write, so a writer that is killed leaves whole ones: `begin first count time` before a batch is sent
(`count` steps from `first` on, in each of its series) and `done time` when it is acknowledged.
"""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path


def value_at(tag: str, step: int) -> float:
    """A float32 holds it exactly, and no other place has it by any likely accident."""
    return float(zlib.crc32(f"{tag}/{step}".encode()) % 2**24)


def log_line(tag: str, number: int) -> str:
    """The message that a batch brings besides its points: the first has number 1."""
    return f"batch of {tag} number {number} end"


class Notes:
    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def begin(self, first: int, count: int) -> None:
        os.write(self._fd, f"begin {first} {count} {time.monotonic()}\n".encode())

    def done(self) -> None:
        os.write(self._fd, f"done {time.monotonic()}\n".encode())


@dataclass(slots=True)
class Noted:
    """One batch. `done`: when it was acknowledged, None if nobody knows."""

    first: int
    count: int
    begun: float
    done: float | None = None

    @property
    def steps(self) -> range:
        return range(self.first, self.first + self.count)


def read_notes(path: Path) -> list[Noted]:
    noted: list[Noted] = []
    for line in path.read_text().splitlines() if path.exists() else []:
        word, *rest = line.split()
        if word == "begin":
            noted.append(Noted(int(rest[0]), int(rest[1]), float(rest[2])))
        else:
            noted[-1].done = float(rest[0])
    return noted
