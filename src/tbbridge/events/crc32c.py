"""CRC-32C as TFRecord uses it: of bytes, masked, and of many equally long rows at once.

CRC-32C is linear over xor: of two messages of one length, crc(a ^ b) = crc(a) ^ effect(b), where `effect` is the plain
remainder, and the effect of a message is the xor of the effects of its single bytes. So the CRC of a row that differs from a
template in a few bytes is the template's CRC xor one table lookup per such byte; `effect_table` gives these tables.
Pure: no state but the tables. The frames around the records are next door in tfrecord.py.
"""

from __future__ import annotations

from typing import TypeAlias

import crc32c as _package
import numpy as np
from numpy.typing import NDArray

Buffer: TypeAlias = bytes | bytearray | memoryview
UInt32s: TypeAlias = NDArray[np.uint32]

# Added by TFRecord (from leveldb's log format) so that a CRC stored among data does not look like the CRC of that data.
_MASK_DELTA = 0xA282EAD8
_POLYNOMIAL = 0x82F63B78  # Castagnoli, bits reflected


def crc32c(data: Buffer, initial: int = 0) -> int:
    """CRC-32C of `data`, going on from the CRC `initial` of what stands before it."""
    return int(_package.crc32c(data, initial))


def mask(crc: int) -> int:
    """`crc` as TFRecord stores it: rotated right by 15 bits, plus a constant."""
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def masked(data: Buffer) -> int:
    """Masked CRC-32C of `data`."""
    crc = _package.crc32c(data)
    return ((crc >> 15 | crc << 17) + _MASK_DELTA) & 0xFFFFFFFF


def mask_rows(crcs: UInt32s) -> UInt32s:
    """`mask` of each element. Overwrites `crcs` with its result."""
    high = crcs << np.uint32(17)
    crcs >>= np.uint32(15)
    crcs |= high
    crcs += np.uint32(_MASK_DELTA)
    return crcs


def _byte_table() -> UInt32s:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = (table >> np.uint32(1)) ^ (np.uint32(_POLYNOMIAL) * (table & np.uint32(1)))
    return table


# effect_tables[d][b]: what byte b does to the CRC when d bytes follow it. Grows as asked for, one KiB for each distance.
_effect_tables: list[UInt32s] = [_byte_table()]


def effect_table(distance: int) -> UInt32s:
    """uint32[256]: what each byte value, with `distance` bytes behind it, adds by xor to the CRC of a message with 0 there.

    Tables are kept, so callers bound the distance: one costs a KiB.
    """
    while len(_effect_tables) <= distance:
        last = _effect_tables[-1]  # one more byte behind: the register shifts by 8 bits, as in the bytewise algorithm
        table = (last >> np.uint32(8)) ^ _effect_tables[0][last & np.uint32(0xFF)]
        _effect_tables.append(table)
    return _effect_tables[distance]
