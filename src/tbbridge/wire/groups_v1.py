"""The table of groups as JSON: the body of PUT /api/v1/groups, the file that keeps it, and a settings file's `[groups]`.

Its types, which are also the published schema, stand first. Bytes in, values out; what groups mean is in `tbbridge.groups`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, NotRequired, assert_never

from pydantic import FailFast, Field, TypeAdapter, with_config
from pydantic_core import from_json
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from tbbridge import groups, limits
from tbbridge.errors import InvalidBatch, InvalidItem, ItemError, MalformedBody, TooLarge
from tbbridge.groups import CombinedGroup, IndexedGroup, NormalGroup
from tbbridge.wire.collect import ItemErrors
from tbbridge.wire.json_errors import checked
from tbbridge.wire.json_fields import named, shape

PATTERN_EXAMPLE: Final[dict[str, Any]] = {"pattern": "red*", "bin": "colors"}
GROUPS_EXAMPLE: Final[dict[str, Any]] = {
    "groups": [
        {"name": "learner", "kind": "normal"},
        {"name": "agent", "kind": "indexed", "bin_size": 10},
        {"name": "eval", "kind": "combined", "patterns": [PATTERN_EXAMPLE, {"pattern": "*", "bin": "others"}]},
    ]
}


@with_config(shape(PATTERN_EXAMPLE))
class GroupPattern(TypedDict):
    """Members whose names match `pattern` share the charts of `bin`."""

    pattern: Annotated[str, Field(description="`*`, `?` and `[...]` stand for characters, as in a shell; case counts.")]
    bin: Annotated[str, Field(description="The last part of their tags.")]


@with_config(shape(GROUPS_EXAMPLE["groups"][1]))
class Group(TypedDict):
    """One group, and how its members are spread over TensorBoard's charts."""

    name: Annotated[str, Field(description="What stands before the `/` of a member; the first folder of its runs.")]
    kind: Annotated[
        Literal["normal", "indexed", "combined"],
        Field(
            description="`normal`: all members in one run, tags `<name>/<tag>`. `indexed`: numbered members, each in the run "
            "`<group>/<number>`, tags `<group>/<tag>/<first>-<last>` with `bin_size` members to a chart. `combined`: each in "
            "the run `<group>/<name>`, tags `<group>/<tag>/<bin>` with the bin of the first pattern that matches the name.",
            json_schema_extra=named("GroupKind"),
        ),
    ]
    bin_size: NotRequired[Annotated[int, Field(description="Of an indexed group.", json_schema_extra={"minimum": 1})]]
    patterns: NotRequired[Annotated[list[GroupPattern], FailFast(), Field(description="Of a combined group, in order.")]]


@with_config(shape(GROUPS_EXAMPLE))
class GroupTable(TypedDict):
    """All groups of the server."""

    groups: Annotated[list[Group], FailFast()]


class StoredGroups(TypedDict):
    """All groups of the server, as they are in use."""

    groups: list[Group]
    fixed: Annotated[bool, Field(description="They come from the settings file, and cannot be changed over HTTP.")]


_TABLE: Final = TypeAdapter(GroupTable)
_GROUP: Final = TypeAdapter(Group)
_FIELDS_OF_TABLE: Final = GroupTable.__annotations__.keys()
_FIELDS_OF_GROUP: Final = Group.__annotations__.keys()
_HINT: Final = 'send an object such as {"groups": [{"name": "agent", "kind": "indexed", "bin_size": 10}]}'


def decode_groups(body: bytes) -> groups.Groups:
    """The table that `body` says. Raises `TooLarge`, `MalformedBody`, or `InvalidBatch`, which lists what is wrong."""
    if len(body) > limits.GROUPS_MAX_BYTES:
        message = f"the table has {len(body)} bytes, at most {limits.GROUPS_MAX_BYTES} are taken; use patterns or fewer groups"
        raise TooLarge(message)
    try:
        table = from_json(body)
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}; {_HINT}") from None
    if not isinstance(table, dict) or not isinstance(table.get("groups"), list):
        raise InvalidBatch([ItemError("groups", "type", f"the list of groups is missing; {_HINT}")])
    items = table["groups"]
    errors = ItemErrors(partial=False)
    checked(_TABLE, _FIELDS_OF_TABLE, {**table, "groups": []}, "", errors)
    return _table(items, [f"groups[{position}]" for position in range(len(items))], errors)


def groups_from_table(table: object) -> groups.Groups:
    """The same from a settings file's table {name: {kind, ...}}. Raises `InvalidBatch`."""
    if not isinstance(table, dict):
        raise InvalidBatch([ItemError("groups", "type", "this is no table; write [groups.agent] and below it kind = ...")])
    items = [{**said, "name": name} if isinstance(said, dict) else said for name, said in table.items()]
    return _table(items, [f"groups.{name}" for name in table], ItemErrors(partial=False))


def _table(items: Sequence[Any], paths: Sequence[str], errors: ItemErrors) -> groups.Groups:
    made = []
    for item, path in zip(items[: limits.GROUPS_MAX + 1], paths, strict=False):
        said = checked(_GROUP, _FIELDS_OF_GROUP, item, path, errors, whole=True)
        group = None if said is None else errors.attempt(path, _group, said)
        if group is not None:
            made.append(group)
    table = errors.attempt("", groups.Groups, made)
    if errors.kept or table is None:
        raise InvalidBatch(errors.kept)
    return table


def _group(said: Group) -> groups.Group:
    kind = said["kind"]
    for field, wanted in (("bin_size", "indexed"), ("patterns", "combined")):
        if (field in said) != (kind == wanted):
            message = f"a group of kind '{kind}' has " + (
                f"no '{field}'; leave it out" if field in said else f"'{field}'; add it"
            )
            raise InvalidItem("group", message, field)
    match kind:
        case "normal":
            return NormalGroup(said["name"])
        case "indexed":
            return IndexedGroup(said["name"], said["bin_size"])
        case "combined":
            return CombinedGroup(said["name"], tuple(groups.Pattern(one["pattern"], one["bin"]) for one in said["patterns"]))
        case _:
            assert_never(kind)


def listed(table: groups.Groups) -> list[Group]:
    """The groups of `table` as their items."""
    return [_item(group) for group in table.table]


def _item(group: groups.Group) -> Group:
    match group:
        case NormalGroup():
            return {"name": group.name, "kind": "normal"}
        case IndexedGroup():
            return {"name": group.name, "kind": "indexed", "bin_size": group.bin_size}
        case CombinedGroup():
            patterns: list[GroupPattern] = [{"pattern": one.pattern, "bin": one.bin} for one in group.patterns]
            return {"name": group.name, "kind": "combined", "patterns": patterns}


def encode_groups(table: groups.Groups) -> bytes:
    """`table` as `decode_groups` reads it, with a line a group for people."""
    lines = ",\n".join(f"  {json.dumps(item)}" for item in listed(table))
    return f'{{"groups": [\n{lines}\n]}}\n'.encode()
