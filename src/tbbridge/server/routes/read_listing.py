"""The list of all runs, kept ready as JSON: with ten thousand of them, making it anew takes a second.

What the bridge itself wrote or changed is made anew before the next answer, run by run (`Door.take_touched`). What other
programs do to the log folder is found by looking through all of it, in a thread while the old list is given: see
limits.LISTING_LOOK_S. A list that is asked for a second time is packed as well, behind: it shrinks tenfold, but only once it is
there is it quicker to send it so.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import time
from collections.abc import Callable
from typing import Final

from pydantic_core import to_json

from tbbridge import limits
from tbbridge.errors import TBBridgeError
from tbbridge.server.service import Service
from tbbridge.store.catalog import RunInfo

log = logging.getLogger(__name__)

_QUICKLY: Final = 1  # gzip's levels go from 1 to 9
Fragments = dict[str, bytes]  # of the JSON, by run


class Listing:
    """Belongs to the event loop that runs the app."""

    def __init__(self, service: Service, described: Callable[[RunInfo], dict[str, object]]) -> None:
        self._service = service
        self._described = described
        self._fragments: Fragments = {}
        self._joined: bytes | None = None
        self._is_asked_again = False  # for the joined one, by somebody who can unpack
        self._packed: bytes | None = None  # the joined one with gzip
        self._packing: asyncio.Task[None] | None = None
        self._looked_at = float("-inf")  # when the last look at all runs began
        self._look_took = 0.0
        self._behind: asyncio.Task[None] | None = None  # a look that nobody waits for
        self._since: list[set[str]] = []  # for each look under way the runs made anew since it began: newer than what it finds
        self._lock = asyncio.Lock()
        self._waiting = 0  # answers that hold the lock or want it: what they took from the door is not in the list yet

    async def packed(self) -> bytes | None:
        """The same as `answer` with gzip; None if it is not worth it, or not made yet."""
        joined = await self.answer()
        if len(joined) >= limits.LISTING_PACK_MIN_BYTES and self._packed is None:
            if self._is_asked_again and (self._packing is None or self._packing.done()):
                self._packing = asyncio.create_task(self._pack(joined))
            self._is_asked_again = True
        return self._packed

    async def _pack(self, joined: bytes) -> None:
        packed = await asyncio.to_thread(gzip.compress, joined, _QUICKLY, mtime=0)
        if self._joined is joined:
            self._packed = packed

    async def answer(self) -> bytes:
        """The body of the answer; what was written before the door was asked to settle is in it."""
        touched = self._service.door.take_touched()
        age = time.monotonic() - self._looked_at
        if touched or self._waiting or age > self._stale_s:
            self._waiting += 1
            try:
                async with self._lock:
                    await self._freshen(touched)
            finally:
                self._waiting -= 1
        elif age > max(limits.LISTING_LOOK_S, limits.LISTING_LOOK_TIMES * self._look_took) and (
            self._behind is None or self._behind.done()
        ):
            self._behind = asyncio.create_task(self._look_behind())
        if self._joined is None:
            ordered = [self._fragments[run] for run in sorted(self._fragments)]
            self._joined = b'{"runs":[' + b",".join(ordered) + b"]}"
            self._packed, self._is_asked_again = None, False
        return self._joined

    @property
    def _stale_s(self) -> float:
        return max(limits.LISTING_STALE_S, limits.LISTING_STALE_TIMES * self._look_took)

    async def _freshen(self, touched: set[str]) -> None:
        age = time.monotonic() - self._looked_at
        try:
            if age > self._stale_s:
                await self._look()
            elif touched:
                found = await self._service.read(self._some, touched)
                for since in self._since:
                    since.update(touched)
                if len(found) == len(touched):
                    self._fragments |= found
                    self._joined = None
                else:  # deleted, or renamed: the door does not say to what
                    await self._look()
        except BaseException:
            self._looked_at = float("-inf")  # what was touched is not seen: the next one looks at everything
            raise

    async def _look_behind(self) -> None:
        try:
            await self._look()
        except TBBridgeError as error:
            log.info("the list of runs was not looked through: %s", error)

    async def _look(self) -> None:
        """Look at all runs."""
        since: set[str] = set()
        self._since.append(since)
        began = time.monotonic()
        try:
            found = await self._service.read(self._all)
        finally:
            self._since = [other for other in self._since if other is not since]
        if began < self._looked_at:
            return  # another one began later and is done
        for run in since:
            found.pop(run, None)
            if run in self._fragments:
                found[run] = self._fragments[run]
        if found != self._fragments:
            self._fragments = found
            self._joined = None
        self._looked_at, self._look_took = began, time.monotonic() - began

    def _all(self) -> Fragments:
        return {run.run: to_json(self._described(run)) for run in self._service.catalog.runs()}

    def _some(self, names: set[str]) -> Fragments:
        found = [self._service.catalog.info(name) for name in sorted(names)]
        return {run.run: to_json(self._described(run)) for run in found if run is not None}
