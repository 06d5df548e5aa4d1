"""`tbbridge serve`: the bridge alone. For machines where TensorBoard runs elsewhere, and for containers."""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
from collections.abc import Callable

from tbbridge import limits
from tbbridge.commands.console import Commands, require_server, say, set_up_logging
from tbbridge.commands.file_limit import raise_file_limit
from tbbridge.commands.setting_flags import add_setting_flags, settings_from
from tbbridge.server.settings import ServerSettings

DESCRIPTION = """\
Run the bridge alone: it takes points over HTTP and writes event files below the log folder.

  tbbridge serve                                      on http://127.0.0.1:6007, into ./runs
  tbbridge serve --host 0.0.0.0 --logdir /data/runs   for a whole network; see `tbbridge token`
  tensorboard --logdir /data/runs                     show them, on this machine or any that sees the folder

Stop it with Ctrl-C or SIGTERM: it finishes what it has taken, closes its files and ends with exit code 0.
"""


def add_command(commands: Commands) -> None:
    """Add `serve` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("serve", help="run the bridge alone", description=DESCRIPTION, formatter_class=raw)
    add_setting_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until told to stop."""
    settings = settings_from(arguments)
    set_up_logging(settings.log_level, settings.log_format)
    require_server("serve")
    raise_file_limit()
    logdir = settings.logdir.absolute()
    run_bridge(settings, lambda address: say(f"tbbridge listens on {address} and writes to {logdir}. Ctrl-C stops it."))
    return 0


def run_bridge(settings: ServerSettings, on_ready: Callable[[str], None]) -> None:
    """Run the bridge in this thread until it is told to stop; `on_ready` gets its address. Also for `up`."""
    from tbbridge.server.serve import serve  # only here: the client's commands work without the server's packages

    def ready(address: str) -> None:
        gc.collect()
        gc.freeze()  # what the start made lives as long as the process: never look through it again
        on_ready(address)

    gc.set_threshold(*limits.GARBAGE_THRESHOLDS)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(settings, on_ready=ready))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's event loop where it is installed (it is not made for PyPy); asyncio's own does the same, slower."""
    if importlib.util.find_spec("uvloop") is None:
        return None
    import uvloop

    return uvloop.new_event_loop
