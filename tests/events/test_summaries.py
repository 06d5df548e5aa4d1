"""Texts, histograms and a file's first records, as TensorBoard's own classes and helpers read them."""

from __future__ import annotations

import numpy as np
import pytest
from frames import frames_of
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.util import tensor_util

from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start, encode_histogram, encode_text
from tbbridge.model import Buckets, Histogram, RunBatch, RunName, ScalarColumns, TagName, Text

WALL_TIME = 1.5e9
BUCKETS = Buckets(np.array([-1.0, 0.5]), np.array([0.5, 1e300]), np.array([3.0, 4.0]))
NO_BUCKETS = Buckets(np.zeros(0), np.zeros(0), np.zeros(0))


def events_of(data: bytes) -> list[Event]:
    return [Event.FromString(frame.payload.tobytes()) for frame in frames_of(data)]


def text(tag: str = "note", step: int | None = 3, wall_time: float | None = WALL_TIME, words: str = "**grün**") -> Text:
    return Text(TagName(tag), words, step, wall_time)


def histogram(
    tag: str = "w", buckets: Buckets = BUCKETS, step: int | None = 3, wall_time: float | None = WALL_TIME
) -> Histogram:
    return Histogram(TagName(tag), buckets=buckets, step=step, wall_time=wall_time)


def test_a_file_opens_as_tensorboard_expects() -> None:
    (opening,) = events_of(encode_file_start(WALL_TIME, session_start=False))
    assert (opening.wall_time, opening.step) == (WALL_TIME, 0)
    assert (opening.file_version, opening.source_metadata.writer) == ("brain.Event:2", "tbbridge")


def test_a_runs_first_file_starts_a_session_at_step_zero() -> None:
    opening, session = events_of(encode_file_start(WALL_TIME, session_start=True))
    assert opening.file_version == "brain.Event:2"
    assert (session.step, session.wall_time) == (0, WALL_TIME)
    assert session.session_log.status == SessionLog.START


def test_text_is_a_string_of_rank_zero() -> None:
    (event,) = events_of(encode_text(text(), described=False))
    (value,) = event.summary.value
    assert (event.step, event.wall_time, value.tag) == (3, WALL_TIME, "note")
    assert (value.metadata.plugin_data.plugin_name, value.metadata.data_class) == ("text", 2)
    array = tensor_util.make_ndarray(value.tensor)
    assert (array.shape, array.item()) == ((), "**grün**".encode())


@pytest.mark.parametrize("buckets", [BUCKETS, NO_BUCKETS], ids=["two", "none"])
def test_histogram_is_rows_of_edges_and_count(buckets: Buckets) -> None:
    (event,) = events_of(encode_histogram(histogram(buckets=buckets), described=False))
    (value,) = event.summary.value
    assert (event.step, event.wall_time, value.tag) == (3, WALL_TIME, "w")
    assert (value.metadata.plugin_data.plugin_name, value.metadata.data_class) == ("histograms", 2)
    array = tensor_util.make_ndarray(value.tensor)
    assert array.dtype == np.float64
    assert array.tolist() == [list(row) for row in zip(buckets.lefts, buckets.rights, buckets.counts, strict=True)]
    assert array.shape == (len(buckets.counts), 3)


def test_metadata_is_left_out_unless_asked_for() -> None:
    for data in (encode_text(text(), described=True), encode_histogram(histogram(), described=True)):
        assert not events_of(data)[0].summary.value[0].HasField("metadata")


@pytest.mark.parametrize("unsettled", [{"step": None}, {"wall_time": None}])
def test_unsettled_summaries_are_refused(unsettled: dict[str, None]) -> None:
    with pytest.raises(ValueError, match="settle"):
        encode_text(text(**unsettled), described=False)
    with pytest.raises(ValueError, match="settle"):
        encode_histogram(histogram(**unsettled), described=False)


def test_raw_values_are_refused() -> None:
    with pytest.raises(ValueError, match="bucketize"):
        encode_histogram(Histogram(TagName("w"), np.array([1.0]), step=1, wall_time=WALL_TIME), described=False)


def batch(*summaries: Text | Histogram) -> RunBatch:
    scalars = ScalarColumns(TagName("loss"), np.array([0.5, 0.25]), np.array([1, 2]), np.array([WALL_TIME] * 2))
    return RunBatch(RunName("run"), (scalars,), summaries)


def test_a_run_is_scalars_then_summaries_in_order() -> None:
    given = batch(text("b", 9), histogram("a", step=1), text("b", 2))
    told = [(event.step, event.summary.value[0].tag) for event in events_of(encode_run(given, ()))]
    assert told == [(1, "loss"), (2, "loss"), (9, "b"), (1, "a"), (2, "b")]


@pytest.mark.parametrize(
    ("known", "described_at"),
    [((), [0, 2, 3]), (("loss",), [2, 3]), (("note", "loss"), [3]), (("note", "loss", "w"), [])],
)
def test_only_the_first_value_of_an_undescribed_tag_is_described(known: tuple[str, ...], described_at: list[int]) -> None:
    events = events_of(encode_run(batch(text(), histogram(), text(), histogram()), known))
    assert [position for position, event in enumerate(events) if event.summary.value[0].HasField("metadata")] == described_at


def test_a_run_of_summaries_only() -> None:
    assert encode_run(RunBatch(RunName("run"), (), (text(),)), ()) == encode_text(text(), described=False)
