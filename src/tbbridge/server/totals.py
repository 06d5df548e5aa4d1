"""Counts of requests, and all of /metrics: these and the pipeline's totals. Counting must cost a request next to nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tbbridge.pipeline.door import Health, Stats

# Upper bounds in seconds: a journalled point takes half a millisecond, a full body a second.
BOUNDS_S: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)


class RequestTotals:
    """Requests by route and status, and how long they took."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, float] = {}
        self.buckets: dict[str, list[int]] = {}

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the path of a route of ours, or a fixed word: never what a stranger sent."""
        self.requests[method, route, status] += 1
        buckets = self.buckets.get(route)
        if buckets is None:
            buckets = self.buckets[route] = [0] * (len(BOUNDS_S) + 1)
            self.seconds[route] = 0.0
        buckets[bisect_left(BOUNDS_S, seconds)] += 1
        self.seconds[route] += seconds


# Name of a metric, field of Stats, what it says. Counters end in _total by Prometheus's rule, added when they are shown.
COUNTERS: Final = (
    ("tbbridge_batches", "batches", "Batches written to the journal."),
    ("tbbridge_points", "points", "Values written to the journal, of any kind."),
    ("tbbridge_duplicate_batches", "duplicates", "Batches answered as done because their sequence number was taken before."),
    ("tbbridge_step_regressions", "step_regressions", "Points whose step was not above the last one of their tag."),
    ("tbbridge_journal_commits", "groups", "Group commits: one journal write and one fdatasync each."),
    ("tbbridge_journal_bytes", "journal_bytes", "Bytes written to the journal."),
    ("tbbridge_event_bytes", "event_bytes", "Bytes written to event files."),
    ("tbbridge_journal_seconds", "sync_seconds", "Seconds spent in the journal's writes and fdatasyncs."),
    ("tbbridge_encode_seconds", "encode_seconds", "Seconds spent encoding and writing event files."),
    ("tbbridge_storage_failures", "storage_failures", "Times the disk refused to store."),
    ("tbbridge_checkpoints", "checkpoints", "Checkpoints written."),
    ("tbbridge_replayed_batches", "replayed_batches", "Batches replayed from the journal at this start."),
)
GAUGES: Final = (
    ("tbbridge_queue_batches", "queue_batches", "Batches admitted and not yet journalled."),
    ("tbbridge_queue_bytes", "queue_bytes", "Bytes of the batches admitted and not yet journalled."),
    ("tbbridge_queue_max_bytes", "queue_max_bytes", "Bytes beyond which batches are refused with 429."),
    ("tbbridge_runs", "runs", "Runs written by this log folder's bridge."),
    ("tbbridge_open_files", "open_files", "Event files held open."),
)


class Totals(Collector):
    """What one app shows at /metrics. `stats` gives None while the pipeline is not open."""

    def __init__(self, requests: RequestTotals, stats: Callable[[], Stats | None], health: Callable[[], Health]) -> None:
        self._requests = requests
        self._stats = stats
        self._health = health
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def text(self) -> bytes:
        """All of it in Prometheus's text format."""
        return generate_latest(self._registry)

    def describe(self) -> list[Metric]:
        """Nothing beforehand: a registry that asks would collect."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The metrics, as they are now."""
        yield GaugeMetricFamily("tbbridge_ready", "1 if batches are taken.", value=float(self._health().ready))
        stats = self._stats()
        if stats is not None:
            for name, field, text in COUNTERS:
                yield CounterMetricFamily(name, text, value=getattr(stats, field))
            for name, field, text in GAUGES:
                yield GaugeMetricFamily(name, text, value=getattr(stats, field))
            lost = "Damaged places found in the journal at this start."
            yield CounterMetricFamily("tbbridge_lost_entries", lost, value=len(stats.lost_entries))
        counts = CounterMetricFamily("tbbridge_requests", "HTTP requests answered.", labels=("method", "route", "status"))
        for (method, route, status), count in self._requests.requests.items():
            counts.add_metric((method, route, str(status)), count)
        yield counts
        took = HistogramMetricFamily(
            "tbbridge_request_seconds", "Seconds from a request's head to its answer.", labels=("route",)
        )
        for route, buckets in self._requests.buckets.items():
            rising, shown = 0, []
            for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), buckets, strict=True):
                rising += count
                shown.append((bound, float(rising)))
            took.add_metric((route,), shown, sum_value=self._requests.seconds[route])
        yield took
