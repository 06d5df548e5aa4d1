"""How long each fuzz target is tried, and how much was.

In `make test` a target gets a few inputs, the same ones each time. With FUZZ_MINUTES (`make fuzz`) all targets together get
so many minutes of random ones: conftest.py runs each target again and again until its share of the time is over.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Callable
from typing import TypeVar

from hypothesis import HealthCheck, settings

MINUTES = float(os.environ.get("FUZZ_MINUTES") or 0)

# Inputs tried in this process, by target.
TRIED: Counter[str] = Counter()
# A long run looks at the clock this often.
ROUND = 100
_WIDE = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

Test = TypeVar("Test", bound=Callable[..., None])


def fuzz_settings(examples: int) -> settings:
    """For a target that gets `examples` inputs in `make test`."""
    if MINUTES:
        return settings(max_examples=min(ROUND, 2 * examples), deadline=None, suppress_health_check=_WIDE, print_blob=True)
    return settings(max_examples=examples, derandomize=True, database=None, deadline=None, suppress_health_check=_WIDE)


def fuzz(target: str, *, examples: int, weight: float = 1.0) -> Callable[[Test], Test]:
    """Goes above @given. `weight`: its share of the time in a long run, where most targets have 1."""

    def decorate(test: Test) -> Test:
        inner = test.hypothesis.inner_test  # type: ignore[attr-defined]

        @functools.wraps(inner)
        def counted(*args: object, **named: object) -> None:
            TRIED[target] += 1
            inner(*args, **named)

        test.hypothesis.inner_test = counted  # type: ignore[attr-defined]
        return fuzzed(target, weight)(fuzz_settings(examples)(test))

    return decorate


def fuzzed(target: str, weight: float = 1.0) -> Callable[[Test], Test]:
    """For a target that counts its inputs in `TRIED` itself."""

    def decorate(test: Test) -> Test:
        test.fuzz_target, test.fuzz_weight = target, weight  # type: ignore[attr-defined]
        return test

    return decorate
