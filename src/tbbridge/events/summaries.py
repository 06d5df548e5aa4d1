"""The records of an event file that are not scalars: its first ones, and the kinds that come one value at a time.

Each kind is written in the form that both of TensorBoard's readers show fully. A new kind joins as one more `encode_` function
and a line in encode.py. Pure: bytes out; every choice (wall time, buckets) was made before the journal.
"""

from __future__ import annotations

import numpy as np

from tbbridge.events import event_pb2 as pb
from tbbridge.events.tfrecord import frame
from tbbridge.model import Histogram, Summary, Text

# TensorBoard's Python reader takes files without this, or of an earlier version, for ones with other rules about steps.
_FILE_VERSION = "brain.Event:2"
_WRITER = "tbbridge"


def encode_file_start(wall_time: float, *, session_start: bool) -> bytes:
    """The records that open an event file: its version, and with `session_start` a SessionLog START at step 0.

    The first file of a run should have the START: TensorBoard's Python reader takes the first one it sees in a run for no
    restart, whatever its step, so only then can a later one purge what a resumed training repeats.
    """
    opening = pb.Event(wall_time=wall_time, file_version=_FILE_VERSION, source_metadata=pb.SourceMetadata(writer=_WRITER))
    start = frame(opening.SerializeToString())
    if session_start:
        session = pb.Event(wall_time=wall_time, session_log=pb.SessionLog(status=pb.SessionLog.START))
        start += frame(session.SerializeToString())
    return start


def encode_text(text: Text, *, describe: bool) -> bytes:
    """One record: a string tensor of rank 0, which the Text page renders as Markdown (of rank 1, as a table)."""
    event = _event(text)
    value = event.summary.value.add(tag=text.tag)
    if describe:
        _describe(value, "text")
    value.tensor.dtype = pb.DT_STRING
    value.tensor.tensor_shape.SetInParent()
    value.tensor.string_val.append(text.text.encode())
    return frame(event.SerializeToString())


def encode_histogram(histogram: Histogram, *, describe: bool) -> bytes:
    """One record: a double tensor [k, 3] of left edge, right edge and count, which both readers show as it is.

    The older HistogramProto is not: the readers move its outer edges, and one of them narrows it to float32. Raises ValueError
    if the histogram still has raw values in place of buckets.
    """
    event = _event(histogram)
    buckets = histogram.buckets
    if buckets is None:
        raise ValueError(f"histogram {histogram.tag!a} has raw values; bucketize them before encoding")
    value = event.summary.value.add(tag=histogram.tag)
    if describe:
        _describe(value, "histograms")
    rows = np.column_stack((buckets.lefts, buckets.rights, buckets.counts))
    value.tensor.dtype = pb.DT_DOUBLE
    value.tensor.tensor_shape.dim.add(size=len(rows))
    value.tensor.tensor_shape.dim.add(size=3)
    value.tensor.tensor_content = rows.astype("<f8").tobytes()
    return frame(event.SerializeToString())


def _event(summary: Summary) -> pb.Event:
    if summary.step is None or summary.wall_time is None:
        raise ValueError(f"summary {summary.tag!a} has no step or no wall_time; settle the batch before encoding it")
    return pb.Event(wall_time=summary.wall_time, step=summary.step)


def _describe(value: pb.Summary.Value, plugin_name: str) -> None:
    value.metadata.plugin_data.plugin_name = plugin_name
    value.metadata.data_class = pb.DATA_CLASS_TENSOR
