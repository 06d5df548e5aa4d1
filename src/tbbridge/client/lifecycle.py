"""The ends of a process: what the senders of all clients do when the interpreter exits, and when the process forks.

At exit each drains, all within one bound. In a forked child each starts afresh: what waited is the parent's to send.
"""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.util
import os
import threading
import time
import weakref
from typing import Protocol

from tbbridge import limits


class Sender(Protocol):
    """What the end of a process needs of a sender."""

    def drain_at_exit(self, deadline: float) -> None:
        """Send what is left until `deadline` on the monotonic clock, then say what could not be sent."""

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
    if multiprocessing.parent_process() is not None and _registry.pid_at_exit_of != os.getpid():
        # A forked worker of multiprocessing leaves by os._exit: it runs these finalizers, and no atexit.
        _registry.pid_at_exit_of = os.getpid()
        multiprocessing.util.Finalize(None, _drain_all, exitpriority=100)


def retire(sender: Sender) -> None:
    """`sender` has nothing left to send."""
    _registry.active.discard(sender)


def _drain_all() -> None:
    deadline = time.monotonic() + limits.CLIENT_CLOSE_TIMEOUT_S
    senders = list(_registry.active)
    for sender in senders:
        sender.hurry()
    for sender in senders:
        sender.drain_at_exit(deadline)


def _in_child() -> None:
    _registry.lock = threading.Lock()
    _registry.active.clear()
    for sender in list(_registry.known):
        sender.forget()


atexit.register(_drain_all)
if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_in_child)
