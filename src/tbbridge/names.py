"""Names, steps and times: the checks that every item passes, whatever it carries.

What fails raises `InvalidItem`, which names the part that is wrong and the remedy. This file knows no kind and no wire format;
kinds.py and model.py build on it.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NewType

from tbbridge import limits
from tbbridge.errors import InvalidItem

if TYPE_CHECKING:
    from tbbridge.arrays import Float64s

RunName = NewType("RunName", str)
TagName = NewType("TagName", str)

INT64_MIN = -(2**63)
INT64_MAX = 2**63 - 1

# Our own folder inside the log folder: journal, checkpoint, lock. No run may take its name.
STATE_FOLDER = ".tbbridge"
# What a run's folder may hold for TensorBoard's Projector besides event files: its table of contents, and our files in it.
PROJECTOR_CONFIG = "projector_config.pbtxt"
EMBEDDINGS_FOLDER = "embeddings.tbbridge"


def utf8_length(text: str, what: str, where: str) -> int:
    """Length of `text` in bytes of UTF-8; a lone surrogate, which no file or protobuf can hold, is an `InvalidItem`."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidItem(
            "not-utf8", f"{what} holds a lone surrogate at character {error.start}; send valid Unicode", where
        ) from None


def decode_utf8(raw: bytes, what: str, where: str) -> str:
    """`raw` as text, or an `InvalidItem` that says at which byte it stops being UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidItem("not-utf8", f"{what} is not UTF-8 at byte {error.start}; send UTF-8", where) from None


@lru_cache(maxsize=4096)
def run_name(name: str) -> RunName:
    """Check a run's name, which becomes a folder below the log folder: the one gate between senders and the file system."""
    size = utf8_length(name, "the run name", "run")
    if not 1 <= size <= limits.RUN_MAX_BYTES:
        raise InvalidItem("run-name", f"a run name has 1 to {limits.RUN_MAX_BYTES} bytes of UTF-8, this one has {size}", "run")
    shown = ascii(name)
    for character in name:
        if ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0:
            raise InvalidItem("run-name", f"run name {shown} holds the control character {character!a}; remove it", "run")
    if name.startswith("/"):
        raise InvalidItem("run-name", f"run name {shown} starts with '/'; name it relative to the log folder", "run")
    for part in name.split("/"):
        if part in ("", ".", ".."):
            raise InvalidItem(
                "run-name", f"run name {shown} has the part '{part}' between slashes; use plain names there", "run"
            )
        if utf8_length(part, "the run name", "run") > limits.RUN_PART_MAX_BYTES:
            message = (
                f"run name {shown} has a part of over {limits.RUN_PART_MAX_BYTES} bytes, longer than a folder's name can be"
            )
            raise InvalidItem("run-name", message + "; shorten it or split it with '/'", "run")
        if "tfevents" in part or "tf~vents" in part or part.casefold() in (STATE_FOLDER, PROJECTOR_CONFIG, EMBEDDINGS_FOLDER):
            message = (
                f"run name {shown} has the part '{part}', which is kept for tbbridge's or TensorBoard's own files; rename it"
            )
            raise InvalidItem("run-name", message, "run")
    return RunName(name)


@lru_cache(maxsize=65536)
def tag_name(name: str) -> TagName:
    """Check a tag: any text of 1 to limits.TAG_MAX_BYTES bytes. TensorBoard groups charts by what is before its first '/'."""
    size = utf8_length(name, "the tag", "tag")
    if size == 0:
        raise InvalidItem("tag", "the tag is empty; give the series a name such as 'loss'", "tag")
    if size > limits.TAG_MAX_BYTES:
        raise InvalidItem(
            "tag", f"a tag has at most {limits.TAG_MAX_BYTES} bytes of UTF-8, this one has {size}; shorten it", "tag"
        )
    return TagName(name)


def check_step(step: int, where: str = "step") -> int:
    """A step is a signed 64-bit number, in TensorBoard's files too."""
    if not INT64_MIN <= step <= INT64_MAX:
        raise InvalidItem("step", f"step {step} does not fit in 64 bits; steps go from -2^63 to 2^63-1", where)
    return step


def check_wall_time(wall_time: float, where: str = "wall_time") -> float:
    """Wall time in seconds since 1970. Finite: one NaN makes TensorBoard's data server drop the rest of the file."""
    if not math.isfinite(wall_time):
        raise InvalidItem("wall-time", f"{where} is {wall_time}; give finite seconds since 1970, or leave it out", where)
    return wall_time


def check_wall_time_at(wall_times: Float64s, position: int) -> None:
    """The same for one element of a column."""
    wall_time = float(wall_times[position])
    if not math.isfinite(wall_time):
        message = f"wall_time is {wall_time}; give finite seconds since 1970, or leave the column out"
        raise InvalidItem("wall-time", message, f"wall_times[{position}]")


def check_shown_names(display_name: str, description: str) -> None:
    """What TensorBoard shows in place of the tag, and (as Markdown) beside it; both may be empty."""
    for text, what, most in (
        (display_name, "display_name", limits.DISPLAY_NAME_MAX_BYTES),
        (description, "description", limits.DESCRIPTION_MAX_BYTES),
    ):
        size = utf8_length(text, what, what)
        if size > most:
            raise InvalidItem("too-large", f"{what} has {size} bytes, at most {most} are taken; shorten it", what)
