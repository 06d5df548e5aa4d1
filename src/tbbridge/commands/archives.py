"""`tbbridge archive`, `restore` and `export`: runs of a running bridge as files, and back.

A file appears under its name when it is whole; what broke off leaves nothing behind.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tbbridge.commands.console import Commands, add_url_flag, complain, say
from tbbridge.commands.output import written
from tbbridge.commands.tables import printable, say_json
from tbbridge.errors import CommandFailed

ARCHIVE: Final = """\
Fetch a run from a running bridge as a zip: its event files, byte for byte, embeddings and files of TensorBoard's plugins.

  tbbridge archive digits/lr=1e-3               to digits_lr=1e-3.zip
  tbbridge archive digits/lr=1e-3 backup.zip
  tbbridge archive digits/lr=1e-3 - | ssh host 'cat > backup.zip'
"""
RESTORE: Final = """\
Put a run back from a zip that `tbbridge archive` (or lapiz, or crayon, or zip -r) made. The name is free to choose.

  tbbridge restore digits/lr=1e-3 backup.zip
  tbbridge restore digits/lr=1e-3 backup.zip --replace   in place of what the run holds
"""
EXPORT: Final = """\
Print every scalar of some runs (none named: of all) for other programs, streamed.

  tbbridge export > points.csv
  tbbridge export digits/lr=1e-3 --tag loss/train --format jsonl
  tbbridge export digits/lr=1e-3 --format tensorboard-json --output all_scalars.json
"""


def add_command(commands: Commands) -> None:
    """Add them to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    archive = commands.add_parser("archive", help="fetch a run as a zip", description=ARCHIVE, formatter_class=raw)
    archive.add_argument("run_name", metavar="RUN")
    archive.add_argument("file", metavar="FILE", nargs="?", help="where to; - is standard output (default: RUN.zip)")
    archive.add_argument("--force", action="store_true", help="overwrite FILE if it is there")
    archive.set_defaults(run=_archive)
    restore = commands.add_parser("restore", help="put a run back from a zip", description=RESTORE, formatter_class=raw)
    restore.add_argument("run_name", metavar="RUN")
    restore.add_argument("file", metavar="FILE", help="the zip; - is standard input")
    restore.add_argument("--replace", action="store_true", help="remove what the run holds")
    restore.add_argument("--json", action="store_true", help="print JSON, for another program")
    restore.set_defaults(run=_restore)
    export = commands.add_parser("export", help="print every point of some runs", description=EXPORT, formatter_class=raw)
    export.add_argument("run_names", metavar="RUN", nargs="*")
    export.add_argument("--tag", dest="tags", metavar="TAG", action="append", default=[], help="only this tag; may be repeated")
    export.add_argument("--format", choices=("csv", "jsonl", "tensorboard-json"), default="csv", help="default csv")
    export.add_argument("--output", "-o", metavar="FILE", default="-", help="where to (default: standard output)")
    export.add_argument("--force", action="store_true", help="overwrite FILE if it is there")
    export.set_defaults(run=_export)
    for parser in (archive, restore, export):
        add_url_flag(parser)


def _archive(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote  # only here: it brings httpx, which the other commands start without

    target = arguments.file or arguments.run_name.replace("/", "_") + ".zip"
    with Remote(arguments.url) as bridge, written(target, force=arguments.force) as file:
        size = bridge.archive(arguments.run_name, file)
    if target != "-":
        say(f"{target}: {size} bytes")
    return 0


def _restore(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote

    try:
        file = sys.stdin.buffer if arguments.file == "-" else Path(arguments.file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise CommandFailed(f"{arguments.file} cannot be read: {error.strerror or error}") from None
    with file, Remote(arguments.url) as bridge:
        done = bridge.restore(arguments.run_name, file, replace=arguments.replace)
    if arguments.json:
        say_json(done)
        return 0
    for warning in done["warnings"]:
        complain(f"{printable(warning['path'])}: {warning['message']}")
    say(f"restored {printable(done['run'])}: {_files(done['files'])}, {done['size_bytes']} bytes")
    return 0


def _files(count: int) -> str:
    return "1 file" if count == 1 else f"{count} files"


def _export(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote

    with Remote(arguments.url) as bridge:
        pieces = bridge.export(arguments.run_names, arguments.tags, form=arguments.format)
        first = next(pieces, b"")  # a refusal comes before a file is made
        with written(arguments.output, force=arguments.force) as file:
            for piece in _chain(first, pieces):
                file.write(piece)
    return 0


def _chain(first: bytes, rest: Iterable[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
