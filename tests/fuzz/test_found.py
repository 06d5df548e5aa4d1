"""What fuzzing has found, each by itself and named after the damage that it did."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from tensorboard.compat.proto.event_pb2 import Event

from tbbridge import layout
from tbbridge.client.spool import load_progress
from tbbridge.errors import Forbidden, InvalidItem, InvalidSetting
from tbbridge.events.encode import encode_run
from tbbridge.events.reader import read_events
from tbbridge.events.summaries import encode_file_start
from tbbridge.events.tfrecord import Corrupt, Frame, frame, read_frame
from tbbridge.logs.lines import decode_record
from tbbridge.model import PROJECTOR_CONFIG, Batch, RunBatch, ScalarColumns, Text, run_name, tag_name
from tbbridge.pipeline import codec
from tbbridge.pipeline.door import Ack, DeleteRun, DeleteTag, RenameRun
from tbbridge.pipeline.journal import list_segments
from tbbridge.pipeline.journal_pb2 import Entry, RunCheckpoint
from tbbridge.pipeline.kind import Kind
from tbbridge.pipeline.ledger import Ledger, Run
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings
from tbbridge.pipeline.runfolders import RunFolders
from tbbridge.server.guard import Guard
from tbbridge.server.settings_file import parse_settings
from tbbridge.server.tokens import Tokens, parse_tokens
from tbbridge.store.catalog import Catalog
from tbbridge.store.projector import read_embeddings
from tbbridge.store.unpack import unpack

EVENTS = "events.out.tfevents.1"


@pytest.fixture
def archive(tmp_path: Path):
    """Unpack a zip with an event file and one more entry."""

    def run(name: str, content: bytes) -> None:
        with zipfile.ZipFile(tmp_path / "archive.zip", "w") as made:
            made.writestr(EVENTS, encode_file_start(1.0, session_start=True))
            info = zipfile.ZipInfo(name or "x")  # which cannot be made without a name
            made.writestr(info, content)
            info.filename = name
        (tmp_path / "staged").mkdir()
        unpack(tmp_path / "archive.zip", tmp_path / "staged")

    return run


def test_an_archive_with_an_entry_without_a_name_was_an_internal_error(archive) -> None:
    with pytest.raises(InvalidItem, match="''"):
        archive("", b"x")


@pytest.mark.parametrize(
    "config",
    [
        rb'embeddings { tensor_path: "..\57" "1/secret" }',  # escapes end with their string: "../1/secret"
        b'# \r embeddings { tensor_path: "/etc/passwd" }\n',  # a comment ends at a carriage return, if open() translates it
        rb'embeddings { tensor_path: "\457etc" }',  # 0o457 is a slash where escapes are bytes
        b'embeddings { tensor_path: "\\N{SOLIDUS}etc" }',
        rb'embeddings { tensor_path: "\u002fetc" }',
    ],
    ids=["strings behind each other", "comment", "octal", "by name", "unicode"],
)
def test_a_table_of_embeddings_led_tensorboard_out_of_the_run(archive, config: bytes) -> None:
    with pytest.raises(InvalidItem):
        archive(PROJECTOR_CONFIG, config)


@pytest.mark.parametrize(
    "config", [rb'embeddings { tensor_path: "w\303\266rter.tsv" }', b'# a\r\nembeddings { tensor_path: "x" }\r\n']
)
def test_harmless_tables_of_embeddings_are_taken(archive, config: bytes) -> None:
    archive(PROJECTOR_CONFIG, config)


def test_an_embedding_whose_name_is_written_with_unicode_escapes_was_called_by_its_escapes(tmp_path: Path) -> None:
    (tmp_path / PROJECTOR_CONFIG).write_bytes(rb'embeddings { tensor_name: "w\u00f6rter\U0000002fx \ud800" }')
    (found,) = read_embeddings(tmp_path)
    assert found.tag == "wörter/x \\ud800", "half of a pair is no character"


def test_reading_a_run_whose_table_of_embeddings_names_a_file_too_long_for_the_disk_was_an_internal_error(
    tmp_path: Path,
) -> None:
    (tmp_path / PROJECTOR_CONFIG).write_bytes(b'embeddings { tensor_name: "x" tensor_path: "' + b"a" * 300 + b'" }')
    (found,) = read_embeddings(tmp_path)
    assert (found.tag, found.files) == ("x", {})


def test_a_log_whose_bytes_were_damaged_in_the_loggers_name_could_not_be_read_any_more() -> None:
    assert decode_record(b"1970-01-01T00:00:00.000000Z INFO     \xa0 hello\n") is None


def write(run: str) -> Batch:
    return Batch((RunBatch(run_name(run), summaries=(Text(tag_name("note"), "hello"),)),))


async def test_a_run_that_was_renamed_right_before_a_crash_was_not_found_for_a_while(tmp_path: Path) -> None:
    """Doing the renaming again took the old name's veil, which was empty, for the run's own."""
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "live", veil_s=1000, close_timeout_s=0.5))
    await pipeline.submit(write("a"), ack=Ack.WRITTEN)
    await pipeline.change(RenameRun(run_name("a"), run_name("b")))
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    await pipeline.close()
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "killed", veil_s=1000, close_timeout_s=0.5))
    assert (await pipeline.change(RenameRun(run_name("b"), run_name("c")))).runs == ("b",)
    await pipeline.close()


async def test_a_tag_could_not_be_found_while_its_runs_veil_was_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's files are looked for beside the writer, which may put them in their place at that moment."""
    pipeline = await Pipeline.open(PipelineSettings(tmp_path, veil_s=1000, close_timeout_s=0.5))
    await pipeline.submit(write("a"))
    await pipeline.change(DeleteRun(run_name("a")))
    await pipeline.submit(write("a"), ack=Ack.WRITTEN)
    exists = RunFolders.exists

    def lifted_behind_its_back(folders: RunFolders, run: str) -> bool:
        seen = folders._files.folder(run)
        for name in folders._veils.runs():
            folders._files.lift(name)
        return any(layout.own_files(seen))

    monkeypatch.setattr(RunFolders, "exists", lifted_behind_its_back)
    prepared = pipeline._store.changes.prepare(DeleteTag(run_name("a"), tag_name("note")))
    monkeypatch.setattr(RunFolders, "exists", exists)
    pipeline._store.changes.abandon(prepared)
    assert (await pipeline.change(DeleteTag(run_name("a"), tag_name("note")))).runs == ("a",)
    await pipeline.close()


SECRET = "tbb_" + "s3cr3t-" * 6


@pytest.mark.parametrize("lines", [f"{SECRET} read sha256:{'0' * 64}\n" * 2, f"{SECRET} read sha256:{'0' * 64}\n"])
def test_a_token_pasted_where_its_name_should_be_was_shown_in_messages(lines: str) -> None:
    with pytest.raises(InvalidSetting) as refusal:
        parse_tokens(lines, "the file")
    assert SECRET not in refusal.value.message


@pytest.mark.parametrize("text", ["port = " + "9" * 5_000, "x = " + "[" * 3_000], ids=["digits", "depth"])
def test_a_settings_file_of_endless_numbers_or_lists_ended_the_start_with_a_traceback(text: str) -> None:
    with pytest.raises(InvalidSetting, match="is not TOML"):
        parse_settings(text, "bridge.toml")


@pytest.mark.parametrize("origin", [b"null", b"evil.example", b"http://"])
def test_a_request_without_a_host_was_of_any_origins_own(origin: bytes) -> None:
    scope = {"type": "http", "method": "POST", "path": "/api/v1/write", "headers": [(b"host", b""), (b"origin", origin)]}
    with pytest.raises(Forbidden):
        Guard(Tokens(None), (), ()).check(scope)


def rewritten(segment: bytes, change: Callable[[Entry], None]) -> bytes:
    """A journal's segment in which `change` was done to each entry, with checksums that are right."""
    frames, at = [], 0
    while isinstance(found := read_frame(segment, at), Frame):
        entry = Entry.FromString(bytes(found.payload))
        if entry.magic:
            change(entry)
        frames.append(frame(entry.SerializeToString() if entry.magic else found.payload))
        at = found.end
    return b"".join(frames) + bytes(50)


async def test_an_entry_of_another_version_put_what_followed_in_the_place_of_older_points(tmp_path: Path) -> None:
    """It was left out, so that all later bytes of its run's event file were taken to belong further in front."""
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "live"))
    for value in (1.0, 2.0, 3.0, 4.0):
        column = ScalarColumns(tag_name("loss"), np.array([value]))
        await pipeline.submit(Batch((RunBatch(run_name("a"), (column,)),)), ack=Ack.WRITTEN)
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    await pipeline.close()

    def spoil(entry: Entry) -> None:
        if entry.index == 2:
            entry.runs[0].scalars[0].tag = b""  # which no version takes, as an example of what this one does not

    (segment,) = (path for _, path in list_segments(tmp_path / "killed" / ".tbbridge"))
    segment.write_bytes(rewritten(segment.read_bytes(), spoil))
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "killed"))
    assert "entry 2 is not valid in this version" in pipeline.stats.lost_entries[0]
    await pipeline.close()
    (events,) = (tmp_path / "killed" / "a").iterdir()
    assert read_events(events.read_bytes()).scalars["loss"].values.tolist() == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("name", ["../../elsewhere.tfevents.1", "events\0tfevents"])
async def test_a_journal_with_an_odd_file_name_ended_the_start_or_wrote_elsewhere(tmp_path: Path, name: str) -> None:
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "live"))
    await pipeline.submit(write("a"), ack=Ack.WRITTEN)
    shutil.copytree(tmp_path / "live", tmp_path / "killed" / "logs")
    await pipeline.close()

    def spoil(entry: Entry) -> None:
        entry.opened[0].name = name

    (segment,) = (path for _, path in list_segments(tmp_path / "killed" / "logs" / ".tbbridge"))
    segment.write_bytes(rewritten(segment.read_bytes(), spoil))
    shutil.rmtree(tmp_path / "killed" / "logs" / "a")
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "killed" / "logs"))
    assert "damaged at byte" in pipeline.stats.lost_entries[0]
    await pipeline.close()
    assert [path.name for path in (tmp_path / "killed").iterdir()] == ["logs"]
    assert not list((tmp_path / "killed").rglob("*tfevents*"))


def test_a_checkpoint_of_another_version_ended_the_start() -> None:
    made = Ledger()
    made.runs["a"] = Run(run_name("a"), "events.out.tfevents.1", tags={"loss": (Kind.SCALAR, 1)})
    header, run = (payload for payload in codec._payloads(codec.encode_checkpoint(made, 1)))
    message = RunCheckpoint.FromString(run)
    message.kinds[0] = 99
    assert codec.decode_checkpoint(frame(header) + frame(message.SerializeToString()), Ledger()) is None


@pytest.mark.parametrize("note", [b"1000", b"19", b"9" * 30], ids=["behind the end", "inside the last one", "endless"])
def test_a_wrong_note_of_how_far_a_spool_is_sent_threw_away_what_was_not(tmp_path: Path, note: bytes) -> None:
    spool = tmp_path / "a.spool"
    spool.write_bytes(frame(b"head"))
    spool.with_suffix(".sent").write_bytes(note)
    assert load_progress(spool) == 0


@pytest.mark.parametrize("replacements", [1, 2, 3])
def test_a_file_that_was_replaced_was_taken_for_one_that_grew(tmp_path: Path, replacements: int) -> None:
    """Systems give the number of a removed file to the next one: of two replacements the second has the first file's."""
    (tmp_path / "r").mkdir()
    catalog = Catalog(tmp_path)
    for number in range(replacements + 1):
        steps = np.arange(number * 10, number * 10 + number + 1)
        column = ScalarColumns(tag_name("loss"), np.ones(len(steps)), steps, np.full(len(steps), 1.5e9))
        data = encode_file_start(1.0, session_start=True) + bytes(encode_run(RunBatch(run_name("r"), (column,)), ()))
        (tmp_path / "new").write_bytes(data)
        (tmp_path / "new").replace(tmp_path / "r" / EVENTS)
        if number in (0, replacements):
            assert catalog.series("r", "loss").steps.tolist() == steps.tolist()


def test_a_record_that_tensorboard_takes_for_damaged_was_passed_over() -> None:
    """In a field that nobody writes any more: a log message whose first field has the number 0."""
    good = frame(Event(wall_time=1.0, file_version="brain.Event:2").SerializeToString())
    bad = b"\x32\x02\0\0"
    with pytest.raises(DecodeError):
        Event.FromString(bad)
    chunk = read_events(good + frame(bad) + good)
    assert chunk.end == len(good)
    assert isinstance(chunk.stopped, Corrupt)
