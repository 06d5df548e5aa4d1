"""`tbbridge logs`: a run's log from a running bridge, and followed as it grows, also through restarts of the bridge.

The stream is the server's; each record carries the place behind it, from which a new connection goes on. On a terminal levels
are coloured and what a terminal would take for an order is shown as an escape; elsewhere lines are those of the log file.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final, TypedDict, cast

from tbbridge import limits
from tbbridge.commands.console import Commands, add_url_flag, complain, run_argument, say
from tbbridge.errors import InvalidItem, Rejected, Unavailable
from tbbridge.logs.levels import level_name, read_level
from tbbridge.logs.lines import escaped

DESCRIPTION = """\
Print the newest records of a run's log, oldest first, and with -f those that come, until Ctrl-C.

  tbbridge logs node/7
  tbbridge logs -f node/7                       also while the bridge is restarted
  tbbridge logs node/7 -n all --level warning --since 2h
  tbbridge logs node/7 --json | jq .message
"""

_PATH: Final = "/api/v1/logs"
_DEFAULT_COUNT: Final = 100
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A stream that is quiet for longer than two of the server's heartbeats is broken.
_QUIET_S: Final = 2.5 * limits.LOGS_HEARTBEAT_S
_RETRY_MIN_S: Final = 0.25
_RETRY_MAX_S: Final = 5.0
_NOT_FOUND: Final = 404

# What JSON leaves as it is and a terminal obeys.
_UNSAFE_IN_JSON: Final = re.compile("[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_DIM: Final = "2"
_COLOURS: Final = ((50, "1;31"), (40, "31"), (30, "33"), (20, "32"), (0, "36"))


class Line(TypedDict):
    """One record as the server sends it."""

    time: str | None
    level: int
    logger: str
    message: str
    run: str
    cursor: str


def add_command(commands: Commands) -> None:
    """Add `logs` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("logs", help="print or follow the log of a run", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("run_name", metavar="RUN", type=run_argument)
    parser.add_argument("-f", "--follow", action="store_true", help="go on with records as they come")
    parser.add_argument(
        "-n",
        "--lines",
        metavar="N",
        type=_count,
        default=_DEFAULT_COUNT,
        help=f"the newest N records, or `all` (default {_DEFAULT_COUNT})",
    )
    parser.add_argument(
        "--level", metavar="LEVEL", type=_level, help="only this level and higher: info, warning, debug3, 35 ..."
    )
    parser.add_argument(
        "--since",
        metavar="WHEN",
        type=_since,
        help="only from then on: 90s, 10m, 2h, 3d ago, or a time like 2026-11-20T08:00:00Z",
    )
    parser.add_argument("--json", action="store_true", help="a line of JSON for each record")
    add_url_flag(parser)
    parser.set_defaults(run=run)


def _count(text: str) -> int | None:
    if text == "all":
        return None
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > limits.LOGS_LOOK_BACK_MAX:
        raise argparse.ArgumentTypeError(f"{text!r} is no number up to {limits.LOGS_LOOK_BACK_MAX}; or give `all`")
    return int(text)


def _level(text: str) -> str:
    try:
        return str(read_level(text))
    except InvalidItem as error:
        raise argparse.ArgumentTypeError(error.message) from None


def _since(text: str) -> str:
    """A time as the server reads it, which also checks it."""
    found = re.fullmatch(r"([0-9]{1,9})([smhd])", text.strip().lower())
    return text if found is None else f"{time.time() - int(found[1]) * _UNITS_S[found[2]]:.6f}"


def run(arguments: argparse.Namespace) -> int:
    """Print, and return at the end of the log; with follow only by Ctrl-C."""
    query = [("run", arguments.run_name)]
    query += [(name, value) for name in ("level", "since") if (value := getattr(arguments, name)) is not None]
    begin = [] if arguments.lines is None else [("limit", str(arguments.lines))]
    show = _Printer(as_json=arguments.json)
    if not arguments.follow:
        for line in _lines(arguments.url, [*query, *begin]):
            show(line)
        return 0
    _tell_if_missing(arguments.url, arguments.run_name)
    _follow(arguments.url, [*query, ("follow", "true")], begin, show)
    return 0


def _tell_if_missing(url: str, name: str) -> None:
    """Also fails at once if there is no bridge: only one that was there is waited for."""
    try:
        for _ in _lines(url, [("run", name), ("limit", "0")]):
            pass
    except Rejected as error:
        if error.status != _NOT_FOUND:
            raise
        complain(f"there is no log of run {name!a} yet; waiting for its first record")


def _follow(url: str, query: Sequence[tuple[str, str]], begin: Sequence[tuple[str, str]], show: _Printer) -> None:
    pause_s = _RETRY_MIN_S
    has_told = False
    while True:
        try:
            for line in _lines(url, [*query, *begin], is_live=True):
                pause_s, has_told = _RETRY_MIN_S, False
                if line is not None:
                    show(line)
                    begin = [("after", line["cursor"])]
            reason = "it stopped"
        except Unavailable as error:
            reason = error.message
        if not has_told:
            has_told = True
            complain(f"the bridge is away, and is waited for: {reason}")
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _RETRY_MAX_S)


def _lines(url: str, query: Sequence[tuple[str, str]], *, is_live: bool = False) -> Iterator[Line | None]:
    """The records of one answer; None for a sign of life. Raises `Unavailable` or `Rejected`."""
    from tbbridge.client.remote import DEFAULT_TIMEOUT_S, Remote  # only here: it brings httpx

    with Remote(url, timeout_s=_QUIET_S if is_live else DEFAULT_TIMEOUT_S) as remote:
        rest = b""
        for piece in remote.stream(_PATH, query):
            *whole, rest = (rest + piece).split(b"\n")
            for raw in whole:
                yield cast("Line", json.loads(raw)) if raw else None


class _Printer:
    """Prints records."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._is_terminal = _is_terminal()
        self._is_coloured = self._is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def __call__(self, line: Line | None) -> None:
        """Print one record."""
        if line is None:
            return
        if self._as_json:
            say(_UNSAFE_IN_JSON.sub(lambda one: f"\\u{ord(one[0]):04x}", json.dumps(line, ensure_ascii=False)))
            return
        name = f"{level_name(line['level']):<8}"
        moment = line["time"] or "-"
        if self._is_coloured:
            name = _coloured(name, next(colour for level, colour in _COLOURS if line["level"] >= level))
            moment = _coloured(moment, _DIM)
        message = line["message"].replace("\n", "\n\t")
        text = f"{line['logger'] or '-'} {message}"
        say(f"{moment} {name} {_harmless(text) if self._is_terminal else escaped(text)}")


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _coloured(text: str, colour: str) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m"


def _harmless(text: str) -> str:
    """`text` with escapes for all that a terminal might obey."""
    return "".join(one if one.isprintable() or one in "\n\t" else ascii(one)[1:-1] for one in text)
