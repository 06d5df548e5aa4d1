"""Tables of the command line: drawn by rich on a terminal, tab-separated lines elsewhere, for `cut`, `sort` and `awk`.

Names come from files and strangers: what a terminal would take for an order, or a reader of the lines for a separator, is shown
as an escape.
"""

from __future__ import annotations

import datetime
import importlib.util
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from tbbridge.commands.console import say

Cell: TypeAlias = str | int | float | None


def say_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str = "") -> None:
    """Print rows under the names of their columns; `title` on a terminal only. None is an empty cell."""
    if not sys.stdout.isatty():
        say("\t".join(columns))
        for row in rows:
            say("\t".join("" if cell is None else printable(str(cell)) for cell in row))
    elif importlib.util.find_spec("rich") is None:
        _say_plain(columns, [[_pretty(cell) for cell in row] for row in rows], title)
    else:
        _say_rich(columns, rows, title)


def say_json(content: object) -> None:
    """Print `content` as JSON for another program."""
    say(json.dumps(content, indent=2 if sys.stdout.isatty() else None, ensure_ascii=False))


def printable(text: str) -> str:
    """`text` with escapes for what is not printable."""
    return text if text.isprintable() else "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def size_text(size_bytes: int) -> Cell:
    """A size as people read it on a terminal; elsewhere the number."""
    if not sys.stdout.isatty():
        return size_bytes
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def time_text(seconds: float | None) -> Cell:
    """A wall time in this machine's time zone; elsewhere the number."""
    if seconds is None or not sys.stdout.isatty():
        return seconds
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):  # a year that no calendar has
        return seconds


def _pretty(cell: Cell) -> str:
    if cell is None:
        return ""
    return f"{cell:,}" if isinstance(cell, int) else printable(str(cell))


def _say_plain(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str) -> None:
    if title:
        say(title)
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _say_rich(columns: Sequence[str], rows: Iterable[Sequence[Cell]], title: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title) if title else None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    kept = list(rows)
    for position, name in enumerate(columns):
        is_number = all(isinstance(row[position], int | float | None) for row in kept)
        table.add_column(name, justify="right" if is_number else "left", overflow="fold")
    for row in kept:
        table.add_row(*(Text(_pretty(cell)) for cell in row))
    Console(highlight=False).print(table)
