"""What one log folder takes: so many runs, so many tags in each. Beyond it the sender is told which bound, and how to go on."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import batch, event_files, open_pipeline, points, scalars

from tbbridge.errors import InvalidBatch
from tbbridge.model import Batch, RunBatch, Text, run_name, tag_name
from tbbridge.pipeline.door import Ack, DeleteRun


def wide(*runs: str) -> Batch:
    return Batch(tuple(RunBatch(run_name(run), (scalars("x", [1.0]),)) for run in runs))


async def test_one_run_too_many_is_refused_whole_and_leaves_no_folder(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, runs_max=2)
    await pipeline.submit(wide("a"))
    with pytest.raises(InvalidBatch, match=r"'c'.*2 runs.*--runs-max") as refusal:
        await pipeline.submit(wide("a", "b", "c"))
    assert [error.code for error in refusal.value.errors] == ["too-many-runs"]
    await pipeline.submit(wide("a", "b"))  # those that are known go on
    await pipeline.close()
    assert {run: len(series) for (run, _), series in points(tmp_path).items()} == {"a": 2, "b": 1}
    assert not (tmp_path / "c").exists()


async def test_with_partial_the_runs_that_fit_are_taken(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, runs_max=2)
    receipt = await pipeline.submit(wide("a", "b", "c"), partial=True)
    assert (receipt.accepted, [error.code for error in receipt.rejected]) == (2, ["too-many-runs"])
    await pipeline.close()


async def test_a_bound_that_was_lowered_loses_nothing_at_the_next_start(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(wide("a", "b", "c"))
    await pipeline.close()
    pipeline = await open_pipeline(tmp_path, runs_max=1, tags_per_run_max=1)
    await pipeline.submit(wide("a", "b", "c"))
    with pytest.raises(InvalidBatch, match="--runs-max"):
        await pipeline.submit(wide("d"))
    await pipeline.close()
    assert {run: len(series) for (run, _), series in points(tmp_path).items()} == {"a": 2, "b": 2, "c": 2}


async def test_a_deleted_run_makes_room(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, runs_max=1, veil_s=0)
    await pipeline.submit(wide("a"))
    await pipeline.change(DeleteRun(run_name("a")))
    await pipeline.submit(wide("b"))
    await pipeline.close()
    assert list(points(tmp_path)) == [("b", "x")]


async def test_a_tag_too_many_is_refused_whatever_its_kind_and_known_ones_go_on(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, tags_per_run_max=2)
    await pipeline.submit(batch("a", scalars("x", [1.0]), Text(tag_name("y"), "words")), ack=Ack.WRITTEN)
    before = event_files(tmp_path)
    for item in (scalars("z", [1.0]), Text(tag_name("z"), "words")):
        with pytest.raises(InvalidBatch, match=r"2 tags.*--tags-per-run-max") as refusal:
            await pipeline.submit(batch("a", scalars("x", [1.0]), item))
        assert [error.code for error in refusal.value.errors] == ["too-many-tags"]
    assert event_files(tmp_path) == before
    await pipeline.submit(batch("a", scalars("x", [1.0]), Text(tag_name("y"), "words")), ack=Ack.WRITTEN)
    await pipeline.submit(batch("b", scalars("z", [1.0])))  # another run has its own
    await pipeline.close()
    assert len(points(tmp_path)["a", "x"]) == 2


async def test_one_batch_cannot_bring_more_tags_than_a_run_may_have(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, tags_per_run_max=3)
    columns = [scalars(f"x{number}", [1.0]) for number in range(5)]
    receipt = await pipeline.submit(batch("a", *columns), partial=True)
    assert (receipt.accepted, len(receipt.rejected)) == (3, 2)
    await pipeline.close()
