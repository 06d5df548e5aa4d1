"""How a program ends, as far as it can be known while it does: what makes a run finished or failed.

An exception that ends the program is where `sys.last_value` says. Not `SystemExit`: the interpreter takes the exit code out of
it, drops it and tells nobody. So `sys.exit` is wrapped from the first log call on, and hangs a mark on what it raises. The mark
dies with its exception: with a frame of Python's below, if somebody caught it and the program goes on; with none, if the
interpreter has it, and ends the program. What `raise SystemExit(4)` means is not known, nor what is kept alive by a cycle.
"""

from __future__ import annotations

import functools
import sys
import threading
from typing import Any

from tbbridge.model import RunStatus


class _Exit:
    """What is known of the exit; `is_watched` once `sys.exit` is wrapped."""

    is_watched = False
    is_failure = False


class _Mark:
    """Hangs on a `SystemExit` with the code of a failure."""

    __slots__ = ()

    def __del__(self) -> None:
        is_dropped_by_interpreter = sys._getframe().f_back is None  # noqa: SLF001 - CPython's own way to ask for the caller
        if is_dropped_by_interpreter and threading.get_ident() == threading.main_thread().ident:
            _Exit.is_failure = True


def watch_for_exit() -> None:
    """From now on `sys.exit` is noticed. Whoever wrapped it before us, or does so later, still has his say."""
    if _Exit.is_watched:
        return
    _Exit.is_watched = True
    leave = sys.exit

    @functools.wraps(leave)
    def marking(*code: Any) -> Any:
        try:
            return leave(*code)
        except SystemExit as error:
            if status_after(error) is RunStatus.FAILED:
                error.__dict__["_tbbridge_mark"] = _Mark()
            raise

    sys.exit = marking


def status_after(error: BaseException | None) -> RunStatus:
    """How that ended which `error` left: well without one, and by `sys.exit` with the code 0."""
    ended_well = error is None or (isinstance(error, SystemExit) and not error.code)
    return RunStatus.FINISHED if ended_well else RunStatus.FAILED


def status_now() -> RunStatus:
    """How a program ends that ends now: failed by an exception that nobody caught, as far as can be known, or well."""
    if hasattr(sys, "ps1"):  # at a prompt, where what nobody caught ends nothing
        return status_after(sys.exception())
    if _Exit.is_failure:
        return RunStatus.FAILED
    return status_after(sys.exception() or getattr(sys, "last_value", None))
