"""Sends the batches of an import, one after the other, each until the bridge has it.

Apart from import_folder.py because it brings httpx, without which that file loads.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self

from tbbridge.client.address import find_address
from tbbridge.client.answers import Smaller, Stored
from tbbridge.client.patience import post_patiently
from tbbridge.client.transport import Endpoint
from tbbridge.commands.import_folder import Answered
from tbbridge.errors import CommandFailed
from tbbridge.model import Batch
from tbbridge.wire.protobuf_v1 import encode_batch

_REQUEST_TIMEOUT_S = 60.0


class Sender:
    """The way to one bridge. A bridge that is away or full is tried for `patience_s`, then `send` raises `Unavailable`."""

    def __init__(self, url: str, patience_s: float) -> None:
        self._address = find_address(url)
        self._patience_s = patience_s
        self._transport = Endpoint(self._address, ack="journaled", timeout_s=_REQUEST_TIMEOUT_S, compress=False).open()

    def send(self, batch: Batch) -> Answered:
        """Return when the batch is on the bridge's disk, but for what it refuses."""
        shown = self._address.shown
        hint = "; the same command goes on from here"
        verdict = post_patiently(self._transport, shown, encode_batch(batch), self._patience_s, hint=hint)
        if isinstance(verdict, Stored):
            return Answered(verdict.accepted, verdict.duplicate, verdict.rejected)
        remedy = "; start the bridge with a larger --body-max-bytes and import again" if isinstance(verdict, Smaller) else ""
        raise CommandFailed(f"{shown} says: {verdict.reason}{remedy}")

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
