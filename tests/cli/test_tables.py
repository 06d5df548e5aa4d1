"""Tables for people and for programs, from the same rows."""

from __future__ import annotations

import importlib.util
import sys

import pytest

from tbbridge.commands.tables import printable, say_json, say_table, size_text, time_text

COLUMNS = ["run", "points"]
ROWS = [["a\tb\x1b[2J", 1234], ["[red]c", None]]


def is_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)


def test_lines_with_tabs_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(COLUMNS, ROWS, "title")
    assert capsys.readouterr().out == "run\tpoints\na\\tb\\x1b[2J\t1234\n[red]c\t\n"


def test_a_table_for_people(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    is_terminal(monkeypatch)
    monkeypatch.setenv("TERM", "dumb")  # no bold head
    say_table(COLUMNS, ROWS, "title")
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[0] == "title"
    assert lines[1].split() == COLUMNS
    assert lines[2].split() == ["a\\tb\\x1b[2J", "1,234"]
    assert lines[3].split() == ["[red]c"]


def test_a_table_without_rich(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Which comes with the server, not with the client."""
    is_terminal(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    say_table(COLUMNS, ROWS, "title")
    assert capsys.readouterr().out.splitlines() == ["title", "run          points", "a\\tb\\x1b[2J  1,234", "[red]c"]


def test_an_empty_table_has_its_head(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    is_terminal(monkeypatch)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    say_table(COLUMNS, [])
    assert capsys.readouterr().out == "run  points\n"


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (5 << 40, "5.0 TiB")])
def test_sizes_for_people(size: int, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert size_text(size) == size
    is_terminal(monkeypatch)
    assert size_text(size) == text


def test_times_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    assert time_text(1e9) == 1e9
    is_terminal(monkeypatch)
    assert str(time_text(1e9)).startswith("2001-09-")
    assert time_text(1e300) == 1e300
    assert time_text(None) is None


def test_what_is_printable_stays() -> None:
    assert printable("ä b [x]") == "ä b [x]"
    assert printable("a\u202eb\n") == "a\\u202eb\\n"


def test_json_is_one_line_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"run": "ä", "n": [1, 2]})
    assert capsys.readouterr().out == '{"run": "ä", "n": [1, 2]}\n'
