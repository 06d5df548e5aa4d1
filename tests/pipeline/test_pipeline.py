"""The pipeline's promises while nothing goes wrong: acknowledgements, settled choices, retries, files, bounds."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import pytest
from folders import Clock, batch, event_files, events, open_pipeline, points, scalars

from tbbridge.errors import InvalidBatch, LogFolderBusy, QueueFull, Stopping
from tbbridge.model import Batch, Histogram, RunBatch, Text, run_name, tag_name
from tbbridge.pipeline.door import Ack
from tbbridge.pipeline.journal import JournalReader


async def test_a_journaled_answer_means_that_the_entry_can_be_read_from_disk(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("loss", [0.5, 0.25], [1, 2])))
    entries = list(JournalReader(tmp_path / ".tbbridge", None, 1))
    assert [bytes(entry.runs[0].run) for entry in entries] == [b"a"]
    await pipeline.close()


async def test_a_written_answer_means_that_readers_see_it(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    receipt = await pipeline.submit(batch("a", scalars("loss", [0.5], [7])), ack=Ack.WRITTEN)
    assert receipt.accepted == 1
    assert points(tmp_path) == {("a", "loss"): [(7, 0.5)]}
    await pipeline.close()


async def test_a_queued_answer_comes_before_the_disk_and_the_point_arrives_all_the_same(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    receipt = await pipeline.submit(batch("a", scalars("loss", [0.5], [7])), ack=Ack.QUEUED)
    assert receipt.accepted == 1
    assert points(tmp_path) == {}
    await pipeline.close()
    assert points(tmp_path) == {("a", "loss"): [(7, 0.5)]}


async def test_settled_waits_for_what_was_acknowledged(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for step in range(20):
        await pipeline.submit(batch("a", scalars("loss", [step], [step])))
        await pipeline.settled()
        assert len(points(tmp_path)["a", "loss"]) == step + 1
    await pipeline.close()


async def test_a_file_begins_with_its_version_and_a_session_start(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, clock=Clock(1_700_000_123.5))
    await pipeline.submit(batch("a", scalars("loss", [1.0], [1])), ack=Ack.WRITTEN)
    await pipeline.close()
    [(name, data)] = event_files(tmp_path).items()
    first, second, third = events(data)
    assert name == "a/events.out.tfevents.1700000123.tbbridge.1"
    assert (first.file_version, first.wall_time, first.source_metadata.writer) == ("brain.Event:2", 1_700_000_123.5, "tbbridge")
    assert (second.session_log.status, second.step) == (1, 0)
    assert third.summary.value[0].metadata.plugin_data.plugin_name == "scalars"


async def test_a_folder_with_files_of_another_writer_gets_a_later_name_and_no_session_start(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    foreign = tmp_path / "a" / "events.out.tfevents.1800000000.host.1.0"  # ahead of our clock
    foreign.write_bytes(b"")
    pipeline = await open_pipeline(tmp_path, clock=Clock())
    await pipeline.submit(batch("a", scalars("loss", [1.0], [1])), ack=Ack.WRITTEN)
    await pipeline.close()
    names = sorted(Path(name).name for name in event_files(tmp_path))
    assert names[0] == foreign.name
    assert [event.WhichOneof("what") for event in events((tmp_path / "a" / names[1]).read_bytes())] == [
        "file_version",
        "summary",
    ]


async def test_left_out_steps_go_on_and_left_out_times_are_the_time_of_receipt(tmp_path: Path) -> None:
    clock = Clock()
    pipeline = await open_pipeline(tmp_path, clock=clock)
    await pipeline.submit(batch("a", scalars("loss", [1, 2])))
    await pipeline.submit(batch("a", scalars("loss", [3], [10])))
    clock.now += 5
    await pipeline.submit(batch("a", scalars("loss", [4, 5]), Text(tag_name("note"), "hello")), ack=Ack.WRITTEN)
    await pipeline.close()
    assert points(tmp_path)["a", "loss"] == [(0, 1), (1, 2), (10, 3), (11, 4), (12, 5)]
    [data] = event_files(tmp_path).values()
    assert [(event.wall_time, event.step) for event in events(data)][-2:] == [(clock.now, 12), (clock.now, 0)]


async def test_steps_go_on_over_a_restart(tmp_path: Path) -> None:
    for expected in ([0, 1], [0, 1, 2, 3]):
        pipeline = await open_pipeline(tmp_path)
        await pipeline.submit(batch("a", scalars("loss", [1, 2])), ack=Ack.WRITTEN)
        await pipeline.close()
        assert [step for step, _ in points(tmp_path)["a", "loss"]] == expected
    assert len(event_files(tmp_path)) == 1


async def test_a_repeat_is_answered_as_done_also_within_a_group_and_over_restarts(tmp_path: Path) -> None:
    sent = batch("a", scalars("loss", [1.0], [1]), writer="w", seq=1)
    for _ in range(2):
        pipeline = await open_pipeline(tmp_path)
        receipts = await asyncio.gather(
            *(pipeline.submit(sent, ack=ack) for ack in (Ack.JOURNALED, Ack.WRITTEN, Ack.JOURNALED))
        )
        await pipeline.close()
        assert points(tmp_path) == {("a", "loss"): [(1, 1.0)]}
    assert [(receipt.accepted, receipt.duplicate) for receipt in receipts] == [(0, True)] * 3
    pipeline = await open_pipeline(tmp_path)
    receipt = await pipeline.submit(batch("a", scalars("loss", [2.0], [2]), writer="w", seq=2))
    assert (receipt.accepted, receipt.duplicate) == (1, False)
    await pipeline.close()


async def test_a_refused_batch_does_not_use_up_its_number(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("loss", [1.0], [1])))
    with pytest.raises(InvalidBatch):
        await pipeline.submit(batch("a", Text(tag_name("loss"), "no"), writer="w", seq=1))
    assert (await pipeline.submit(batch("a", scalars("loss", [2.0], [2]), writer="w", seq=1))).accepted == 1
    await pipeline.close()


async def test_a_tag_that_holds_another_kind_is_refused_with_its_name_and_the_rest_kept_if_partial(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("loss", [1.0], [1])))
    mixed = batch("a", scalars("acc", [1.0], [1]), Text(tag_name("loss"), "no"), Histogram(tag_name("acc"), np.ones(3)))
    with pytest.raises(InvalidBatch) as caught:
        await pipeline.submit(mixed)
    assert [(error.path, error.code) for error in caught.value.errors] == [
        ("runs[run='a'].summaries[tag='loss'].tag", "kind-conflict"),
        ("runs[run='a'].summaries[tag='acc'].tag", "kind-conflict"),
    ]
    assert "holds scalar values" in caught.value.errors[0].message
    receipt = await pipeline.submit(mixed, partial=True, ack=Ack.WRITTEN)
    assert (receipt.accepted, len(receipt.rejected)) == (1, 2)
    assert points(tmp_path) == {("a", "loss"): [(1, 1.0)], ("a", "acc"): [(1, 1.0)]}
    await pipeline.close()


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([[5, 4, 6]], [("scalars[tag='x'].steps[1]", "step 4 comes after step 5 (1 of 3")]),
        ([[5], [4]], [("scalars[tag='x'].steps[0]", "step 4 comes after step 5 (1 of 1")]),
        ([[5], [4, 3, 9]], [("scalars[tag='x'].steps[0]", "step 4 comes after step 5 (2 of 3")]),
        ([[-(2**63)], [2**63 - 1, -(2**63)]], [("scalars[tag='x'].steps[1]", "(1 of 2")]),
        ([[5, 5, 6], [6]], []),
    ],
)
async def test_steps_that_go_back_are_kept_counted_and_reported(
    tmp_path: Path, sent: list[list[int]], expected: list[tuple[str, str]]
) -> None:
    pipeline = await open_pipeline(tmp_path)
    warnings = []
    for steps in sent:
        receipt = await pipeline.submit(batch("a", scalars("x", [1.0] * len(steps), steps)), ack=Ack.WRITTEN)
        warnings += receipt.warnings
    assert [step for step, _ in points(tmp_path)["a", "x"]] == [step for steps in sent for step in steps]
    assert [warning.path.removeprefix("runs[run='a'].") for warning in warnings] == [path for path, _ in expected]
    assert all(text in warning.message for warning, (_, text) in zip(warnings, expected, strict=True))
    await pipeline.close()


async def test_values_that_are_not_finite_are_left_out_of_a_histogram_and_reported(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    values = np.array([1.0, np.nan, 2.0, np.inf, -np.inf])
    receipt = await pipeline.submit(batch("a", Histogram(tag_name("w"), values)), ack=Ack.WRITTEN)
    assert [warning.message for warning in receipt.warnings] == [
        "1 NaN and 2 infinite of 5 values are left out of the histogram"
    ]
    [data] = event_files(tmp_path).values()
    rows = np.frombuffer(events(data)[-1].summary.value[0].tensor.tensor_content, "<f8").reshape(-1, 3)
    assert rows[:, 2].sum() == 2
    await pipeline.close()


async def test_metadata_stands_once_a_tag_and_file(tmp_path: Path) -> None:
    for start in (0, 10):  # the second time after a restart, in the same file
        pipeline = await open_pipeline(tmp_path)
        await asyncio.gather(
            *(pipeline.submit(batch("a", scalars("x", [1.0] * 3, range(i, i + 3)))) for i in range(start, start + 9, 3))
        )
        await pipeline.close()
    [data] = event_files(tmp_path).values()
    described = [value.HasField("metadata") for event in events(data) for value in event.summary.value]
    assert described == [True] + [False] * 17


async def test_a_purge_is_written_before_the_points_it_comes_with_and_steps_go_on_from_it(tmp_path: Path) -> None:
    clock = Clock()
    pipeline = await open_pipeline(tmp_path, clock=clock)
    await pipeline.submit(batch("a", scalars("x", range(10), range(10)), scalars("y", [1.0], [2])))
    resumed = Batch((RunBatch(run_name("a"), (scalars("x", [1.0], [5]),), purge_step=5),), "w", 1)
    receipt = await pipeline.submit(resumed)
    assert (receipt.accepted, receipt.warnings) == (1, ()), "a step that a purge made free does not go back"
    assert (await pipeline.submit(resumed)).duplicate
    await pipeline.submit(batch("a", scalars("x", [1.0]), scalars("y", [1.0])), ack=Ack.WRITTEN)
    [data] = event_files(tmp_path).values()
    told = [(event.session_log.status, event.step) for event in events(data) if event.HasField("session_log")]
    assert told == [(1, 0), (1, 5), (1, 5)]
    assert points(tmp_path)["a", "x"][10:] == [(5, 1.0), (6, 1.0)]
    assert points(tmp_path)["a", "y"] == [(2, 1.0), (3, 1.0)]
    await pipeline.close()


async def test_a_purge_from_the_very_first_step_fits_the_checkpoint(tmp_path: Path) -> None:
    least = -(2**63)
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [1.0, 2.0])))
    await pipeline.submit(Batch((RunBatch(run_name("a"), (scalars("x", [3.0, 4.0], [least, 7]),), purge_step=least),)))
    await pipeline.submit(Batch((RunBatch(run_name("a"), purge_step=least),)), ack=Ack.WRITTEN)
    await pipeline.close()
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [5.0], [least])), ack=Ack.WRITTEN)
    assert points(tmp_path)["a", "x"][-1] == (least, 5.0)
    await pipeline.close()


async def test_a_purge_alone_is_an_entry_too_and_is_replayed(tmp_path: Path) -> None:
    live, dead = tmp_path / "live", tmp_path / "dead"
    pipeline = await open_pipeline(live)
    await pipeline.submit(batch("a", scalars("x", [1.0, 2.0])))
    await pipeline.submit(Batch((RunBatch(run_name("a"), purge_step=1),)), ack=Ack.WRITTEN)
    shutil.copytree(live, dead)
    await pipeline.close()
    [(name, data)] = event_files(dead).items()
    (dead / name).write_bytes(data[:-30])
    pipeline = await open_pipeline(dead)
    assert event_files(dead)[name] == data
    await pipeline.submit(batch("a", scalars("x", [3.0])), ack=Ack.WRITTEN)
    assert points(dead)["a", "x"] == [(0, 1.0), (1, 2.0), (1, 3.0)]
    await pipeline.close()


async def test_a_second_owner_of_the_folder_is_refused_with_the_first_ones_process(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    with pytest.raises(LogFolderBusy, match="in use by another tbbridge"):
        await open_pipeline(tmp_path)
    await pipeline.close()
    await (await open_pipeline(tmp_path)).close()


async def test_a_run_folder_deleted_by_hand_is_made_again_and_its_series_start_afresh(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a/b", scalars("x", [1.0, 2.0])), ack=Ack.WRITTEN)
    before = set(event_files(tmp_path))
    shutil.rmtree(tmp_path / "a")
    await pipeline.submit(batch("a/b", scalars("x", [3.0])), ack=Ack.WRITTEN)
    assert points(tmp_path) == {("a/b", "x"): [(0, 3.0)]}
    assert before.isdisjoint(event_files(tmp_path)), "a reader may remember the deleted name"
    assert events(next(iter(event_files(tmp_path).values())))[2].summary.value[0].HasField("metadata")
    await pipeline.close()


async def test_a_file_that_somebody_else_wrote_to_is_left_alone_from_then_on(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", scalars("x", [1.0])), ack=Ack.WRITTEN)
    [name] = event_files(tmp_path)
    with (tmp_path / name).open("ab") as file:
        file.write(b"xyz")
    await pipeline.submit(batch("a", scalars("x", [2.0])), ack=Ack.WRITTEN)
    await pipeline.close()
    first, second = sorted(event_files(tmp_path))
    assert first == name
    assert events((tmp_path / second).read_bytes())[-1].summary.value[0].simple_value == 2.0


@pytest.mark.parametrize(
    ("obstacle", "expected"),
    [
        (lambda logdir: (logdir / "a").write_text("a file"), "rename the run or clear the way"),
        (lambda logdir: (logdir / "a").symlink_to("/"), "leads out of the log folder"),
    ],
)
async def test_what_is_in_the_way_of_a_runs_folder_is_named_and_other_runs_go_on(
    tmp_path: Path, obstacle: object, expected: str
) -> None:
    obstacle(tmp_path)  # type: ignore[operator]
    pipeline = await open_pipeline(tmp_path)
    both = Batch((RunBatch(run_name("a"), (scalars("x", [1.0]),)), RunBatch(run_name("b"), (scalars("x", [1.0]),))))
    with pytest.raises(InvalidBatch, match=expected):
        await pipeline.submit(both)
    receipt = await pipeline.submit(both, partial=True, ack=Ack.WRITTEN)
    assert (receipt.accepted, receipt.rejected[0].path) == (1, "runs[run='a'].run")
    assert set(points(tmp_path)) == {("b", "x")}
    await pipeline.close()


async def test_a_full_queue_refuses_at_once_and_keeps_what_it_has(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, queue_max_bytes=10_000)
    first = [asyncio.create_task(pipeline.submit(batch("a", scalars("x", [step] * 100, [step] * 100)))) for step in range(20)]
    outcomes = await asyncio.gather(*first, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, QueueFull)]
    assert 0 < len(refused) < 20
    assert pipeline.stats.queue_bytes == 0
    await pipeline.close()
    assert len(points(tmp_path)["a", "x"]) == 100 * (20 - len(refused))


async def test_closing_stores_what_was_admitted_and_refuses_what_comes_after(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    sends = [asyncio.create_task(pipeline.submit(batch("a", scalars("x", [step], [step])))) for step in range(50)]
    await asyncio.sleep(0)
    await pipeline.close()
    assert all(receipt.accepted == 1 for receipt in await asyncio.gather(*sends))
    with pytest.raises(Stopping):
        await pipeline.submit(batch("a", scalars("x", [1.0])))
    assert len(points(tmp_path)["a", "x"]) == 50
    assert not pipeline.health.ready


async def test_ten_thousand_runs_need_a_bounded_number_of_open_files(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, open_files_max=64)
    for _ in range(2):
        wide = Batch(tuple(RunBatch(run_name(f"group/{number}"), (scalars("x", [number]),)) for number in range(10_000)))
        await pipeline.submit(wide, ack=Ack.WRITTEN)
        assert pipeline.stats.open_files <= 64
    await pipeline.close()
    found = points(tmp_path)
    assert len(found) == 10_000
    assert all(series == [(0, int(run[6:])), (1, int(run[6:]))] for (run, _), series in found.items())
    pipeline = await open_pipeline(tmp_path, open_files_max=64)
    assert pipeline.stats.runs == 10_000
    await pipeline.close()


async def test_the_writer_silent_for_longest_is_forgotten_first(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path, writers_max=2)
    for writer, seq in (("w1", 1), ("w2", 1), ("w1", 2), ("w3", 1)):
        await pipeline.submit(batch("a", scalars("x", [1.0]), writer=writer, seq=seq))
    remembered = [
        (await pipeline.submit(batch("a", scalars("x", [1.0]), writer=writer, seq=1))).duplicate
        for writer in ("w1", "w3", "w2")
    ]
    assert remembered == [True, True, False]
    await pipeline.close()
