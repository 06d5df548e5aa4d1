"""Reading event files back: other people's files, every kind of damage, and the fast way against the slow one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.histogram import summary_v2 as histogram_summary
from tensorboard.plugins.scalar import summary_v2 as scalar_summary
from tensorboardX import SummaryWriter

from tbbridge.events import reader
from tbbridge.events.encode import encode_run
from tbbridge.events.reader import Chunk, Series, read_events
from tbbridge.events.scalars import encode_scalars
from tbbridge.events.summaries import encode_file_start, encode_text
from tbbridge.events.tfrecord import Corrupt, End, Torn, frame
from tbbridge.model import Buckets, Histogram, RunBatch, RunName, ScalarColumns, TagName, Text

GOLDEN = Path(__file__).parents[1] / "golden" / "tensorboardx.tfevents"
WALL_TIME = 1.5e9


def column(tag: str, count: int, first_step: int = 0) -> ScalarColumns:
    steps = np.arange(first_step, first_step + count)
    return ScalarColumns(TagName(tag), np.sin(steps), steps, WALL_TIME + steps / 8)


def as_lists(series: Series) -> tuple[list[int], list[float], list[float]]:
    return series.steps.tolist(), series.values.tolist(), series.wall_times.tolist()


def assert_holds(series: Series, expected: ScalarColumns) -> None:
    assert expected.steps is not None
    assert expected.wall_times is not None
    narrow = expected.values.astype(np.float32)
    assert as_lists(series) == (expected.steps.tolist(), narrow.tolist(), expected.wall_times.tolist())


def event(*values: Summary.Value, step: int = 0, wall_time: float = WALL_TIME) -> bytes:
    return frame(Event(step=step, wall_time=wall_time, summary=Summary(value=values)).SerializeToString())


def simple(tag: str, value: float) -> Summary.Value:
    return Summary.Value(tag=tag, simple_value=value)


# --- files of several writers -------------------------------------------------------------------------------------------


def test_a_file_of_tensorboardx() -> None:
    """tests/golden/README.md says what was written."""
    chunk = read_events(GOLDEN.read_bytes())
    assert list(chunk.scalars) == ["loss", "train/acc", "named"]
    loss = np.array([1 / (step + 1) for step in range(5)], np.float32).tolist()
    assert as_lists(chunk.scalars["loss"]) == ([0, 1, 2, 3, 4], loss, [WALL_TIME + step for step in range(5)])
    assert chunk.scalars["train/acc"].steps.tolist() == [0, 100, 200, 300, 400]
    assert as_lists(chunk.scalars["named"]) == ([-1], [7.0], [WALL_TIME])
    told = [(summary.tag, summary.plugin, summary.step, summary.wall_time) for summary in chunk.summaries]
    assert told == [
        ("note/text_summary", "text", 3, WALL_TIME),
        ("w", "histograms", 2, WALL_TIME),
        ("dot", "images", 1, WALL_TIME),
    ]
    assert Summary.Value.FromString(chunk.summaries[2].value).image.encoded_image_string.startswith(b"\x89PNG")
    assert (chunk.records, chunk.end, chunk.stopped) == (15, 911, End(911))


@pytest.mark.parametrize("count", [3, 2_000])
def test_what_tensorboardx_writes_now_is_what_tensorboards_own_reader_finds(count: int, tmp_path: Path) -> None:
    with SummaryWriter(str(tmp_path)) as writer:
        for step in range(count):
            writer.add_scalar("loss", step / 3, 7 * step)
            writer.add_scalar("a/longer/tag", -step, step)
    (path,) = tmp_path.iterdir()
    chunk = read_events(path.read_bytes())
    accumulator = EventAccumulator(str(path), {"scalars": 0})
    accumulator.Reload()
    assert set(chunk.scalars) == set(accumulator.Tags()["scalars"])
    for tag, series in chunk.scalars.items():
        expected = [(point.step, point.value, point.wall_time) for point in accumulator.Scalars(tag)]
        assert list(zip(*as_lists(series), strict=True)) == expected
    assert chunk.stopped == End(path.stat().st_size)


def test_what_we_write_is_what_tensorboards_own_reader_finds(tmp_path: Path) -> None:
    columns = (column("loss", 300), column("längere/spur", 300, -5), column("x" * 200, 300))
    path = tmp_path / "events.out.tfevents.1.x"
    path.write_bytes(encode_file_start(WALL_TIME, session_start=True) + encode_scalars(columns, ()))
    chunk = read_events(path.read_bytes())
    accumulator = EventAccumulator(str(path), {"scalars": 0})
    accumulator.Reload()
    for expected in columns:
        assert_holds(chunk.scalars[expected.tag], expected)
        points = [(point.step, point.value, point.wall_time) for point in accumulator.Scalars(expected.tag)]
        assert list(zip(*as_lists(chunk.scalars[expected.tag]), strict=True)) == points
    assert (chunk.records, chunk.stopped) == (902, End(path.stat().st_size))


def test_tensorflows_scalars_are_tensors() -> None:
    """Rank 0, named as scalars by the first value of the tag alone, here in an earlier chunk."""
    first = scalar_summary.scalar_pb("loss", 0.5).value[0]
    later = Summary.Value(tag="loss", tensor=scalar_summary.scalar_pb("loss", 0.25).value[0].tensor)
    as_bytes = Summary.Value(tag="loss")
    as_bytes.tensor.dtype = 1
    as_bytes.tensor.tensor_content = np.float32(0.125).tobytes()
    beginning = read_events(event(first, step=1))
    rest = read_events(event(later, step=2) + event(as_bytes, step=3), 0, beginning.plugins)
    assert as_lists(beginning.scalars["loss"])[:2] == ([1], [0.5])
    assert as_lists(rest.scalars["loss"])[:2] == ([2, 3], [0.25, 0.125])
    unnamed = read_events(event(later))
    assert (unnamed.scalars, [summary.plugin for summary in unnamed.summaries]) == ({}, [""])


@pytest.mark.parametrize("damage", ["double", "rank 1", "empty"])
def test_tensors_that_tensorboards_data_server_hides_are_no_scalars(damage: str) -> None:
    value = scalar_summary.scalar_pb("loss", 0.5).value[0]
    if damage == "double":
        value.tensor.dtype = 2
    elif damage == "rank 1":
        value.tensor.tensor_shape.dim.add(size=1)
    else:
        value.tensor.ClearField("float_val")
    chunk = read_events(event(value))
    assert chunk.scalars == {}
    assert [summary.plugin for summary in chunk.summaries] == ["scalars"]


def test_several_values_in_one_event_keep_their_order() -> None:
    data = event(simple("a", 1), simple("b", 2), simple("a", 3), step=5) + event(simple("a", 4), step=6)
    chunk = read_events(data)
    assert as_lists(chunk.scalars["a"])[:2] == ([5, 5, 6], [1, 3, 4])
    assert as_lists(chunk.scalars["b"])[:2] == ([5], [2])
    assert chunk.records == 2


def test_fields_we_do_not_know_are_kept_and_do_no_harm() -> None:
    value = histogram_summary.histogram_pb("h", np.arange(10.0)).value[0]
    value.metadata.summary_description = "about it"
    graph = frame(Event(meta_graph_def=b"whatever", wall_time=WALL_TIME).SerializeToString())
    chunk = read_events(graph + event(value, step=4))
    (stored,) = chunk.summaries
    assert (stored.tag, stored.plugin, stored.step) == ("h", "histograms", 4)
    assert Summary.Value.FromString(stored.value) == value
    assert chunk.records == 2


def test_graphs_outside_a_summary_come_as_the_values_tensorboard_makes_of_them() -> None:
    graph = Event(graph_def=b"graph", wall_time=WALL_TIME)
    profile = Event(step=3, wall_time=WALL_TIME)
    profile.tagged_run_metadata.tag = "profile"
    profile.tagged_run_metadata.run_metadata = b"metadata"
    chunk = read_events(frame(graph.SerializeToString()) + frame(profile.SerializeToString()))
    told = [(stored.tag, stored.plugin, stored.step) for stored in chunk.summaries]
    assert told == [("__run_graph__", "graphs", 0), ("profile", "graph_tagged_run_metadata", 3)]
    values = [Summary.Value.FromString(stored.value) for stored in chunk.summaries]
    assert [value.tensor.string_val[0] for value in values] == [b"graph", b"metadata"]


def test_our_own_summaries_come_back() -> None:
    buckets = Buckets(np.array([0.0]), np.array([1.0]), np.array([3.0]))
    histogram = Histogram(TagName("w"), buckets=buckets, step=2, wall_time=WALL_TIME)
    text = Text(TagName("note"), "hello", 1, WALL_TIME)
    chunk = read_events(encode_run(RunBatch(RunName("run"), (column("loss", 2),), (text, histogram, text)), ()))
    assert [(summary.tag, summary.plugin) for summary in chunk.summaries] == [
        ("note", "text"),
        ("w", "histograms"),
        ("note", "text"),
    ]
    assert chunk.plugins == {"loss": "scalars", "note": "text", "w": "histograms"}


# --- damage -------------------------------------------------------------------------------------------------------------

SMALL = encode_file_start(WALL_TIME, session_start=True) + encode_scalars([column("a", 3), column("b", 2)], ())
STARTS = [0]
while STARTS[-1] < len(SMALL):
    STARTS.append(STARTS[-1] + 16 + int.from_bytes(SMALL[STARTS[-1] : STARTS[-1] + 8], "little"))


@pytest.mark.parametrize("always_rows", [False, True])
def test_a_file_cut_anywhere_is_read_up_to_its_last_whole_record(always_rows: bool) -> None:
    with patch.object(reader, "is_worth_rows", lambda count, length: always_rows):
        for cut in range(len(SMALL)):
            start = max(start for start in STARTS if start <= cut)
            chunk = read_events(SMALL[:cut])
            assert chunk.stopped == (End(cut) if start == cut else Torn(start))
            assert (chunk.end, chunk.records) == (start, STARTS.index(start))


@pytest.mark.parametrize("always_rows", [False, True])
def test_a_byte_flipped_anywhere_ends_the_reading_there(always_rows: bool) -> None:
    with patch.object(reader, "is_worth_rows", lambda count, length: always_rows):
        for flipped in range(len(SMALL)):
            damaged = bytearray(SMALL)
            damaged[flipped] ^= 0x10
            start = max(start for start in STARTS if start <= flipped)
            chunk = read_events(damaged)
            assert chunk.stopped == Corrupt(start, "length-crc" if flipped - start < 12 else "payload-crc")
            assert (chunk.end, chunk.records) == (start, STARTS.index(start))
            assert sum(len(series.steps) for series in chunk.scalars.values()) == max(0, chunk.records - 2)


@pytest.mark.parametrize("at", [0, 1, 4_999, 20_000, 69_999])
def test_damage_among_many_records_hides_only_what_follows(at: int) -> None:
    whole = encode_scalars([column("a", 70_000, 20_000)], {"a"})
    size = len(whole) // 70_000
    damaged = bytearray(whole)
    damaged[at * size + 20] ^= 1
    chunk = read_events(damaged)
    assert chunk.stopped == Corrupt(at * size, "payload-crc")
    assert (chunk.records, chunk.end) == (at, at * size)
    if at:
        assert_holds(chunk.scalars["a"], column("a", at, 20_000))


def test_what_stands_behind_damage_is_not_reported_whatever_its_kind() -> None:
    good = encode_scalars([column("a", 100)], {"a"})
    bad = bytearray(encode_scalars([column("a", 1, 100)], {"a"}))
    bad[-1] ^= 1
    behind = encode_scalars([column("a", 100, 101), column("longer", 200)], {"a", "longer"})
    chunk = read_events(good + bad + behind + encode_text(Text(TagName("t"), "x", 1, 1.0), described=False))
    assert_holds(chunk.scalars["a"], column("a", 100))
    assert (list(chunk.scalars), chunk.summaries, chunk.plugins) == (["a"], [], {"a": "scalars"})
    assert chunk.stopped == Corrupt(len(good), "payload-crc")


@pytest.mark.parametrize(
    "payload",
    [b"\xff" * 9, b"\x2a\x05\x0a", event(simple("??", 1.0))[12:-4].replace(b"??", b"\xff\xfe")],
    ids=["no protobuf", "cut short", "a tag that is not UTF-8"],
)
@pytest.mark.parametrize("count", [1, 100])
def test_right_crcs_around_something_else_are_corrupt(payload: bytes, count: int) -> None:
    before = encode_scalars([column("a", 3)], {"a"})
    chunk = read_events(before + frame(payload) * count)
    assert chunk.stopped == Corrupt(len(before), "not-an-event")
    assert (chunk.records, chunk.end) == (3, len(before))


@pytest.mark.parametrize("zeros", [12, 16, 5_000])
def test_zeros_at_the_end_are_corrupt(zeros: int) -> None:
    """Space that was allocated and never filled."""
    assert read_events(SMALL + bytes(zeros)).stopped == Corrupt(len(SMALL), "length-crc")


def test_an_empty_record_is_an_event_of_nothing() -> None:
    chunk = read_events(frame(b"") * 3)
    assert (chunk.records, chunk.stopped) == (3, End(48))


@given(st.binary(max_size=300), st.integers(0, 5))
def test_garbage_never_raises(garbage: bytes, framed: int) -> None:
    for data in (garbage, SMALL + garbage, frame(garbage) * framed, frame(garbage) * framed + garbage):
        chunk = read_events(data)
        assert chunk.end == chunk.stopped.start <= len(data)


# --- the fast way and the slow way ------------------------------------------------------------------------------------


def told(chunk: Chunk) -> tuple[object, ...]:
    scalars = {
        tag: (series.steps.tobytes(), series.values.tobytes(), series.wall_times.tobytes())
        for tag, series in chunk.scalars.items()
    }
    return list(scalars.items()), chunk.summaries, chunk.plugins, chunk.records, chunk.stopped


def both_ways(data: bytes) -> Chunk:
    with patch.object(reader, "is_worth_rows", lambda count, length: True), patch.object(reader, "_ROWS_AT_A_TIME", 5):
        as_rows = read_events(data)
    with patch.object(reader, "is_worth_rows", lambda count, length: False):
        singly = read_events(data)
    assert told(as_rows) == told(singly)
    return as_rows


tags = st.sampled_from(["a", "b", "loss", "ende\0", "ende\0\0", "ü", "x" * 92, "x" * 120, "x" * 130])
steps = st.one_of(st.sampled_from([0, 1, 127, 128, -1, 2**63 - 1, -(2**63)]), st.integers(-(2**63), 2**63 - 1))
numbers = st.floats(width=32, allow_nan=False)


@st.composite
def records(draw: st.DrawFn) -> bytes:
    wall_time = draw(st.sampled_from([0.0, -0.0, WALL_TIME]))
    values = [simple(draw(tags), draw(numbers)) for _ in range(draw(st.sampled_from([1, 1, 1, 1, 0, 2])))]
    for value in values:
        if draw(st.sampled_from([False] * 7 + [True])):
            value.metadata.plugin_data.plugin_name = draw(st.sampled_from(["scalars", "other"]))
        if draw(st.sampled_from([False] * 7 + [True])):
            value.ClearField("tag")
    return event(*values, step=draw(steps), wall_time=wall_time)


@given(st.lists(records(), max_size=25))
@example([event(simple("a", 1)), event(simple("loss", 1), simple("b", 2)), event(simple("b", 3), wall_time=-0.0)])
def test_rows_and_single_records_read_the_same(parts: list[bytes]) -> None:
    chunk = both_ways(b"".join(parts))
    expected: dict[str, list[tuple[int, float]]] = {}
    for part in parts:
        parsed = Event.FromString(part[12:-4])
        for value in parsed.summary.value:
            expected.setdefault(value.tag, []).append((parsed.step, value.simple_value))
    assert {tag: list(zip(*as_lists(series)[:2], strict=True)) for tag, series in chunk.scalars.items()} == expected


STEP_OF_TEN_BYTES = b"\x10" + b"\xff" * 9 + b"\x03"  # the tenth byte holds more than the 64th bit
STEP_OF_FOUR_FOR_ONE = b"\x10\x81\x80\x80\x00"


@pytest.mark.parametrize("step", [STEP_OF_TEN_BYTES, STEP_OF_FOUR_FOR_ONE], ids=["too many bits", "longer than needed"])
def test_odd_varints_are_read_as_protobuf_reads_them(step: bytes) -> None:
    payload = event(simple("a", 1.0), step=1)[12:-4].replace(b"\x10\x01", step)
    both_ways(frame(payload) * 20)


@pytest.mark.parametrize("alike", [1, 7, 9, 300])
def test_blocks_and_stretches_meet_without_a_gap(alike: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths that repeat for a while, in blocks of a few records."""
    monkeypatch.setattr(reader.limits, "READER_BLOCK_RECORDS", 11)
    parts: Sequence[ScalarColumns] = [
        column("a", alike, 1),
        column("bb", alike),
        column("ccc", alike, 100),
        column("a", alike, 9),
    ]
    data = b"".join(encode_scalars([part], {part.tag}) for part in parts)
    chunk = read_events(data)
    assert chunk.records == 4 * alike
    assert chunk.stopped == End(len(data))
    steps_of_a: NDArray[np.int64] = np.concatenate([part.steps for part in parts if part.tag == "a" and part.steps is not None])
    assert chunk.scalars["a"].steps.tolist() == steps_of_a.tolist()


def test_reading_goes_on_where_it_stopped() -> None:
    data = encode_scalars([column("a", 500), column("b", 500)], ())
    for cut in (0, 100, 7_777, len(data)):
        first = read_events(data[:cut])
        rest = read_events(data, first.end, first.plugins)
        whole = read_events(data)
        assert first.records + rest.records == whole.records
        assert rest.stopped == whole.stopped
        empty = Series(np.array([], np.int64), np.array([], np.float32), np.array([], np.float64))
        for tag in ("a", "b"):
            parts = [chunk.scalars.get(tag, empty).steps for chunk in (first, rest)]
            assert np.concatenate(parts).tolist() == whole.scalars[tag].steps.tolist()
