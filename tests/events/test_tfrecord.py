"""Frames: bytes of other writers, and every cut and every flipped byte told apart."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest

from tbbridge.events.tfrecord import Corrupt, End, Frame, Torn, frame, frame_header, read_frame

# TensorBoard's format reference: wall_time 1.5e9 and file_version, as TensorFlow writes it.
GOLDEN = bytes.fromhex("1800000000000000a37f4b2209000000c00b5ad6411a0d627261696e2e4576656e743a324ca9a464")
PAYLOADS = (b"first", b"", b"\x00" * 40)
RECORDS = b"".join(map(frame, PAYLOADS))


def test_golden_record() -> None:
    payload = GOLDEN[12:-4]
    assert frame(payload) == GOLDEN
    assert read_frame(GOLDEN, 0) == Frame(0, memoryview(payload), len(GOLDEN))
    assert frame_header(len(payload)) == GOLDEN[:12]


@pytest.mark.parametrize("as_buffer", [bytes, bytearray, memoryview], ids=lambda kind: kind.__name__)
def test_records_follow_each_other_to_the_end(as_buffer: type[bytes]) -> None:
    buffer = as_buffer(RECORDS)
    offset = 0
    for payload in PAYLOADS:
        read = read_frame(buffer, offset)
        assert isinstance(read, Frame)
        assert (read.start, read.payload, read.end) == (offset, payload, offset + len(payload) + 16)
        offset = read.end
    assert read_frame(buffer, offset) == End(len(RECORDS))


def test_a_mapped_file_is_a_buffer(tmp_path: Path) -> None:
    path = tmp_path / "records"
    path.write_bytes(RECORDS)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        read = read_frame(mapped, 0)
        assert isinstance(read, Frame)
        assert read.payload.tobytes() == b"first"
        read.payload.release()
        assert read_frame(mapped, len(RECORDS)) == End(len(RECORDS))


@pytest.mark.parametrize("cut", range(len(GOLDEN)))
def test_a_record_cut_anywhere_is_torn_not_corrupt(cut: int) -> None:
    assert read_frame(GOLDEN[:cut], 0) == (Torn(0) if cut else End(0))
    assert read_frame(GOLDEN + GOLDEN[:cut], len(GOLDEN)) == (Torn(len(GOLDEN)) if cut else End(len(GOLDEN)))


@pytest.mark.parametrize("flipped", range(len(GOLDEN)))
@pytest.mark.parametrize("bit", [0x01, 0x80])
def test_a_byte_flipped_anywhere_is_corrupt(flipped: int, bit: int) -> None:
    damaged = bytearray(GOLDEN)
    damaged[flipped] ^= bit
    assert read_frame(damaged, 0) == Corrupt(0, "length-crc" if flipped < 12 else "payload-crc")


def test_a_flipped_length_is_corrupt_even_where_the_buffer_ends_early() -> None:
    """A length that cannot be trusted must not be waited for."""
    assert read_frame(b"\x19" + GOLDEN[1:20], 0) == Corrupt(0, "length-crc")


def test_zeros_are_corrupt() -> None:
    """Space that a file system allocated and never filled."""
    assert read_frame(bytes(100), 0) == Corrupt(0, "length-crc")
    assert read_frame(bytes(11), 0) == Torn(0)


def test_a_huge_length_is_torn() -> None:
    assert read_frame(frame_header(2**64 - 1) + b"some", 0) == Torn(0)


@pytest.mark.parametrize("offset", [-1, len(GOLDEN) + 1])
def test_an_offset_outside_is_the_callers_mistake(offset: int) -> None:
    with pytest.raises(ValueError, match="outside the buffer"):
        read_frame(GOLDEN, offset)
