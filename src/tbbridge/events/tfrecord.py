"""The TFRecord frame around every event and every journal entry, and how to read it back from a buffer.

A record is its length (uint64), the masked CRC-32C of those eight bytes (uint32), the payload, and the masked CRC of the
payload (uint32), all little-endian; nothing stands between records. A record cut short by a crash is torn, which is normal at
the end of a live file; one whose bytes contradict each other is corrupt. Bytes in, values out: this file opens nothing.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from typing import Final

from tbbridge.events.crc32c import Buffer, masked

HEADER_BYTES: Final = 12
FOOTER_BYTES: Final = 4
OVERHEAD_BYTES: Final = HEADER_BYTES + FOOTER_BYTES

_LENGTH = struct.Struct("<Q")
_CRC = struct.Struct("<I")
_HEADER = struct.Struct("<QI")


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole record with both CRCs right. `payload` is a view of the buffer (it keeps a mmap from closing)."""

    start: int
    payload: memoryview
    end: int  # offset of the next record


@dataclass(frozen=True, slots=True)
class End:
    """The buffer ends exactly here, between two records."""

    start: int


@dataclass(frozen=True, slots=True)
class Torn:
    """The buffer ends inside the record that starts here; all that can be checked of it is right."""

    start: int


@dataclass(frozen=True, slots=True)
class Corrupt:
    """The record that starts here contradicts itself. `reason` is 'length-crc' or 'payload-crc'.

    With 'length-crc' its end is unknown, so nothing behind it can be found without knowing what to look for.
    """

    start: int
    reason: str


def frame_header(length: int) -> bytes:
    """The 12 bytes in front of a payload of `length` bytes."""
    size = _LENGTH.pack(length)
    return size + _CRC.pack(masked(size))


def frame(payload: Buffer) -> bytes:
    """`payload` as one record."""
    return b"".join((frame_header(len(payload)), payload, _CRC.pack(masked(payload))))


def read_frame(buffer: Buffer | mmap.mmap, offset: int) -> Frame | End | Torn | Corrupt:
    """What stands at `offset`, which is where a record starts or the end of `buffer`. Never raises for what the bytes hold."""
    left = len(buffer) - offset
    if not 0 <= offset <= len(buffer):
        raise ValueError(f"offset {offset} lies outside the buffer of {len(buffer)} bytes")
    if left < HEADER_BYTES:
        return Torn(offset) if left else End(offset)
    view = memoryview(buffer)
    length, length_crc = _HEADER.unpack_from(view, offset)
    if masked(view[offset : offset + 8]) != length_crc:
        return Corrupt(offset, "length-crc")
    if left - OVERHEAD_BYTES < length:
        return Torn(offset)
    body = offset + HEADER_BYTES
    end = body + length
    payload = view[body:end]
    if masked(payload) != _CRC.unpack_from(view, end)[0]:
        return Corrupt(offset, "payload-crc")
    return Frame(offset, payload, end + FOOTER_BYTES)
