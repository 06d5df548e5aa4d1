"""Fuzzing of what meets the file system: uploaded archives, tables of embeddings, names of runs, logs."""

from __future__ import annotations

import io
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from budget import fuzz
from damage import NUMBERS, TEXTS, damaged
from google.protobuf import text_format
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tbbridge import layout, limits
from tbbridge.errors import InvalidItem, MalformedBody, TooLarge
from tbbridge.events.projector import tag_and_step
from tbbridge.events.summaries import encode_file_start
from tbbridge.logs.fit import fitting_record
from tbbridge.logs.lines import decode_record, encode_record, last_start, split_records
from tbbridge.logs.names import generation_of, log_path
from tbbridge.model import PROJECTOR_CONFIG, LogRecord, run_name
from tbbridge.store.eventfiles import Halt
from tbbridge.store.folders import Folders
from tbbridge.store.projector import read_embeddings
from tbbridge.store.unpack import unpack


@contextmanager
def folder() -> Iterator[Path]:
    """A real folder, in memory where there is one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as made:
        yield Path(made)


def below(place: Path) -> list[Path]:
    return sorted(path.relative_to(place) for path in place.rglob("*"))


# --- archives -----------------------------------------------------------------------------------------------------------

EVENTS = "events.out.tfevents.1"
ENTRY_NAMES = st.one_of(
    st.sampled_from([
        EVENTS, "run/" + EVENTS, PROJECTOR_CONFIG, "plugins/profile/x", "embeddings.tbbridge/a.tsv", "../" + EVENTS, "/etc/x",
        "a\\..\\b", ".tbbridge/lock", "Events.out.tfevents.1", "plugins", "plugins/", "C:x", "x.tf~vents", "",
    ]),
    TEXTS.filter(lambda text: "\ud800" not in text),
)  # fmt: skip
CONTENTS = st.one_of(
    st.just(encode_file_start(1.0, session_start=True)),
    st.binary(max_size=40),
    st.just(b"\0" * 3000),
    st.just(b'tensor_path: "a"'),
)


@st.composite
def archives(draw: DrawFn) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", draw(st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))) as made:
        seen = set()
        for name, content in draw(st.lists(st.tuples(ENTRY_NAMES, CONTENTS), max_size=4)):
            info = zipfile.ZipInfo(name, (draw(st.sampled_from([1980, 2026, 2107])), 1, 1, 0, 0, 0))
            info.external_attr = draw(st.sampled_from([0, 0o100644, 0o120777, 0o40755, 0o10644])) << 16
            if info.filename not in seen:
                seen.add(info.filename)
                made.writestr(info, content)
    return raw.getvalue()


@fuzz("archives", examples=150, weight=2)
@given(damaged(archives(), most=2), st.sampled_from(["", None]))
def test_an_archive_is_taken_whole_into_its_folder_or_refused(data: bytes, strip: str | None) -> None:
    """No bytes of an upload make a file outside of the staging folder, a link, or an error that is not the sender's."""
    with folder() as place:
        (place / "archive.zip").write_bytes(data)
        staged = place / "in" / "staged"
        staged.mkdir(parents=True)
        try:
            taken = unpack(place / "archive.zip", staged, strip_prefix=strip, max_bytes=10_000)
        except (InvalidItem, MalformedBody, TooLarge):
            taken = None
        inside = below(staged)
        assert below(place) == sorted(
            map(Path, ["archive.zip", "in", "in/staged", *(Path("in/staged") / one for one in inside)])
        )
        assert not any((staged / one).is_symlink() for one in inside)
        assert not any("tfevents" in str(one) for one in inside), "no reader may take what is staged for event files"
        if taken is not None:
            files = [staged / one for one in inside if (staged / one).is_file()]
            assert (taken.files, taken.size_bytes) == (len(files), sum(file.stat().st_size for file in files))
            assert taken.size_bytes <= 10_000
            assert any("tf~vents" in file.name for file in files)


# Parts of a table of embeddings from which both harmless and harmful ones can be put together.
CONFIG_PARTS = st.sampled_from([
    "embeddings", "{", "}", "<", ">", "tensor_path", "tensor_name", "metadata_path", "bookmarks_path", "sprite", "image_path",
    "single_image_dim", ":", " ", "\n", "\r", "#", ",", ";", '"', "'", '"a/b.tsv"', "'c.tsv'", '"/etc/passwd"', '"../x"',
    r'"\57etc"', r'"\57"', '"1/passwd"', r'"a/\56\56"', r'"..\57" "7x"', r'"\x2e"', r'"\x2"', '"f/x"', r'"\056."', r'"\""',
    "'\\''", '"~root/x"', "model_checkpoint_path", "[", "]", "3", "\u00a0", "\\",
])  # fmt: skip


@st.composite
def entries_of_config(draw: DrawFn) -> str:
    """An entry that protobuf takes more often than not."""
    path = draw(st.lists(st.sampled_from([
        '"a.tsv"', "'b/c.tsv'", '"/"', '"1"', r'"\57"', '"7"', r'"\0"', '"57"', '".."', r'".\56"', '"x/.."', r'"\x2"', '"f"',
        r'"\x2f"', '"~"', '"a:b"', r'"\\"', r'"\U0000002fx"', r'"\u002e\u002e"',
    ]), min_size=1, max_size=4))  # fmt: skip
    gap = draw(st.sampled_from([" ", "\n", "", " # note\n", "\t", " # a\r"]))
    field = draw(st.sampled_from(["tensor_path", "metadata_path", "bookmarks_path"]))
    name = draw(st.sampled_from(['"words"', '"words:00007"', "'\\303\\266'", '"{"', '"#"', r'"\""', '"a" "b"']))
    return f"embeddings {{ tensor_name: {name}\n{field}:{gap}{gap.join(path)}\n}}\n"


CONFIGS = st.one_of(
    st.lists(entries_of_config(), max_size=3).map("".join),
    st.lists(CONFIG_PARTS, max_size=25).map("".join),
    st.lists(st.one_of(entries_of_config(), CONFIG_PARTS), max_size=4).map("".join),
).map(str.encode)


def paths_of(config: ProjectorConfig) -> list[str]:
    found = [config.model_checkpoint_path]
    for one in config.embeddings:
        found += [one.tensor_path, one.metadata_path, one.bookmarks_path, one.sprite.image_path]
    return [path for path in found if path]


def parsed(text: str) -> ProjectorConfig | None:
    try:
        with warnings.catch_warnings():  # of Python, about escapes that protobuf hands on to it
            warnings.simplefilter("ignore", DeprecationWarning)
            return text_format.Parse(text, ProjectorConfig())
    except text_format.ParseError:
        return None


@fuzz("tables of embeddings in archives", examples=150)
@given(damaged(CONFIGS, most=1))
@example(rb'embeddings { tensor_path: "..\57" "1/secret" }')
@example(b'# \r embeddings { tensor_path: "/etc/passwd" }\n')
def test_no_table_that_an_archive_brings_leads_tensorboard_out_of_the_run(raw: bytes) -> None:
    """However protobuf reads a table that we take, line ends translated or not, every path in it stays below the run."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        made.writestr(EVENTS, encode_file_start(1.0, session_start=True))
        made.writestr(PROJECTOR_CONFIG, raw)
    with folder() as place:
        (place / "archive.zip").write_bytes(packed.getvalue())
        (place / "staged").mkdir()
        try:
            unpack(place / "archive.zip", place / "staged")
        except InvalidItem:
            return
    for encoding in ("utf-8", "latin-1"):
        text = raw.decode(encoding, errors="replace")
        for lines in (text, io.StringIO(text, newline=None).read()):  # as Python's open() reads a text, too
            config = parsed(lines)
            for path in paths_of(config) if config is not None else ():
                assert not path.startswith(("/", "~")), path
                assert ".." not in path.split("/"), path


@fuzz("tables of embeddings", examples=120)
@given(damaged(CONFIGS, most=1))
@example(b'embeddings { tensor_name: "\\e" }')
@example(rb'embeddings { tensor_name: "\U0000002fx\u00f6\U0001F600" }')
@example(rb'embeddings { tensor_name: "\ud800" }')
@example(b'embeddings { tensor_name: "words:0007" }')  # a zero less than writers put there
@example(b'embeddings { tensor_name: "x" tensor_path: "' + b"a" * 300 + b'" }')
def test_tables_of_embeddings_are_read_as_protobuf_reads_them(raw: bytes) -> None:
    """Any bytes give a list of embeddings; those that protobuf can read give the tags that protobuf reads."""
    with folder() as place:
        (place / PROJECTOR_CONFIG).write_bytes(raw)
        found = read_embeddings(place)
        assert all(path.is_relative_to(place) for one in found for path in one.files.values())
    try:
        config = parsed(raw.decode())
    except UnicodeDecodeError:
        return
    if config is not None:
        assert [tag_and_step(one.tensor_name) for one in config.embeddings] == [(one.tag, one.step) for one in found]


# --- names of runs ------------------------------------------------------------------------------------------------------


@fuzz("run names", examples=150)
@given(st.one_of(TEXTS, st.lists(TEXTS, min_size=1, max_size=4).map("/".join)))
@example("a/" + "b" * 255)
@example("/".join(["c"] * 256))
@example("e\u0301")
@example("a.log/x")
def test_a_run_name_that_is_taken_is_a_folder_below_and_is_found_by_its_name(name: str) -> None:
    """The real file system takes every name that the gate takes, below the log folder, and the store lists it unchanged."""
    try:
        run = run_name(name)
    except InvalidItem:
        return
    with folder() as place:
        logdir = place / "logs"
        own = logdir / run
        own.mkdir(parents=True)
        (own / EVENTS).touch()
        assert own.resolve().is_relative_to(logdir)
        assert own.resolve() != logdir
        assert [one.run for one in Folders(logdir, Halt()).all()] == [name]
        assert Folders(logdir, Halt()).one(name).events == (own / EVENTS,)
        assert not layout.is_event_file(run)
        log = logdir / ".tbbridge" / "logs" / log_path(run, 10**10)
        log.parent.mkdir(parents=True)
        log.touch()
        assert log.resolve().is_relative_to(logdir / ".tbbridge" / "logs")
        assert generation_of(run, log.name) == 10**10


@fuzz("log names", examples=120)
@given(
    st.lists(
        st.one_of(
            TEXTS, st.sampled_from(["a", "a.log", "a.log.2", "a.log~", "a.log.2~~", "x" * 230, "x" * 231, "x" * 198 + "~"])
        ),
        min_size=2,
        max_size=4,
    ),
    st.integers(1, 3),
)
def test_no_two_runs_share_a_log_file_or_need_one_as_a_folder(names: list[str], generation: int) -> None:
    """Logs of different runs are different files, and no file of one log is a folder on the way to another."""
    runs = []
    for name in {*names, "/".join(names), *("/".join(names[:count]) for count in range(1, len(names)))}:
        try:
            runs.append(run_name(name))
        except InvalidItem:
            continue
    files = {log_path(run, number): run for run in runs for number in (1, generation)}
    assert len(files) == len(runs) * len({1, generation})
    for file in files:
        assert not any(str(parent) in files for parent in Path(file).parents)


# --- log lines ----------------------------------------------------------------------------------------------------------

RECORDS = st.builds(
    fitting_record,
    st.one_of(TEXTS, st.text(st.sampled_from("a\n\t\r\u2028 %-Z"), max_size=12)),
    st.integers(-5, 400),
    st.one_of(TEXTS, st.text(st.sampled_from("a %-2D.\t"), max_size=8)),
    st.one_of(NUMBERS, st.floats(limits.LOG_TIME_MIN_S, limits.LOG_TIME_MAX_S)),
)


@fuzz("log lines", examples=150)
@given(st.lists(RECORDS, max_size=4))
def test_whatever_a_program_logs_is_read_back_from_the_lines(records: list[LogRecord]) -> None:
    """Any message, logger and time, cut to what fits, comes back the same; times to the microsecond that is written."""
    data = b"".join(map(encode_record, records))
    parts = split_records(data)
    assert b"".join(parts) == data
    assert len(parts) == len(records)
    for part, record in zip(parts, records, strict=True):
        found = decode_record(part)
        assert found is not None
        assert (found.message, found.level, found.logger) == (record.message, record.level, record.logger)
        assert record.wall_time is not None
        assert found.wall_time is not None
        assert abs(found.wall_time - record.wall_time) <= max(1e-6, abs(record.wall_time) * 2e-16)
        assert encode_record(found) == part
    ends = [len(b"".join(parts[:count])) for count in range(1, len(parts) + 1)]
    for part, end in zip(parts, ends, strict=True):
        assert last_start(data, end) == end - len(part)


@fuzz("damaged log lines", examples=120)
@given(damaged(st.lists(RECORDS, max_size=3).map(lambda records: b"".join(map(encode_record, records)))))
def test_damaged_log_lines_are_taken_apart_without_an_error(data: bytes) -> None:
    """Any bytes split into records, without loss up to the end of the last; each can be written again, or is none of ours."""
    parts = split_records(data)
    assert data.startswith(b"".join(parts))
    rest = data[len(b"".join(parts)) :]
    assert rest.count(b"\n") == rest.count(b"\n\t"), "what is left out is a record that is not complete"
    for part in parts:
        found = decode_record(part)
        if found is not None:
            encode_record(found)
    assert -1 <= last_start(data, len(data)) <= len(data)
