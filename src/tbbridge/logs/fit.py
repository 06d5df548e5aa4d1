"""Whatever a program logs, as a record that is always taken: too much is cut with a word about it, nothing is refused. Pure.

For callers that must not fail, because logging must not end the program: handlers of the standard library, old clients.
"""

from __future__ import annotations

import math
from typing import Final

from tbbridge import limits
from tbbridge.model import LogRecord

_ROOM_FOR_NOTE: Final = 80


def fitting_record(message: str, level: int, logger: str, wall_time: float) -> LogRecord:
    """A record of these, with what cannot be stored escaped, cut or brought into its range. The level becomes at least 1."""
    moment = 0.0 if math.isnan(wall_time) else min(max(wall_time, limits.LOG_TIME_MIN_S), limits.LOG_TIME_MAX_S)
    return LogRecord(fitting_message(message), min(max(level, 1), limits.LOG_LEVEL_MAX), fitting_logger(logger), moment)


def fitting_message(message: str) -> str:
    """`message`, cut if it is too long; lone surrogates as escapes."""
    raw = message.encode(errors="backslashreplace")
    if len(raw) <= limits.LOG_MESSAGE_MAX_BYTES:
        return message if raw.isascii() and len(raw) == len(message) else raw.decode()
    kept = raw[: limits.LOG_MESSAGE_MAX_BYTES - _ROOM_FOR_NOTE].decode(errors="ignore")
    return f"{kept}\n[{len(raw)} bytes, cut here: at most {limits.LOG_MESSAGE_MAX_BYTES} are taken]"


def fitting_logger(logger: str) -> str:
    """`logger`, escaped and cut likewise."""
    if not logger.isprintable():
        logger = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in logger)
    raw = logger.encode(errors="backslashreplace")
    return raw[: limits.LOGGER_MAX_BYTES].decode(errors="ignore")
