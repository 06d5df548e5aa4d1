"""Videos as animated GIFs, with Pillow: TensorBoard shows them on its Images page."""

from __future__ import annotations

import io
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.convert.arrays import as_numbers
from tbbridge.convert.pictures import as_bytes, check_pixels, pillow
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Image

_LETTERS: Final = "NTCHW"


def video(tag: str, frames: object, fps: float = 4, dataformats: str = _LETTERS, *, clip: bool = False) -> Image:
    """A batch of videos as one animated GIF that repeats, all videos side by side; or GIF bytes as they are.

    `frames` has the dimensions N video, T frame, C channel (1 or 3), H row, W column in the order of `dataformats`; uint8,
    or floats in [0, 1]. The videos stand in a grid as in tensorboardX, filled up with black to a power of two.
    """
    name = checked_tag(tag)
    if isinstance(frames, bytes | bytearray | memoryview):
        return Image(name, (bytes(frames),))
    what = f"the video of tag {tag!a}"
    array = as_numbers(frames, what)
    layout = dataformats.upper()
    if sorted(layout) != sorted(_LETTERS):
        message = f"dataformats {dataformats!a} of {what} is no layout; give an order of NTCHW, each letter once"
        raise InvalidItem("layout", message, "dataformats")
    if array.ndim != 5 or 0 in array.shape:
        message = f"{what} has shape {array.shape}; give {layout}, no dimension of size 0; one video alone is video[None]"
        raise InvalidItem("shape", message, "frames")
    array = array.transpose([layout.index(letter) for letter in "NTHWC"])
    if array.shape[-1] not in (1, 3):
        message = f"{what} has {array.shape[-1]} channels; give 1 or 3, or another layout with dataformats; a GIF has no alpha"
        raise InvalidItem("shape", message, "frames")
    try:
        frame_ms = max(limits.GIF_FRAME_MIN_MS, round(1000 / float(fps))) if float(fps) > 0 else 0
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        frame_ms = 0
    if not 0 < frame_ms <= 65_535 * 10:  # the GIF's field: hundredths of a second in 16 bits
        raise InvalidItem("fps", f"fps of {what} is {fps}; give frames a second, from 0.002 up", "fps")
    count, shown_frames, height, width, _ = array.shape
    check_pixels(width * (1 << (count - 1).bit_length()), height * shown_frames, f"{what}, all its frames,")
    return Image(name, (_gif(side_by_side(as_bytes(array, what, clip=clip)), frame_ms),))


def side_by_side(batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """[N, T, H, W, C] as [T, height, width, C]: a grid of half as many rows as columns, or as many, both powers of two."""
    count, frames, height, width, channels = batch.shape
    cells = 1 << (count - 1).bit_length()
    rows = 1 << ((count.bit_length() - 1) // 2)
    filled = np.zeros((cells, frames, height, width, channels), np.uint8)
    filled[:count] = batch
    filled = filled.reshape(rows, cells // rows, frames, height, width, channels).transpose(2, 0, 3, 1, 4, 5)
    return filled.reshape(frames, rows * height, cells // rows * width, channels)


def _gif(frames: NDArray[np.uint8], frame_ms: int) -> bytes:
    picture: Any = pillow("Image")
    pages = [picture.fromarray(frame[:, :, 0] if frame.shape[2] == 1 else frame) for frame in frames]
    file = io.BytesIO()
    pages[0].save(file, format="GIF", save_all=True, append_images=pages[1:], duration=frame_ms, loop=0)
    return file.getvalue()
