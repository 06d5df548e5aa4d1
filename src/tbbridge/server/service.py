"""What one app's routes share: its settings, the pipeline's door while it is open, the log folder's reader, and the counts.

Made by `app.build_app` without any work; the door is opened in the app's lifespan.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, ParamSpec, Protocol, TypeVar

from starlette.types import ASGIApp
from starlette.types import Scope as Request

from tbbridge import limits
from tbbridge.errors import QueueFull, Stopping
from tbbridge.groups import NO_GROUPS, Groups
from tbbridge.pipeline.door import Door, Health
from tbbridge.server.connections import Connections, RequestsUnderWay
from tbbridge.server.guard import Guard
from tbbridge.server.live.beat import Beat
from tbbridge.server.live.feed import Feed
from tbbridge.server.settings import ServerSettings
from tbbridge.server.tokens import Tokens
from tbbridge.server.totals import RequestTotals
from tbbridge.store.catalog import Catalog

P = ParamSpec("P")
T = TypeVar("T")

# In a request's scope: what time.perf_counter() said when its head had come.
BEGAN: Final = "tbbridge.began"


class Direct(Protocol):
    """A route that answers by itself, errors included."""

    path: str
    direct: ASGIApp


class BodyBudget:
    """Bytes of all request bodies that are being read and parsed at this moment."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    def take(self, size: int) -> None:
        """Raises `QueueFull` if `size` bytes more are too many now."""
        if self.held_bytes + size > self.max_bytes:
            message = f"request bodies of {self.held_bytes} bytes are being read, at most {self.max_bytes} are; send it again"
            raise QueueFull(message)
        self.held_bytes += size

    def give_back(self, size: int) -> None:
        """Those bytes are no longer held."""
        self.held_bytes -= size


@dataclass(slots=True)
class Service:
    """One app's state. Belongs to the event loop that runs the app."""

    settings: ServerSettings
    catalog: Catalog
    totals: RequestTotals
    bodies: BodyBudget
    groups: Groups
    guard: Guard
    under_way: RequestsUnderWay
    refused: Counter[str] = field(default_factory=Counter)  # requests, by their error's code, and connections, by why
    direct: dict[tuple[str, str], Direct] = field(default_factory=dict)  # by method and path
    opened: Door | None = None
    connections: Connections | None = None  # of the server that runs the app, if it watches them
    live: Feed = field(init=False)
    followers: int = 0  # requests that follow a log now
    stopping: asyncio.Event = field(default_factory=asyncio.Event)  # set when the server begins to stop: what has no end ends
    reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(limits.READS_AT_ONCE))
    decompressions: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(limits.DECOMPRESS_THREADS))

    def __post_init__(self) -> None:
        self.live = Feed(Beat(self))

    @classmethod
    def of(cls, settings: ServerSettings) -> Service:
        """Everything but the door, which the lifespan opens."""
        bodies = BodyBudget(settings.bodies_in_flight_max_bytes)
        guard = Guard(Tokens(settings.tokens_file, settings.tokens), settings.allowed_hosts, settings.allowed_origins)
        under_way = RequestsUnderWay(settings.requests_per_address_max)
        return cls(settings, Catalog(settings.logdir), RequestTotals(), bodies, settings.groups or NO_GROUPS, guard, under_way)

    @property
    def groups_fixed(self) -> bool:
        """True if the groups come from the settings file, and no request may change them."""
        return self.settings.groups is not None

    @property
    def door(self) -> Door:
        """The pipeline's door. Raises `Stopping` before it is opened and after it is closed."""
        if self.opened is None:
            raise Stopping("the bridge is not open: it is starting or stopping; send it again in a moment")
        return self.opened

    @property
    def health(self) -> Health:
        """Whether batches are taken now."""
        return Health(False, "the bridge is starting or stopping") if self.opened is None else self.opened.health

    def is_queue_full(self) -> bool:
        """Whether a further batch will hardly find room."""
        if self.opened is None:
            return False
        stats = self.opened.stats
        return stats.queue_bytes > limits.QUEUE_FULL_SHARE * stats.queue_max_bytes

    def note_overload(self) -> None:
        """A write was refused because too many wait: the next ones need not be read before they are."""
        if self.connections is not None:
            self.connections.note_overload(asyncio.get_running_loop().time())

    def stop(self) -> None:
        """The server begins to stop: end what has no end of its own."""
        self.stopping.set()
        self.live.stop()

    def cut_off(self, request: Request) -> None:
        """Close the connection of a request at once, whatever of its answer has not been taken."""
        if self.connections is not None:
            self.connections.cut_off(request.get("client"))

    async def read(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `function`, which looks through event files, returns; in a thread, and only so many at one time."""
        async with self.reads:
            return await asyncio.to_thread(function, *args, **kwargs)
