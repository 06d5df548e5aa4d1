"""Overviews: whatever the pieces a file is read in, the lowest, the highest, the first and the last point are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbbridge import limits
from tbbridge.events.encode import encode_run
from tbbridge.events.reader import Series as StoredSeries
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.store.catalog import Catalog
from tbbridge.store.eventfiles import OpenFile
from tbbridge.store.overviews import FileRead, Overview, Overviews
from tbbridge.store.series import Series


def points(values: np.ndarray, first: int = 0) -> StoredSeries:
    steps = np.arange(first, first + len(values), dtype=np.int64)
    return StoredSeries(steps, values.astype(np.float32), steps * 0.5)


def write(folder: Path, name: str, values: dict[str, np.ndarray], first: int = 0, *, start: bool = True) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    columns = []
    for tag, column in values.items():
        steps = np.arange(first, first + len(column))
        columns.append(ScalarColumns(tag_name(tag), column.astype(np.float64), steps, steps * 0.5))
    data = encode_run(RunBatch(run_name("r"), tuple(columns)), set() if start else set(values))
    with (folder / name).open("ab") as file:
        file.write((encode_file_start(1.0, session_start=True) if start else b"") + data)


@pytest.mark.parametrize("pieces", ["one", "single points", "uneven"])
@pytest.mark.parametrize("count", [1, 100, 2 * limits.OVERVIEW_STRETCHES, 2 * limits.OVERVIEW_STRETCHES + 1, 50_000])
def test_an_overview_keeps_the_extremes_of_every_stretch(pieces, count) -> None:
    if pieces == "single points" and count > 10_000:
        count = 10_000
    random = np.random.default_rng(count)
    values = np.cumsum(random.normal(size=count))
    values[random.integers(0, count, count // 50)] = np.nan
    sizes = {"one": [count], "single points": [1] * count, "uneven": [*random.integers(1, 3000, count)]}[pieces]
    overview, done = Overview(), 0
    for size in sizes:
        if done < count:
            piece = values[done : done + size]
            overview.add(points(piece, done))
            done += len(piece)
    found = overview.series()
    kept = values.astype(np.float32)
    assert overview.count == count
    assert len(found) <= 4 * limits.OVERVIEW_STRETCHES + 2 * len(sizes)
    assert len(found) <= 5 * limits.OVERVIEW_STRETCHES
    assert (np.diff(found.steps) > 0).all()
    np.testing.assert_array_equal(found.values, kept[found.steps].astype(np.float64))  # no point that was not written
    np.testing.assert_array_equal(found.wall_times, found.steps * 0.5)
    assert (found.steps[0], found.steps[-1]) == (0, count - 1)
    if count <= 2 * limits.OVERVIEW_STRETCHES:
        np.testing.assert_array_equal(found.values, kept)
        assert overview.is_all
        return
    assert found.sampled is not None
    taken = found.steps[found.sampled]
    assert len(taken) >= limits.OVERVIEW_STRETCHES / 2 - 1
    assert set(np.diff(taken)) == {taken[1]}, "evenly, whatever their value"
    width = 1
    while count > width * limits.OVERVIEW_STRETCHES:
        width *= 2
    for start in range(0, count, width):
        stretch = kept[start : start + width]
        here = found.values[(found.steps >= start) & (found.steps < start + width)]
        assert np.isnan(here).any() == np.isnan(stretch).any()
        if np.isnan(stretch).all():
            continue
        assert np.nanmin(here) == np.nanmin(stretch)
        assert np.nanmax(here) == np.nanmax(stretch)


def test_a_catalog_thins_out_without_reading_again_and_follows_the_file(tmp_path, monkeypatch) -> None:
    random = np.random.default_rng(1)
    long, short = random.normal(size=30_000), random.normal(size=20)
    write(tmp_path / "r", "events.out.tfevents.1", {"long": long, "short": short})
    catalog = Catalog(tmp_path)
    catalog.runs()
    monkeypatch.setattr(catalog, "series", None)  # whole series are not read for it
    ((tag, count, found), (other, few, all_of_them)) = catalog.thinned("r", ["long", "never", "short"], 200)
    assert (tag, count, len(found) <= 200) == ("long", 30_000, True)
    exact = Series(np.arange(30_000), long.astype(np.float32).astype(np.float64), np.arange(30_000) * 0.5)
    assert found.values.min() == exact.values.min()
    assert found.values.max() == exact.values.max()
    assert (found.steps[0], found.steps[-1]) == (0, 29_999)
    assert (other, few, all_of_them.steps.tolist()) == ("short", 20, [*range(20)])
    write(tmp_path / "r", "events.out.tfevents.1", {"long": np.array([99.0])}, 30_000, start=False)
    write(tmp_path / "r", "events.out.tfevents.2", {"long": np.array([-99.0])}, 30_001)
    ((_, count, found),) = catalog.thinned("r", ["long"], 200)
    assert (count, found.values[-2:].tolist(), found.steps[-1]) == (30_002, [99.0, -99.0], 30_001)


def test_a_file_that_was_replaced_has_another_overview(tmp_path) -> None:
    write(tmp_path / "r", "events.out.tfevents.1", {"t": np.arange(5000.0)})
    catalog = Catalog(tmp_path)
    assert catalog.thinned("r", ["t"], 100)[0][2].values.max() == 4999
    (tmp_path / "r" / "events.out.tfevents.1").unlink()
    write(tmp_path / "r", "events.out.tfevents.1", {"t": np.arange(3000.0)})
    assert catalog.thinned("r", ["t"], 100)[0][1:2] == (3000,)


def test_overviews_that_do_not_fit_are_read_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "OVERVIEWS_KEPT_POINTS", 7000)
    catalog = Catalog(tmp_path)
    for run in "abcd":
        write(tmp_path / run, "events.out.tfevents.1", {"t": np.arange(5000.0)})
    catalog.runs()
    for _ in range(2):
        for run in "abcd":
            ((_, count, found),) = catalog.thinned(run, ["t"], 100)
            assert (count, found.values[0], found.values[-1]) == (5000, 0.0, 4999.0)
    assert catalog._overviews._weight <= 7000


def test_a_piece_that_does_not_go_on_is_left() -> None:
    overviews, path = Overviews(), Path("f")
    overviews.take(path, 1, 100, 200, {"t": points(np.ones(3))})
    assert overviews.of([FileRead(path, 1, 200)], "t") is None
    overviews.take(path, 1, 0, 100, {"t": points(np.ones(3))})
    overviews.take(path, 1, 0, 100, {"t": points(np.ones(3))})
    assert overviews.of([FileRead(path, 1, 100)], "t")[0] == 3
    assert overviews.of([FileRead(path, 1, 200)], "t") is None
    assert overviews.of([FileRead(path, 2, 100)], "t") is None


@pytest.mark.parametrize("seed", range(4))
def test_a_range_of_steps_is_the_same_from_pieces_of_the_files_as_from_all_of_them(tmp_path, monkeypatch, seed) -> None:
    """Whatever the order of steps, the size of pieces, and what was asked before."""
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", 3000)
    random = np.random.default_rng(seed)
    folder = tmp_path / "r"
    folder.mkdir()
    steps = np.sort(random.integers(-500, 5000, 3000)) if seed % 2 else random.integers(-500, 5000, 3000)
    values = random.normal(size=3000)
    catalog = Catalog(tmp_path)
    done = 0
    for size in (1, 700, 1, 1, 1500, 797):
        some = slice(done, done + size)
        done += size
        name = "events.out.tfevents.1" if done < 2000 else "events.out.tfevents.2"
        columns = tuple(
            ScalarColumns(tag_name(tag), values[some] + shift, steps[some], steps[some] * 0.5)
            for tag, shift in (("x", 0), ("y", 9))
        )
        with (folder / name).open("ab") as file:
            file.write(
                encode_run(RunBatch(run_name("r"), columns), set() if size in (1500, 1) and done in (1, 2203) else {"x", "y"})
            )
        for _ in range(3):
            low, high = sorted(random.integers(-600, 5100, 2).tolist())
            bounds = [(low, high), (None, high), (low, None)][random.integers(3)]
            found = catalog.series("r", "y", *bounds)
            wanted = Catalog(tmp_path).series("r", "y").between(*bounds)
            np.testing.assert_array_equal(found.steps, wanted.steps)
            np.testing.assert_array_equal(found.values, wanted.values)
            np.testing.assert_array_equal(found.wall_times, wanted.wall_times)


def test_a_range_reads_only_where_it_is_until_that_costs_more_than_all_of_it(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", 20_000)
    write(tmp_path / "r", "events.out.tfevents.1", {"t": np.arange(50_000.0)})
    catalog = Catalog(tmp_path)
    catalog.runs()
    read: list[int] = []
    real = OpenFile._read
    monkeypatch.setattr(OpenFile, "_read", lambda self, offset, size: (read.append(size), real(self, offset, size))[1])
    size = (tmp_path / "r" / "events.out.tfevents.1").stat().st_size
    for number in range(40):
        read.clear()
        assert catalog.series("r", "t", 1000 * number, 1000 * number + 999).values.tolist() == [
            *np.arange(1000.0 * number, 1000.0 * number + 1000)
        ]
        if sum(read) > size / 2:
            break
        assert sum(read) < size / 8
    assert 5 < number < 39
    read.clear()
    assert len(catalog.series("r", "t", 7, 8)) == 2
    assert sum(read) < 100  # kept by now


def test_a_range_of_an_overview_is_used_while_it_is_fine_enough(tmp_path, monkeypatch) -> None:
    random = np.random.default_rng(3)
    values = random.normal(size=40_000)
    write(tmp_path / "r", "events.out.tfevents.1", {"t": values})
    catalog = Catalog(tmp_path)
    catalog.runs()
    kept = values.astype(np.float32).astype(np.float64)
    ((_, near, exact),) = catalog.thinned("r", ["t"], 300, 1000, 1999)
    assert (near, exact.values.min(), exact.values.max()) == (1000, kept[1000:2000].min(), kept[1000:2000].max())
    monkeypatch.setattr(catalog, "series", None)
    ((_, about, found),) = catalog.thinned("r", ["t"], 300, 10_000, 29_999)
    assert len(found) <= 300
    assert abs(about - 20_000) < 400
    assert (found.values.min(), found.values.max()) == (kept[10_000:30_000].min(), kept[10_000:30_000].max())
