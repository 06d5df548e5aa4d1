"""Fixtures that start real processes; what they are is in processes.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Sight, chromium
from playwright.sync_api import Browser
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


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium; its tests are skipped where there is none."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Sight]]:
    """Opens pages; at the end of the test nothing on them may have gone wrong that the test did not expect."""
    opened: list[Sight] = []

    def open_at(address: str, **options: Any) -> Sight:
        context = browser.new_context(**{"viewport": {"width": 1300, "height": 900}, "reduced_motion": "reduce", **options})
        sight = Sight(context.new_page())
        opened.append(sight)
        sight.page.goto(address)
        return sight

    yield open_at
    for sight in opened:
        pwned = sight.page.evaluate("window.pwned")
        sight.page.context.close()
        assert pwned is None, "a script of a stranger ran"
        # what the browser itself says when a bridge is killed or stops is no fault of the page
        assert [trouble for trouble in sight.troubles if "net::ERR_" not in trouble] == []
