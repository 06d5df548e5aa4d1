"""`tbbridge up`: the bridge and stock TensorBoard on one folder, started and stopped together.

The bridge runs in this process, TensorBoard in a child (`commands.tensorboard`). If TensorBoard cannot start, both stop and
the command fails, since somebody is watching. If it dies later, the bridge goes on: trainings are sending to it, and no
point should be lost because a viewer crashed. The log then says so, and how to start a TensorBoard again.
"""

from __future__ import annotations

import argparse
import dataclasses
import logging
import os
import shlex
import signal
import threading
from collections.abc import Sequence
from typing import Final

from tbbridge.client.address import find_address
from tbbridge.commands.console import Commands, require_server, require_tensorboard, say, set_up_logging
from tbbridge.commands.file_limit import raise_file_limit
from tbbridge.commands.serve import run_bridge
from tbbridge.commands.setting_flags import add_setting_flags, settings_from
from tbbridge.commands.tensorboard import TensorBoard, address_of, find_port
from tbbridge.errors import CommandFailed
from tbbridge.server.settings import ServerSettings

log = logging.getLogger(__name__)

PORT_VARIABLE: Final = "TBBRIDGE_TENSORBOARD_PORT"
LOAD_FAST_VARIABLE: Final = "TBBRIDGE_LOAD_FAST"
LOAD_FAST: Final = ("auto", "true", "false")

DESCRIPTION = """\
Run the bridge and stock TensorBoard on one folder, and stop both with Ctrl-C.

  tbbridge up                                  bridge on port 6007, TensorBoard on 6006, runs in ./runs
  tbbridge up --logdir /data/runs --port 7000  elsewhere
  tbbridge up -- --samples_per_plugin scalars=100000
                                               what stands after -- goes to TensorBoard as it is
"""

EPILOG = """\
If a port is taken, choose another with --port (the bridge) or --tensorboard-port (TensorBoard).
"""

FIRST_POINT = '{"runs": [{"run": "hello", "scalars": [{"tag": "loss", "steps": [1], "values": [0.5]}]}]}'


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give a number from 0 (a free one) to 65535")
    return int(text)


def _load_fast(text: str) -> str:
    if text not in LOAD_FAST:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(LOAD_FAST)}")
    return text


def add_command(commands: Commands) -> None:
    """Add `up` to the command line."""
    parser = commands.add_parser(
        "up",
        help="run the bridge and TensorBoard",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    group = parser.add_argument_group("settings of TensorBoard")
    group.add_argument(
        "--tensorboard-port",
        type=_port,
        default=os.environ.get(PORT_VARIABLE) or "6006",
        metavar="PORT",
        help=f"TensorBoard's port; 0 takes a free one [{PORT_VARIABLE}, default 6006]",
    )
    group.add_argument(
        "--load-fast",
        type=_load_fast,
        default=os.environ.get(LOAD_FAST_VARIABLE) or "auto",
        metavar="|".join(LOAD_FAST),
        help=f"TensorBoard's --load_fast: true is its data server, false its slower Python reader [{LOAD_FAST_VARIABLE}, "
        "default auto]",
    )
    group.add_argument("tensorboard_flags", nargs="*", metavar="FLAG", help="after --: any other flags for TensorBoard")
    add_setting_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run both until told to stop."""
    settings = settings_from(arguments)
    set_up_logging(settings.log_level, settings.log_format)
    require_server("up", "tensorboard")  # which brings the server too
    require_tensorboard("up")
    if settings.port == arguments.tensorboard_port != 0:
        raise CommandFailed(f"port {settings.port} is given to both; choose another with --port or --tensorboard-port")
    raise_file_limit()
    flags = ["--load_fast", arguments.load_fast, *arguments.tensorboard_flags]
    port = find_port(settings.host, arguments.tensorboard_port)
    if settings.tensorboard_url == ServerSettings().tensorboard_url:
        settings = dataclasses.replace(settings, tensorboard_url=f":{port}")
    both = Both(settings, port, flags)
    try:
        run_bridge(settings, both.bridge_is_up)
    finally:
        both.stop_tensorboard()
    if both.failure is not None:
        raise both.failure
    return 0


class Both:
    """Starts TensorBoard once the bridge listens, and says where both are once TensorBoard answers."""

    def __init__(self, settings: ServerSettings, tensorboard_port: int, flags: Sequence[str]) -> None:
        self.failure: CommandFailed | None = None
        self._logdir = settings.logdir.absolute()
        self._tensorboard = TensorBoard(self._logdir, settings.host, tensorboard_port, flags, self._tensorboard_died)

    def bridge_is_up(self, bridge: str) -> None:
        """`bridge` is its address. Returns at once."""
        self._tensorboard.start()
        if not find_address(self._tensorboard.host).is_loopback:
            log.warning(
                "TensorBoard asks nobody for a token: whoever reaches port %d here sees all runs; put a proxy that does in "
                "front, or run TensorBoard with --host 127.0.0.1 by itself",
                self._tensorboard.port,
            )
        threading.Thread(target=self._announce, args=(bridge,), name="announce", daemon=True).start()

    def stop_tensorboard(self) -> None:
        """Stop TensorBoard, if it runs."""
        self._tensorboard.stop()

    def _announce(self, bridge: str) -> None:
        try:
            if not self._tensorboard.wait_until_up():
                return
        except CommandFailed as error:
            self.failure = error
            os.kill(os.getpid(), signal.SIGTERM)  # the way in which the bridge is always stopped
            return
        tensorboard = address_of(self._tensorboard.host, self._tensorboard.port)
        say(f"""\
TensorBoard   {tensorboard}
Bridge        {bridge}   (its live page; the interface: {bridge}/docs)
Log folder    {self._logdir}

Send a first point, and look at TensorBoard's Time Series page:

  curl {bridge}/api/v1/write -H 'Content-Type: application/json' -d '{FIRST_POINT}'

Ctrl-C stops both.""")

    def _tensorboard_died(self, message: str) -> None:
        again = f"tensorboard --logdir {shlex.quote(str(self._logdir))} --port {self._tensorboard.port}"
        log.error("%s\nThe bridge goes on without it. To see the runs again: %s", message, again)
