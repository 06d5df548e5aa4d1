"""The live feed as a client reads it: Server-Sent Events taken apart. What the events say is in docs/live.md.

Pure: bytes in, events out. remote.py makes the call; whoever wants to be told everything comes back with the last `id`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from tbbridge import limits
from tbbridge.errors import Unavailable

EVENT_STREAM: Final = "text/event-stream"


class LiveEvent(NamedTuple):
    """One event: `name` says what kind, `data` what is in it; with `id` the feed is resumed behind it."""

    id: str
    name: str
    data: Mapping[str, Any]


def read_events(pieces: Iterable[bytes]) -> Iterator[LiveEvent]:
    """The events of a stream that comes in pieces. Raises `Unavailable` for what is no stream of ours."""
    last_id = name = ""
    data: list[bytes] = []
    for line in _lines(pieces):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if line == b"":
            if data:
                yield LiveEvent(last_id, name or "message", _parsed(b"\n".join(data)))
            name, data = "", []
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"data":
            data.append(value)
        elif field == b"id" and b"\0" not in value:
            last_id = value.decode(errors="replace")


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Lines without their ends, which are any of those that the standard allows."""
    rest = b""
    for piece in pieces:
        rest += piece
        if len(rest) > limits.CLIENT_EVENT_MAX_BYTES:
            raise Unavailable(f"a line of the feed has over {limits.CLIENT_EVENT_MAX_BYTES} bytes; is that a tbbridge server?")
        held = rest.endswith(b"\r")  # its newline may come with the next piece
        text = rest[:-1] if held else rest
        *whole, rest = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        if held:
            rest += b"\r"
        yield from whole


def _parsed(data: bytes) -> Mapping[str, Any]:
    try:
        said = json.loads(data)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise Unavailable("what came is no event of a tbbridge server; does a proxy on the way change answers?")
    return said
