"""Request bodies, read under limits: refused by their declared length before reading, counted while reading, decompressed to a
bound. uvicorn answers `Expect: 100-continue` when the first piece is asked for, so a body refused by its head is never sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.types import Receive, Scope

from tbbridge import limits
from tbbridge.errors import BodyTimeout, TooLarge
from tbbridge.server.service import BodyBudget, Service
from tbbridge.wire.compression import check_encoding, decompress


class SenderGone(Exception):
    """The connection closed before the body was complete: nobody is left to answer."""


class BodyHead(NamedTuple):
    """What a request's head says of its body."""

    content_type: bytes
    encoding: str
    length: int  # -1: not declared (chunked)


def read_head(scope: Scope) -> BodyHead:
    """The body's headers. Raises `UnsupportedMedia` for an encoding that is not spoken here."""
    content_type, encoding, length = b"", "", -1
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value
        elif name == b"content-length":
            length = int(value.lstrip(b"0") or b"0")  # the parser bounds the number, not its zeros; int() bounds its digits
        elif name == b"content-encoding":
            encoding = check_encoding(value.decode("latin-1"))
    return BodyHead(content_type, encoding, length)


@asynccontextmanager
async def body_of(head: BodyHead, receive: Receive, service: Service) -> AsyncIterator[bytes]:
    """The decompressed body; its bytes count in the service's budget until the block ends.

    Raises `TooLarge`, `QueueFull` (the budget), `BodyTimeout`, `MalformedBody` (decompression) and `SenderGone`.
    """
    max_bytes = service.settings.body_max_bytes
    if head.length > max_bytes:
        raise TooLarge(f"the body has {head.length} bytes, at most {max_bytes} are taken; send less at a time")
    held = _Held(service.bodies)
    try:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SenderGone
        body: bytes = message.get("body", b"")
        _check_size(len(body), max_bytes)
        held.take(len(body))
        if message.get("more_body", False):
            body = await _read_rest(body, receive, max_bytes, held)
        if head.encoding:
            body = await _decompressed(body, head.encoding, service)
            held.take(len(body))
        yield body
    finally:
        held.give_back()


class _Held:
    """One request's share of the budget."""

    def __init__(self, budget: BodyBudget) -> None:
        self.budget = budget
        self.size = 0

    def take(self, size: int) -> None:
        self.budget.take(size)
        self.size += size

    def give_back(self) -> None:
        self.budget.give_back(self.size)
        self.size = 0


def _check_size(size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise TooLarge(f"the body has over {max_bytes} bytes; send less at a time")


async def _read_rest(first: bytes, receive: Receive, max_bytes: int, held: _Held) -> bytes:
    pieces, size = [first], len(first)
    try:
        async with asyncio.timeout(limits.BODY_READ_TIMEOUT_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise SenderGone
                piece: bytes = message.get("body", b"")
                size += len(piece)
                _check_size(size, max_bytes)
                held.take(len(piece))
                pieces.append(piece)
                if not message.get("more_body", False):
                    return b"".join(pieces)
    except TimeoutError:
        waited = limits.BODY_READ_TIMEOUT_S
        raise BodyTimeout(f"the body was not complete after {waited:g} s; send less at a time, or compress it") from None


async def _decompressed(body: bytes, encoding: str, service: Service) -> bytes:
    max_bytes = service.settings.decoded_max_bytes
    if len(body) <= limits.DECOMPRESS_IN_LOOP_MAX_BYTES:
        return decompress(body, encoding, max_bytes)
    async with service.decompressions:
        return await asyncio.to_thread(decompress, body, encoding, max_bytes)
