"""One number of any library as a float."""

from __future__ import annotations

from typing import Any, Final, Protocol, SupportsFloat, TypeAlias

import numpy as np

from tbbridge.convert.arrays import described
from tbbridge.errors import InvalidItem


class SupportsItem(Protocol):
    """A scalar of numpy, torch, JAX and the like: `item()` is the Python number in it."""

    def item(self) -> Any:
        """The only element."""


Number: TypeAlias = SupportsFloat | SupportsItem

# Types that float() reads by itself; anything else may have an item() that says more than its __float__.
_PLAIN: Final = (int, float, np.floating, np.integer, np.bool_)


def as_float(value: object, tag: object) -> float:
    """A number of any type as a float. bool is 0 or 1, as in tensorboardX; text is never a number."""
    number = value
    item = None if isinstance(value, _PLAIN) else getattr(value, "item", None)
    if callable(item):
        try:
            number = item()
        except (ValueError, RuntimeError, TypeError) as error:  # more than one element (numpy and JAX, torch), or traced
            message = f"the value of tag {tag!a} is {described(value)}, not one number ({error}); log a mean or one element"
            raise InvalidItem("value", message, "value") from None
    if isinstance(number, SupportsFloat) and not isinstance(number, str):
        try:
            return float(number)
        except (ValueError, TypeError, OverflowError) as error:
            message = f"the value of tag {tag!a} is {described(value)} ({error}); log a number"
            raise InvalidItem("value", message, "value") from None
    raise InvalidItem("value", f"the value of tag {tag!a} is {described(value)}; log a number", "value")
