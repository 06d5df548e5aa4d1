"""Groups, as in Tensorplex: which run and which tags a member's values go to. Pure naming: no files, no clock, no wire format.

A member is named `group/name`. A group says how its members are spread over TensorBoard's charts, where curves of one chart are
runs with the same tag: all in one run (normal), each in a run of its own and so many to a chart (indexed), or to the charts
that patterns name (combined). The wire formats ask here for every item that says `member` in place of `run`; the journal only
ever sees what came out.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, TypeAlias

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.names import RunName, TagName, run_name, tag_name, utf8_length


@dataclass(frozen=True, slots=True)
class Place:
    """Where one member's values go: the run, and what is put before and behind their tags."""

    run: RunName
    head: str
    bin: str = ""

    def tag(self, tag: str) -> TagName:
        """The tag under which the member's `tag` is written. Raises `InvalidItem`."""
        return _tag_in(self.head, self.bin, tag)


@lru_cache(maxsize=limits.MEMBER_TAGS_KEPT)
def _tag_in(head: str, bin_name: str, tag: str) -> TagName:
    tag_name(tag)
    shown = tag.replace(":", ".").replace("#", ".")
    joint = "" if shown.startswith((".", "/")) else "/"  # a section of its own: TensorBoard's end at the first slash
    return tag_name(f"{head}{joint}{shown}/{bin_name}" if bin_name else f"{head}{joint}{shown}")


@dataclass(frozen=True, slots=True)
class NormalGroup:
    """One run for all members, and a chart for each tag of each: the run is the group, the tags start with the member."""

    kind: ClassVar[str] = "normal"
    name: str

    def __post_init__(self) -> None:
        check_group_name(self.name)

    def place(self, member: str) -> Place:
        """Where the member of this name goes."""
        return Place(RunName(self.name), member)

    def __str__(self) -> str:
        return f"{self.name} (normal)"


@dataclass(frozen=True, slots=True)
class IndexedGroup:
    """Numbered members, a run each; `bin_size` of them share a chart: 0 to 7, 8 to 15 and so on."""

    kind: ClassVar[str] = "indexed"
    name: str
    bin_size: int

    def __post_init__(self) -> None:
        check_group_name(self.name)
        if not 1 <= self.bin_size <= limits.GROUP_BIN_SIZE_MAX:
            message = f"a bin_size of {self.bin_size} is none; give how many members share a chart, from 1"
            raise InvalidItem("group", message, "bin_size")

    def place(self, member: str) -> Place:
        """Where the member of this number goes."""
        if not (member.isascii() and member.isdigit() and len(member) <= limits.MEMBER_INDEX_MAX_DIGITS):
            message = f"{member!a} is no index; members of the indexed group {self.name!a} are numbered, as {self.name}/17"
            raise InvalidItem("member", message, "member")
        index = int(member)
        start = index - index % self.bin_size
        end = start + self.bin_size - 1
        return Place(run_name(f"{self.name}/{index}"), self.name, str(start) if start == end else f"{start}-{end}")

    def __str__(self) -> str:
        return f"{self.name} (indexed, {self.bin_size} to a chart)"


@dataclass(frozen=True, slots=True)
class Pattern:
    """Members whose names match `pattern` share the chart `bin`. `*`, `?` and `[...]` stand for characters, as in a shell."""

    pattern: str
    bin: str

    def __post_init__(self) -> None:
        if not 1 <= utf8_length(self.pattern, "the pattern", "pattern") <= limits.GROUP_PATTERN_MAX_BYTES:
            message = f"a pattern has 1 to {limits.GROUP_PATTERN_MAX_BYTES} bytes; '*' alone matches every name"
            raise InvalidItem("group", message, "pattern")
        if not 1 <= utf8_length(self.bin, "the bin", "bin") <= limits.GROUP_BIN_MAX_BYTES:
            message = f"a bin has 1 to {limits.GROUP_BIN_MAX_BYTES} bytes; name the chart, such as 'colors'"
            raise InvalidItem("group", message, "bin")


@dataclass(frozen=True, slots=True)
class CombinedGroup:
    """Named members, a run each; the first of the `patterns` that matches a name says its chart."""

    kind: ClassVar[str] = "combined"
    name: str
    patterns: tuple[Pattern, ...]
    _compiled: tuple[tuple[re.Pattern[str], str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_group_name(self.name)
        if not 1 <= len(self.patterns) <= limits.GROUP_PATTERNS_MAX:
            message = f"a combined group has 1 to {limits.GROUP_PATTERNS_MAX} patterns, this one {len(self.patterns)}"
            raise InvalidItem("group", message, "patterns")
        # Python's translation of a pattern cannot take exponential time, and `re` keeps what it has compiled.
        compiled = tuple((re.compile(fnmatch.translate(one.pattern)), one.bin) for one in self.patterns)
        object.__setattr__(self, "_compiled", compiled)

    def place(self, member: str) -> Place:
        """Where the member of this name goes."""
        for pattern, bin_name in self._compiled:
            if pattern.match(member) is not None:
                return Place(run_name(f"{self.name}/{member}"), self.name, bin_name)
        shown = ", ".join(repr(one.pattern) for one in self.patterns[: limits.GROUPS_SHOWN])
        message = f"{member!a} matches no pattern of the combined group {self.name!a} ({shown}); give it the last pattern '*'"
        raise InvalidItem("member", message, "member")

    def __str__(self) -> str:
        return f"{self.name} (combined, {len(self.patterns)} patterns)"


Group: TypeAlias = NormalGroup | IndexedGroup | CombinedGroup


def check_group_name(name: str) -> None:
    """A group's name is one part of a run's name. Raises `InvalidItem`."""
    try:
        run_name(name)
    except InvalidItem as error:
        raise InvalidItem("group", f"as a group's name this cannot be: {error.message}", "name") from None
    if "/" in name:
        raise InvalidItem("group", f"the group name {name!a} holds a '/'; it is what stands before the '/' of a member", "name")


class Groups:
    """A server's table of groups, and the places of members that were asked for lately. Never changes; safe in threads."""

    def __init__(self, table: Sequence[Group] = ()) -> None:
        if len(table) > limits.GROUPS_MAX:
            raise InvalidItem("group", f"these are {len(table)} groups, at most {limits.GROUPS_MAX} are taken", "groups")
        self.table = tuple(table)
        self._by_name: dict[str, Group] = {}
        for position, group in enumerate(table):
            if group.name in self._by_name:
                message = f"the group {group.name!a} stands twice; each group has one entry"
                raise InvalidItem("group", message, f"groups[{position}]")
            self._by_name[group.name] = group
        self._listed = _listed(self.table)  # once: a body may hold a million members of no group
        self._places = lru_cache(maxsize=limits.MEMBERS_KEPT)(self._find)

    def place(self, member: str) -> Place:
        """Where `member`, a `group/name`, goes. Raises `InvalidItem`, which lists the groups."""
        return self._places(member)

    def _find(self, member: str) -> Place:
        group_name, _, name = check_member(member).partition("/")
        group = self._by_name.get(group_name)
        if group is None:
            message = f"member {member!a} is of no group here; {self._listed}"
            raise InvalidItem("group", message, "member")
        try:
            return group.place(name)
        except InvalidItem as error:
            raise InvalidItem(error.item_code, f"{error.message}; {self._listed}", "member") from None


def _listed(table: Sequence[Group]) -> str:
    if not table:
        return "there are no groups yet: PUT /api/v1/groups, or `tbbridge groups --put FILE`, makes them"
    more = len(table) - limits.GROUPS_SHOWN
    listed = ", ".join(map(str, table[: limits.GROUPS_SHOWN])) + (f" and {more} more" if more > 0 else "")
    return f"the groups are {listed}"


NO_GROUPS = Groups()


class MemberName(str):
    """A member's name where a run's name stands, in a client's batches. Never equal to a run's name of the same text."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, MemberName) and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((MemberName, str.__hash__(self)))


def member_name(name: str) -> RunName:
    """`name`, checked, as it travels in a client; the server makes the run of it. Raises `InvalidItem`."""
    return RunName(MemberName(check_member(name)))


def check_member(name: str) -> str:
    """A member's name has exactly one `/` with something on either side. Raises `InvalidItem`."""
    if utf8_length(name, "the member", "member") > limits.RUN_MAX_BYTES:
        raise InvalidItem("member", f"a member's name has at most {limits.RUN_MAX_BYTES} bytes; shorten it", "member")
    group, slash, rest = name.partition("/")
    if not (slash and group and rest) or "/" in rest:
        message = f"member {name!a} does not have exactly one '/'; name it group/name, such as agent/17"
        raise InvalidItem("member", message, "member")
    return name
