"""What `tbbridge logs` prints, and how it reads its command line; at work it is in e2e/test_logs_followed.py."""

from __future__ import annotations

import json
import re

import pytest

from tbbridge import cli
from tbbridge.commands.logs import Line, _Printer, _since

LINE = Line(time="2026-11-20T08:07:15.123456Z", level=40, logger="a.b", message="first\nsecond", run="r", cursor="1-2")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbbridge.commands.logs._is_terminal", lambda: True)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def printed(capsys: pytest.CaptureFixture[str], line: Line, *, as_json: bool = False) -> str:
    _Printer(as_json=as_json)(line)
    return capsys.readouterr().out


def test_elsewhere_than_on_a_terminal_a_line_is_that_of_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, LINE) == "2026-11-20T08:07:15.123456Z ERROR    a.b first\n\tsecond\n"
    assert printed(capsys, {**LINE, "logger": "", "time": None, "level": 13}) == "- DEBUG3   - first\n\tsecond\n"


def test_on_a_terminal_levels_have_colours(capsys: pytest.CaptureFixture[str], terminal: None) -> None:
    assert printed(capsys, LINE) == "\x1b[2m2026-11-20T08:07:15.123456Z\x1b[0m \x1b[31mERROR   \x1b[0m a.b first\n\tsecond\n"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_colours_can_be_declined(
    capsys: pytest.CaptureFixture[str], terminal: None, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert "\x1b" not in printed(capsys, LINE)


def test_what_was_logged_gives_a_terminal_no_orders(capsys: pytest.CaptureFixture[str], terminal: None) -> None:
    assert printed(capsys, {**LINE, "message": "\x1b]0;owned\x07\r\u202e"}).endswith(" a.b \\x1b]0;owned\\x07\\r\\u202e\n")


@pytest.mark.parametrize("as_json", [False, True])
def test_nor_does_it_through_a_pipe(capsys: pytest.CaptureFixture[str], *, as_json: bool) -> None:
    """`tbbridge logs x | grep y` ends on a terminal too."""
    shown = printed(capsys, {**LINE, "message": "a\r\x1b[2J\x9b2J\u202e"}, as_json=as_json)
    assert not re.search("[\r\x1b\x9b\u202e]", shown)
    if as_json:
        assert json.loads(shown)["message"] == "a\r\x1b[2J\x9b2J\u202e"
    else:
        assert shown.endswith(r" a.b a\x0d\x1b[2J\x9b2J\u202e" + "\n")


def test_json_is_a_line_a_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, {**LINE, "message": "naïve"}, as_json=True).count("\n") == 1


def test_ago_becomes_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 1_000_000.0)
    assert [_since(text) for text in ("90s", "10m", "2H", "3d")] == [
        "999910.000000",
        "999400.000000",
        "992800.000000",
        "740800.000000",
    ]
    assert _since("2026-11-20") == "2026-11-20"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("../x",), "between slashes"),
        (("r", "-n", "many"), "'many' is no number up to"),
        (("r", "--level", "loud"), "'loud' is no level"),
    ],
)
def test_a_command_line_that_is_wrong(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(("logs", *arguments))
    assert message in re.sub(r"\s+", " ", capsys.readouterr().err)
