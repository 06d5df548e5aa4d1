"""Where a run's log is: the names of its files in the folder of logs. Pure; it looks at no disk.

A log is `<run>.log`; the parts of a run's name are folders. A full file is followed by `<run>.log.2`, `<run>.log.3` and so on:
no file is ever renamed, and the one with the highest number is the one that grows.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from tbbridge.model import RunName

# Below the state folder.
LOGS_FOLDER: Final = "logs"

# A folder of this form could meet the file of another run: `a.log` is the log of the run `a`.
_LIKE_A_FILE: Final = re.compile(r"\.log(\.\d+)?~*$")
_FILE: Final = re.compile(r"(.+\.log)(?:\.([1-9][0-9]{0,17}))?", re.DOTALL)
# Parts up to this length stay as they are: behind them fit `.log`, a number and a tilde. Names that are cut are longer than any
# that is not, so that the two never meet.
_PART_MAX_BYTES: Final = 230
_CUT_BYTES: Final = 198


def log_path(run: RunName, generation: int = 1) -> str:
    """The file of a run's log, relative to the folder of logs, `/` between folders; the first generation is 1."""
    *folders, last = run.split("/")
    suffix = "" if generation == 1 else f".{generation}"
    return "/".join([*map(_folder, folders), f"{fitting_name(last)}.log{suffix}"])


def generation_of(run: RunName, name: str) -> int | None:
    """The generation that a file in the folder of the run's log is of; None if it is no part of that log."""
    found = first_and_number(name)
    return found[1] if found is not None and found[0] == log_path(run).rpartition("/")[2] else None


def first_and_number(name: str) -> tuple[str, int] | None:
    """The name of the first file of the log that a file of this name belongs to, and its number; None if it is no log's."""
    found = _FILE.fullmatch(name)
    if found is None or found[2] == "1":
        return None
    return found[1], int(found[2] or 1)


def _folder(part: str) -> str:
    return fitting_name(part + "~" if _LIKE_A_FILE.search(part) else part)


def fitting_name(part: str) -> str:
    """`part`, or if that is too long for a file's name with an ending, its start and a hash of it."""
    raw = part.encode()
    if len(raw) <= _PART_MAX_BYTES:
        return part
    digest = hashlib.sha256(raw).hexdigest()[:40]
    return raw[:_CUT_BYTES].decode(errors="ignore") + "~" + digest
