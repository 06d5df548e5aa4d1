"""Connections under bounds: floods, slow heads, endless heads and answers that nobody takes, at both of uvicorn's parsers.

A small ASGI app stands in for ours: what is tested is what happens before and after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import logging
import re
import socket
from collections import Counter
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn

from tbbridge import limits
from tbbridge.errors import TooManyRequests
from tbbridge.server import protocols as protocols_module
from tbbridge.server import serve as serve_module
from tbbridge.server.connections import Connections, RequestsUnderWay, client_of
from tbbridge.server.protocols import protocol_class
from tbbridge.server.serve import bind, serve, with_descriptors
from tbbridge.server.settings import ServerSettings

LARGE = b"x" * (32 * limits.MiB)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def app(scope, receive, send):
    """Reads the body and says how long it was; `/early` answers without reading it, `/large` is long."""
    size, more = 0, scope["path"] != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    body = LARGE if scope["path"] == "/large" else b"%d" % size
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@pytest.fixture(params=["httptools", "h11"])
def parser(request, monkeypatch):
    if request.param == "h11":
        monkeypatch.setattr(protocols_module.importlib.util, "find_spec", lambda name: None)
    elif importlib.util.find_spec("httptools") is None:
        pytest.fail("the dev extra has httptools")
    return request.param


class Listening:
    """A server and what it counted."""

    def __init__(self, port: int, connections: Connections, refused: Counter[str]) -> None:
        self.port = port
        self.connections = connections
        self.refused = refused

    async def open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def exchange(self, *pieces: bytes) -> bytes:
        """All that the server says until it closes, whatever becomes of the pieces meanwhile."""
        reader, writer = await self.open()
        answer = b""
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            answer = await reader.read()
        except ConnectionError:  # closed while we still sent: what it said before is lost with it
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        return answer


async def look_often(connections: Connections) -> None:
    """As the server does once a second."""
    while True:
        connections.look(asyncio.get_running_loop().time())
        await asyncio.sleep(0.02)


@asynccontextmanager
async def listening(maximum=100, per_address_max=100):
    refused: Counter[str] = Counter()
    connections = Connections(maximum, per_address_max, refused)
    config = uvicorn.Config(
        app, http=protocol_class(connections), ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1
    )
    ready = asyncio.Event()
    server = serve_module._Server(config, connections, None, ready.set, lambda: None)
    with contextlib.closing(bind("127.0.0.1", 0)) as listener:
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await ready.wait()
        looking = asyncio.create_task(look_often(connections))
        try:
            yield Listening(listener.getsockname()[1], connections, refused)
        finally:
            looking.cancel()
            server.should_exit = True
            await running


def problem_in(answer: bytes) -> dict[str, object]:
    """The last answer's problem."""
    last = [found.start() for found in re.finditer(rb"HTTP/1.1 \d{3} ", answer)][-1]
    head, _, body = answer[last:].partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert b"x-content-type-options: nosniff" in head
    assert b"content-length: %d" % len(body) in head
    problem = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem


async def emptied(server: Listening) -> None:
    while len(server.connections):
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("bounds", "status", "code", "reason", "names"),
    [
        ({"maximum": 2}, 503, "too-many-connections", "connections", "--connections-max"),
        ({"per_address_max": 2}, 429, "too-many-requests", "connections-of-address", "--connections-per-address-max"),
    ],
    ids=["in all", "of one address"],
)
async def test_a_connection_too_many_is_told_so_and_those_that_were_there_go_on(parser, bounds, status, code, reason, names):
    async with listening(**bounds) as server:
        first, second = [await server.open() for _ in range(2)]
        for reader, writer in (first, second):
            writer.write(GET)
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200")
        answer = await server.exchange(GET)
        problem = problem_in(answer)
        assert (problem["status"], problem["code"]) == (status, code)
        assert names in problem["detail"]
        assert b"retry-after: 1" in answer
        assert server.refused == {reason: 1}
        first[1].write(GET)
        assert b"HTTP/1.1 200" in await first[0].readuntil(b"200 OK\r\n")
        for _, writer in (first, second):
            writer.close()
        await emptied(server)
        assert b"200 OK" in await server.exchange(GET.replace(b"Host", b"Connection: close\r\nHost"))


async def test_a_flood_is_turned_away_and_leaves_nothing_behind(parser):
    async with listening(maximum=5) as server:
        opened = [await server.open() for _ in range(200)]
        for _, writer in opened[5:]:
            writer.close()
        assert len(server.connections) <= 5
        for _, writer in opened[:5]:
            writer.close()
        await emptied(server)
        assert server.connections._by_client == {}
        assert server.refused["connections"] >= 190


async def test_a_head_that_trickles_in_is_given_up(parser, monkeypatch):
    """Slow-loris: a byte now and then, which would keep any connection for ever."""
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    async with listening() as server:
        reader, writer = await server.open()
        answer = asyncio.create_task(reader.read())
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        while not answer.done():
            writer.write(b"a")
            await asyncio.sleep(0.01)
        assert server.refused == {"head-timeout": 1}
        writer.close()
        with contextlib.suppress(ConnectionError):  # a byte that came too late takes the answer away
            await answer


async def test_a_head_that_stops_halfway_is_told_so(parser, monkeypatch):
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    async with listening() as server:
        problem = problem_in(await server.exchange(b"GET / HT"))
        assert (problem["status"], problem["code"]) == (408, "request-timeout")


async def test_a_connection_that_says_nothing_is_closed_without_a_word(parser, monkeypatch):
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    async with listening() as server:
        assert await server.exchange() == b""
        await emptied(server)


async def test_a_second_head_that_never_ends_is_given_up_too(parser, monkeypatch):
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    async with listening() as server:
        reader, writer = await server.open()
        writer.write(GET)
        await reader.readuntil(b"\r\n\r\n0")
        writer.write(b"GET / HT")
        assert await reader.read() == b""  # a 408 now could be taken for the answer to what is just being sent
        writer.close()
        assert server.refused == {"head-timeout": 1}


async def test_an_idle_connection_is_kept_beyond_the_time_of_a_head(parser, monkeypatch):
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    async with listening() as server, httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        await client.get("/")
        for _ in range(3):  # what looks once a second would find it now
            server.connections.look(asyncio.get_running_loop().time() + 60)
        assert len(server.connections) == 1
        assert (await client.get("/")).text == "0"
        assert server.refused == {}


async def test_what_is_left_of_a_refused_body_cannot_keep_the_connection(parser, monkeypatch):
    """It was answered before its body came: uvicorn forgets the time of such a connection with the next byte."""
    monkeypatch.setattr(limits, "HEAD_TIMEOUT_S", 0.1)
    async with listening() as server:
        reader, writer = await server.open()
        writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n0")
        writer.write(b"x")
        assert await reader.read() == b""
        writer.close()
        assert server.refused == {"head-timeout": 1}


@pytest.mark.parametrize(
    "head", [b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n", CHUNKED], ids=["declared", "chunked"]
)
@pytest.mark.parametrize("beginning", [b"", b"5\r\nhello"], ids=["nothing", "a beginning"])
async def test_a_body_that_does_not_come_cannot_keep_the_connection(parser, monkeypatch, head, beginning):
    monkeypatch.setattr(limits, "BODY_READ_TIMEOUT_S", 0.1)
    async with listening() as server:
        problem = problem_in(await server.exchange(head + beginning))
        assert (problem["status"], problem["code"]) == (408, "body-timeout")
        assert server.refused == {"body-timeout": 1}
        await emptied(server)


async def test_a_body_that_comes_slowly_and_an_app_that_is_slow_are_left_alone(parser):
    async with listening() as server:
        reader, writer = await server.open()
        writer.write(CHUNKED.replace(b"Host", b"Connection: close\r\nHost"))
        now = asyncio.get_running_loop().time()
        for minute in range(5):
            writer.write(b"1\r\nx\r\n")
            while sum(connection._pieces for connection in server.connections._open) <= minute:
                await asyncio.sleep(0)
            server.connections.look(now + minute * limits.BODY_READ_TIMEOUT_S)
        writer.write(b"0\r\n\r\n")
        assert (await reader.read()).endswith(b"\r\n\r\n5")
        assert server.refused == {}
        writer.close()


ENDLESS = {
    "head": (b"GET / HTTP/1.1\r\nX-Long: ", b"a" * 65536),
    "many headers": (b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 10_000),
    "chunk extension": (CHUNKED + b"1;x=", b"a" * 65536),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n" * 10_000),
    "one trailer": (CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"a" * 65536),
}


@pytest.mark.parametrize("case", ENDLESS.values(), ids=ENDLESS.keys())
async def test_what_surrounds_a_body_cannot_grow_without_end(parser, case):
    beginning, more = case
    async with listening() as server:
        await server.exchange(beginning, *[more] * 1000)  # 64 MiB if nobody stopped it
        await emptied(server)
        assert sum(server.refused.values()) == 1


async def test_a_head_too_long_is_told_so():
    async with listening() as server:
        reader, writer = await server.open()
        writer.write(b"GET / HTTP/1.1\r\nX-Long: ")
        while not any(connection._pieces for connection in server.connections._open):
            await asyncio.sleep(0)
        writer.write(b"a" * (limits.HEAD_MAX_BYTES + 1))
        problem = problem_in(await reader.read())
        assert (problem["status"], problem["code"]) == (431, "request-header-fields-too-large")
        writer.close()


async def test_a_long_body_in_chunks_of_a_byte_is_a_body_all_the_same(parser):
    async with listening() as server:
        count = limits.HEAD_MAX_BYTES
        answer = await server.exchange(
            CHUNKED.replace(b"Host", b"Connection: close\r\nHost"), b"1\r\nx\r\n" * count, b"0\r\n\r\n"
        )
        assert answer.endswith(b"\r\n\r\n%d" % count)
        assert server.refused == {}


async def test_many_requests_on_one_connection_are_not_one_long_head(parser):
    async with listening() as server:
        count = 3 * limits.HEAD_MAX_BYTES // len(GET)
        reader, writer = await server.open()
        for _ in range(count // 16):
            writer.write(GET * 16)
            for _ in range(16):
                await reader.readuntil(b"\r\n\r\n0")
        assert server.refused == {}
        writer.close()


async def test_ten_thousand_requests_in_one_packet_do_not_become_ten_thousand_tasks():
    """Each would be an object of 3 KiB before the first is answered; h11 looks at one at a time."""
    async with listening() as server:
        await server.exchange(GET * 10_000)
        await emptied(server)
        assert server.refused == {"pipelined": 1}


async def test_requests_in_a_row_on_a_connection_that_breaks_are_all_let_go():
    """uvicorn tells only the last of them, and uvloop raises when the others answer into a closed connection."""
    async with listening() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as stalled:
            stalled.sendall(GET.replace(b"/", b"/large", 1) + GET * 2)
            while not any(connection._stalled_since for connection in server.connections._open):
                await asyncio.sleep(0)
            [connection] = server.connections._open
            cycles = connection._under_way()
            assert len(cycles) == 2  # the first is wholly handed over, so uvicorn calls it done
        await emptied(server)
        assert all(cycle.disconnected for cycle in cycles)


MALFORMED = {
    "TLS at a plain port": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "no HTTP": b"HELO bridge\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
    "length and chunks": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n",
    "a bad chunk": CHUNKED + b"what\r\n",
}


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED.keys())
async def test_what_is_no_http_is_a_problem_and_no_line_of_the_log(parser, request_, caplog):
    with caplog.at_level(logging.DEBUG):
        async with listening() as server:
            problem = problem_in(await server.exchange(request_))
            assert (problem["status"], problem["code"]) == (400, "bad-request")
            assert server.refused == {"malformed-http": 1}
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_offer_of_another_protocol_is_passed_over_in_silence(parser, caplog):
    offer = (
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    async with listening() as server:
        assert b"200 OK" in await server.exchange(offer)
    assert caplog.records == []


async def test_an_answer_that_nobody_takes_is_given_up(parser, monkeypatch):
    monkeypatch.setattr(limits, "ANSWER_STALL_S", 0.1)
    async with listening() as server:
        with socket.create_connection(("127.0.0.1", server.port)) as stalled:
            stalled.sendall(GET.replace(b"/", b"/large", 1))
            while not len(server.connections):
                await asyncio.sleep(0)
            await emptied(server)
        assert server.refused == {"answer-stalled": 1}


class SlowlyRead(asyncio.Transport):
    """A connection whose other side takes what the test says. Takes nothing else seriously."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 1), "sockname": ("192.0.2.1", 2)})
        self.waiting = limits.MiB
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(("taken_each_minute", "is_kept"), [(65 * limits.KiB, True), (limits.KiB, False)])
async def test_an_answer_that_is_taken_slowly_is_given_but_not_at_a_trickle(parser, taken_each_minute, is_kept):
    config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None)
    connection = protocol_class(Connections(1, 1, Counter()))(config, uvicorn.server.ServerState(), {})
    transport = SlowlyRead()
    connection.connection_made(transport)
    connection._waiting_since = 0.0  # its head came
    connection.pause_writing()
    for minute in range(1, 6):
        transport.waiting -= taken_each_minute
        connection.look(connection.loop.time() + minute * (limits.ANSWER_STALL_S + 1))
    assert transport.aborted is not is_kept


# --- who is one client, and how much it may ask at one time --------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_whoever_has_a_network_of_ipv6_is_one_client(host, client):
    assert client_of(host) == client


def test_requests_under_way_are_counted_by_address_and_forgotten_when_answered():
    under_way = RequestsUnderWay(2)
    for client in ("a", "a", "b"):
        under_way.begin(client)
    with pytest.raises(TooManyRequests, match="--requests-per-address-max"):
        under_way.begin("a")
    under_way.end("a")
    under_way.begin("a")
    for client in ("a", "a", "b"):
        under_way.end(client)
    assert under_way._counts == {}


async def test_a_request_too_many_of_one_address_gets_429_and_the_others_their_answer(tmp_path):
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    settings = ServerSettings(logdir=tmp_path, port=0, requests_per_address_max=1)
    running = asyncio.create_task(serve(settings, on_ready=ready.set_result))
    async with httpx.AsyncClient(base_url=await ready) as client:
        body = b'{"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]}]}'
        halfway, finish = asyncio.Event(), asyncio.Event()

        async def slowly():
            yield body[:10]
            halfway.set()
            await finish.wait()
            yield body[10:]

        slow = asyncio.create_task(client.post("/api/v1/write", content=slowly(), headers={"content-type": "application/json"}))
        await halfway.wait()
        answer = await client.get("/healthz")
        while answer.status_code == 200:  # the first one's head may still be on its way
            answer = await client.get("/healthz")
        assert (answer.status_code, answer.json()["code"], answer.headers["retry-after"]) == (429, "too-many-requests", "1")
        finish.set()
        assert (await slow).json()["accepted"] == 1
        assert (await client.get("/healthz")).status_code == 200
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    ("granted", "files", "connections"),
    [
        (100_000, 1536, 4096),
        (6016, 1504, 4096),
        (1024, 256, 1024 - 256 - 128 - 256),
        (256, 64, 1),
        (serve_module.resource.RLIM_INFINITY, 1536, 4096),
    ],
)
def test_connections_and_event_files_share_the_descriptors(monkeypatch, caplog, granted, files, connections):
    monkeypatch.setattr(serve_module.resource, "getrlimit", lambda _: (granted, granted))
    settings = with_descriptors(ServerSettings())
    assert (settings.open_files_max, settings.connections_max) == (files, connections)
    assert len(caplog.records) == (connections != 4096)


@pytest.mark.parametrize("name", [b"Upgrade", b"upgrade"])
@pytest.mark.parametrize("cut", ["in one piece", "body apart", "head apart"])
async def test_an_offer_of_http_2_costs_no_body(parser: str, name: bytes, cut: str) -> None:
    """Java's own HTTP client offers it with the first request of a connection: what it sent arrived empty."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAA\r\n" + name + b": h2c\r\nContent-Length: 4\r\n"
    start, head, body = b"POST / HTTP/1.1\r\nHost: x\r\n", offer + b"\r\n", b"four"
    pieces = {"in one piece": [start + head + body], "body apart": [start + head, body], "head apart": [start, head, body]}
    async with listening() as server:
        reader, writer = await server.open()
        for _ in range(2):
            for piece in pieces[cut]:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert await reader.readexactly(1) == b"4"
        writer.close()
        await writer.wait_closed()
