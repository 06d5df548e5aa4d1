"""A remote destination: the same face as local.py's, over a `Client` that sends to a bridge."""

from __future__ import annotations

from tbbridge.client.backlog import Backlog
from tbbridge.client.client import Client
from tbbridge.model import RunName, RunStatus, run_name


class RemoteDestination:
    """Sends to the bridge at `address` (None: TBBRIDGE_URL), as the run `run`. It does not connect here."""

    def __init__(
        self,
        address: str | None,
        run: str,
        *,
        flush_secs: float,
        purge_step: int | None,
        token: str | None = None,
        mode: str | None = None,
    ) -> None:
        self._base = run_name(run)
        self._token, self._mode = token, mode
        self._address = address
        self._interval_s = flush_secs
        self._purge_step = purge_step
        self._purged: set[RunName] = set()  # what a reopened writer, or a forked child, must not hide
        self.reopen()
        self.run_name("")

    def reopen(self) -> None:
        """A new client; series numbers begin anew."""
        self._client = Client(self._address, flush_interval_s=self._interval_s, token=self._token, mode=self._mode)
        self._client.run(self._base)

    @property
    def is_behind(self) -> bool:
        """False: sending takes longest, and does not wait for the log calls."""
        return False

    @property
    def queue(self) -> Backlog:
        """Where log calls append."""
        return self._client.outbox.backlog

    @property
    def shown(self) -> str:
        """Address and run, for people."""
        return f"{self._client.address}/{self._base}"

    def run_name(self, sub_run: str) -> RunName:
        """The run of this name below ours, '' being ours; raises `InvalidItem`. Its first use purges it, if that is asked."""
        run = run_name(f"{self._base}/{sub_run}") if sub_run else self._base
        if self._purge_step is not None and run not in self._purged:
            self._purged.add(run)
            self._client.outbox.purge(run, self._purge_step)
        return run

    def series(self, run: RunName, tag: str, display_name: str = "", description: str = "") -> int:
        """The number of this (run, tag); raises `InvalidItem` for a tag that cannot be."""
        return self._client.outbox.series(run, tag, display_name, description)

    def flush(self) -> None:
        """Return when everything logged so far is on the bridge's disk; raises as `Client.flush`."""
        self._client.flush()

    def close(self) -> None:
        """Send what is left; says in the log what could not be sent."""
        self._client.close()

    def fail(self) -> None:
        """The same; an exception ended the runs."""
        self._client.outbox.end_runs(RunStatus.FAILED)
        self._client.close()

    def end(self) -> None:
        """The writer is gone: the client sends what is left by itself."""
