"""One run's log calls. They check what the user gave, append it and return; nothing here waits, sends or fails with the server.

Two ways to log, which may be mixed. Without a step, as in lapiz: the points of the current step form a frame, which goes to the
backlog when the step ends (`step`, `send`, `save`, `close`, `client.flush`) or grows large, because `wall_time` may still
set the time of all of it. With a step: the point goes to the backlog at once, and `add_scalars` as one row, once its tags are
known. The path continues in backlog.py.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from logging import INFO
from time import time as now
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, get_args

from numpy.typing import ArrayLike

from tbbridge import limits
from tbbridge.client.backlog import Backlog, Note
from tbbridge.client.endings import status_after
from tbbridge.client.kinds import KindCalls
from tbbridge.client.points import Point, RowForm
from tbbridge.client.values import HistogramDict, Number, Step, as_array, as_buckets, as_float, as_step, as_wall_time
from tbbridge.convert.arrays import described
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.events.histograms import bucketize
from tbbridge.logs.levels import read_level
from tbbridge.model import (
    INT64_MAX,
    Buckets,
    LogRecord,
    RunName,
    RunStatus,
    Summary,
    TagName,
    Text,
    check_shown_names,
    run_name,
)

if TYPE_CHECKING:
    from tbbridge.client.base import BaseClient

# lapiz's: what a call that names no tag means.
DEFAULT_SCALAR_TAG: Final = "accuracy"
DEFAULT_HISTOGRAM_TAG: Final = "weights"

_FRAME_POINTS: Final = limits.CLIENT_FRAME_MAX_POINTS
_STEP_MIN: Final = -INT64_MAX - 1
_STEP_MAX: Final = INT64_MAX
# A log record belongs to a run as a whole.
_NO_TAG: Final = TagName("")
_ENDS: Final = (RunStatus.FINISHED, RunStatus.FAILED)


class _Forms(dict[tuple[str, ...], RowForm]):
    """The forms of rows by their tags."""

    last: RowForm | None = None  # the one used last


class _NoMoreCalls(dict[Any, Any]):
    """Takes the place of what a closed run knew of its tags, so that an open one pays nothing for the check."""

    last: RowForm | None = None

    def __init__(self, message: str) -> None:
        super().__init__()
        self._message = message

    def __getitem__(self, tag: object) -> NoReturn:
        raise RuntimeError(self._message)


class Run(KindCalls):
    """Logs one run. Made by `client.run`; a context manager that sends what is left and says how the run ended.

    Log calls may come from any thread, cost about a microsecond, and raise `InvalidItem` (a ValueError) only for what is wrong
    in the call itself. After `close` they raise RuntimeError. TensorBoard keeps scalars as 32-bit floats.
    """

    def __init__(self, client: BaseClient[Any], name: str, step: Step = 0) -> None:
        self._client = client  # keeps the client, and so its sender, as long as the run
        self._name = self._named(_checked_name(name))
        self._backlog: Backlog = client.outbox.backlog
        self._points = self._backlog.points
        self._step = as_step(step)
        self._series: dict[str, int] = {}
        self._forms: _Forms | _NoMoreCalls = _Forms()
        self._shown: dict[TagName, tuple[str, str]] = {}
        self._frame: list[Point] = []
        self._frame_notes: list[Note] = []
        self._frame_notes_bytes = 0
        self._wall_time: float | None = None
        self._is_used = False  # something was logged here that makes it a run
        self._lock = threading.RLock()  # reentrant: the collector may run another method of ours inside
        client.outbox.begin_run(self._name)

    def _named(self, name: str) -> RunName:
        """The checked name under which the values travel."""
        return run_name(name)

    # --- what to log --------------------------------------------------------------------------------------------------

    def add_scalar(
        self,
        tag: str = DEFAULT_SCALAR_TAG,
        value: Number | None = None,
        step: Step | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log one number: Python's, numpy's, or a one-element array or tensor.

        `step` and `wall_time` (seconds since 1970) default to the run's step and the time of this call.
        """
        if type(value) is not float:
            value = as_float(value, tag)
        try:
            series = self._series[tag]
        except (KeyError, TypeError):
            series = self._new_series(tag)
        if step is None and wall_time is None:
            frame = self._frame
            frame.append((series, value, self._step, now()))
            if len(frame) >= _FRAME_POINTS:
                self._hand_over()
            return
        if step is None:
            step = self._step
        elif type(step) is not int or not _STEP_MIN <= step <= _STEP_MAX:
            step = as_step(step)
        if self._frame:
            self._hand_over()  # logged before this point, so it must arrive before it
        self._points.append((series, value, step, now() if wall_time is None else as_wall_time(wall_time)))
        if len(self._points) > self._backlog.level:
            self._backlog.rise()

    def add_scalars(self, values: Mapping[str, Number], step: Step | None = None, wall_time: float | None = None) -> None:
        """Log several numbers, {tag: value}, of one step and one time."""
        if step is None and wall_time is None:
            for tag, value in values.items():
                self.add_scalar(tag, value)
            return
        at_step = self._step if step is None else as_step(step)
        at = now() if wall_time is None else as_wall_time(wall_time)
        if type(values) is not dict:
            self._add_points(values, at_step, at)
        elif not self._add_row(values, at_step, at):
            self._add_points(values, at_step, at)
            self._learn_form(tuple(values))

    def _add_row(self, values: dict[str, Number], step: int, wall_time: float) -> bool:
        """The quick way for tags that were logged together before: a hundred take half the time of as many points."""
        tags = tuple(values)
        forms = self._forms
        form = forms.last
        if form is None or form.tags != tags:  # the same strings are equal at a glance; looking them up takes each one's hash
            try:
                form = forms.last = forms[tags]
            except KeyError:
                return False
        packed = form.packed(values.values())
        if packed is None:
            return False
        if self._frame:
            self._hand_over()  # logged before this row, so it must arrive before it
        self._backlog.extend([(form.series, packed, step, wall_time), *form.nones])
        return True

    def _add_points(self, values: Mapping[str, Number], step: int, wall_time: float) -> None:
        points: list[Point] = []
        try:
            for tag, value in values.items():
                number = value if type(value) is float else as_float(value, tag)
                try:
                    series = self._series[tag]
                except (KeyError, TypeError):
                    series = self._new_series(tag)
                points.append((series, number, step, wall_time))
        finally:  # those before a wrong one are logged
            if points:
                if self._frame:
                    self._hand_over()
                self._backlog.extend(points)

    def _learn_form(self, tags: tuple[str, ...]) -> None:
        forms, known = self._forms, self._series
        if tags in forms or not 1 < len(tags) <= self._backlog.row_max_points:
            return
        series = {known[tag] for tag in tags if tag in known}
        if len(series) == len(tags):  # else another thread changed the dictionary, or closed the run
            if len(forms) >= limits.CLIENT_ROW_FORMS_KEPT:
                forms.clear()
            forms[tags] = RowForm((known[tag] for tag in tags), tags)

    def add_histogram(
        self,
        tag: str = DEFAULT_HISTOGRAM_TAG,
        weights: ArrayLike | None = None,
        histo: Buckets | HistogramDict | None = None,
        step: Step | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log how numbers are distributed: `weights`, an array of any shape, which is copied; or a ready `histo`.

        `histo` is TensorFlow's HistogramProto as a dictionary (min, max, bucket_limit, bucket; num, sum and sum_squares are
        not needed), or `Buckets`. NaN and infinities in `weights` are left out and reported once in the log.
        """
        if (weights is None) == (histo is None):
            raise InvalidItem("histogram", f"the histogram of tag {tag!a} needs weights or histo, exactly one of the two")
        content: Any
        if histo is not None:
            content = as_buckets(histo, tag)
        else:
            content = as_array(weights, f"the histogram of tag {tag!a}")
            if content.nbytes > limits.CLIENT_COPY_MAX_BYTES:
                content = bucketize(content.astype(float, copy=False))
        self._add_note(tag, content, step, wall_time)

    def add_text(self, tag: str, text: str, step: Step | None = None, wall_time: float | None = None) -> None:
        """Log a text; TensorBoard shows it as Markdown."""
        if not isinstance(text, str):
            raise InvalidItem("text", f"the text of tag {tag!a} is {described(text)}; give a str", "text")
        Text(checked_tag(tag), text)  # raises if it is too long, or no valid Unicode
        self._add_note(tag, text, step, wall_time)

    def add_summary(self, summary: Summary, step: Step | None = None, wall_time: float | None = None) -> None:
        """Log one value of any kind, made by yourself. Its own step and time count where none is given here."""
        if not isinstance(summary, get_args(Summary)):
            message = f"the summary is {described(summary)}; give a kind of tbbridge.kinds, such as Image(tag, (png,))"
            raise InvalidItem("summary", message, "summary")
        step = summary.step if step is None else step
        self._add_note(summary.tag, summary, step, summary.wall_time if wall_time is None else wall_time)

    def log(self, message: str, level: int | str = INFO, logger: str = "", wall_time: float | None = None) -> None:
        """Add a record to the run's log on the server. `level`: a number as in Python's logging, or its name.

        `tbbridge.LogHandler` does this for the standard logging module. TensorBoard shows logs only if the server says so.
        """
        if not isinstance(message, str):
            raise InvalidItem("message", f"the message is {described(message)}; give a str", "message")
        number = read_level(level) if isinstance(level, str) else as_step(level)
        moment = now() if wall_time is None else as_wall_time(wall_time)
        record = LogRecord(message, number, logger, moment)
        if isinstance(self._series, _NoMoreCalls):
            _ = self._series[""]
        self._backlog.add(Note(self._name, _NO_TAG, record, 0, moment))

    def describe(self, tag: str, display_name: str = "", description: str = "") -> None:
        """Set what TensorBoard shows for a tag: a name in its place, and Markdown. Call it before the tag's first value."""
        checked = checked_tag(tag)
        check_shown_names(display_name, description)
        self._shown[checked] = (display_name, description)
        if checked in self._series:
            self._client.outbox.series(self._name, checked, display_name, description)

    # --- steps and times ----------------------------------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The run's name, which is its folder on the server."""
        return self._name

    def step(self, number: Step | None = None) -> None:
        """End the current step and go on to the next one, or to `number`."""
        self._hand_over()
        if number is None and self._step < _STEP_MAX:
            self._step += 1
        else:
            self._step = as_step(self._step + 1 if number is None else number)

    def wall_time(self, seconds: float) -> None:
        """Set the time, in seconds since 1970, of what is logged without a step up to the end of this step; once."""
        self._wall_time = as_wall_time(seconds)

    def send(self) -> None:
        """Have the sender send all that was logged, now; returns at once. `client.flush()` waits for it."""
        self._hand_over()
        self._client.wake()

    save = send

    def finish(self, status: str = "finished") -> None:
        """Send what is left, say how the run ended ('finished' or 'failed'), and take no more; returns at once.

        The server lists it so. A run that ends in no such way, not even by the end of its program, is listed as lost.
        """
        if status not in _ENDS:
            raise InvalidItem("status", f"the status is {status!a}; give 'finished' or 'failed'", "status")
        if not isinstance(self._series, _NoMoreCalls):
            message = f"run '{self._name}' is closed; log before close(), or ask the client for the run again"
            self.end(message, RunStatus(status))
            self._client.wake()

    def close(self) -> None:
        """`finish()`. The client goes on. May be called twice."""
        self.finish()

    async def aclose(self) -> None:
        """`close` for `async with`; it does not wait either."""
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.finish(status_after(error))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish(status_after(error))

    def __del__(self) -> None:
        if getattr(self, "_lock", None) is not None:  # absent if the constructor refused its arguments
            self._hand_over()

    def __repr__(self) -> str:
        return f"<Run {self._name!r} at step {self._step}>"

    # --- for the client -----------------------------------------------------------------------------------------------

    def end(self, message: str, status: RunStatus) -> None:
        """Give the backlog what is left, and how the run ended; from now on log calls raise RuntimeError with `message`."""
        is_open = not isinstance(self._series, _NoMoreCalls)
        self._series = self._forms = _NoMoreCalls(message)
        self._hand_over()
        if is_open and self._is_used:
            self._client.outbox.end_run(self._name, status)

    def hand_over(self) -> None:
        """Give the backlog the open frame."""
        self._hand_over()

    def forget(self) -> None:
        """In a forked child: the open frame is the parent's to send, and so may the lock be."""
        self._lock = threading.RLock()
        self._is_used = False
        if not isinstance(self._series, _NoMoreCalls):
            self._series.clear()  # the first call for each tag, in the child, asks again, and so counts as use
            self._forms = _Forms()
        self._frame.clear()
        self._frame_notes.clear()
        self._frame_notes_bytes = 0
        self._wall_time = None

    def _hand_over(self) -> None:
        if not self._frame and not self._frame_notes:
            return
        with self._lock:
            # Another thread may append at any time: it appends to the same list, so nothing falls between two lists.
            frame = self._frame
            count = len(frame)
            points = frame[:count]
            del frame[:count]
            seconds, self._wall_time = self._wall_time, None
            if seconds is not None:
                points = [(series, value, step, seconds) for series, value, step, _ in points]
            self._backlog.extend(points)
            if self._frame_notes:
                self._hand_over_notes(seconds)

    def _hand_over_notes(self, seconds: float | None) -> None:
        notes, self._frame_notes = self._frame_notes, []
        self._frame_notes_bytes = 0
        for note in notes:
            self._backlog.add(note if seconds is None else replace(note, wall_time=seconds))

    def _new_series(self, tag: str) -> int:
        """The slow part of a tag's first use: check it, and ask for its number."""
        checked = checked_tag(tag)
        series = self._series
        if not isinstance(series, _NoMoreCalls):
            self._is_used = True
            series[tag] = self._client.outbox.series(self._name, checked, *self._shown.get(checked, ()))
        return series[tag]

    def _add_note(self, tag: str, content: Any, step: Step | None, wall_time: float | None) -> None:
        checked = checked_tag(tag)
        if isinstance(self._series, _NoMoreCalls):
            _ = self._series[tag]
        self._is_used = True
        number = self._step if step is None else as_step(step)
        moment = now() if wall_time is None else as_wall_time(wall_time)
        note = Note(self._name, checked, content, number, moment, *self._shown.get(checked, ()))
        if step is not None or wall_time is not None:
            self._hand_over()
            self._backlog.add(note)
            return
        with self._lock:
            self._frame_notes.append(note)
            self._frame_notes_bytes += note.size_bytes
            if self._frame_notes_bytes >= limits.CLIENT_FRAME_MAX_BYTES:
                self._hand_over()


def _checked_name(name: object) -> Any:
    if not isinstance(name, str):
        raise InvalidItem("run-name", f"the run's name is {described(name)}; a run's name is a str", "run")
    return name
