"""`tbbridge doctor`: explains the state of a log folder, and what to do where it is not as it should be. Changes nothing.

What is looked at is pipeline/inspection.py's; this prints it.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tbbridge.commands.console import Commands, require_server, say
from tbbridge.commands.tables import printable, say_json

if TYPE_CHECKING:
    from tbbridge.pipeline.inspection import Inspection

DESCRIPTION = """\
Explain the state of a log folder: who runs on it, what the journal holds and a start would replay, damage by file and byte,
what was cut off, what is hidden for a moment, how much room is left. For each thing that is not as it should be, what to do.

  tbbridge doctor                 the folder of TBBRIDGE_LOGDIR, or ./runs
  tbbridge doctor /data/runs
  tbbridge doctor --json | jq '.findings[] | select(.level == "problem")'

It only reads, and may be run beside a bridge. Event files are looked through by `tbbridge check`.

Exit code: 0 nothing needs you, 1 something does.
"""

_DEFAULT: Final = "runs"


def add_command(commands: Commands) -> None:
    """Add `doctor` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "doctor", help="explain the state of a log folder", description=DESCRIPTION, formatter_class=raw
    )
    default = os.environ.get("TBBRIDGE_LOGDIR") or _DEFAULT
    parser.add_argument(
        "logdir", metavar="LOGDIR", type=Path, nargs="?", default=Path(default), help=f"the log folder [{_DEFAULT}]"
    )
    parser.add_argument("--json", action="store_true", help="all of it as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, print, and say by the exit code if somebody is needed."""
    require_server("doctor")
    from tbbridge.pipeline.inspection import inspect  # only here: it loads the server's side

    seen = inspect(arguments.logdir)
    if arguments.json:
        findings = [dataclasses.asdict(finding) for finding in seen.findings]
        owner = {"running": seen.owner is not None, "owner": seen.owner}
        say_json({"logdir": str(seen.logdir), "healthy": seen.is_healthy, **owner, "findings": findings})
    else:
        _say(seen)
    return 0 if seen.is_healthy else 1


def _say(seen: Inspection) -> None:
    say(f"log folder {printable(str(seen.logdir))}")
    width = max((len(finding.subject) for finding in seen.findings), default=0)
    for finding in seen.findings:
        level = finding.level.upper() if finding.level == "problem" else finding.level
        say(f"  {level:<8} {finding.subject:<{width}}  {printable(finding.message)}")
        if finding.remedy:
            say(f"  {'':<8} {'':<{width}}  -> {printable(finding.remedy)}")
    problems = sum(finding.level == "problem" for finding in seen.findings)
    say(f"{problems} problems" if problems != 1 else "1 problem")
