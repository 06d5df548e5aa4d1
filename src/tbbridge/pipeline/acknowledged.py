"""How much of the journal was acknowledged: one small file beside it, written after each sync and before the answers.

At the journal's end a torn write, which nobody was told of, and damage to what was acknowledged look alike; this tells them
apart. It is never synced itself: it outlives the process, and after a power cut it may lag behind, which is less proof and
never a false one. It moves two numbers; journal.py says what follows from them.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import disk
from tbbridge.events.crc32c import masked

NAME: Final = "acknowledged"
_MAGIC: Final = b"TBJB-ack"
_NUMBERS: Final = struct.Struct("<8sQQ")
_CRC: Final = struct.Struct("<I")
_SIZE: Final = _NUMBERS.size + _CRC.size


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The first `length` bytes of segment `number` were on the disk when their senders were answered."""

    number: int
    length: int


class AcknowledgedMark:
    """The file, held open. One write of 28 bytes in one block: a process that dies leaves the old numbers or the new ones."""

    def __init__(self, folder: Path) -> None:
        """Open it, or make it with all the room that it will need. OSError if the disk refuses."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(folder / NAME, flags, 0o600)
        try:
            if os.fstat(self._fd).st_size < _SIZE:
                disk.write_all(self._fd, bytes(_SIZE), 0)
        except OSError:
            os.close(self._fd)
            raise

    def note(self, number: int, length: int) -> None:
        """Remember that so much is acknowledged."""
        numbers = _NUMBERS.pack(_MAGIC, number, length)
        disk.write_all(self._fd, numbers + _CRC.pack(masked(numbers)), 0)

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


def read_acknowledged(folder: Path) -> Acknowledged | None:
    """What was noted last; None if nothing was, or it cannot be read: then there is no proof."""
    try:
        data = (folder / NAME).read_bytes()[:_SIZE]
    except OSError as error:
        if error.errno not in disk.PATH_ERRNOS:
            raise
        return None
    if len(data) < _SIZE or _CRC.unpack_from(data, _NUMBERS.size)[0] != masked(data[: _NUMBERS.size]):
        return None
    magic, number, length = _NUMBERS.unpack_from(data)
    return Acknowledged(number, length) if magic == _MAGIC else None
