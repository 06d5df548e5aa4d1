"""What every method of `SummaryWriter` stands on: its destination, the path of scalars, steps and times, flush and close.

A point is checked, appended to the destination's queue and forgotten; encoding, files and network are a thread's work
(local.py, or a client's sender behind remote.py). Everything else becomes a kind first and goes the same way, by `_kind`.
"""

from __future__ import annotations

import contextlib
import math
import os
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from time import time as now
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from numpy.typing import NDArray

from tbbridge.client.backlog import Note
from tbbridge.client.endings import status_after
from tbbridge.client.points import Logged
from tbbridge.client.values import Number, Step, as_float, as_step, as_wall_time
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.events.histograms import Binned
from tbbridge.kinds import Buckets, Summary
from tbbridge.model import INT64_MAX, INT64_MIN, RunName, RunStatus, TagName
from tbbridge.names import check_shown_names, check_step
from tbbridge.summary_writer.export import ScalarExport
from tbbridge.summary_writer.place import find_place

# What a queue takes: a kind, or what the sender's thread makes one of (packing.py).
Content: TypeAlias = Summary | str | NDArray[Any] | Binned | Buckets

_STEP_MIN: Final = INT64_MIN
_STEP_MAX: Final = INT64_MAX


class Queue(Protocol):
    """Where log calls append; beyond `level` points they call `rise`."""

    points: deque[Logged | None]
    level: int

    def rise(self) -> None:
        """The slow part of an append."""

    def add(self, note: Note) -> None:
        """Append a value that is no scalar."""


class Destination(Protocol):
    """Local files or a bridge; see local.py and remote.py."""

    @property
    def queue(self) -> Queue:
        """Where log calls append."""

    @property
    def is_behind(self) -> bool:
        """Whether so much waits that a call had better do its own work."""

    def run_name(self, sub_run: str) -> RunName:
        """The run of this name below the writer's own, which is ''."""

    def series(self, run: RunName, tag: str, display_name: str = "", description: str = "") -> int:
        """The number of this (run, tag)."""

    def flush(self) -> None:
        """Return when everything logged so far is on a disk."""

    def close(self) -> None:
        """The same, and let go of all resources."""

    def fail(self) -> None:
        """`close`, because of an exception."""

    def reopen(self) -> None:
        """Be ready again after `close`."""

    def end(self) -> None:
        """The writer is gone without `close`."""


class Core:
    """The part of `SummaryWriter` that all its methods share; see there for the arguments."""

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None,
        comment: str,
        purge_step: Step | None,
        max_queue: int | None,
        flush_secs: float | None,
        filename_suffix: str,
        write_to_disk: bool,
        run: str | None,
        token: str | None = None,
        mode: str | None = None,
    ) -> None:
        max_queue = 10 if max_queue is None else max_queue
        flush_secs = 120.0 if flush_secs is None else flush_secs
        self.max_queue, self.flush_secs, self.filename_suffix = max_queue, flush_secs, filename_suffix
        self._now = now
        self._default_step = 0
        self._series: dict[str, int] = {}
        self._sub_series: dict[tuple[str, str], tuple[int, str]] = {}
        self._is_closed = False
        self.purge_step = None if purge_step is None else step_of(purge_step)
        self._export = ScalarExport()
        place = find_place(logdir, run, comment)
        if isinstance(place, Path) and not (token is None and mode is None):
            named = "token" if mode is None else "mode"
            raise InvalidItem(named, f"{named} is for a bridge, and logdir is the folder {str(place)!a}; leave it out", named)
        self._destination: Destination
        if isinstance(place, Path):
            self.logdir = str(place) if logdir is None or not str(logdir) else str(os.fspath(logdir))
        if not write_to_disk:
            if not isinstance(place, Path):
                self.logdir = f"{place.address or ''}/{place.run}"
            from tbbridge.summary_writer.nowhere import Nowhere  # only what is used is loaded

            self._destination = Nowhere()
        elif isinstance(place, Path):
            from tbbridge.summary_writer.local import LocalDestination

            self._destination = LocalDestination(
                place, purge_step=self.purge_step, max_queue=max_queue, flush_secs=flush_secs, suffix=filename_suffix
            )
        else:
            from tbbridge.summary_writer.remote import RemoteDestination  # httpx comes with it

            remote = RemoteDestination(
                place.address, place.run, flush_secs=flush_secs, purge_step=self.purge_step, token=token, mode=mode
            )
            self.logdir = remote.shown
            self._destination = remote
        self._attach()
        weakref.finalize(self, self._destination.end).atexit = False

    def _attach(self) -> None:
        self._series.clear()
        self._sub_series.clear()
        self._queue = self._destination.queue
        self._points = self._queue.points

    # --- scalars --------------------------------------------------------------------------------------------------------

    def add_scalar(
        self,
        tag: str,
        scalar_value: Number,
        global_step: Step | None = None,
        walltime: float | None = None,
        display_name: str | bool = "",
        summary_description: str | bool = "",
        new_style: bool = False,  # noqa: ARG002 - see below
        double_precision: bool = False,  # noqa: ARG002
    ) -> None:
        """Log one number. A display name and a description count when they come with a tag's first point.

        `new_style` and `double_precision`, which torch has in the places of the two names, change nothing: both forms show the
        same, and TensorBoard keeps scalars as 32-bit floats.
        """
        if type(scalar_value) is not float:
            scalar_value = as_float(scalar_value, tag)
        try:
            series = self._series[tag]
        except (KeyError, TypeError):
            series = self._new_series(tag, display_name, summary_description)
        if type(global_step) is not int or not _STEP_MIN <= global_step <= _STEP_MAX:
            global_step = self._default_step if global_step is None else step_of(global_step)
        self._points.append((series, scalar_value, global_step, self._now() if walltime is None else as_wall_time(walltime)))
        if len(self._points) > self._queue.level:
            self._queue.rise()

    def _new_series(self, tag: str, display_name: str | bool, description: str | bool) -> int:
        """The slow part of a tag's first use."""
        self._ensure_open()
        names = [name if isinstance(name, str) else "" for name in (display_name, description)]
        check_shown_names(*names)
        series = self._destination.series(self._destination.run_name(""), checked_tag(tag), *names)
        self._series[tag] = series
        return series

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Number],
        global_step: Step | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log several numbers to be drawn in one chart: each as the tag `main_tag` of a sub-run `main_tag/key`."""
        given: object = tag_scalar_dict
        if not isinstance(given, Mapping):
            name = type(given).__name__
            raise InvalidItem("values", f"the values of {main_tag!a} are a {name}; give a dictionary of numbers", "values")
        moment = self._now() if walltime is None else as_wall_time(walltime)
        step = self._default_step if global_step is None else step_of(global_step)
        numbers = [(key, as_float(value, key)) for key, value in tag_scalar_dict.items()]
        for key, number in numbers:
            found = self._sub_series.get((main_tag, key))
            series, shown = self._new_sub_series(main_tag, key) if found is None else found
            self._points.append((series, number, step, moment))
            self._export.add(shown, moment, step, number)
        if len(self._points) > self._queue.level:
            self._queue.rise()

    def _new_sub_series(self, main_tag: str, key: str) -> tuple[int, str]:
        self._ensure_open()
        tag = checked_tag(main_tag)
        sub_run = "/".join(part for part in f"{main_tag}/{checked_tag(key)}".split("/") if part)
        series = self._destination.series(self._destination.run_name(sub_run), tag)
        found = self._sub_series[main_tag, key] = (series, f"{self.logdir}/{sub_run}")
        return found

    def export_scalars_to_json(self, path: str | os.PathLike[str]) -> None:
        """Write what `add_scalars` logged since the last export as {sub-run: [[time, step, value], ...]}, and forget it."""
        self._export.write(path)

    # --- all other kinds ------------------------------------------------------------------------------------------------

    def _kind(self, kind: Summary, global_step: Step | None, walltime: float | None, sub_run: str = "") -> None:
        """Log one kind; its own step and time do not count."""
        self._note(kind.tag, kind, global_step, walltime, sub_run)

    def _note(
        self, tag: TagName, content: Content, global_step: Step | None, walltime: float | None, sub_run: str = ""
    ) -> None:
        step = self._default_step if global_step is None else step_of(global_step)
        moment = self._now() if walltime is None else as_wall_time(walltime)
        self._ensure_open()
        self._queue.add(Note(self._destination.run_name(sub_run), tag, content, step, moment))

    def _add_point(self, sub_run: str, tag: str, value: float, global_step: Step | None) -> None:
        """A scalar of a sub-run, by the slow path."""
        self._ensure_open()
        series = self._destination.series(self._destination.run_name(sub_run), checked_tag(tag))
        step = self._default_step if global_step is None else step_of(global_step)
        self._points.append((series, value, step, self._now()))
        if len(self._points) > self._queue.level:
            self._queue.rise()

    # --- defaults -------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def use_metadata(self, *, global_step: Step | None = None, walltime: float | None = None) -> Iterator[Self]:
        """Within the block, this step and this time are taken where a call gives none."""
        if global_step is None and walltime is None:
            raise InvalidItem("step", "use_metadata needs global_step or walltime, or both", "global_step")
        before = self._default_step, self._now
        if global_step is not None:
            self._default_step = step_of(global_step)
        if walltime is not None:
            fixed = as_wall_time(walltime)
            self._now = lambda: fixed
        try:
            yield self
        finally:
            self._default_step, self._now = before

    # --- the ends -------------------------------------------------------------------------------------------------------

    def get_logdir(self) -> str:
        """The folder, or the address and run of the bridge."""
        return self.logdir

    @property
    def log_dir(self) -> str:
        """torch's name for `logdir`."""
        return self.logdir

    def _get_file_writer(self) -> Self:  # what scripts that replace torch's add_hparams reach for
        return self

    @property
    def file_writer(self) -> Self:
        """This writer, for scripts that reach for tensorboardX's inner one (`get_logdir`, `flush`, `reopen`, `close`)."""
        return self

    def flush(self) -> None:
        """Return when everything logged so far is on the disk, here or at the bridge.

        Raises `WriteFailed` (an OSError) for a local disk that refuses; for a bridge what `Client.flush` raises.
        """
        if not self._is_closed:
            self._destination.flush()

    def close(self) -> None:
        """`flush`, and let go of files, thread and connection. May be called twice; logging again reopens."""
        if self._is_closed:
            return
        self._close(self._destination.close)

    def _close(self, close: Callable[[], None]) -> None:
        self._is_closed = True
        # Log calls then come by the slow path, which reopens.
        self._series.clear()
        self._sub_series.clear()
        close()

    def reopen(self) -> None:
        """Go on after `close`, in a new event file of the same folder. Does nothing to an open writer."""
        if self._is_closed:
            self._destination.reopen()
            self._is_closed = False
            self._attach()

    def _ensure_open(self) -> None:
        if self._is_closed:
            self.reopen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if status_after(error) is RunStatus.FAILED and not self._is_closed:
            self._close(self._destination.fail)
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.logdir!r}>"


def step_of(step: Step) -> int:
    """A step as `as_step` has it; but a fraction is cut off, as in tensorboardX and torch, whose users log parts of epochs."""
    try:
        return as_step(step)
    except InvalidItem:
        number = getattr(step, "item", lambda: step)()
        if not isinstance(number, float) or not math.isfinite(number):
            raise
        return check_step(int(number))
