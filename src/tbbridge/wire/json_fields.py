"""The fields that the JSON bodies share, as types: pydantic validates with them, and the OpenAPI document is made from them.

Strict: no text for a number, no 1.0 for a step. Bytes travel as base64 text; arrays as nested lists, which `json_kinds` turns
into arrays and looks at.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, NotRequired

from pydantic import ConfigDict, FailFast, Field, WithJsonSchema, with_config
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from tbbridge import limits

SPECIAL_NUMBERS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def shape(example: dict[str, Any]) -> ConfigDict:
    """A type whose unknown fields json_v1 finds, with an example for the document."""
    return ConfigDict(extra="allow", strict=True, json_schema_extra={"additionalProperties": False, "examples": [example]})


# The key under which a schema that stands in a field's place carries the name that it shall have among the document's
# components: server/openapi.py takes it there. A generator names its type so; without it, each makes up a name for each place.
NAME_KEY: Final = "x-component"


def named(name: str, description: str = "") -> dict[str, Any]:
    """What a schema says besides, to be a component called `name`; what its field says of it stays with the field."""
    return {NAME_KEY: {"name": name, "description": description}}


SPECIAL_SCHEMA: Final[dict[str, Any]] = {
    **named("SpecialNumber", "Stands for what JSON has no number for."),
    "type": "string",
    "enum": list(SPECIAL_NUMBERS),
    "x-enum-varnames": ["NAN", "INFINITY", "NEGATIVE_INFINITY"],  # how generators call them, which cannot call one `-Infinity`
}
NUMBER_SCHEMA: Final[dict[str, Any]] = {
    **named(
        "NumberValue",
        "A number, or one of the strings that stand for what JSON has no number for. Taken too, though no JSON: the "
        "bare tokens NaN, Infinity and -Infinity, which Python's json module writes.",
    ),
    "anyOf": [{"type": "number", "format": "double"}, SPECIAL_SCHEMA],
}
Number = Annotated[float, WithJsonSchema(NUMBER_SCHEMA)]
Finite = Annotated[float, WithJsonSchema({"type": "number", "format": "double"})]
Int64 = Annotated[int, WithJsonSchema({"type": "integer", "format": "int64"})]

# FailFast: one error names a column well enough, and a million of them would not fit in memory.
Numbers = Annotated[list[Number], FailFast()]
Finites = Annotated[list[Finite], FailFast()]
Int64s = Annotated[list[Int64], FailFast()]

Tag = Annotated[
    str,
    Field(
        description=f"Name of the series, 1 to {limits.TAG_MAX_BYTES} bytes of UTF-8. "
        "TensorBoard groups charts by what is before its first `/`.",
        json_schema_extra={"minLength": 1, "maxLength": limits.TAG_MAX_BYTES},
    ),
]
Step = Annotated[Int64, Field(description="Left out: the tag's last step + 1.")]
WallTime = Annotated[Finite, Field(description="Seconds since 1970, finite. Left out: the time of receipt.")]
DisplayName = Annotated[str, Field(description="Shown in place of the tag. TensorBoard keeps what a tag's first value says.")]
Description = Annotated[
    str, Field(description="Markdown, shown beside the tag. TensorBoard keeps what a tag's first value says.")
]
Bytes = Annotated[str, WithJsonSchema({"type": "string", "format": "byte", "contentEncoding": "base64"})]
# Of any depth; one schema for all of them, since a nested list of numbers says no more to a generator.
Nested = Annotated[list[Any], WithJsonSchema({"type": "array", "items": {}})]


@with_config(ConfigDict(extra="allow", strict=True))
class Shared(TypedDict):
    """What every summary may say besides its value."""

    step: NotRequired[Step]
    wall_time: NotRequired[WallTime]
    display_name: NotRequired[DisplayName]
    description: NotRequired[Description]


class Tagged(Shared):
    """The same, of a kind that has no tag of its own."""

    tag: Tag
