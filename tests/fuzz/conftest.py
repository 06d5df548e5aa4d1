"""Runs the fuzz targets for as long as FUZZ_MINUTES says, and prints what was tried."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator

import pytest
from budget import MINUTES, TRIED

_TRIED, _FAILED = "fuzz-tried", "fuzz-failed"
SECONDS = pytest.StashKey[float]()


@pytest.hookimpl(trylast=True)  # behind -k
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    targets = [item for item in items if hasattr(getattr(item, "obj", None), "fuzz_target")]
    total = sum(item.obj.fuzz_weight for item in targets)
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    for item in targets:
        item.stash[SECONDS] = MINUTES * 60 * workers * item.obj.fuzz_weight / total


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """The target once, and in a long run again until its time is over; `yield` is the call that pytest makes."""
    target = getattr(pyfuncitem.obj, "fuzz_target", None)
    if target is None:
        return (yield)
    before = TRIED[target]
    deadline = time.monotonic() + pyfuncitem.stash[SECONDS]
    try:
        result = yield
        arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
        while time.monotonic() < deadline:
            pyfuncitem.obj(**arguments)
    except BaseException:
        pyfuncitem.user_properties.append((_FAILED, target))
        raise
    finally:
        pyfuncitem.user_properties.append((_TRIED, (target, TRIED[target] - before)))
    return result


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not MINUTES:
        return
    tried: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, said in getattr(report, "user_properties", ()) if getattr(report, "when", "") == "call" else ():
                if name == _TRIED:
                    tried[said[0]] += said[1]
                elif name == _FAILED:
                    failed[said] += 1
    terminalreporter.section(f"fuzzed for {MINUTES:g} minutes")
    width = max(map(len, tried), default=0)
    for target in sorted(tried):
        terminalreporter.write_line(f"{target:<{width}} {tried[target]:>10,} inputs {failed[target]:>3} failures")
    terminalreporter.write_line(f"{'all':<{width}} {tried.total():>10,} inputs {failed.total():>3} failures")
