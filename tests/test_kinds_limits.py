"""Bounds of the kinds that are checked before anything is read or written."""

from __future__ import annotations

import numpy as np
import pytest

from tbbridge.errors import InvalidItem
from tbbridge.kinds import Audio, Image, PrCurve
from tbbridge.media import read_picture
from tbbridge.names import tag_name

T = tag_name("t")


def test_a_count_beyond_a_32_bit_float_is_refused() -> None:
    table = np.zeros((6, 3))
    table[0, 0] = 1e39
    with pytest.raises(InvalidItem, match="32-bit float"):
        PrCurve(T, table)


@pytest.mark.parametrize(("kind", "reader"), [(Image, "read_picture"), (Audio, "read_sound")])
def test_what_is_too_large_in_all_is_refused_before_any_of_it_is_read(
    kind: type[Image | Audio], reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(content: bytes, where: str) -> None:
        raise AssertionError("looked into it")

    monkeypatch.setattr(f"tbbridge.kinds.media.{reader}", read)
    with pytest.raises(InvalidItem, match="bytes"):
        kind(T, (bytes(20 * 1024 * 1024),) * 3)


def test_a_jpeg_that_is_all_padding_is_given_up_soon() -> None:
    with pytest.raises(InvalidItem, match="header is cut short or damaged"):
        read_picture(b"\xff\xd8" + b"\xff" * 200_000 + b"\xc0\0\x0b\x08\0\1\0\1\1", "image")
