"""What a log call is given, as what we send: a float, a step, a time, an array of our own, buckets.

A user's own mistake raises `InvalidItem` here, at the log call, where the traceback points at the line to repair. Arrays and
numbers of other libraries are read in convert/; this file adds what only a running client needs.
"""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex, TypeAlias

from numpy.typing import NDArray

from tbbridge.convert.arrays import as_numbers, described
from tbbridge.convert.histograms import HistogramDict, as_buckets
from tbbridge.convert.numbers import Number, SupportsItem, as_float
from tbbridge.errors import InvalidItem
from tbbridge.model import check_step, check_wall_time

__all__ = ["HistogramDict", "Number", "Step", "SupportsItem", "as_array", "as_buckets", "as_float", "as_step", "as_wall_time"]

Step: TypeAlias = SupportsIndex | SupportsItem


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
        raise InvalidItem("step", f"the step is {described(step)}; give a whole number", "step")
    return check_step(operator.index(number))


def as_wall_time(wall_time: object) -> float:
    """Seconds since 1970 as a float; finite."""
    return check_wall_time(wall_time if type(wall_time) is float else as_float(wall_time, "wall_time"))


def as_array(values: object, what: str) -> NDArray[Any]:
    """A flat copy of the user's numbers in their own type: the user may change the original in the next line."""
    array = as_numbers(values, what)
    return array.ravel() if isinstance(values, list | tuple) else array.flatten()
