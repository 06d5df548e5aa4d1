"""More writes than the bridge can take: one too many is refused at once, unparsed; whatever is not surely a write is parsed."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tbbridge import limits
from tbbridge.server import overload
from tbbridge.server import serve as serve_module
from tbbridge.server.connections import Connections
from tbbridge.server.protocols import protocol_class
from tbbridge.server.serve import bind
from tbbridge.v1 import write_pb2 as pb

KEEP_ALIVE_S = 20
WRITE = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
WHOLE = WRITE + b"Content-Length: 2\r\n\r\n{}"

LOOKED_AT = {
    "another method": b"GET /api/v1/write HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "another path": b"POST /api/v1/writes HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "an old client's": b"POST /data HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}",
    "half a head": WRITE,
    "more than one": WHOLE + WHOLE,
    "no length": WRITE + b"\r\n",
    "two lengths": WRITE + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a length that only some would find": WRITE + b"X: 1\nContent-Length: 2\r\n\r\n{}",
    "a length in a line that goes on": WRITE + b"X: 1\r\n Content-Length: 2\r\n\r\n{}",
    "a line that goes on": WRITE + b"X: 1\r\n more\r\nContent-Length: 2\r\n\r\n{}",
    "a length beyond all bounds": WRITE + b"Content-Length: 99999999\r\n\r\n{}",
    "a long head": WRITE + b"X: " + b"x" * 2048 + b"\r\nContent-Length: 2\r\n\r\n{}",
    "a length that is none": WRITE + b"Content-Length: +2\r\n\r\n{}",
    "chunks": WRITE + b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
    "one that wants to close": WRITE + b"Connection: close\r\nContent-Length: 2\r\n\r\n{}",
    "one that waits to send": WRITE + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    "nothing": b"",
}


@pytest.mark.parametrize("data", LOOKED_AT.values(), ids=LOOKED_AT.keys())
def test_what_is_not_surely_one_write_is_looked_at_properly(data):
    assert overload.refusal_of(data) is None


@pytest.mark.parametrize("query", [b"", b"?partial=true"])
def test_a_refusal_is_a_problem_in_the_senders_form(query):
    in_json, left = overload.refusal_of(WHOLE.replace(b"/write", b"/write" + query))
    assert not left
    head, _, body = in_json.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 ")
    assert b"content-length: %d" % len(body) in head
    assert b"retry-after: " in head
    assert b"x-content-type-options: nosniff" in head
    assert json.loads(body)["code"] == "queue-full"
    in_protobuf = overload.refusal_of(WHOLE.replace(b"application/json", b"application/x-protobuf"))
    assert pb.Problem.FromString(in_protobuf.answer.partition(b"\r\n\r\n")[2]).code == "queue-full"


def test_senders_that_keep_their_connection_are_refused_at_once_too():
    """Most HTTP libraries say so in each request, though HTTP/1.1 means it anyway."""
    assert overload.refusal_of(WRITE + b"Connection: keep-alive\r\nContent-Length: 2\r\n\r\n{}") is not None


def test_how_much_of_a_body_is_still_to_come():
    assert overload.refusal_of(WRITE + b"Content-Length: 70000\r\n\r\n{}").left_bytes == 69_998


class Holding:
    """A server whose app keeps its requests until told to go on; it answers with the length of the body."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun = 0
        self.news = asyncio.Event()
        self.refused: Counter[str] = Counter()
        self.connections = Connections(100, 100, self.refused)
        self.port = 0

    async def app(self, scope, receive, send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        self.begun += 1
        self.news.set()
        await self.go_on.wait()
        body = b"%d" % size
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
        await send({"type": "http.response.body", "body": body})

    async def until_begun(self, count: int) -> None:
        while self.begun < count:
            self.news.clear()
            await self.news.wait()

    @asynccontextmanager
    async def open(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@asynccontextmanager
async def holding():
    held = Holding()
    config = uvicorn.Config(
        held.app,
        interface="asgi3",
        http=protocol_class(held.connections),
        ws="none",
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    ready = asyncio.Event()
    server = serve_module._Server(config, held.connections, None, ready.set, lambda: None)
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await ready.wait()
        held.port = listener.getsockname()[1]
        try:
            yield held
        finally:
            held.go_on.set()
            server.should_exit = True
            await running


@pytest.fixture
async def busy(monkeypatch):
    """A server that takes one request at a time, and has it."""
    monkeypatch.setattr(limits, "REQUESTS_MAX", 1)
    async with holding() as held, held.open() as (_, writer):
        writer.write(WHOLE)
        await held.until_begun(1)
        yield held
        held.go_on.set()


async def status_of(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


async def test_one_too_many_is_refused_at_once_and_taken_later_on_the_same_connection(busy):
    async with busy.open() as (reader, writer):
        for count in (1, 2):
            writer.write(WHOLE)
            assert (await status_of(reader))[0] == 429
            assert busy.refused == {"overload": count}
        busy.go_on.set()
        while busy.connections.under_way:
            await asyncio.sleep(0)
        writer.write(WHOLE)
        assert await status_of(reader) == (200, b"2")


async def test_a_write_in_the_middle_of_a_body_is_a_part_of_the_body(busy):
    """Else a sender could have the bridge answer what was never asked, and take the answer for another's."""
    async with busy.open() as (reader, writer):
        other = WRITE.replace(b"/api/v1/write", b"/api/v1/other")  # which is not refused
        writer.write(other + b"Content-Length: %d\r\n\r\n" % (len(WHOLE) + 1))
        while busy.connections.under_way < 2:
            await asyncio.sleep(0)
        writer.write(WHOLE)
        await asyncio.sleep(0.05)  # so that it arrives as a piece of its own; if it does not, less is tested
        writer.write(b"!")
        await busy.until_begun(2)
        busy.go_on.set()
        assert await status_of(reader) == (200, b"%d" % (len(WHOLE) + 1))
    assert not busy.refused


async def test_a_write_behind_half_a_head_is_a_part_of_the_head(busy):
    async with busy.open() as (reader, writer):
        writer.write(b"POST /else HTTP/1.1\r\nX-Long: ")
        await asyncio.sleep(0.05)  # as above
        writer.write(WHOLE.replace(b"\r\n", b" ", 1))
        await busy.until_begun(2)
        busy.go_on.set()
        assert await status_of(reader) == (200, b"2")
    assert not busy.refused


async def test_whoever_goes_away_while_waiting_is_not_counted_any_more(busy):
    async with busy.open() as (_, writer):
        writer.write(WHOLE.replace(b"/api/v1/write", b"/api/v1/other"))  # which is not refused
        await busy.until_begun(2)
        assert busy.connections.under_way == 2
    while busy.connections.under_way == 2:
        await asyncio.sleep(0)
    busy.go_on.set()
    while busy.connections.under_way:
        await asyncio.sleep(0)


PART = WRITE + b"Content-Length: 100000\r\n\r\n"  # a head, whose body comes later


async def test_a_body_that_is_still_to_come_is_read_past_and_its_connection_stays_usable(busy):
    async with busy.open() as (reader, writer):
        writer.write(PART)
        while not busy.refused:
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):  # many senders take an answer for a failure before they have sent all
            await asyncio.wait_for(reader.read(1), 0.05)
        body = WHOLE * (100_000 // len(WHOLE) + 1)  # looks like requests, and is none
        writer.write(body[:100_000])
        assert (await status_of(reader))[0] == 429
        busy.go_on.set()
        while busy.connections.under_way:
            await asyncio.sleep(0)
        writer.write(WHOLE)
        assert await status_of(reader) == (200, b"2")
    assert busy.refused == {"overload": 1}


async def test_a_request_that_comes_with_the_end_of_a_refused_body_is_a_request(busy):
    async with busy.open() as (reader, writer):
        writer.write(PART)
        while not busy.refused:
            await asyncio.sleep(0)
        writer.write(b"x" * 100_000 + WHOLE.replace(b"/api/v1/write", b"/api/v1/other"))
        assert (await status_of(reader))[0] == 429
        await busy.until_begun(2)
        busy.go_on.set()
        assert await status_of(reader) == (200, b"2")


async def test_a_refused_body_that_never_ends_is_waited_for_as_long_as_one_that_is_taken(busy):
    async with busy.open() as (reader, writer):
        writer.write(PART)
        while not busy.refused:
            await asyncio.sleep(0)
        now = asyncio.get_running_loop().time()
        busy.connections.look(now + limits.BODY_READ_TIMEOUT_S - 1)
        writer.write(b"x" * 1000)
        await asyncio.sleep(0.05)
        assert len(busy.connections) == 2
        busy.connections.look(now + limits.BODY_READ_TIMEOUT_S + 1)
        assert (await status_of(reader))[0] == 429
        assert not await reader.read(1), "the connection is closed"
    assert busy.refused == {"overload": 1, "body-timeout": 1}


async def test_a_connection_that_was_refused_and_sends_nothing_more_is_closed_like_any_idle_one(busy):
    async with busy.open() as (reader, writer):
        writer.write(WHOLE)
        assert (await status_of(reader))[0] == 429
        now = asyncio.get_running_loop().time()
        busy.connections.look(now + KEEP_ALIVE_S - 1)
        assert len(busy.connections) == 2
        busy.connections.look(now + KEEP_ALIVE_S + 1)
        assert not await reader.read(1)


async def test_a_refused_connection_is_not_closed_while_its_next_request_is_worked_on(busy):
    async with busy.open() as (reader, writer):
        writer.write(WHOLE)
        assert (await status_of(reader))[0] == 429
        writer.write(WHOLE.replace(b"/api/v1/write", b"/api/v1/other"))
        await busy.until_begun(2)
        busy.connections.look(asyncio.get_running_loop().time() + KEEP_ALIVE_S + 1)
        busy.go_on.set()
        assert await status_of(reader) == (200, b"2")


# --- a burst, and a queue that stands ---------------------------------------------------------------------------------


def test_a_burst_may_fill_all_places_and_a_standing_queue_an_eighth_of_them():
    connections = Connections(5000, 5000, Counter())
    connections.under_way = limits.REQUESTS_MAX - 1
    assert not connections.is_overloaded(0.0)
    connections.under_way += 1
    now = 0.0
    while now <= limits.OVERLOAD_BURST_S:
        assert connections.is_overloaded(now)
        connections.note_overload(now)
        connections.under_way = limits.REQUESTS_MAX - 1
        assert not connections.is_overloaded(now), "still a burst"
        connections.under_way = limits.REQUESTS_MAX
        now += 0.1
    connections.note_overload(now)
    connections.under_way = limits.REQUESTS_STANDING_MAX
    assert connections.is_overloaded(now)
    connections.under_way -= 1
    assert not connections.is_overloaded(now)


def test_after_a_pause_without_refusals_all_places_are_there_again():
    connections = Connections(5000, 5000, Counter())
    connections.under_way = limits.REQUESTS_STANDING_MAX
    for tenth in range(20):
        connections.note_overload(tenth / 10)
    assert connections.is_overloaded(2.0)
    pause = 1.9 + limits.OVERLOAD_PAUSE_S
    assert not connections.is_overloaded(pause)
    connections.note_overload(pause)
    assert not connections.is_overloaded(pause), "a new burst begins"


@pytest.mark.parametrize("is_full", [True, False])
def test_few_writes_are_too_many_while_the_queue_behind_them_is_full_and_refuses(is_full):
    connections = Connections(5000, 5000, Counter())
    connections.is_queue_full = lambda: is_full
    connections.under_way = 3
    assert not connections.is_overloaded(0.0), "nothing was refused yet"
    connections.note_overload(0.0)
    assert connections.is_overloaded(0.1) is is_full
