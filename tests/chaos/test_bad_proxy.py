"""The proxy of the storms does what its die says, and nothing else."""

from __future__ import annotations

import gc
import socket

import pytest
from bad_proxy import BadProxy

REQUEST = b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"


def test_a_request_whose_sender_hung_up_is_not_lost_as_garbage() -> None:
    """asyncio kept no hold of it, so whether it ended by itself was left to when Python looked for cycles."""
    with socket.create_server(("127.0.0.1", 0)) as bridge, BadProxy("1") as proxy:
        bridge.settimeout(30)
        proxy.calm, proxy.port = True, bridge.getsockname()[1]
        host, port = proxy.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as sender:
            sender.sendall(REQUEST)
            reached, _ = bridge.accept()
        with reached:
            reached.settimeout(30)
            received = b""
            while len(received) < len(REQUEST):
                received += reached.recv(65536)
            assert received == REQUEST
            reached.settimeout(0.05)
            for _ in range(5):  # the first may come before the proxy has noticed that its sender is gone
                gc.collect()
                with pytest.raises(TimeoutError):  # an end instead: what waits for the answer was collected
                    reached.recv(1)
