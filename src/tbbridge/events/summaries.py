"""The records of an event file that are not scalars: its first ones, texts and histograms.

Each kind is written in the form that both of TensorBoard's readers show fully; the others are in media.py and tables.py. A new
kind joins as one more `encode_` function and a line in encode.py. Pure: bytes out; every choice (wall time, buckets) was made
before the journal.
"""

from __future__ import annotations

import numpy as np

from tbbridge.events import event_pb2 as pb
from tbbridge.events.tfrecord import frame
from tbbridge.events.values import describe, event_of, set_shape
from tbbridge.model import Histogram, Text

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
    return start + _encode_session_start(wall_time, 0) if session_start else start


def encode_purge(wall_time: float, step: int) -> bytes:
    """The records that hide what the run's files hold from `step` on in TensorBoard's Python reader.

    Two, because the first one in a run never purges, and files that other programs left there may have none. TensorBoard's
    data server ignores them: there each tag hides its own points from the first new step on.
    """
    return 2 * _encode_session_start(wall_time, step)


def _encode_session_start(wall_time: float, step: int) -> bytes:
    session = pb.Event(wall_time=wall_time, step=step, session_log=pb.SessionLog(status=pb.SessionLog.START))
    return frame(session.SerializeToString())


def encode_text(text: Text, *, described: bool) -> bytes:
    """One record: a string tensor of rank 0, which the Text page renders as Markdown (of rank 1, as a table)."""
    event = event_of(text)
    value = event.summary.value.add(tag=text.tag)
    if not described:
        describe(value, text, "text")
    value.tensor.dtype = pb.DT_STRING
    set_shape(value.tensor)
    value.tensor.string_val.append(text.text.encode())
    return frame(event.SerializeToString())


def encode_histogram(histogram: Histogram, *, described: bool) -> bytes:
    """One record: a double tensor [k, 3] of left edge, right edge and count, which both readers show as it is.

    The older HistogramProto is not: the readers move its outer edges, and one of them narrows it to float32. Raises ValueError
    if the histogram still has raw values in place of buckets.
    """
    event = event_of(histogram)
    buckets = histogram.buckets
    if buckets is None:
        raise ValueError(f"histogram {histogram.tag!a} has raw values; bucketize them before encoding")
    value = event.summary.value.add(tag=histogram.tag)
    if not described:
        describe(value, histogram, "histograms")
    rows = np.column_stack((buckets.lefts, buckets.rights, buckets.counts))
    value.tensor.dtype = pb.DT_DOUBLE
    set_shape(value.tensor, len(rows), 3)
    value.tensor.tensor_content = rows.astype("<f8").tobytes()
    return frame(event.SerializeToString())
