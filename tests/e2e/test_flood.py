"""A flood from one address does not keep another from writing: the bridge as a process, stalled connections, a real client."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import urllib.request
from pathlib import Path

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
