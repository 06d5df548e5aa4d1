"""The settings file: the flags by name, a [groups] table, who wins, and what is said about what cannot be."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tbbridge.commands.setting_flags import add_setting_flags, settings_from
from tbbridge.errors import InvalidSetting
from tbbridge.groups import CombinedGroup, IndexedGroup, NormalGroup, Pattern
from tbbridge.server.settings import ServerSettings

FILE = """
logdir = "/data/runs"
port = 7000
queue-max-bytes = "128MiB"
body_max_bytes = 4096
shutdown_timeout_s = 2.5

[groups]
learner = { kind = "normal" }

[groups.agent]
kind = "indexed"
bin_size = 10

[groups.eval]
kind = "combined"
patterns = [{ pattern = "red*", bin = "colors" }, { pattern = "*", bin = "others" }]
"""


def settings(*flags: str, **environ: str) -> ServerSettings:
    parser = argparse.ArgumentParser()
    add_setting_flags(parser)
    return settings_from(parser.parse_args(flags), environ)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bridge.toml"
    path.write_text(FILE)
    return path


def test_a_file_says_settings_and_groups(file: Path) -> None:
    made = settings("--config", str(file))
    assert (made.logdir, made.port, made.shutdown_timeout_s) == (Path("/data/runs"), 7000, 2.5)
    assert (made.queue_max_bytes, made.body_max_bytes) == (2**27, 4096)
    assert made.groups is not None
    assert made.groups.table == (
        NormalGroup("learner"),
        IndexedGroup("agent", 10),
        CombinedGroup("eval", (Pattern("red*", "colors"), Pattern("*", "others"))),
    )


def test_a_flag_wins_over_its_variable_and_that_over_the_file(file: Path) -> None:
    made = settings("--port", "7002", TBBRIDGE_CONFIG=str(file), TBBRIDGE_PORT="7001", TBBRIDGE_LOGDIR="here")
    assert (made.port, made.logdir, made.queue_max_bytes) == (7002, Path("here"), 2**27)


def test_the_flag_names_the_file_before_the_variable_does(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("port = 7009\n")
    made = settings("--config", str(other), TBBRIDGE_CONFIG=str(file))
    assert (made.port, made.groups) == (7009, None)


def test_switches_and_lists_are_written_as_toml_has_them(file: Path) -> None:
    file.write_text('logs-to-text = true\ndialects = ["crayon", "lapiz"]\n')
    made = settings("--config", str(file))
    assert made.logs_to_text
    assert set(made.dialects) == {"crayon", "lapiz"}


def test_an_empty_table_of_groups_fixes_that_there_are_none(file: Path) -> None:
    file.write_text("[groups]\n")
    made = settings("--config", str(file))
    assert made.groups is not None
    assert made.groups.table == ()


BAD = {
    "no TOML": ("port: 7000", "is not TOML"),
    "a misspelt setting": ("prot = 7000", "did you mean 'port'"),
    "a setting that is none": ("colour = 'red'", "`tbbridge serve --help`"),
    "out of range": ("port = 70000", "'port' in"),
    "no size": ("queue-max-bytes = '1 lot'", "64MiB"),
    "a date": ("port = 2020-01-01", "is no text and no number"),
    "a table": ("[port]\na = 1", "is no text and no number"),
    "twice": ("queue-max-bytes = 1024\nqueue_max_bytes = 2048", "twice"),
    "a group that cannot be": ("[groups.agent]\nkind = 'indexed'", "groups.agent.bin_size"),
    "groups that are no table": ("groups = 3", "write [groups.agent]"),
    "a file inside a file": ("config = 'x'", "is no setting"),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_what_cannot_be_is_named_with_the_file(bad: tuple[str, str], file: Path) -> None:
    text, says = bad
    file.write_text(text)
    with pytest.raises(InvalidSetting) as raised:
        settings("--config", str(file))
    assert "bridge.toml" in raised.value.message
    assert says in raised.value.message


@pytest.mark.parametrize("content", [None, b"\xff"], ids=["not there", "not UTF-8"])
def test_a_file_that_cannot_be_read_is_named_with_where_it_was_said(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "missing.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidSetting, match=r"missing\.toml cannot be read: .* TBBRIDGE_CONFIG"):
        settings(TBBRIDGE_CONFIG=str(path))
