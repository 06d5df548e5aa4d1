"""Reading logs: every record once and in order, whatever the windows, the files and the moments of reading."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.logs.lines import encode_record
from tbbridge.logs.names import log_path
from tbbridge.model import LogRecord, run_name
from tbbridge.store.log_files import LogFiles, LookBack, Place, Tail, Wanted

RUN = run_name("nodes/a")
ALL = Wanted()


def records(count: int, *, message: str = "record", first: int = 0) -> list[LogRecord]:
    levels = (10, 20, 30, 40)
    return [LogRecord(f"{message} {n}\nmore", levels[n % 4], "some.module", 100.0 + n) for n in range(first, first + count)]


def put(logdir: Path, generation: int, data: bytes) -> Path:
    path = logdir / ".tbbridge" / "logs" / log_path(RUN, generation)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)
    return path


def lines(wanted: list[LogRecord]) -> bytes:
    return b"".join(map(encode_record, wanted))


def drained(tail: Tail) -> list[LogRecord]:
    """What is there now, read to the end twice: the last record comes with the second look."""
    found = []
    for _ in range(2):
        while (taken := tail.take()) is not None:
            found += [record for _, record in taken]
    return found


def newest(files: LogFiles, count: int, wanted: Wanted = ALL) -> list[LogRecord]:
    looking = LookBack(files, wanted, count)
    while looking.step():
        pass
    return drained(Tail(files, wanted, looking.place))


@pytest.fixture
def small_windows(monkeypatch):
    monkeypatch.setattr(limits, "LOGS_WINDOW_BYTES", 64)


@pytest.mark.parametrize("windows", ["usual", "small"])
def test_a_log_of_several_files_is_one(tmp_path, windows, request) -> None:
    if windows == "small":
        request.getfixturevalue("small_windows")
    written = records(30)
    for generation in (1, 2, 11):
        put(tmp_path, generation, lines(written[:10] if generation == 1 else []))
    put(tmp_path, 2, lines(written[10:20]))
    put(tmp_path, 11, lines(written[20:]))
    files = LogFiles(tmp_path, RUN)
    assert files.generations() == [1, 2, 11]
    assert drained(Tail(files, ALL)) == written
    for count in (0, 1, 9, 10, 11, 30, 31):
        assert newest(files, count) == written[len(written) - min(count, 30) :]


def test_a_follower_gets_what_is_appended_and_no_half_record(tmp_path, small_windows) -> None:
    written = records(5)
    data = lines(written)
    files = LogFiles(tmp_path, RUN)
    tail = Tail(files, ALL)
    assert not tail.has_more()
    found = []
    for position in range(len(data)):
        put(tmp_path, 1, data[position : position + 1])
        assert tail.has_more()
        while (taken := tail.take()) is not None:  # one look after each byte: what was a whole record once may go on
            found += [record for _, record in taken]
    assert found == written[:4]
    assert drained(tail) == written[4:]
    assert not tail.has_more()


def test_a_follower_goes_on_in_the_next_file(tmp_path) -> None:
    written = records(4)
    put(tmp_path, 1, lines(written[:2]))
    tail = Tail(LogFiles(tmp_path, RUN), ALL)
    assert drained(tail) == written[:2]
    put(tmp_path, 2, lines(written[2:]))
    assert tail.has_more()
    assert drained(tail) == written[2:]


def test_a_follower_finds_a_log_that_begins_with_any_number(tmp_path) -> None:
    """A log that all of it went of goes on with the next number, and one that is waited for may be such a log."""
    written = records(4)
    waiting = Tail(LogFiles(tmp_path, RUN), ALL)
    assert not waiting.has_more()
    put(tmp_path, 4, lines(written[:2]))
    assert waiting.has_more()
    assert drained(waiting) == written[:2]
    put(tmp_path, 4, b"").unlink()
    assert not waiting.has_more()
    put(tmp_path, 9, lines(written[2:]))
    assert waiting.has_more()
    assert drained(waiting) == written[2:]


def test_every_place_that_was_given_out_is_one_to_go_on_from(tmp_path, small_windows) -> None:
    written = records(12)
    put(tmp_path, 1, lines(written[:6]))
    put(tmp_path, 2, lines(written[6:]))
    files = LogFiles(tmp_path, RUN)
    tail = Tail(files, ALL)
    places = []
    for _ in range(2):
        while (taken := tail.take()) is not None:
            places += [place for place, _ in taken]
    assert len(places) == 12
    for number, place in enumerate(places, 1):
        assert drained(Tail(files, ALL, Place.read(str(place)))) == written[number:]


def test_files_that_were_removed_are_passed_over(tmp_path) -> None:
    written = records(6)
    old = put(tmp_path, 1, lines(written[:2]))
    put(tmp_path, 2, lines(written[2:]))
    files = LogFiles(tmp_path, RUN)
    tail = Tail(files, ALL, Place(1, 10))
    old.unlink()
    assert drained(tail) == written[2:]


def test_a_log_that_was_begun_anew_is_read_from_its_start(tmp_path) -> None:
    path = put(tmp_path, 1, lines(records(9)))
    tail = Tail(LogFiles(tmp_path, RUN), ALL)
    drained(tail)
    path.write_bytes(lines(records(2, message="anew")))
    assert tail.has_more()
    assert drained(tail) == records(2, message="anew")


def test_a_log_that_went_and_began_again_is_read_from_its_start(tmp_path) -> None:
    put(tmp_path, 1, b"")
    newest_file = put(tmp_path, 2, lines(records(9)))
    tail = Tail(LogFiles(tmp_path, RUN), ALL)
    assert len(drained(tail)) == 9
    newest_file.unlink()
    put(tmp_path, 1, b"").unlink()
    assert drained(tail) == []
    put(tmp_path, 1, lines(records(2, message="again")))
    assert drained(tail) == records(2, message="again")


def test_level_and_time_choose(tmp_path) -> None:
    written = records(40)
    put(tmp_path, 1, lines(written))
    files = LogFiles(tmp_path, RUN)
    loud = [record for record in written if record.level >= 30]
    assert drained(Tail(files, Wanted(level=30))) == loud
    assert newest(files, 3, Wanted(level=30)) == loud[-3:]
    assert drained(Tail(files, Wanted(since=120.0))) == written[20:]
    assert newest(files, 1000, Wanted(level=40, since=120.0)) == [record for record in written[20:] if record.level == 40]


DAMAGE = {
    "zeros": b"\0" * 30 + b"\n",
    "a line of somebody else": b"hello there\n",
    "not UTF-8": b"\xff\xfe\n",
    "a line that starts with a tab": b"\tlost its head\n",
    "an empty line": b"\n",
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("where", [0, 3, 6])
def test_damage_costs_no_other_record(tmp_path, small_windows, damage: bytes, where: int) -> None:
    written = records(6)
    put(tmp_path, 1, lines(written[:where]) + damage + lines(written[where:]))
    files = LogFiles(tmp_path, RUN)
    for found in (drained(Tail(files, ALL)), newest(files, 100)):
        whole = [record for record in found if record in written]
        changed = len(written) - len(whole)
        assert changed == (1 if damage[:1] == b"\t" and where else 0)  # it counts as the record's before it


def test_a_stretch_that_never_ends_is_passed_over(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("tbbridge.store.log_files._WINDOW_MAX_BYTES", 1024)
    monkeypatch.setattr(limits, "LOGS_WINDOW_BYTES", 256)
    written = records(8)
    put(tmp_path, 1, lines(written[:4]) + b"\0" * 10_000 + b"\n" + lines(written[4:]))
    files = LogFiles(tmp_path, RUN)
    assert [record for record in drained(Tail(files, ALL)) if record in written] == written
    assert newest(files, 4) == written[4:]


@pytest.mark.parametrize("kind", ["folder", "pipe", "closed"])
@pytest.mark.parametrize("cursor", [None, Place(1, 0), Place(1, 7)])
def test_what_is_no_file_that_we_may_read_has_an_end_and_the_next_file_comes(tmp_path, monkeypatch, kind, cursor) -> None:
    written = records(6)
    place = put(tmp_path, 1, lines(written[:3]))
    if kind == "closed":  # root reads all files, so this is played
        read = LogFiles.read
        monkeypatch.setattr(LogFiles, "read", lambda files, number, *at: b"" if number == 1 else read(files, number, *at))
    else:
        place.unlink()
        os.mkdir(place) if kind == "folder" else os.mkfifo(place)
    tail = Tail(LogFiles(tmp_path, RUN), ALL, cursor)
    assert None in [tail.take() for _ in range(5)]
    assert newest(LogFiles(tmp_path, RUN), 2) == []
    put(tmp_path, 2, lines(written[3:]))
    tail = Tail(LogFiles(tmp_path, RUN), ALL, cursor)
    found = [taken for _ in range(10) for taken in tail.take() or ()]
    assert [record for _, record in found] == written[3:]


def test_a_log_that_is_not_there_is_empty(tmp_path) -> None:
    files = LogFiles(tmp_path, RUN)
    assert files.generations() == []
    assert drained(Tail(files, ALL)) == []
    assert newest(files, 5) == []


@given(st.lists(st.text(st.sampled_from("ab\n\t"), max_size=40), max_size=12), st.integers(16, 200), st.integers(0, 13))
def test_windows_of_any_size_find_the_same(tmp_path_factory, messages: list[str], window: int, count: int) -> None:
    logdir = tmp_path_factory.mktemp("log")
    written = [LogRecord(message, 20, "", float(number)) for number, message in enumerate(messages)]
    put(logdir, 1, lines(written))
    files = LogFiles(logdir, RUN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LOGS_WINDOW_BYTES", window)
        assert drained(Tail(files, ALL)) == written
        assert newest(files, count) == (written[-count:] if count else [])


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-2", "1-2-3", "a-b", "9" * 19 + "-0"])
def test_a_place_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no place in a log"):
        Place.read(text)
