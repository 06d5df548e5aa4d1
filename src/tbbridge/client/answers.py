"""What an answer to a write means for the batch that was sent, and how long to wait before the next try.

Pure: an answer comes in as plain values, the clock and the dice as arguments. outbox.py acts on the verdict.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final, TypeAlias

from google.protobuf.message import DecodeError

from tbbridge import limits
from tbbridge.errors import ItemError, ItemWarning
from tbbridge.v1 import write_pb2

PROTOBUF_TYPE: Final = "application/x-protobuf"

# Passing troubles: a full queue, a restart, a proxy whose server is away, a full disk, a request that took too long to arrive.
_LATER: Final = frozenset({408, 429, 502, 503, 504, 507})


_ELSEWHERE: Final = "check host, port and path (TensorBoard itself usually has 6006, tbbridge 6007)"
_DENIED: Final = frozenset({401, 403})
# A bridge without the path that we write to: it speaks another version of the interface, and says so (docs/api.md).
_OTHER_VERSION: Final = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as the transports hand it over; header values as sent, empty if absent."""

    status: int
    content_type: str
    retry_after: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """The server has taken the batch, apart from `rejected` items; of a duplicate all that was good is stored already."""

    accepted: int
    duplicate: bool
    rejected: tuple[ItemError, ...]
    warnings: tuple[ItemWarning, ...]


@dataclass(frozen=True, slots=True)
class Later:
    """Nothing was taken, or we cannot know: send the same again, not before `after_s` if the server said so."""

    reason: str
    after_s: float | None = None
    is_odd: bool = False  # no answer a healthy server gives: try limits.CLIENT_ODD_ANSWERS_MAX times, then give the batch up
    status: int = 0
    # No answer of a server that we may send to, and none that waiting alone will change: a token is missing, or something else
    # answers at that address. What was logged is kept until somebody mends it.
    is_denied: bool = False


@dataclass(frozen=True, slots=True)
class Smaller:
    """The body is larger than the server (or a proxy) takes: send it in parts."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The server will not take this batch, however often it is sent."""

    status: int
    reason: str
    errors: tuple[ItemError, ...] = ()


Verdict: TypeAlias = Stored | Later | Smaller | Refused


def judge(answer: Answer, now: float) -> Verdict:
    """What `answer` says about the batch; `now` is the time, in seconds since 1970, for a Retry-After that is a date."""
    if answer.status == HTTPStatus.OK:
        return _stored(answer)
    reason, errors = _problem(answer)
    if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Smaller(reason)
    if answer.status in _DENIED or answer.status in _OTHER_VERSION:
        return Later(reason, status=answer.status, is_denied=True)
    if answer.status in _LATER:
        return Later(reason, retry_after_s(answer.retry_after, now), status=answer.status)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Later(reason, retry_after_s(answer.retry_after, now), is_odd=True, status=answer.status)
    if not _is_ours(answer):
        return Later(reason, status=answer.status, is_denied=True)
    return Refused(answer.status, reason, errors)


def _stored(answer: Answer) -> Verdict:
    if not answer.content_type.startswith(PROTOBUF_TYPE):
        return Later(_not_ours(answer), status=answer.status, is_denied=True)
    try:
        message = write_pb2.WriteResponse.FromString(answer.body)
    except DecodeError:
        return Later("the answer could not be read", is_odd=True, status=answer.status)
    return Stored(
        accepted=message.accepted,
        duplicate=message.duplicate,
        rejected=_item_errors(message.rejected),
        warnings=tuple(ItemWarning(item.path, item.code, item.message) for item in message.warnings),
    )


def words_of(answer: Answer) -> str:
    """What an error answer says, in the server's own words if they are ours."""
    return _problem(answer)[0]


def _is_ours(answer: Answer) -> bool:
    """Whether a server of ours gave this error: each of its has a body that says what is wrong."""
    return not _problem(answer)[0].endswith(_ELSEWHERE)


def _problem(answer: Answer) -> tuple[str, tuple[ItemError, ...]]:
    """The server's own words for an error answer: a Problem in protobuf or JSON, else what HTTP calls the status."""
    if answer.content_type.startswith(PROTOBUF_TYPE):
        try:
            message = write_pb2.Problem.FromString(answer.body)
        except DecodeError:
            return f"HTTP {answer.status}, with a body that could not be read", ()
        return f"HTTP {answer.status} {message.title}: {message.detail}", _item_errors(message.errors)
    if "json" in answer.content_type:
        try:
            problem = json.loads(answer.body)
        except ValueError:
            problem = None
        if isinstance(problem, dict) and isinstance(problem.get("detail"), str):
            return f"HTTP {answer.status} {problem.get('title', '')}: {problem['detail']}", ()
    return _not_ours(answer), ()


def _item_errors(items: Sequence[write_pb2.ItemError]) -> tuple[ItemError, ...]:
    return tuple(ItemError(item.path, item.code, item.message) for item in items)


def _not_ours(answer: Answer) -> str:
    try:
        phrase = HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = ""
    kind = answer.content_type.partition(";")[0] or "no content type"
    return (
        f"HTTP {answer.status} {phrase} ({kind}): what answers there is not a tbbridge server, or a proxy in front of it; "
        f"{_ELSEWHERE}"
    )


def retry_after_s(header: str, now: float) -> float | None:
    """Seconds that a Retry-After header asks to wait: a number or an HTTP date; None if absent or unreadable. Bounded."""
    text = header.strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), limits.CLIENT_RETRY_AFTER_MAX_S)


# Not `random.random`: a training that seeds it would no longer repeat itself when its bridge was away. The system's needs no
# state, so that forked processes do not throw alike.
_dice = random.SystemRandom().random


def backoff_s(tries: int, dice: Callable[[], float] = _dice) -> float:
    """How long to wait after the `tries`th failure in a row: exponential with full jitter, so that clients spread out."""
    ceiling = min(limits.CLIENT_BACKOFF_MIN_S * 2.0 ** min(tries - 1, 60), limits.CLIENT_BACKOFF_MAX_S)
    return dice() * ceiling
