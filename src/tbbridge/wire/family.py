"""What the bodies of the old clients share: JSON as Python's json module writes it, and looks at texts and numbers.

`crayon`, `lapiz` and `pastalog` build on it; each says itself what its clients send. What is wrong raises `InvalidItem`
with the field's name in front, since these clients show their user one line of text and nothing else. Pure.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from pydantic_core import from_json

from tbbridge import limits
from tbbridge.errors import InvalidItem, MalformedBody, TooLarge
from tbbridge.model import INT64_MAX, INT64_MIN, Batch, RunBatch, RunName, ScalarColumns, TagName, run_name, tag_name

_SHOWN_CHARACTERS: Final = 40


def parse(body: bytes, hint: str) -> object:
    """A body's JSON; the bare tokens NaN and Infinity are taken, which Python's json writes. `hint` says what to send.

    Raises `MalformedBody` if it is not JSON, `TooLarge` if it has more values than limits.JSON_MAX_VALUES.
    """
    if len(body) > limits.JSON_MAX_VALUES and body.count(b",") + body.count(b"[") + body.count(b"{") > limits.JSON_MAX_VALUES:
        raise TooLarge(f"the body has over {limits.JSON_MAX_VALUES} values; send fewer at a time")
    if not body.strip():
        raise MalformedBody(f"the body is empty; {hint}")
    try:
        parsed: object = from_json(body, cache_strings="keys")
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}; {hint}") from None
    return parsed


def text(came: object, where: str) -> str:
    """`came` if it is a text."""
    if isinstance(came, str):
        return came
    raise InvalidItem("type", f"{where} is {shown(came)}; send a text", where)


def number(came: object, where: str) -> float:
    """A JSON number, which may be NaN or infinite, as a float."""
    if type(came) is float:
        return came
    if type(came) is not int:
        raise InvalidItem("type", f"{where} is {shown(came)}; send a number", where)
    try:
        return float(came)
    except OverflowError:
        raise InvalidItem("type", f"{where} is larger than a double can hold; send a smaller number", where) from None


def finite(came: object, where: str) -> float:
    """A JSON number that is neither NaN nor infinite."""
    value = number(came, where)
    if not math.isfinite(value):
        raise InvalidItem("type", f"{where} is {value}; send a finite number", where)
    return value


def whole(came: object, where: str) -> int:
    """A step: a whole number of 64 bits. 7.0 counts as one, since Lua and JavaScript know only one type of numbers."""
    if type(came) is float and came.is_integer():
        came = int(came)
    if type(came) is not int:
        raise InvalidItem("step", f"{where} is {shown(came)}; send a whole number", where)
    if not INT64_MIN <= came <= INT64_MAX:
        raise InvalidItem("step", f"{where} is {shown(came)}, which does not fit in 64 bits; send less", where)
    return came


def flag(came: str | None, name: str) -> bool:
    """`true` or `false` in any case, as Python and Lua write them; left out is false."""
    if came is None or came.lower() in ("false", "0"):
        return False
    if came.lower() in ("true", "1"):
        return True
    raise InvalidItem("query", f"{name} is {shown(came)}; send true or false", name)


def numbers(came: object, where: str, most: int) -> list[float]:
    """A flat list of at most `most` numbers; NaN and infinities may be among them."""
    if not isinstance(came, list):
        raise InvalidItem("type", f"{where} is {shown(came)}; send a list of numbers", where)
    if len(came) > most:
        raise InvalidItem("too-large", f"{where} has {len(came)} numbers, at most {most} are taken; send fewer", where)
    if set(map(type, came)) <= {float}:
        return came
    return [number(one, f"{where}[{position}]") for position, one in enumerate(came)]


def run(name: str, called: str) -> RunName:
    """A run's name, refused under the name that the dialect has for it."""
    try:
        return run_name(name)
    except InvalidItem as error:
        raise InvalidItem(error.item_code, f"{called}: {error.message}", called) from None


def tag(name: str, called: str) -> TagName:
    """A tag, refused under the name that the dialect has for it."""
    try:
        return tag_name(name)
    except InvalidItem as error:
        raise InvalidItem(error.item_code, f"{called}: {error.message}", called) from None


def one_point(name: RunName, series: TagName, value: float, step: int | None, wall_time: float | None) -> Batch:
    """A batch of one scalar."""
    column = ScalarColumns(
        series,
        np.array((value,), np.float64),
        None if step is None else np.array((step,), np.int64),
        None if wall_time is None else np.array((wall_time,), np.float64),
    )
    return Batch((RunBatch(name, (column,)),))


def shown(came: object) -> str:
    """What came, in JSON's words and short enough for a message."""
    match came:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[came]
        case str():
            clipped = ascii(came[:_SHOWN_CHARACTERS])[1:-1]
            return f'the text "{clipped}{"..." if len(came) > _SHOWN_CHARACTERS else ""}"'
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return str(came)[:_SHOWN_CHARACTERS]
