"""Nothing acknowledged is lost, repeated or halved, whatever is killed, cut, full, late or deleted.

Short here; `make chaos` is long: CHAOS_MINUTES repeats both storms for so long, each time with another seed, and
CHAOS_SEED chooses the first. See docs/chaos.md.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bad_proxy import BadProxy
from storm import Bridge, Crowd, Storm, damage, metric, segments
from tallies import TALLIES, Tally
from verdict import Kill, check_damaged, read_series

from tbbridge.pipeline.acknowledged import NAME as MARK
from tbbridge.pipeline.acknowledged import read_acknowledged

MINUTES = float(os.environ.get("CHAOS_MINUTES") or 0)
FIRST_SEED = int(os.environ.get("CHAOS_SEED") or 1)
# One storm of a long run: as many points as TensorBoard still shows all of.
LONG_S = 60.0


def storms(name: str, share: float) -> Iterator[Tally]:
    """One tally for each storm to come: one, or as many as fit in this one's share of the time."""
    end = time.monotonic() + 60 * MINUTES * share
    seed = FIRST_SEED
    while True:
        tally = Tally(name, str(seed))
        TALLIES.append(tally)
        sys.stdout.write(f"{name}: seed {seed}\n")  # pytest shows it when it fails
        yield tally
        seed += 1
        if time.monotonic() + 5 > end:
            return


def duration_s(short: float) -> float:
    return short if not MINUTES else min(LONG_S, 60 * MINUTES / 2)


@pytest.mark.timeout(0 if MINUTES else 300)
def test_every_acknowledged_point_is_there_once_and_in_order_after_a_storm(tmp_path: Path) -> None:
    for number, tally in enumerate(storms("storm", 0.7)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            storm = Storm(stack, folder, tally)
            storm.blow(duration_s(7))
            storm.check()


@pytest.mark.timeout(0 if MINUTES else 300)
def test_damage_to_the_journal_is_told_and_costs_no_more_than_what_was_not_yet_in_the_event_files(tmp_path: Path) -> None:
    for number, tally in enumerate(storms("damage", 0.3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        with contextlib.ExitStack() as stack:
            run_damage(stack, folder, tally, duration_s(4))
        tally.failures = 0


def run_damage(stack: contextlib.ExitStack, folder: Path, tally: Tally, seconds: float) -> None:
    chance = random.Random(tally.seed)
    about, logdir = folder / "about", folder / "runs"
    about.mkdir()
    (about / "calm").touch()  # the disk obeys; what it holds is changed between two starts
    bridge = Bridge(stack, about, logdir, tally.seed, tally)
    bridge.start()
    proxy = stack.enter_context(BadProxy(tally.seed))
    proxy.calm, proxy.port = True, bridge.port
    kills: list[Kill] = []
    crowd = Crowd(stack, about, proxy.url, tally.seed)
    for name, ack in (("a", "journaled"), ("b", "journaled"), ("c", "written")):
        crowd.add(name, "raw_writer.py", ack, f"own/{name}", "shared")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(chance.uniform(0.1, 0.6))
        bridge.end(signal.SIGKILL)
        proxy.port = 0
        hurt = damage_something(logdir / ".tbbridge", chance, tally)
        told_before = len(bridge.lines("acknowledged entries are lost"))
        bridge.start()
        back = time.monotonic()
        proxy.port = bridge.port
        told = len(bridge.lines("acknowledged entries are lost")) > told_before
        assert bridge.ask("GET", "/readyz") == 200, f"what is left does not serve:\n{bridge.process.output}"
        assert (metric(bridge.url, "tbbridge_lost_entries") > 0) >= told
        assert hurt or not told, f"an alarm without damage:\n{bridge.process.output}"
        kills.append(Kill(back, told, hurt))
        sys.stdout.write(f"back at {back:.3f}: {hurt or 'nothing was damaged'}{'; told' if told else ''}\n")
    crowd.finish()
    assert bridge.end(signal.SIGTERM) == 0, bridge.process.output
    found = read_series(logdir, torn=True)
    for seat in crowd.seats:
        for life in seat.lives:
            points, lost = check_damaged(found, life, kills)
            tally.points += points
            tally.batches += len(life.batches)
            tally.lost_and_told += lost
    tally.faults["losses told"] += sum(kill.told for kill in kills)


def damage_something(state: Path, chance: random.Random, tally: Tally) -> str:
    """One bit, or one end, of what the next start reads; says which, and nothing where there is nothing yet."""
    noted = read_acknowledged(state)
    present = segments(state)
    checkpoints = sorted(path for path in state.glob("checkpoint-*") if path.name[11:].isdigit())
    throw = chance.random()
    if throw < 0.6 and noted is not None and present[-1].name == f"{noted.number:08d}.journal":
        kind, path, used = "journal", present[-1], noted.length
    elif throw < 0.7 and len(present) > 1:
        kind, path, used = "older journal", chance.choice(present[:-1]), None
    elif throw < 0.9 and len(checkpoints) > 1:
        kind, path, used = "checkpoint", checkpoints[-1], None
    elif (state / MARK).exists():
        kind, path, used = "mark", state / MARK, None
    else:
        return ""
    how, at = damage(path, chance, used=used)
    tally.faults[f"{kind} {how}"] += 1
    return f"{kind} {how}, {path.name} at byte {at} of {used or path.stat().st_size}"
