"""The client's side of the live feed: Server-Sent Events in whatever pieces they come."""

from __future__ import annotations

import pytest

from tbbridge import limits
from tbbridge.client.live import LiveEvent, read_events
from tbbridge.errors import Unavailable

STREAM = b"""\
retry: 1000
id: e-1
event: hello
data: {"resumed":false}

:

event: points
data: {"columns":[]}

id: e-3
event: note
data: {"text":
data: "a: b"}

:a comment
data: {}

event: nothing

"""
EVENTS = [
    LiveEvent("e-1", "hello", {"resumed": False}),
    LiveEvent("e-1", "points", {"columns": []}),
    LiveEvent("e-3", "note", {"text": "a: b"}),
    LiveEvent("e-3", "message", {}),
]


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_events_are_read_from_pieces_of_any_size_with_any_line_ends(size: int, end: bytes) -> None:
    raw = STREAM.replace(b"\n", end) + b"data: {} without an end"
    assert list(read_events(raw[start : start + size] for start in range(0, len(raw), size))) == EVENTS


@pytest.mark.parametrize("data", [b"<html>", b"[1]", b"\xff"])
def test_what_is_no_event_of_ours_is_refused(data: bytes) -> None:
    with pytest.raises(Unavailable, match="no event of a tbbridge server"):
        list(read_events([b"data: " + data + b"\n\n"]))


def test_a_line_without_an_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT_EVENT_MAX_BYTES", 100)
    with pytest.raises(Unavailable, match="over 100 bytes"):
        list(read_events([b"data: " + b"x" * 60, b"y" * 60]))
