"""Connections under bounds: how many there are, in all and from one address, and how many requests are under way on them.

uvicorn bounds none of this. What one connection may do, and how long it may take, is protocols.py's affair.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from tbbridge import limits
from tbbridge.errors import TooManyConnections, TooManyRequests

if TYPE_CHECKING:
    from tbbridge.server.protocols import WatchedProtocol


@lru_cache(maxsize=4096)
def client_of(host: str) -> str:
    """Who is counted as one for the IP address `host`: itself; for IPv6 its network of /64: whoever has one has them all."""
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


class RequestsUnderWay:
    """How many requests of each address are worked on now."""

    def __init__(self, per_address_max: int) -> None:
        self._max = per_address_max
        self._counts: dict[str, int] = {}

    def begin(self, client: str) -> None:
        """Count one more. Raises `TooManyRequests`."""
        count = self._counts.get(client, 0) + 1
        if count > self._max:
            raise TooManyRequests(
                f"{client} has {self._max} requests under way already; send several points in one, or wait for answers first "
                "(--requests-per-address-max)"
            )
        self._counts[client] = count

    def end(self, client: str) -> None:
        """That one is answered."""
        count = self._counts[client] - 1
        if count:
            self._counts[client] = count
        else:
            del self._counts[client]


class Connections:
    """All connections of one server."""

    def __init__(self, maximum: int, per_address_max: int, refused: Counter[str]) -> None:
        """`refused` is counted up, by reason, for each that is turned away or closed."""
        self.maximum = maximum
        self._per_address_max = per_address_max
        self._refused = refused
        self.under_way = 0  # connections whose request is being worked on; counted with httptools only
        self.refuses = False  # a write was refused lately, because there were too many
        self._refuses_since = self._refused_last = float("-inf")  # when the first and the last was, without a pause between
        self.is_queue_full: Callable[[], bool] = lambda: False
        self._open: set[WatchedProtocol] = set()
        self._by_client: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, connection: WatchedProtocol, client: str) -> None:
        """Count a new connection. Raises `TooManyConnections` or `TooManyRequests`."""
        if len(self._open) >= self.maximum:
            self.refuse("connections")
            raise TooManyConnections(f"the bridge has {self.maximum} connections open, as many as it takes (--connections-max)")
        if self._by_client[client] >= self._per_address_max:
            self.refuse("connections-of-address")
            raise TooManyRequests(
                f"{client} has {self._per_address_max} connections open, as many as one address may; share them among senders "
                "(--connections-per-address-max)"
            )
        self._open.add(connection)
        self._by_client[client] += 1

    def leave(self, connection: WatchedProtocol, client: str) -> None:
        """A connection that was admitted is closed."""
        self._open.discard(connection)
        self._by_client[client] -= 1
        if not self._by_client[client]:
            del self._by_client[client]

    def cut_off(self, client: tuple[str, int] | None) -> None:
        """Close the connection from this address and port at once, without sending what it has not taken yet."""
        for connection in self._open:
            if connection.client == client:
                connection.cut_off()
                return

    def refuse(self, reason: str) -> None:
        """Count one that is turned away or closed."""
        self._refused[reason] += 1

    def is_overloaded(self, now: float) -> bool:
        """Whether a further write is one too many: a burst may fill all the places, but what stands there for long may not."""
        if self.under_way >= limits.REQUESTS_MAX:
            return True
        if not self.refuses:
            return False
        if now - self._refused_last >= limits.OVERLOAD_PAUSE_S:
            self.refuses = False
            return False
        if self.is_queue_full():
            return True
        lasts = self._refused_last - self._refuses_since > limits.OVERLOAD_BURST_S
        return lasts and self.under_way >= limits.REQUESTS_STANDING_MAX

    def note_overload(self, now: float) -> None:
        """A write was refused because there are too many, here or behind."""
        if now - self._refused_last >= limits.OVERLOAD_PAUSE_S:
            self._refuses_since = now
        self._refused_last = now
        self.refuses = True

    def look(self, now: float) -> None:
        """Close those that take too long. `now` is the event loop's time; to be called about once a second."""
        for connection in list(self._open):
            connection.look(now)
