"""One line of a benchmark's result, and how lines are printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Row(NamedTuple):
    """`ratio` is how many times better ours is than the peer (or the floor) measured in the same run."""

    name: str
    unit: str  # of `ours` and `peer`
    ours: float
    peer: float
    ratio: float
    target: float | None  # what the ratio should reach
    note: str = ""


def print_table(rows: Iterable[Row]) -> None:
    """Aligned columns; notes below."""
    rows = list(rows)
    width = max(len(row.name) for row in rows)
    print(f"{'':{width}}  {'tbbridge':>14}  {'peer or floor':>14}  {'unit':10}{'ratio':>9}  {'target':>8}")
    for row in rows:
        target = f">= {row.target:g}x" if row.target is not None else ""
        verdict = "" if row.target is None else ("  reached" if row.ratio >= row.target else "  MISSED")
        ratio = f"{row.ratio:.2f}x" if row.ratio < 10 else f"{row.ratio:.0f}x"
        numbers = f"{_number(row.ours):>14}  {_number(row.peer):>14}  {row.unit:10}{ratio:>9}"
        print(f"{row.name:{width}}  {numbers}  {target:>8}{verdict}")
    for row in rows:
        if row.note:
            print(f"  {row.name}: {row.note}")


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
