"""What the live feed does once a second while somebody listens: how is the bridge, who is lost, whose token is revoked."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from typing import Protocol

from pydantic_core import to_json

from tbbridge import limits
from tbbridge.errors import TBBridgeError
from tbbridge.model import RunStatus
from tbbridge.pipeline.door import LOST, Door, Health
from tbbridge.server.connections import Connections
from tbbridge.server.guard import Guard
from tbbridge.server.live.events import status
from tbbridge.server.live.feed import Feed
from tbbridge.server.settings import ServerSettings
from tbbridge.server.totals import RequestTotals


class Bridge(Protocol):
    """What is looked at (implemented by service.Service)."""

    settings: ServerSettings
    totals: RequestTotals
    guard: Guard
    connections: Connections | None
    opened: Door | None

    @property
    def health(self) -> Health:
        """Whether batches are taken now."""


class Beat:
    """Called with the feed; runs until it is cancelled."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge

    async def __call__(self, feed: Feed) -> None:
        """Look once a second."""
        look = _Look(self._bridge, feed)
        while True:
            await look()
            await asyncio.sleep(limits.LIVE_BEAT_S)


class _Look:
    """The looks of one time of watching."""

    def __init__(self, bridge: Bridge, feed: Feed) -> None:
        self._bridge = bridge
        self._feed = feed
        self._at = 0.0
        self._points = self._requests = 0
        self._latencies: list[int] = []
        self._lost = frozenset[str]() if bridge.opened is None else bridge.opened.lost()

    async def __call__(self) -> None:
        """Look once."""
        logdir = self._bridge.settings.logdir
        disk = await asyncio.to_thread(shutil.disk_usage, logdir) if logdir.exists() else None
        door = self._bridge.opened
        if door is None:
            return
        self._end_strangers()
        self._tell_of_lost(door)
        self._feed.health(to_json(self._health(door, None if disk is None else disk.free)))

    def _end_strangers(self) -> None:
        """A token may be revoked while its owner listens."""
        for listener in self._feed.listeners:
            try:
                self._bridge.guard.check(listener.scope)
            except TBBridgeError:
                listener.end()

    def _tell_of_lost(self, door: Door) -> None:
        lost = door.lost()
        for run in sorted(lost ^ self._lost):
            now = door.status_of(run)
            if now == (LOST if run in lost else RunStatus.RUNNING):  # what it says itself is told with its values
                self._feed.tell(status(run, now))
        self._lost = lost

    def _health(self, door: Door, free_bytes: int | None) -> dict[str, object]:
        now, stats, ready = time.monotonic(), door.stats, self._bridge.health
        points, requests = stats.points, sum(self._bridge.totals.requests.values())
        took_s = now - self._at if self._at else 0.0
        counts = list(stats.latency.counts)
        new = [count - before for count, before in zip(counts, self._latencies or counts, strict=True)]
        said: dict[str, object] = {
            "points_per_s": _rate(points - self._points, took_s),
            "requests_per_s": _rate(requests - self._requests, took_s),
            "queue_bytes": stats.queue_bytes,
            "queue_max_bytes": stats.queue_max_bytes,
            "p50_ms": _quantile_ms(stats.latency.bounds, new, 0.5),
            "p99_ms": _quantile_ms(stats.latency.bounds, new, 0.99),
            "connections": 0 if self._bridge.connections is None else len(self._bridge.connections),
            "listeners": len(self._feed.listeners),
            "writers": self._writers(now),
            "disk_free_bytes": free_bytes,
            "ready": ready.ready,
        }
        self._at, self._points, self._requests, self._latencies = now, points, requests, counts
        return said if ready.ready else {**said, "reason": ready.reason}

    def _writers(self, now: float) -> int:
        """Clients that were heard lately."""
        heard = self._feed.writers
        for writer in [writer for writer, at in heard.items() if now - at > limits.LIVE_WRITERS_S]:
            del heard[writer]
        return len(heard)


def _rate(count: int, took_s: float) -> float:
    return round(count / took_s, 1) if took_s else 0.0


def _quantile_ms(bounds: Sequence[float], counts: Sequence[int], portion: float) -> float | None:
    """The quantile of what a histogram counted, within its bucket interpolated, in milliseconds; None: it counted nothing."""
    total = sum(counts)
    if not total:
        return None
    wanted, seen, low = portion * total, 0, 0.0
    for high, count in zip(bounds, counts, strict=False):
        if count and seen + count >= wanted:
            return round((low + (high - low) * (wanted - seen) / count) * 1000, 3)
        seen, low = seen + count, high
    return round(bounds[-1] * 1000, 3)
