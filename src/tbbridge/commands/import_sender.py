"""Sends the batches of an import, one after the other, each until the bridge has it.

Apart from import_folder.py because it brings httpx, without which that file loads.
"""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from tbbridge.client.address import find_address
from tbbridge.client.answers import Later, Smaller, Stored, backoff_s, judge
from tbbridge.client.transport import Endpoint, TransportFailed
from tbbridge.commands.import_folder import Answered
from tbbridge.errors import CommandFailed
from tbbridge.model import Batch
from tbbridge.wire.protobuf_v1 import encode_batch

_REQUEST_TIMEOUT_S = 60.0


class Sender:
    """The way to one bridge. A bridge that is away or full is tried for `patience_s` before `send` raises `CommandFailed`."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._address = find_address(url)
        self._patience_s = patience_s
        self._transport = Endpoint(self._address, ack="journaled", timeout_s=_REQUEST_TIMEOUT_S, compress=False).open()

    def send(self, batch: Batch) -> Answered:
        """Return when the batch is on the bridge's disk, but for what it refuses."""
        body = encode_batch(batch)
        deadline = time.monotonic() + self._patience_s
        tries = 0
        while True:
            tries += 1
            pause_s: float | None = None
            try:
                verdict = judge(self._transport.post(body), time.time())
            except TransportFailed as error:
                reason = f"no answer from {self._address.shown} ({error})"
            else:
                if isinstance(verdict, Stored):
                    return Answered(verdict.accepted, verdict.duplicate, verdict.rejected)
                reason = f"{self._address.shown} says: {verdict.reason}"
                if isinstance(verdict, Smaller):
                    raise CommandFailed(f"{reason}; start the bridge with a larger --body-max-bytes and import again")
                if not isinstance(verdict, Later) or verdict.is_denied:
                    raise CommandFailed(reason)
                pause_s = verdict.after_s
            pause_s = backoff_s(tries) if pause_s is None else pause_s
            if time.monotonic() + pause_s > deadline:
                again = "the same command goes on from here"
                raise CommandFailed(f"{reason}; gave up after {tries} tries in {self._patience_s:g} s; {again}")
            time.sleep(pause_s)

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
