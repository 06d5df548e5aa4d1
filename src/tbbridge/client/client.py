"""`Client`: for programs with threads or none. It waits on the thread that sends; all else is in base.py."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tbbridge import limits
from tbbridge.client.base import BaseClient
from tbbridge.client.endings import status_after
from tbbridge.client.remote import GroupEntry
from tbbridge.client.thread_sender import ThreadSender
from tbbridge.model import RunStatus


class Client(BaseClient[ThreadSender]):
    """Logs to a tbbridge server: `with Client('127.0.0.1:6007') as client: run = client.run('first')`.

    Args:
        address: 'host', 'host:port' or a URL; left out: TBBRIDGE_URL, else http://127.0.0.1:6007.
        port: 6007 unless the address says otherwise.
        hostname: another name for `address`, as in lapiz.
        ack: 'written' makes the server answer, and so `flush` return, only when TensorBoard can see the points.
        flush_interval_s: how often what was logged is sent.
        request_timeout_s: after this long without an answer the same request is sent again; the server stores it once.
        queue_max_points: scalars that may wait, about 200 bytes each; then the oldest are dropped and counted.
        queue_max_bytes: bytes of texts and histograms that may wait; likewise.
        batch_max_bytes: the largest request.
        compress: send with gzip; for slow networks.
        token: the server's token, if it asks for one; left out: TBBRIDGE_TOKEN.
        mode: 'online'; 'offline' (everything goes to the spool, for `tbbridge sync`); 'disabled' (everything is checked and
            forgotten). Left out: TBBRIDGE_MODE, else online.
        spool_dir: where points are kept while the server is away or full; left out: TBBRIDGE_SPOOL_DIR, else in ~/.cache.
        spool_max_bytes: what all files there may hold; 0: points wait in memory only.

    The constructor does not connect. Log calls never raise because the server is away: points are kept, on disk too, and sent
    when it answers (docs/offline.md). Safe to use from many threads. After a fork the child has an empty queue and sends by
    itself. Leaving the `with` block by an exception ends the runs as failed.

    Raises `InvalidItem` (a ValueError) for an address or a setting that makes no sense.
    """

    def _open_sender(self) -> ThreadSender:
        return ThreadSender(self.outbox, self._endpoint, self._interval_s)

    def flush(self, timeout_s: float = limits.CLIENT_FLUSH_TIMEOUT_S) -> None:
        """Return when everything logged so far, by all threads and runs, is on the server's disk.

        Raises `Unavailable` if that takes longer than `timeout_s` (the points are kept and still sent), `Rejected` if the
        server refused points since the last flush, `PointsLost` if points were dropped since then.
        """
        self.outbox.hand_over()
        settled = self._sender.wait(self.outbox.backlog.mark(), timeout_s)
        self._finish_flush(settled=settled, timeout_s=timeout_s)

    def close(self, timeout_s: float = limits.CLIENT_CLOSE_TIMEOUT_S) -> None:
        """Send what is left, for at most `timeout_s`; spool the rest, and say so in the log. May be called twice.

        Runs that did not say how they ended are finished.

        Later log calls raise RuntimeError. It never raises for the server's sake: call `flush` to know.
        """
        self._close(timeout_s, RunStatus.FINISHED)

    def _close(self, timeout_s: float, status: RunStatus) -> None:
        if self.outbox.closed:
            return
        deadline = self._begin_close(timeout_s, status)
        self.outbox.report_left(self._sender.close(deadline))

    def groups(self) -> list[GroupEntry]:
        """The server's groups. Raises `Unavailable` if it is away."""
        with self._remote() as remote:
            return remote.groups()

    def put_groups(self, groups: Sequence[GroupEntry]) -> None:
        """Replace the server's groups: `[{"name": "agent", "kind": "indexed", "bin_size": 10}]`; they are kept.

        Raises `Rejected` if they cannot be, or come from the server's settings file; `Unavailable` if it is away.
        """
        with self._remote() as remote:
            remote.put_groups(groups)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close(limits.CLIENT_CLOSE_TIMEOUT_S, status_after(error))
