"""The table that `tbbridge watch` shows on a terminal, drawn by rich: a line a tag, each with its sparkline."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tbbridge.commands.tables import printable

# Values of one tag that a sparkline is made of; of more, each two become one.
_KEPT: Final = 256
_WIDTH: Final = 32
_RATE_S: Final = 10.0
_BARS: Final = "▁▂▃▄▅▆▇█"
_PLAIN_BARS: Final = "_.-~=+*#"
_COLOURS: Final = {"running": "green", "finished": "blue", "failed": "red", "lost": "yellow"}
# Lines around the table: title, names of columns, how many more there are, the bridge.
_FRAME_LINES: Final = 5


@dataclass(slots=True)
class Tag:
    """What is shown of one tag."""

    step: int = 0
    value: float = math.nan
    count: int = 0
    values: list[float] = field(default_factory=list)
    came: deque[tuple[float, int]] = field(default_factory=deque)  # when, and how many points, lately

    def add(self, points: Sequence[tuple[int, float, float]], now: float, *, is_new: bool) -> None:
        """Points in their order; `is_new`: they have just come."""
        self.step, self.value, _ = points[-1]
        self.count += len(points)
        self.values += [value for _, value, _ in points]
        while len(self.values) > _KEPT:
            self.values = [_middle(self.values[place : place + 2]) for place in range(0, len(self.values), 2)]
        if is_new:
            self.came.append((now, len(points)))

    def rate(self, now: float) -> float:
        """Points a second, over the last few."""
        while self.came and now - self.came[0][0] > _RATE_S:
            self.came.popleft()
        return sum(count for _, count in self.came) / _RATE_S


def _middle(values: Sequence[float]) -> float:
    numbers = [value for value in values if math.isfinite(value)]
    return sum(numbers) / len(numbers) if numbers else values[0]


def sparkline(values: Sequence[float], width: int, bars: str = _BARS) -> str:
    """At most `width` bars, from the lowest to the highest of `values`; a space where there is no number."""
    size = max(1, math.ceil(len(values) / width))
    shown = [_middle(values[place : place + size]) for place in range(0, len(values), size)]
    numbers = [value for value in shown if math.isfinite(value)]
    if not numbers:
        return " " * len(shown)
    low, high = min(numbers), max(numbers)
    span = high / 2 - low / 2 or 1.0  # halved, since from the lowest number to the highest may be too far for one

    def bar(value: float) -> str:
        if not math.isfinite(value):
            return " "
        return bars[min(len(bars) - 1, int((value / 2 - low / 2) / span * len(bars)))]

    return "".join(map(bar, shown))


def number_text(value: float) -> str:
    """A value as people read it."""
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e9 else f"{value:.6g}"


class Screen:
    """A view (see watch.View) that redraws itself. Use it in a `with` block."""

    points_wanted: int | None = _KEPT

    def __init__(self, url: str, console: Console | None = None) -> None:
        self.tags: dict[str, Tag] = {}
        self._console = console or Console(highlight=False)
        is_unicode = (self._console.encoding or sys.getdefaultencoding()).lower().startswith("utf")
        self._bars = _BARS if is_unicode else _PLAIN_BARS
        self._url = url
        self._run = ""
        self._status = ""
        self._notice = ""
        self._health: Mapping[str, Any] = {}
        self._is_read = False  # whether the first read is over: what comes then is new
        self._drawn_at = 0.0
        self._live = Live(console=self._console, auto_refresh=False, get_renderable=self._drawn, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.refresh()
        self._live.stop()

    def begin(self, run: str) -> None:
        """See `watch.View`."""
        self._run = run
        self._draw()

    def add(self, tag: str, points: Sequence[tuple[int, float, float]]) -> None:
        """See `watch.View`."""
        now = time.monotonic()
        self._notice = ""
        self.tags.setdefault(tag, Tag()).add(points, now, is_new=self._is_read)
        self._draw(soon=True)

    def forget(self, tag: str | None) -> None:
        """See `watch.View`."""
        if tag is None:
            self.tags.clear()
            self._is_read = False
        else:
            self.tags.pop(tag, None)
        self._draw()

    def purged(self, step: int) -> None:
        """See `watch.View`."""

    def status(self, status: str) -> None:
        """See `watch.View`."""
        self._status = status
        self._draw()

    def notice(self, text: str) -> None:
        """See `watch.View`."""
        self._notice = text
        self._draw()

    def tick(self, health: Mapping[str, Any]) -> None:
        """See `watch.View`."""
        self._health = health
        self._is_read = True
        self._draw()

    def _draw(self, *, soon: bool = False) -> None:
        """Draw it; `soon`: not more often than an eye can follow, a second later at the latest."""
        now = time.monotonic()
        if soon and now - self._drawn_at < 0.05:
            return
        self._drawn_at = now
        self._live.refresh()

    def _drawn(self) -> Group:
        now = time.monotonic()
        head = Text.assemble(
            (printable(self._run), "bold"), "  ", (self._status or "no status", _COLOURS.get(self._status, "dim"))
        )
        table = Table(box=None, header_style="dim", pad_edge=False)
        table.add_column("tag", overflow="ellipsis", no_wrap=True)
        for name in ("last", "step", "points/s"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        room = max(1, self._console.height - _FRAME_LINES)
        for name in sorted(self.tags)[:room]:
            tag = self.tags[name]
            rate = tag.rate(now)
            table.add_row(
                Text(printable(name)),
                Text(number_text(tag.value) if math.isfinite(tag.value) else str(tag.value)),
                f"{tag.step:,}",
                f"{rate:.1f}" if rate else "",
                Text(sparkline(tag.values, _WIDTH, self._bars), "cyan"),
            )
        parts: list[Text | Table] = [head, table]
        if len(self.tags) > room:
            parts.append(Text(f"{len(self.tags) - room} tags more: a higher window shows them, or --tag chooses", "dim"))
        parts.append(Text(printable(self._notice), "yellow") if self._notice else self._bridge())
        return Group(*parts)

    def _bridge(self) -> Text:
        health = self._health
        if not health:
            return Text(printable(self._url), "dim")
        if not health.get("ready", True):
            return Text(printable(f"{self._url} takes no points: {health.get('reason', '')}"), "red")
        latency = health.get("p99_ms")
        said = f"{self._url}: {health.get('points_per_s', 0):,.0f} points/s from {health.get('writers', 0)} clients"
        return Text(printable(said + (f", on disk in {latency:.1f} ms" if latency else "")), "dim")
