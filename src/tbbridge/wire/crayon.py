"""crayon's bodies (version 0.5): one point a request, and what is read back, in rows of [wall_time, step, value].

Its histograms are kept in the form in which its clients send and read them (TensorFlow's HistogramProto): they get back what
they sent, unsorted edges included, and both of TensorBoard's readers take that form too. Pure; the routes are in
server/routes/crayon.py.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydantic_core import to_json

from tbbridge import limits
from tbbridge.convert import histograms
from tbbridge.errors import InvalidItem
from tbbridge.foreign import summary_pb2 as pb
from tbbridge.model import Batch, Float64s, RawValue, RunBatch, RunName, TagName
from tbbridge.wire import family

VERSION: Final = "0.5"  # its clients work with no other

_SCALAR_HINT: Final = "send [wall_time, step, value]"
_HISTOGRAM_HINT: Final = "send [wall_time, step, histogram]"
_NEEDED: Final = ("min", "max", "num", "bucket_limit", "bucket")
_OPTIONAL: Final = ("sum", "sum_squares")


def experiment(name: str | None) -> RunName:
    """The name of an experiment, which becomes a run."""
    if not name:
        raise InvalidItem("run-name", "xp: the experiment's name is missing or empty; give it one", "xp")
    return family.run(name, "xp")


def series(name: str | None) -> TagName:
    """The name of a scalar or a histogram, which becomes a tag."""
    if not name:
        raise InvalidItem("tag", "name: the name of the series is missing or empty; give it one", "name")
    return family.tag(name, "name")


def decode_scalar(run: RunName, tag: TagName, body: bytes) -> Batch:
    """One point."""
    wall_time, step, value = _triple(body, _SCALAR_HINT)
    return family.one_point(run, tag, family.number(value, "value"), step, wall_time)


def decode_histogram(run: RunName, tag: TagName, body: bytes, *, build: bool) -> Batch:
    """One histogram: raw values if it is to be built here, else the dictionary of one. NaN and infinities are not counted."""
    wall_time, step, came = _triple(body, _HISTOGRAM_HINT)
    histo = _built(tag, came) if build else _ready(came)
    value = pb.Summary.Value(tag=tag, histo=histo).SerializeToString(deterministic=True)
    return Batch((RunBatch(run, summaries=(RawValue(value, step=step, wall_time=wall_time),)),))


def encode(content: object) -> bytes:
    """An answer as JSON; NaN and infinities as Python's json writes and reads them, which crayon's server used."""
    return to_json(content, inf_nan_mode="constants")


def sums_of(lefts: Float64s, rights: Float64s, counts: Float64s) -> tuple[float, float]:
    """The sum of the values in the buckets and that of their squares, as if each value lay in the middle of its bucket.

    For a histogram that was written in a form without them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        middles = lefts / 2 + rights / 2
        return float((middles * counts).sum()), float((middles * middles * counts).sum())


def _triple(body: bytes, hint: str) -> tuple[float, int, object]:
    came = family.parse(body, hint)
    if not isinstance(came, list):
        raise InvalidItem("type", f"the body is {family.shown(came)}; {hint}, a list", "body")
    if len(came) != 3:
        raise InvalidItem("length", f"the list has {len(came)} items, not 3; {hint}", "body")
    return family.finite(came[0], "wall_time"), family.whole(came[1], "step"), came[2]


def _built(tag: TagName, came: object) -> pb.HistogramProto:
    values = np.array(family.numbers(came, "values", limits.HISTOGRAM_MAX_VALUES), np.float64)
    values = values[np.isfinite(values)]
    buckets = histograms.histogram(tag, values).buckets
    if buckets is None or not len(values):
        raise InvalidItem("empty", "values holds no finite number; send a list with at least one", "values")
    with np.errstate(over="ignore"):
        total, squares = float(values.sum()), float(np.square(values).sum())
    return pb.HistogramProto(
        min=values.min(),
        max=values.max(),
        num=len(values),
        sum=total,
        sum_squares=squares,
        bucket_limit=buckets.rights,
        bucket=buckets.counts,
    )


def _ready(came: object) -> pb.HistogramProto:
    if not isinstance(came, dict):
        message = f"histogram is {family.shown(came)}; send an object with {', '.join(_NEEDED)}, or tobuild=true and a list"
        raise InvalidItem("type", message, "histogram")
    missing = [name for name in _NEEDED if name not in came]
    if missing:
        message = f"histogram lacks {', '.join(missing)}; it has {', '.join(_NEEDED)} and may have {' and '.join(_OPTIONAL)}"
        raise InvalidItem("missing", message, "histogram")
    unknown = [name for name in came if name not in (*_NEEDED, *_OPTIONAL)]
    if unknown:
        message = f"histogram has {family.shown(unknown[0])}, which is no field of one; leave it out"
        raise InvalidItem("unknown-field", message, "histogram")
    single = {name: family.finite(came[name], name) for name in ("min", "max", "num", *_OPTIONAL) if name in came}
    edges, counts = (family.numbers(came[name], name, limits.HISTOGRAM_MAX_BUCKETS) for name in ("bucket_limit", "bucket"))
    if len(edges) != len(counts) or not edges:
        message = f"bucket_limit has {len(edges)} numbers and bucket {len(counts)}; send as many of both, at least one"
        raise InvalidItem("length", message, "bucket")
    for name, column in (("bucket_limit", edges), ("bucket", counts)):
        if not all(map(math.isfinite, column)):
            raise InvalidItem("bucket", f"{name} holds NaN or infinity; send finite numbers", name)
    if min(counts) < 0:
        raise InvalidItem("bucket", f"bucket holds the count {min(counts):g}; counts are 0 or more", "bucket")
    return pb.HistogramProto(bucket_limit=edges, bucket=counts, **single)
