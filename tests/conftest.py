"""For all tests: hypothesis without a clock (a busy machine makes a test slow, not wrong), and logging left as it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("tbbridge", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tbbridge")


@pytest.fixture
def logging_of_its_own() -> Iterator[None]:
    """For tests that run a command in this process: it sets the levels of loggers that other tests look at."""
    loggers = [logging.getLogger(), logging.getLogger("httpx")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
