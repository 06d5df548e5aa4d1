"""What is wrong with an item of a JSON body, in our words: where it stands, what came there and what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from tbbridge import limits
from tbbridge.errors import ItemError
from tbbridge.wire.collect import ItemErrors

T = TypeVar("T")


def checked(
    adapter: TypeAdapter[T], fields: Iterable[str], item: Any, path: str, errors: ItemErrors, *, whole: bool = False
) -> T | None:
    """`item` as its type, or None. Unknown fields are noted; they also spoil an item that stands or falls as a `whole`."""
    before = errors.count
    if isinstance(item, dict):
        known = ", ".join(sorted(fields, key=lambda name: name != "kind"))
        unknown = [name for name in item if name not in fields]
        for name in unknown[: limits.REPORTED_ITEMS]:
            shown = clipped(name)
            message = f"'{shown}' is not a field here; check its spelling or leave it out (known are {known})"
            errors.add(ItemError(join(path, shown), "unknown-field", message))
    try:
        made = adapter.validate_python(item, strict=True)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            errors.add(explained(detail, path))
        return None
    return None if whole and errors.count > before else made


_NUMBER_HINT: Final = 'send a number, or the string "NaN", "Infinity" or "-Infinity"'

# From pydantic's type of an error to our code and message; `came` says what stands there, `field` is the last part of the path.
_EXPLANATIONS: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("missing", "'{field}' is missing; add it"),
    "string_type": ("type", "{came} came where text is wanted; send a string"),
    "int_type": ("type", "{came} came where a whole number is wanted; send it as 7, neither as 7.0 nor in quotes"),
    "float_type": ("type", "{came} came where a number is wanted; {number_hint}"),
    "list_type": ("type", "{came} came where a list is wanted; send [...] or leave it out"),
    "dict_type": ("type", "{came} came where an object is wanted; send {{...}}"),
    "extra_forbidden": ("unknown-field", "'{field}' is not a field here; check its spelling or leave it out"),
    "model_type": ("type", "{came} came where an object is wanted; send {{...}}"),
    "bool_type": ("type", "{came} came where true or false is wanted; send it without quotes"),
    "literal_error": ("type", "{came} is none of those that are known here; send {expected}"),
    "too_short": ("length", "a bucket has three numbers, this one fewer; send [left edge, right edge, count]"),
    "too_long": ("length", "a bucket has three numbers, this one more; send [left edge, right edge, count]"),
}


def explained(detail: ErrorDetails, path: str) -> ItemError:
    """What pydantic found wrong with a part of the item at `path`."""
    code, template = _EXPLANATIONS.get(detail["type"], ("type", "{came} is refused: " + detail["msg"].replace("{", "{{")))
    place = path
    for part in detail["loc"]:
        place = f"{place}[{part}]" if isinstance(part, int) else join(place, str(part))
    field = detail["loc"][-1] if detail["loc"] else ""
    if field == "sprite_size" and code == "length":
        template = "a sprite's cell has two numbers; send [width, height]"
    hint = _NUMBER_HINT
    if detail["input"] is None:
        hint += " (JavaScript writes those as null)"
    elif isinstance(detail["input"], str):
        hint = hint.replace("number, or", "number without quotes, or")
    if "wall_time" in detail["loc"] or "wall_times" in detail["loc"]:
        hint = "send seconds since 1970, or leave it out"
    expected = detail.get("ctx", {}).get("expected", "")
    return ItemError(
        place, code, template.format(came=shown(detail["input"]), field=field, number_hint=hint, expected=expected)
    )


def join(path: str, name: str) -> str:
    """The path of the part `name` of the item at `path`."""
    return f"{path}.{name}" if path else name


_SHOWN_CHARACTERS: Final = 40


def clipped(text: str) -> str:
    """The start of `text`, as ASCII, without quotes."""
    return ascii(text[:_SHOWN_CHARACTERS])[1:-1] + ("..." if len(text) > _SHOWN_CHARACTERS else "")


def shown(came: object) -> str:
    """What came, in JSON's words and short enough for a message."""
    match came:
        case None | True | False:
            return {None: "null", True: "true", False: "false"}[came]
        case str():
            return f'the text "{clipped(came)}"'
        case list():
            return "a list"
        case dict():
            return "an object"
        case _:
            return clipped(str(came))
