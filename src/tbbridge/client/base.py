"""What `Client` and `AsyncClient` share: their settings, their runs, and what `flush` and `close` say when points are lost.

They differ only in how they wait. The path of a point: run.py -> backlog.py -> outbox.py -> transport.py.
"""

from __future__ import annotations

import time
import weakref
from abc import ABC, abstractmethod
from os import PathLike
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

from tbbridge import limits
from tbbridge.client import lifecycle
from tbbridge.client.address import find_address
from tbbridge.client.member import Member
from tbbridge.client.options import find_mode, find_spool, find_token
from tbbridge.client.outbox import Outbox
from tbbridge.client.remote import Remote
from tbbridge.client.run import Run
from tbbridge.client.stats import ClientStats
from tbbridge.client.transport import Endpoint
from tbbridge.client.values import Step
from tbbridge.errors import InvalidItem, Rejected, TBBridgeError, Unavailable
from tbbridge.model import RunStatus

# When the server answers: once the points are safe on its disk, or once TensorBoard can see them too.
AckLevel: TypeAlias = Literal["journaled", "written"]


class Sender(lifecycle.Sender, Protocol):
    """What the shared part of a client needs of its sender."""

    def wake(self) -> None:
        """Send soon what was logged until now."""

    def end(self) -> None:
        """Send what is left, then end."""


S = TypeVar("S", bound=Sender)
R = TypeVar("R", bound=Run)


class BaseClient(ABC, Generic[S]):
    """The shared part; see `Client` for the arguments."""

    def __init__(
        self,
        address: str | None = None,
        port: int | None = None,
        *,
        hostname: str | None = None,
        ack: AckLevel = "journaled",
        flush_interval_s: float = limits.CLIENT_FLUSH_INTERVAL_S,
        request_timeout_s: float = limits.CLIENT_REQUEST_TIMEOUT_S,
        queue_max_points: int = limits.CLIENT_QUEUE_MAX_POINTS,
        queue_max_bytes: int = limits.CLIENT_QUEUE_MAX_BYTES,
        batch_max_bytes: int = limits.CLIENT_BATCH_MAX_BYTES,
        compress: bool = False,
        token: str | None = None,
        mode: str | None = None,
        spool_dir: str | PathLike[str] | None = None,
        spool_max_bytes: int | None = None,
    ) -> None:
        if ack not in ("journaled", "written"):
            raise InvalidItem("setting", f"ack is {ack!a}; give 'journaled' or 'written'", "ack")
        for name, setting in (
            ("flush_interval_s", flush_interval_s),
            ("request_timeout_s", request_timeout_s),
            ("queue_max_points", queue_max_points),
            ("queue_max_bytes", queue_max_bytes),
            ("batch_max_bytes", batch_max_bytes),
        ):
            if not setting > 0:
                raise InvalidItem("setting", f"{name} is {setting!a}; give a number above 0", name)
        place = find_spool(spool_dir, spool_max_bytes)
        self._mode = find_mode(mode)
        if self._mode == "offline" and place.max_bytes == 0:
            raise InvalidItem(
                "setting", "offline mode needs a spool, and spool_max_bytes is 0; give it some", "spool_max_bytes"
            )
        self._token = find_token(token)
        self._endpoint = Endpoint(find_address(address, port, hostname), ack, request_timeout_s, compress, self._token)
        self.outbox = Outbox(
            self._endpoint.address.shown,
            max_points=queue_max_points,
            max_bytes=queue_max_bytes,
            batch_bytes=batch_max_bytes,
            mode=self._mode,
            spool=place,
        )
        self._interval_s = flush_interval_s
        self._sender = self._open_sender()
        # A client dropped without close: its sender finishes by itself. Its runs keep the client, so none of them is left.
        weakref.finalize(self, self._sender.end).atexit = False

    @abstractmethod
    def _open_sender(self) -> S:
        """The sender, not started."""

    @property
    def address(self) -> str:
        """The server's URL."""
        return self._endpoint.address.shown

    @property
    def mode(self) -> str:
        """online; offline, where everything goes to the spool; or disabled, where everything is checked and forgotten."""
        return self._mode

    @property
    def stats(self) -> ClientStats:
        """Values sent, dropped, refused, repeated tries, values waiting, and where the time went."""
        return self.outbox.stats

    def run(self, name: str, step: Step = 0) -> Run:
        """A run to log to: a folder below the server's log folder, `/` separating levels. Raises `InvalidItem`.

        Asking for the same name again, here or in another process, goes on with the same run.
        """
        return self._opened(Run, name, step)

    def member(self, name: str, step: Step = 0) -> Member:
        """A member of one of the server's groups to log to, such as 'agent/17'. Raises `InvalidItem`.

        It has the log calls of a run; the server's groups say which run and which tags its values go to (see `groups`). The
        server need not be there. Thousands of members of one client share its connection and its queue.
        """
        return self._opened(Member, name, step)

    def _opened(self, kind: type[R], name: str, step: Step) -> R:
        if self.outbox.closed:
            raise RuntimeError(f"this client of {self.address} is closed; make a new one")
        run = kind(self, name, step)
        self.outbox.adopt(run)
        self.outbox.backlog.ensure_sender()
        return run

    def _remote(self) -> Remote:
        return Remote(self._endpoint.address.url, token=self._token)

    def wake(self) -> None:
        """Have the sender send soon what was logged; returns at once."""
        self._sender.wake()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.address} {self.outbox.stats}>"

    def _finish_flush(self, *, settled: bool, timeout_s: float) -> None:
        outbox = self.outbox
        if outbox.failure is not None:
            raise TBBridgeError(
                f"the sender to {self.address} stopped, nothing more is sent; see the cause"
            ) from outbox.failure
        if not settled and outbox.denied is not None:
            raise Rejected(f"{outbox.denial}. What was logged is kept{outbox.kept}", status=outbox.denied.status)
        if not settled and outbox.closed:
            raise Unavailable(f"this client of {self.address} is closed, and {outbox.backlog.waiting} points were left")
        if not settled and outbox.is_offline:
            because = outbox.unkept_because
            raise Unavailable(f"offline: {outbox.unkept} points could not be kept on disk within {timeout_s:g} s{because}")
        if not settled:
            raise Unavailable(
                f"{self.address} did not take all points within {timeout_s:g} s: {outbox.waiting} wait{outbox.kept}"
                f"{outbox.away}. "
                "They are kept and sent when it does; is a tbbridge server running there?"
            )
        loss = outbox.loss()
        if loss is not None:
            raise loss

    def _begin_close(self, timeout_s: float, status: RunStatus) -> float:
        self.outbox.close_runs(f"this client of {self.address} is closed; log before close()", status)
        return time.monotonic() + timeout_s
