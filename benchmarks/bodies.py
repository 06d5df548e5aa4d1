"""Request bodies of the benchmarks: points in every form in which they may be sent. Steps rise from body to body."""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable

import numpy as np

from tbbridge.v1 import write_pb2

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

JSON = "application/json"
PROTOBUF = "application/x-protobuf"
TAG = "train/loss"


def _values(first: int, count: int) -> list[float]:
    """Numbers with all their digits, as a training has them; the same for the same place."""
    found: list[float] = np.random.default_rng(first).normal(size=count).tolist()
    return found


def json_rows(run: str, first: int, points: int) -> bytes:
    """One object a point."""
    steps = range(first, first + points)
    values = zip(steps, _values(first, points), strict=True)
    rows = [{"kind": "scalar", "tag": TAG, "step": step, "value": value} for step, value in values]
    return json.dumps({"runs": [{"run": run, "summaries": rows}]}, separators=(",", ":")).encode()


def json_columns(run: str, first: int, points: int) -> bytes:
    """Two arrays a tag."""
    column = {"tag": TAG, "steps": list(range(first, first + points)), "values": _values(first, points)}
    return json.dumps({"runs": [{"run": run, "scalars": [column]}]}, separators=(",", ":")).encode()


def protobuf_columns(run: str, first: int, points: int, tags: tuple[str, ...] = (TAG,)) -> bytes:
    """The same, as little-endian arrays; `points` are shared out among `tags`."""
    message = write_pb2.WriteRequest()
    batch = message.runs.add(run=run)
    each = points // len(tags)
    for tag in tags:
        batch.scalars.add(tag=tag, steps=range(first, first + each), values=_values(first, each))
    return message.SerializeToString()


FORMS: dict[str, tuple[str, Callable[[str, int, int], bytes]]] = {
    "JSON rows": (JSON, json_rows),
    "JSON columns": (JSON, json_columns),
    "protobuf columns": (PROTOBUF, protobuf_columns),
}
# Level 1 of gzip is what our own client uses; zstd's default is about as fast.
CODINGS: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "plain": ("", bytes),
    "gzip": ("gzip", lambda body: gzip.compress(body, compresslevel=1, mtime=0)),
    "zstd": ("zstd", zstd.compress),
}

ONE_POINT = b'{"runs":[{"run":"a","scalars":[{"tag":"loss","values":[0.5]}]}]}'
