"""A flood from one address does not keep another from writing: the bridge as a process, stalled connections, a real client."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import urllib.request
from pathlib import Path

import httpx
from processes import address_in, serve

import tbbridge

STALLS = (
    b"",  # says nothing
    b"GET /hea",  # half a head
    b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",  # half a body
    b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30,  # answers that nobody takes
    b"\x00" * 100,
)


def stalled(host: str, port: int, sent: bytes) -> socket.socket:
    """A connection from another address of this machine, which is never read from."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # so that little of an answer waits here
    connection.bind(("127.0.0.2", 0))
    connection.connect((host, port))
    with contextlib.suppress(OSError):  # turned away already
        connection.sendall(sent)
    return connection


def test_a_flood_from_one_address_does_not_keep_another_from_writing(tmp_path: Path) -> None:
    flags = ("--connections-max", "150", "--connections-per-address-max", "50", "--requests-per-address-max", "10")
    with serve(tmp_path, *flags) as process:
        address = address_in(process)
        host, port = address.removeprefix("http://").split(":")
        with contextlib.ExitStack() as flood:
            for number in range(400):
                flood.enter_context(stalled(host, int(port), STALLS[number % len(STALLS)]))
            with tbbridge.Client(address) as client, client.run("r") as run:
                for step in range(2_000):
                    run.add_scalar("t", step, step)
                    if step % 200 == 0:
                        flood.enter_context(stalled(host, int(port), STALLS[step // 200 % len(STALLS)]))
                client.flush(timeout_s=60)
            with urllib.request.urlopen(f"{address}/api/v1/scalars?run=r&tag=t") as answer:
                assert json.load(answer)["values"] == list(range(2_000))
            with urllib.request.urlopen(f"{address}/metrics") as answer:
                metrics = answer.read().decode()
        turned_away = re.search(r'tbbridge_rejects_total\{reason="connections-of-address"\} ([0-9.]+)', metrics)
        assert turned_away is not None
        assert float(turned_away[1]) >= 300
        assert process.end() == 0
        assert "Traceback" not in process.output, process.output[-3000:]
        assert len(process.lines) < 20  # a flood does not fill the log


def test_requests_in_a_row_on_a_connection_that_breaks_leave_no_traceback(tmp_path: Path) -> None:
    """A stranger could fill the log with them. As a process, since uvloop is the one that raises."""
    with serve(tmp_path) as process:
        address = address_in(process)
        host, port = address.removeprefix("http://").split(":")
        with contextlib.ExitStack() as broken:
            for _ in range(30):
                broken.enter_context(stalled(host, int(port), b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 30))
            with urllib.request.urlopen(f"{address}/healthz") as answer:  # behind them, so they are being answered now
                assert answer.status == 200
        with urllib.request.urlopen(f"{address}/healthz") as answer:
            assert answer.status == 200
        assert process.end() == 0
        assert "Traceback" not in process.output, process.output[-3000:]


async def test_while_the_queue_stays_full_large_writes_are_refused_unread_and_what_was_taken_is_there(tmp_path: Path) -> None:
    """They are far fewer than the requests that the bridge works on at one time: the queue is what is full."""
    values = [0.123456789] * 4_000
    taken = [0] * 24
    unread = 0.0
    with serve(tmp_path, "--queue-max-bytes", "1KiB") as process:
        async with httpx.AsyncClient(base_url=address_in(process), timeout=60) as client:

            async def send(number: int) -> None:
                while not unread:
                    body = {"runs": [{"run": f"r{number}", "scalars": [{"tag": "t", "values": values}]}]}
                    answer = await client.post("/api/v1/write", json=body)
                    assert answer.status_code in (200, 429), answer.text
                    taken[number] += answer.status_code == 200

            async def look() -> None:
                nonlocal unread
                while not unread:
                    await asyncio.sleep(0.2)
                    found = re.search(r'rejects_total\{reason="overload"\} ([0-9.]+)', (await client.get("/metrics")).text)
                    unread = float(found[1]) if found else 0.0

            async with asyncio.timeout(60):
                await asyncio.gather(look(), *(send(number) for number in range(len(taken))))
            for number, count in enumerate(taken):
                if count:
                    answer = await client.get("/api/v1/scalars", params={"run": f"r{number}", "tag": "t"})
                    assert len(answer.json()["values"]) == count * len(values)
        assert process.end() == 0
    assert sum(taken)
