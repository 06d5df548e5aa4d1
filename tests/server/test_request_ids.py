"""A request's id: the sender's if it is sane, else made; in the answer, in the problem, and in every line logged for it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tbbridge.server import request_ids

SANE = [
    "7",
    "5f1c9a02-1b",
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "Root=1-67891233-abcdef012345",
    "a" * 128,
]
ODD = ["", " ", "a b", "-rf", "a\tb", "a;b", "a\u00e9", "a" * 129, '"a"', "<a>", "${jndi:x}"]


@pytest.mark.parametrize("chosen", SANE)
async def test_a_sane_id_of_the_senders_is_kept(client, chosen):
    answer = await client.get("/healthz", headers={"x-request-id": chosen})
    assert answer.headers["x-request-id"] == chosen


@pytest.mark.parametrize("chosen", ODD)
async def test_an_odd_id_is_replaced_and_refuses_nothing(client, chosen):
    answer = await client.get("/healthz", headers=[(b"x-request-id", chosen.encode())])
    assert answer.status_code == 200
    assert answer.headers["x-request-id"] not in ("", chosen)


async def test_ids_that_we_make_differ(client):
    made = [(await client.get("/healthz")).headers["x-request-id"] for _ in range(10)]
    assert len({*made}) == 10


async def test_requests_at_one_time_keep_their_ids_apart_in_threads_too(fake_client, door, monkeypatch):
    """Each logs from a thread of its own, while the others are under way."""
    seen = []
    together = asyncio.Barrier(3)

    async def settled() -> None:
        await together.wait()
        seen.append(await asyncio.to_thread(request_ids.current_id))

    monkeypatch.setattr(door, "settled", settled)
    chosen = ["one", "two", "three"]
    answers = await asyncio.gather(*(fake_client.get("/api/v1/runs", headers={"x-request-id": name}) for name in chosen))
    assert [answer.headers["x-request-id"] for answer in answers] == chosen
    assert sorted(seen) == sorted(chosen)


async def test_an_unforeseen_error_is_logged_under_the_id_that_its_sender_is_told(fake_client, door, caplog):
    door.error = RuntimeError("the secret cause")
    body = '{"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]}]}'
    headers = {"content-type": "application/json", "x-request-id": "job-7"}
    with caplog.at_level(logging.ERROR):
        problem = (await fake_client.post("/api/v1/write", content=body, headers=headers)).json()
    assert problem["request_id"] == "job-7"
    assert [record.args[0] for record in caplog.records if record.levelno == logging.ERROR] == ["job-7"]
