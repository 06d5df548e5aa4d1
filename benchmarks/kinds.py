"""Every kind of summary, through HTTP and the journal into event files: values and megabytes a second.

Values of a size that a training logs, in protobuf, over four connections, answered when they are in the event file
(`ack=written`). The limit beside each is one buffered write of the same bodies' bytes.
"""

from __future__ import annotations

import io
import tempfile
import time
import wave
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image as Pillow
from tensorboard.compat.proto import config_pb2, graph_pb2, summary_pb2

from benchmarks.bodies import PROTOBUF
from benchmarks.load import closed_loop, post
from benchmarks.measure import Size, in_turns
from benchmarks.results import Result, Row, Spread
from benchmarks.servers import Server, bridge
from tbbridge import model
from tbbridge.model import Batch, RunBatch, Summary, run_name, tag_name
from tbbridge.wire.protobuf_v1 import encode_batch

CONNECTIONS = 4
RANDOM = np.random.default_rng(0)


def _png() -> bytes:
    file = io.BytesIO()
    Pillow.fromarray(RANDOM.integers(0, 255, (256, 256, 3), np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def _film() -> bytes:
    file = io.BytesIO()
    frames = [Pillow.fromarray(RANDOM.integers(0, 255, (64, 64), np.uint8)) for _ in range(8)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16_000)
        writer.writeframes(RANDOM.integers(-30_000, 30_000, 16_000, np.int16).tobytes())
    return file.getvalue()


def _graph() -> bytes:
    graph = graph_pb2.GraphDef()
    for number in range(500):
        graph.node.add(name=f"block{number // 10}/layer{number}", op="Linear", input=[f"block{number // 10}/layer{number - 1}"])
    graph.versions.producer = 22
    made: bytes = graph.SerializeToString()
    return made


def _metadata() -> bytes:
    metadata = config_pb2.RunMetadata()
    device = metadata.step_stats.dev_stats.add(device="/cpu:0")
    for number in range(200):
        device.node_stats.add(node_name=f"layer{number}", all_start_micros=number, all_end_rel_micros=5)
    made: bytes = metadata.SerializeToString()
    return made


def _buckets() -> model.Buckets:
    edges = np.linspace(-3, 3, 31)
    return model.Buckets(edges[:-1], edges[1:], np.arange(30, dtype=float))


def kinds() -> dict[str, tuple[int, Callable[[], Summary]]]:
    """By name: how many there are in a request, and one of them."""
    tag = tag_name("a/tag")
    png, film, wav, graph, metadata = _png(), _film(), _wav(), _graph(), _metadata()
    values = RANDOM.normal(size=10_000)
    table = RANDOM.random((6, 127))
    vertices = RANDOM.random((1, 1000, 3)).astype(np.float32)
    colors = RANDOM.integers(0, 255, (1, 1000, 3), np.uint8)
    faces = RANDOM.integers(0, 999, (1, 2000, 3), np.int32)
    matrix = RANDOM.random((1000, 64)).astype(np.float32)
    raw = summary_pb2.Summary.Value(tag="forwarded", simple_value=3.5).SerializeToString()
    layout = model.Category("losses", (model.Chart("both", ("loss/a", "loss/b")),))
    content = RANDOM.random(2500).astype("<f4").tobytes()
    return {
        "image, PNG of 256 x 256": (8, lambda: model.Image(tag, (png,))),
        "video, GIF of 8 frames": (8, lambda: model.Image(tag, (film,))),
        "audio, a second at 16 kHz": (32, lambda: model.Audio(tag, (wav,))),
        "histogram, 30 buckets": (100, lambda: model.Histogram(tag, buckets=_buckets())),
        "histogram, 10,000 raw values": (8, lambda: model.Histogram(tag, values=values)),
        "text of 1 kB": (100, lambda: model.Text(tag, "training " * 111)),
        "precision-recall curve, 127": (50, lambda: model.PrCurve(tag, table)),
        "mesh, 1,000 vertices": (8, lambda: model.Mesh(tag, vertices, colors, faces)),
        "embedding, 1,000 x 64": (1, lambda: model.Embedding(tag, matrix)),
        "graph, 500 nodes": (4, lambda: model.Graph(graph)),
        "run metadata, 200 nodes": (8, lambda: model.RunMetadata(tag, metadata)),
        "hyperparameters": (1, lambda: model.HParams({"lr": 0.1, "depth": 3, "name": "sgd"}, ("loss",))),
        "layout of custom scalars": (8, lambda: model.CustomScalars((layout,))),
        "tensor of 10 kB": (50, lambda: model.Tensor(tag, "float32", (2500,), content)),
        "forwarded value": (200, lambda: model.RawValue(raw)),
    }


class Rate(NamedTuple):
    values_per_s: float
    bytes_per_s: float


def body(run: str, summaries: Sequence[Summary]) -> bytes:
    return encode_batch(Batch((RunBatch(run_name(run), (), tuple(summaries)),)))


def send(server: Server, run: str, each: int, make: Callable[[], Summary], seconds: float) -> Rate:
    """The same values again and again, steps going on by themselves."""
    raw = body(run, [make() for _ in range(each)])
    request = post(raw, PROTOBUF, "/api/v1/write?ack=written")
    loaded = closed_loop(server, lambda _: request, CONNECTIONS, seconds=seconds)
    loaded.check(200)
    return Rate(loaded.rate() * each, loaded.rate() * len(raw))


def disk(folder: Path, length: int, seconds: float) -> Rate:
    """Bodies as long, into the disk's cache."""
    raw, place, written = bytes(length), folder / "disk", 0
    start = time.perf_counter()
    with place.open("wb", buffering=0) as file:
        while time.perf_counter() - start < seconds and written < 1 << 28:
            written += file.write(raw)
    took = time.perf_counter() - start
    place.unlink()
    return Rate(0.0, written / took)


def run(size: Size) -> Result:
    """Each kind beside the disk."""
    number = count()
    seconds, rounds = size.pick((0.05, 1), (0.12, 3), (1.0, 5))
    rows = []
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs") as server:
        for kind, (each, make) in kinds().items():
            length = len(body("r", [make() for _ in range(each)]))
            send(server, f"warm{next(number)}", each, make, 0.02)
            names = (f"run{next(number)}" for _ in range(rounds))
            works: dict[str, Callable[[], Rate]] = {
                "ours": lambda each=each, make=make, names=names: send(server, next(names), each, make, seconds),  # type: ignore[misc]
                "disk": partial(disk, Path(name), length, seconds / 4),
            }
            found = in_turns(works, rounds, kind)
            ours, limit = (Spread.of([rate.bytes_per_s / 1e6 for rate in found[what]]) for what in ("ours", "disk"))
            values = Spread.of([rate.values_per_s for rate in found["ours"]])
            note = f"{values.median:,.0f} values a second of {length / each / 1e3:,.3g} kB"
            rows.append(Row(kind, "MB/s", ours, limit, "buffered write of the bodies", "more", note=note))
    return Result(rows)
