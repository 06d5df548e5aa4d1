"""Helpers for tests of the pipeline: batches in one line, log folders read back with TensorBoard's own messages."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tensorboard.compat.proto.event_pb2 import Event

from tbbridge.model import Batch, Embedding, RunBatch, ScalarColumns, Summary, run_name, tag_name
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings


class Clock:
    """Seconds that go on only when told to."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


async def open_pipeline(logdir: Path, **settings: object) -> Pipeline:
    """A pipeline whose veils are lifted soon, since a stop waits for them."""
    return await Pipeline.open(PipelineSettings(logdir=logdir, **{"veil_s": 0.05, **settings}))  # type: ignore[arg-type]


def scalars(
    tag: str, values: Sequence[float], steps: Sequence[int] | None = None, wall_time: float | None = None
) -> ScalarColumns:
    return ScalarColumns(
        tag_name(tag),
        np.array(values, dtype=np.float64),
        None if steps is None else np.array(steps, dtype=np.int64),
        None if wall_time is None else np.full(len(values), wall_time),
    )


def batch(run: str, *items: ScalarColumns | Summary, writer: str = "", seq: int = 0) -> Batch:
    columns = tuple(item for item in items if isinstance(item, ScalarColumns))
    summaries = tuple(item for item in items if not isinstance(item, ScalarColumns))
    return Batch((RunBatch(run_name(run), columns, summaries),), writer, seq)


def event_files(logdir: Path) -> dict[str, bytes]:
    """Every event file below `logdir`, by its relative path."""
    return {str(path.relative_to(logdir)): path.read_bytes() for path in sorted(logdir.rglob("*tfevents*"))}


def run_files(logdir: Path) -> dict[str, bytes]:
    """Every file of the runs below `logdir`, those of embeddings too, by its relative path."""
    found = {path.relative_to(logdir): path for path in sorted(logdir.rglob("*")) if path.is_file()}
    return {str(name): path.read_bytes() for name, path in found.items() if name.parts[0] != ".tbbridge"}


def embedding(tag: str, points: int, **fields: object) -> Embedding:
    """`points` points in the plane, each with a label."""
    matrix = np.arange(2 * points, dtype=np.float32).reshape(points, 2) / 3
    labels = tuple((f"point {number}",) for number in range(points))
    return Embedding(tag_name(tag), matrix, labels, **fields)  # type: ignore[arg-type]


def events(data: bytes) -> list[Event]:
    """An event file's whole records, by TensorBoard's own message class; fails on a torn or damaged one."""
    found, offset = [], 0
    while offset < len(data):
        (length,) = struct.unpack_from("<Q", data, offset)
        assert offset + 16 + length <= len(data), "torn record"
        found.append(Event.FromString(data[offset + 12 : offset + 12 + length]))
        offset += 16 + length
    return found


def points(logdir: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """All scalar points in file order, by (run, tag)."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for name, data in event_files(logdir).items():
        for event in events(data):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault((str(Path(name).parent), value.tag), []).append((event.step, value.simple_value))
    return found
