"""tbbridge: send numbers, text and histograms from any program to stock TensorBoard over HTTP.

The names below are the whole public surface for programs that log; `tbbridge.server.app.build_app` is the one for programs that
serve. Each is loaded when it is first used: `import tbbridge` by itself costs nothing and pulls in no server code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbbridge.client.async_client import AsyncClient
    from tbbridge.client.client import Client
    from tbbridge.client.outbox import ClientStats
    from tbbridge.client.run import Run
    from tbbridge.errors import InvalidItem, PointsLost, Rejected, TBBridgeError, Unavailable
    from tbbridge.model import Buckets

    __version__: str

__all__ = [
    "AsyncClient",
    "Buckets",
    "Client",
    "ClientStats",
    "InvalidItem",
    "PointsLost",
    "Rejected",
    "Run",
    "TBBridgeError",
    "Unavailable",
    "__version__",
]

_HOMES = {
    "AsyncClient": "tbbridge.client.async_client",
    "Buckets": "tbbridge.model",
    "Client": "tbbridge.client.client",
    "ClientStats": "tbbridge.client.outbox",
    "InvalidItem": "tbbridge.errors",
    "PointsLost": "tbbridge.errors",
    "Rejected": "tbbridge.errors",
    "Run": "tbbridge.client.run",
    "TBBridgeError": "tbbridge.errors",
    "Unavailable": "tbbridge.errors",
}


def __getattr__(name: str) -> object:
    found: object
    if name == "__version__":
        from importlib.metadata import version  # slow to load, and rarely asked for

        found = version("tbbridge")
    elif name in _HOMES:
        found = getattr(import_module(_HOMES[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
