"""What a client tells of itself: how many values went where, and how long it took. outbox.py keeps it."""

from __future__ import annotations

from dataclasses import dataclass, field

from tbbridge.measures import Histogram


@dataclass(frozen=True, slots=True)
class ClientTimes:
    """Where the time of what was sent went, in seconds. Nothing is timed in the log calls, of which a clock would be a quarter.

    `wait`: of the first point of each batch, from its log call to when the sender took it (by its wall time, so one that you
    gave yourself counts as no wait, or as long as the sender slept). `serialize`: making each body. `send`: of each try, from
    handing the body to the connection until its answer.
    """

    wait: Histogram = field(default_factory=Histogram)
    serialize: Histogram = field(default_factory=Histogram)
    send: Histogram = field(default_factory=Histogram)

    def copy(self) -> ClientTimes:
        """The same as they are now."""
        return ClientTimes(self.wait.copy(), self.serialize.copy(), self.send.copy())


@dataclass(frozen=True, slots=True)
class ClientStats:
    """Totals of one client since its start. `queued` waits in memory now, the batch under way included; `spooled` on disk."""

    sent: int
    dropped: int
    rejected: int
    retries: int
    queued: int
    spooled: int = 0
    times: ClientTimes = field(default_factory=ClientTimes, repr=False, compare=False)
