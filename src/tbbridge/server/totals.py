"""Counts of requests, and all of /metrics: these and the pipeline's totals. Counting must cost a request next to nothing.

Names follow Prometheus's rules: seconds and bytes, `_total` behind counters. Every label has a bounded set of values: routes
and codes of ours, never what a stranger sent. docs/operations.md says what each metric is for; a test holds it complete.
"""

from __future__ import annotations

import resource
import sys
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tbbridge import limits
from tbbridge.errors import ItemError
from tbbridge.measures import Histogram
from tbbridge.pipeline.door import Health, Stats
from tbbridge.pipeline.kind import Kind
from tbbridge.pipeline.measures import DiskTimes
from tbbridge.server.memory import resident_bytes
from tbbridge.server.request_ids import ClientReport

if TYPE_CHECKING:
    from tbbridge.server.live.feed import Feed

# Upper bounds in seconds: a journalled point takes half a millisecond, a full body a second.
BOUNDS_S: Final = (0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)


class RequestTotals:
    """Requests by route and status, and how long they took; what they brought that was not written."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.seconds: dict[str, Histogram] = {}
        # Stages of /api/v1/write; those behind the pipeline's door are in Stats.
        self.receive = Histogram()
        self.parse = Histogram()
        self.answer = Histogram()
        self.rejected_items: Counter[str] = Counter()  # by the code of what was wrong with each
        self.client_dropped = 0
        self.client_spooled = 0
        self._reports: OrderedDict[bytes, ClientReport] = OrderedDict()  # the last of each client, the silent longest first

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the path of a route of ours, or a fixed word: never what a stranger sent."""
        self.requests[method, route, status] += 1
        histogram = self.seconds.get(route)
        if histogram is None:
            histogram = self.seconds[route] = Histogram(BOUNDS_S)
        histogram.observe(seconds)

    def take_rejected(self, items: Iterable[ItemError]) -> None:
        """Count items that were left out of a batch that was written (`partial=true`)."""
        for item in items:
            self.rejected_items[item.code] += 1

    def take_report(self, report: ClientReport) -> None:
        """Count what a client dropped and spooled since its last report; one that comes late or twice counts nothing."""
        before = self._reports.pop(report.client, None)
        dropped = max(report.dropped, 0 if before is None else before.dropped)
        spooled = max(report.spooled, 0 if before is None else before.spooled)
        self.client_dropped += dropped - (0 if before is None else before.dropped)
        self.client_spooled += spooled - (0 if before is None else before.spooled)
        self._reports[report.client] = ClientReport(report.client, dropped, spooled)
        if len(self._reports) > limits.CLIENT_REPORTS_KEPT:
            self._reports.popitem(last=False)


# Name of a metric, what it is in Stats, what it says. Counters end in _total by Prometheus's rule, added when they are shown.
_OfStats = Callable[[Stats], float]
COUNTERS: Final[tuple[tuple[str, _OfStats, str], ...]] = (
    ("tbbridge_batches", lambda stats: stats.batches, "Batches written to the journal."),
    (
        "tbbridge_duplicate_batches",
        lambda stats: stats.duplicates,
        "Batches answered as done because their sequence number was taken before.",
    ),
    (
        "tbbridge_step_regressions",
        lambda stats: stats.step_regressions,
        "Points whose step was not above the last one of their tag.",
    ),
    ("tbbridge_journal_commits", lambda stats: stats.groups, "Group commits: one journal write and one fdatasync each."),
    ("tbbridge_journal_bytes", lambda stats: stats.journal_bytes, "Bytes written to the journal."),
    ("tbbridge_event_bytes", lambda stats: stats.event_bytes, "Bytes written to event files."),
    ("tbbridge_storage_failures", lambda stats: stats.storage_failures, "Times the disk refused to store."),
    ("tbbridge_checkpoints", lambda stats: stats.checkpoints, "Checkpoints written."),
    ("tbbridge_replayed_batches", lambda stats: stats.replayed_batches, "Batches replayed from the journal at this start."),
    ("tbbridge_lost_entries", lambda stats: len(stats.lost_entries), "Damaged places found in the journal at this start."),
)
GAUGES: Final[tuple[tuple[str, _OfStats, str], ...]] = (
    ("tbbridge_queue_batches", lambda stats: stats.queue_batches, "Batches that wait for the writer."),
    ("tbbridge_queue_bytes", lambda stats: stats.queue_bytes, "Bytes of the batches that wait for the writer."),
    ("tbbridge_queue_max_bytes", lambda stats: stats.queue_max_bytes, "Bytes beyond which batches are refused with 429."),
    (
        "tbbridge_queue_age_seconds",
        lambda stats: stats.queue_age_s,
        "Seconds since the oldest batch that is not journalled yet was received; 0 if all are.",
    ),
    ("tbbridge_runs", lambda stats: stats.runs, "Runs written by this log folder's bridge."),
    ("tbbridge_open_files", lambda stats: stats.open_files, "Event files held open."),
)
_KINDS: Final = (*(kind.name.lower() for kind in Kind), "log")


class Totals(Collector):
    """What one app shows at /metrics. `stats` gives None while the pipeline is not open."""

    def __init__(
        self,
        requests: RequestTotals,
        refused: Mapping[str, int],
        stats: Callable[[], Stats | None],
        health: Callable[[], Health],
        live: Feed,
    ) -> None:
        """`refused`: requests answered with an error, by its code, and connections that were closed, by why."""
        self._requests = requests
        self._refused = refused
        self._stats = stats
        self._health = health
        self._live = live
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
        yield from _of_process()
        stats = self._stats()
        if stats is not None:
            yield from _of_pipeline(stats)
            yield _stages(self._requests, stats.disk)
        yield from self._of_requests()
        live = self._live
        yield GaugeMetricFamily("tbbridge_live_listeners", "Listeners of the live feed.", value=len(live.listeners))
        yield CounterMetricFamily("tbbridge_live_events", "Events sent to them, each counted for each.", value=live.sent)
        yield CounterMetricFamily("tbbridge_live_dropped", "Listeners that were ended for being too slow.", value=live.dropped)

    def _of_requests(self) -> Iterator[Metric]:
        totals = self._requests
        counts = CounterMetricFamily("tbbridge_requests", "HTTP requests answered.", labels=("method", "route", "status"))
        for (method, route, status), count in totals.requests.items():
            counts.add_metric((method, route, str(status)), count)
        yield counts
        took = HistogramMetricFamily(
            "tbbridge_request_seconds", "Seconds from a request's head to its answer.", labels=("route",)
        )
        for route, histogram in totals.seconds.items():
            took.add_metric((route,), histogram.rising(), sum_value=histogram.total)
        yield took
        yield _by_label(
            "tbbridge_rejects",
            "Requests answered with an error, by its code, and connections turned away or closed, by why.",
            "reason",
            self._refused,
        )
        yield _by_label(
            "tbbridge_rejected_items",
            "Items left out of batches that were written (partial=true), by what was wrong; of each batch the first hundred.",
            "reason",
            totals.rejected_items,
        )
        for name, value, text in (
            (
                "tbbridge_client_dropped",
                totals.client_dropped,
                "Values that clients say they dropped since they began.",
            ),
            (
                "tbbridge_client_spooled",
                totals.client_spooled,
                "Values that clients say they spooled since they began.",
            ),
        ):
            yield CounterMetricFamily(name, text, value=value)


def _of_pipeline(stats: Stats) -> Iterator[Metric]:
    for name, value_of, text in COUNTERS:
        yield CounterMetricFamily(name, text, value=value_of(stats))
    for name, value_of, text in GAUGES:
        yield GaugeMetricFamily(name, text, value=value_of(stats))
    by_kind = {kind: stats.points_by_kind[kind] for kind in _KINDS}
    yield _by_label("tbbridge_points", "Values and log records written to the journal, by what they are.", "kind", by_kind)
    for name, histogram, text in (
        ("tbbridge_journal_sync_seconds", stats.disk.sync, "Seconds of each journal write with its fdatasync."),
        ("tbbridge_latency_seconds", stats.latency, "Seconds from a batch's receipt to its write in the event file."),
    ):
        yield HistogramMetricFamily(name, text, buckets=histogram.rising(), sum_value=histogram.total)


def _stages(requests: RequestTotals, disk: DiskTimes) -> Metric:
    """In the order in which a point passes them."""
    made = HistogramMetricFamily("tbbridge_stage_seconds", "Seconds of each stage of a write's way.", labels=("stage",))
    for stage, histogram in (
        ("receive", requests.receive),
        ("parse", requests.parse),
        ("queue", disk.queue),
        ("validate", disk.validate),
        ("journal", disk.journal),
        ("fdatasync", disk.fdatasync),
        ("answer", requests.answer),
        ("encode", disk.encode),
        ("event_write", disk.event_write),
    ):
        made.add_metric((stage,), histogram.rising(), sum_value=histogram.total)
    return made


def _by_label(name: str, text: str, label: str, counts: Mapping[str, int]) -> Metric:
    made = CounterMetricFamily(name, text, labels=(label,))
    for value, count in sorted(counts.items()):
        made.add_metric((value,), count)
    return made


def _of_process() -> Iterator[Metric]:
    """What grows if something leaks, under the names that Prometheus's own clients give it."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    yield CounterMetricFamily("process_cpu_seconds", "Processor time used.", value=usage.ru_utime + usage.ru_stime)
    yield GaugeMetricFamily("process_resident_memory_bytes", "Memory held.", value=resident_bytes())
    yield GaugeMetricFamily("process_max_fds", "Descriptors allowed.", value=resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    descriptors = Path("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    if descriptors.is_dir():
        yield GaugeMetricFamily("process_open_fds", "Descriptors open.", value=sum(1 for _ in descriptors.iterdir()))
