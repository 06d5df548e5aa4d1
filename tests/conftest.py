"""For all tests: hypothesis without a clock (a busy machine makes a test slow, not wrong), and logging left as it was."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("tbbridge", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tbbridge")

# A shell has the jobs that it starts in the background ignore Ctrl-C, and what is ignored is inherited by every child: those
# that the tests send a Ctrl-C would never end.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# Commands set the levels of the first two, uvicorn those of the next, tests ours; for the process, not for what runs in it.
LOGGERS = [logging.getLogger(name) for name in (None, "httpx", "uvicorn.error", "uvicorn.access", "uvicorn.asgi", "tbbridge")]


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What clients spool, in this process and in those that tests start, stays out of the developer's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    before = [logger.level for logger in LOGGERS]
    yield
    for logger, level in zip(LOGGERS, before, strict=True):
        logger.setLevel(level)
