"""CRC-32C against published vectors, and the tables against the plain CRC."""

from __future__ import annotations

import numpy as np
import pytest

from tbbridge.events.crc32c import crc32c, effect_table, mask, mask_rows, masked

# RFC 3720, B.4
VECTORS = [
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
    (b"123456789", 0xE3069283),
    (b"", 0),
]


@pytest.mark.parametrize(("data", "crc"), VECTORS)
def test_published_vectors(data: bytes, crc: int) -> None:
    assert crc32c(data) == crc
    assert crc32c(data[5:], crc32c(data[:5])) == crc


@pytest.mark.parametrize(
    ("data", "crc"), [(b"123456789", 0xC78AB0E5), ((24).to_bytes(8, "little"), 0x224B7FA3), (b"", 0xA282EAD8)]
)
def test_masked_vectors(data: bytes, crc: int) -> None:
    assert masked(data) == mask(crc32c(data)) == crc
    assert mask_rows(np.array([crc32c(data)] * 2, np.uint32)).tolist() == [crc, crc]


@pytest.mark.parametrize("distance", [0, 1, 7, 60, 1023])
def test_tables_give_the_difference_that_one_byte_makes(distance: int) -> None:
    zeros = crc32c(bytes(distance + 3))
    differences = [crc32c(bytes(2) + bytes([byte]) + bytes(distance)) ^ zeros for byte in range(256)]
    assert effect_table(distance).tolist() == differences
