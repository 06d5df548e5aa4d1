"""The table of groups as JSON: what is read, what is refused and where, and that it comes back as it was."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tbbridge import limits
from tbbridge.errors import InvalidBatch, MalformedBody, TooLarge
from tbbridge.groups import CombinedGroup, IndexedGroup, NormalGroup, Pattern
from tbbridge.wire.groups_v1 import GROUPS_EXAMPLE, decode_groups, encode_groups, groups_from_table, listed


def body(*groups: Any, **more: Any) -> bytes:
    return json.dumps({"groups": list(groups), **more}).encode()


def test_the_published_example_is_read_in_order() -> None:
    assert decode_groups(json.dumps(GROUPS_EXAMPLE).encode()).table == (
        NormalGroup("learner"),
        IndexedGroup("agent", 10),
        CombinedGroup("eval", (Pattern("red*", "colors"), Pattern("*", "others"))),
    )


def test_what_is_kept_is_read_back_as_it_was() -> None:
    table = decode_groups(json.dumps(GROUPS_EXAMPLE).encode())
    assert decode_groups(encode_groups(table)).table == table.table
    assert listed(table) == GROUPS_EXAMPLE["groups"]
    assert decode_groups(encode_groups(decode_groups(body()))).table == ()


def test_a_settings_files_table_says_the_same() -> None:
    named = {group["name"]: {k: v for k, v in group.items() if k != "name"} for group in GROUPS_EXAMPLE["groups"]}
    assert groups_from_table(named).table == decode_groups(json.dumps(GROUPS_EXAMPLE).encode()).table


AGENT = {"name": "agent", "kind": "indexed", "bin_size": 10}
# One wrong table: the body, the path of the error and a part of what it says.
BAD = {
    "no list": (b"{}", "groups", "the list of groups is missing"),
    "a list alone": (b"[]", "groups", "the list of groups is missing"),
    "a group that is text": (body("agent"), "groups[0]", "where an object is wanted"),
    "an unknown kind": (body({"name": "a", "kind": "sorted"}), "groups[0].kind", "send 'normal', 'indexed' or 'combined'"),
    "no name": (body({"kind": "normal"}), "groups[0].name", "add it"),
    "no kind": (body({"name": "a"}), "groups[0].kind", "add it"),
    "no bin_size": (body({"name": "a", "kind": "indexed"}), "groups[0].bin_size", "add it"),
    "a bin_size for all": (body({"name": "a", "kind": "normal", "bin_size": 2}), "groups[0].bin_size", "leave it out"),
    "a bin_size in quotes": (body({**AGENT, "bin_size": "10"}), "groups[0].bin_size", "nor in quotes"),
    "a bin_size of 0": (body({**AGENT, "bin_size": 0}), "groups[0].bin_size", "from 1"),
    "no patterns": (body({"name": "a", "kind": "combined"}), "groups[0].patterns", "add it"),
    "a pattern without bin": (
        body({"name": "a", "kind": "combined", "patterns": [{"pattern": "*"}]}),
        "groups[0].patterns[0].bin",
        "add it",
    ),
    "a misspelt field": (body({**AGENT, "binsize": 3}), "groups[0].binsize", "check its spelling"),
    "a misspelt field outside": (body(AGENT, group=[]), "group", "check its spelling"),
    "a name twice": (body(AGENT, AGENT), "groups[1]", "stands twice"),
    "a name with a slash": (body(AGENT, {"name": "a/b", "kind": "normal"}), "groups[1].name", "holds a '/'"),
    "too many": (body(*({"name": f"g{i}", "kind": "normal"} for i in range(1001))), "groups", "at most 1000"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_wrong_table_is_refused_whole_and_its_item_named(bad: tuple[bytes, str, str]) -> None:
    raw, path, says = bad
    with pytest.raises(InvalidBatch) as raised:
        decode_groups(raw)
    assert [error.path for error in raised.value.errors] == [path]
    assert says in raised.value.errors[0].message


def test_what_is_no_json_or_too_long_is_said_so() -> None:
    with pytest.raises(MalformedBody, match="not JSON"):
        decode_groups(b"groups: none")
    with pytest.raises(TooLarge, match="use patterns"):
        decode_groups(b" " * (limits.GROUPS_MAX_BYTES + 1))


@pytest.mark.parametrize("table", [3, {"agent": 3}, {"agent": {"kind": "indexed"}}])
def test_a_wrong_table_of_a_settings_file_is_refused_too(table: object) -> None:
    with pytest.raises(InvalidBatch) as raised:
        groups_from_table(table)
    assert raised.value.errors[0].path.startswith("groups")
