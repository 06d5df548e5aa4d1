"""A training that goes on from a step makes void what its run held from there on: no read shows it, as TensorBoard doesn't."""

from __future__ import annotations

import numpy as np
import pytest

from tbbridge import limits
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start, encode_purge
from tbbridge.model import RunBatch, ScalarColumns, Text, run_name, tag_name
from tbbridge.store import values
from tbbridge.store.catalog import Catalog

RUN = run_name("r")
TAGS = ("a", "b")


def points(tag: str, steps: list[int]) -> bytes:
    """Points whose values are their steps' halves."""
    at = np.array(steps, np.int64)
    return encode_run(RunBatch(RUN, (ScalarColumns(tag_name(tag), at / 2, at, 1000.0 + at),)), {tag_name(tag)})


def note(step: int) -> bytes:
    return encode_run(RunBatch(RUN, (), (Text(tag_name("note"), str(step), step=step, wall_time=1.0),)), set())


def opened(*, is_first: bool = False) -> bytes:
    return encode_file_start(1000.0, session_start=is_first)


class Folder:
    """A log folder with one run, and what it has to show."""

    def __init__(self, place) -> None:
        self.folder = place / "r"
        self.folder.mkdir()
        self.shown: dict[str, list[int]] = {tag: [] for tag in (*TAGS, "note")}
        self.files = 0

    def begin(self) -> None:
        self.files += 1
        self.put(opened(is_first=self.files == 1))

    def put(self, data: bytes) -> None:
        with (self.folder / f"events.out.tfevents.{self.files:03}").open("ab") as file:
            file.write(data)

    def write(self, tag: str, steps: list[int]) -> None:
        self.put(points(tag, steps))
        self.shown[tag] += steps

    def note(self, step: int) -> None:
        self.put(note(step))
        self.shown["note"].append(step)

    def purge(self, step: int) -> None:
        self.put(encode_purge(5.0, step))
        self.shown = {tag: [one for one in steps if one < step] for tag, steps in self.shown.items()}


@pytest.mark.parametrize("seed", range(12))
def test_no_read_shows_what_a_restart_hides(tmp_path, monkeypatch, seed) -> None:
    """Whatever is written in which file, however large the pieces, and whoever read it before."""
    monkeypatch.setattr(limits, "READ_WINDOW_BYTES", [200, 3000, 1 << 20][seed % 3])
    random = np.random.default_rng(seed)
    folder = Folder(tmp_path)
    folder.begin()
    folder.write("a", [1])
    folder.write("b", [1])
    followed = Catalog(tmp_path)
    for _ in range(60):
        match random.integers(8):
            case 0:
                folder.purge(int(random.integers(-1, 60)))
            case 1 if folder.files < 5:
                folder.begin()
            case 2:
                folder.note(int(random.integers(60)))
            case _:
                first = int(random.integers(60))
                folder.write(str(random.choice(TAGS)), [*range(first, first + int(random.integers(1, 20)))])
        if random.random() < 0.5:
            check(followed, folder, random)
    check(Catalog(tmp_path), folder, random)
    for low in range(0, 60, 6):  # from where in the files it is, as long as nothing else was asked for
        part = [step for step in folder.shown["a"] if low <= step <= low + 5]
        assert Catalog(tmp_path).series("r", "a", low, low + 5).steps.tolist() == part


def check(catalog: Catalog, folder: Folder, random: np.random.Generator) -> None:
    for tag in TAGS:
        steps = folder.shown[tag]
        found = catalog.series("r", tag)
        assert found.steps.tolist() == steps
        assert found.values.tolist() == [step / 2 for step in steps]
        ((_, count, thinned),) = catalog.thinned("r", [tag], limits.OVERVIEW_STRETCHES)
        assert (count, thinned.steps.tolist()) == (len(steps), steps)
        low = int(random.integers(60))
        part = [step for step in steps if low <= step <= low + 15]
        assert catalog.series("r", tag, low, low + 15).steps.tolist() == part
        ((_, _, ranged),) = catalog.thinned("r", [tag], limits.OVERVIEW_STRETCHES, low, low + 15)
        assert ranged.steps.tolist() == part
    if folder.shown["note"]:
        assert [one.texts for one in catalog.values("r", "text", "note", values.texts)] == [
            [str(step)] for step in folder.shown["note"]
        ]


def test_the_start_that_a_file_opens_with_is_no_restart(tmp_path) -> None:
    """Two files that were put into one folder later, say: neither makes the other void."""
    folder = Folder(tmp_path)
    for _ in range(2):
        folder.files += 1
        folder.put(opened(is_first=True))
        folder.write("a", [1, 2, 3])
    assert Catalog(tmp_path).series("r", "a").steps.tolist() == [1, 2, 3, 1, 2, 3]


def test_a_long_overview_has_about_as_many_points_as_are_left(tmp_path) -> None:
    folder = Folder(tmp_path)
    folder.begin()
    many = 20 * limits.OVERVIEW_STRETCHES
    folder.write("a", [*range(many)])
    catalog = Catalog(tmp_path)
    catalog.runs()
    folder.purge(many // 4)
    folder.write("a", [*range(many // 4, many // 2)])
    ((_, count, found),) = catalog.thinned("r", ["a"], limits.OVERVIEW_STRETCHES)
    assert count == pytest.approx(many // 2, rel=0.02)
    assert (np.diff(found.steps) > 0).all()
    assert (found.steps[0], found.steps[-1]) == (0, many // 2 - 1)
