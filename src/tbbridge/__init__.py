"""tbbridge: show numbers, pictures, sounds and more from any program in stock TensorBoard, over HTTP or in a local file.

The names below are the whole public surface for programs that log; `tbbridge.server.app.build_app` is the one for programs that
serve. Each is loaded when it is first used: `import tbbridge` by itself costs nothing and pulls in no server code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbbridge.client.async_client import AsyncClient
    from tbbridge.client.client import Client
    from tbbridge.client.log_handler import LogHandler
    from tbbridge.client.remote import Remote
    from tbbridge.client.run import Run
    from tbbridge.client.stats import ClientStats
    from tbbridge.errors import InvalidItem, PointsLost, Rejected, TBBridgeError, Unavailable, WriteFailed
    from tbbridge.kinds import Buckets
    from tbbridge.summary_writer.global_writer import GlobalSummaryWriter
    from tbbridge.summary_writer.writer import SummaryWriter

    __version__: str

__all__ = [
    "AsyncClient",
    "Buckets",
    "Client",
    "ClientStats",
    "GlobalSummaryWriter",
    "InvalidItem",
    "LogHandler",
    "PointsLost",
    "Rejected",
    "Remote",
    "Run",
    "SummaryWriter",
    "TBBridgeError",
    "Unavailable",
    "WriteFailed",
    "__version__",
]

_HOMES = {
    "AsyncClient": "tbbridge.client.async_client",
    "Buckets": "tbbridge.kinds",
    "Client": "tbbridge.client.client",
    "ClientStats": "tbbridge.client.stats",
    "GlobalSummaryWriter": "tbbridge.summary_writer.global_writer",
    "InvalidItem": "tbbridge.errors",
    "LogHandler": "tbbridge.client.log_handler",
    "PointsLost": "tbbridge.errors",
    "Rejected": "tbbridge.errors",
    "Remote": "tbbridge.client.remote",
    "Run": "tbbridge.client.run",
    "SummaryWriter": "tbbridge.summary_writer.writer",
    "TBBridgeError": "tbbridge.errors",
    "Unavailable": "tbbridge.errors",
    "WriteFailed": "tbbridge.errors",
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
