"""What a client is told besides the address: its mode, its token, and where it spools. Arguments first, then the environment.

Reads the environment and checks; makes nothing and connects to nothing. base.py asks, and gives the answers on.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from tbbridge import limits
from tbbridge.errors import InvalidItem

Mode: TypeAlias = Literal["online", "offline", "disabled"]

MODE_VARIABLE: Final = "TBBRIDGE_MODE"
TOKEN_VARIABLE: Final = "TBBRIDGE_TOKEN"  # noqa: S105 - the variable's name, and no token
SPOOL_DIR_VARIABLE: Final = "TBBRIDGE_SPOOL_DIR"
SPOOL_MAX_VARIABLE: Final = "TBBRIDGE_SPOOL_MAX_BYTES"
_MODES: Final[tuple[Mode, ...]] = ("online", "offline", "disabled")


@dataclass(frozen=True, slots=True)
class SpoolPlace:
    """Where a client spools, and how much all files there may hold; 0 bytes: it does not spool."""

    folder: Path
    max_bytes: int


def find_mode(mode: str | None) -> Mode:
    """The mode that is meant: the argument, else TBBRIDGE_MODE, else online. Raises `InvalidItem`."""
    given, name = (mode, "mode") if mode is not None else (os.environ.get(MODE_VARIABLE, "").strip().lower(), MODE_VARIABLE)
    if not given and mode is None:
        return "online"
    for known in _MODES:
        if given == known:
            return known
    raise InvalidItem("setting", f"{name} is {given!a}; give one of {', '.join(_MODES)}", "mode")


def find_token(token: str | None) -> str | None:
    """The token that is meant: the argument, else TBBRIDGE_TOKEN, else none. Raises `InvalidItem`, which does not show it."""
    given, name = (token, "token") if token is not None else (os.environ.get(TOKEN_VARIABLE, "").strip(), TOKEN_VARIABLE)
    if not given:
        return None
    if not isinstance(given, str) or not given.isascii() or not given.isprintable() or " " in given:
        raise InvalidItem("token", f"{name} is no token: it holds more than printable ASCII without spaces", "token")
    if len(given) > limits.TOKEN_MAX_CHARACTERS:
        raise InvalidItem("token", f"{name} has over {limits.TOKEN_MAX_CHARACTERS} characters; no token is that long", "token")
    return given


def find_spool(folder: str | os.PathLike[str] | None, max_bytes: int | None) -> SpoolPlace:
    """Where to spool: the arguments, else TBBRIDGE_SPOOL_DIR and TBBRIDGE_SPOOL_MAX_BYTES, else the cache folder."""
    if max_bytes is None:
        said = os.environ.get(SPOOL_MAX_VARIABLE, "").strip()
        if said and not said.isdecimal():
            raise InvalidItem("setting", f"{SPOOL_MAX_VARIABLE} is {said!a}; give a number of bytes, 0 for no spool", "spool")
        max_bytes = int(said) if said else limits.CLIENT_SPOOL_MAX_BYTES
    if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0:
        raise InvalidItem("setting", f"spool_max_bytes is {max_bytes!a}; give a number of bytes, 0 for no spool", "spool")
    return SpoolPlace(Path(folder).expanduser() if folder is not None else default_spool_folder(), max_bytes)


def default_spool_folder() -> Path:
    """TBBRIDGE_SPOOL_DIR, else a folder of the user's cache: below XDG_CACHE_HOME, by default ~/.cache."""
    said = os.environ.get(SPOOL_DIR_VARIABLE, "").strip()
    if said:
        return Path(said).expanduser()
    try:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # a user without a home: containers with a bare user id
        cache = Path.cwd() / ".cache"
    return cache / "tbbridge" / "spool"
