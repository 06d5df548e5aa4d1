"""The binary form: the public message and our own agree on every byte, and a wrong item is named and left out alone."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.errors import InvalidBatch, MalformedBody, TooLarge
from tbbridge.model import Batch, Buckets, Histogram, LogRecord, RunBatch, ScalarColumns, Text, run_name, tag_name
from tbbridge.v1 import write_pb2
from tbbridge.wire.protobuf_v1 import decode_batch, encode_batch

LOG_TIMES = st.none() | st.floats(0, 1e11)
INT64 = st.integers(-(2**63), 2**63 - 1)


@st.composite
def batches(draw: st.DrawFn) -> Batch:
    runs = []
    for number in range(draw(st.integers(0, 3))):
        tags = draw(st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=3))
        columns = []
        for tag in tags:
            count = draw(st.integers(1, 5))
            columns.append(
                ScalarColumns(
                    tag_name(tag),
                    np.array(draw(st.lists(st.floats(), min_size=count, max_size=count))),
                    np.array(draw(st.lists(INT64, min_size=count, max_size=count)), np.int64) if draw(st.booleans()) else None,
                    np.array(draw(st.lists(st.floats(-1e18, 1e18), min_size=count, max_size=count)))
                    if draw(st.booleans())
                    else None,
                )
            )
        step, wall_time = draw(st.none() | INT64), draw(st.none() | st.floats(-1e18, 1e18))
        summaries = (
            Text(tag_name("text"), draw(st.text(max_size=20)), step, wall_time),
            Histogram(tag_name("raw"), np.array(draw(st.lists(st.floats(), min_size=1, max_size=5))), step=step),
            Histogram(tag_name("ready"), buckets=Buckets(np.zeros(1), np.ones(1), np.ones(1)), wall_time=wall_time),
        )
        purge = draw(st.none() | INT64), draw(st.none() | st.floats(-1e18, 1e18))
        record = st.builds(LogRecord, st.text(max_size=9), st.integers(1, 255), st.sampled_from(["", "a.b"]), LOG_TIMES)
        logs = draw(st.lists(record, max_size=3))
        runs.append(RunBatch(run_name(f"run{number}"), tuple(columns), summaries, *purge, tuple(logs), draw(st.booleans())))
    return Batch(tuple(runs), *draw(st.sampled_from([("", 0), ("w", 1), ("ü", 2**63 - 1)])))


@given(batches())
def test_what_is_sent_is_what_arrives_and_what_the_public_message_says(batch: Batch) -> None:
    body = encode_batch(batch)
    again = decode_batch(body)
    assert again.rejected == ()
    assert encode_batch(again.batch) == body
    assert [(run.logs, run.create) for run in again.batch.runs] == [(run.logs, run.create) for run in batch.runs]
    official = write_pb2.WriteRequest.FromString(body)
    assert encode_batch(decode_batch(official.SerializeToString()).batch) == body
    assert [(run.run, len(run.scalars), len(run.summaries)) for run in official.runs] == [
        (run.run, len(run.scalars), 3) for run in batch.runs
    ]
    for sent, run in zip(batch.runs, official.runs, strict=True):
        for column, message in zip(sent.scalars, run.scalars, strict=True):
            assert message.tag == column.tag
            np.testing.assert_array_equal(np.array(message.values), column.values)
            assert list(message.steps) == ([] if column.steps is None else column.steps.tolist())


def field(number: int, payload: bytes) -> bytes:
    return bytes([number << 3 | 2, len(payload)]) + payload


def test_a_column_sent_in_chunks_or_element_by_element_is_the_same_column() -> None:
    values = [struct.pack("<d", value) for value in (1.0, 2.0, 3.0)]
    steps = [struct.pack("<q", step) for step in (5, 6, 7)]
    tag = field(1, b"loss")
    packed = tag + field(2, b"".join(steps)) + field(3, b"".join(values))
    chunks = tag + field(2, steps[0]) + field(2, steps[1] + steps[2]) + field(3, values[0] + values[1]) + field(3, values[2])
    single = tag + b"".join(bytes([2 << 3 | 1]) + step for step in steps) + b"".join(bytes([3 << 3 | 1]) + v for v in values)
    expected = None
    for column in (packed, chunks, single):
        collected = decode_batch(field(3, field(1, b"run") + field(2, column)))
        expected = expected or encode_batch(collected.batch)
        assert encode_batch(collected.batch) == expected
        assert collected.batch.points == 3


def good(tag: str = "good") -> write_pb2.ScalarColumns:
    return write_pb2.ScalarColumns(tag=tag, steps=[1], values=[1.0])


BAD = [
    (write_pb2.RunBatch(run="../x", scalars=[good()]), "runs[0].run", "run-name"),
    (write_pb2.RunBatch(run="a", scalars=[good(""), good()]), "runs[0].scalars[0].tag", "tag"),
    (write_pb2.RunBatch(run="a", scalars=[write_pb2.ScalarColumns(tag="x")]), "runs[0].scalars[0].values", "empty"),
    (
        write_pb2.RunBatch(run="a", scalars=[write_pb2.ScalarColumns(tag="x", values=[1, 2], steps=[1])]),
        "runs[0].scalars[0].steps",
        "length",
    ),
    (write_pb2.RunBatch(run="a", summaries=[write_pb2.Summary(tag="x")]), "runs[0].summaries[0].kind", "kind"),
    (
        write_pb2.RunBatch(run="a", summaries=[write_pb2.Summary(tag="x", text="t", wall_time=float("nan"))]),
        "runs[0].summaries[0].wall_time",
        "wall-time",
    ),
    (
        write_pb2.RunBatch(
            run="a", summaries=[write_pb2.Summary(tag="x", scalar=1, step=1), write_pb2.Summary(tag="x", scalar=1)]
        ),
        "runs[0].summaries[0].step",
        "length",
    ),
    (
        write_pb2.RunBatch(
            run="a", summaries=[write_pb2.Summary(tag="x", histogram={"lefts": [1], "rights": [0], "counts": [1]})]
        ),
        "runs[0].summaries[0].buckets",
        "bucket",
    ),
    (write_pb2.RunBatch(run="a", scalars=[good()], logs=[{"message": "m", "level": 999}]), "runs[0].logs[0].level", "level"),
    (write_pb2.RunBatch(run="a", member="g/m", scalars=[good()]), "runs[0].member", "run-name"),
    (write_pb2.RunBatch(member="g/m", scalars=[good()]), "runs[0].member", "group"),
]


def test_a_run_is_kept_that_only_is_to_be_made_or_only_has_logs() -> None:
    """A run with nothing to write is left out; these have something."""
    made, logged = write_pb2.RunBatch(run="made", create=True), write_pb2.RunBatch(run="logged", logs=[{"message": "m"}])
    body = write_pb2.WriteRequest(runs=[made, logged, write_pb2.RunBatch(run="nothing")]).SerializeToString()
    assert decode_batch(body).batch.runs == (
        RunBatch(run_name("made"), create=True),
        RunBatch(run_name("logged"), logs=(LogRecord("m", 20),)),
    )


@pytest.mark.parametrize(("bad", "path", "code"), BAD, ids=[f"{path} {code}" for _, path, code in BAD])
def test_a_wrong_item_is_named_and_with_partial_left_out_alone(bad: write_pb2.RunBatch, path: str, code: str) -> None:
    body = write_pb2.WriteRequest(runs=[bad, write_pb2.RunBatch(run="fine", scalars=[good()])]).SerializeToString()
    with pytest.raises(InvalidBatch) as caught:
        decode_batch(body)
    assert [(error.path, error.code) for error in caught.value.errors] == [(path, code)]
    collected = decode_batch(body, partial=True)
    assert [(error.path, error.code) for error in collected.rejected] == [(path, code)]
    kept = {run.run: [column.tag for column in run.scalars] for run in collected.batch.runs}
    assert kept["fine"] == ["good"]
    assert all(tags == ["good"] for tags in kept.values())


def test_bytes_that_are_not_utf8_or_no_whole_elements_are_errors_of_their_item() -> None:
    columns = field(1, b"\xff") + field(3, struct.pack("<d", 1.0))
    torn = field(1, b"x") + field(3, b"1234567")
    body = field(3, field(1, b"run") + field(2, columns) + field(2, torn)) + field(3, field(1, b"r\xfe"))
    with pytest.raises(InvalidBatch) as caught:
        decode_batch(body)
    assert [(error.path, error.code) for error in caught.value.errors] == [
        ("runs[0].scalars[0].tag", "not-utf8"),
        ("runs[0].scalars[1].values", "length"),
        ("runs[1].run", "not-utf8"),
    ]


@given(st.binary(max_size=200))
def test_garbage_is_a_batch_or_a_clear_error_and_nothing_else(body: bytes) -> None:
    with contextlib.suppress(InvalidBatch, MalformedBody):
        decode_batch(body)


def test_a_body_cut_anywhere_is_a_batch_or_a_clear_error_and_nothing_else() -> None:
    body = write_pb2.WriteRequest(writer="w", seq=1, runs=[bad for bad, _, _ in BAD]).SerializeToString()
    for cut in range(len(body)):
        with contextlib.suppress(InvalidBatch, MalformedBody):
            decode_batch(body[:cut])


def test_more_log_records_than_memory_is_made_for_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty record takes two bytes here, and a hundred times as much once it is read."""
    monkeypatch.setattr(limits, "LOG_RECORDS_MAX", 5)
    runs = [write_pb2.RunBatch(run=name, logs=[write_pb2.LogRecord()] * 3) for name in "ab"]
    with pytest.raises(TooLarge, match="over 5 log records; send fewer"):
        decode_batch(write_pb2.WriteRequest(runs=runs).SerializeToString(), partial=True)
    assert decode_batch(write_pb2.WriteRequest(runs=runs[:1]).SerializeToString()).batch.points == 3
