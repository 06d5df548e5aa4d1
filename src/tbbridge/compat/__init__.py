"""The clients of Tensorplex and Loggerplex by their own names, for programs that change only an import, a host and a port.

Each is a thin cover over `tbbridge.Client`, loaded when first used; docs/compat says what each can and cannot have.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbbridge.compat.loggerplex import LoggerplexClient
    from tbbridge.compat.tensorplex import TensorplexClient

__all__ = ["LoggerplexClient", "TensorplexClient"]

_HOMES = {"LoggerplexClient": "tbbridge.compat.loggerplex", "TensorplexClient": "tbbridge.compat.tensorplex"}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
