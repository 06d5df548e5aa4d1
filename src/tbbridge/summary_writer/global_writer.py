"""One writer for all modules, threads and forked processes of a program, which counts the steps itself.

TensorBoard shows a tag rightly only if its points stand in one file in the order of their steps. So one process writes, the one
that made the writer; its children send what they log through a pipe, and a thread of the owner gives each value the next step
of its tag. A child's call returns when the pipe has the value, so none is lost when the child ends.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from typing import ClassVar, TypeAlias

from tbbridge import convert
from tbbridge.client.values import Number, Step, as_float, as_wall_time
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem, TBBridgeError
from tbbridge.kinds import Summary, Text
from tbbridge.summary_writer.writer import SummaryWriter

logger = logging.getLogger("tbbridge.summary_writer")


@dataclass(frozen=True, slots=True)
class _Value:
    """One logged value, checked, on its way to the owner."""

    tag: str
    content: float | Summary
    walltime: float | None


# What goes through the pipe; None ends the owner's thread.
_Message: TypeAlias = _Value | None


class GlobalSummaryWriter:
    """A `SummaryWriter` for a whole program; takes its arguments. Each tag's steps count from 0, for each kind on its own.

    Make it before the processes that use it: forked ones have it, spawned ones get it as an argument of their Process.
    `getSummaryWriter` gives every module of a process the same one.
    """

    _shared: ClassVar[GlobalSummaryWriter | None] = None

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: Step | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        coalesce_process: bool = True,  # noqa: ARG002 - tensorboardX's; it has no effect there either
        *,
        run: str | None = None,
    ) -> None:
        self.smw = SummaryWriter(
            logdir, comment, purge_step, max_queue, flush_secs, filename_suffix, write_to_disk, log_dir, run=run
        )
        self._steps: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._logdir = self.smw.logdir
        reader, self._pipe = multiprocessing.Pipe(duplex=False)
        self._reader: Connection | None = reader
        self._pipe_lock = multiprocessing.get_context("spawn").Lock()  # which forked processes can use as well
        self._thread = threading.Thread(
            target=_receive, args=(reader, weakref.WeakMethod(self._write)), name="tbbridge-global-writer", daemon=True
        )
        self._thread.start()
        self._is_closed = False
        atexit.register(_close_at_exit, weakref.ref(self))

    def add_scalar(self, tag: str, scalar_value: Number, walltime: float | None = None) -> None:
        """Log one number at the tag's next step."""
        self._log(_Value(checked_tag(tag), as_float(scalar_value, tag), _checked_time(walltime)))

    def add_image(self, tag: str, img_tensor: object, walltime: float | None = None, dataformats: str = "CHW") -> None:
        """Log one image at the tag's next step."""
        self._log(_Value(checked_tag(tag), convert.image(tag, img_tensor, dataformats, clip=True), _checked_time(walltime)))

    def add_text(self, tag: str, text_string: str, walltime: float | None = None) -> None:
        """Log one text at the tag's next step."""
        given: object = text_string
        if not isinstance(given, str):
            raise InvalidItem("text", f"the text of tag {tag!a} is of type {type(given).__name__}; give a str", "text_string")
        self._log(_Value(checked_tag(tag), Text(checked_tag(tag), text_string), _checked_time(walltime)))

    def close(self) -> None:
        """In the owner: write what all processes have logged until now, and close. In a child: nothing."""
        if os.getpid() != self._owner or self._is_closed:
            return
        self._is_closed = True
        with self._pipe_lock:
            self._pipe.send(None)
        self._thread.join()
        self.smw.close()
        if GlobalSummaryWriter._shared is self:
            GlobalSummaryWriter._shared = None

    @property
    def file_writer(self) -> SummaryWriter:
        """The writer behind it."""
        return self.smw

    @staticmethod
    def getSummaryWriter() -> GlobalSummaryWriter:  # noqa: N802 - tensorboardX's name
        """The program's writer, made at the first call, with the default log folder."""
        if GlobalSummaryWriter._shared is None:
            GlobalSummaryWriter._shared = GlobalSummaryWriter()
        return GlobalSummaryWriter._shared

    def __reduce__(self) -> tuple[type[GlobalSummaryWriter], tuple[object, ...]]:
        return _Child, (self._pipe, self._pipe_lock, self._logdir)

    def _log(self, value: _Value) -> None:
        if os.getpid() == self._owner:
            if self._is_closed:
                raise RuntimeError(f"the global writer of {self._logdir} is closed; make a new one")
            self._write(value)
            return
        if self._reader is not None:  # so that a pipe whose owner is gone breaks, and does not fill up
            self._reader.close()
            self._reader = None
        try:
            with self._pipe_lock:
                self._pipe.send(value)
        except BrokenPipeError:
            raise RuntimeError(f"the process that owns the global writer of {self._logdir} is gone or closed it") from None

    def _write(self, value: _Value) -> None:
        """In the owner: give the value its step, and queue it."""
        with self._lock:
            kind = type(value.content).__name__
            step = self._steps.get((kind, value.tag), -1) + 1
            self._steps[kind, value.tag] = step
            if isinstance(value.content, float):
                self.smw.add_scalar(value.tag, value.content, step, value.walltime)
            else:
                self.smw.add_summary(value.content, step, value.walltime)


class _Child(GlobalSummaryWriter):
    """What a spawned process gets: the way to the owner."""

    def __init__(self, pipe: Connection, pipe_lock: Lock, logdir: str) -> None:
        self._owner = 0
        self._pipe, self._pipe_lock, self._logdir = pipe, pipe_lock, logdir
        self._reader = None


def _receive(pipe: Connection, write: Callable[[], Callable[[_Value], None] | None]) -> None:
    """The owner's thread: write what the children send, until None comes or the writer is gone."""
    try:
        while (value := pipe.recv()) is not None:
            target = write()
            if target is None:
                return
            try:
                target(value)
            except TBBridgeError as error:  # it has been queued; the owner's next call raises the same
                logger.warning("a value from another process: %s", error)
            del target  # or the writer would live until the next value
    except EOFError:
        return
    finally:
        pipe.close()


def _close_at_exit(found: weakref.ref[GlobalSummaryWriter]) -> None:
    """What children have sent may still be in the pipe."""
    writer = found()
    if writer is not None:
        writer.close()


def _checked_time(walltime: float | None) -> float | None:
    return None if walltime is None else as_wall_time(walltime)
