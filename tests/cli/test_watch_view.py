"""What `tbbridge watch` draws; at work it is in e2e/test_watch.py."""

from __future__ import annotations

import io
import math

import pytest
from rich.console import Console

from tbbridge.commands.watch import Lines
from tbbridge.commands.watch_view import Screen, Tag, number_text, sparkline

SPARKLINES = {
    "rising": ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"),
    "one value": ([5], "▁"),
    "all the same": ([2, 2, 2], "▁▁▁"),
    "nothing": ([], ""),
    "no number": ([math.nan, math.inf], "  "),
    "numbers around one that is none": ([0, math.nan, 1], "▁ █"),
    "as far apart as can be": ([-1.7e308, 1.7e308], "▁█"),
    "more than there is room for": ([0, 0, 1, 1] * 8, "▁█▁█▁█▁█"),
}


@pytest.mark.parametrize(("values", "expected"), SPARKLINES.values(), ids=SPARKLINES)
def test_a_sparkline_goes_from_the_lowest_to_the_highest(values: list[float], expected: str) -> None:
    width = 16 if len(values) == 32 else 8
    shown = sparkline(values, width)
    assert shown == (expected * 2 if width == 16 else expected)
    assert len(shown) <= width


def test_numbers_are_short() -> None:
    assert [number_text(value) for value in (3.0, -12345678.0, 0.1234567891, 1.5e-12, 1e300)] == [
        "3",
        "-12,345,678",
        "0.123457",
        "1.5e-12",
        "1e+300",
    ]


def test_a_tag_keeps_the_shape_of_all_its_values_and_the_rate_of_the_last_seconds() -> None:
    tag = Tag()
    for step in range(1000):
        tag.add([(step, float(step), 0.0)], now=step / 100, is_new=True)
    assert (tag.step, tag.value, tag.count) == (999, 999.0, 1000)
    assert 100 <= len(tag.values) <= 256
    assert tag.values == sorted(tag.values)
    assert tag.rate(9.99) == 100.0
    assert tag.rate(100.0) == 0.0


def screen(height: int = 12, encoding: str = "utf-8") -> tuple[Screen, io.TextIOWrapper]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="replace")
    return Screen("http://bridge", Console(file=file, force_terminal=True, width=80, height=height, highlight=False)), file


def text_of(file: io.TextIOWrapper) -> str:
    file.flush()
    return file.buffer.getvalue().decode(file.encoding)


def test_the_table_has_a_line_a_tag_and_says_what_it_leaves_out() -> None:
    view, file = screen()
    with view:
        view.begin("a/b")
        view.status("running")
        for number in range(10):
            view.add(f"tag{number}", [(step, float(step), 0.0) for step in range(4)])
        view.tick({"ready": True, "points_per_s": 12.0, "writers": 1, "p99_ms": 3.21})
    last = text_of(file).rpartition("a/b")[2]
    assert "running" in last
    assert [f"tag{number}" in last for number in range(10)] == [True] * 7 + [False] * 3
    assert "3 tags more" in last
    assert "▁▃▆█" in last
    assert "12 points/s from 1 clients, on disk in 3.2 ms" in last


def test_names_and_notices_send_no_orders_to_the_terminal() -> None:
    view, file = screen(encoding="ascii")
    with view:
        view.begin("a\x1b[31m\u202eb")
        view.add("t\x1b]0;x\x07", [(1, 2.0, 0.0), (2, 3.0, 0.0)])
        view.notice("away\x1b[2J")
    shown = text_of(file)
    assert "\x1b[31m" not in shown
    assert "\x1b]" not in shown
    assert "\x1b[2J" not in shown
    assert "a\\x1b[31m\\u202eb" in shown
    assert "_#" in shown  # bars that this terminal can show


def test_what_was_deleted_is_gone() -> None:
    view, _ = screen()
    with view:
        view.begin("r")
        view.add("x", [(1, 2.0, 0.0)])
        view.add("y", [(1, 2.0, 0.0)])
        view.forget("x")
        assert [*view.tags] == ["y"]
        view.forget(None)
        assert not view.tags


def test_lines_are_for_other_programs(capsys: pytest.CaptureFixture[str]) -> None:
    view = Lines(as_json=False)
    view.begin("r")
    view.add("a\tb", [(1, 0.5, 10.25), (2, math.nan, 11.0)])
    for status in ("running", "running", "failed"):
        view.status(status)
    view.begin("s")
    Lines(as_json=True).add("t", [(3, math.inf, 1.0)])
    out, err = capsys.readouterr()
    assert (
        out
        == 'a\\tb\t1\t0.5\t10.25\na\\tb\t2\tnan\t11.0\n{"run": "", "tag": "t", "step": 3, "value": "inf", "wall_time": 1.0}\n'
    )
    assert err.splitlines() == [
        "tbbridge: the run 'r' is running",
        "tbbridge: the run 'r' is failed",
        "tbbridge: the run is called 's' now",
    ]
