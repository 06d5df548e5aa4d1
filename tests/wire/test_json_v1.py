"""The JSON form: what is read, what is refused and in which words, and that both its paths say the same."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.errors import InvalidBatch, MalformedBody, TooLarge
from tbbridge.groups import Groups, IndexedGroup, NormalGroup
from tbbridge.model import Batch, Buckets, Histogram, RunBatch, ScalarColumns, Text
from tbbridge.wire import json_v1, json_v1_schema, protobuf_v1
from tbbridge.wire.collect import ItemErrors


def body_with(*runs: Any, **head: Any) -> bytes:
    return json.dumps({"runs": list(runs), **head}).encode()


def columns(**fields: Any) -> dict[str, Any]:
    return {"run": "r", "scalars": [{"tag": "t", "values": [1.0, 2.0], **fields}]}


def summary(kind: str, **fields: Any) -> dict[str, Any]:
    return {"run": "r", "summaries": [{"kind": kind, "tag": "t", **fields}]}


# One run that is wrong in one place: what it is, the path (below runs[0]), the code, and a part of the message.
BAD_RUNS = {
    "run is not an object": (5, "", "type", "this is 5"),
    "run is missing": ({"scalars": []}, "run", "missing", "add it"),
    "run is no text": ({"run": 7}, "run", "type", "7 came where text is wanted"),
    "purge_step is no whole number": ({"run": "r", "purge_step": 1.5}, "purge_step", "type", "whole number"),
    "purge_step is too large": ({"run": "r", "purge_step": 2**63}, "purge_step", "step", "64 bits"),
    "run is empty": ({"run": ""}, "run", "run-name", "1 to 512 bytes"),
    "run is too long": ({"run": "r/" * 300 + "r"}, "run", "run-name", "this one has 601"),
    "run leaves the folder": ({"run": "../r"}, "run", "run-name", "'..'"),
    "run starts at the root": ({"run": "/etc"}, "run", "run-name", "relative"),
    "run holds a NUL": ({"run": "a\0b"}, "run", "run-name", "control character"),
    "run is our folder": ({"run": "a/.tbbridge"}, "run", "run-name", "rename it"),
    "run has an unknown field": ({**columns(), "scalar": []}, "scalar", "unknown-field", "known are run, scalars, summaries"),
    "alerts of a later version": ({**columns(), "alerts": []}, "alerts", "unknown-field", "not a field"),
    "logs is text": ({"run": "r", "logs": "started"}, "logs", "type", "a list is wanted"),
    "record is text": ({"run": "r", "logs": ["started"]}, "logs[0]", "type", 'the text "started" came'),
    "record without message": ({"run": "r", "logs": [{"level": 20}]}, "logs[0].message", "missing", "add it"),
    "record's level is a name": ({"run": "r", "logs": [{"message": "m", "level": "INFO"}]}, "logs[0].level", "type", "INFO"),
    "record's level is too high": ({"run": "r", "logs": [{"message": "m", "level": 256}]}, "logs[0].level", "level", "30, 40"),
    "record's time is NaN": (
        {"run": "r", "logs": [{"message": "m", "wall_time": math.nan}]},
        "logs[0].wall_time",
        "wall-time",
        "seconds since 1970",
    ),
    "record's logger has two lines": (
        {"run": "r", "logs": [{"message": "m", "logger": "a\nb"}]},
        "logs[0].logger",
        "logger",
        "remove it",
    ),
    "record has an unknown field": (
        {"run": "r", "logs": [{"message": "m", "msg": "m"}]},
        "logs[0].msg",
        "unknown-field",
        "known are message, level",
    ),
    "create is a word": ({"run": "r", "create": "yes"}, "create", "type", "true or false"),
    "both run and member": ({"run": "r", "member": "g/m"}, "member", "run-name", "send one"),
    "member is no text": ({"member": 7}, "member", "type", "7 came where text is wanted"),
    "member without groups": ({"member": "g/m"}, "member", "group", "there are no groups yet"),
    "member without a slash": ({"member": "agent"}, "member", "member", "exactly one '/'"),
    "scalars is no list": ({"run": "r", "scalars": {"tag": "t"}}, "scalars", "type", "an object came where a list is wanted"),
    "scalars is null": ({"run": "r", "scalars": None}, "scalars", "type", "leave it out"),
    "column is no object": ({"run": "r", "scalars": [[1, 2]]}, "scalars[0]", "type", "a list came"),
    "tag is empty": (columns(tag=""), "scalars[0].tag", "tag", "give the series a name"),
    "tag is too long": (columns(tag="t" * 1025), "scalars[0].tag", "tag", "shorten it"),
    "tag is missing": ({"run": "r", "scalars": [{"values": [1]}]}, "scalars[0].tag", "missing", "add it"),
    "values are missing": ({"run": "r", "scalars": [{"tag": "t"}]}, "scalars[0].values", "missing", "add it"),
    "values are empty": (columns(values=[]), "scalars[0].values", "empty", "send at least one"),
    "value is a bool": (columns(values=[1, True]), "scalars[0].values[1]", "type", "true came where a number is wanted"),
    "value is text": (columns(values=["1", 2]), "scalars[0].values[0]", "type", 'the text "1" came'),
    "value is misspelt NaN": (columns(values=[1, "nan"]), "scalars[0].values[1]", "type", '"NaN", "Infinity"'),
    "value is null": (columns(values=[1, None]), "scalars[0].values[1]", "type", "JavaScript writes those as null"),
    "value is a list": (columns(values=[[1], 2]), "scalars[0].values[0]", "type", "a list came"),
    "values is a number": (columns(values=3), "scalars[0].values", "type", "3 came where a list is wanted"),
    "step is a float": (columns(steps=[1, 2.0]), "scalars[0].steps[1]", "type", "neither as 7.0 nor in quotes"),
    "step is a bool": (columns(steps=[False, 2]), "scalars[0].steps[0]", "type", "false came where a whole number"),
    "step is text": (columns(steps=[1, "2"]), "scalars[0].steps[1]", "type", 'the text "2" came'),
    "step is above int64": (columns(steps=[1, 2**63]), "scalars[0].steps[1]", "step", "does not fit in 64 bits"),
    "step is below int64": (columns(steps=[-(2**63) - 1, 2]), "scalars[0].steps[0]", "step", "does not fit in 64 bits"),
    "step is enormous": (columns(steps=[1, 10**3000]), "scalars[0].steps[1]", "step", "..."),
    "fewer steps than values": (columns(steps=[1]), "scalars[0].steps", "length", "1 steps for 2 values"),
    "more wall_times than values": (columns(wall_times=[1, 2, 3]), "scalars[0].wall_times", "length", "3 wall_times for 2"),
    "wall_time is NaN": (columns(wall_times=[1, math.nan]), "scalars[0].wall_times[1]", "wall-time", "finite seconds"),
    "wall_time is the text NaN": (columns(wall_times=[1, "NaN"]), "scalars[0].wall_times[1]", "type", "seconds since 1970"),
    "column has an unknown field": (columns(step=[1, 2]), "scalars[0].step", "unknown-field", "check its spelling"),
    "summaries is no list": ({"run": "r", "summaries": "x"}, "summaries", "type", "a list is wanted"),
    "summary is no object": ({"run": "r", "summaries": [3]}, "summaries[0]", "type", "this is 3"),
    "kind is unknown": (summary("picture"), "summaries[0].kind", "kind", "knows scalar, text, histogram"),
    "kind is missing": ({"run": "r", "summaries": [{"tag": "t"}]}, "summaries[0].kind", "kind", "'kind' is missing"),
    "kind is a number": (summary(3), "summaries[0].kind", "kind", "kind is 3"),  # type: ignore[arg-type]
    "scalar without value": (summary("scalar"), "summaries[0].value", "missing", "add it"),
    "scalar's value is a bool": (summary("scalar", value=True), "summaries[0].value", "type", "true came"),
    "scalar's step is a float": (summary("scalar", value=1, step=1.5), "summaries[0].step", "type", "1.5 came"),
    "scalar's step is too large": (summary("scalar", value=1, step=2**63), "summaries[0].step", "step", "64 bits"),
    "scalar's wall_time is infinite": (
        summary("scalar", value=1, wall_time=math.inf),
        "summaries[0].wall_time",
        "wall-time",
        "inf",
    ),
    "scalar with values": (summary("scalar", value=1, values=[1]), "summaries[0].values", "unknown-field", "known are kind"),
    "scalar's tag is empty": (summary("scalar", value=1, tag=""), "summaries[0].tag", "tag", "is empty"),
    "text is a number": (summary("text", text=3), "summaries[0].text", "type", "3 came where text is wanted"),
    "text is too long": (summary("text", text="x" * (2**20 + 1)), "summaries[0].text", "too-large", "shorten it"),
    "text with a field of a histogram": (summary("text", text="x", values=[1]), "summaries[0].values", "unknown-field", "text"),
    "histogram without anything": (summary("histogram"), "summaries[0].values", "histogram", "exactly one of the two"),
    "histogram with both": (
        summary("histogram", values=[1], buckets=[[0, 1, 2]]),
        "summaries[0].values",
        "histogram",
        "exactly",
    ),
    "histogram of a number": (summary("histogram", values=3), "summaries[0].values", "type", "3 came where a list"),
    "histogram of texts": (summary("histogram", values=["x"]), "summaries[0].values[0]", "type", 'the text "x"'),
    "bucket of two": (
        summary("histogram", buckets=[[0, 1]]),
        "summaries[0].buckets[0]",
        "length",
        "[left edge, right edge, count]",
    ),
    "bucket of four": (summary("histogram", buckets=[[0, 1, 2, 3]]), "summaries[0].buckets[0]", "length", "this one more"),
    "buckets descend": (summary("histogram", buckets=[[1, 0, 2]]), "summaries[0].buckets", "bucket", "sort the buckets"),
    "bucket's count is negative": (summary("histogram", buckets=[[0, 1, -1]]), "summaries[0].buckets", "bucket", "from 0 up"),
    "bucket's edge is NaN": (summary("histogram", buckets=[[0, math.nan, 1]]), "summaries[0].buckets", "bucket", "finite"),
}


@pytest.mark.parametrize("bad", BAD_RUNS.values(), ids=BAD_RUNS.keys())
class TestBadRun:
    def test_refuses_the_whole_body_and_names_the_item(self, bad):
        item, place, code, says = bad
        good = {"run": "good", "scalars": [{"tag": "t", "values": [1]}]}
        with pytest.raises(InvalidBatch) as raised:
            json_v1.decode_batch(body_with(item, good))
        (error,) = raised.value.errors
        assert (error.path, error.code) == (f"runs[0].{place}" if place else "runs[0]", code)
        assert says in error.message

    def test_with_partial_keeps_everything_else(self, bad):
        item, place, code, _ = bad
        if isinstance(item, dict) and isinstance(item.get("run"), str):
            item = {**item, "run": "bad"} if code != "run-name" else item
        collected = json_v1.decode_batch(
            body_with({"run": "good", "scalars": [{"tag": "t", "values": [1]}]}, item), partial=True
        )
        (error,) = collected.rejected
        assert (error.path, error.code) == (f"runs[1].{place}" if place else "runs[1]", code)
        assert "good" in [run.run for run in collected.batch.runs]
        spoilt_only_beside = code == "unknown-field" and "[" not in place
        assert collected.batch.points == (3 if spoilt_only_beside else 1)


BAD_HEADS = {
    "body is a list": (b"[]", "", "type", "the body is a list"),
    "body is null": (b"null", "", "type", "send an object"),
    "runs are missing": (b"{}", "runs", "missing", "add it"),
    "runs are an object": (b'{"runs":{}}', "runs", "type", "a list is wanted"),
    "unknown field": (b'{"runs":[],"sqe":1}', "sqe", "unknown-field", "known are runs, writer, seq"),
    "writer is a number": (b'{"runs":[],"writer":1,"seq":1}', "writer", "type", "send a string"),
    "writer is too long": (body_with(writer="w" * 129, seq=1), "writer", "writer", "UUID"),
    "writer without seq": (body_with(writer="w"), "seq", "writer", "both"),
    "seq without writer": (body_with(seq=1), "writer", "writer", "both"),
    "seq is a float": (body_with(writer="w", seq=1.0), "seq", "type", "whole number"),
    "seq is negative": (body_with(writer="w", seq=-1), "seq", "writer", "from 1"),
    "seq is too large": (body_with(writer="w", seq=2**63), "seq", "writer", "out of range"),
}


@pytest.mark.parametrize("partial", [False, True], ids=["whole", "partial"])
@pytest.mark.parametrize("bad", BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_a_bad_head_is_never_partial(bad, partial):
    body, path, code, says = bad
    with pytest.raises(InvalidBatch) as raised:
        json_v1.decode_batch(body, partial=partial)
    (error,) = raised.value.errors
    assert (error.path, error.code) == (path, code)
    assert says in error.message


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is empty"),
        (b" \n", "the body is empty"),
        (b'{"runs":[', "line 1 column"),
        (b'{"runs":\n[1,]}', "line 2 column 4"),
        (b'{"runs":[]} {}', "trailing characters at line 1 column 13"),
        (b"runs=1", "line 1 column 1"),
        (b'{"runs":[],"writer":"\xff"}', "line 1 column"),
        (b'{"runs":[{"run":"\\ud800"}]}', "line 1 column"),
        (b"[" * 100_000, "recursion limit"),
        (b'{"runs":' * 50_000, "recursion limit"),
        (b'{"runs":[{"run":"r","scalars":[{"tag":"t","values":[1],"steps":[' + b"9" * 100_000 + b"]}]}]}", "out of range"),
        ("{}".encode("utf-16"), "line 1 column 1"),
    ],
    ids=str,
)
def test_what_is_not_json_names_the_place_and_a_body_that_would_do(body, says):
    with pytest.raises(MalformedBody, match="send an object such as") as raised:
        json_v1.decode_batch(body)
    assert says in raised.value.message


def test_more_values_than_memory_should_hold_are_too_large(monkeypatch):
    monkeypatch.setattr(limits, "JSON_MAX_VALUES", 100)
    with pytest.raises(TooLarge, match="over 100 values"):
        json_v1.decode_batch(b'{"runs":[' + b",".join([b"{}"] * 100) + b"]}")


def test_errors_beyond_the_reported_ones_are_counted_not_kept():
    wrong = [{"run": "..", "scalars": []}] * (limits.REPORTED_ITEMS + 50)
    with pytest.raises(InvalidBatch) as raised:
        json_v1.decode_batch(body_with(*wrong))
    assert len(raised.value.errors) == limits.REPORTED_ITEMS


def test_a_field_name_of_a_megabyte_is_not_sent_back():
    with pytest.raises(InvalidBatch) as raised:
        json_v1.decode_batch(body_with({"run": "r", "x" * 2**20: 1}))
    assert len(raised.value.message) < 400


def test_every_kind_is_read():
    run = {
        "run": "a/b",
        "scalars": [{"tag": "x", "values": [1, 2.5, "NaN"], "steps": [1, 2, 3], "wall_times": [1, 2, 3.5]}],
        "summaries": [
            {"kind": "scalar", "tag": "y", "value": "-Infinity", "step": 4},
            {"kind": "scalar", "tag": "y", "value": 1, "step": 5},
            {"kind": "text", "tag": "t", "text": "hi ✓", "step": -(2**63), "wall_time": 9},
            {"kind": "histogram", "tag": "h", "values": [1, "Infinity"]},
            {"kind": "histogram", "tag": "b", "buckets": [[0, 1, 2], [1, 2, 0.5]], "step": 2**63 - 1},
        ],
    }
    batch = json_v1.decode_batch(body_with(run, writer="w", seq=7)).batch
    nan, inf = math.nan, math.inf
    expected = Batch(
        (
            RunBatch(
                "a/b",
                (
                    ScalarColumns("x", np.array([1, 2.5, nan]), np.array([1, 2, 3]), np.array([1, 2, 3.5])),
                    ScalarColumns("y", np.array([-inf, 1.0]), np.array([4, 5])),
                ),
                (
                    Text("t", "hi ✓", -(2**63), 9.0),
                    Histogram("h", np.array([1.0, inf])),
                    Histogram("b", buckets=Buckets(np.array([0.0, 1]), np.array([1.0, 2]), np.array([2, 0.5])), step=2**63 - 1),
                ),
            ),
        ),
        "w",
        7,
    )
    assert protobuf_v1.encode_batch(batch) == protobuf_v1.encode_batch(expected)


def test_bare_tokens_of_pythons_json_are_taken():
    batch = json_v1.decode_batch(b'{"runs":[{"run":"r","scalars":[{"tag":"t","values":[NaN,Infinity,-Infinity]}]}]}').batch
    assert np.array_equal(batch.runs[0].scalars[0].values, [math.nan, math.inf, -math.inf], equal_nan=True)


def test_numbers_beyond_a_double_are_infinite_on_both_paths():
    """A diverged loss must not lose the batch; TensorBoard's floats end at 3.4e38 anyway."""
    for extra in (b"", b',"NaN"'):
        body = b'{"runs":[{"run":"r","scalars":[{"tag":"t","values":[1e999,-1' + b"0" * 400 + extra + b"]}]}]}"
        assert json_v1.decode_batch(body).batch.runs[0].scalars[0].values[:2].tolist() == [math.inf, -math.inf]


def test_a_purge_is_read_with_points_or_alone_and_joins_those_of_its_run():
    alone, more = (
        {"run": "r", "purge_step": 5, "purge_wall_time": 2.5},
        {"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]},
    )
    for runs, points in (([alone], 0), ([alone, more], 1), ([more, alone], 1), ([{**alone, **more}], 1)):
        (run,) = json_v1.decode_batch(body_with(*runs)).batch.runs
        assert (run.purge_step, run.purge_wall_time, run.points) == (5, 2.5, points)


def test_rows_of_a_tag_join_and_a_run_named_twice_is_one():
    rows = [{"kind": "scalar", "tag": "t", "value": v, "step": s} for s, v in ((1, 0.5), (2, 0.25))]
    batch = json_v1.decode_batch(body_with({"run": "r", "summaries": rows}, columns(steps=[3, 4]))).batch
    (run,) = batch.runs
    (column,) = run.scalars
    assert column.steps.tolist() == [1, 2, 3, 4]
    assert column.values.tolist() == [0.5, 0.25, 1.0, 2.0]


def test_rows_of_a_tag_with_and_without_step_are_refused():
    rows = [{"kind": "scalar", "tag": "t", "value": 1, "step": 1}, {"kind": "scalar", "tag": "t", "value": 2}]
    with pytest.raises(InvalidBatch, match="1 of the 2 values") as raised:
        json_v1.decode_batch(body_with({"run": "r", "summaries": rows}))
    assert raised.value.errors[0].path == "runs[0].summaries[0].step"


@pytest.mark.parametrize("example", [json_v1_schema.WRITE_EXAMPLE, json_v1_schema.ONE_POINT_EXAMPLE])
def test_published_examples_are_good(example):
    assert json_v1.decode_batch(json.dumps(example).encode()).batch.points


# --- both paths say the same --------------------------------------------------------------------------------------------

numbers = st.floats(width=64) | st.integers(-(2**70), 2**70)
steps = st.integers(-(2**63), 2**63 - 1)
times = st.floats(-1e12, 1e12)
tags = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)


@st.composite
def column_items(draw):
    values = draw(st.lists(numbers, min_size=1, max_size=6))
    item = {"tag": draw(tags), "values": values}
    if draw(st.booleans()):
        item["steps"] = draw(st.lists(steps, min_size=len(values), max_size=len(values)))
    if draw(st.booleans()):
        item["wall_times"] = draw(st.lists(times, min_size=len(values), max_size=len(values)))
    return item


placed = st.fixed_dictionaries({"tag": tags}, optional={"step": steps, "wall_time": times})
summary_items = st.one_of(
    placed.flatmap(lambda p: st.fixed_dictionaries({"kind": st.just("scalar"), "value": numbers}).map(lambda d: {**d, **p})),
    placed.flatmap(
        lambda p: st.fixed_dictionaries({"kind": st.just("text"), "text": st.text(st.characters(codec="utf-8"))}).map(
            lambda d: {**d, **p}
        )
    ),
    placed.flatmap(
        lambda p: st.fixed_dictionaries({"kind": st.just("histogram"), "values": st.lists(numbers)}).map(lambda d: {**d, **p})
    ),
)
run_items = st.fixed_dictionaries(
    {"run": st.sampled_from(["a", "a/b", "c"])},
    optional={
        "scalars": st.lists(column_items(), max_size=4),
        "summaries": st.lists(summary_items, max_size=6),
        "logs": st.lists(
            st.fixed_dictionaries(
                {"message": st.text(st.characters(codec="utf-8"))},
                optional={"level": st.integers(0, 255), "logger": st.sampled_from(["", "train"]), "wall_time": times},
            ),
            max_size=3,
        ),
        "create": st.booleans(),
    },
)


GROUPS = Groups([NormalGroup("a"), IndexedGroup("c", 2)])


def as_member(item):
    """The same item as a member's, some of a group, some of none."""
    return {**{field: said for field, said in item.items() if field != "run"}, "member": item["run"] + "/1"}


@given(st.lists(run_items | run_items.map(as_member), max_size=4))
def test_the_careful_path_reads_what_the_fast_path_reads(runs):
    body = body_with(*runs, writer="w", seq=1)

    def outcome(decode):
        try:
            return protobuf_v1.encode_batch(decode().batch)
        except InvalidBatch as error:
            return error.errors

    careful = outcome(lambda: json_v1._decode_carefully(body, ItemErrors(partial=False), GROUPS))
    assert outcome(lambda: json_v1.decode_batch(body, groups=GROUPS)) == careful


@given(st.recursive(st.none() | st.booleans() | numbers | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_is_read_or_refused(anything):
    """In the places where the shape is looser than the schema says, nothing but our own errors comes out."""
    for body in (anything, {"runs": anything}, {"runs": [anything]}, {"runs": [{"run": "r", "scalars": [anything]}]}):
        for partial in (False, True):
            try:
                json_v1.decode_batch(json.dumps(body).encode(), partial=partial)
            except (InvalidBatch, MalformedBody):
                continue


@pytest.mark.parametrize("extra", ["", ', "scalars": 5'], ids=["clean", "with a fault"])
def test_more_log_records_than_memory_is_made_for_are_refused(monkeypatch: pytest.MonkeyPatch, extra: str) -> None:
    monkeypatch.setattr(limits, "LOG_RECORDS_MAX", 3)
    logs = ", ".join(['{"message": "m"}'] * 2)
    runs = ", ".join(f'{{"run": "{name}", "logs": [{logs}]{extra}}}' for name in "ab")
    with pytest.raises(TooLarge, match="over 3 log records; send fewer"):
        json_v1.decode_batch(f'{{"runs": [{runs}]}}'.encode(), partial=True)
