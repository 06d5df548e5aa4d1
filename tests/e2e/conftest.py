"""Fixtures that start real processes; what they are is in processes.py."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Process, address_in, serve


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def bridge(logdir: Path) -> Iterator[str]:
    """The address of a bridge over `logdir`; no TensorBoard watches its changes, so a stop need not wait until one noticed."""
    with serve(logdir, "--veil-s", "0.05") as process:
        yield address_in(process)
        assert process.end() == 0, process.output


@pytest.fixture
def processes_of_test() -> Iterator[list[Process]]:
    """A list whose processes are gone when the test ends."""
    started: list[Process] = []
    yield started
    for process in started:
        process.__exit__()
