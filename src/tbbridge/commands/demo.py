"""`tbbridge demo`: a small live run, streamed to a running bridge, so that a newcomer sees something move."""

from __future__ import annotations

import argparse
import importlib.util
import math
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from tbbridge.commands.console import Commands, add_url_flag, say
from tbbridge.commands.send import deliver
from tbbridge.model import RunBatch, Text, run_name, tag_name

STEPS_PER_SECOND: Final = 20
HISTOGRAM_EVERY: Final = 20  # steps
GREETING_TIMEOUT_S: Final = 2.0

DESCRIPTION = """\
Stream a small run, as a training would make it, to a running bridge (tbbridge up), and see it grow in TensorBoard.

  tbbridge demo                for 30 seconds
  tbbridge demo --seconds 600  long enough to look around
"""

NOTE = """\
Made up by `tbbridge demo`: a loss that falls, an accuracy that rises, weights that spread, at {rate} steps a second.
"""


def add_command(commands: Commands) -> None:
    """Add `demo` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("demo", help="stream a small live run", description=DESCRIPTION, formatter_class=raw)
    add_url_flag(parser)
    parser.add_argument("--seconds", type=_seconds, default=30.0, metavar="SECONDS", help="how long (default 30)")
    parser.set_defaults(run=run)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds between 0 and 86400")
    return seconds


def run(arguments: argparse.Namespace) -> int:
    """Stream the run; fails at once if the bridge is away."""
    from tbbridge.client import Client  # only here: it brings httpx, which the other commands start without

    name = f"demo/{time.strftime('%Y%m%d-%H%M%S')}"
    steps = max(1, round(arguments.seconds * STEPS_PER_SECOND))
    random = np.random.default_rng(0)
    note = Text(tag_name("note"), NOTE.format(rate=STEPS_PER_SECOND), step=0)
    # By itself and first: the client would wait for an absent bridge with patience, here somebody is watching.
    deliver(RunBatch(run_name(name), summaries=(note,)), arguments.url, GREETING_TIMEOUT_S)
    with Client(arguments.url) as client, client.run(name) as log:
        say(f"streaming the run {name} to {arguments.url} for {arguments.seconds:g} seconds")
        say("watch it on TensorBoard's Time Series page, at http://127.0.0.1:6006 unless `tbbridge up` said otherwise")
        for step in _paced(_with_progress_bar(range(steps), steps)):
            trained = step / STEPS_PER_SECOND / 10
            log.step(step)
            log.add_scalar("loss", 2.3 * math.exp(-trained) + random.normal(0, 0.03))
            log.add_scalar("accuracy", 1 - 0.9 * math.exp(-trained) + random.normal(0, 0.01))
            if step % HISTOGRAM_EVERY == 0:
                log.add_histogram("weights", random.normal(0, 0.1 + 0.1 * trained, 1000))
        client.flush()
    say(f"sent {steps} steps of the run {name}; all of it is on the bridge's disk")
    return 0


def _paced(steps: Iterable[int]) -> Iterator[int]:
    start = time.monotonic()
    for step in steps:
        yield step
        time.sleep(max(0.0, start + (step + 1) / STEPS_PER_SECOND - time.monotonic()))


def _with_progress_bar(steps: Iterable[int], total: int) -> Iterable[int]:
    # On a terminal only, and only where rich is installed: it comes with the server, not with the client.
    if not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        return steps
    from rich.progress import track

    return track(steps, description="streaming", total=total)
