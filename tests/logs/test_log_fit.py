"""Whatever is logged is taken: cut, escaped or brought into range, and the record says so where text is missing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.logs.fit import fitting_logger, fitting_message, fitting_record
from tbbridge.model import LogRecord


@given(st.text(), st.integers(), st.text(), st.floats())
def test_nothing_is_refused(message: str, level: int, logger: str, wall_time: float) -> None:
    fitting = fitting_record(message, level, logger, wall_time)
    assert isinstance(fitting, LogRecord)
    if message.isascii():
        assert fitting.message == message


def test_what_fits_stays_as_it_is() -> None:
    record = LogRecord("naïve\n\ttext 字", 25, "a.b c", 1_700_000_000.25)
    assert fitting_record(record.message, 25, record.logger, 1_700_000_000.25) == record


@pytest.mark.parametrize("letter", ["x", "é", "\ud800"])
def test_a_long_message_is_cut_with_a_word_about_it(letter: str) -> None:
    cut = fitting_message(letter * (limits.LOG_MESSAGE_MAX_BYTES + 1))
    assert cut.startswith((letter, "\\ud800"))
    assert cut.endswith(f"cut here: at most {limits.LOG_MESSAGE_MAX_BYTES} are taken]")
    assert limits.LOG_MESSAGE_MAX_BYTES - 100 < len(cut.encode()) <= limits.LOG_MESSAGE_MAX_BYTES


def test_a_logger_is_escaped_and_cut() -> None:
    assert fitting_logger("a\nb\udc00") == "a\\nb\\udc00"
    assert fitting_logger("é" * 200) == "é" * (limits.LOGGER_MAX_BYTES // 2)


def test_levels_and_times_out_of_range_become_the_nearest() -> None:
    levels = [fitting_record("m", level, "", 0.0).level for level in (-5, 0, 20, 10**9)]
    assert levels == [1, 1, 20, limits.LOG_LEVEL_MAX]
    times = [fitting_record("m", 20, "", wall_time).wall_time for wall_time in (-math.inf, math.inf, math.nan)]
    assert times == [limits.LOG_TIME_MIN_S, limits.LOG_TIME_MAX_S, 0.0]
