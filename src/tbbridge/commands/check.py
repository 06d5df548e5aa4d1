"""`tbbridge check`: walks event files, of any writer, and says what is in them and where the first damage is.

Reads only, and needs no bridge and no server packages. What torn and corrupt mean is in `events.tfrecord`.
"""

from __future__ import annotations

import argparse
import mmap
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tbbridge.commands.console import Commands, complain, say
from tbbridge.errors import CommandFailed
from tbbridge.events.reader import SCALARS, Chunk, read_events
from tbbridge.events.tfrecord import Corrupt, End, Torn

DESCRIPTION = """\
Walk event files and say what is in them: records, values of each kind, the first damage, a torn tail.

  tbbridge check runs                     every event file below the folder
  tbbridge check runs/a/events.out.*      these files, written by tbbridge or by anything else

A torn tail, a last record that is not complete, is normal while a file is being written and after a crash: TensorBoard waits
there for the rest. Damage is bytes that contradict themselves: TensorBoard shows nothing behind it.

Exit code: 0 nothing is damaged, 1 something is, or cannot be read.
"""

REASONS: Final = {
    "length-crc": "a record's length does not match its checksum",
    "payload-crc": "a record's content does not match its checksum",
    "not-an-event": "a record's content is no event",
}


def add_command(commands: Commands) -> None:
    """Add `check` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("check", help="look for damage in event files", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("paths", metavar="FILE", type=Path, nargs="+", help="an event file, or a folder with some below it")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check all of them; one line each."""
    bad = 0
    for path in arguments.paths:
        try:
            bad += sum(not check_file(file) for file in event_files(path))
        except OSError as error:
            complain(f"{error.filename or path} cannot be read: {error.strerror or error}")
            bad += 1
    return 1 if bad else 0


def event_files(path: Path) -> Iterator[Path]:
    """`path` itself, or if it is a folder, what TensorBoard would read below it, in order."""
    if not path.is_dir():
        yield path
        return
    found = False
    for folder, folders, files in os.walk(path, onerror=_raise):
        folders.sort()
        for name in sorted(files):
            if "tfevents" in name:
                found = True
                yield Path(folder, name)
    if not found:
        raise CommandFailed(f"there are no event files below {path}; their names hold 'tfevents'")


def _raise(error: OSError) -> None:
    raise error


def check_file(path: Path) -> bool:
    """Print what is in one file; True if nothing in it is damaged."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:  # which cannot be mapped
            say(f"{path}: empty")
            return True
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            chunk = read_events(content)
    say(f"{path}: {contents(chunk)}; {ending(chunk, size)}")
    return not isinstance(chunk.stopped, Corrupt)


def contents(chunk: Chunk) -> str:
    """Records, and the values in them by kind."""
    values = Counter({SCALARS: sum(len(series.steps) for series in chunk.scalars.values())})
    values.update(summary.plugin or "of no plugin" for summary in chunk.summaries)
    shown = ", ".join(f"{count} {kind}" for kind, count in values.items() if count) or "no values"
    return f"{chunk.records} records with {shown}"


def ending(chunk: Chunk, size: int) -> str:
    """How the file ends, or where it stops making sense."""
    match chunk.stopped:
        case End():
            return "whole"
        case Torn(start):
            return f"torn tail at byte {start}, {size - start} bytes of a record that is not complete"
        case Corrupt(start, reason):
            lost = f"readers stop there, {size - start} bytes before the end"
            return f"DAMAGED at byte {start}: {REASONS.get(reason, reason)}; {lost}"
