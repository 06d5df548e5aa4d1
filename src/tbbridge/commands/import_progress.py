"""How far the import of each file has come, kept in the user's cache folder, so that a second import goes on where one ended.

Losing a record costs time, not points: a bridge knows what it was sent before by the numbers of the batches. Only what a file
has grown by since needs the record, which says where the file's last batch was cut.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

_VERSION: Final = 1


@dataclass(slots=True)
class Progress:
    """One file into one run of one bridge; all numbers are bytes but `generation` and `restarts`.

    The bridge has what stands before `done`; what stands from there to `sending` was on its way. `generation` counts how often
    the file was begun anew because its run was deleted; `restarts` are the SessionLog STARTs before `done`.
    """

    done: int = 0
    sending: int = 0
    generation: int = 0
    restarts: int = 0


class Records:
    """The records of all files, one small file each below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._is_usable = True

    def load(self, key: str) -> Progress | None:
        """The record of `key`, if there is one that can be read."""
        try:
            said = json.loads(self._place(key).read_bytes())
        except (OSError, ValueError):
            return None
        if not isinstance(said, dict) or said.pop("version", None) != _VERSION or said.pop("key", None) != key:
            return None
        if set(said) != {one.name for one in fields(Progress)} or not all(type(number) is int for number in said.values()):
            return None
        return Progress(**said)

    def save(self, key: str, progress: Progress) -> None:
        """Keep it. If that cannot be done, say so once and go on."""
        if not self._is_usable:
            return
        place = self._place(key)
        unfinished = place.with_suffix(f".{os.getpid()}")
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            unfinished.write_text(json.dumps({"version": _VERSION, "key": key, **asdict(progress)}))
            unfinished.replace(place)
        except OSError as error:
            self._is_usable = False
            log.warning("progress cannot be kept in %s (%s); a second import will take as long", self._folder, error.strerror)

    def _place(self, key: str) -> Path:
        return self._folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def default_folder() -> Path:
    """Where the records are: below XDG_CACHE_HOME, by default ~/.cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "tbbridge" / "import"
