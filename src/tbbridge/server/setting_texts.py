"""How the text of a flag, a variable or a line of a settings file becomes a value; each raises ValueError with what it wants.

Which setting is read by which is said in settings.py.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Final

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.logs.levels import read_level

DIALECTS: Final = ("lapiz", "crayon", "pastalog")
LOG_LEVELS: Final = ("critical", "error", "warning", "info", "debug")
LOG_FORMATS: Final = ("text", "json")
LOGS_MODES: Final = ("append", "overwrite")


def read_path(text: str) -> Path:
    """A path; `~` is the home folder."""
    if not text or "\0" in text:
        raise ValueError("give the path of a folder")
    return Path(text).expanduser()


def read_optional_path(text: str) -> Path | None:
    """The same, or none."""
    return None if text == "none" else read_path(text)


def read_text(text: str) -> str:
    """Any text but an empty one."""
    if not text:
        raise ValueError("give a name or address")
    return text


def read_names(text: str) -> tuple[str, ...]:
    """Names with commas between them, or none."""
    names = () if text.strip().lower() == "none" else tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise ValueError("give names with commas between them, or none")
    return names


def read_origins(text: str) -> tuple[str, ...]:
    """Origins as browsers send them, with commas between them, or none."""
    origins = read_names(text)
    if not all(re.fullmatch(r"https?://[^/\s]+/?", origin) for origin in origins):
        raise ValueError("give origins such as https://dash.example.org, with commas between them, or none")
    return origins


def read_tensorboard_url(text: str) -> str:
    """An address, a port, or none, as it was typed."""
    if not re.fullmatch(r"none|:[0-9]{1,5}|https?://[^\s]+", text):
        raise ValueError("give an address such as https://tb.example.org, a port such as :6006, or none")
    return text


def read_dialects(text: str) -> tuple[str, ...]:
    """Some of DIALECTS, or none."""
    names = () if text.strip().lower() in ("", "none") else tuple(name.strip().lower() for name in text.split(","))
    if len(set(names)) != len(names) or not set(names) <= set(DIALECTS):
        raise ValueError("give some of " + ",".join(DIALECTS) + " with commas between them, or none")
    return names


def read_log_level(text: str) -> str:
    """One of LOG_LEVELS."""
    if text.lower() not in LOG_LEVELS:
        raise ValueError("give one of " + ", ".join(LOG_LEVELS))
    return text.lower()


def read_log_format(text: str) -> str:
    """One of LOG_FORMATS."""
    if text.lower() not in LOG_FORMATS:
        raise ValueError("give one of " + ", ".join(LOG_FORMATS))
    return text.lower()


def read_whole(text: str) -> int:
    """A whole number."""
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text.strip()):
        raise ValueError("give a whole number")
    return int(text)


def read_switch(text: str) -> bool:
    """On or off."""
    switches = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.strip().lower() not in switches:
        raise ValueError("give true or false")
    return switches[text.strip().lower()]


def read_logs_mode(text: str) -> str:
    """One of LOGS_MODES."""
    if text.lower() not in LOGS_MODES:
        raise ValueError("give one of " + ", ".join(LOGS_MODES))
    return text.lower()


def read_record_level(text: str) -> str:
    """The level of a log record, as it was typed."""
    try:
        read_level(text)
    except InvalidItem:
        raise ValueError("give a level such as debug, info, warning, debug3 or 13, or notset for all of them") from None
    return text.lower()


UNITS: Final = {"": 1, "kib": limits.KiB, "mib": limits.MiB, "gib": 1024 * limits.MiB}


def read_bytes(text: str) -> int:
    """A number of bytes, with KiB, MiB or GiB behind it or not."""
    found = re.fullmatch(r"([0-9]{1,12})\s*([kmg]ib)?", text.strip().lower())
    if found is None:
        raise ValueError("give a number of bytes, such as 67108864 or 64MiB")
    return int(found[1]) * UNITS[found[2] or ""]


def read_seconds(text: str) -> float:
    """A finite number of seconds."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise ValueError("give a number of seconds, such as 10 or 2.5")
    return seconds
