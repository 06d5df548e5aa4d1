"""What fuzzing has found, each by itself and named after the damage that it did."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import pytest

from tbbridge import layout
from tbbridge.errors import Forbidden, InvalidItem, InvalidSetting
from tbbridge.events.summaries import encode_file_start
from tbbridge.logs.lines import decode_record
from tbbridge.model import PROJECTOR_CONFIG, Batch, RunBatch, Text, run_name, tag_name
from tbbridge.pipeline.changes import Changes
from tbbridge.pipeline.door import Ack, DeleteRun, DeleteTag, RenameRun
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings
from tbbridge.server.guard import Guard
from tbbridge.server.settings_file import parse_settings
from tbbridge.server.tokens import Tokens, parse_tokens
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
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "live", veil_s=1000))
    await pipeline.submit(write("a"), ack=Ack.WRITTEN)
    await pipeline.change(RenameRun(run_name("a"), run_name("b")))
    shutil.copytree(tmp_path / "live", tmp_path / "killed")
    await pipeline.close()
    pipeline = await Pipeline.open(PipelineSettings(tmp_path / "killed", veil_s=1000))
    assert (await pipeline.change(RenameRun(run_name("b"), run_name("c")))).runs == ("b",)
    await pipeline.close()


async def test_a_tag_could_not_be_found_while_its_runs_veil_was_lifted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's files are looked for beside the writer, which may put them in their place at that moment."""
    pipeline = await Pipeline.open(PipelineSettings(tmp_path, veil_s=1000))
    await pipeline.submit(write("a"))
    await pipeline.change(DeleteRun(run_name("a")))
    await pipeline.submit(write("a"), ack=Ack.WRITTEN)
    exists = Changes._exists

    def lifted_behind_its_back(changes: Changes, run: str) -> bool:
        seen = changes._files.folder(run)
        for name in changes._veils.runs():
            changes._files.lift(name)
        return any(layout.own_files(seen))

    monkeypatch.setattr(Changes, "_exists", lifted_behind_its_back)
    prepared = pipeline._store.changes.prepare(DeleteTag(run_name("a"), tag_name("note")))
    monkeypatch.setattr(Changes, "_exists", exists)
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
