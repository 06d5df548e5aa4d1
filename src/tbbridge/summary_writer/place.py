"""What a user may give as log folder, as one decision: a folder here, or a run of a bridge elsewhere.

A path means a folder, always. An http(s) or tbbridge URL means a bridge; TBBRIDGE_URL means one too where no folder is given.
"""

from __future__ import annotations

import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tbbridge.client.address import from_environment
from tbbridge.errors import InvalidItem


@dataclass(frozen=True, slots=True)
class Bridge:
    """A run of a bridge; address None: what TBBRIDGE_URL says, else this machine."""

    address: str | None
    run: str


def find_place(logdir: object, run: str | None, comment: str) -> Path | Bridge:
    """Where a `SummaryWriter` writes. Raises `InvalidItem` for arguments that contradict each other."""
    if logdir is not None and not isinstance(logdir, str | os.PathLike):
        raise InvalidItem("logdir", f"logdir is of type {type(logdir).__name__}; give a path or a URL", "logdir")
    given = None if logdir is None else os.fsdecode(logdir)
    if not given:
        if from_environment() is not None:
            return Bridge(None, run or default_name(comment))
        if run is not None:
            raise InvalidItem(
                "run", f"run={run!a} names a run of a bridge, and none is given; set TBBRIDGE_URL or logdir", "run"
            )
        return Path("runs", default_name(comment))
    scheme, separator, rest = given.partition("://")
    if not separator:
        if run is not None:
            message = f"logdir is the path {given!a}, and run={run!a} is for a bridge; write both as one path"
            raise InvalidItem("run", message, "run")
        return Path(given)
    if scheme in ("http", "https"):
        return Bridge(given, run or default_name(comment))
    if scheme == "tbbridge":
        parts = urlsplit(f"http://{rest}")
        in_path = unquote(parts.path.strip("/"))
        if run and in_path:
            raise InvalidItem("run", f"both {given!a} and run={run!a} name a run; give one of the two", "run")
        return Bridge(parts.netloc or None, run or in_path or default_name(comment))
    raise InvalidItem(
        "logdir", f"{given!a} is no address of a bridge; write http://host:6007 or tbbridge://host:6007/run", "logdir"
    )


def default_name(comment: str) -> str:
    """tensorboardX's name for a run without one: date, time and host, then the comment."""
    return f"{time.strftime('%b%d_%H-%M-%S')}_{socket.gethostname()}{comment}"
