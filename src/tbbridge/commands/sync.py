"""`tbbridge sync`: sends what clients kept on disk because they were offline, or their bridge was away when they ended."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tbbridge.client.address import ENVIRONMENT_VARIABLE, Address, find_address, from_environment
from tbbridge.client.options import default_spool_folder
from tbbridge.commands.console import Commands, complain, say
from tbbridge.commands.tables import Cell, say_json, say_table, size_text, time_text
from tbbridge.errors import CommandFailed

if TYPE_CHECKING:
    from tbbridge.client.upload import Outcome

DESCRIPTION: Final = """\
Send what clients kept on disk: of offline jobs (TBBRIDGE_MODE=offline), and of jobs whose bridge was away when they ended.

  tbbridge sync                      all spools of this user, each to the bridge it was meant for
  tbbridge sync DIR --url URL        those in DIR, to another bridge
  tbbridge sync --follow             and go on until the jobs that still write have ended
  tbbridge sync --list               only show what there is

Sending twice is free: a bridge knows what it has. What breaks off goes on with the same command. A spool is removed when all of
it is sent and its job has ended. Exit code: 0 all is sent, 1 something is left or was refused (standard error says why).
"""
_TIMEOUT_S: Final = 60.0
_FOLLOW_S: Final = 1.0


def add_command(commands: Commands) -> None:
    """Add `sync` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("sync", help="send what clients kept on disk", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="a folder of spools, or one of them")
    parser.add_argument("--url", default=from_environment(), help=f"the bridge to send to [{ENVIRONMENT_VARIABLE}]")
    parser.add_argument("--timeout", type=float, default=_TIMEOUT_S, metavar="SECONDS", help="how long to try while it is away")
    parser.add_argument("--follow", "-f", action="store_true", help="go on until no job writes any more")
    parser.add_argument("--list", action="store_true", dest="is_list", help="send nothing, show the spools")
    parser.add_argument("--json", action="store_true", help="with --list: print JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Send them all; returns 1 if anything is left or was refused."""
    folder: Path = arguments.folder or default_spool_folder()
    if arguments.is_list:
        return _list(folder, as_json=arguments.json)
    code = 0
    told: set[str] = set()
    while True:
        outcomes, is_complete = _sync(_spools(folder), arguments.url, arguments.timeout, told)
        if not is_complete or any(outcome.problems for outcome in outcomes):
            code = 1
        if not arguments.follow or not any(outcome.is_live for outcome in outcomes):
            break
        time.sleep(_FOLLOW_S)
    if not told:
        say(f"nothing to send in {folder}")
    return code


def _spools(folder: Path) -> list[Path]:
    from tbbridge.client.spool import SUFFIX, find_spools  # only here: numpy comes along

    try:
        if folder.is_file() and folder.suffix == SUFFIX:
            return [folder]
        return find_spools(folder)
    except OSError as error:
        raise CommandFailed(f"{folder} cannot be read: {error.strerror or error}") from None


def _sync(paths: list[Path], url: str | None, timeout_s: float, told: set[str]) -> tuple[list[Outcome], bool]:
    """Send these files; the outcomes, and whether all of them could be tried."""
    from tbbridge.client.spool import remove_if_empty  # only here: it brings numpy, and these httpx
    from tbbridge.client.transport import Endpoint
    from tbbridge.client.upload import Outcome, Upload

    outcomes: list[Outcome] = []
    is_complete = True
    for path in paths:
        try:
            if not path.stat().st_size:  # its process was killed as it made the file, or is about to write to it
                outcomes.append(Outcome(path, is_live=not remove_if_empty(path)))
                continue
            address = _address_of(path, url)
            if address is None:
                is_complete = False
                continue
            transport = Endpoint(address, ack="journaled", timeout_s=timeout_s, compress=False).open()
            try:
                with _bar(path) as progress:
                    outcome = Upload(transport, address.shown, timeout_s).send(path, progress)
            finally:
                transport.close()
        except FileNotFoundError:
            continue  # its process, or another sync, was quicker
        except OSError as error:
            complain(f"{path} cannot be read: {error.strerror or error}")
            is_complete = False
            continue
        outcomes.append(outcome)
        _tell(outcome, address.shown, told)
    return outcomes, is_complete


def _address_of(path: Path, url: str | None) -> Address | None:
    """Where to send a file; None, and said why, if it cannot be sent."""
    from tbbridge.client.spool import head_damage, read_head

    head = read_head(path)
    if head is not None:
        return find_address(url or head.url)
    damage = head_damage(path)
    if damage is None:
        complain(f"{path} is no spool, or has not begun")
        return None
    if url is None and damage.end is not None:
        complain(f"{path}: damaged at byte 0, which says for whom it is; give --url to send what is behind it")
        return None
    return find_address(url)  # with no end to the damage nothing is sent there: the file is set aside


def _tell(outcome: Outcome, shown: str, told: set[str]) -> None:
    for problem in outcome.problems:
        complain(problem)
    if outcome.torn_bytes:
        complain(f"{outcome.path}: its last {outcome.torn_bytes} bytes are half a request of a process that was killed")
    if not outcome.bodies_sent and str(outcome.path) in told:
        return
    told.add(str(outcome.path))
    if outcome.is_unreadable and not outcome.bodies_sent:
        return
    parts = [f"{outcome.stored:,} points sent to {shown}"]
    parts += [f"{outcome.known:,} were there already"] if outcome.known else []
    parts += [f"{outcome.refused:,} refused"] if outcome.refused else []
    parts += ["its job still runs"] if outcome.is_live else []
    say(f"{outcome.path.name}: {', '.join(parts)}")


def _list(folder: Path, *, as_json: bool) -> int:
    from tbbridge.client.spool import load_progress, lock, read_head

    found = []
    for path in _spools(folder):
        with contextlib.suppress(FileNotFoundError):
            head, sent = read_head(path), load_progress(path)
            with path.open("rb") as file:
                is_live = not lock(file)
                size = file.seek(0, 2)
            found.append((path, head, size, sent, is_live))
    if as_json:
        say_json(
            {
                "spools": [
                    {
                        "path": str(path),
                        "url": head.url if head else None,
                        "host": head.host if head else None,
                        "pid": head.pid if head else None,
                        "created": head.created if head else None,
                        "size_bytes": size,
                        "sent_bytes": sent,
                        "live": is_live,
                    }
                    for path, head, size, sent, is_live in found
                ]
            }
        )
        return 0
    rows: list[list[Cell]] = [
        [
            path.name,
            head.url if head else "?",
            head.host if head else "?",
            time_text(head.created if head else None),
            size_text(size),
            size_text(sent),
            "runs" if is_live else "ended",
        ]
        for path, head, size, sent, is_live in found
    ]
    say_table(["spool", "bridge", "host", "begun", "size", "sent", "job"], rows)
    return 0


@contextlib.contextmanager
def _bar(path: Path) -> Iterator[Callable[[int], None]]:
    """A progress bar over the bytes of the file, on a terminal, where rich is installed (it comes with the server)."""
    if not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(path.name, total=path.stat().st_size)
        yield lambda offset: bar.update(task, completed=offset)
