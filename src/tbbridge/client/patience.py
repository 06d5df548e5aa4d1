"""Posts one body again and again until the server has taken or refused it: for commands, which have nothing else to do.

The senders of a training never wait like this; what they do is outbox.py's to decide, by the same verdicts of answers.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from tbbridge import limits
from tbbridge.client.answers import Later, Refused, Smaller, Stored, backoff_s, judge
from tbbridge.client.transport import Transport, TransportFailed
from tbbridge.errors import Rejected, Unavailable


def post_patiently(
    transport: Transport,
    shown: str,
    body: bytes,
    patience_s: float,
    *,
    hint: str = "",
    sleep: Callable[[float], None] = time.sleep,
) -> Stored | Smaller | Refused:
    """What the server, `shown` in messages, says in the end. One that is away or full is tried for `patience_s`.

    Raises `Unavailable`, which ends with `hint`, when that time is over; `Rejected` where we are not let in, or something else
    than a server of ours answers.
    """
    deadline = time.monotonic() + patience_s
    tries = 0
    while True:
        tries += 1
        pause_s: float | None = None
        try:
            verdict = judge(transport.post(body), time.time())
        except TransportFailed as error:
            reason = f"no answer from {shown} ({error}); is a bridge running there? `tbbridge up` starts one"
        else:
            if not isinstance(verdict, Later):
                return verdict
            reason = f"{shown} says: {verdict.reason}"
            if verdict.is_denied:
                advice = ". Set TBBRIDGE_TOKEN to a token that may write" if verdict.status in (401, 403) else ""
                raise Rejected(f"{reason}{advice}", status=verdict.status)
            if verdict.is_odd and tries >= limits.CLIENT_ODD_ANSWERS_MAX:
                return Refused(verdict.status, verdict.reason)
            pause_s = verdict.after_s
        pause_s = backoff_s(tries) if pause_s is None else pause_s
        if time.monotonic() + pause_s > deadline:
            raise Unavailable(f"{reason}; gave up after {tries} tries in {patience_s:g} s{hint}")
        sleep(pause_s)
