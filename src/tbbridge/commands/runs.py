"""`tbbridge runs`, `show`, `read`, `delete` and `rename`: what a running bridge has, and runs deleted and renamed.

Each makes its calls through client/remote.py; a bridge that refuses or is away is one line and exit code 1.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from tbbridge.commands.console import Commands, add_url_flag, complain, say
from tbbridge.commands.output import written
from tbbridge.commands.tables import Cell, printable, say_json, say_table, size_text, time_text
from tbbridge.errors import CommandFailed

RUNS: Final = """\
List the runs of a running bridge: tags, points, steps, when they were last written, size, and whether they run, have
finished or failed, or are lost (should be running, and are silent).

  tbbridge runs
  tbbridge runs | cut -f1   not on a terminal: tab-separated, sizes in bytes, times in seconds since 1970
"""
SHOW: Final = """\
Show the tags of one run: kind, number of values, first and last step, and when it was last written.

  tbbridge show digits/lr=1e-3
"""
READ: Final = """\
Read the values of one tag back, exactly as they are stored.

  tbbridge read digits/lr=1e-3 loss/train
  tbbridge read digits/lr=1e-3 loss/train --min-step 1000 --max-points 500
  tbbridge read digits/lr=1e-3 loss/train --downsample candlestick --max-points 50
  tbbridge read digits/lr=1e-3 weights          histograms, texts and the other kinds come as JSON
  tbbridge read digits/lr=1e-3 samples --save newest.png
                                                the bytes of a picture, a sound or a graph
"""
DELETE: Final = """\
Delete runs, or one tag of a run, from the bridge's disk. There is no way back but an archive (tbbridge archive).

  tbbridge delete digits/try1
  tbbridge delete digits --below                the run and all runs below its folder
  tbbridge delete digits/try2 --tag loss/train  this tag only
"""
RENAME: Final = """\
Rename a run, with all runs below its folder; nothing may be there under the new name.

  tbbridge rename digits/try1 digits/lr=1e-3
"""

# Points that --downsample leaves if nobody says how many.
_DEFAULT_POINTS: Final = 1000


def add_command(commands: Commands) -> None:
    """Add them all to the command line."""
    _command(commands, "runs", "list the runs of a bridge", RUNS, _runs)
    show = _command(commands, "show", "show the tags of a run", SHOW, _show)
    show.add_argument("run_name", metavar="RUN")
    read = _command(commands, "read", "read the values of a tag", READ, _read)
    read.add_argument("run_name", metavar="RUN")
    read.add_argument("tag", metavar="TAG")
    read.add_argument("--min-step", metavar="N", type=int, help="only values from this step on")
    read.add_argument("--max-step", metavar="N", type=int, help="only values up to this step")
    read.add_argument("--max-points", metavar="N", type=int, help="scalars: at most so many points, see --downsample")
    read.add_argument(
        "--downsample",
        choices=("none", "minmax", "candlestick"),
        help="scalars: how points are thinned out: lowest and highest of equal stretches, or quartiles of bins of steps",
    )
    read.add_argument("--save", metavar="FILE", help="pictures, sounds, graphs: write the newest one to FILE")
    read.add_argument("--step", metavar="N", type=int, help="with --save: the one of this step")
    delete = _command(commands, "delete", "delete runs or a tag", DELETE, _delete, has_json=False)
    delete.add_argument("run_names", metavar="RUN", nargs="+")
    delete.add_argument("--tag", metavar="TAG", help="only this tag of the run")
    delete.add_argument("--below", action="store_true", help="also all runs below")
    delete.add_argument("--yes", "-y", action="store_true", help="do not ask")
    rename = _command(commands, "rename", "rename a run", RENAME, _rename, has_json=False)
    rename.add_argument("run_name", metavar="RUN")
    rename.add_argument("to", metavar="NEW_NAME")


def _command(
    commands: Commands, name: str, help_line: str, description: str, run: object, *, has_json: bool = True
) -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(name, help=help_line, description=description, formatter_class=raw)
    add_url_flag(parser)
    if has_json:
        parser.add_argument("--json", action="store_true", help="print JSON, for another program")
    parser.set_defaults(run=run)
    return parser


# --- looking ----------------------------------------------------------------------------------------------------------


def _runs(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote  # only here: it brings httpx, which the other commands start without

    with Remote(arguments.url) as bridge:
        runs = bridge.runs()
    if arguments.json:
        say_json({"runs": runs})
        return 0
    rows: list[list[Cell]] = [
        [
            run["run"],
            _kinds(run["tag_counts"]),
            run["points"],
            run["first_step"],
            run["last_step"],
            time_text(run["last_wall_time"]),
            size_text(run["size_bytes"]),
            run.get("status") or "",  # an older bridge does not say
        ]
        for run in runs
    ]
    say_table(["run", "tags", "points", "first_step", "last_step", "last_written", "size", "status"], rows)
    return 0


def _kinds(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def _show(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote

    with Remote(arguments.url) as bridge:
        run = bridge.run(arguments.run_name)
    if arguments.json:
        say_json(run)
        return 0
    rows: list[list[Cell]] = [
        [tag["tag"], tag["kind"], tag["count"], tag["first_step"], tag["last_step"], time_text(tag["last_wall_time"])]
        for tag in run["tags"] or ()
    ]
    title = f"{printable(run['run'])}: {run['points']:,} points, {size_text(run['size_bytes'])}"
    say_table(["tag", "kind", "count", "first_step", "last_step", "last_written"], rows, title)
    return 0


def _read(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote

    steps = {"min_step": arguments.min_step, "max_step": arguments.max_step}
    with Remote(arguments.url) as bridge:
        if arguments.save is not None:
            query = {"run": arguments.run_name, "tag": arguments.tag, "step": arguments.step}
            pieces = bridge.stream("/api/v1/blob", [(name, str(value)) for name, value in query.items() if value is not None])
            first = next(pieces, b"")  # a refusal comes before a file is made
            with written(arguments.save) as file:
                file.write(first)
                file.writelines(pieces)
            return 0
        tags = bridge.run(arguments.run_name)["tags"] or ()
        kind = next((tag["kind"] for tag in tags if tag["tag"] == arguments.tag), "scalar")  # unknown: the bridge says so
        if kind != "scalar":
            if arguments.max_points is not None or arguments.downsample is not None:
                raise CommandFailed(f"this tag holds values of kind {kind}; --max-points and --downsample are for scalars")
            path = f"/api/v1/{PATHS.get(kind, 'values')}"
            say_json(bridge.get(path, run=arguments.run_name, tag=arguments.tag, **steps))
            return 0
        points = arguments.max_points
        if points is None and arguments.downsample not in (None, "none"):
            points = _DEFAULT_POINTS
        found = bridge.scalars(arguments.run_name, arguments.tag, max_points=points, downsample=arguments.downsample, **steps)
    if arguments.json:
        say_json(found)
        return 0
    columns = {name: column for name, column in found.items() if isinstance(column, list) and name != "sampled"}
    if "wall_times" in columns:
        columns["wall_times"] = [time_text(time) for time in columns["wall_times"]]
    say_table([_SINGULAR.get(name, name) for name in columns], zip(*columns.values(), strict=True))
    return 0


# The route that reads a kind; the values of all others come as they are in the files.
PATHS: Final = {
    "histogram": "histograms",
    "text": "texts",
    "image": "images",
    "audio": "audio",
    "graph": "graphs",
    "run_metadata": "run_metadata",
    "pr_curve": "pr_curves",
    "mesh": "meshes",
    "embedding": "embeddings",
    "custom_scalars": "custom_scalars",
    "tensor": "tensors",
}
_SINGULAR: Final = {"steps": "step", "values": "value", "wall_times": "wall_time"}


# --- changing ---------------------------------------------------------------------------------------------------------


def _delete(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote

    names: list[str] = arguments.run_names
    if arguments.tag is not None and (len(names) > 1 or arguments.below):
        raise CommandFailed("--tag goes with one run and without --below")
    shown = ", ".join(printable(name) for name in names)
    what = f"the tag {printable(arguments.tag)} of {shown}" if arguments.tag is not None else shown
    if arguments.below:
        what += " and all runs below"
    if not arguments.yes:
        if not sys.stdin.isatty():
            raise CommandFailed("there is nobody to ask here; add --yes to delete without asking")
        if input(f"Delete {what}? There is no way back. [y/N] ").strip().lower() not in ("y", "yes"):
            complain("nothing was deleted")
            return 1
    with Remote(arguments.url) as bridge:
        for name in names:
            done = bridge.delete(name, arguments.tag, below=arguments.below)
            _tell(done["warnings"])
            for deleted in done["runs"]:
                say(f"deleted {printable(deleted)}" + (f": {printable(arguments.tag)}" if arguments.tag is not None else ""))
    return 0


def _rename(arguments: argparse.Namespace) -> int:
    from tbbridge.client.remote import Remote

    with Remote(arguments.url) as bridge:
        done = bridge.rename(arguments.run_name, arguments.to)
    _tell(done["warnings"])
    for old in done["runs"]:
        say(f"renamed {printable(old)} to {printable(arguments.to + old.removeprefix(arguments.run_name))}")
    return 0


def _tell(warnings: Sequence[Mapping[str, object]]) -> None:
    for warning in warnings:
        place = printable(str(warning["path"]))
        complain(f"{place}: {warning['message']}" if place else str(warning["message"]))
