"""What an answer means for the batch that was sent, and how long to wait."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import format_datetime, formatdate

import pytest

from tbbridge import limits
from tbbridge.client.answers import Answer, Later, Refused, Smaller, Stored, backoff_s, judge, retry_after_s
from tbbridge.errors import ItemError, ItemWarning
from tbbridge.wire.protobuf_v1 import encode_problem, encode_response

PROTOBUF = "application/x-protobuf"
PROBLEM = encode_problem("about:blank", "Queue full", 429, "wait a little", "queue-full", [ItemError("runs[0]", "x", "y")])


def answer(status: int, body: bytes = b"", kind: str = PROTOBUF, retry_after: str = "") -> Answer:
    return Answer(status, kind, retry_after, body)


def test_a_200_tells_what_was_stored() -> None:
    body = encode_response(7, duplicate=False, rejected=[ItemError("a", "b", "c")], warnings=[ItemWarning("d", "e", "f")])
    assert judge(answer(200, body), 0) == Stored(7, False, (ItemError("a", "b", "c"),), (ItemWarning("d", "e", "f"),))


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504, 507])
def test_passing_troubles_are_tried_again(status: int) -> None:
    verdict = judge(answer(status, PROBLEM, retry_after="3"), 0)
    assert isinstance(verdict, Later)
    assert (verdict.after_s, verdict.is_odd) == (3.0, False)
    assert "wait a little" in verdict.reason


@pytest.mark.parametrize("status", [500, 501, 599])
def test_a_server_fault_is_tried_again_for_a_while(status: int) -> None:
    verdict = judge(answer(status), 0)
    assert isinstance(verdict, Later)
    assert verdict.is_odd


def test_an_answer_cut_short_is_tried_again_for_a_while() -> None:
    verdict = judge(answer(200, b"\x12\xff"), 0)
    assert isinstance(verdict, Later)
    assert verdict.is_odd


@pytest.mark.parametrize("status", [400, 409, 415, 422, 301, 204])
def test_everything_else_is_final(status: int) -> None:
    verdict = judge(answer(status, PROBLEM), 0)
    assert isinstance(verdict, Refused)
    assert verdict.errors == (ItemError("runs[0]", "x", "y"),)


def test_too_large_asks_for_smaller_ones() -> None:
    assert isinstance(judge(answer(413), 0), Smaller)


@pytest.mark.parametrize(
    "wrong",
    [
        answer(404, b"<html>Not Found</html>", "text/html; charset=utf-8"),
        answer(200, b"<html>hello</html>", "text/html"),
        answer(404, b"", ""),
        answer(404, b"[]", "application/json"),
        answer(404, b"{", "application/json"),
    ],
)
def test_what_is_no_bridge_is_called_so(wrong: Answer) -> None:
    verdict = judge(wrong, 0)
    assert isinstance(verdict, Later)
    assert verdict.is_denied
    assert "not a tbbridge server" in verdict.reason


def test_a_problem_in_json_is_read_too() -> None:
    verdict = judge(answer(401, b'{"title": "Unauthorized", "detail": "no token"}', "application/problem+json"), 0)
    assert isinstance(verdict, Later)
    assert verdict.reason == "HTTP 401 Unauthorized: no token"


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_who_is_not_let_in_keeps_what_was_logged(status: int) -> None:
    verdict = judge(answer(status, PROBLEM), 0)
    assert isinstance(verdict, Later)
    assert verdict.is_denied
    assert not verdict.is_odd


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", None),
        ("5", 5.0),
        ("0.5", 0.5),
        ("-3", 0.0),
        ("1e9", limits.CLIENT_RETRY_AFTER_MAX_S),
        ("nan", None),
        ("soon", None),
        (formatdate(1_000_010, usegmt=True), 10.0),
        (formatdate(999_990, usegmt=True), 0.0),
        (format_datetime(datetime.fromtimestamp(1_000_004, UTC)), 4.0),
        ("Mon, 99 Foo 2020 00:00:00 GMT", None),
    ],
)
def test_retry_after_in_seconds_and_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_s(header, 1_000_000.0) == seconds


def test_backoff_doubles_up_to_its_bound_and_is_spread_from_zero() -> None:
    ceilings = [backoff_s(tries, lambda: 1.0) for tries in range(1, 12)]
    assert ceilings[:4] == [0.1, 0.2, 0.4, 0.8]
    assert ceilings[-1] == limits.CLIENT_BACKOFF_MAX_S
    assert backoff_s(100_000, lambda: 1.0) == limits.CLIENT_BACKOFF_MAX_S
    assert backoff_s(5, lambda: 0.0) == 0.0


def test_an_outage_does_not_change_what_a_seeded_training_draws() -> None:
    before = random.getstate()
    assert len({backoff_s(20) for _ in range(20)}) > 1
    assert random.getstate() == before
