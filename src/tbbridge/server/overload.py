"""What is said to a write that comes while too many requests are under way: no, not now; at a tenth of the cost of a yes.

Saying no through the whole of HTTP, routes and problems costs half as much as journalling a point. Asked for twice what it can
do, a bridge that said no in that way would do nothing else. So protocols.py asks here before anything is parsed; a body that
is still to come is counted and thrown away. Whatever is not surely one write of ours, and told of in plain words that no two
readers of HTTP could take differently, goes the usual way. Such an answer has no request id.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from tbbridge import limits
from tbbridge.errors import QueueFull
from tbbridge.server.answers import JSON, NO_SNIFFING, PROTOBUF, Answer, Form, problem

REASON: Final = "overload"  # under which they are counted

_WRITE: Final = (b"POST /api/v1/write ", b"POST /api/v1/write?")
# Heads in which nothing but the length differs from one request to the next; a sender's own are below 400 bytes.
_HEADS_KEPT: Final = 512
_HEAD_KEPT_BYTES: Final = 2 * limits.KiB
# Each would have to be understood, and is rare in a write.
_NOT_PLAIN: Final = (b"transfer-encoding", b"\nexpect", b"\nupgrade", b"\n ", b"\n\t")
_MESSAGE: Final = "the bridge has as many requests under way as it takes; nothing of this one was taken, send it again"


def raw(answer: Answer) -> bytes:
    """An answer as it goes over the wire without uvicorn's help; the connection stays open."""
    lines = [b"HTTP/1.1 429 Too Many Requests"]
    lines += [name + b": " + value for name, value in (*answer.raw_headers, NO_SNIFFING)]
    return b"\r\n".join([*lines, b"", bytes(answer.body)])


def _refusal(form: Form) -> bytes:
    return raw(problem(QueueFull(_MESSAGE), form))


_IN_JSON: Final = _refusal(JSON)
_IN_PROTOBUF: Final = _refusal(PROTOBUF)


class Refusal(NamedTuple):
    """What a write that is not taken gets, and how much of its body has to be read past before it does."""

    answer: bytes
    left_bytes: int  # of the body, behind what is at hand


def refusal_of(data: bytes) -> Refusal | None:
    """What becomes of `data` if it is one write request, or the beginning of one; None: it has to be looked at properly."""
    if not data.startswith(_WRITE):
        return None
    end = data.find(b"\r\n\r\n") + 4
    if not 4 <= end <= _HEAD_KEPT_BYTES:
        return None
    said = _of_head(data[:end])
    if said is None:
        return None
    answer, length = said
    left = end + length - len(data)
    return Refusal(answer, left) if left >= 0 else None


@lru_cache(maxsize=_HEADS_KEPT)
def _of_head(head: bytes) -> tuple[bytes, int] | None:
    """The answer, and the body's length. Kept: a client's heads are all alike, and reading one costs as much as the rest."""
    head = head.lower()
    if head.count(b"content-length") != 1 or any(word in head for word in _NOT_PLAIN):
        return None
    if _value_in(head, b"connection") not in (None, b"keep-alive"):
        return None
    length = _value_in(head, b"content-length") or b""
    if not length.isdigit() or len(length) > 9 or int(length) > limits.BODY_MAX_BYTES:
        return None
    return (_IN_PROTOBUF if b"protobuf" in head else _IN_JSON), int(length)


def _value_in(head: bytes, name: bytes) -> bytes | None:
    _, found, rest = head.partition(b"\r\n" + name + b":")
    return rest.partition(b"\r\n")[0].strip() if found else None
