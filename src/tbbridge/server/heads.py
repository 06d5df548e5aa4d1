"""An answer's head and the first of its body as one write: uvicorn writes them one behind the other, and each is a system call.

For a one-point write that call, and the client that it woke for a head without a body, were a tenth of the processor time.
"""

from __future__ import annotations

import asyncio


class HeadWithBody:
    """Stands before the transport of one request: holds its first write until the next one, or until the loop has turned once.

    It has what uvicorn asks of a transport while it answers. Belongs to the event loop.
    """

    __slots__ = ("_head", "_is_past_head", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._head = b""
        self._is_past_head = False

    def write(self, data: bytes) -> None:
        """Write `data`, or hold it if it is the first."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif self._is_past_head:
            self._transport.write(data)
        else:
            self._is_past_head = True
            self._head = data
            self._loop.call_soon(self.flush)

    def flush(self) -> None:
        """Write what is held."""
        if self._head:
            head, self._head = self._head, b""
            if not self._transport.is_closing():
                self._transport.write(head)

    def close(self) -> None:
        """Close it when all is written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed, or about to be."""
        return self._transport.is_closing()
