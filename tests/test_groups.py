"""Groups: the runs and tags of Tensorplex's naming rules, exactly; and errors that say what there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.groups import NO_GROUPS, CombinedGroup, Groups, IndexedGroup, NormalGroup, Pattern, check_member
from tbbridge.names import run_name, tag_name

FRUIT = (Pattern("red", ":color"), Pattern("gr*", ":color"), Pattern("?", "alphabet"), Pattern("[oa]*", ":fruit"))
GROUPS = Groups(
    [
        NormalGroup("learner"),
        IndexedGroup("agent", 8),
        IndexedGroup("single", 1),
        CombinedGroup("mygroup", FRUIT),
        CombinedGroup("open", (Pattern("eval*", "evaluation"), Pattern("*", "others"))),
    ]
)

# member, tag -> run, tag. The rules are the reference's; where it leaves a choice, its code decides.
NAMED = [
    ("learner/actor", "loss", "learner", "actor/loss"),
    ("learner/actor", "loss/mean", "learner", "actor/loss/mean"),
    ("learner/actor", ".my.section/foo", "learner", "actor.my.section/foo"),
    ("learner/actor", "/loss", "learner", "actor/loss"),
    ("learner/actor", ":learning:rate/eps", "learner", "actor.learning.rate/eps"),
    ("agent/9", "reward", "agent/9", "agent/reward/8-15"),
    ("agent/0", "reward", "agent/0", "agent/reward/0-7"),
    ("agent/7", "reward", "agent/7", "agent/reward/0-7"),
    ("agent/8", "reward", "agent/8", "agent/reward/8-15"),
    ("agent/9", ".my.section/foo", "agent/9", "agent.my.section/foo/8-15"),
    ("agent/9", "/foo", "agent/9", "agent/foo/8-15"),
    ("agent/9", ":a#b", "agent/9", "agent.a.b/8-15"),
    ("agent/007", "reward", "agent/7", "agent/reward/0-7"),
    ("single/3", "reward", "single/3", "single/reward/3"),
    ("mygroup/red", "x", "mygroup/red", "mygroup/x/:color"),
    ("mygroup/green", "x", "mygroup/green", "mygroup/x/:color"),
    ("mygroup/A", "x", "mygroup/A", "mygroup/x/alphabet"),
    ("mygroup/o", "x", "mygroup/o", "mygroup/x/alphabet"),
    ("mygroup/orange", "#x", "mygroup/orange", "mygroup.x/:fruit"),
    ("open/eval_3", "x", "open/eval_3", "open/x/evaluation"),
    ("open/Eval", "x", "open/Eval", "open/x/others"),
]


@pytest.mark.parametrize(("member", "tag", "run", "named"), NAMED, ids=[f"{member} {tag}" for member, tag, _, _ in NAMED])
def test_names(member: str, tag: str, run: str, named: str) -> None:
    place = GROUPS.place(member)
    assert (place.run, place.tag(tag)) == (run, named)


@given(st.integers(0, 10**18 - 1), st.integers(1, 1000))
def test_a_bin_holds_its_index_and_bin_size_of_them(index: int, bin_size: int) -> None:
    group = IndexedGroup("g", bin_size)
    name = group.place(str(index)).bin
    start, _, end = name.partition("-")
    assert int(start) <= index <= int(end or start)
    assert int(end or start) - int(start) + 1 == bin_size
    assert int(start) % bin_size == 0


LISTED = "the groups are learner (normal), agent (indexed, 8 to a chart), single (indexed, 1 to a chart), mygroup"
BAD_MEMBERS = {
    "of no group": ("nobody/1", "is of no group here", LISTED),
    "no slash": ("agent", "exactly one '/'", "agent/17"),
    "two slashes": ("agent/1/2", "exactly one '/'", "agent/17"),
    "no name": ("agent/", "exactly one '/'", ""),
    "no group": ("/1", "exactly one '/'", ""),
    "an index that is a word": ("agent/one", "'one' is no index", LISTED),
    "a negative index": ("agent/-1", "is no index", LISTED),
    "an index of other digits": ("agent/\u0663", "is no index", LISTED),
    "an index that int() refuses": ("agent/\u00b2", "is no index", LISTED),
    "an index without end": ("agent/" + "9" * 19, "is no index", LISTED),
    "no pattern for it": ("mygroup/pear", "matches no pattern", "'red', 'gr*', '?', '[oa]*'"),
    "a name that leaves the folder": ("open/..", "'..'", LISTED),
    "a name that is kept": ("open/.tbbridge", "rename it", LISTED),
    "a control character": ("open/a\nb", "control character", LISTED),
    "a lone surrogate": ("open/\ud800", "surrogate", ""),
    "too long": ("open/" + "x" * 600, "at most 512 bytes", ""),
}


@pytest.mark.parametrize("bad", BAD_MEMBERS.values(), ids=BAD_MEMBERS.keys())
def test_a_member_that_cannot_be_is_told_why_and_what_there_is(bad: tuple[str, str, str]) -> None:
    member, says, remedy = bad
    with pytest.raises(InvalidItem) as raised:
        GROUPS.place(member)
    assert raised.value.where == "member"
    assert says in raised.value.message
    assert remedy in raised.value.message


def test_without_groups_the_error_says_how_to_make_them() -> None:
    with pytest.raises(InvalidItem, match="PUT /api/v1/groups"):
        NO_GROUPS.place("agent/1")


def test_many_groups_are_listed_in_part() -> None:
    groups = Groups([NormalGroup(f"g{number}") for number in range(30)])
    with pytest.raises(InvalidItem, match=r"g19 \(normal\) and 10 more"):
        groups.place("nobody/1")


@given(st.sampled_from(["learner", "agent", "single", "mygroup", "open"]), st.text(max_size=9), st.text(max_size=9))
def test_whatever_comes_out_is_a_name_that_a_run_and_a_tag_may_have(group: str, name: str, tag: str) -> None:
    try:
        place = GROUPS.place(f"{group}/{name}")
        made = place.tag(tag)
    except InvalidItem:
        return
    assert run_name(place.run) == place.run
    assert tag_name(made) == made
    assert place.run.partition("/")[0] == group
    assert not {":", "#"} & set(made.removeprefix(place.head).removesuffix(place.bin))


@pytest.mark.parametrize("tag", ["", "x" * 1025, "\ud800"])
def test_a_tag_that_cannot_be_is_refused_before_and_after_it_is_put_in_place(tag: str) -> None:
    with pytest.raises(InvalidItem):
        GROUPS.place("agent/9").tag(tag)
    with pytest.raises(InvalidItem, match="at most 1024"):
        GROUPS.place("agent/9").tag("x" * 1020)


BAD_GROUPS = {
    "a name with a slash": (lambda: NormalGroup("a/b"), "holds a '/'"),
    "an empty name": (lambda: NormalGroup(""), "as a group's name this cannot be"),
    "a name that leaves the folder": (lambda: IndexedGroup("..", 3), "as a group's name this cannot be"),
    "a bin of none": (lambda: IndexedGroup("a", 0), "from 1"),
    "a bin without end": (lambda: IndexedGroup("a", 10**12), "is none"),
    "no patterns": (lambda: CombinedGroup("a", ()), "1 to 100 patterns"),
    "too many patterns": (lambda: CombinedGroup("a", (Pattern("*", "x"),) * 101), "this one 101"),
    "an empty pattern": (lambda: Pattern("", "x"), "'*' alone matches every name"),
    "an empty bin": (lambda: Pattern("*", ""), "name the chart"),
    "twice the same": (lambda: Groups([NormalGroup("a"), IndexedGroup("a", 2)]), "'a' stands twice"),
    "too many": (lambda: Groups([NormalGroup(f"g{i}") for i in range(limits.GROUPS_MAX + 1)]), "at most 1000"),
}


@pytest.mark.parametrize("bad", BAD_GROUPS.values(), ids=BAD_GROUPS.keys())
def test_a_group_that_cannot_be_is_refused_when_it_is_made(bad) -> None:  # type: ignore[no-untyped-def]
    make, says = bad
    with pytest.raises(InvalidItem, match=says.replace("*", r"\*")):
        make()


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_pattern_matches_or_does_not(pattern: str, name: str) -> None:
    """Brackets that are never closed, ranges that descend: no pattern is an error of the machinery."""
    if not pattern or not name or "/" in name:
        return
    try:
        group = CombinedGroup("g", (Pattern(pattern, "x"), Pattern("*", "y")))
        place = Groups([group]).place(f"g/{name}")
    except InvalidItem:
        return
    assert place.bin in ("x", "y")


def test_a_pattern_of_many_stars_takes_no_exponential_time() -> None:
    """Python's own translation saves us; a plain '.*' for each star would take longer than the universe."""
    group = CombinedGroup("g", (Pattern("*a" * 100 + "b", "x"), Pattern("*", "y")))
    assert group.place("a" * 250).bin == "y"


@pytest.mark.parametrize("name", ["agent/17", "a/b"])
def test_a_members_name_is_checked_without_groups_too(name: str) -> None:
    """As the client does, which has no table."""
    assert check_member(name) == name
