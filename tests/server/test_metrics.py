"""/metrics: what came, what was refused and why, how the disk does; each name explained in docs/operations.md."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tbbridge import disk
from tbbridge.errors import QueueFull
from tbbridge.measures import Histogram
from tbbridge.server.request_ids import ClientReport
from tbbridge.server.totals import RequestTotals

WRITE = "/api/v1/write"
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
POINT = {"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0, 2.0, 3.0]}]}]}


async def metrics(client) -> dict[str, float]:
    """Every sample by its name and labels, as `name{label=value}`."""
    found = {}
    for family in text_string_to_metric_families((await client.get("/metrics")).text):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_every_metric_is_explained_and_no_other(client):
    families = text_string_to_metric_families((await client.get("/metrics")).text)
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    page = OPERATIONS.read_text().partition("## Metrics")[2].partition("###")[0]
    rows = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert rows == shown


async def test_points_are_counted_by_what_they_are(client):
    run = {
        "run": "r",
        "scalars": [{"tag": "loss", "values": [1.0, 2.0]}, {"tag": "accuracy", "values": [0.5]}],
        "summaries": [{"kind": "text", "tag": "note", "text": "hello"}, {"kind": "histogram", "tag": "w", "values": [1.0]}],
        "logs": [{"message": "started"}],
    }
    assert (await client.post(WRITE, json={"runs": [run]})).json()["accepted"] == 6
    found = await metrics(client)
    counted = {name: value for name, value in found.items() if name.startswith("tbbridge_points_total") and value}
    assert counted == {
        "tbbridge_points_total{kind=scalar}": 3,
        "tbbridge_points_total{kind=text}": 1,
        "tbbridge_points_total{kind=histogram}": 1,
        "tbbridge_points_total{kind=log}": 1,
    }


async def test_a_repeat_and_a_refused_batch_are_no_points_and_have_no_latency(client):
    numbered = {**POINT, "writer": "w", "seq": 1}
    for body in (numbered, numbered, {"runs": [{"run": "r", "summaries": [{"kind": "text", "tag": "t", "text": ""}]}]}):
        await client.post(WRITE, json=body, params={"ack": "written"})
    found = await metrics(client)
    assert found["tbbridge_points_total{kind=scalar}"] == 3
    assert found["tbbridge_points_total{kind=text}"] == 0
    assert found["tbbridge_duplicate_batches_total"] == 1
    assert found["tbbridge_latency_seconds_count"] == found["tbbridge_batches_total"] == 1
    assert found["tbbridge_rejects_total{reason=invalid-batch}"] == 1


async def test_every_journal_sync_is_in_the_histogram(client):
    for _ in range(3):
        await client.post(WRITE, json=POINT, params={"ack": "written"})
    found = await metrics(client)
    assert found["tbbridge_journal_sync_seconds_count"] == found["tbbridge_journal_commits_total"] == 3
    assert found["tbbridge_journal_sync_seconds_bucket{le=+Inf}"] == 3
    assert found["tbbridge_journal_sync_seconds_sum"] > 0


async def test_the_stages_of_a_write_fill_the_time_that_it_took(client):
    for _ in range(3):
        await client.post(WRITE, json=POINT, params={"ack": "written"})
    found = await metrics(client)
    ways = {
        "to the answer": ("receive", "parse", "queue", "validate", "journal", "fdatasync", "answer"),
        "to the file": ("parse", "queue", "validate", "journal", "fdatasync", "encode", "event_write"),
    }
    sums = {}
    for way, stages in ways.items():
        for stage in stages:
            assert found[f"tbbridge_stage_seconds_count{{stage={stage}}}"] == 3, stage
            assert found[f"tbbridge_stage_seconds_sum{{stage={stage}}}"] > 0, stage
        sums[way] = sum(found[f"tbbridge_stage_seconds_sum{{stage={stage}}}"] for stage in stages)
    whole = found[f"tbbridge_request_seconds_sum{{route={WRITE}}}"]
    assert sums["to the answer"] < whole
    assert sums["to the file"] < found["tbbridge_latency_seconds_sum"] + whole
    sync = found["tbbridge_journal_sync_seconds_sum"]
    fdatasync, journal = (found[f"tbbridge_stage_seconds_sum{{stage={stage}}}"] for stage in ("fdatasync", "journal"))
    assert fdatasync < sync < fdatasync + journal


async def test_what_was_refused_is_in_the_stages_that_it_reached(client):
    await client.post(WRITE, content=b"{")
    await client.post(WRITE, json={"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]}]})
    await client.post(WRITE, json={"runs": [{"run": "r", "summaries": [{"kind": "text", "tag": "t", "text": ""}]}]})
    found = await metrics(client)
    counts = {
        stage: found[f"tbbridge_stage_seconds_count{{stage={stage}}}"] for stage in ("parse", "validate", "journal", "answer")
    }
    assert counts == {"parse": 2, "validate": 2, "journal": 1, "answer": 1}


async def test_the_queue_is_as_old_as_what_waits_for_a_disk_that_hangs(client, monkeypatch):
    """The batch at the disk counts too: while a sync hangs, it is the oldest, and perhaps the only one."""
    at_the_disk, go_on = threading.Event(), threading.Event()
    loop_thread = threading.get_ident()

    def hang(fd: int) -> None:
        assert threading.get_ident() != loop_thread, "the event loop would hang with it"
        at_the_disk.set()
        go_on.wait(60)
        os.fdatasync(fd)

    assert (await metrics(client))["tbbridge_queue_age_seconds"] == 0
    monkeypatch.setattr(disk, "sync_data", hang)
    large = {"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [0.0] * 10_000}]}]}  # not done on the event loop
    write = asyncio.create_task(client.post(WRITE, json=large))
    try:
        await asyncio.to_thread(at_the_disk.wait, 60)
        first = (await metrics(client))["tbbridge_queue_age_seconds"]
        second = (await metrics(client))["tbbridge_queue_age_seconds"]
        assert 0 < first < second
    finally:
        go_on.set()
    assert (await write).status_code == 200
    assert (await metrics(client))["tbbridge_queue_age_seconds"] == 0


REFUSED = {
    "unknown path": ("GET", "/nothing", "", 404, "not-found"),
    "bad parameter": ("GET", "/api/v1/runs?rum=x", "", 422, "invalid-query"),
    "no JSON": ("POST", WRITE, "{", 400, "malformed-body"),
    "of an old client, answered as text": ("POST", "/data", '{"modelName": 7}', 400, "invalid-item"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
async def test_a_refused_request_is_counted_once_by_its_reason(client, case):
    method, path, body, status, reason = case
    answer = await client.request(method, path, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    found = await metrics(client)
    assert {name: value for name, value in found.items() if name.startswith("tbbridge_rejects")} == {
        f"tbbridge_rejects_total{{reason={reason}}}": 1
    }


async def test_a_full_queue_is_a_reason_too(fake_client, door):
    door.error = QueueFull("the queue is full")
    await fake_client.post(WRITE, json=POINT)
    assert (await metrics(fake_client))["tbbridge_rejects_total{reason=queue-full}"] == 1


async def test_items_left_out_of_a_batch_are_counted_by_what_was_wrong(client):
    good = {"tag": "t", "values": [1.0]}
    body = {"runs": [{"run": "r", "scalars": [good, {"tag": "u", "steps": [1, 2], "values": [1.0]}]}]}
    answer = await client.post(WRITE, json=body, params={"partial": "true"})
    (rejected,) = answer.json()["rejected"]
    assert (await metrics(client))[f"tbbridge_rejected_items_total{{reason={rejected['code']}}}"] == 1


async def test_metrics_have_no_name_that_a_stranger_chose(client):
    for path in ("/secret-run/../../etc", "/data/scalars?xp=secret-run&name=t", "/api/v1/runs?run=secret-run"):
        await client.get(path, headers={"x-request-id": "secret-run", "tbbridge-client": "id=secret-run; dropped=1; spooled=0"})
    assert "secret-run" not in (await client.get("/metrics")).text


async def test_what_clients_report_is_counted_once_however_often_they_say_it(client):
    for report in ("id=a; dropped=5; spooled=0", "id=a; dropped=5; spooled=0", "id=b; dropped=1; spooled=9"):
        await client.post(WRITE, json=POINT, headers={"TBBridge-Client": report})
    found = await metrics(client)
    assert (found["tbbridge_client_dropped_total"], found["tbbridge_client_spooled_total"]) == (6, 9)


@pytest.mark.parametrize(
    "report", ["", "dropped=1", "id=; dropped=1; spooled=1", "id=a; dropped=-1; spooled=1", "id=a b; x", "\xff"]
)
async def test_a_report_that_is_none_is_no_reason_to_refuse_points(client, report):
    answer = await client.post(
        WRITE,
        content=json.dumps(POINT),
        headers=[(b"TBBridge-Client", report.encode("latin-1")), (b"content-type", b"application/json")],
    )
    assert answer.status_code == 200
    assert (await metrics(client))["tbbridge_client_dropped_total"] == 0


def test_a_report_that_arrives_late_takes_nothing_back():
    totals = RequestTotals()
    for dropped in (5, 3, 7):
        totals.take_report(ClientReport(b"a", dropped, 0))
    assert totals.client_dropped == 7


def test_reports_are_remembered_of_a_bounded_number_of_clients(monkeypatch):
    monkeypatch.setattr("tbbridge.limits.CLIENT_REPORTS_KEPT", 2)
    totals = RequestTotals()
    for client in (b"a", b"b", b"a", b"c", b"a"):  # b is the one forgotten, for it was silent longest
        totals.take_report(ClientReport(client, 1, 0))
    assert totals.client_dropped == 3
    totals.take_report(ClientReport(b"b", 1, 0))
    assert totals.client_dropped == 4


def test_a_value_on_a_bound_counts_below_it_and_buckets_rise():
    histogram = Histogram((0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 99.0):
        histogram.observe(value)
    assert histogram.rising() == [("0.1", 2.0), ("1.0", 3.0), ("+Inf", 4.0)]
    assert histogram.total == pytest.approx(99.65)
