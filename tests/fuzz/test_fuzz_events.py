"""Fuzzing of what stands in event files: frames, events, and what our own encoder writes."""

from __future__ import annotations

import struct

import numpy as np
from budget import fuzz
from damage import NUMBERS, STEPS, TAGS, TIMES, damaged
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.types_pb2 import DT_FLOAT

from tbbridge.events.crc32c import masked
from tbbridge.events.encode import encode_run
from tbbridge.events.reader import Chunk, read_events
from tbbridge.events.tfrecord import Corrupt, End, Frame, Torn, frame, read_frame
from tbbridge.model import RunBatch, RunName, ScalarColumns, TagName

# --- frames -------------------------------------------------------------------------------------------------------------


def whole_frames(data: bytes) -> tuple[list[bytes], int]:
    """The payloads up to the first byte that is wrong, and where that is: the format, read as it is described."""
    payloads, at = [], 0
    while len(data) - at >= 16:
        (length,) = struct.unpack_from("<Q", data, at)
        end = at + 12 + length
        if struct.pack("<I", masked(data[at : at + 8])) != data[at + 8 : at + 12] or end + 4 > len(data):
            break
        if struct.pack("<I", masked(data[at + 12 : end])) != data[end : end + 4]:
            break
        payloads.append(data[at + 12 : end])
        at = end + 4
    return payloads, at


@fuzz("frames", examples=150)
@given(damaged(st.lists(st.binary(max_size=40), max_size=6).map(lambda payloads: b"".join(map(frame, payloads)))))
@example(struct.pack("<Q", 2**64 - 1) + struct.pack("<I", masked(struct.pack("<Q", 2**64 - 1))) + b"\0" * 8)
def test_frames_are_read_up_to_the_first_wrong_byte_and_no_further(data: bytes) -> None:
    """Whatever the bytes are, all payloads in front of the damage come back, nothing else, and nothing is raised."""
    payloads, at = [], 0
    while isinstance(found := read_frame(data, at), Frame):
        payloads.append(bytes(found.payload))
        at = found.end
    assert (payloads, at) == whole_frames(data)
    assert isinstance(found, End) == (at == len(data))
    assert found.start == at


# --- events -------------------------------------------------------------------------------------------------------------


@st.composite
def columns(draw: DrawFn) -> bytes:
    """Points of a few tags as our encoder writes them: records of one length in long rows."""
    made = []
    for tag in draw(st.lists(TAGS, min_size=1, max_size=3, unique=True)):
        count = draw(st.sampled_from([1, 2, 30, 70]))
        first = draw(st.integers(-3, 2**20))
        values = np.resize(np.array(draw(st.lists(NUMBERS, min_size=1, max_size=3)), np.float64), count)
        made.append(ScalarColumns(TagName(tag), values, np.arange(first, first + count), np.full(count, draw(TIMES))))
    return bytes(encode_run(RunBatch(RunName("r"), tuple(made)), draw(st.sampled_from([(), [column.tag for column in made]]))))


@st.composite
def foreign(draw: DrawFn) -> bytes:
    """One record as other writers may make it."""
    event = Event(step=draw(STEPS), wall_time=draw(TIMES))
    match draw(st.integers(0, 5)):
        case 0:
            event.file_version = "brain.Event:2"
        case 1:
            event.session_log.status = draw(st.sampled_from([SessionLog.START, SessionLog.STOP]))
        case 2:
            return frame(draw(st.binary(max_size=30)))
        case _:
            for _ in range(draw(st.integers(1, 2))):
                event.summary.value.append(draw(values()))
    return frame(event.SerializeToString())


@st.composite
def values(draw: DrawFn) -> Summary.Value:
    value = Summary.Value(tag=draw(TAGS))
    if draw(st.booleans()):
        value.metadata.plugin_data.plugin_name = draw(st.sampled_from(["scalars", "text", "mine", ""]))
    match draw(st.integers(0, 3)):
        case 0:
            value.simple_value = draw(st.floats(width=32))
        case 1:
            value.tensor.dtype = DT_FLOAT
            if draw(st.booleans()):
                value.tensor.tensor_content = draw(st.sampled_from([b"\0\0\x80\x3f", b"\0\0\0", b"\0" * 8]))
            else:
                value.tensor.float_val.extend(draw(st.lists(st.floats(width=32), max_size=2)))
            if draw(st.booleans()):
                value.tensor.tensor_shape.dim.add(size=1)
        case 2:
            value.histo.num = 1.0
        case _:
            value.image.width = 3
    return value


FILES = st.lists(st.one_of(columns(), foreign()), max_size=5).map(b"".join)


def read_slowly(data: bytes) -> tuple[dict[str, list[tuple[int, bytes, float]]], list[tuple[str, str, int, float]], int]:
    """Scalars by tag, other values, and where the reading ends: one record after another, by TensorBoard's own messages."""
    scalars: dict[str, list[tuple[int, bytes, float]]] = {}
    others: list[tuple[str, str, int, float]] = []
    plugins: dict[str, str] = {}
    at = 0
    for payload in whole_frames(data)[0]:
        try:
            event = Event.FromString(payload)
        except DecodeError:
            break
        at += len(payload) + 16
        for value in event.summary.value:
            kind = value.WhichOneof("value")
            implied = {"simple_value": "scalars", "histo": "histograms", "image": "images"}.get(kind or "", "")
            plugin = plugins.get(value.tag) or value.metadata.plugin_data.plugin_name or implied
            plugins[value.tag] = plugin
            number = value.simple_value if kind == "simple_value" else None
            tensor = value.tensor
            if kind == "tensor" and plugin == "scalars" and tensor.dtype == DT_FLOAT and not tensor.tensor_shape.dim:
                if len(tensor.tensor_content) == 4:
                    (number,) = struct.unpack("<f", tensor.tensor_content)
                elif len(tensor.float_val) == 1:
                    number = tensor.float_val[0]
            if number is None:
                others.append((value.tag, plugin, event.step, event.wall_time))
            else:
                scalars.setdefault(value.tag, []).append((event.step, struct.pack("<f", number), event.wall_time))
    return scalars, others, at


def scalars_of(*chunks: Chunk) -> dict[str, list[tuple[int, bytes, float]]]:
    found: dict[str, list[tuple[int, bytes, float]]] = {}
    for chunk in chunks:
        for tag, series in chunk.scalars.items():
            points = zip(series.steps.tolist(), series.values.astype("<f4"), series.wall_times.tolist(), strict=True)
            found.setdefault(tag, []).extend((step, value.tobytes(), time) for step, value, time in points)
    return found


def told(*chunks: Chunk) -> list[tuple[str, str, int, float]]:
    return [(one.tag, one.plugin, one.step, one.wall_time) for chunk in chunks for one in chunk.summaries]


@fuzz("event files", examples=150, weight=2)
@given(damaged(FILES, most=2), st.integers(0, 1 << 20))
def test_event_files_are_read_as_tensorboards_messages_read_them_up_to_the_damage(data: bytes, cut: int) -> None:
    """The reader by rows says what a loop over records says, for any bytes, and also if the file grew while it was read."""
    scalars, others, end = read_slowly(data)
    whole = read_events(data)
    assert (scalars_of(whole), told(whole), whole.end) == (scalars, others, end)
    assert isinstance(whole.stopped, End) == (end == len(data))
    first = read_events(data[: cut % (len(data) + 1)])
    if not isinstance(first.stopped, Corrupt):
        second = read_events(data, first.end, first.plugins)
        assert (scalars_of(first, second), told(first, second), second.end) == (scalars, others, end)


@fuzz("torn event files", examples=40)
@given(FILES, st.integers(0, 1 << 20))
def test_a_file_cut_anywhere_is_torn_and_never_corrupt(data: bytes, cut: int) -> None:
    """A live file that is read while its last record is on the way must not be taken for a damaged one."""
    if isinstance(read_events(data).stopped, End):
        cut %= len(data) + 1
        assert isinstance(read_events(data[:cut]).stopped, (End, Torn))
