"""Bodies over a real socket: declared, chunked, announced, cut off, too slow, too many at once."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn

from tbbridge import limits
from tbbridge.pipeline.door import Health, Receipt
from tbbridge.server.app import build_app
from tbbridge.server.serve import bind
from tbbridge.server.service import BodyBudget
from tbbridge.server.settings import ServerSettings

ONE = json.dumps({"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]}]}).encode()
HEAD = b"POST /api/v1/write HTTP/1.1\r\nHost: bridge\r\nContent-Type: application/json\r\n"


class Caller:
    """One connection, spoken by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()

    async def head(self) -> str:
        return (await self.reader.readuntil(b"\r\n\r\n")).decode()

    async def answer(self) -> tuple[int, dict[str, object]]:
        head = await self.head()
        length = int(head.lower().split("content-length: ")[1].split("\r\n")[0])
        return int(head.split()[1]), json.loads(await self.reader.readexactly(length))


class Live:
    """A running server with a fake door behind it."""

    def __init__(self, bodies: BodyBudget, port: int) -> None:
        self.bodies, self.port = bodies, port

    @asynccontextmanager
    async def call(self) -> AsyncIterator[Caller]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            yield Caller(reader, writer)
        finally:
            writer.close()
            await asyncio.gather(writer.wait_closed(), return_exceptions=True)


@asynccontextmanager
async def live(door, tmp_path, **settings):
    async def open_door(_):
        return door

    app = build_app(ServerSettings(logdir=tmp_path, **settings), open_door=open_door)
    listener = bind("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
    running = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield Live(app.state.service.bodies, listener.getsockname()[1])
    finally:
        server.should_exit = True
        await running
        listener.close()


@pytest.fixture
async def server(door, tmp_path):
    async with live(door, tmp_path, body_max_bytes=100_000) as running:
        yield running


def chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


async def test_a_chunked_body_needs_no_length(server, door):
    async with server.call() as caller:
        await caller.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", chunk(ONE[:10]), chunk(ONE[10:]), b"0\r\n\r\n")
        assert (await caller.answer())[0] == 200
    assert len(door.batches) == 1


async def test_a_chunked_body_over_the_limit_is_refused_while_it_arrives(server, door):
    async with server.call() as caller:
        await caller.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", *[chunk(b" " * 10_000)] * 11)
        status, problem = await caller.answer()  # the last chunk is never sent
    assert (status, problem["code"]) == (413, "too-large")
    assert server.bodies.held_bytes == 0


async def test_a_declared_length_over_the_limit_is_refused_before_the_body(server):
    async with server.call() as caller:
        await caller.send(HEAD + b"Content-Length: 100001\r\n\r\n")
        status, problem = await caller.answer()
    assert (status, problem["code"]) == (413, "too-large")
    assert "100001 bytes, at most 100000" in problem["detail"]


@pytest.mark.parametrize(("length", "status"), [(len(ONE), 200), (100_001, 413)])
async def test_a_length_is_a_number_however_many_zeros_it_begins_with(server, length, status):
    async with server.call() as caller:
        await caller.send(HEAD + b"Content-Length: %s%d\r\n\r\n" % (b"0" * 5000, length), ONE)
        assert (await caller.answer())[0] == status


async def test_the_connection_survives_a_refused_body(server):
    async with server.call() as caller:
        await caller.send(HEAD + b"Content-Length: 100001\r\n\r\n")
        assert (await caller.answer())[0] == 413
        await caller.send(b" " * 100_001, HEAD + b"Content-Length: %d\r\n\r\n" % len(ONE), ONE)
        assert (await caller.answer())[0] == 200


async def test_expect_continue_is_answered_before_the_body(server):
    async with server.call() as caller:
        await caller.send(HEAD + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(ONE))
        assert "100 Continue" in await caller.head()
        await caller.send(ONE)
        assert (await caller.answer())[0] == 200


@pytest.mark.parametrize(
    ("extra", "status"),
    [(b"Content-Length: 100001\r\n", 413), (b"Content-Length: 9\r\nContent-Encoding: br\r\n", 415)],
)
async def test_expect_continue_of_a_body_that_will_be_refused_is_refused_at_once(server, extra, status):
    async with server.call() as caller:
        await caller.send(HEAD + b"Expect: 100-continue\r\n" + extra + b"\r\n")
        assert (await caller.answer())[0] == status


async def test_a_sender_that_goes_away_leaves_nothing_behind(server, door, caplog):
    async with server.call() as caller:
        await caller.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(ONE), ONE[:20])
    async with server.call() as other:
        while "499" not in (text := await metrics(other)):
            await asyncio.sleep(0)
    assert 'tbbridge_requests_total{method="POST",route="/api/v1/write",status="499"} 1.0' in text
    assert (server.bodies.held_bytes, door.batches, caplog.records) == (0, [], [])


async def metrics(caller: Caller) -> str:
    await caller.send(b"GET /metrics HTTP/1.1\r\nHost: bridge\r\n\r\n")
    head = await caller.head()
    return (await caller.reader.readexactly(int(head.lower().split("content-length: ")[1].split("\r\n")[0]))).decode()


async def test_a_body_that_stalls_is_given_up(server, monkeypatch):
    monkeypatch.setattr(limits, "BODY_READ_TIMEOUT_S", 0.05)
    async with server.call() as caller:
        await caller.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(ONE), ONE[:20])
        status, problem = await caller.answer()
    assert (status, problem["code"]) == (408, "body-timeout")
    assert server.bodies.held_bytes == 0


async def test_bodies_in_flight_are_bounded_in_total(door, tmp_path):
    """Four senders stall in the middle of 3,000 bytes each; with 10,000 in all the fourth is told to come back."""
    async with live(door, tmp_path, body_max_bytes=4000, decoded_max_bytes=6000, bodies_in_flight_max_bytes=10_000) as server:
        body = ONE.ljust(3000)
        head = HEAD + b"Content-Length: 3000\r\n\r\n"
        async with server.call() as one, server.call() as two, server.call() as three, server.call() as four:
            for number, caller in enumerate((one, two, three), 1):
                await caller.send(head + body[:-1])
                while server.bodies.held_bytes < number * 2999:
                    await asyncio.sleep(0)
            await four.send(head + body)
            status, problem = await four.answer()
            assert (status, problem["code"]) == (429, "queue-full")
            for caller in (one, two, three):
                await caller.send(body[-1:])
                assert (await caller.answer())[0] == 200
            assert server.bodies.held_bytes == 0
            await four.send(head + body)
            assert (await four.answer())[0] == 200


async def test_many_points_in_one_request_come_through_compressed(door, tmp_path):
    count = 200_000
    column = {"tag": "t", "steps": list(range(count)), "values": [0.5] * count}
    body = gzip.compress(json.dumps({"runs": [{"run": "r", "scalars": [column]}]}).encode())
    assert len(body) > limits.DECOMPRESS_IN_LOOP_MAX_BYTES
    async with live(door, tmp_path) as server, server.call() as caller:
        door.receipt = Receipt(count)
        await caller.send(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body), body)
        assert (await caller.answer())[1]["accepted"] == count
    assert door.batches[0].points == count


@pytest.mark.parametrize(
    ("path", "ready", "status"), [("/healthz", True, 200), ("/readyz", True, 200), ("/readyz", False, 503)]
)
async def test_head_as_load_balancers_send_it_is_answered_like_get_without_a_body(server, door, path, ready, status):
    door.health = Health(ready, "the disk refuses")
    rest = b" HTTP/1.1\r\nHost: bridge\r\nX-Request-ID: probe-7\r\n\r\n"
    async with server.call() as caller:
        await caller.send(b"HEAD " + path.encode() + rest)
        head = await caller.head()
        await caller.send(b"GET " + path.encode() + rest)
        like = await caller.head()  # right behind the first head: there was no body
    assert head.split()[1] == like.split()[1] == str(status)
    one, other = (sorted(line for line in lines.splitlines() if not line.startswith("date:")) for lines in (head, like))
    assert one == other
