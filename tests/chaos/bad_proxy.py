"""A proxy worse than any network: it drops, cuts, delays, repeats and reorders HTTP requests, by the throw of a seeded die.

It runs in a thread of its own. A request that it drops before the answer may reach the bridge later all the same, beside the
retry that its sender makes meanwhile: so requests overtake each other.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import Counter

# Fates of a request, and how many in a thousand meet each; the others pass.
FATES = {
    "connection dropped before the request arrived": 10,
    "request cut in the middle": 10,
    "connection dropped before the answer": 15,
    "request delivered late, behind its retry": 15,
    "request delivered twice": 20,
    "request delayed": 20,
}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TROUBLES = (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError)


class BadProxy:
    """Use as a context; `url` is where it listens. `port` is the bridge's, 0 while there is none; `calm` lets all pass."""

    def __init__(self, seed: str) -> None:
        self.faults: Counter[str] = Counter()
        self.port = 0
        self.calm = False
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._later: set[asyncio.Task[bytes]] = set()
        # asyncio itself holds no task whose sender has hung up while it waits for the bridge: it would be garbage.
        self._held: set[asyncio.Task[None] | None] = set()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> BadProxy:
        self._thread.start()
        self._listening.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listening.set()
        await self._stop.wait()
        server.close()
        for _ in range(20):  # a connection that was accepted a moment ago has no task yet
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            if tasks:  # one cancelled while it connects would leave its socket to nobody
                await asyncio.wait(tasks, timeout=1)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0.01)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._held.add(task)
        try:
            while answer := await self._answer(await _message(reader)):
                writer.write(answer)
                await writer.drain()
        except _TROUBLES:
            pass  # either side went away, which is what this is for
        finally:
            writer.close()
            self._held.discard(task)

    def _fate(self) -> str:
        throw = 0 if self.calm else self._chance.randrange(1000)
        for fate, per_1000 in FATES.items():
            throw -= per_1000
            if throw < 0 and not self.calm:
                self.faults[fate] += 1
                return fate
        return "pass"

    async def _answer(self, request: bytes) -> bytes:
        """What the sender gets; nothing: its connection is dropped."""
        match self._fate():
            case "connection dropped before the request arrived":
                return b""
            case "request cut in the middle":
                await self._cut(request)
                return b""
            case "connection dropped before the answer":
                await self._exchange(request)
                return b""
            case "request delivered late, behind its retry":
                self._deliver_later(request)
                return b""
            case "request delivered twice":
                self._deliver_later(request)
            case "request delayed":
                await asyncio.sleep(self._chance.uniform(0.02, 0.4))
        return await self._exchange(request)

    def _deliver_later(self, request: bytes) -> None:
        async def deliver() -> bytes:
            await asyncio.sleep(self._chance.uniform(0.01, 0.8))
            try:
                return await self._exchange(request)
            except _TROUBLES:
                return b""

        task = self._loop.create_task(deliver())
        self._later.add(task)
        task.add_done_callback(self._later.discard)

    async def _cut(self, request: bytes) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request[: self._chance.randrange(len(request))])
            await writer.drain()
        finally:
            writer.close()

    async def _exchange(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(request)
            await writer.drain()
            return await _message(reader)
        finally:
            writer.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One request or answer, whole."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head + (await reader.readexactly(int(length[1])) if length else b"")
