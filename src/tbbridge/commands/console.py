"""How commands speak: results on standard output, one clear line for what went wrong, and the log on standard error.

Nothing else in the project writes to the terminal or configures logging, but for the progress bar of `tbbridge demo`. Here
too: what the commands have in common, and what they need installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, TypeAlias

from tbbridge.client.address import DEFAULT_HOST, DEFAULT_PORT, ENVIRONMENT_VARIABLE, from_environment
from tbbridge.commands.log_formats import FORMATS
from tbbridge.errors import CommandFailed, InvalidItem
from tbbridge.names import RunName, run_name

# What ArgumentParser.add_subparsers returns; argparse has no public name for it.
Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001

DEFAULT_URL: Final = f"http://{DEFAULT_HOST}:{DEFAULT_PORT}"


def say(text: str = "") -> None:
    """Print `text` as a line of the command's result, at once even into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """Print what went wrong, as one line on standard error."""
    sys.stderr.write(f"tbbridge: {text}\n")
    sys.stderr.flush()


def set_up_logging(level: str, form: str = "text") -> None:
    """Send the log to standard error from `level` on: the only place that configures logging. May be called again.

    `form` is one of `log_formats.FORMATS`.
    """
    logging.basicConfig(stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:  # ours; a test's own keeps its format
            handler.setFormatter(FORMATS[form]())
    logging.getLogger().setLevel(level.upper())
    # httpx notes each request it makes, which is for those who debug it.
    logging.getLogger("httpx").setLevel(max(logging.WARNING, logging.getLogger().level))


def add_url_flag(parser: argparse.ArgumentParser) -> None:
    """Add --url, which commands that talk to a running bridge have."""
    parser.add_argument(
        "--url",
        default=from_environment() or DEFAULT_URL,
        metavar="URL",
        help=f"where the bridge listens [{ENVIRONMENT_VARIABLE}, default {DEFAULT_URL}]",
    )


def positive_seconds(text: str) -> float:
    """A flag's text as a time in seconds. Raises `ArgumentTypeError`, which argparse prints."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds above 0")
    return seconds


def run_argument(text: str) -> RunName:
    """A run's name as it was typed. Raises `ArgumentTypeError`."""
    try:
        return run_name(text)
    except InvalidItem as error:
        raise argparse.ArgumentTypeError(error.message) from None


# What the bridge cannot do without. Its extra also brings uvloop and httptools, which only make it faster, and rich.
SERVER_MODULES: Final = (
    "fastapi",
    "PIL",
    "pydantic",
    "uvicorn",
    "prometheus_client",
    *(("backports.zstd",) if sys.version_info < (3, 14) else ()),
)


def require_server(command: str, extra: str = "server") -> None:
    """Raise `CommandFailed` unless this machine can run the bridge; `extra` is what to install then."""
    if sys.platform == "win32":
        raise CommandFailed(f"'tbbridge {command}' runs on Linux and macOS; on Windows use the client and a bridge elsewhere")
    _require(command, extra, SERVER_MODULES)


def require_rich(command: str) -> None:
    """Raise `CommandFailed` unless rich is installed, which draws on the terminal."""
    _require(command, "server", ("rich",))


def require_tensorboard(command: str) -> None:
    """Raise `CommandFailed` unless TensorBoard is installed."""
    _require(command, "tensorboard", ("tensorboard",))


def _require(command: str, extra: str, modules: Sequence[str]) -> None:
    for module in modules:
        if not _is_installed(module):
            python = Path(sys.executable).name or "python"
            raise CommandFailed(
                f"'tbbridge {command}' needs the package '{module}', which is not installed; "
                f"run: {python} -m pip install 'tbbridge[{extra}]'"
            )


def _is_installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even the package that it is a part of
        return False
