"""The command line: puts the commands of `tbbridge.commands` together, and turns errors into one line.

The only wiring in the project. A command is a module there with `add_command`, and its `run` returns the exit code: 0 done,
1 it could not be done (one line on standard error says why and what to do), 2 the command line itself was wrong.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, Final

from tbbridge.commands.console import complain, say, set_up_logging
from tbbridge.errors import InvalidSetting, TBBridgeError

# The modules of `tbbridge.commands` and the commands of each, in the order in which the help shows them. Only the module of the
# command is loaded: `tbbridge health`, which containers run every few seconds, has no use for what others draw tables with.
MODULES: Final = {
    "up": ("up",),
    "serve": ("serve",),
    "send": ("send",),
    "sync": ("sync",),
    "demo": ("demo",),
    "runs": ("runs", "show", "read", "delete", "rename"),
    "archives": ("archive", "restore", "export"),
    "import_folder": ("import",),
    "logs": ("logs",),
    "watch": ("watch",),
    "check": ("check",),
    "doctor": ("doctor",),
    "health": ("health",),
    "groups": ("groups",),
    "token": ("token",),
}

DESCRIPTION = """\
Send numbers, text and histograms from any program to stock TensorBoard over HTTP.

  tbbridge up                        start the bridge and TensorBoard on the folder ./runs
  tbbridge demo                      in a second shell: stream a small run, and see it appear
  tbbridge send nightly loss=0.25    send a point from a shell script
"""

EPILOG = """\
`tbbridge COMMAND --help` explains each. Every flag of `up` and `serve` can also be given as a variable of the environment:
--queue-max-bytes 128MiB is TBBRIDGE_QUEUE_MAX_BYTES=128MiB. A flag wins over its variable.
"""


def version_line() -> str:
    """What `tbbridge version` prints."""
    import platform  # only here, with the next: they take longer to load than a health check
    from importlib import metadata

    return f"tbbridge {metadata.version('tbbridge')} (Python {platform.python_version()})"


def build_parser(command: str = "") -> argparse.ArgumentParser:
    """The command line for `command`; for the whole, if there is no such command. Reads the environment for some defaults."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="tbbridge", description=DESCRIPTION, epilog=EPILOG, formatter_class=raw)
    parser.add_argument("--version", action=_ShowVersion, nargs=0, help="show program's version number and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in [module for module, names in MODULES.items() if command in names] or MODULES:
        import_module(f"tbbridge.commands.{module}").add_command(commands)
    shown = commands.add_parser("version", help="print the version")
    shown.set_defaults(run=_version)
    return parser


class _ShowVersion(argparse.Action):
    """argparse's own action wants the line before anybody asks for it."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        say(version_line())
        parser.exit()


def _version(_arguments: argparse.Namespace) -> int:
    say(version_line())
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` (by default the process's) name; returns the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    parsed = build_parser(given[0] if given else "").parse_args(given)
    try:
        set_up_logging("warning")
        code = parsed.run(parsed)
        sys.stdout.flush()
    except InvalidSetting as error:
        complain(error.message)
        return 2
    except TBBridgeError as error:
        complain(error.message)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough (`tbbridge check ... | head`). Python would complain again while it shuts down.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    else:
        return int(code)


if __name__ == "__main__":
    sys.exit(main())
