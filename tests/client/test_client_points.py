"""Rows of points wait and travel as the points that they are: none lost, each series in order, whatever they are mixed with."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from fake_server import Server, at_once
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import Client
from tbbridge.client.points import Logged, Point, Points, RowForm, is_row
from tbbridge.errors import InvalidItem

# Two that have series in common, and one that is the first again: what another run with the same tags would have.
FORMS = [RowForm([0, 1, 2]), RowForm([5, 2]), RowForm([0, 1, 2])]
NUMBERS = st.floats(allow_nan=False)
STEPS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def rows(draw: st.DrawFn) -> Logged:
    form = draw(st.sampled_from(FORMS))
    packed = form.packed(draw(st.lists(NUMBERS, min_size=form.size, max_size=form.size)))
    assert packed is not None
    return form.series, packed, draw(STEPS), draw(TIMES)


MIXED = st.lists(st.tuples(st.integers(0, 6), NUMBERS, STEPS, TIMES) | rows())


def one_by_one(items: Sequence[Logged]) -> list[Point]:
    """What was logged, read in another way than the code does."""
    found: list[Point] = []
    for series, value, step, wall_time in items:
        if isinstance(series, tuple):
            assert isinstance(value, bytes)
            found += [
                (number, value, step, wall_time) for number, value in zip(series, memoryview(value).cast("d"), strict=True)
            ]
        else:
            assert isinstance(value, float)
            found.append((series, value, step, wall_time))
    return found


@given(MIXED)
def test_each_series_is_one_column_in_the_order_logged(items: list[Logged]) -> None:
    expected: dict[int, list[tuple[float, int, float]]] = {}
    for series, *rest in one_by_one(items):
        expected.setdefault(series, []).append(tuple(rest))  # type: ignore[arg-type]
    points = Points.of(items)
    found = {}
    for series, values, steps, wall_times in points.columns():
        assert series not in found
        assert (values.dtype, steps.dtype, wall_times.dtype) == (np.float64, np.int64, np.float64)
        found[series] = list(zip(values.tolist(), steps.tolist(), wall_times.tolist(), strict=True))
    assert found == expected
    assert points.series() == set(expected)
    assert len(points) == sum(map(len, expected.values()))


@given(MIXED.filter(lambda items: len(one_by_one(items)) > 1))
def test_halves_are_what_the_whole_was(items: list[Logged]) -> None:
    first, second = Points.of(items).halves()
    assert [*first.each(), *second.each()] == one_by_one(items)
    assert (len(first), len(second)) == (len([*first.each()]), len([*second.each()]))
    assert first
    assert second


@pytest.mark.parametrize(
    "value",
    ["1", None, True, Decimal(1), np.array([1.0]), np.int64(3), 10**400, [1.0], float],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_no_plain_number_makes_no_row(value: object) -> None:
    assert RowForm([0, 1]).packed([1.0, value]) is None


def test_a_value_too_many_makes_no_row() -> None:
    assert RowForm([0, 1]).packed([1.0, 2.0, 3.0]) is None


# --- as users log them ------------------------------------------------------------------------------------------------

Value = float | int | np.floating[Any]


def test_the_same_tags_again_are_the_same_to_the_server(server: Server) -> None:
    """Whatever the numbers are, in whatever order the tags stand, and beside other ways to log."""
    expected: dict[str, list[tuple[int, float]]] = {tag: [] for tag in "abc"}
    with Client(server.url) as client, client.run("r") as run:

        def log(step: int, **values: Value) -> None:
            run.add_scalars(values, step)
            for tag, value in values.items():
                expected[tag].append((step, float(value)))

        for step in range(5):
            log(step, a=step / 3, b=step, c=np.float32(0.1))
        log(5, c=1.5, a=2.5, b=3)
        run.add_scalar("b", 7, 6)
        expected["b"].append((6, 7))
        run.step(7)
        run.add_scalar("a", 8)  # an open step
        expected["a"].append((7, 8))
        log(8, a=np.int64(1), b=np.float64(2), c=3)
        log(9, a=2**53, b=-1, c=float("inf"))
        log(10, a=1, b=2)
        log(11, a=1, b=2)
    found = {tag: list(zip(server.steps("r", tag), server.values("r", tag), strict=True)) for tag in "abc"}
    assert found == expected


def test_tags_that_were_logged_together_before_wait_as_one_row(server: Server) -> None:
    with Client(server.url, flush_interval_s=3600) as client, client.run("r") as run:
        for step in range(3):
            run.add_scalars({"a": 1.0, "b": 2, "c": 3.0}, step)
        waiting = list(client.outbox.backlog.points)
        assert [item[2] for item in waiting if item is not None and is_row(item)] == [1, 2], "the first has to learn the tags"
        assert len(waiting) == client.stats.queued == 9, "each point counts"


def test_a_wrong_value_of_known_tags_is_refused_as_that_of_new_ones(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run:
        for step in range(2):
            run.add_scalars({"a": 1, "b": 2, "c": 3}, step)
        for wrong in ("x", None, 10**400, np.zeros(2)):
            with pytest.raises(InvalidItem, match="'b'"):
                run.add_scalars({"a": 4, "b": wrong, "c": 6}, 2)  # type: ignore[dict-item]
        run.add_scalars({"a": True, "b": np.array([5.0])}, 3)
    assert server.values("r", "a") == [1, 1, 4, 4, 4, 4, 1]
    assert server.values("r", "b") == [2, 2, 5]
    assert server.values("r", "c") == [3, 3]


def test_a_run_that_is_closed_takes_no_row(server: Server) -> None:
    with Client(server.url) as client:
        run = client.run("r")
        for step in range(3):
            run.add_scalars({"a": 1, "b": 2}, step)
        run.close()
        with pytest.raises(RuntimeError, match="closed"):
            run.add_scalars({"a": 1, "b": 2}, 3)
    assert server.steps("r", "a") == [0, 1, 2]


def test_rows_of_several_threads_and_points_between_them_in_small_batches(server: Server) -> None:
    """Each point once, each tag in its order, and no body larger than it may be."""

    def work(number: int) -> None:
        run = client.run(f"run{number % 2}")
        tags = [f"{number}/{tag}" for tag in range(20)]
        for step in range(0, 400, 2):
            run.add_scalars(dict.fromkeys(tags, float(step)), step)
            run.add_scalar(tags[3], step + 1, step + 1)
        run.close()

    with Client(server.url, flush_interval_s=0.01, batch_max_bytes=20_000) as client:
        at_once(work, 4)
        client.flush()
        assert client.stats.sent == 4 * 200 * 21
    for number in range(4):
        for tag in range(20):
            expected = [*range(400)] if tag == 3 else [*range(0, 400, 2)]
            assert server.values(f"run{number % 2}", f"{number}/{tag}") == expected
    assert max(server.sizes) <= 20_000


def test_a_training_with_ever_new_tags_does_not_remember_all_of_them(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run:
        for step in range(300):
            for _ in range(2):
                run.add_scalars({f"a{step}": step, f"b{step}": step}, step)
        assert len(run._forms) < 100
    assert [server.values("r", f"a{step}") for step in range(300)] == [[step, step] for step in range(300)]
