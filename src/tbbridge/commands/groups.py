"""`tbbridge groups`: the groups of a running bridge, shown or replaced from a file.

The bridge checks them; this command only turns the file into the list that it takes. Needs no server packages.
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tbbridge.commands.console import Commands, add_url_flag, say
from tbbridge.commands.tables import say_json, say_table
from tbbridge.errors import CommandFailed

if TYPE_CHECKING:
    from tbbridge.client.remote import GroupEntry

DESCRIPTION = """\
Show the groups of a running bridge, whose members log as group/name; or replace them all from a file.

  tbbridge groups
  tbbridge groups --put groups.toml             the table [groups], as in a settings file:

      [groups.agent]                            agent/17 is the run agent/17, and ten agents share a chart
      kind = "indexed"
      bin_size = 10

      [groups.learner]                          learner/net is the tag net/... of the run learner
      kind = "normal"

      [groups.eval]                             eval/red7 is the run eval/red7, in the charts "colors"
      kind = "combined"
      patterns = [{ pattern = "red*", bin = "colors" }, { pattern = "*", bin = "others" }]

  tbbridge groups --json > groups.json          and back with --put groups.json
"""


def add_command(commands: Commands) -> None:
    """Add `groups` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("groups", help="show or replace the groups", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("--put", metavar="FILE", type=Path, help="a file in TOML or JSON with all groups from now on")
    parser.add_argument("--json", action="store_true", help="print JSON, for another program")
    add_url_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Replace the groups if asked to, then show them."""
    from tbbridge.client.remote import Remote  # only here: it brings httpx, which the other commands start without

    wanted = None if arguments.put is None else _read(arguments.put)
    with Remote(arguments.url) as bridge:
        if wanted is not None:
            bridge.put_groups(wanted)
        groups = bridge.groups()
    if arguments.json:
        say_json({"groups": groups})
    elif groups:
        say_table(["group", "kind", "charts"], [[group["name"], group["kind"], _charts(group)] for group in groups])
    else:
        say("The bridge has no groups. See `tbbridge groups --help`.")
    return 0


def _charts(group: GroupEntry) -> str:
    if group["kind"] == "indexed":
        size = group["bin_size"]
        return "a chart for each member" if size == 1 else f"{size} members to a chart"
    if group["kind"] == "combined":
        return ", ".join(f"{one['pattern']} in {one['bin']}" for one in group["patterns"])
    return "one to each member"


def _read(path: Path) -> Sequence[GroupEntry]:
    try:
        text = path.read_text(encoding="utf-8")
        said = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # not UTF-8, not TOML, not JSON
        form = "TOML" if path.suffix == ".toml" else "JSON"
        raise CommandFailed(f"{path} is not {form}: {error}; its name decides: .toml is TOML, others are JSON") from None
    groups = said.get("groups") if isinstance(said, dict) else None
    if isinstance(groups, dict):
        groups = [{**group, "name": name} if isinstance(group, dict) else group for name, group in groups.items()]
    if not isinstance(groups, list):
        raise CommandFailed(f'{path} has no groups; write a table [groups], or {{"groups": [...]}}')
    return cast("Sequence[GroupEntry]", groups)  # the bridge checks them, and says what is wrong
