"""Images as users hold them (arrays in any layout, figures, Pillow's, encoded bytes) as one PNG, with Pillow.

A layout is a text with one letter a dimension: N image, H row, W column, C channel; T frame (videos.py). Pixels are uint8, or
floats in [0, 1]. One channel is grey, three are colours, four have transparency.
"""

from __future__ import annotations

import io
import math
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.convert.arrays import as_numbers, described, in_range
from tbbridge.convert.numbers import as_float
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Pixels: TypeAlias = NDArray[np.uint8]

# Corners further out than any picture is large, which the drawing library would not survive.
_FAR: Final = 1e6
_CHANNELS: Final = (1, 3, 4)
# zlib's default, 6, takes a photograph twice as long to become 1 % smaller.
_COMPRESS_LEVEL: Final = 4


def image(tag: str, img: object, dataformats: str | None = None, *, clip: bool = False) -> Image:
    """One image: an array in any layout, encoded PNG, JPEG or GIF bytes (kept as they are), or a Pillow image.

    Without `dataformats` the layout is seen from the shape: HW; CHW unless only the last dimension can be channels, then HWC;
    NCHW or NHWC likewise, as one grid.
    """
    name = checked_tag(tag)
    if isinstance(img, bytes | bytearray | memoryview):
        return Image(name, (bytes(img),))
    if type(img).__module__.partition(".")[0] == "PIL":
        return Image(name, (_encoded(_plain(img)),))
    return Image(name, (png(pixels(img, dataformats, f"the image of tag {tag!a}", clip=clip)),))


def images(tag: str, imgs: object, dataformats: str | None = None, *, clip: bool = False) -> Image:
    """A batch NCHW or NHWC, or a list of equally large images HW, CHW or HWC, as one grid of eight a row.

    Empty places of the grid are black, or transparent where the images have four channels. `dataformats` is of the batch; for a
    list it may also be that of one image, as in tensorboardX.
    """
    name = checked_tag(tag)
    what = f"the images of tag {tag!a}"
    if isinstance(imgs, list | tuple):
        singles = [as_numbers(one, what) for one in imgs]
        if len({one.shape for one in singles}) != 1:
            shapes = ", ".join(sorted({str(one.shape) for one in singles})) or "none at all"
            raise InvalidItem("shape", f"{what} have the shapes {shapes}; give at least one, all of one shape", "images")
        imgs = np.stack(singles)
        if dataformats is not None and len(dataformats) == imgs.ndim - 1:
            dataformats = "N" + dataformats
        if dataformats is None and imgs.ndim == 3:
            dataformats = "NHW"
    elif dataformats is None and np.ndim(batch := as_numbers(imgs, what)) != 4:
        message = f"{what} have shape {batch.shape}; give NCHW or NHWC, or name the layout with dataformats"
        raise InvalidItem("shape", message, "images")
    return Image(name, (png(pixels(imgs, dataformats, what, clip=clip)),))


def image_with_boxes(
    tag: str,
    img: object,
    boxes: object,
    labels: str | Sequence[str] | None = None,
    dataformats: str | None = None,
    *,
    rescale: float = 1.0,
    clip: bool = False,
) -> Image:
    """One image with boxes drawn in red: [N, 4] of left, top, right, bottom in pixels; `labels` one text a box."""
    name = checked_tag(tag)
    what = f"the boxes of tag {tag!a}"
    corners = as_numbers(boxes, what).astype(np.float64)
    if corners.size == 0:
        corners = corners.reshape(0, 4)
    if corners.ndim != 2 or corners.shape[1] != 4:
        message = f"{what} have shape {corners.shape}; give [N, 4]: left, top, right, bottom of each, in pixels"
        raise InvalidItem("shape", message, "boxes")
    if not np.isfinite(corners).all():
        raise InvalidItem("range", f"{what} hold NaN or infinity; give pixels of the image", "boxes")
    texts = [labels] if isinstance(labels, str) else [] if labels is None else [str(label) for label in labels]
    if labels is not None and len(texts) != len(corners):
        message = f"{len(texts)} labels for {len(corners)} boxes of tag {tag!a}; give one label a box, or none"
        raise InvalidItem("length", message, "labels")
    factor = as_float(rescale, tag)
    if not 0 < factor < float("inf"):
        raise InvalidItem("range", f"rescale of tag {tag!a} is {factor}; give a number over 0, 1 for the same size", "rescale")
    picture = _picture(pixels(img, dataformats, f"the image of tag {tag!a}", clip=clip))
    if picture.mode == "L":
        picture = picture.convert("RGB")
    _draw_boxes(picture, corners.clip(-_FAR, _FAR), texts)
    if factor != 1:
        size = (max(1, int(picture.width * factor)), max(1, int(picture.height * factor)))
        check_pixels(*size, f"the rescaled image of tag {tag!a}")
        picture = picture.resize(size, pillow("Image").Resampling.LANCZOS)
    return Image(name, (_encoded(picture),))


def _draw_boxes(picture: Picture, corners: NDArray[np.float64], texts: list[str]) -> None:
    draw = pillow("ImageDraw").Draw(picture)
    font = pillow("ImageFont").load_default()
    red, black = "red", "black"
    for position, (left, top, right, bottom) in enumerate(corners.tolist()):
        draw.line([(left, top), (left, bottom), (right, bottom), (right, top), (left, top)], width=2, fill=red)
        if not texts or not texts[position]:
            continue
        text = texts[position]
        try:
            size = font.getbbox(text)
        except UnicodeEncodeError:  # Pillow without FreeType has only a Latin-1 font
            text = text.encode("latin-1", "replace").decode("latin-1")
            size = font.getbbox(text)
        width, height = size[2] - size[0], size[3] - size[1]
        margin = math.ceil(0.05 * height)
        draw.rectangle([(left, bottom - height - 2 * margin), (left + width, bottom)], fill=red)
        draw.text((left + margin - size[0], bottom - height - margin - size[1]), text, fill=black, font=font)


def figure(tag: str, figures: object, *, close: bool = True) -> Image:
    """A matplotlib figure as it would be shown, or a list of equally large ones as a grid; `close` closes them afterwards."""
    name = checked_tag(tag)
    several = list(figures) if isinstance(figures, list | tuple) else [figures]
    for one in several:
        if not hasattr(one, "canvas") or not hasattr(one, "savefig"):
            message = f"the figure of tag {tag!a} is {described(one)}; give a matplotlib Figure (plt.gcf()) or a list of them"
            raise InvalidItem("figure", message, "figure")
    drawn = [_rendered(one) for one in several]
    if len({one.shape for one in drawn}) != 1:
        sizes = ", ".join(sorted({f"{one.shape[1]}x{one.shape[0]}" for one in drawn})) or "none at all"
        message = f"the figures of tag {tag!a} are {sizes} pixels large; make them all of one figsize and dpi"
        raise InvalidItem("shape", message, "figure")
    pyplot: Any = sys.modules.get("matplotlib.pyplot")
    if close and pyplot is not None:
        for one in several:
            pyplot.close(one)
    return Image(name, (png(drawn[0] if not isinstance(figures, list | tuple) else grid(np.stack(drawn))),))


def _rendered(one: Any) -> Pixels:
    """Drawn on a canvas of our own, so that a figure on somebody's screen keeps its window."""
    canvas = one.canvas
    try:
        mine = import_module("matplotlib.backends.backend_agg").FigureCanvasAgg(one)
        mine.draw()
        return np.array(mine.buffer_rgba(), dtype=np.uint8)[:, :, :3]
    finally:
        one.set_canvas(canvas)


def pixels(img: object, dataformats: str | None, what: str, *, clip: bool) -> Pixels:
    """Any array of an image, or of a batch as a grid, as uint8 [height, width, channels]."""
    array = as_numbers(img, what)
    layout = layout_of(array.shape, dataformats, what)
    shown = f"{array.shape} read as {layout}"
    if "C" not in layout:
        array, layout = array[..., np.newaxis], layout + "C"
    order = [layout.index(letter) for letter in ("NHWC" if "N" in layout else "HWC")]
    array = array.transpose(order)
    if array.shape[-1] not in _CHANNELS:
        message = f"{what} has {array.shape[-1]} channels in shape {shown}; give 1, 3 or 4, or another layout"
        raise InvalidItem("shape", message + ' with dataformats, such as "CHW", "HWC" or "HW"', "image")
    if 0 in array.shape:
        raise InvalidItem("shape", f"{what} has no pixels: its shape is {shown}", "image")
    cells = len(array) if "N" in layout else 1
    check_pixels(array.shape[-2], array.shape[-3] * cells, what)
    whole = as_bytes(array, what, clip=clip)
    return grid(whole) if whole.ndim == 4 else whole


def check_pixels(width: int, height: int, what: str) -> None:
    """Refuse a picture that no browser draws, before it is drawn here."""
    if width * height > limits.IMAGE_MAX_PIXELS:
        message = f"{what} has {width} x {height} pixels, at most {limits.IMAGE_MAX_PIXELS} are taken; scale it down"
        raise InvalidItem("too-large", message, "image")


def layout_of(shape: tuple[int, ...], dataformats: str | None, what: str) -> str:
    """The layout named by `dataformats`, checked against the shape; or the one seen from the shape."""
    if dataformats is None:
        if len(shape) == 2:
            return "HW"
        if len(shape) not in (3, 4):
            message = f"{what} has shape {shape}; give HW, CHW or HWC, or a batch NCHW or NHWC"
            raise InvalidItem("shape", message, "image")
        channels_last = shape[-1] in _CHANNELS and shape[-3] not in _CHANNELS
        return ("N" if len(shape) == 4 else "") + ("HWC" if channels_last else "CHW")
    layout = dataformats.upper()
    if sorted(layout) not in (sorted("HW"), sorted("CHW"), sorted("NHW"), sorted("NCHW")):
        message = f"dataformats {dataformats!a} of {what} is no layout; give an order of HW, CHW or NCHW, each letter once"
        raise InvalidItem("layout", message, "dataformats")
    if len(layout) != len(shape):
        message = f"{what} has shape {shape}, which is {len(shape)} dimensions and not {dataformats}; "
        raise InvalidItem(
            "shape", message + "name its layout with dataformats, or take away dimensions with squeeze()", "image"
        )
    return layout


def as_bytes(array: NDArray[Any], what: str, *, clip: bool) -> Pixels:
    """Numbers of pixels as uint8: floats in [0, 1] times 255, rounded down as in tensorboardX; bool is black or white."""
    if array.dtype == np.uint8:
        return np.ascontiguousarray(array)
    if array.dtype.kind in "iu" and not (clip or (array.min() >= 0 and array.max() <= 1)):
        message = (
            f"{what} has type {array.dtype}, and uint8 or floats in [0, 1] are accepted; convert numbers from 0 to 255 with"
        )
        raise InvalidItem("type", message + ' .astype("uint8") (torch: .to(torch.uint8))', "image")
    remedy = "floats are taken from 0 (black) to 1 (white): divide numbers from 0 to 255 by 255, or convert them to uint8"
    # float16 would lose the last bits of 255 steps.
    wide = array if array.dtype.kind == "f" and array.dtype.itemsize >= 4 else array.astype(np.float32)
    scaled = in_range(wide, 0.0, 1.0, what, remedy, clip=clip) * 255.0
    return np.ascontiguousarray(scaled.astype(np.uint8))


def grid(batch: NDArray[np.uint8], columns: int = limits.GRID_COLUMNS) -> Pixels:
    """[N, H, W, C] as one picture: row by row, `columns` beside each other, the rest zero."""
    count, height, width, channels = batch.shape
    columns = min(count, columns)
    rows = -(-count // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:count] = batch
    cells = cells.reshape(rows, columns, height, width, channels).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows * height, columns * width, channels)


def png(array: Pixels) -> bytes:
    """uint8 [height, width, channels] as a PNG file."""
    return _encoded(_picture(array))


def _picture(array: Pixels) -> Picture:
    made: Picture = pillow("Image").fromarray(array[:, :, 0] if array.shape[2] == 1 else array)
    return made


def _plain(picture: Any) -> Picture:
    """Pillow's many modes (CMYK, 16-bit, palettes) as those that a PNG shows the same in every browser."""
    if picture.mode in ("L", "RGB", "RGBA"):
        return picture  # type: ignore[no-any-return]
    transparent = picture.mode in ("LA", "PA", "La", "RGBa") or "transparency" in picture.info
    return picture.convert("RGBA" if transparent else "RGB")  # type: ignore[no-any-return]


def _encoded(picture: Picture) -> bytes:
    file = io.BytesIO()
    picture.save(file, format="PNG", compress_level=_COMPRESS_LEVEL)
    return file.getvalue()


def pillow(part: str) -> Any:
    """A module of Pillow, imported when the first picture is made: most programs that log make none."""
    try:
        return import_module(f"PIL.{part}")
    except ImportError as error:
        raise ImportError("pictures need Pillow, which is not installed: pip install 'tbbridge[media]'", name="PIL") from error
