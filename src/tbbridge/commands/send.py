"""`tbbridge send`: points from a shell script, on the server's disk when the command returns.

One numbered request through the client's transport, repeated as it is while the bridge is away or full: the number makes the
repeat free. Needs no server packages.
"""

from __future__ import annotations

import argparse
import contextlib
import uuid
from typing import Final

import numpy as np

from tbbridge.commands.console import Commands, add_url_flag, positive_seconds, run_argument
from tbbridge.errors import CommandFailed, InvalidItem
from tbbridge.model import INT64_MAX, INT64_MIN, Batch, RunBatch, ScalarColumns, join_columns, tag_name

DEFAULT_TIMEOUT_S: Final = 10.0

DESCRIPTION = """\
Send points of one step to a running bridge, and wait until they are on its disk. For shell scripts and cron jobs.

  tbbridge send nightly loss=0.25                       the step is the tag's last one + 1
  tbbridge send nightly loss=0.25 accuracy=0.93 --step 7
  tbbridge send nightly loss=nan "time left=inf"        what stands before the last = is the tag

Exit code: 0 all points are on disk, 1 they may not be (standard error says why), 2 the command line is wrong.
"""


def add_command(commands: Commands) -> None:
    """Add `send` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("send", help="send points from a shell script", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument(
        "run_name", metavar="RUN", type=run_argument, help="the run: a folder below the log folder, / makes levels"
    )
    parser.add_argument("points", metavar="TAG=VALUE", type=_point, nargs="+", help="a number, nan, inf or -inf")
    parser.add_argument("--step", type=_step, metavar="N", help="the step of all of them (default: the tag's last one + 1)")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to try while the bridge is away or full (default {DEFAULT_TIMEOUT_S:g})",
    )
    add_url_flag(parser)
    parser.set_defaults(run=run)


def _point(text: str) -> tuple[str, float]:
    tag, _, number = text.rpartition("=")
    try:
        value = float(number)
        return tag_name(tag), value
    except InvalidItem as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error.message}") from None
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no TAG=VALUE; write it like loss=0.25") from None


def _step(text: str) -> int:
    try:
        step = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if not INT64_MIN <= step <= INT64_MAX:
        raise argparse.ArgumentTypeError(f"{text} does not fit in 64 bits")
    return step


def run(arguments: argparse.Namespace) -> int:
    """Send, and return when the answer says that all is on disk."""
    steps = None if arguments.step is None else np.array([arguments.step], dtype=np.int64)
    columns = [ScalarColumns(tag_name(tag), np.array([value]), steps) for tag, value in arguments.points]
    deliver(RunBatch(arguments.run_name, join_columns(columns)), arguments.url, arguments.timeout)
    return 0


def deliver(run: RunBatch, url: str, timeout_s: float) -> None:
    """Return when the bridge at `url` has `run` on its disk. Raises `CommandFailed` or `Rejected` if it refuses, or
    `Unavailable` if the time is up.
    """
    # Only here: httpx takes longer to import than the rest of the command.
    from tbbridge.client.address import find_address
    from tbbridge.client.answers import Stored
    from tbbridge.client.patience import post_patiently
    from tbbridge.client.transport import Endpoint
    from tbbridge.wire.protobuf_v1 import encode_batch

    address = find_address(url)
    body = encode_batch(Batch((run,), writer=f"send-{uuid.uuid4().hex}", seq=1))
    with contextlib.closing(Endpoint(address, ack="journaled", timeout_s=timeout_s, compress=False).open()) as transport:
        verdict = post_patiently(transport, address.shown, body, timeout_s)
    if not isinstance(verdict, Stored):
        raise CommandFailed(f"{address.shown} says: {verdict.reason}")
    if verdict.rejected:
        raise CommandFailed(f"{address.shown} refused: {verdict.rejected[0].message}")
