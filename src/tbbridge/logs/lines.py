"""The form of a log file: one line a record, with time, level, logger and message. Pure; bytes in and out.

    2026-11-20T08:07:15.123456Z INFO     train.loop epoch 3 begins
    2026-11-20T08:07:15.901000Z ERROR    - Traceback (most recent call last):
    <tab>File "train.py", line 7, in <module>

The later lines of a message start with a tab, so a line that does not is where the next record begins, and what was written is
read back exactly: what a terminal would obey stands there as an escape, as `\\x1b`, and so does a text that looks like one, as
`\\\\x1b`. pipeline/ writes such lines; store/log_files.py reads them.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from tbbridge.logs.levels import LEVELS, level_name
from tbbridge.model import LogRecord

_LEVEL_WIDTH: Final = max(map(len, LEVELS))

_HEAD: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})Z ([A-Z]+)(\d{0,3}) +([^ \n]+) ")
_MICROSECONDS: Final = 1_000_000

# What ends a line, moves a cursor or turns a text around, less the newline and the tab: C0, DEL, C1, separators, directions.
_CONTROL: Final = "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
# The same as escapes, less their backslash.
_CODE: Final = "x(?:0[0-8b-f]|[189][0-9a-f]|7f)|u(?:202[89a-e]|206[6-9])"
_SPECIAL: Final = re.compile(rf"[\\{_CONTROL}]")
# A row of backslashes is taken whole, so that a long one costs no more than its length.
_TO_ESCAPE: Final = re.compile(rf"(\\+)(?:([{_CONTROL}])|(?=({_CODE})))?|([{_CONTROL}])")
_ESCAPED: Final = re.compile(rf"(\\+)({_CODE})?")


def time_text(wall_time: float) -> str:
    """Seconds since 1970 as RFC 3339 text: in UTC, with microseconds."""
    return f"{np.datetime64(_microseconds(wall_time), 'us')}Z"


def _microseconds(wall_time: float) -> int:
    whole = int(wall_time // 1)  # apart from its fraction, which alone keeps all its digits when multiplied
    return whole * _MICROSECONDS + round((wall_time - whole) * _MICROSECONDS)


def encode_record(record: LogRecord) -> bytes:
    """`record`, whose wall time is settled, as its lines."""
    if record.wall_time is None:
        raise ValueError("the record has no time yet; settle it first")
    logger = record.logger.replace("%", "%25").replace(" ", "%20")
    if logger in ("", "-"):
        logger = "%2D" if logger else "-"
    message = escaped(record.message).replace("\n", "\n\t")
    return f"{time_text(record.wall_time)} {level_name(record.level):<{_LEVEL_WIDTH}} {logger} {message}\n".encode()


def escaped(message: str) -> str:
    """`message` with escapes such as `\\x1b` for controls. Backslashes before one, or a text like one, are doubled."""
    return _TO_ESCAPE.sub(_escape, message) if _SPECIAL.search(message) else message


def _escape(found: re.Match[str]) -> str:
    backslashes, behind, look_alike, alone = found.groups()
    control = behind or alone
    if control:
        return 2 * (backslashes or "") + (f"\\x{ord(control):02x}" if control <= "\xff" else f"\\u{ord(control):04x}")
    return 2 * backslashes if look_alike else str(backslashes)


def _unescaped(message: str) -> str:
    return _ESCAPED.sub(_unescape, message) if "\\" in message else message


def _unescape(found: re.Match[str]) -> str:
    backslashes, code = found.groups()
    if code is None:
        return str(backslashes)
    half = "\\" * (len(backslashes) // 2)
    return half + (chr(int(code[1:], 16)) if len(backslashes) % 2 else code)


def decode_record(lines: bytes) -> LogRecord | None:
    """The record that `lines`, from its first byte to its last newline, were made of; None if they are not one."""
    head = _HEAD.match(lines)
    if head is None or not lines.endswith(b"\n"):
        return None
    try:
        time, name, above, logger = (part.decode() for part in head.groups())
        level = LEVELS[name] + int(above or 0)
        wall_time = int(np.datetime64(time, "us").astype(np.int64)) / _MICROSECONDS
        message = _unescaped(lines[head.end() : -1].decode(errors="replace").replace("\n\t", "\n"))
        shown = "" if logger == "-" else logger.replace("%2D", "-").replace("%20", " ").replace("%25", "%")
        return LogRecord(message, level, shown, wall_time)
    except (KeyError, ValueError):  # also InvalidItem: somebody else's line that only looks like one of ours
        return None


def last_start(data: bytes, end: int) -> int:
    """Where the last record that begins before `end` begins; -1 if none does. `data` starts at the start of a line."""
    while (newline := data.rfind(b"\n", 0, max(0, end - 1))) >= 0:
        if data[newline + 1 : newline + 2] != b"\t":
            return newline + 1
        end = newline + 1
    return 0 if end > 0 and data[:1] not in (b"\t", b"") else -1


def split_records(data: bytes) -> list[bytes]:
    """The lines of each record in `data`, which starts with a record. What is behind the last newline is left out."""
    records: list[bytes] = []
    start = 0
    position = -1
    while (position := data.find(b"\n", position + 1)) >= 0:
        if data[position + 1 : position + 2] != b"\t":
            records.append(data[start : position + 1])
            start = position + 1
    return records
