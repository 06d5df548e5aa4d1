"""What users log, in whatever type they hold it, as what we send: a float, a step, an array of our own, buckets.

A user's own mistake raises `InvalidItem` here, at the log call, where the traceback points at the line to repair. Nothing here
imports torch or JAX: tensors are known by what they can do (`item`, `detach`, `cpu`, `__array__`).
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, SupportsFloat, SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tbbridge.errors import InvalidItem
from tbbridge.model import Buckets, check_step, check_wall_time


class SupportsItem(Protocol):
    """A scalar of numpy, torch, JAX and the like: `item()` is the Python number in it."""

    def item(self) -> Any:
        """The only element."""


Number: TypeAlias = SupportsFloat | SupportsItem
Step: TypeAlias = SupportsIndex | SupportsItem
# HistogramProto as a dictionary: min, max, num, sum, sum_squares, bucket_limit, bucket.
HistogramDict: TypeAlias = Mapping[str, float | Sequence[float] | NDArray[np.float64]]

# Types that float() reads by itself; anything else may have an item() that says more than its __float__.
_PLAIN: Final = (int, float, np.floating, np.integer, np.bool_)

_HISTO_KEYS: Final = ("min", "max", "bucket_limit", "bucket")


def as_float(value: object, tag: object) -> float:
    """A number of any type as a float. bool is 0 or 1, as in tensorboardX; text is never a number."""
    number = value
    item = None if isinstance(value, _PLAIN) else getattr(value, "item", None)
    if callable(item):
        try:
            number = item()
        except (ValueError, RuntimeError, TypeError) as error:  # more than one element (numpy and JAX, torch), or traced
            message = f"the value of tag {tag!a} is {_described(value)}, not one number ({error}); log a mean or one element"
            raise InvalidItem("value", message, "value") from None
    if isinstance(number, SupportsFloat) and not isinstance(number, str):
        try:
            return float(number)
        except (ValueError, TypeError, OverflowError) as error:
            message = f"the value of tag {tag!a} is {_described(value)} ({error}); log a number"
            raise InvalidItem("value", message, "value") from None
    raise InvalidItem("value", f"the value of tag {tag!a} is {_described(value)}; log a number", "value")


def as_step(step: object) -> int:
    """A step of any integer type as an int; a float such as 3.0 counts as whole, as it does in tensorboardX."""
    if type(step) is int:
        return check_step(step)
    number: object = step
    item = getattr(step, "item", None)
    if callable(item):
        try:
            number = item()
        except (ValueError, RuntimeError, TypeError):
            number = None
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, SupportsIndex):
        raise InvalidItem("step", f"the step is {_described(step)}; give a whole number", "step")
    return check_step(operator.index(number))


def as_wall_time(wall_time: object) -> float:
    """Seconds since 1970 as a float; finite."""
    return check_wall_time(as_float(wall_time, "wall_time"))


def as_array(values: object, what: str) -> NDArray[Any]:
    """A flat copy of the user's numbers in their own type: the user may change the original in the next line."""
    for name in ("detach", "cpu"):  # torch: off the graph, off the GPU
        method = getattr(values, name, None)
        if callable(method):
            values = method()
    try:
        array = np.array(values, copy=True).ravel()
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists; types numpy has no name for, as torch's bfloat16
        array = _widened(values, what, error)
    if array.dtype.kind == "O":  # big ints, fractions, or things that are no numbers at all
        try:
            array = array.astype(np.float64)
        except (ValueError, TypeError, OverflowError) as error:
            raise _no_numbers(what, values, error) from None
    if array.dtype.kind not in "fiub":
        raise _no_numbers(what, values, f"its type is {array.dtype}")
    return array


def _widened(values: object, what: str, error: Exception) -> NDArray[Any]:
    widen = getattr(values, "float", None)
    if not callable(widen):
        raise _no_numbers(what, values, error) from None
    return np.array(widen(), copy=True).ravel()


def _no_numbers(what: str, values: object, why: object) -> InvalidItem:
    return InvalidItem("values", f"{what} is {_described(values)} ({why}); give an array of numbers", "values")


def as_buckets(histo: Buckets | HistogramDict, tag: object) -> Buckets:
    """A HistogramProto dictionary as buckets: each starts at the limit before it, the first at `min`, the last ends at `max`.

    Empty buckets at both ends are dropped: TensorFlow's own reach to the largest double and would flatten every chart.
    """
    if isinstance(histo, Buckets):
        return histo
    if not isinstance(histo, Mapping):
        raise InvalidItem(
            "histogram", f"histo of tag {tag!a} is {_described(histo)}; give a HistogramProto dictionary", "histo"
        )
    missing = [key for key in _HISTO_KEYS if histo.get(key) is None]
    if missing:
        message = f"histo of tag {tag!a} lacks {', '.join(missing)}; it needs {', '.join(_HISTO_KEYS)}"
        raise InvalidItem("histogram", message, "histo")
    limits, counts = (
        as_array(histo[key], f"{key} in histo of tag {tag!a}").astype(np.float64) for key in ("bucket_limit", "bucket")
    )
    if len(limits) != len(counts):
        message = f"histo of tag {tag!a} has {len(limits)} bucket_limit for {len(counts)} bucket; give one limit a bucket"
        raise InvalidItem("length", message, "histo")
    occupied = np.flatnonzero(counts)
    if len(occupied) == 0:
        nothing = np.empty(0)
        return Buckets(nothing, nothing, nothing)
    first, last = int(occupied[0]), int(occupied[-1])
    low, high = (as_float(histo[key], tag) for key in ("min", "max"))
    rights = limits[first : last + 1].copy()
    # An edge that contradicts the limits is not believed: the buckets would overlap or run backwards.
    lefts = np.concatenate(([limits[first - 1] if first else min(low, rights[0])], rights[:-1]))
    if lefts[0] <= low <= rights[0]:
        lefts[0] = low
    if lefts[-1] <= high <= rights[-1]:
        rights[-1] = high
    return Buckets(lefts, rights, counts[first : last + 1].copy())


def _described(value: object) -> str:
    if isinstance(value, str | bytes | bytearray):
        shown = ascii(value)
        return f"the text {shown if len(shown) <= 40 else shown[:37] + '...'}"
    if value is None:
        return "None"
    shape = getattr(value, "shape", None)
    name = type(value).__name__
    return f"of type {name}, shape {tuple(shape)}" if isinstance(shape, Sequence) and len(shape) else f"of type {name}"
