"""crayon's bodies: what becomes a point or a histogram, and what is refused in words that say which part is wrong."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from tbbridge import limits
from tbbridge.errors import InvalidItem, MalformedBody, TBBridgeError
from tbbridge.foreign import summary_pb2 as pb
from tbbridge.model import RawValue
from tbbridge.wire import crayon, family

RUN, TAG = crayon.experiment("foo"), crayon.series("bar")
READY = {"min": 0, "max": 100, "num": 3, "bucket_limit": [10, 50, 30], "bucket": [5, 45, 25]}
INFINITE, NAN = float("inf"), float("nan")


def sent(content: Any) -> bytes:
    return json.dumps(content).encode()


def histo_of(content: Any, *, build: bool) -> pb.HistogramProto:
    (run,) = crayon.decode_histogram(RUN, TAG, sent([1.5, 7, content]), build=build).runs
    (value,) = run.summaries
    assert isinstance(value, RawValue)
    assert (run.run, value.tag, value.step, value.wall_time, value.plugin_name) == ("foo", "bar", 7, 1.5, "histograms")
    return pb.Summary.Value.FromString(value.value).histo


@pytest.mark.parametrize(
    ("body", "point"),
    [
        (b"[1.5, 7, 2]", (1.5, 7, 2.0)),
        (b"[0, 0, 0.25]", (0.0, 0, 0.25)),
        (b"[1.5,7.0,2.0]", (1.5, 7, 2.0)),  # Lua has one type of numbers
        (b" [-1, -1, -1]\n", (-1.0, -1, -1.0)),
        (b"[1, 2, Infinity]", (1.0, 2, INFINITE)),
        (b"[1, 2, -Infinity]", (1.0, 2, -INFINITE)),
        (b"[1, 9223372036854775807, 1e300]", (1.0, 2**63 - 1, 1e300)),
    ],
)
def test_a_point_is_what_was_sent(body, point):
    (run,) = crayon.decode_scalar(RUN, TAG, body).runs
    (column,) = run.scalars
    assert (run.run, column.tag) == ("foo", "bar")
    assert (column.wall_times[0], column.steps[0], column.values[0]) == point


def test_a_nan_is_taken_as_pythons_json_writes_it():
    (run,) = crayon.decode_scalar(RUN, TAG, b"[1, 2, NaN]").runs
    assert math.isnan(run.scalars[0].values[0])


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b"", MalformedBody, "the body is empty; send [wall_time, step, value]"),
        (b"[1, 2, 3", MalformedBody, "the body is not JSON"),
        (b"\xff", MalformedBody, "the body is not JSON"),
        (b"[" * 100_000, MalformedBody, "the body is not JSON"),
        (b'{"a": 1}', InvalidItem, "the body is an object; send [wall_time, step, value], a list"),
        (b"3", InvalidItem, "the body is 3"),
        (b"null", InvalidItem, "the body is null"),
        (b"[1, 2]", InvalidItem, "the list has 2 items, not 3"),
        (b"[1, 2, 3, 4]", InvalidItem, "the list has 4 items, not 3"),
        (b'[1, 2, "lol"]', InvalidItem, 'value is the text "lol"; send a number'),
        (b"[1, 2, true]", InvalidItem, "value is true"),
        (b"[1, 2, null]", InvalidItem, "value is null"),
        (b"[1, 2, [3]]", InvalidItem, "value is a list"),
        (b'["now", 2, 3]', InvalidItem, "wall_time is the text"),
        (b"[NaN, 2, 3]", InvalidItem, "wall_time is nan; send a finite number"),
        (b"[1, 2.5, 3]", InvalidItem, "step is 2.5; send a whole number"),
        (b"[1, NaN, 3]", InvalidItem, "step is nan"),
        (b"[1, true, 3]", InvalidItem, "step is true"),
        (b"[1, 9223372036854775808, 3]", InvalidItem, "does not fit in 64 bits"),
        (b"[1, 1e300, 3]", InvalidItem, "does not fit in 64 bits"),
        (b"[1, 2, 1" + b"0" * 400 + b"]", InvalidItem, "value is larger than a double can hold"),
    ],
)
def test_a_body_that_is_no_point_is_refused_and_the_text_says_why(body, error, says):
    with pytest.raises(error) as raised:
        crayon.decode_scalar(RUN, TAG, body)
    assert says in raised.value.message
    assert len(raised.value.message) < 300


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (None, "missing or empty"),
        ("", "missing or empty"),
        ("../up", "'..'"),
        ("/root", "starts with '/'"),
        ("a//b", "the part ''"),
        ("line\nbreak", "control character"),
        ("nul\0", "control character"),
        ("x" * 10_000, "1 to 512 bytes"),
        ("\ud800", "lone surrogate"),
        (".tbbridge", "kept for tbbridge"),
    ],
)
def test_a_name_that_only_crayon_could_form_is_refused_naming_the_rule(name, says):
    with pytest.raises(InvalidItem) as raised:
        crayon.experiment(name)
    assert raised.value.message.startswith("xp: ")
    assert says in raised.value.message


@pytest.mark.parametrize("name", ['it\'s "quoted"; rm -rf $HOME', "a b", "lr=1e-3,λ", "deep/er", "x" * 255])
def test_a_name_that_crayons_server_built_shell_commands_from_is_only_a_name(name):
    assert crayon.experiment(name) == name


@pytest.mark.parametrize(("name", "says"), [(None, "missing or empty"), ("", "missing or empty"), ("t" * 1025, "at most 1024")])
def test_a_series_needs_a_name(name, says):
    with pytest.raises(InvalidItem, match=r"^name: ") as raised:
        crayon.series(name)
    assert says in raised.value.message


# --- histograms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "sums"),
    [({}, (0, 0)), ({"sum": 75}, (75, 0)), ({"sum_squares": 5625}, (0, 5625)), ({"sum": 1, "sum_squares": 2}, (1, 2))],
)
def test_a_ready_histogram_is_kept_as_sent_also_with_edges_out_of_order(extra, sums):
    histo = histo_of({**READY, **extra}, build=False)
    assert (histo.min, histo.max, histo.num) == (0, 100, 3)
    assert (histo.sum, histo.sum_squares) == sums
    assert (list(histo.bucket_limit), list(histo.bucket)) == ([10, 50, 30], [5, 45, 25])


@pytest.mark.parametrize("values", [[1, 2, 3, 4, 5], [0.5], [-1e300, 1e300], [3, 3, 3], list(range(1000))])
def test_a_histogram_built_here_counts_every_value_and_adds_them_up_exactly(values):
    histo = histo_of(values, build=True)
    array = np.array(values, np.float64)
    assert (histo.min, histo.max, histo.num) == (array.min(), array.max(), len(values))
    assert histo.sum == array.sum()
    with np.errstate(over="ignore"):
        assert histo.sum_squares == (array**2).sum()
    assert sum(histo.bucket) == len(values)
    assert list(histo.bucket_limit) == sorted(histo.bucket_limit)
    assert histo.bucket_limit[-1] == array.max()


def test_what_is_not_finite_is_not_counted():
    histo = histo_of([1.0, NAN, INFINITE, 2.0], build=True)
    assert (histo.num, histo.sum, sum(histo.bucket)) == (2, 3.0, 2)


@pytest.mark.parametrize(
    ("content", "build", "says"),
    [
        ([1, 2], False, "histogram is a list; send an object with min, max, num, bucket_limit, bucket"),
        ("x", False, "histogram is the text"),
        ({"some data": 0}, False, "histogram lacks min, max, num, bucket_limit, bucket"),
        ({**READY, "limits": 1}, False, 'histogram has the text "limits"'),
        ({**READY, "min": "0"}, False, "min is the text"),
        ({**READY, "max": NAN}, False, "max is nan; send a finite number"),
        ({**READY, "num": True}, False, "num is true"),
        ({**READY, "bucket": 5}, False, "bucket is 5; send a list of numbers"),
        ({**READY, "bucket": [1, 2]}, False, "bucket_limit has 3 numbers and bucket 2"),
        ({**READY, "bucket": [1, 2, None]}, False, "bucket[2] is null"),
        ({**READY, "bucket": [1, -2, 0]}, False, "bucket holds the count -2"),
        ({**READY, "bucket_limit": [1, 2, INFINITE]}, False, "bucket_limit holds NaN or infinity"),
        ({**READY, "bucket_limit": [], "bucket": []}, False, "at least one"),
        ({**READY, "bucket": [0] * (limits.HISTOGRAM_MAX_BUCKETS + 1)}, False, "at most 4096"),
        (["lolz", "lulz"], True, 'values[0] is the text "lolz"'),
        ([[1, 2]], True, "values[0] is a list"),
        ([], True, "no finite number"),
        ([NAN], True, "no finite number"),
        (READY, True, "values is an object; send a list of numbers"),
        ([0] * (limits.HISTOGRAM_MAX_VALUES + 1), True, "at most 1048576"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_no_histogram_is_refused_and_the_text_says_why(content, build, says):
    with pytest.raises(InvalidItem) as raised:
        crayon.decode_histogram(RUN, TAG, sent([0, 0, content]), build=build)
    assert says in raised.value.message


def test_too_many_values_are_refused_before_they_are_parsed():
    body = b"[" + b"0," * (limits.JSON_MAX_VALUES + 1) + b"0]"
    with pytest.raises(TBBridgeError, match=f"over {limits.JSON_MAX_VALUES} values"):
        crayon.decode_scalar(RUN, TAG, body)


def test_sums_of_buckets_are_those_of_their_middles():
    edges = np.array([0.0, 2.0, 4.0])
    assert crayon.sums_of(edges[:-1], edges[1:], np.array([3.0, 1.0])) == (3 * 1 + 1 * 3, 3 * 1 + 1 * 9)


@pytest.mark.parametrize(
    ("came", "flag"),
    [(None, False), ("false", False), ("False", False), ("0", False), ("true", True), ("True", True), ("1", True)],
)
def test_flags_are_read_as_python_and_lua_write_them(came, flag):
    assert family.flag(came, "force") is flag


def test_a_flag_that_is_neither_is_refused():
    with pytest.raises(InvalidItem, match='tobuild is the text "yes"; send true or false'):
        family.flag("yes", "tobuild")
