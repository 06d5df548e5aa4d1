"""`tbbridge watch`: a run as it goes on, in the terminal, fed by the bridge's live feed; also through restarts of the bridge.

On a terminal a table that moves (watch_view.py); elsewhere a line for each point. Both follow the run if it is renamed. What a
restart of the bridge may have hidden from a listener is read back, so that no point is missing and none comes twice.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

from tbbridge.client.live import LiveEvent
from tbbridge.commands.console import Commands, add_url_flag, complain, require_rich, run_argument, say
from tbbridge.commands.tables import printable
from tbbridge.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from tbbridge.client.remote import Columns, Remote

DESCRIPTION = """\
Watch a run while it goes on: last value, step, rate and a sparkline of each tag, until Ctrl-C. A run that is not there yet is
waited for, and a bridge that is away, too.

  tbbridge watch digits/lr=1e-3
  tbbridge watch digits/lr=1e-3 --tag loss/train --tag loss/test
  tbbridge watch digits/lr=1e-3 --until-end && tbbridge archive digits/lr=1e-3
                                     returns when the run says that it has finished (0) or failed (1)
  tbbridge watch digits/lr=1e-3 | awk '$3 < 0.1'
                                     not on a terminal: tag, step, value and seconds since 1970, with tabs between
"""

_NOT_FOUND: Final = 404
_FAILED: Final = "failed"
_ENDS: Final = {"finished": 0, _FAILED: 1}
_RETRY_MIN_S: Final = 0.25
_RETRY_MAX_S: Final = 5.0
# The feed says how the bridge is once a second; one that is silent for so long is broken.
_QUIET_S: Final = 10.0
# Tags in one question, so that its URL stays short enough for every proxy.
_TAGS_AT_ONCE: Final = 20

Point = tuple[int, float, float]  # step, value, wall time


class View(Protocol):
    """Shows what happens."""

    @property
    def points_wanted(self) -> int | None:
        """Of each tag, when the run is read; None: only those behind the last one that was shown, and all of them."""

    def begin(self, run: str) -> None:
        """The run is called so (now)."""

    def add(self, tag: str, points: Sequence[Point]) -> None:
        """New points of a tag, in their order."""

    def forget(self, tag: str | None) -> None:
        """A tag was deleted; None: the whole run, or it is read anew."""

    def purged(self, step: int) -> None:
        """What was shown from `step` on is void; a view that wants points is read anew behind this."""

    def status(self, status: str) -> None:
        """How the run is."""

    def notice(self, text: str) -> None:
        """Something that the user should know; empty: it has passed."""

    def tick(self, health: Mapping[str, Any]) -> None:
        """A second has passed."""


def add_command(commands: Commands) -> None:
    """Add `watch` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("watch", help="watch a run while it goes on", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("run_name", metavar="RUN", type=run_argument)
    parser.add_argument("--tag", metavar="TAG", action="append", default=[], help="only this tag; repeat it for several")
    parser.add_argument("--until-end", action="store_true", help="return when the run has finished (0) or failed (1)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON for each point, also on a terminal")
    add_url_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Watch until Ctrl-C, or until the run has ended if that is asked for."""
    watching = Watching(arguments.url, arguments.run_name, arguments.tag, until_end=arguments.until_end)
    signal.signal(signal.SIGINT, watching.interrupt)
    if arguments.json or not sys.stdout.isatty():
        return watching.run(Lines(as_json=arguments.json))
    require_rich("watch")
    from tbbridge.commands.watch_view import Screen  # only here: it brings rich

    with Screen(arguments.url) as screen:
        return watching.run(screen)


class Watching:
    """One run watched; `tags` none: all of them."""

    def __init__(self, url: str, name: str, tags: Sequence[str], *, until_end: bool) -> None:
        self._url = url
        self._name = name
        self._tags = tags
        self._until_end = until_end
        self._last_id = ""
        self._seen: dict[str, set[tuple[int, float]]] = {}  # points that were read, and may come with the feed as well
        self._last_steps: dict[str, int] = {}
        self._has_read = False
        self._is_interrupted = False

    def interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """Ctrl-C: raised here, and again at the next event, since it is lost where it meets an object that is thrown away."""
        self._is_interrupted = True
        raise KeyboardInterrupt

    def run(self, view: View) -> int:
        """Until the run has ended, if that is asked for; else until something raises."""
        view.begin(self._name)
        pause_s, was_there = _RETRY_MIN_S, False
        while True:
            if self._is_interrupted:
                raise KeyboardInterrupt
            reason = "it stopped"
            try:
                for event in self._events():
                    if self._is_interrupted:
                        raise KeyboardInterrupt
                    pause_s, was_there = _RETRY_MIN_S, True
                    code = self._take(event, view)
                    if code is not None:
                        return code
                    if event.name == "renamed":  # from now on under that name
                        reason = ""
                        break
            except Unavailable as error:
                if not was_there:
                    raise  # only a bridge that was there is waited for
                reason = error.message
            if reason:
                view.notice(f"the bridge is away, and is waited for: {reason}")
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _RETRY_MAX_S)

    def _events(self) -> Iterator[LiveEvent]:
        from tbbridge.client.remote import Remote  # only here: it brings httpx

        with Remote(self._url, timeout_s=_QUIET_S) as remote:
            for event in remote.live(runs=[self._name], tags=self._tags, last_id=self._last_id):
                self._last_id = event.id or self._last_id
                yield event

    def _take(self, event: LiveEvent, view: View) -> int | None:
        """Show an event; returns the exit code if this is the end."""
        said = event.data
        match event.name:
            case "hello":
                view.notice("")
                return None if said.get("resumed") else self._read(view)
            case "points":
                for column in said["columns"]:
                    self._show(column, view)
            case "status":
                return self._status(str(said["status"]), view)
            case "purged":
                view.purged(int(said["step"]))
                self._last_steps = {tag: min(last, int(said["step"]) - 1) for tag, last in self._last_steps.items()}
                if view.points_wanted is not None:
                    return self._read(view)
            case "deleted":
                self._forget(said.get("tag"))
                view.forget(said.get("tag"))
            case "renamed" if said["run"] == self._name:
                self._name = str(said["to"])
                view.begin(self._name)
            case "renamed" | "restored" | "lagging":  # another one has taken the name
                return self._read(view)
            case "health":
                view.tick(said)
        return None

    def _status(self, status: str, view: View) -> int | None:
        view.status(status)
        return _ENDS.get(status) if self._until_end else None

    def _forget(self, tag: str | None) -> None:
        for kept in (self._seen, self._last_steps):
            if tag is None:
                kept.clear()
            else:
                kept.pop(tag, None)

    def _show(self, column: Mapping[str, Any], view: View) -> None:
        tag = str(column["tag"])
        points = _points(column)
        seen = self._seen.get(tag)
        if seen:
            points = [point for point in points if (point[0], point[2]) not in seen]
        if points:
            self._last_steps[tag] = points[-1][0]
            view.add(tag, points)

    def _read(self, view: View) -> int | None:
        """Read the run back: what a listener that begins, or begins anew, has not been told."""
        from tbbridge.client.remote import Remote  # as above

        with Remote(self._url, timeout_s=_QUIET_S) as remote:
            try:
                entry = remote.run(self._name)
            except Rejected as error:
                if error.status != _NOT_FOUND:
                    raise
                view.notice(f"there is no run {self._name!a} yet; waiting for its first point")
                self._has_read = True
                return None
            held = [
                tag for tag in entry["tags"] or () if tag["kind"] == "scalar" and (not self._tags or tag["tag"] in self._tags)
            ]
            if view.points_wanted is not None:
                view.forget(None)
                self._seen.clear()  # what was shown before is shown again
                self._read_overviews(remote, [tag["tag"] for tag in held], view, view.points_wanted)
            elif self._has_read:
                self._read_missed(remote, [tag["tag"] for tag in held], view)
            else:
                self._last_steps.update((tag["tag"], tag["last_step"]) for tag in held)
        self._has_read = True
        return None if entry["status"] is None else self._status(entry["status"], view)

    def _read_overviews(self, remote: Remote, tags: Sequence[str], view: View, points: int) -> None:
        for start in range(0, len(tags), _TAGS_AT_ONCE):
            some = list(tags[start : start + _TAGS_AT_ONCE])
            found = remote.get("/api/v1/scalars/many", run=[self._name], tag=some, max_points=points)
            for column in cast("list[Columns]", found["series"]):
                self._show_read(column, view)

    def _read_missed(self, remote: Remote, tags: Sequence[str], view: View) -> None:
        """Everything behind the last step that was shown."""
        for tag in tags:
            since = self._last_steps.get(tag)
            self._show_read(remote.scalars(self._name, tag, min_step=None if since is None else since + 1), view)

    def _show_read(self, column: Columns, view: View) -> None:
        self._show(column, view)
        self._seen[column["tag"]] = {(step, wall_time) for step, _, wall_time in _points(column)}


def _points(column: Mapping[str, Any]) -> list[Point]:
    return [
        (step, float(value), wall_time)
        for step, value, wall_time in zip(column["steps"], column["values"], column["wall_times"], strict=True)
    ]


class Lines:
    """A line for each point, and what else happens as lines on standard error."""

    points_wanted: int | None = None

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._run = self._status = self._noticed = ""

    def begin(self, run: str) -> None:
        """See `View`."""
        if self._run:
            complain(f"the run is called {run!a} now")
        self._run = run

    def add(self, tag: str, points: Sequence[Point]) -> None:
        """See `View`."""
        if self._as_json:
            for step, value, wall_time in points:
                shown = value if value - value == 0 else str(value)  # JSON has no number for NaN and infinities
                said = {"run": self._run, "tag": tag, "step": step, "value": shown, "wall_time": wall_time}
                say(json.dumps(said))
        else:
            say("\n".join(f"{printable(tag)}\t{step}\t{value}\t{wall_time}" for step, value, wall_time in points))

    def forget(self, tag: str | None) -> None:
        """See `View`."""
        complain(f"the run {self._run!a} was deleted" if tag is None else f"tag {tag!a} was deleted")

    def purged(self, step: int) -> None:
        """See `View`."""
        complain(f"the run {self._run!a} goes on from step {step}; what it held from there on is void")

    def status(self, status: str) -> None:
        """See `View`."""
        if status != self._status:
            complain(f"the run {self._run!a} is {status}")
        self._status = status

    def notice(self, text: str) -> None:
        """See `View`."""
        if text and text != self._noticed:
            complain(text)
        self._noticed = text

    def tick(self, health: Mapping[str, Any]) -> None:
        """See `View`."""
