"""What runs inside training: `Client` and `AsyncClient`. Loaded when first used, so that reading an address costs no httpx."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbbridge.client.async_client import AsyncClient
    from tbbridge.client.client import Client
    from tbbridge.client.run import Run
    from tbbridge.client.stats import ClientStats

__all__ = ["AsyncClient", "Client", "ClientStats", "Run"]

_HOMES = {
    "AsyncClient": "tbbridge.client.async_client",
    "Client": "tbbridge.client.client",
    "ClientStats": "tbbridge.client.stats",
    "Run": "tbbridge.client.run",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
