"""Headers of pictures and sounds: read as the libraries that wrote them read them, and refused when damaged anywhere."""

from __future__ import annotations

import contextlib
import io
import struct

import pytest
from one_of_each import film, picture, sound
from PIL import Image as Pillow

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.media import Picture, Sound, read_picture, read_sound


def saved(mode: str, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Pillow.new(mode, (300, 7)).save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("mode", "kind", "options", "mime", "colorspace"),
    [
        ("L", "PNG", {}, "image/png", 1),
        ("LA", "PNG", {}, "image/png", 2),
        ("RGB", "PNG", {}, "image/png", 3),
        ("RGBA", "PNG", {}, "image/png", 4),
        ("P", "PNG", {}, "image/png", 3),
        ("RGB", "JPEG", {}, "image/jpeg", 3),
        ("L", "JPEG", {"progressive": True}, "image/jpeg", 1),
        ("CMYK", "JPEG", {}, "image/jpeg", 4),
        ("RGB", "JPEG", {"exif": b"Exif\0\0" + b"\xff\xc0" * 20}, "image/jpeg", 3),
        ("P", "GIF", {}, "image/gif", 3),
    ],
)
def test_pictures_of_pillow(mode, kind, options, mime, colorspace) -> None:
    assert read_picture(saved(mode, kind, **options), "image") == Picture(mime, 300, 7, colorspace)


def test_a_film_has_the_size_of_its_frames() -> None:
    assert read_picture(film(), "image") == Picture("image/gif", 4, 4, 3)


@pytest.mark.parametrize(("frames", "rate", "channels"), [(100, 8000, 1), (1, 44100, 2), (0, 96000, 1)])
def test_sounds_of_the_standard_library(frames, rate, channels) -> None:
    assert read_sound(sound(frames, rate, channels), "clip") == Sound(rate, channels, frames)


def test_other_chunks_of_a_wav_are_passed_over() -> None:
    wav = sound()
    listed = wav[:12] + b"LIST" + struct.pack("<I", 5) + b"about\0" + wav[12:]
    assert read_sound(listed, "clip") == Sound(8000, 1, 100)


@pytest.mark.parametrize("raw", [picture("red"), picture("red", kind="JPEG"), film()], ids=["png", "jpeg", "gif"])
def test_a_picture_cut_anywhere_is_read_or_refused(raw: bytes) -> None:
    whole = read_picture(raw, "image")
    for cut in range(len(raw)):
        with contextlib.suppress(InvalidItem):
            assert read_picture(raw[:cut], "image") == whole


def test_a_sound_cut_anywhere_is_refused() -> None:
    wav = sound(4)
    for cut in range(len(wav)):
        with pytest.raises(InvalidItem):
            read_sound(wav[:cut], "clip")


PNG = picture("red")
JPEG = picture("red", kind="JPEG")
WAV = sound()


def png_of(width: int, height: int, colour: int = 2) -> bytes:
    return PNG[:16] + struct.pack(">IIBB", width, height, 8, colour) + PNG[26:]


def wav_of(encoding: int = 1, channels: int = 1, rate: int = 8000, frame_bytes: int = 2, bits: int = 16) -> bytes:
    return WAV[:20] + struct.pack("<HHIIHH", encoding, channels, rate, 0, frame_bytes, bits) + WAV[36:]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "nothing came"),
        (b"RIFF....WEBP", "encode it as PNG"),
        (b"<svg>", "encode it as PNG"),
        (png_of(0, 5), "0 x 5 pixels"),
        (png_of(2**31 - 1, 2**31 - 1), "at most"),
        (png_of(5, 5, colour=9), "damaged"),
        (PNG.replace(b"IHDR", b"IDAT"), "damaged"),
        (b"\xff\xd8\x00\x00", "damaged"),
        (b"\xff\xd8\xff\xe0\x00\x00" + bytes(50), "damaged"),
        (b"\xff\xd8" + b"\xff" * 50, "damaged"),
        (b"GIF89a\x00\x00\x01\x00", "0 x 1 pixels"),
        (PNG + bytes(limits.SUMMARY_MAX_BYTES), "scale it down"),
    ],
)
def test_bad_pictures(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidItem, match=says):
        read_picture(raw, "image")


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "nothing came"),
        (b"OggS" + bytes(40), "encode it as WAV"),
        (wav_of(encoding=0x55), "0x55"),
        (wav_of(rate=0), "0 Hz"),
        (wav_of(rate=4_000_000_000), "4000000000 Hz"),
        (wav_of(channels=0, frame_bytes=0), "0 channels"),
        (wav_of(channels=300, frame_bytes=600), "300 channels"),
        (wav_of(frame_bytes=3), "16 bits in 3 bytes"),
        (WAV[:12] + WAV[36:], "before its format"),
        (WAV[:-1], "holds 199"),
        (WAV + bytes(limits.SUMMARY_MAX_BYTES), "lower its rate"),
    ],
)
def test_bad_sounds(raw: bytes, says: str) -> None:
    with pytest.raises(InvalidItem, match=says):
        read_sound(raw, "clip")
