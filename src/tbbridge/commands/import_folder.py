"""`tbbridge import`: the event files of a log folder, of any tool, into a running bridge over HTTP.

Each file is one numbered writer, so whatever is sent twice is stored once: an import that was interrupted is simply started
again. What a reader of TensorBoard would show of the files is what arrives; what cannot be sent is listed, and the exit code
says that there was something. Files are cut into batches by import_files.py; import_progress.py remembers how far it came.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from tbbridge import limits
from tbbridge.commands.check import REASONS
from tbbridge.commands.console import Commands, add_url_flag, complain, positive_seconds
from tbbridge.commands.import_embeddings import embeddings_in
from tbbridge.commands.import_files import (
    Cutter,
    Found,
    LeftOut,
    Memory,
    SourceFile,
    Stopped,
    TooLong,
    Window,
    find_files,
    windows,
)
from tbbridge.commands.import_progress import Progress, Records, default_folder
from tbbridge.commands.tables import Cell, printable, say_json, say_table
from tbbridge.errors import CommandFailed, InvalidItem, ItemError
from tbbridge.model import STATE_FOLDER, Batch, RunBatch, run_name

DEFAULT_TIMEOUT_S: Final = 60.0

DESCRIPTION = """\
Send the event files below a folder, written by tensorboardX, torch, TensorFlow or anything else, to a running bridge.

  tbbridge import old_runs                      each folder becomes the run of its name
  tbbridge import old_runs --run-prefix 2024    each becomes a run below the folder 2024
  tbbridge import old_runs --dry-run            say what there is, send nothing

Run it again to go on after an interruption, or to fetch what was appended: nothing is stored twice. A run that was deleted from
the bridge since is imported anew. Files are read up to the first damage, as TensorBoard does.

Exit code: 0 all is on the bridge's disk, 1 something was left out (standard error says what), 2 the command line is wrong.
"""


def add_command(commands: Commands) -> None:
    """Add `import` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("import", help="send a log folder to a bridge", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a log folder, or the folder of one run")
    add_url_flag(parser)
    parser.add_argument("--run-prefix", metavar="NAME", type=_prefix, help="put all runs below this folder")
    parser.add_argument("--dry-run", action="store_true", help="read the files and say what would be sent")
    parser.add_argument("--again", action="store_true", help="send all of it anew, even what was imported before")
    parser.add_argument("--json", action="store_true", help="print the result as JSON, for another program")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to try while the bridge is away or full (default {DEFAULT_TIMEOUT_S:g})",
    )
    parser.set_defaults(run=run)


def _prefix(text: str) -> str:
    try:
        return run_name(text.strip("/"))
    except InvalidItem as error:
        raise argparse.ArgumentTypeError(error.message) from None


def run(arguments: argparse.Namespace) -> int:
    """Import, and say what became of each file."""
    folder: Path = arguments.folder
    try:
        found = find_files(folder, arguments.run_prefix or "")
    except OSError as error:
        raise CommandFailed(f"{folder} cannot be read: {error.strerror or error}") from None
    if not found.files and not found.projectors and not found.left_out:
        raise CommandFailed(f"there are no event files below {folder}; their names hold 'tfevents'")
    results = _dry(found) if arguments.dry_run else _wet(found, arguments)
    return _report(found, results, arguments)


@dataclass(slots=True)
class Result:
    """What became of one file: values sent, values that the bridge had before, and what was left out."""

    file: SourceFile
    sent: int = 0
    had: int = 0
    note: str = ""
    left_out: list[LeftOut] = field(default_factory=list)


class Sends(Protocol):
    """What an import needs of whoever sends."""

    def send(self, batch: Batch) -> Answered:
        """Return when the batch is on the bridge's disk."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What the bridge said to one batch."""

    accepted: int
    duplicate: bool
    rejected: Sequence[ItemError]


def _dry(found: Found) -> list[Result]:
    results = []
    with _progress_bar(sum(file.size for file in found.files)) as advance:
        for file, memory in _with_memories(found.files):
            result = Result(file)
            for batch in _walked(file, memory, result, Progress(), lambda _: None, advance):
                result.sent += batch.points
            results.append(result)
    for source in found.projectors:
        result = Result(source)
        for one in embeddings_in(source):
            if isinstance(one, LeftOut):
                result.left_out.append(one)
            else:
                result.sent += 1
        results.append(result)
    return results


def _wet(found: Found, arguments: argparse.Namespace) -> list[Result]:
    from tbbridge.client.remote import Remote  # only here: it brings httpx, which the other commands start without
    from tbbridge.commands.import_sender import Sender

    with Remote(arguments.url) as bridge:
        address = bridge.address
        there = {entry["run"] for entry in bridge.runs()}
    records = Records(default_folder())
    _check_not_its_own(found, arguments, there, records, address)
    results = []
    restarts: dict[str, int] = {}  # in each run, over its files
    with _progress_bar(sum(file.size for file in found.files)) as advance, Sender(arguments.url, arguments.timeout) as sender:
        for file, memory in _with_memories(found.files):
            is_new = arguments.again or file.run not in there
            key, before = _key(file, address), restarts.get(file.run, 0)
            one = Import(file, memory, sender, records, key, is_new=is_new, restarts=before)
            results.append(one.run(advance))
            restarts[file.run] = one.progress.restarts
        results += [
            _import_embeddings(source, sender, is_new=arguments.again or source.run not in there) for source in found.projectors
        ]
    return results


def _with_memories(files: Sequence[SourceFile]) -> Iterator[tuple[SourceFile, Memory]]:
    """Each file, and what is remembered over those of its run, which follow each other."""
    memory = Memory()
    run = None
    for file in files:
        if file.run != run:
            memory, run = Memory(), file.run
        yield file, memory


def _import_embeddings(source: SourceFile, sender: Sends, *, is_new: bool) -> Result:
    """Each embedding is a writer of its own with one batch: what the bridge has is answered as a repeat."""
    result = Result(source)
    for one in embeddings_in(source):
        if isinstance(one, LeftOut):
            result.left_out.append(one)
            continue
        answered = None
        for generation in range(limits.IMPORT_GENERATIONS_MAX if is_new else 1):
            answered = sender.send(Batch((one.batch,), f"import-{one.identity}-{generation}", 1))
            if not answered.duplicate:
                break
        if answered is not None:
            _count(result, one.batch, answered)
    return result


def _key(file: SourceFile, address: str) -> str:
    return "\n".join((address, file.run, str(file.path.resolve())))


def _check_not_its_own(found: Found, arguments: argparse.Namespace, there: set[str], records: Records, address: str) -> None:
    """A bridge's own folder, imported into that bridge, would double each run; it cannot be told from afar but by the names."""
    if arguments.again or not (arguments.folder / STATE_FOLDER).is_dir():
        return
    known = [file for file in found.files if file.run in there and records.load(_key(file, address)) is None]
    if known:
        raise CommandFailed(
            f"{arguments.folder} is the log folder of a bridge, and the one at {address} has the run {known[0].run!a} already: "
            "if they are the same, an import would double it. If they are not, give --run-prefix, or --again"
        )


# --- one file ---------------------------------------------------------------------------------------------------------


class Import:
    """The import of one file. `is_new`: its run is not on the bridge, so whatever was sent before was deleted there.

    `restarts` are the SessionLog STARTs in the run's files before this one: the first one in a run purges nothing.
    """

    def __init__(
        self, file: SourceFile, memory: Memory, sender: Sends, records: Records, key: str, *, is_new: bool, restarts: int
    ) -> None:
        self._file = file
        self._memory = memory
        self._sender = sender
        self._records = records
        self._key = key
        self._is_new = is_new
        known = records.load(key)
        if known is not None and known.done > file.size:
            known = Progress(generation=known.generation + 1)  # another file of that name, or it was cut
        if known is not None and is_new:
            known = Progress(generation=known.generation + 1)
        self.progress = known or Progress(restarts=restarts)
        self._restarts_before = restarts

    def run(self, advance: Callable[[int], None]) -> Result:
        """Send what the bridge does not have."""
        result = Result(self._file)
        progress = self.progress
        if progress.done == self._file.size:
            result.note = "imported before" if self._file.size else "empty"
            self._memory.unread.append(self._file)
            advance(self._file.size)
            return result
        identity = _identity(self._file)
        progress_was = Progress(progress.done, progress.sending, progress.generation, self._restarts_before)
        self.progress = progress_was
        part = 0
        at = -1

        def about_to_send(window: Window) -> None:
            nonlocal part, at
            part, at = 0, window.end
            self.progress.sending = window.end
            self._records.save(self._key, self.progress)

        for batch in _walked(self._file, self._memory, result, self.progress, about_to_send, advance):
            seq = at * limits.IMPORT_REQUESTS_PER_WINDOW + part + 1
            part += 1
            answered = self._sender.send(Batch((batch,), self._writer(identity), seq))
            while answered.duplicate and self._is_new and self.progress.generation < limits.IMPORT_GENERATIONS_MAX:
                self.progress.generation += 1
                answered = self._sender.send(Batch((batch,), self._writer(identity), seq))
            self._is_new = False
            _count(result, batch, answered)
        self._records.save(self._key, self.progress)
        return result

    def _writer(self, identity: str) -> str:
        return f"import-{identity}-{self.progress.generation}"


def _count(result: Result, batch: RunBatch, answered: Answered) -> None:
    if answered.duplicate:
        result.had += batch.points
        return
    result.sent += answered.accepted
    missing = batch.points - answered.accepted
    for error in answered.rejected:
        result.left_out.append(LeftOut(f"{result.file.path}: {error.path}", f"the bridge refuses it: {error.message}"))
    if missing and answered.rejected:
        last = result.left_out[-1]
        result.left_out[-1] = LeftOut(last.place, last.reason, missing)


def _identity(file: SourceFile) -> str:
    """The same for a copy of the file elsewhere; another one for each run that it is imported into."""
    with file.path.open("rb") as opened:
        head = opened.read(64)  # its first record, with the time at which the file was made
    name = f"{file.run}\n{file.path.name}\n".encode()
    return hashlib.sha256(name + head).hexdigest()[:40]


def _walked(
    file: SourceFile,
    memory: Memory,
    result: Result,
    progress: Progress,
    about_to_send: Callable[[Window], None],
    advance: Callable[[int], None],
) -> Iterator[RunBatch]:
    """The batches of what stands behind `progress.done`, which moves on as they are taken; what is odd goes into `result`."""
    cutter = Cutter(file, memory, result.left_out)
    known = progress.done
    reached = 0
    try:
        memory.catch_up()
        for part in windows(file.path, (known, progress.sending), memory.plugins):
            match part:
                case Window():
                    progress.restarts += part.restart is not None
                    if part.end <= known:
                        cutter.learn(part)
                    else:
                        batches = cutter.batches(part, purges=progress.restarts > 1)
                        about_to_send(part)
                        yield from batches
                        progress.done = part.end
                    advance(part.end - reached)
                    reached = part.end
                case TooLong(start, end):
                    message = f"a record of {end - start} bytes is longer than an import reads"
                    result.left_out.append(LeftOut(f"{file.path}: byte {start}", message, 1))
                case Stopped(start, size, ""):
                    result.note = f"torn tail at byte {start}, {size - start} bytes of a record that is not complete"
                case Stopped(start, size, reason):
                    message = f"{REASONS.get(reason, reason)}; the {size - start} bytes from there on are left out"
                    result.note = f"DAMAGED at byte {start}"
                    result.left_out.append(LeftOut(f"{file.path}: DAMAGED at byte {start}", message))
    except OSError as error:
        result.note = "cannot be read"
        result.left_out.append(LeftOut(str(error.filename or file.path), f"cannot be read: {error.strerror or error}"))
    advance(file.size - reached)


# --- telling ----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _progress_bar(total_bytes: int) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal, where rich is installed: it comes with the server, not with the client."""
    if not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("importing"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("importing", total=total_bytes)
        yield lambda count: bar.advance(task, count)


def _report(found: Found, results: Sequence[Result], arguments: argparse.Namespace) -> int:
    left_out = [*found.left_out, *(one for result in results for one in result.left_out)]
    if arguments.json:
        say_json(
            {
                "files": [
                    {
                        "file": str(result.file.path),
                        "run": result.file.run,
                        "sent": result.sent,
                        "had": result.had,
                        "note": result.note,
                    }
                    for result in results
                ],
                "left_out": [{"place": one.place, "reason": one.reason, "values": one.values} for one in left_out],
            }
        )
        return 1 if left_out else 0
    rows: list[list[Cell]] = [
        [result.file.run, str(result.file.path), result.sent, result.had, _values(result), result.note] for result in results
    ]
    say_table(["run", "file", "would_send" if arguments.dry_run else "sent", "had_before", "left_out", "note"], rows)
    for one in left_out[: limits.IMPORT_LISTED]:
        complain(f"left out: {printable(one.place)}: {one.reason}")
    if len(left_out) > limits.IMPORT_LISTED:
        complain(f"... and {len(left_out) - limits.IMPORT_LISTED} more; --json lists all of them")
    return 1 if left_out else 0


def _values(result: Result) -> int:
    return sum(one.values for one in result.left_out)
