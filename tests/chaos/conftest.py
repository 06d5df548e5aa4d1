"""Prints what the storms did and found; in the workers of a parallel run there is nothing to print on, and nothing is."""

from __future__ import annotations

import pytest
from tallies import TALLIES, summary


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TALLIES:
        terminalreporter.section("faults injected, and what was checked")
        for line in summary():
            terminalreporter.write_line(line)
