"""A record becomes a line and comes back as it was, whatever is in it."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tbbridge.errors import InvalidItem
from tbbridge.logs.levels import level_name, read_level
from tbbridge.logs.lines import decode_record, encode_record, last_start, split_records, time_text
from tbbridge.logs.names import generation_of, log_path
from tbbridge.model import LogRecord, run_name

LINES = {
    "plain": (LogRecord("hello", 20, "", 0.0), b"1970-01-01T00:00:00.000000Z INFO     - hello\n"),
    "logger": (LogRecord("a  b ", 30, "x.y", 1.5), b"1970-01-01T00:00:01.500000Z WARNING  x.y a  b \n"),
    "empty message": (LogRecord("", 50, "", 0.0), b"1970-01-01T00:00:00.000000Z CRITICAL - \n"),
    "numbered level": (LogRecord("m", 13, "", 0.0), b"1970-01-01T00:00:00.000000Z DEBUG3   - m\n"),
    "level above all": (LogRecord("m", 255, "", 0.0), b"1970-01-01T00:00:00.000000Z CRITICAL205 - m\n"),
    "level below all": (LogRecord("m", 5, "", 0.0), b"1970-01-01T00:00:00.000000Z NOTSET5  - m\n"),
    "many lines": (LogRecord("a\nb\n\tc\n", 40, "", 0.0), b"1970-01-01T00:00:00.000000Z ERROR    - a\n\tb\n\t\tc\n\t\n"),
    "logger with a space": (LogRecord("m", 20, "a b%", 0.0), b"1970-01-01T00:00:00.000000Z INFO     a%20b%25 m\n"),
    "logger called like none": (LogRecord("m", 20, "-", 0.0), b"1970-01-01T00:00:00.000000Z INFO     %2D m\n"),
    "before 1970": (LogRecord("m", 20, "", -0.25), b"1969-12-31T23:59:59.750000Z INFO     - m\n"),
    "carriage return": (LogRecord("10%\r20%", 20, "", 0.0), b"1970-01-01T00:00:00.000000Z INFO     - 10%\\x0d20%\n"),
    "orders to a terminal": (
        LogRecord("\x1b[31m\x9b\u202e\x7f", 20, "", 0.0),
        rb"1970-01-01T00:00:00.000000Z INFO     - \x1b[31m\x9b\u202e\x7f" + b"\n",
    ),
    "what looks like an escape": (
        LogRecord(r"\x1b \\x0d x1b \x41 C:\new\\ \u202e", 20, "", 0.0),
        rb"1970-01-01T00:00:00.000000Z INFO     - \\x1b \\\\x0d x1b \x41 C:\new\\ \\u202e" + b"\n",
    ),
    "backslashes before one": (
        LogRecord("\\\\\x1b\\", 20, "", 0.0),
        rb"1970-01-01T00:00:00.000000Z INFO     - \\\\\x1b" + b"\\\n",
    ),
}


@pytest.mark.parametrize(("record", "line"), LINES.values(), ids=LINES.keys())
def test_a_record_and_its_line(record: LogRecord, line: bytes) -> None:
    assert encode_record(record) == line
    assert decode_record(line) == record


NOT_OURS = {
    "nothing": b"",
    "only a newline": b"\n",
    "cut off": b"1970-01-01T00:00:00.000000Z INFO     - hel",
    "no such day": b"1970-02-31T00:00:00.000000Z INFO     - hello\n",
    "no such level": b"1970-01-01T00:00:00.000000Z LOUD     - hello\n",
    "a level beyond": b"1970-01-01T00:00:00.000000Z CRITICAL999 - hello\n",
    "zeros after a power cut": b"\0" * 40 + b"\n",
    "a print": b"hello\n",
}


@pytest.mark.parametrize("line", NOT_OURS.values(), ids=NOT_OURS.keys())
def test_a_line_that_is_no_record(line: bytes) -> None:
    assert decode_record(line) is None


MESSAGES = st.text(
    st.one_of(st.sampled_from("\n\t\r -%Z\\\\x0d1bu2e\x1b\x9b\u202e"), st.characters(exclude_categories=["Cs"])), max_size=30
)
LOGGERS = st.text(st.one_of(st.sampled_from(" -%2D05"), st.characters(exclude_categories=["Cs"])), max_size=12).filter(
    str.isprintable
)
TIMES = st.integers(0, 4_102_444_800_000_000).map(lambda microseconds: microseconds / 1_000_000)
RECORDS = st.builds(LogRecord, MESSAGES, st.integers(0, 255), LOGGERS, TIMES)


@given(st.lists(RECORDS, max_size=8))
@example([LogRecord("\n", 20, "", 0.0), LogRecord("", 20, "%2D", 0.0)])
def test_what_was_written_is_read_back_exactly(records: list[LogRecord]) -> None:
    data = b"".join(map(encode_record, records))
    assert [decode_record(lines) for lines in split_records(data)] == records


@given(MESSAGES)
def test_nothing_in_a_line_moves_a_terminals_cursor(message: str) -> None:
    """`cat` of a log, or `tbbridge logs | less -R`, sent a stranger's orders to the terminal; a return hid what came before."""
    line = encode_record(LogRecord(message, 20, "", 0.0)).decode()
    assert not [one for one in line if one not in "\n\t" and (ord(one) < 32 or 127 <= ord(one) < 160 or one in "\u2028\u202e")]


def test_a_long_row_of_backslashes_is_no_work() -> None:
    record = LogRecord("\\" * 1_000_000 + "x1b", 20, "", 0.0)
    assert decode_record(encode_record(record)) == record


@given(st.lists(RECORDS, max_size=6))
def test_from_behind_the_same_records_are_found(records: list[LogRecord]) -> None:
    data = b"".join(map(encode_record, records))
    found = []
    end = len(data)
    while (start := last_start(data, end)) >= 0:
        found.append(decode_record(data[start:end]))
        end = start
    assert (found[::-1], end) == (records, 0)


def test_a_record_that_is_not_complete_is_left_out() -> None:
    whole = encode_record(LogRecord("first", 20, "", 0.0))
    cut = encode_record(LogRecord("second", 20, "", 0.0))
    assert all(split_records(whole + cut[:size]) == [whole] for size in range(len(cut)))


@given(st.floats(-62_135_596_800, 253_402_300_799))
def test_any_time_of_the_calendar_has_27_characters(wall_time: float) -> None:
    assert len(time_text(wall_time)) == 27


@given(st.integers(0, 255))
def test_level_names_are_read_back(level: int) -> None:
    assert read_level(level_name(level)) == level == read_level(str(level))


@pytest.mark.parametrize("text", ["", "loud", "256", "-1", "debug-1", "critical206", "info 5"])
def test_a_level_that_is_none(text: str) -> None:
    with pytest.raises(InvalidItem, match="no level; give debug"):
        read_level(text)


PATHS = {
    "a": "a.log",
    "a/b": "a/b.log",
    "a.log/b": "a.log~/b.log",
    "a.log~/b": "a.log~~/b.log",
    "a.log.2/b": "a.log.2~/b.log",
    "a.logs/b": "a.logs/b.log",
    "a.log": "a.log.log",
    "agent/17": "agent/17.log",
}


@pytest.mark.parametrize(("run", "path"), PATHS.items())
def test_the_file_of_a_run(run: str, path: str) -> None:
    assert log_path(run_name(run)) == path
    assert log_path(run_name(run), 3) == path + ".3"


PART = st.text("ab.log~23", min_size=1, max_size=9).filter(lambda part: part not in (".", ".."))
RUNS = st.lists(PART, min_size=1, max_size=3).map("/".join)


@given(RUNS, RUNS, st.integers(1, 3), st.integers(1, 3))
def test_no_two_runs_meet_in_a_file_and_no_file_is_anothers_folder(one: str, other: str, first: int, second: int) -> None:
    if one != other:
        left, right = (PurePosixPath(log_path(run_name(run), number)) for run, number in ((one, first), (other, second)))
        assert left != right
        assert left not in right.parents


@pytest.mark.parametrize("character", ["x", "é", "字"])
def test_a_name_as_long_as_may_be_fits_a_file_system(character: str) -> None:
    longest = character * (255 // len(character.encode()))
    names = [PurePosixPath(log_path(run_name(part), 10**9)) for part in (longest, longest[:-1] + "y")]
    assert len(set(names)) == 2
    assert all(len(name.name.encode()) <= 255 for name in names)
    assert len(log_path(run_name("x" * 251 + ".log/a")).partition("/")[0].encode()) <= 255


def test_generations_are_told_by_their_name() -> None:
    run = run_name("a")
    names = ["a.log", "a.log.2", "a.log.17", "a.log.1", "a.log.02", "a.log.x", "b.log", "a.log.2~"]
    assert [generation_of(run, name) for name in names] == [1, 2, 17, None, None, None, None, None]
