"""The command line by itself, in this process: what it refuses, what it explains, and what it needs installed.

The commands at work, as processes of their own, are in e2e/test_up.py and e2e/test_commands.py.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import itertools
import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from tbbridge import cli
from tbbridge.commands import console
from tbbridge.server.settings import SETTINGS

COMMANDS = (*itertools.chain.from_iterable(cli.MODULES.values()), "version")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for setting in SETTINGS:
        monkeypatch.delenv(setting.variable, raising=False)
    monkeypatch.delenv("TBBRIDGE_URL", raising=False)


def ended(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command line."""
    try:
        code = cli.main(arguments)
    except SystemExit as exit_:
        code = int(exit_.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def words(text: str) -> str:
    """`text` without its line breaks: argparse wraps where it likes."""
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_version_is_that_of_the_package(arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, *arguments)
    assert code == 0
    assert out.startswith(f"tbbridge {metadata.version('tbbridge')} ")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, "--help")
    assert code == 0
    for command in COMMANDS:
        assert re.search(rf"^ +{command} ", out, re.MULTILINE)


@pytest.mark.parametrize(("module", "names"), cli.MODULES.items(), ids=cli.MODULES.keys())
def test_a_module_has_the_commands_that_it_is_loaded_for(module: str, names: tuple[str, ...]) -> None:
    commands = argparse.ArgumentParser().add_subparsers()
    importlib.import_module(f"tbbridge.commands.{module}").add_command(commands)
    assert tuple(commands.choices) == names


def test_no_module_with_commands_is_forgotten() -> None:
    folder = Path(console.__file__).parent
    found = {path.stem for path in folder.glob("*.py") if "def add_command(" in path.read_text(encoding="utf-8")}
    assert found == set(cli.MODULES)


@pytest.mark.parametrize("command", ["up", "serve"])
def test_help_has_every_setting_with_its_variable_and_default(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, command, "--help")
    assert code == 0
    for setting in SETTINGS:
        assert f"{setting.flag} " + (f"[{setting.metavar}]" if setting.is_switch else setting.metavar) in out
        assert f"{words(setting.help)} [{setting.variable}, default {setting.default_text}]" in words(out)


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "version"])
def test_help_of_a_command_shows_how_it_is_used(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = ended(capsys, command, "--help")
    assert code == 0
    assert re.search(rf"^  tbbridge {command} ?.*", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "COMMAND"),
        (("nonsense",), "nonsense"),
        (("send",), "RUN"),
        (("send", "run"), "TAG=VALUE"),
        (("send", "../up", "loss=1"), "the part '..'"),
        (("send", "run", "loss"), "'loss' is no TAG=VALUE; write it like loss=0.25"),
        (("send", "run", "loss=much"), "'loss=much' is no TAG=VALUE"),
        (("send", "run", "=1"), "the tag is empty"),
        (("send", "run", "loss=1", "--step", "1.5"), "'1.5' is no whole number"),
        (("send", "run", "loss=1", "--step", str(2**63)), "does not fit in 64 bits"),
        (("send", "run", "loss=1", "--timeout", "0"), "'0' is no number of seconds above 0"),
        (("demo", "--seconds", "nan"), "'nan' is no number of seconds"),
        (("check",), "FILE"),
    ],
)
def test_a_wrong_command_line_is_exit_code_2(arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = ended(capsys, *arguments)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize(
    ("command", "missing", "remedy"),
    [
        ("serve", "fastapi", "-m pip install 'tbbridge[server]'"),
        ("up", "uvicorn", "-m pip install 'tbbridge[tensorboard]'"),
        ("up", "tensorboard", "-m pip install 'tbbridge[tensorboard]'"),
    ],
)
def test_a_missing_extra_is_one_line_with_the_remedy(
    command: str, missing: str, remedy: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    code, out, err = ended(capsys, command)
    assert (code, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert f"needs the package '{missing}'" in err
    assert remedy in err


def test_without_backports_at_all_zstd_counts_as_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package around it is not there either, of which find_spec makes an error of its own."""
    find = importlib.util.find_spec

    def find_spec(name: str) -> object:
        if name == "backports.zstd":
            raise ModuleNotFoundError("No module named 'backports'")
        return find(name)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(console, "SERVER_MODULES", ("backports.zstd",))
    code, _, err = ended(capsys, "serve")
    assert (code, len(err.splitlines())) == (1, 1)
    assert "needs the package 'backports.zstd'" in err


def test_the_server_extra_brings_nothing_that_is_not_looked_for() -> None:
    """But for what only makes it faster, and the progress bar of `tbbridge demo`."""
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
        extra = tomllib.load(file)["project"]["optional-dependencies"]["server"]
    names = {re.split("[<>=;! ]", requirement)[0].replace("-", "_") for requirement in extra}
    names = {"PIL" if name == "pillow" else name for name in names}
    if sys.version_info >= (3, 14):
        names -= {"backports.zstd"}
    assert names - {"httptools", "uvloop", "rich"} == set(console.SERVER_MODULES)


CLIENT_ONLY = """
import sys
from tbbridge import cli
from tbbridge.commands import check, demo, send
heavy = {"fastapi", "pydantic", "uvicorn", "prometheus_client", "tensorboard", "rich", "httpx"}
print(sorted(heavy & set(sys.modules)))
"""


def test_the_command_line_loads_no_server_packages_and_no_httpx() -> None:
    done = subprocess.run([sys.executable, "-c", CLIENT_ONLY], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_output_into_a_closed_pipe_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as nobody_reads:
        command = [sys.executable, "-m", "tbbridge.cli", "version"]
        done = subprocess.run(command, stdout=nobody_reads, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (141, "")
