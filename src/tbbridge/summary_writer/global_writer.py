"""One writer for all modules, threads and forked processes of a program, which counts the steps itself.

TensorBoard shows a tag rightly only if its points stand in one file in the order of their steps. So one process writes, the one
that made the writer; its children send what they log through a pipe, and a thread of the owner gives each value the next step
of its tag. A child's call returns when the pipe has the value, so none is lost when the child ends. A child that is killed
while it sends takes the pipe's lock with it and leaves half a message: nobody waits without a bound for the lock or the thread.
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
from typing import ClassVar, Final

from tbbridge import convert
from tbbridge.client.values import Number, Step, as_float, as_wall_time
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem, TBBridgeError
from tbbridge.kinds import Summary, Text
from tbbridge.summary_writer.writer import SummaryWriter

logger = logging.getLogger("tbbridge.summary_writer")

_SEND_WAIT_S: Final = 30.0  # a child, for the others that send
_CLOSE_WAIT_S: Final = 2.0  # the owner, for a child in the middle of a message; and again for its own thread then
_DRAIN_WAIT_S: Final = 60.0  # the owner, for its thread, when all messages are whole and only the disk can be slow
_POLL_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Value:
    """One logged value, checked, on its way to the owner."""

    tag: str
    content: float | Summary
    walltime: float | None


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
        token: str | None = None,
        mode: str | None = None,
    ) -> None:
        self.smw = SummaryWriter(
            logdir,
            comment,
            purge_step,
            max_queue,
            flush_secs,
            filename_suffix,
            write_to_disk,
            log_dir,
            run=run,
            token=token,
            mode=mode,
        )
        self._steps: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._logdir = self.smw.logdir
        reader, self._pipe = multiprocessing.Pipe(duplex=False)
        self._reader: Connection | None = reader
        self._pipe_lock = multiprocessing.get_context("spawn").Lock()  # which forked processes can use as well
        self._ending = threading.Event()  # the thread takes what is in the pipe, and ends
        self._given_up = threading.Event()  # the thread takes nothing more
        self._thread = threading.Thread(
            target=_receive,
            args=(reader, weakref.WeakMethod(self._write), self._ending, self._given_up),
            name="tbbridge-global-writer",
            daemon=True,
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
        try:
            self._end_thread()
        finally:
            if GlobalSummaryWriter._shared is self:
                GlobalSummaryWriter._shared = None
            self.smw.close()

    def _end_thread(self) -> None:
        has_lock = self._pipe_lock.acquire(timeout=_CLOSE_WAIT_S)
        try:
            self._ending.set()
            self._thread.join(_DRAIN_WAIT_S if has_lock else _CLOSE_WAIT_S)
            if self._thread.is_alive():
                self._given_up.set()
                self._pipe.close()  # so that the rest of half a message does not come for ever, once the children have ended
            if self._thread.is_alive() or not has_lock:
                logger.warning(
                    "a process was killed, or is stuck, while it sent to the global writer of %s; what it sent last is lost",
                    self._logdir,
                )
        finally:
            if has_lock:
                self._pipe_lock.release()

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
            if not self._pipe_lock.acquire(timeout=_SEND_WAIT_S):
                raise RuntimeError(
                    f"the way to the global writer of {self._logdir} is blocked, probably by a process that was killed while it"
                    " logged; the value is not logged: restart the program, and let its processes end by themselves"
                )
            try:
                self._pipe.send(value)
            finally:
                self._pipe_lock.release()
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


def _receive(
    pipe: Connection,
    write: Callable[[], Callable[[_Value], None] | None],
    ending: threading.Event,
    given_up: threading.Event,
) -> None:
    """The owner's thread: write what the children send, until the end is told or the writer is gone."""
    try:
        while True:
            is_last = ending.is_set()  # before the look into the pipe, which holds all there will be then
            if not pipe.poll(0 if is_last else _POLL_S):
                if is_last or write() is None:
                    return
                continue
            value: _Value = pipe.recv()
            target = write()
            if target is None or given_up.is_set():
                return
            try:
                target(value)
            except TBBridgeError as error:  # it has been queued; the owner's next call raises the same
                logger.warning("a value from another process: %s", error)
            del target  # or the writer would live until the next value
    except (EOFError, OSError):  # the last process ended, perhaps in the middle of a message
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
