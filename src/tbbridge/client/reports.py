"""What a user is told of points that did not arrive, and of what the server says about those that did: each thing once.

In the log at once, and by `flush` as an error. outbox.py knows what became of a body; this makes words of it.
"""

from __future__ import annotations

import logging
import re
from typing import Final

from tbbridge import limits
from tbbridge.client import bodies
from tbbridge.client.answers import Refused, Stored
from tbbridge.client.overflow import Sending
from tbbridge.errors import ItemError, PointsLost, Rejected, TBBridgeError

logger = logging.getLogger("tbbridge.client")

_PLACE: Final = re.compile(r"runs\[(\d+)\](?:\.(scalars|summaries)\[(\d+)\])?")
_ELEMENT: Final = re.compile(r"\.\w+(?:\[\d+\])?$")


class Reports:
    """Of one client. `shown` is the server's address in messages."""

    def __init__(self, shown: str) -> None:
        self.rejected = 0
        self._shown = shown
        self._dropped_reported = self._rejected_reported = 0
        self._refusal: Refused | None = None
        self._warned: set[tuple[str, ...]] = set()

    def stored(self, sending: Sending, stored: Stored) -> int:
        """The server has stored a body, perhaps without some of its items; how many values of it are there."""
        missing = 0 if stored.duplicate else max(0, sending.count - stored.accepted)
        if missing:
            errors = tuple(ItemError(_named(sending, e.path), e.code, e.message) for e in stored.rejected)
            reason = f"{errors[0].path}: {errors[0].message}" if errors else "it did not say why"
            self.refused(missing, Refused(200, reason, errors))
        for warning in stored.warnings:
            place = _named(sending, warning.path)
            self.warn_once((warning.code, place), f"{self._shown} says about {place or 'a batch'}: {warning.message}")
        return sending.count - missing

    def refused(self, count: int, refused: Refused) -> None:
        """`count` values will not arrive."""
        self.rejected += count
        if self._refusal is None:
            self._refusal = refused
        else:
            errors = (self._refusal.errors + refused.errors)[: limits.REPORTED_ITEMS]
            self._refusal = Refused(self._refusal.status, self._refusal.reason, errors)
        self.warn_once((str(refused.status), refused.reason), f"{self._shown} refused {count} points: {refused.reason}")

    def warn_once(self, key: tuple[str, ...], message: str) -> None:
        """Log a warning, unless this was said before."""
        if key in self._warned:
            return
        if len(self._warned) < limits.CLIENT_WARNINGS_MAX:
            self._warned.add(key)
            logger.warning("%s", message)

    def loss(self, all_dropped: int) -> TBBridgeError | None:
        """What became of points that did not arrive, since the last call; None if nothing was lost."""
        dropped, self._dropped_reported = all_dropped - self._dropped_reported, all_dropped
        rejected, self._rejected_reported = self.rejected - self._rejected_reported, self.rejected
        refusal, self._refusal = self._refusal, None
        error: TBBridgeError | None = None
        if rejected and refusal is not None:
            message = f"{self._shown} refused {rejected} points: {refusal.reason}"
            error = Rejected(message, status=refusal.status, errors=refusal.errors)
        if dropped:
            message = f"{dropped} points were dropped before they could be sent to {self._shown}: more was waiting than may"
            lost = PointsLost(message + "; see queue_max_points, queue_max_bytes and spool_max_bytes", count=dropped)
            lost.__cause__ = error
            return lost
        return error


def _named(sending: Sending, path: str) -> str:
    """The item that `path` means, by run and tag as the user knows it; where in the item is of no use to them."""
    found = _PLACE.match(path)
    named = None if found is None else bodies.name_of(sending.raw, int(found[1]), found[2], int(found[3] or 0))
    # The pipeline names items so already; what is wrong with a body goes by position
    return _ELEMENT.sub("", path) if named is None else named
