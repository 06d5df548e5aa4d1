"""What `add_scalars` logged, kept for `export_scalars_to_json` in 24 bytes a point and within a bound."""

from __future__ import annotations

import json
import logging
import os
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from tbbridge import limits

logger = logging.getLogger("tbbridge.summary_writer")


@dataclass(slots=True)
class _Columns:
    wall_times: array[float] = field(default_factory=lambda: array("d"))
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def forget_half(self) -> int:
        half = len(self.values) // 2
        del self.wall_times[:half], self.steps[:half], self.values[:half]
        return half


class ScalarExport:
    """Points by sub-run, the newest of them when there are too many."""

    def __init__(self) -> None:
        self._columns: dict[str, _Columns] = {}
        self._count = 0
        self._told = False

    def add(self, name: str, wall_time: float, step: int, value: float) -> None:
        """Remember one point."""
        columns = self._columns.get(name)
        if columns is None:
            columns = self._columns.setdefault(name, _Columns())
        columns.wall_times.append(wall_time)
        columns.steps.append(step)
        columns.values.append(value)
        self._count += 1
        if self._count >= limits.LOCAL_EXPORT_MAX_POINTS:
            self._count -= sum(found.forget_half() for found in list(self._columns.values()))
            if not self._told:
                self._told = True
                logger.info("export_scalars_to_json keeps the newest %d points", limits.LOCAL_EXPORT_MAX_POINTS)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the points to `path` and forget them."""
        content = {
            name: [list(point) for point in zip(found.wall_times, found.steps, found.values, strict=True)]
            for name, found in list(self._columns.items())
        }
        Path(path).write_text(json.dumps(content), encoding="utf-8")
        self._columns.clear()
        self._count = 0
