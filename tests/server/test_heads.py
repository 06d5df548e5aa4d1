"""Heads and bodies of answers as they reach a transport: whole, in order, and no later than the loop's next turn."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from tbbridge.server.heads import HeadWithBody


class Wire:
    """What a transport was given, one element a call; raises as uvloop's does when it is written to after its close."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        if self.closed:
            raise RuntimeError("closed")
        self.calls.append(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        self.write(b"".join(parts))

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


@pytest.fixture
async def held() -> tuple[Any, Wire]:
    wire = Wire()
    transport: Any = wire
    return HeadWithBody(transport, asyncio.get_running_loop()), wire


async def test_a_head_and_what_follows_at_once_are_one_write_and_the_rest_is_not_held(held):
    answer, wire = held
    for part in (b"head ", b"body", b"more"):
        answer.write(part)
    assert wire.calls == [b"head body", b"more"]
    await asyncio.sleep(0)
    assert wire.calls == [b"head body", b"more"]


async def test_a_head_whose_body_is_still_to_come_is_sent_in_the_next_turn(held):
    answer, wire = held
    answer.write(b"head")
    assert wire.calls == []
    await asyncio.sleep(0)
    assert wire.calls == [b"head"]
    answer.write(b"event")
    assert wire.calls == [b"head", b"event"]


async def test_a_close_sends_what_is_held_first(held):
    answer, wire = held
    answer.write(b"head")
    answer.close()
    assert (wire.calls, answer.is_closing()) == ([b"head"], True)


async def test_nothing_is_written_to_a_connection_that_was_cut_off_meanwhile(held):
    answer, wire = held
    answer.write(b"head")
    wire.close()
    await asyncio.sleep(0)
    assert wire.calls == []
