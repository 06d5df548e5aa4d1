"""The levels of log records, as numbers and by name. Pure, and without numpy: whoever only reads the settings asks this too."""

from __future__ import annotations

import re
from typing import Final

from tbbridge import limits
from tbbridge.errors import InvalidItem

# Level by level as in Python's logging; numbers between have the name of the one below and the difference: DEBUG3 is 13.
LEVELS: Final = {"CRITICAL": 50, "ERROR": 40, "WARNING": 30, "INFO": 20, "DEBUG": 10, "NOTSET": 0}
_ALIASES: Final = {"WARN": "WARNING", "FATAL": "CRITICAL"}


def level_name(level: int) -> str:
    """The name of a level: INFO, DEBUG3, CRITICAL5."""
    name, base = next((name, base) for name, base in LEVELS.items() if level >= base)
    return name if level == base else f"{name}{level - base}"


def read_level(text: str) -> int:
    """The level that a name (in any case) or a number says. Raises `InvalidItem`."""
    found = re.fullmatch(r"([A-Z]*)([0-9]{0,3})", text.strip().upper())
    if found is not None and (found[1] or found[2]):
        name = _ALIASES.get(found[1], found[1])
        if name in LEVELS or not name:
            level = LEVELS.get(name, 0) + int(found[2] or 0)
            if level <= limits.LOG_LEVEL_MAX:
                return level
    message = f"{text[:40]!a} is no level; give debug, info, warning, error, critical, debug3 or a number up to"
    raise InvalidItem("level", f"{message} {limits.LOG_LEVEL_MAX}", "level")
