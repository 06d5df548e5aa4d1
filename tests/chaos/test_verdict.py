"""The judge itself: each kind of harm is found. A harness that cannot fail proves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from positions import Notes, log_line, value_at
from verdict import Found, Kill, Training, check_damaged, check_erased, check_exact, check_logged, check_moved

RUNS = ("own", "shared")


@pytest.fixture
def training(tmp_path: Path) -> Training:
    """Three batches of two steps: the third was under way at the end."""
    notes = Notes(tmp_path / "notes")
    for first in (0, 2, 4):
        notes.begin(first, 2)
        if first < 4:
            notes.done()
    return Training("w", RUNS, tmp_path / "notes")


def whole(training: Training, steps: int) -> Found:
    return {(run, tag): [(step, value_at(tag, step)) for step in range(steps)] for run in RUNS for tag in training.tags}


@pytest.mark.parametrize("steps", [4, 6])
def test_all_that_was_acknowledged_passes_with_or_without_the_batch_under_way(training: Training, steps: int) -> None:
    assert check_exact(whole(training, steps), training) == 4 * steps


def drop_last(found: Found) -> None:
    for series in found.values():
        del series[3:]


def drop_in_the_middle(found: Found) -> None:
    del found["own", "w/x"][1]


def repeat(found: Found) -> None:
    found["own", "w/x"].insert(2, found["own", "w/x"][1])


def swap(found: Found) -> None:
    series = found["shared", "w/y"]
    series[1], series[2] = series[2], series[1]


def change_value(found: Found) -> None:
    step, value = found["shared", "w/y"][3]
    found["shared", "w/y"][3] = step, value + 1


def lose_series(found: Found) -> None:
    del found["shared", "w/y"]


def half_a_batch(found: Found) -> None:
    for series in found.values():
        del series[5:]


def in_one_series_only(found: Found) -> None:
    del found["own", "w/x"][4:]


HARMS = [drop_last, drop_in_the_middle, repeat, swap, change_value, lose_series, half_a_batch, in_one_series_only]


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_is_found(training: Training, harm: Callable[[Found], None]) -> None:
    found = whole(training, 6)
    harm(found)
    with pytest.raises(AssertionError, match="w"):
        check_exact(found, training)


def test_points_of_a_renamed_run_are_counted_over_its_names(training: Training) -> None:
    training.runs = ("now",)
    training.places = ("before", "now")
    found = {
        (place, tag): [(step, value_at(tag, step)) for step in steps]
        for place, steps in (("before", range(3)), ("now", range(3, 6)))
        for tag in training.tags
    }
    assert check_moved(found, training) == 12
    found["now", "w/x"].insert(0, found["before", "w/x"][-1])
    with pytest.raises(AssertionError, match="position 3"):
        check_moved(found, training)


def test_what_was_sent_after_a_deletion_has_to_be_there(training: Training) -> None:
    found = whole(training, 6)
    del found["own", "w/x"][:2]
    between = training.batches[1].begun
    assert check_erased(found, training, {"own": between - 1e-9, "shared": 0.0}) == 22
    with pytest.raises(AssertionError, match="missing"):
        check_erased(found, training, {"own": 0.0, "shared": 0.0})


@pytest.mark.parametrize(("told", "lost"), [(True, 1), (False, None)])
def test_damage_excuses_the_last_batch_only_if_it_was_told(training: Training, told: bool, lost: int | None) -> None:
    found = whole(training, 2)
    kills = [Kill(time.monotonic(), told, "journal cut")]
    if lost is None:
        with pytest.raises(AssertionError, match="silently gone"):
            check_damaged(found, training, kills)
    else:
        assert check_damaged(found, training, kills) == (8, lost)
    with pytest.raises(AssertionError, match="silently gone"):
        check_damaged(whole(training, 0), training, kills)


def test_log_records_have_to_be_those_of_the_batches(training: Training, tmp_path: Path) -> None:
    logs = tmp_path / ".tbbridge" / "logs"
    logs.mkdir(parents=True)
    lines = [log_line("w", number) + "\n" for number in (1, 2, 3)]
    (logs / "own.log").write_text("".join(lines[:2]))
    (logs / "own.log.10").write_text(lines[2])
    assert check_logged(tmp_path, whole(training, 6), training) == 3
    (logs / "own.log.2").write_text(lines[1])
    with pytest.raises(AssertionError, match="3 batches, and 4 log records"):
        check_logged(tmp_path, whole(training, 6), training)
