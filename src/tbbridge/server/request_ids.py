"""A request's id, by which its answer, its problem and its log lines are found again; and what its head says of its sender.

The sender may choose the id (`X-Request-ID`), else it is made. It is known to whatever runs on the request's behalf without
being handed down, threads included. Nothing here may cost a request more than a microsecond or two. Imports nothing but the
standard library: the log's format (commands/console.py) asks it too. The path begins in edge.py.
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final, NamedTuple

from tbbridge import limits

HEADER: Final = b"x-request-id"
CLIENT_HEADER: Final = b"tbbridge-client"

# What is sane in a header, a log line, a shell and a URL alike: UUIDs, trace ids, and what proxies make.
_SANE: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._~:+/=@-]{0,%d}" % (limits.REQUEST_ID_MAX_BYTES - 1))
_REPORT: Final = re.compile(rb"id=([!-:<-~]{1,%d}); ?dropped=([0-9]{1,15}); ?spooled=([0-9]{1,15})" % limits.WRITER_MAX_BYTES)


class ClientReport(NamedTuple):
    """What a client says of itself: values since it began that it dropped, and that it spooled to its own disk."""

    client: bytes
    dropped: int
    spooled: int


class RequestNote:
    """What is noted of one request."""

    __slots__ = ("code", "id", "report")

    def __init__(self, request_id: str, report: ClientReport | None) -> None:
        self.id = request_id
        self.report = report
        self.code = ""  # of the problem it was answered with


_current: ContextVar[RequestNote | None] = ContextVar("tbbridge_request", default=None)
_numbers = itertools.count(1)
_process: Final = secrets.token_hex(4)  # so that ids of two processes, or of two starts, are never the same


def begin(headers: Iterable[tuple[bytes, bytes]]) -> RequestNote:
    """Note a request that has just come, for all that runs in this context from now on."""
    chosen, report = "", None
    for name, value in headers:
        if name == HEADER:
            chosen = value.decode("ascii") if _SANE.fullmatch(value) else ""
        elif name == CLIENT_HEADER:
            report = _read_report(value)
    note = RequestNote(chosen or f"{_process}-{next(_numbers):x}", report)
    _current.set(note)
    return note


def current_id() -> str:
    """The id of the request on whose behalf this runs; empty if there is none."""
    note = _current.get()
    return "" if note is None else note.id


def note_problem(code: str) -> None:
    """Note that the current request, if there is one, is answered with the error `code`."""
    note = _current.get()
    if note is not None:
        note.code = code


def _read_report(value: bytes) -> ClientReport | None:
    """None for what is no report: it is only a courtesy, and no reason to refuse points."""
    found = _REPORT.fullmatch(value)
    return None if found is None else ClientReport(found[1], int(found[2]), int(found[3]))
