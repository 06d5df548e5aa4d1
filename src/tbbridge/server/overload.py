"""What is said to a write that comes while too many requests are under way: no, not now; at a tenth of the cost of a yes.

Saying no through the whole of HTTP, routes and problems costs half as much as journalling a point. Asked for twice what it can
do, a bridge that said no in that way would do nothing else. So connections.py asks here before anything is parsed; a request
that is not at hand as a whole, or is any other than a write of ours, takes the usual way. Such an answer has no request id.
"""

from __future__ import annotations

from typing import Final

from tbbridge.errors import QueueFull
from tbbridge.server.answers import JSON, PROTOBUF, Answer, Form, problem

REASON: Final = "overload"  # under which they are counted

_WRITE: Final = (b"POST /api/v1/write ", b"POST /api/v1/write?")
_MESSAGE: Final = "the bridge has as many requests under way as it takes; nothing of this one was taken, send it again"


def raw(answer: Answer) -> bytes:
    """An answer as it goes over the wire without uvicorn's help; the connection stays open."""
    lines = [b"HTTP/1.1 429 Too Many Requests"]
    lines += [name + b": " + value for name, value in answer.raw_headers]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


def _refusal(form: Form) -> bytes:
    return raw(problem(QueueFull(_MESSAGE), form))


_IN_JSON: Final = _refusal(JSON)
_IN_PROTOBUF: Final = _refusal(PROTOBUF)


def refusal_of(data: bytes) -> bytes | None:
    """The answer to `data` if it is one whole write request and nothing else; None: it has to be looked at properly."""
    if not data.startswith(_WRITE):
        return None
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    length = rest.partition(b"\r\n")[0].strip()
    if not found or not length.isdigit() or len(length) > 9 or end + 4 + int(length) != len(data):
        return None
    if b"\r\nconnection:" in head or b"\r\nexpect:" in head or b"\r\ntransfer-encoding:" in head:
        return None
    return _IN_PROTOBUF if b"protobuf" in head else _IN_JSON
