"""The headers of pictures and sounds: what their first bytes say of format and size, and whether that can be.

Only headers are read: nothing is unpacked, so a hundred bytes that promise a billion pixels cost nothing here and are refused.
Bytes in, facts out; what fails raises `InvalidItem`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tbbridge import limits
from tbbridge.errors import InvalidItem


@dataclass(frozen=True, slots=True)
class Picture:
    """`mime` is image/png, image/jpeg or image/gif; `colorspace` is TensorBoard's: 1 grey, 2 with alpha, 3 RGB, 4 RGBA."""

    mime: str
    width: int
    height: int
    colorspace: int


@dataclass(frozen=True, slots=True)
class Sound:
    """What a WAV file holds; `frames` are samples of one channel."""

    rate_hz: int
    channels: int
    frames: int


_PNG: Final = b"\x89PNG\r\n\x1a\n"
# PNG's colour type -> channels; a palette (3) holds RGB.
_PNG_CHANNELS: Final = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
# JPEG's markers that start a frame; C4, C8 and CC are other things.
_JPEG_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_WITHOUT_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xD9)})


def read_picture(raw: bytes, where: str) -> Picture:
    """The header of a PNG, JPEG or GIF. Raises `InvalidItem` for anything else, and for sizes no browser can draw."""
    if len(raw) > limits.SUMMARY_MAX_BYTES:
        message = f"the image has {len(raw)} bytes, at most {limits.SUMMARY_MAX_BYTES} are taken; scale it down"
        raise InvalidItem("too-large", message, where)
    try:
        if raw.startswith(_PNG):
            picture = _png(raw)
        elif raw.startswith((b"GIF87a", b"GIF89a")):
            width, height = struct.unpack_from("<HH", raw, 6)
            picture = Picture("image/gif", width, height, 3)
        elif raw.startswith(b"\xff\xd8"):
            picture = _jpeg(raw)
        else:
            came = "nothing" if not raw else f"bytes that start with {raw[:8].hex(' ')}"
            raise InvalidItem("image", f"{came} came where an encoded PNG, JPEG or GIF is wanted; encode it as PNG", where)
    except (struct.error, KeyError, IndexError):
        raise InvalidItem("image", "the image's header is cut short or damaged; encode it again", where) from None
    if not (picture.width and picture.height):
        raise InvalidItem("image", f"the image is {picture.width} x {picture.height} pixels; send one with pixels", where)
    if picture.width * picture.height > limits.IMAGE_MAX_PIXELS:
        size = f"{picture.width} x {picture.height} pixels"
        raise InvalidItem(
            "too-large", f"the image is {size}, at most {limits.IMAGE_MAX_PIXELS} are taken; scale it down", where
        )
    return picture


def _png(raw: bytes) -> Picture:
    name, width, height, _, colour = struct.unpack_from(">4sIIBB", raw, 12)
    if name != b"IHDR":
        raise KeyError(name)
    return Picture("image/png", width, height, _PNG_CHANNELS[colour])


def _jpeg(raw: bytes) -> Picture:
    at = 2
    for _ in range(limits.JPEG_MARKERS_MAX):
        if raw[at] != 0xFF:
            raise KeyError(at)
        marker = raw[at + 1]
        at += 1
        if marker == 0xFF:  # padding
            continue
        at += 1
        if marker in _JPEG_WITHOUT_LENGTH:
            continue
        if marker in _JPEG_FRAMES:
            _, height, width, channels = struct.unpack_from(">xxBHHB", raw, at)
            return Picture("image/jpeg", width, height, {1: 1, 3: 3, 4: 4}[channels])
        length = struct.unpack_from(">H", raw, at)[0]
        if length < 2:
            raise KeyError(length)
        at += length
    raise KeyError("frame")


def read_sound(raw: bytes, where: str) -> Sound:
    """The header of a WAV file. Raises `InvalidItem` for anything else and for one that promises more than it has."""
    if len(raw) > limits.SUMMARY_MAX_BYTES:
        message = f"the clip has {len(raw)} bytes, at most {limits.SUMMARY_MAX_BYTES} are taken; shorten it or lower its rate"
        raise InvalidItem("too-large", message, where)
    if raw[:4] != b"RIFF" or raw[8:12] != b"WAVE":
        came = "nothing" if not raw else f"bytes that start with {raw[:8].hex(' ')}"
        raise InvalidItem("audio", f"{came} came where a WAV file is wanted; encode it as WAV, PCM of 16 bits", where)
    try:
        return _wav(raw, where)
    except struct.error:
        raise InvalidItem("audio", "the WAV file is cut short or damaged; encode it again", where) from None


def _wav(raw: bytes, where: str) -> Sound:
    at = 12
    rate = channels = frame_bytes = 0
    while True:
        name, size = struct.unpack_from("<4sI", raw, at)
        at += 8
        if name == b"fmt ":
            encoding, channels, rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", raw, at)
            if encoding not in (1, 3, 0xFFFE):
                raise InvalidItem("audio", f"the WAV file's encoding is {encoding:#x}; browsers play PCM of 16 bits", where)
            if not 1 <= rate <= limits.AUDIO_MAX_RATE_HZ:
                message = f"the WAV file's rate is {rate} Hz; give 1 to {limits.AUDIO_MAX_RATE_HZ}"
                raise InvalidItem("audio", message, where)
            if not 1 <= channels <= limits.AUDIO_MAX_CHANNELS or frame_bytes != channels * ((bits + 7) // 8) or not bits:
                message = f"the WAV file has {channels} channels of {bits} bits in {frame_bytes} bytes; send PCM of 16 bits"
                raise InvalidItem("audio", message, where)
        elif name == b"data":
            if not frame_bytes:
                raise InvalidItem("audio", "the WAV file's data come before its format; encode it again", where)
            if at + size > len(raw):
                message = f"the WAV file promises {size} bytes of sound and holds {len(raw) - at}; send it whole"
                raise InvalidItem("audio", message, where)
            return Sound(rate, channels, size // frame_bytes)
        at += size + size % 2
