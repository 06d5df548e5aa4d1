"""What tests of clients share: the server of fake_server.py, and retries that do not keep a test waiting."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_server import Server, serve

from tbbridge import limits


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as made:
        yield made


@pytest.fixture
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rule of the backoff is tested by itself; elsewhere it only has to happen."""
    monkeypatch.setattr(limits, "CLIENT_BACKOFF_MIN_S", 0.01)
    monkeypatch.setattr(limits, "CLIENT_BACKOFF_MAX_S", 0.05)
