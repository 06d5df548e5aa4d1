"""The logbook by itself: it keeps the bounds, what it counts is what is there, and what is taken back leaves no trace."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.model import LogRecord, RunName, run_name
from tbbridge.pipeline.logbook import Lines, Log, Logbook, LogFile, LogKeeper, LogSettings

BLOCK = 4096


class Disk:
    """The files as the decisions make them; nobody else touches them."""

    def __init__(self) -> None:
        self.files: dict[LogFile, int] = {}

    def is_live(self, log: Log) -> bool:
        return self.files.get(LogFile(log.run, log.generation)) == log.length

    def generations(self, run: RunName) -> list[int]:
        return sorted(file.generation for file in self.files if file.run == run)

    def do(self, lines: Lines, dropped: list[LogFile]) -> None:
        for file in dropped:
            del self.files[file]
        file = LogFile(lines.run, lines.generation)
        assert self.files.get(file, 0) == lines.offset, "a gap, or written over"
        self.files[file] = lines.offset + len(lines.data)


def content(book: Logbook) -> tuple[dict[str, Log], dict[LogFile, int], int, dict[str, int], int]:
    return dict(book.current), dict(book.rotated), book.total, dict(book.ended), book.ended_floor


@pytest.fixture(autouse=True)
def _few_ended_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOGS_ENDED_MAX", 1)


# (run, bytes of the message); None: the group is not journalled and comes again
STEPS = st.lists(st.one_of(st.tuples(st.sampled_from("abcd"), st.integers(0, 6000)), st.none()), max_size=40)


@pytest.mark.parametrize("overwrite", [False, True])
@given(steps=STEPS)
def test_bounds_hold_and_the_count_is_right(overwrite: bool, steps: list[tuple[str, int] | None]) -> None:
    book, disk = Logbook(), Disk()
    disk.files[LogFile(run_name("a"), 3)] = 100  # of an earlier life
    book.adopt([(LogFile(run_name("a"), 3), 100)])
    settings = LogSettings(overwrite=overwrite, file_max_bytes=5000, max_bytes=4 * BLOCK)
    keeper = LogKeeper(book, disk, settings)
    used = {(run_name("a"), 3)}
    for number, step in enumerate(steps):
        if number % 10 == 9:
            keeper = LogKeeper(book, disk, settings)  # as a start does
        undo: list[Callable[[], object]] = []
        before = content(book)
        run, size = step or ("a", 3000)
        lines, dropped = keeper.place(run_name(run), (LogRecord("x" * size, 20, "", 1.0),), set(), undo)
        if step is None:
            while undo:
                undo.pop()()
            assert content(book) == before
            continue
        disk.do(lines, dropped)
        if lines.offset == 0:
            assert (lines.run, lines.generation) not in used, "a number comes twice, and cursors point into other records"
            used.add((lines.run, lines.generation))
        present = {LogFile(log.run, log.generation): log.length for log in book.current.values()}
        assert {**present, **book.rotated} == disk.files
        assert book.total == sum(max(size, BLOCK) for size in disk.files.values())
        assert book.total <= settings.max_bytes or len(disk.files) == 1
        assert lines.offset == 0 or lines.offset + len(lines.data) <= settings.file_max_bytes


@given(steps=STEPS)
def test_played_again_the_decisions_lead_to_the_same_book(steps: list[tuple[str, int] | None]) -> None:
    book, disk, played = Logbook(), Disk(), Logbook()
    keeper = LogKeeper(book, disk, LogSettings(file_max_bytes=5000, max_bytes=4 * BLOCK))
    for step in filter(None, steps):
        lines, dropped = keeper.place(run_name(step[0]), (LogRecord("x" * step[1], 20, "", 1.0),), set(), [])
        disk.do(lines, dropped)
        for file in dropped:
            played.drop(file)
        played.enter(lines)
    assert content(played) == content(book)
    assert list(played.current) == list(book.current)
