"""Which benchmarks there are, how one is run, and where its result is kept."""

from __future__ import annotations

import datetime
import importlib
import time
from typing import NamedTuple, Protocol, cast

from benchmarks.machine import machine, versions
from benchmarks.measure import Size
from benchmarks.results import Record, Result


class Benchmark(NamedTuple):
    """One benchmark: the module of its name in this package, with a function `run`."""

    name: str
    what: str
    group: str  # the heading of docs/benchmarks.md under which it stands
    seconds: int  # about, on two quiet cores


JOURNEY = "Where the time goes"
LATENCY = "Latency against load"
THROUGHPUT = "Throughput"
ENCODER = "The encoder"
LOOP = "What the training loop feels"
READING = "Reading back"
PAGE = "The live page"
SIZE = "Memory, size, and doing nothing"
LONG = "Too much, and for long"
GROUPS = (JOURNEY, LATENCY, THROUGHPUT, ENCODER, LOOP, READING, PAGE, SIZE, LONG)

OWN = (
    Benchmark("journey", "one point's way from the call to TensorBoard's page, stage by stage", JOURNEY, 24),
    Benchmark("post", "one journalled point over HTTP against a route that does nothing and the disk's sync", LATENCY, 15),
    Benchmark("latency", "latency under 10% to 120% of what it can take, 1 to 1,000 connections", LATENCY, 35),
    Benchmark("live", "how soon a listener is told of a point, and what listeners cost a writer", LATENCY, 11),
    Benchmark("guard", "what tokens and limits cost a point", LATENCY, 9),
    Benchmark("dialects", "the requests of lapiz's, crayon's and pastalog's clients", LATENCY, 9),
    Benchmark("throughput", "points a second as JSON and protobuf, plain, gzip and zstd", THROUGHPUT, 17),
    Benchmark("kinds", "every kind of summary: pictures, sound, histograms ...", THROUGHPUT, 10),
    Benchmark("scale", "what a point costs when there are 1 to 10,000 runs and tags", THROUGHPUT, 20),
    Benchmark("encoder", "points into records, against other writers, memory and the disk's cache", ENCODER, 12),
    Benchmark("loop", "seconds that logging adds to a training loop at 10, 100 and 1,000 tags a step", LOOP, 25),
    Benchmark("client", "what a log call costs, and points a second from one process", LOOP, 9),
    Benchmark("summary_writer", "the local SummaryWriter against tensorboardX's and torch's", LOOP, 9),
    Benchmark("reading", "a million points and ten thousand runs read back", READING, 20),
    Benchmark("footprint", "bytes a point on disk, in the journal and in memory; an idle bridge", SIZE, 13),
    Benchmark("overload", "twice what it can take", LONG, 11),
    Benchmark("clients_1000", "a thousand clients that flush once a second", LONG, 10),
    Benchmark("replay", "how fast a start gets through a journal", LONG, 10),
    Benchmark("soak", "nothing grows over very many requests", LONG, 10),
)
PEERS = (
    Benchmark("page", "the live page in Chromium beside TensorBoard's Time Series page", PAGE, 95),
    Benchmark("loop_peers", "the same training loop with mlflow, trackio, wandb, aim and pastalog", LOOP, 180),
    Benchmark("encoder_peers", "the same encoding by TensorFlow's own writer", ENCODER, 30),
)
BY_NAME = {benchmark.name: benchmark for benchmark in (*OWN, *PEERS)}


class _Module(Protocol):
    def run(self, size: Size) -> Result: ...


def measure(benchmark: Benchmark, size: Size) -> Record:
    """Run it, and note on what."""
    module = cast("_Module", importlib.import_module(f"benchmarks.{benchmark.name}"))
    facts, known = machine(), versions()
    made = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    start = time.perf_counter()
    result = module.run(size)
    return Record(benchmark.name, size.value, time.perf_counter() - start, made, facts, known, result)
