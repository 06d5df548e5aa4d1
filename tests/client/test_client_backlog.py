"""The two queues of a client: bounds, what is dropped, and what counts as settled."""

from __future__ import annotations

import ctypes
import logging
import sys

import numpy as np
import pytest

from tbbridge.client.backlog import Backlog, Mark, Note
from tbbridge.client.points import Logged, Point, Points, RowForm
from tbbridge.model import run_name, tag_name


class FakeSender:
    """Counts how often it is started and woken; sends nothing."""

    def __init__(self, backlog: Backlog) -> None:
        self.started = self.woken = 0
        backlog.start_sender, backlog.wake_sender = self.start, self.wake

    def start(self) -> bool:
        self.started += 1
        return True

    def wake(self) -> None:
        self.woken += 1


def make(max_points: int = 100, max_bytes: int = 10_000, batch_points: int = 10) -> tuple[Backlog, FakeSender]:
    backlog = Backlog(max_points, max_bytes, batch_points, 5_000)
    return backlog, FakeSender(backlog)


def points(first: int, last: int) -> list[Point]:
    return [(0, float(number), number, 0.0) for number in range(first, last)]


def note(text: str = "") -> Note:
    return Note(run_name("r"), tag_name("t"), text, 0, 0.0)


def row(step: int, size: int) -> list[Logged | None]:
    """A row and its Nones."""
    form = RowForm(range(size))
    packed = form.packed([float(step)] * size)
    assert packed is not None
    return [(form.series, packed, step, 0.0), *form.nones]


def numbers(taken: Points) -> list[int]:
    return [step for _, _, step, _ in taken.each()]


def test_the_first_point_starts_the_sender_and_the_others_do_not() -> None:
    backlog, sender = make()
    backlog.extend(points(0, 1))
    backlog.extend(points(1, 5))
    assert (sender.started, sender.woken) == (1, 0)


def test_a_full_batch_wakes_the_sender_once() -> None:
    backlog, sender = make()
    for number in range(100):
        backlog.extend(points(number, number + 1))
    assert sender.woken == 1
    while backlog.take(backlog.mark()):
        backlog.settle()
    backlog.extend(points(0, 10))
    assert sender.woken == 2


def test_the_oldest_points_are_dropped_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    backlog, _ = make(max_points=100)
    backlog.extend(points(0, 130))
    backlog.extend(points(130, 150))
    assert backlog.dropped == 50
    assert [point[2] for point in backlog.points if point] == list(range(50, 150))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


def test_a_row_is_taken_whole_where_a_batch_ends_in_it() -> None:
    backlog, sender = make(batch_points=10)
    backlog.extend(points(0, 8))
    for step in (8, 9):
        backlog.extend(row(step, 5))
    assert (sender.woken, backlog.waiting) == (1, 18)
    mark = backlog.mark()
    loads = [backlog.take(mark), backlog.take(mark), backlog.take(mark)]
    assert [numbers(load.points) for load in loads if load] == [[*range(8), 8, 8, 8, 8, 8], [9] * 5]
    assert [len(load) for load in loads if load] == [13, 5]
    backlog.settle()
    assert backlog.settled(mark)
    assert backlog.waiting == 0


def test_what_a_full_queue_drops_of_rows_is_counted_in_points() -> None:
    backlog, _ = make(max_points=20)
    for step in range(6):
        backlog.extend(row(step, 5))
    assert (backlog.dropped, backlog.waiting) == (10, 20)
    backlog.extend(points(6, 8))
    assert (backlog.dropped, backlog.waiting) == (15, 17)
    load = backlog.take(backlog.mark())
    assert load is not None
    assert numbers(load.points) == [3] * 5 + [4] * 5


def test_a_small_queue_has_small_rows() -> None:
    assert make(max_points=64, batch_points=64)[0].row_max_points == 4
    assert make(max_points=10)[0].row_max_points == 0


def test_an_outage_does_not_wake_the_sender_at_every_point() -> None:
    backlog, sender = make(max_points=20)
    for number in range(1000):
        backlog.extend(points(number, number + 1))
    assert sender.woken == 1
    assert len(backlog.points) == 20


def test_the_oldest_notes_are_dropped_by_their_bytes() -> None:
    backlog, _ = make(max_bytes=3 * note("a" * 100).size_bytes)
    for letter in "abcde":
        backlog.add(note(letter * 100))
    assert backlog.dropped == 2
    load = backlog.take(backlog.mark())
    assert load is not None
    assert [str(kept.content)[0] for kept in load.notes] == ["c", "d", "e"]


def test_a_note_larger_than_the_bound_does_not_stay() -> None:
    backlog, _ = make(max_bytes=1000)
    backlog.add(Note(run_name("r"), tag_name("t"), np.zeros(1000), 0, 0.0))
    assert (backlog.dropped, backlog.waiting) == (1, 0)


def test_nothing_is_taken_before_it_is_due_unless_a_batch_is_full() -> None:
    backlog, _ = make(batch_points=10)
    backlog.extend(points(0, 9))
    assert backlog.take(Mark(0, 0)) is None
    backlog.extend(points(9, 12))
    load = backlog.take(Mark(0, 0))
    assert load is not None
    assert numbers(load.points) == list(range(10))
    assert backlog.take(Mark(10, 0)) is None
    load = backlog.take(Mark(11, 0))
    assert load is not None
    assert numbers(load.points) == [10, 11]


def test_a_mark_is_settled_when_all_before_it_has_left_and_is_answered() -> None:
    backlog, _ = make(batch_points=10)
    backlog.extend(points(0, 15))
    backlog.add(note())
    mark = backlog.mark()
    backlog.extend(points(15, 16))
    assert not backlog.settled(mark)
    assert backlog.take(mark)
    assert not backlog.settled(mark)
    backlog.settle()
    assert not backlog.settled(mark)
    assert backlog.take(mark)
    assert not backlog.settled(mark)
    assert backlog.waiting == 6
    backlog.settle()
    assert backlog.settled(mark)
    assert backlog.waiting == 0


def test_points_dropped_behind_the_load_under_way_do_not_settle_it() -> None:
    backlog, _ = make(max_points=20, batch_points=10)
    backlog.extend(points(0, 10))
    mark = backlog.mark()
    assert backlog.take(mark)
    backlog.extend(points(10, 60))
    assert backlog.dropped == 30
    assert not backlog.settled(mark)
    backlog.settle()
    assert backlog.settled(mark)


def test_without_a_sender_the_bound_holds_too() -> None:
    backlog = Backlog(100, 1000, 10, 1000)
    for number in range(500):
        backlog.extend(points(number, number + 1))
    assert len(backlog.points) == 100
    assert backlog.dropped == 400


def test_a_forked_child_starts_empty() -> None:
    backlog, sender = make()
    queue = backlog.points
    backlog.extend(points(0, 200))
    backlog.add(note())
    backlog.forget()
    assert backlog.points is queue  # runs hold it
    assert (backlog.waiting, backlog.dropped, backlog.mark()) == (0, 0, Mark(0, 0))
    backlog.extend(points(0, 1))
    assert sender.started == 2


@pytest.mark.parametrize("character", ["a", "\u00e9", "\u20ac", "\U0001f600"], ids=["ASCII", "Latin", "euro", "emoji"])
def test_texts_of_wide_characters_do_not_wait_in_four_times_the_memory_allowed(character: str) -> None:
    text = character * 10_000
    assert note(text).size_bytes >= sys.getsizeof(text)
    backlog, _ = make(max_bytes=1_000_000)
    for _ in range(200):
        backlog.add(note(character * 10_000))
    load = backlog.take(backlog.mark())
    held = 0
    while load is not None:
        held += sum(sys.getsizeof(kept.content) for kept in load.notes)
        backlog.settle()
        load = backlog.take(backlog.mark())
    assert 0 < held <= 1_000_000


def test_a_text_weighs_the_same_when_it_leaves_as_when_it_came() -> None:
    """Python may keep a text's UTF-8 beside it, which then counts in its size; the room left must not drift away by that."""
    text = "\u00e9" * 1000
    waiting = note(text)
    before = waiting.size_bytes
    ctypes.pythonapi.PyUnicode_AsUTF8(ctypes.py_object(text))
    assert sys.getsizeof(text) > 3000
    assert waiting.size_bytes == before
