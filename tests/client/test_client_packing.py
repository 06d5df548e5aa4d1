"""Points become columns: grouped, in order, none lost; and raw histograms become buckets."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tbbridge.client.backlog import Load, Note
from tbbridge.client.packing import Parcel, Series, columns, pack, prepare
from tbbridge.client.points import Points
from tbbridge.events.histograms import bucketize
from tbbridge.model import Histogram, Text, run_name, tag_name
from tbbridge.wire.protobuf_v1 import decode_batch

TABLE = [Series(run_name(f"run{number % 3}"), tag_name(f"tag{number}")) for number in range(7)]
POINTS = st.lists(
    st.tuples(
        st.integers(0, len(TABLE) - 1),
        st.floats(allow_nan=False),
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
    )
)


@given(POINTS)
def test_grouping_keeps_every_point_and_the_order_of_each_series(points: list[tuple[int, float, int, float]]) -> None:
    grouped = {}
    for run, column in columns(Points.of(points), TABLE):
        assert column.steps is not None
        assert column.wall_times is not None
        key = (run, column.tag)
        assert key not in grouped
        grouped[key] = list(zip(column.values.tolist(), column.steps.tolist(), column.wall_times.tolist(), strict=True))
    expected: dict[tuple[str, str], list[tuple[float, int, float]]] = {}
    for series, *rest in points:
        expected.setdefault((TABLE[series].run, TABLE[series].tag), []).append(tuple(rest))  # type: ignore[arg-type]
    assert expected == grouped


@given(POINTS.filter(lambda points: len(points) > 1))
def test_halves_hold_what_the_whole_held(points: list[tuple[int, float, int, float]]) -> None:
    first, second = Parcel(Points.of(points), ()).halves()
    assert [*first.points.each(), *second.points.each()] == points
    assert len(first) > 0
    assert len(second) > 0


def test_points_and_summaries_part_before_either_is_cut() -> None:
    parcel = Parcel(Points.of([(0, 0.0, 0, 0.0)] * 3), [(run_name("r"), Text(tag_name("t"), "x"))] * 5)
    first, second = parcel.halves()
    assert (len(first), len(second)) == (3, 5)


def test_a_body_reads_back_as_what_was_logged() -> None:
    load = Load(
        Points.of([(0, 1.0, 5, 100.0), (3, 2.0, 6, 101.0)]),
        [
            Note(run_name("run0"), tag_name("note"), "hello", 7, 102.0),
            Note(run_name("other"), tag_name("w"), np.float32([1, 2, np.nan, np.inf]), 8, 103.0),
            Note(run_name("other"), tag_name("v"), bucketize(np.array([1.0, -np.inf])), 9, 104.0),
        ],
    )
    parcel, not_finite, wrong = prepare(load)
    assert [(item.tag, item.nan, item.infinite) for item in not_finite] == [("w", 1, 1), ("v", 0, 1)]
    assert wrong == []
    batch = decode_batch(pack(parcel, TABLE, "me", 3).raw).batch
    assert (batch.writer, batch.seq, batch.points) == ("me", 3, 5)
    first, other = batch.runs
    assert (first.run, [column.tag for column in first.scalars]) == ("run0", ["tag0", "tag3"])
    assert first.summaries == (Text(tag_name("note"), "hello", 7, 102.0),)
    assert other.run == "other"
    weights = other.summaries[0]
    assert isinstance(weights, Histogram)
    assert weights.buckets is not None
    assert (weights.step, weights.wall_time, weights.buckets.counts.sum()) == (8, 103.0, 2)
