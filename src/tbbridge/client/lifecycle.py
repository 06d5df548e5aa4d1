"""The ends of a process: what the senders of all clients do when the interpreter exits, when it is told to, and when it forks.

At exit each drains, all within one bound. SIGTERM, by which Slurm and others announce the end, would end the process without
a word: where nobody else handles it, points are put in the spool, sent as at exit, and then the process ends by it as before.
In a forked child each starts afresh: what waited is the parent's to send. How a program ended is endings.py's to know.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import os
import signal
import threading
import time
import weakref
from types import FrameType
from typing import Final, Protocol

from tbbridge import limits
from tbbridge.client.endings import status_now, watch_for_exit
from tbbridge.model import RunStatus

# What the thread that drains after a signal may take beyond the time for draining itself.
_GRACE_S: Final = 1.0


class Sender(Protocol):
    """What the end of a process needs of a sender."""

    def drain_at_exit(self, deadline: float, status: RunStatus, *, is_main_stopped: bool) -> None:
        """Send what is left until `deadline` on the monotonic clock, then say what could not be sent.

        The runs ended with `status`. `is_main_stopped`: the main thread waits for this, and with it all that runs there.
        """

    def keep_safe(self) -> None:
        """Put what is left in the spool, now."""

    def hurry(self) -> None:
        """Send now; returns at once."""

    def forget(self) -> None:
        """Start afresh, in a forked child."""


class _Registry:
    """Every sender, weakly; and those that may have something to send, strongly, since their client may be gone."""

    def __init__(self) -> None:
        self.known: weakref.WeakSet[Sender] = weakref.WeakSet()
        self.active: set[Sender] = set()
        self.lock = threading.Lock()
        self.pid_at_exit_of: int | None = None


_registry = _Registry()


def know(sender: Sender) -> None:
    """From now on `sender` is told of forks."""
    with _registry.lock:
        _registry.known.add(sender)


def activate(sender: Sender) -> None:
    """From now on the interpreter does not end without `sender.drain_at_exit`."""
    _registry.active.add(sender)
    _watch_for_sigterm()
    watch_for_exit()
    if multiprocessing.parent_process() is not None and _registry.pid_at_exit_of != os.getpid():
        # A forked worker of multiprocessing leaves by os._exit: it runs these finalizers, and no atexit.
        _registry.pid_at_exit_of = os.getpid()
        multiprocessing.util.Finalize(None, _at_exit, exitpriority=100)


def retire(sender: Sender) -> None:
    """`sender` has nothing left to send."""
    _registry.active.discard(sender)


def _at_exit() -> None:
    _drain_all(time.monotonic() + limits.CLIENT_CLOSE_TIMEOUT_S, status_now(), is_main_stopped=False)


def _drain_all(deadline: float, status: RunStatus, *, is_main_stopped: bool) -> None:
    senders = list(_registry.active)
    for sender in senders:
        sender.hurry()
    for sender in senders:
        sender.drain_at_exit(deadline, status, is_main_stopped=is_main_stopped)


def _watch_for_sigterm() -> None:
    """Handle SIGTERM unless somebody else does. Only the main thread can; a handler of the user's, set later, replaces ours."""
    if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _on_sigterm)


def _on_sigterm(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # whoever sends it again does not want to wait
    # In a thread of its own: the main thread may be anywhere, and hold a lock that is needed now. Then this ends in time, too.
    deadline = time.monotonic() + limits.CLIENT_CLOSE_TIMEOUT_S
    drain = threading.Thread(target=_drain_after_signal, args=(deadline,), name="tbbridge-end", daemon=True)
    drain.start()
    drain.join(deadline - time.monotonic() + _GRACE_S)
    os.kill(os.getpid(), number)


def _drain_after_signal(deadline: float) -> None:
    for sender in list(_registry.active):
        sender.keep_safe()  # before anything else: whoever sent the signal may follow it with SIGKILL
    _drain_all(deadline, RunStatus.FAILED, is_main_stopped=True)


def _in_child() -> None:
    _registry.lock = threading.Lock()
    _registry.active.clear()
    for sender in list(_registry.known):
        sender.forget()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
