"""Where runs are: behind veils too, and folders that are not runs yet."""

from __future__ import annotations

import shutil

import pytest
from test_catalog import NAME, START, points, put

from tbbridge import layout
from tbbridge.errors import NotFound
from tbbridge.store import catalog as catalog_module
from tbbridge.store.catalog import Catalog
from tbbridge.store.eventfiles import OpenFile


def veil(logdir, run, files, number=1):
    """What the pipeline makes of a run that is removed and then gets points again."""
    folder = logdir / ".tbbridge" / layout.VEILS / str(number)
    (folder / layout.FILES_FOLDER).mkdir(parents=True)
    (folder / layout.RUN_FILE).write_text(run)
    for name, content in files.items():
        (folder / layout.FILES_FOLDER / layout.veiled_name(name)).write_bytes(content)
    return folder


def test_a_veiled_run_is_what_is_under_its_veil_and_in_its_folder(tmp_path):
    """While a veil is lifted both hold some, and so they do if another program goes on with a run that was removed."""
    put(tmp_path, "a", START + points("t", 0, 3), name="tfevents.1")
    put(tmp_path, "a/below", START + points("t", 0, 1))
    veil(tmp_path, "a", {"tfevents.0": START + points("t", 7, 2), "tfevents.2": START + points("t", 9, 1)}, 1)
    veil(tmp_path, "b/c", {NAME: START + points("t", 0, 5)}, 2)
    catalog = Catalog(tmp_path)
    assert [(run.run, run.points) for run in catalog.runs()] == [("a", 6), ("a/below", 1), ("b/c", 5)]
    assert catalog.series("a", "t").steps.tolist() == [7, 8, 0, 1, 2, 9]
    assert [tag.tag for tag in catalog.run("b/c")[1]] == ["t"]


def test_files_under_a_veil_are_read_in_the_order_of_their_own_names(tmp_path):
    """'~' sorts behind letters: by the veiled names, the second of these would be the first."""
    veil(tmp_path, "a", {"tfevents.2": START + points("t", 0, 1), "tfzz.tfevents": START + points("t", 1, 1)})
    assert Catalog(tmp_path).series("a", "t").steps.tolist() == [0, 1]


def test_an_unfinished_veil_is_none(tmp_path):
    put(tmp_path, "a", START + points("t", 0, 3))
    folder = veil(tmp_path, "a", {NAME: START})
    (folder / layout.RUN_FILE).unlink()
    assert [(run.run, run.points) for run in Catalog(tmp_path).runs()] == [("a", 3)]


def test_a_veil_with_nothing_under_it_is_no_run(tmp_path):
    veil(tmp_path, "a", {})
    catalog = Catalog(tmp_path)
    assert catalog.runs() == []
    with pytest.raises(NotFound):
        catalog.run("a")


@pytest.mark.parametrize("read", ["runs", "run", "series", "scan"])
def test_a_veil_that_is_lifted_during_a_look_loses_nothing(tmp_path, monkeypatch, read):
    """The names that were found lead nowhere a moment later: a reader would take the run for empty."""
    folder = veil(tmp_path, "a", {f"tfevents.{number}": START + points("t", number, 1) for number in range(3)})
    lifted = []

    class Lifting(OpenFile):
        def __init__(self, path, halt):
            if not lifted:
                (tmp_path / "a").mkdir()
                for veiled in (folder / layout.FILES_FOLDER).iterdir():
                    veiled.rename(tmp_path / "a" / layout.lifted_name(veiled.name))
                shutil.rmtree(folder)
                lifted.append(path)
            super().__init__(path, halt)

    monkeypatch.setattr(catalog_module, "OpenFile", Lifting)
    catalog = Catalog(tmp_path)
    if read == "runs":
        assert [run.points for run in catalog.runs()] == [3]
    elif read == "run":
        assert catalog.run("a")[0].points == 3
    elif read == "series":
        assert catalog.series("a", "t").steps.tolist() == [0, 1, 2]
    else:
        assert [step for piece in catalog.scan("a") for step in piece["t"].steps.tolist()] == [0, 1, 2]
    assert lifted


def test_a_run_that_is_deleted_while_it_is_scanned_does_not_end_as_if_it_were_whole(tmp_path):
    for number in range(3):
        put(tmp_path, "a", START + points("t", number, 1), name=f"tfevents.{number}")
    pieces = Catalog(tmp_path).scan("a")
    next(pieces)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(NotFound):
        list(pieces)


def test_folders_without_values_are_empty_runs(tmp_path):
    put(tmp_path, "full", START + points("t", 0, 1))
    put(tmp_path, "full/started", START)
    put(tmp_path, "zero", b"")
    (tmp_path / "nothing" / "in" / "it").mkdir(parents=True)
    put(tmp_path, "parent/run", START + points("t", 0, 1))
    put(tmp_path, "notes", b"x", name="readme.txt")
    (tmp_path / "parent" / "vacant").mkdir()
    (tmp_path / ".tbbridge" / "journal").mkdir(parents=True)
    (tmp_path / "soon").mkdir()
    veil(tmp_path, "soon", {NAME: START + points("t", 0, 1)})
    assert Catalog(tmp_path).empty_runs() == [
        "full/started",
        "nothing",
        "nothing/in",
        "nothing/in/it",
        "parent/vacant",
        "zero",
    ]


def test_no_folder_has_no_empty_runs(tmp_path):
    assert Catalog(tmp_path / "missing").empty_runs() == []
