"""When a removed run's folder vanishes and when its name is free again, whatever else happens: readers have to find it gone."""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path

import pytest
from folders import Clock, batch, open_pipeline, points, scalars

from tbbridge import limits
from tbbridge.errors import StorageFailed
from tbbridge.model import run_name
from tbbridge.pipeline.door import Ack, DeleteRun
from tbbridge.pipeline.pipeline import Pipeline
from tbbridge.pipeline.veils import Veils

VEIL_S = 10.0


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def veils(tmp_path: Path, clock: Clock) -> Veils:
    return Veils(tmp_path, VEIL_S, clock=clock)


def held(logdir: Path, run: str, size: int) -> None:
    """An event file of the run, of so many bytes."""
    (logdir / run).mkdir(parents=True, exist_ok=True)
    (logdir / run / "events.out.tfevents.1").write_bytes(bytes(size))


def remove(veils: Veils, logdir: Path, *runs: str) -> None:
    """As `Changes` does it."""
    veils.begin(*runs, vanish_at=veils.vanish_at(runs))
    for run in runs:
        (logdir / run / "events.out.tfevents.1").unlink(missing_ok=True)


def test_a_folder_that_vanishes_late_is_gone_for_as_long_as_any(veils: Veils, clock: Clock, tmp_path: Path) -> None:
    held(tmp_path, "a", 10)
    remove(veils, tmp_path, "a")
    clock.now += 1000  # the writer had something else to do
    assert veils.emptied(due=True) == ["a"]
    assert veils.due() == []
    veils.vanished(["a"])
    assert veils.due() == []
    assert veils.due_in() == pytest.approx(VEIL_S)
    clock.now += VEIL_S
    assert veils.due() == ["a"]


def test_a_larger_run_gets_more_time_and_all_of_one_change_the_same(veils: Veils, clock: Clock, tmp_path: Path) -> None:
    held(tmp_path, "a", 10)
    held(tmp_path, "a/x", 1_000_000)
    remove(veils, tmp_path, "a", "a/x")
    clock.now += limits.EMPTIED_S + 1.9
    assert veils.emptied(due=True) == []
    clock.now += 0.2
    assert veils.emptied(due=True) == ["a", "a/x"]


def test_a_second_change_in_a_row_does_not_cut_the_time_of_the_first_short_nor_draw_it_out(
    veils: Veils, clock: Clock, tmp_path: Path
) -> None:
    held(tmp_path, "a", 2_000_000)
    remove(veils, tmp_path, "a")
    for _ in range(10):
        clock.now += 0.4
        assert veils.emptied(due=True) == []
        remove(veils, tmp_path, "a")
    clock.now += 0.6
    assert veils.emptied(due=True) == ["a"]


def test_a_run_below_is_not_put_back_before_the_one_above(veils: Veils, clock: Clock, tmp_path: Path) -> None:
    held(tmp_path, "a", 10)
    held(tmp_path, "a/x", 10)
    remove(veils, tmp_path, "a/x")
    clock.now += 5
    veils.vanished(["a/x"])
    clock.now += 5
    remove(veils, tmp_path, "a")
    clock.now += 5
    veils.vanished(["a"])
    assert veils.due() == [], "it would bring the folder back"
    clock.now += VEIL_S
    assert veils.due() == ["a/x", "a"]


def test_a_stop_lets_folders_vanish_soon(veils: Veils, clock: Clock, tmp_path: Path) -> None:
    held(tmp_path, "a", 100_000_000)
    remove(veils, tmp_path, "a")
    assert veils.due_in() == pytest.approx(limits.EMPTIED_MAX_S)
    veils.hurry()
    assert veils.due_in() == pytest.approx(limits.EMPTIED_S)


async def filled(tmp_path: Path, **settings: object) -> Pipeline:
    pipeline = await open_pipeline(tmp_path, **settings)
    for run in "ab":
        await pipeline.submit(batch(run, scalars("loss", [1])), ack=Ack.WRITTEN)
    return pipeline


async def absence_s(folder: Path) -> float:
    """For how long the folder is away, which it is not yet."""
    while folder.exists():
        await asyncio.sleep(0.005)
    gone = time.monotonic()
    while not folder.exists():
        await asyncio.sleep(0.005)
    return time.monotonic() - gone


async def test_a_run_that_is_deleted_while_another_is_veiled_is_gone_for_as_long(tmp_path: Path) -> None:
    pipeline = await filled(tmp_path, veil_s=1.5)
    await pipeline.change(DeleteRun(run_name("a")))
    async with asyncio.timeout(30):
        while (tmp_path / "a").exists():
            await asyncio.sleep(0.005)
        await pipeline.change(DeleteRun(run_name("b")))
        await pipeline.submit(batch("b", scalars("loss", [2])))
        assert await absence_s(tmp_path / "b") >= 1.4
    await pipeline.close()
    assert points(tmp_path) == {("b", "loss"): [(0, 2.0)]}


async def test_a_stop_right_after_a_large_run_was_deleted_leaves_its_folder_away_for_most_of_the_time(tmp_path: Path) -> None:
    pipeline = await filled(tmp_path, veil_s=20.0, close_timeout_s=3.0)
    (tmp_path / "a" / "events.out.tfevents.1").write_bytes(bytes(5_000_000))
    await pipeline.change(DeleteRun(run_name("a")))
    await pipeline.submit(batch("a", scalars("loss", [2])))
    async with asyncio.timeout(30):
        away, _ = await asyncio.gather(absence_s(tmp_path / "a"), pipeline.close())
    assert away >= 1.5
    assert points(tmp_path)["a", "loss"] == [(0, 2.0)]


async def test_a_veil_that_a_full_disk_let_begin_late_is_lifted_in_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = await filled(tmp_path, veil_s=0.2)
    begin, failures = Veils.begin, 3

    def refuse(veils: Veils, *runs: str, vanish_at: float | None) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise OSError(errno.ENOSPC, "full", str(tmp_path))
        begin(veils, *runs, vanish_at=vanish_at)

    monkeypatch.setattr(Veils, "begin", refuse)
    with pytest.raises(StorageFailed):
        await pipeline.change(DeleteRun(run_name("a")))
    async with asyncio.timeout(30):
        while not pipeline.health.ready or pipeline._store.veils:
            await asyncio.sleep(0.02)
    await pipeline.close()
    assert failures < 0
    assert points(tmp_path) == {("b", "loss"): [(0, 1.0)]}
