"""A run as a zip, and back: the bytes that went in come out, whatever happens to the files meanwhile."""

from __future__ import annotations

import os
import subprocess
import zipfile
from pathlib import Path

import pytest
from tensorboardX import SummaryWriter

from tbbridge.errors import Conflict, InvalidQuery, NotFound
from tbbridge.layout import veiled_name
from tbbridge.store.archive import archive_entries, zip_pieces
from tbbridge.store.unpack import unpack

EVENTS = "events.out.tfevents.1700000000.host"


def write_events(folder: Path, points: int = 3) -> Path:
    with SummaryWriter(str(folder)) as writer:
        for step in range(points):
            writer.add_scalar("loss", step, step)
    (file,) = (path for path in folder.iterdir() if "tfevents" in path.name)
    return file.rename(folder / EVENTS)


@pytest.fixture
def logdir(tmp_path: Path) -> Path:
    """The run a/b with an event file, an embedding and a profile; a run below it, and a user's notes, are not its own."""
    logdir = tmp_path / "runs"
    run = logdir / "a" / "b"
    write_events(run)
    (run / "embeddings.tbbridge" / "1").mkdir(parents=True)
    (run / "embeddings.tbbridge" / "1" / "tensors.tsv").write_text("1\t2\n")
    (run / "projector_config.pbtxt").write_text('embeddings { tensor_path: "embeddings.tbbridge/1/tensors.tsv" }')
    (run / "plugins" / "profile" / "ä").mkdir(parents=True)
    (run / "plugins" / "profile" / "ä" / "host.xplane.pb").write_bytes(b"\0" * 1000)
    (run / "notes.txt").write_text("mine")
    write_events(run / "below")
    return logdir


OWN = [
    "embeddings.tbbridge/1/tensors.tsv",
    EVENTS,
    "plugins/profile/ä/host.xplane.pb",
    "projector_config.pbtxt",
]


def zipped(logdir: Path, run: str, prefix: str = "") -> bytes:
    return b"".join(zip_pieces(archive_entries(logdir, run, prefix)))


@pytest.fixture
def archive(logdir: Path, tmp_path: Path) -> Path:
    path = tmp_path / "run.zip"
    path.write_bytes(zipped(logdir, "a/b"))
    return path


def test_what_belongs_to_the_run_comes_back_byte_for_byte(logdir: Path, archive: Path, tmp_path: Path) -> None:
    staged = tmp_path / "staged"
    staged.mkdir()
    found = unpack(archive, staged)
    assert (found.files, found.warnings) == (len(OWN), ())
    back = {path.relative_to(staged).as_posix(): path for path in staged.rglob("*") if path.is_file()}
    assert sorted(back) == sorted(veiled_name(name) for name in OWN)
    for name in OWN:
        file = logdir / "a" / "b" / name
        assert back[veiled_name(name)].read_bytes() == file.read_bytes()
        assert int(back[veiled_name(name)].stat().st_mtime) == int(file.stat().st_mtime)


def test_other_programs_can_read_it(archive: Path) -> None:
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert opened.namelist() == sorted(OWN)
    assert subprocess.run(["unzip", "-tqq", archive], check=False).returncode == 0


def test_names_start_with_the_prefix(logdir: Path, tmp_path: Path) -> None:
    path = tmp_path / "run.zip"
    path.write_bytes(zipped(logdir, "a/b", "b"))
    with zipfile.ZipFile(path) as opened:
        assert opened.namelist() == [f"b/{name}" for name in sorted(OWN)]


def test_a_veiled_run_is_archived_under_its_own_names(logdir: Path) -> None:
    whole = zipped(logdir, "a/b")
    veil = logdir / ".tbbridge" / "veils" / "1"
    veil.mkdir(parents=True)
    (veil / "run").write_text("a/b")
    (logdir / "a" / "b").rename(veil / "files")
    (veil / "files" / EVENTS).rename(veil / "files" / veiled_name(EVENTS))
    assert zipped(logdir, "a/b") == whole


def test_a_run_whose_veil_is_being_lifted_is_archived_whole(logdir: Path) -> None:
    """File by file: some are in its folder already."""
    whole = zipped(logdir, "a/b")
    veil = logdir / ".tbbridge" / "veils" / "1"
    (veil / "files").mkdir(parents=True)
    (veil / "run").write_text("a/b")
    (logdir / "a" / "b" / EVENTS).rename(veil / "files" / veiled_name(EVENTS))
    (logdir / "a" / "b" / "plugins").rename(veil / "files" / "plugins")
    assert zipped(logdir, "a/b") == whole


def test_a_file_that_somebody_made_in_place_of_a_veiled_one_is_kept_too(logdir: Path) -> None:
    veil = logdir / ".tbbridge" / "veils" / "1"
    (veil / "files").mkdir(parents=True)
    (veil / "run").write_text("a/b")
    (veil / "files" / veiled_name(EVENTS)).write_bytes(b"ours")
    names = {entry.name: entry.size for entry in archive_entries(logdir, "a/b")}
    assert names[EVENTS] == 4
    assert names[EVENTS + ".1"] == (logdir / "a" / "b" / EVENTS).stat().st_size


def test_a_veil_that_is_lifted_meanwhile_does_not_break_it(logdir: Path) -> None:
    whole = zipped(logdir, "a/b")
    run, veil = logdir / "a" / "b", logdir / ".tbbridge" / "veils" / "1"
    veil.mkdir(parents=True)
    (veil / "run").write_text("a/b")
    run.rename(veil / "files")
    (veil / "files" / EVENTS).rename(veil / "files" / veiled_name(EVENTS))
    entries = archive_entries(logdir, "a/b")
    (veil / "files" / veiled_name(EVENTS)).rename(veil / "files" / EVENTS)
    (veil / "files").rename(run)
    assert b"".join(zip_pieces(entries)) == whole


def test_a_file_that_grows_meanwhile_is_taken_as_it_was(logdir: Path) -> None:
    whole = zipped(logdir, "a/b")
    entries = archive_entries(logdir, "a/b")
    file = logdir / "a" / "b" / EVENTS
    times = file.stat().st_mtime_ns
    with file.open("ab") as opened:
        opened.write(b"more")
    os.utime(file, ns=(times, times))
    assert b"".join(zip_pieces(entries)) == whole


@pytest.mark.parametrize("damage", ["deleted", "replaced", "cut"])
def test_a_file_that_is_not_what_it_was_breaks_it(logdir: Path, damage: str) -> None:
    entries = archive_entries(logdir, "a/b")
    file = logdir / "a" / "b" / EVENTS
    if damage == "cut":
        os.truncate(file, 10)
    else:
        content = file.read_bytes()
        (file.with_name("kept")).hardlink_to(file)  # so that the system does not give its number to the next file
        file.unlink()
        if damage == "replaced":
            file.write_bytes(content)
    with pytest.raises(Conflict, match=EVENTS):
        list(zip_pieces(entries))


@pytest.mark.parametrize("run", ["nobody", "a", ".", "a/b/notes.txt"])
def test_what_is_no_run_is_not_found(logdir: Path, run: str) -> None:
    with pytest.raises(NotFound):
        archive_entries(logdir, run)


@pytest.mark.parametrize("run", ["../runs/a/b", "/a/b", "a//b", "", "a/b\0", ".tbbridge"])
def test_a_name_that_leaves_the_folder_is_refused(logdir: Path, run: str) -> None:
    with pytest.raises(InvalidQuery):
        archive_entries(logdir, run)


def test_a_link_out_of_the_folder_is_not_followed(logdir: Path, tmp_path: Path) -> None:
    write_events(tmp_path / "elsewhere" / "secret")
    (logdir / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NotFound, match="symbolic link"):
        archive_entries(logdir, "link/secret")
    (logdir / "a" / "c").mkdir()
    (logdir / "a" / "c" / EVENTS).symlink_to(tmp_path / "elsewhere" / "secret" / EVENTS)
    with pytest.raises(NotFound):
        archive_entries(logdir, "a/c")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (b"a\\b", "backslash"),
        (b"a\nb", "control character"),
        (b"\xff", "not UTF-8"),
        (b"x.tf~vents", "tf~vents"),
        ("Ä".encode(), "case or form"),
    ],
)
def test_what_could_not_come_back_is_not_archived(logdir: Path, name: bytes, words: str) -> None:
    """Somebody will delete the run because there is an archive."""
    (logdir / "a" / "b" / "plugins" / "profile" / os.fsdecode(name)).mkdir()
    (logdir / "a" / "b" / "plugins" / "profile" / os.fsdecode(name) / "host.xplane.pb").write_bytes(b"1")
    with pytest.raises(Conflict, match=words):
        archive_entries(logdir, "a/b")


def test_names_that_are_only_strange_come_back(logdir: Path, tmp_path: Path) -> None:
    (logdir / "a" / "b" / "plugins" / "profile" / "no\u00a0break \u202e😀 'quotes\" *").write_bytes(b"1")
    (tmp_path / "run.zip").write_bytes(zipped(logdir, "a/b"))
    (tmp_path / "staged").mkdir()
    assert unpack(tmp_path / "run.zip", tmp_path / "staged").files == len(OWN) + 1
