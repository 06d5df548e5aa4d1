"""Bytes of event files cut at their frames."""

from __future__ import annotations

from collections.abc import Iterator

from tbbridge.events.tfrecord import Frame, read_frame


def frames_of(data: bytes) -> Iterator[Frame]:
    """The frames of `data`, which holds whole ones only; every CRC is checked on the way."""
    offset = 0
    while offset < len(data):
        read = read_frame(data, offset)
        assert isinstance(read, Frame)
        yield read
        offset = read.end
