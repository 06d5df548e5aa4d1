"""Values that cannot be wrong: each check at birth, with the part it names and the remedy it gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tbbridge.errors import InvalidItem
from tbbridge.model import (
    Batch,
    Buckets,
    Histogram,
    RunBatch,
    ScalarColumns,
    Text,
    check_step,
    join_columns,
    run_name,
    tag_name,
)


@pytest.mark.parametrize(
    "name",
    [
        "a",
        "a/b/c",
        "run0,lr=1e-3,lambda=1e-1",
        "ünï/コード",
        "..a",
        "a..",
        "...",
        "a b",
        "-rf",
        "$(x)`y`;|&",
        "x" * 255,
        "ab/" * 170 + "xx",
    ],
)
def test_a_run_may_be_called(name: str) -> None:
    assert run_name(name) == name


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("", "1 to 512 bytes"),
        ("x" * 513, "1 to 512 bytes"),
        ("é" * 257, "this one has 514"),
        ("/etc", "relative to the log folder"),
        ("a//b", "plain names"),
        ("a/", "plain names"),
        (".", "plain names"),
        ("..", "plain names"),
        ("a/../../b", "plain names"),
        ("a/./b", "plain names"),
        ("a\0b", "remove it"),
        ("a\nb", "remove it"),
        ("a\x7fb", "remove it"),
        ("a\x85b", "remove it"),
        ("\ud800", "valid Unicode"),
        ("x" * 256, "shorten it or split it"),
        (".tbbridge", "rename it"),
        ("a/.TBBridge/b", "rename it"),
        ("events.out.tfevents.1", "rename it"),
    ],
)
def test_a_run_may_not_be_called(name: str, remedy: str) -> None:
    with pytest.raises(InvalidItem, match=remedy) as caught:
        run_name(name)
    assert caught.value.where == "run"
    assert caught.value.message.isprintable(), "control characters never reach a log or a terminal"


@pytest.mark.parametrize("tag", ["a", "/x", "loss/train", " ", "\n", "ü" * 512, "x" * 1024])
def test_a_tag_may_be(tag: str) -> None:
    assert tag_name(tag) == tag


@pytest.mark.parametrize(
    ("tag", "remedy"), [("", "give the series a name"), ("x" * 1025, "shorten"), ("\udc00", "valid Unicode")]
)
def test_a_tag_may_not_be(tag: str, remedy: str) -> None:
    with pytest.raises(InvalidItem, match=remedy):
        tag_name(tag)


T = tag_name("t")
ONE = np.ones(1)
TWO = np.ones(2)


@pytest.mark.parametrize(
    ("make", "where", "remedy"),
    [
        (lambda: ScalarColumns(T, np.ones(0)), "values", "send at least one"),
        (lambda: ScalarColumns(T, TWO, np.arange(1)), "steps", "one step a value"),
        (lambda: ScalarColumns(T, TWO, np.arange(2), ONE), "wall_times", "one a value"),
        (lambda: ScalarColumns(T, TWO, None, np.array([1.0, np.nan])), "wall_times[1]", "finite seconds"),
        (lambda: ScalarColumns(T, TWO, None, np.array([-np.inf, 1.0])), "wall_times[0]", "finite seconds"),
        (lambda: ScalarColumns("", ONE), "tag", "name"),
        (lambda: Text(T, "x", wall_time=float("inf")), "wall_time", "finite seconds"),
        (lambda: Text(T, "x", step=2**63), "step", "64 bits"),
        (lambda: check_step(-(2**63) - 1), "step", "64 bits"),
        (lambda: Text(T, "x" * (1024 * 1024 + 1)), "text", "shorten"),
        (lambda: Text(T, "\udc80"), "text", "valid Unicode"),
        (lambda: Histogram(T), "values", "exactly one"),
        (lambda: Histogram(T, ONE, Buckets(ONE, ONE, ONE)), "values", "exactly one"),
        (lambda: Histogram(T, np.ones(1024 * 1024 + 1)), "values", "send buckets instead"),
        (lambda: Buckets(ONE, TWO, TWO), "buckets", "one of each"),
        (lambda: Buckets(np.array([0.0, 0.5]), np.array([1.0, 2.0]), TWO), "buckets", "sort the buckets"),
        (lambda: Buckets(ONE, ONE - 1, ONE), "buckets", "sort the buckets"),
        (lambda: Buckets(ONE, ONE * np.inf, ONE), "buckets", "finite numbers"),
        (lambda: Buckets(ONE, ONE, -ONE), "buckets", "from 0 up"),
        (lambda: Buckets(np.ones(4097), np.ones(4097), np.ones(4097)), "buckets", "merge"),
        (lambda: Batch((), writer="w"), "seq", "both writer and seq"),
        (lambda: Batch((), seq=1), "writer", "both writer and seq"),
        (lambda: Batch((), writer="w" * 129, seq=1), "writer", "UUID"),
        (lambda: Batch((), writer="w", seq=2**63), "seq", "from 1"),
        (
            lambda: join_columns([ScalarColumns(T, ONE, np.arange(1)), ScalarColumns(T, ONE)]),
            "steps",
            "to all its points or none",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_remedy(make: Callable[[], object], where: str, remedy: str) -> None:
    with pytest.raises(InvalidItem, match=remedy) as caught:
        make()
    assert caught.value.where == where


def test_columns_of_one_tag_are_joined_in_order_and_others_left_alone() -> None:
    other = ScalarColumns(tag_name("other"), ONE)
    joined = join_columns([ScalarColumns(T, ONE, np.array([1])), other, ScalarColumns(T, TWO * 2, np.array([2, 3]))])
    assert [(column.tag, column.values.tolist()) for column in joined] == [("t", [1, 2, 2]), ("other", [1])]
    assert joined[0].steps is not None
    assert joined[0].steps.tolist() == [1, 2, 3]


def test_a_batch_weighs_about_what_it_holds() -> None:
    million = ScalarColumns(T, np.ones(1_000_000))
    text = Text(T, "x" * 100_000)
    small, large = (Batch((RunBatch(run_name("a"), columns),)) for columns in ((), (million,)))
    assert 24_000_000 <= large.size_bytes - small.size_bytes < 25_000_000
    assert Batch((RunBatch(run_name("a"), (), (text,)),)).size_bytes > 100_000
    assert Batch(()).size_bytes > 0, "an empty request is not free"
