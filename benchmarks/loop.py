"""What the training loop feels: seconds that logging adds to 1,000 steps of it, at 10, 100 and 1,000 tags a step.

The same loop (a small network that learns, about half a millisecond a step) with and without logging, each tool in a process of
its own, by the calls that its documentation shows and with its defaults. What is added is the difference of the two; never less
than the time inside the log calls themselves, so that a lucky round cannot make logging free. The bridge of tbbridge, and every
tool's own thread, have the second core. `python -m benchmarks loop_peers` adds mlflow, trackio, wandb, aim and pastalog.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.encoder import writers
from benchmarks.measure import Size, in_turns
from benchmarks.peers.tools import Rounds, Tool, tool
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import bridge

TAGS = (10, 100, 1000)
STEPS = {10: 600, 100: 300, 1000: 60}
MS_A_STEP = 0.1  # at 100 tags: what ours may add
TIMES_LESS = 20.0
BY_TAG = "tbbridge, tag by tag"


def added_s(found: Mapping[str, Any]) -> float:
    """Seconds that a round's logging added to 1,000 steps."""
    felt: float = max(found["with_s"] - found["without_s"], found["calls_s"])
    return felt / int(found["steps"]) * 1000


def measure(tools: Mapping[str, Tool], size: Size, limit_s: float, rounds: int) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """By tool and number of tags, what each round was. A tool that fails with many tags raises its own words."""
    found: dict[str, dict[int, list[dict[str, Any]]]] = {name: {} for name in tools}
    asked = {name: Rounds(tool, limit_s) for name, tool in tools.items()}
    for tags in size.pick(TAGS[:2], TAGS):
        steps = size.pick(20, STEPS[tags], 2 * STEPS[tags])
        works: dict[str, Callable[[], dict[str, Any]]] = {name: rounds_.work(tags, steps) for name, rounds_ in asked.items()}
        for name, all_ in in_turns(works, rounds, f"loop, {tags} tags").items():
            found[name][tags] = all_
    return found


def rows_of(
    found: Mapping[str, Mapping[int, list[dict[str, Any]]]], less_than: Mapping[str, bool], *, has_own_goal: bool
) -> list[Row]:
    """`less_than`: the peers, and whether ours is to be twenty times less."""
    rows = []
    for tags, ours_ in found["tbbridge"].items():
        ours = Spread.of([added_s(one) for one in ours_])
        if tags == 100 and has_own_goal:
            step = Spread.of([one["without_s"] / one["steps"] * 1e3 for one in ours_]).median
            note = f"{ours.median * 10:.2f} us for each of 100 tags; a step without logging takes {step:.2f} ms"
            rows.append(Row(f"{tags} tags a step: added", "s/1,000 steps", ours, goal=Goal(MS_A_STEP, "ours"), note=note))
        for peer, goal in less_than.items():
            theirs = found[peer].get(tags)
            if theirs is None:
                continue
            added = Spread.of([added_s(one) for one in theirs])
            ends = Spread.of([one["end_s"] for one in theirs]).median
            inside = Spread.of([one["calls_s"] / one["steps"] * 1000 for one in theirs]).median
            note = f"its calls {inside:.3g} s, until all of {theirs[0]['steps']} steps is delivered {ends:.2g} s more"
            asked = Goal(TIMES_LESS) if goal and tags == 100 else None
            rows.append(Row(f"{tags} tags a step: added", "s/1,000 steps", ours, added, peer, goal=asked, note=note))
    return rows


def data_of(found: Mapping[str, Mapping[int, list[dict[str, Any]]]]) -> dict[str, Any]:
    return {
        "added": {
            name: {str(tags): Spread.of([added_s(one) for one in all_]).median for tags, all_ in by_tags.items()}
            for name, by_tags in found.items()
        },
        "step_ms": {
            name: Spread.of([one["without_s"] / one["steps"] * 1e3 for all_ in by_tags.values() for one in all_]).median
            for name, by_tags in found.items()
        },
    }


def run(size: Size) -> Result:
    """Ours, all tags in one call and tag by tag, beside tensorboardX and torch."""
    theirs = {name: name == "tensorboardX" for name in writers()}
    with tempfile.TemporaryDirectory() as name, bridge(Path(name) / "runs") as server, ExitStack() as stack:
        addresses = {"tbbridge": server.url, BY_TAG: server.url, **dict.fromkeys(theirs, "")}
        tools = {what: stack.enter_context(tool(what, address=address)) for what, address in addresses.items()}
        found = measure(tools, size, limit_s=0.25, rounds=size.pick(1, 3, 9))
    return Result(rows_of(found, {BY_TAG: False, **theirs}, has_own_goal=True), data_of(found))
