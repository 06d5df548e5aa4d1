"""Arrays of any library as numpy arrays, known by what they can do: `detach`, `cpu`, `__array__`, `__dlpack__`.

Nothing here imports torch, JAX, TensorFlow or CuPy. What cannot be read as numbers raises `InvalidItem` with what came and the
remedy. The other files of this package start here.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbbridge import limits
from tbbridge.errors import InvalidItem

logger = logging.getLogger("tbbridge.convert")

# What a library of arrays or tensors raises when it cannot give its numbers to numpy.
_REFUSALS = (ValueError, TypeError, RuntimeError, BufferError, AttributeError)


def as_numbers(values: object, what: str) -> NDArray[Any]:
    """The user's numbers in their own shape and type: bool, integer or float. It may share memory with `values`: do not write.

    Types that numpy has no name for (bfloat16, float8) come as float32. `what` begins the message of the error.
    """
    try:
        array = _read(values)
    except _REFUSALS as error:
        raise _no_numbers(what, values, error) from None
    kind = array.dtype.kind
    if kind == "O" or (kind == "V" and array.dtype.names is None):  # big ints and fractions; JAX's bfloat16
        if any(one is None for one in array.flat):  # numpy would make NaN of it
            raise _no_numbers(what, values, "None is no number")
        try:
            array = array.astype(np.float64 if kind == "O" else np.float32)
        except (ValueError, TypeError, OverflowError) as error:
            raise _no_numbers(what, values, error) from None
    if array.dtype.kind not in "fiub":
        raise _no_numbers(what, values, f"its type is {array.dtype}")
    return array


def _read(values: object) -> NDArray[Any]:
    if isinstance(values, np.ndarray):
        return np.asarray(values)  # of a matrix, whose rows never become a vector, the plain array
    if isinstance(values, list | tuple) and any(hasattr(value, "detach") for value in values):
        return np.array([_read(value) for value in values])  # a list of tensors, which numpy would ask one element at a time
    for name in ("detach", "cpu"):  # torch: off the graph, off the GPU
        method = getattr(values, name, None)
        if callable(method):
            values = method()
    if not hasattr(values, "__array__"):
        if type(values).__module__.partition(".")[0] == "cupy":
            values = getattr(values, "get")()  # noqa: B009 - an object of a library that we do not import
        elif hasattr(values, "__dlpack__"):
            return np.from_dlpack(values)
    try:
        return np.asarray(values)
    except _REFUSALS:
        widen = getattr(values, "float", None)  # torch's bfloat16 and float8
        if not callable(widen):
            raise
        return np.asarray(widen())


def as_float32(array: NDArray[Any]) -> NDArray[np.float32]:
    """The array as 32-bit floats; what is too large for them becomes infinite, without numpy's warning."""
    with np.errstate(over="ignore"):
        return array.astype(np.float32)


def described(value: object) -> str:
    """`value` in a few words, for an error: its type and shape, or the text that it is."""
    if isinstance(value, str | bytes | bytearray):
        shown = ascii(value)
        return f"the text {shown if len(shown) <= 40 else shown[:37] + '...'}"
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    name = with_article(type(value).__name__)
    return f"{name} of shape {tuple(shape)}" if isinstance(shape, Sequence) and len(shape) else name


def with_article(name: str) -> str:
    """`name` with the article that English gives it: a list, an int, an ndarray."""
    return f"an {name}" if name[0].lower() in "aeiou" or name == "ndarray" else f"a {name}"


def in_range(
    array: NDArray[Any],
    low: float,
    high: float,
    what: str,
    remedy: str,
    *,
    clip: bool = False,
    slack: float = limits.CONVERT_OVERSHOOT,
) -> NDArray[Any]:
    """Floats brought into [low, high]; beyond it by more than `slack` of the range is an `InvalidItem`, unless `clip`.

    NaN counts as out of range; with `clip` it becomes 0, or `low` if that is more. What is cut is said in the log, once.
    """
    if array.size == 0:
        return array
    least, greatest = float(array.min()), float(array.max())
    if low <= least and greatest <= high:
        return array
    over = slack * (high - low)
    far = not (low - over <= least and greatest <= high + over)
    if far and clip:
        _tell_cut(what, remedy)
    elif far:
        came = "holds NaN" if math.isnan(least) else f"goes from {least:.6g} to {greatest:.6g}"
        raise InvalidItem("range", f"{what} {came}; {remedy}", "values")
    filled = np.nan_to_num(array, nan=max(low, 0.0), posinf=high, neginf=low)
    return np.asarray(filled.clip(low, high))


@lru_cache(maxsize=limits.CLIENT_WARNINGS_MAX)
def _tell_cut(what: str, remedy: str) -> None:
    """Cached, so that a training loop is told once and not at every step."""
    logger.warning("%s is out of range, and was cut to fit; %s", what, remedy)


def _no_numbers(what: str, values: object, why: object) -> InvalidItem:
    return InvalidItem("values", f"{what} is {described(values)} ({why}); give an array of numbers", "values")
