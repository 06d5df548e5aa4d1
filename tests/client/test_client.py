"""`Client` against a real socket: what arrives, in what order, and exactly once through everything that can go wrong."""

from __future__ import annotations

import gc
import logging
import signal
import socket
import subprocess
import sys
import threading
import time
from email.utils import formatdate
from typing import Any

import numpy as np
import pytest
from fake_server import LOST_ANSWER, LOST_REQUEST, OK, Script, Server, at_once, free_port, serve, status, until

import tbbridge
from tbbridge import limits
from tbbridge.client import Client
from tbbridge.errors import InvalidItem, ItemWarning, PointsLost, Rejected, Unavailable

pytestmark = pytest.mark.usefixtures("quick_retries")


# --- lapiz's way ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelling", ["one text", "hostname and port"])
def test_the_code_of_lapiz_runs_with_only_the_import_changed(server: Server, spelling: str) -> None:
    as_text = spelling == "one text"
    client = Client(f"127.0.0.1:{server.port}") if as_text else Client(hostname="127.0.0.1", port=server.port)
    weights = np.random.default_rng(0).normal(size=100)
    with client.run("run0,lr=1e-3,lambda=1e-1") as run:
        run.step()
        run.add_scalar("accuracy", 1.3e-3)
        run.add_histogram("w", weights)
        run.step()
        run.add_scalar("accuracy", np.float32(0.5))

    run = client.run("run1")
    run.step(36)
    run.add_scalar("accuracy", 0.75)
    run.send()
    run.wall_time(11.3)
    run.add_scalar("accuracy", 0.875)
    run.add_histogram("w", histo={"min": 0, "max": 1, "num": 2, "sum": 1, "sum_squares": 1, "bucket_limit": [1], "bucket": [2]})
    run.close()
    client.close()

    first, second = server.scalars["run0,lr=1e-3,lambda=1e-1", "accuracy"]
    assert (first[:2], second[:2]) == ((1, 1.3e-3), (2, 0.5))
    sent, overridden = server.scalars["run1", "accuracy"]
    assert (sent[:2], overridden) == ((36, 0.75), (36, 0.875, 11.3))
    assert abs(sent[2] - time.time()) < 3600
    (_, raw), (_, ready) = server.histograms
    assert raw.buckets is not None
    assert raw.buckets.counts.sum() == 100
    assert (raw.step, ready.step, ready.wall_time) == (1, 36, 11.3)


def test_the_default_tags_are_those_of_lapiz(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run:
        run.add_scalar(value=0.5)
        run.add_histogram(weights=[1, 2])
    assert server.values("r", "accuracy") == [0.5]
    assert server.histograms[0][1].tag == "weights"


def test_a_run_may_start_at_a_step_and_steps_count_on(server: Server) -> None:
    with Client(server.url) as client, client.run("r", step=7) as run:
        for _ in range(3):
            run.add_scalar("a", 1)
            run.step()
        run.step(3)
        run.add_scalar("a", 1)
    assert server.steps("r", "a") == [7, 8, 9, 3]


def test_wall_time_is_for_the_whole_open_step_and_for_nothing_after_it(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run:
        run.wall_time(5.0)
        run.step()  # nothing to send: the time is kept for what comes
        run.add_scalar("a", 1)
        run.add_text("t", "x")
        run.step()
        run.add_scalar("a", 2)
        run.wall_time(6.0)
        run.add_scalar("a", 3)
        run.step()
        run.add_scalar("a", 4)
        run.add_scalar("a", 5, wall_time=9.0)
    times = [wall_time for _, _, wall_time in server.scalars["r", "a"]]
    assert times[:3] == [5.0, 6.0, 6.0]
    assert times[3] > 1e9
    assert times[4] == 9.0
    assert server.texts[0][1].wall_time == 5.0


def test_deleting_a_run_sends_what_it_held(server: Server) -> None:
    with Client(server.url) as client:
        run = client.run("r")
        run.add_scalar("a", 1)
        del run
        gc.collect()
        client.flush()
        assert server.values("r", "a") == [1]


# --- everything arrives, in order -------------------------------------------------------------------------------------


def test_both_ways_to_log_keep_the_order_of_a_tag(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run:
        run.add_scalar("a", 0)
        run.add_scalar("a", 1, step=1)
        run.step(2)
        run.add_scalar("a", 2)
        run.add_scalars({"a": 3, "b": 3}, step=3)
        run.step(4)
        run.add_scalars({"a": 4, "b": 4})
    assert server.steps("r", "a") == server.values("r", "a") == [0, 1, 2, 3, 4]
    assert server.steps("r", "b") == [3, 4]


def test_several_threads_several_runs_and_small_batches(server: Server) -> None:
    """Every point exactly once and each tag in its order, while batches form in the middle of it."""

    def work(number: int) -> None:
        run = client.run(f"run{number % 2}")
        for step in range(2000):
            run.add_scalar(f"tag{number}", step, step)
            run.add_scalar(f"frame{number}", step)
            if step % 3 == 0:
                run.step()
        run.close()

    with Client(server.url, flush_interval_s=0.01, batch_max_bytes=20_000) as client:
        at_once(work, 4)
        client.flush()
        assert client.stats.sent == 4 * 2 * 2000
    for number in range(4):
        for tag in (f"tag{number}", f"frame{number}"):
            assert server.values(f"run{number % 2}", tag) == list(range(2000))
    assert max(server.sizes) <= 20_000
    assert [seq for _, seq in server.requests] == list(range(1, len(server.requests) + 1))


def test_of_several_numbers_those_before_a_wrong_one_are_logged_and_all_have_one_time(server: Server) -> None:
    with Client(server.url) as client:
        run = client.run("r")
        run.add_scalar("a", 0)  # of the frame that the next call ends
        for wrong in ({"a": 1.0, "b": "x", "c": 3.0}, {"a": 2.0, ("no", "text"): 1.0}, {"a": 3.0, "": 1.0}):
            with pytest.raises(InvalidItem):
                run.add_scalars(wrong, step=7)
        run.add_scalars({"a": 4, "d": 4}, wall_time=5.0)
        run.add_scalars({}, step=9)
    assert server.values("r", "a") == [0, 1, 2, 3, 4]
    assert server.steps("r", "a") == [0, 7, 7, 7, 0]
    assert server.values("r", "b") == server.values("r", "c") == []
    assert server.values("r", "d") == [4]


def test_stats_tell_where_the_time_of_what_was_sent_went(server: Server) -> None:
    with Client(server.url, flush_interval_s=60) as client:
        run = client.run("r")
        for step in range(2):
            run.add_scalar("a", step, step)
            time.sleep(0.05)
            client.flush()
        run.add_scalar("a", 2, 2, wall_time=1.0)  # long ago, as its user says
        client.flush()
        times = client.stats.times
        run.add_scalar("a", 3, 3)
        client.flush()
    assert times.wait.count == times.serialize.count == times.send.count == 3
    assert 0.1 < times.wait.total < 10
    assert times.wait.percentile(1) < 0.04 < times.wait.percentile(99)  # a sleep may end a little early by another clock
    assert times.serialize.total > 0
    assert times.send.total > 0


def test_two_run_objects_of_one_name_are_one_run(server: Server) -> None:
    with Client(server.url) as client:
        first, second = client.run("r"), client.run("r")
        first.add_scalar("a", 1, 1)
        second.add_scalar("a", 2, 2)
        first.add_scalar("a", 3, 3)
    assert server.steps("r", "a") == [1, 2, 3]


def test_a_large_open_step_goes_off_before_it_ends(server: Server) -> None:
    with Client(server.url, flush_interval_s=0.01) as client:
        run = client.run("r")
        for number in range(limits.CLIENT_FRAME_MAX_POINTS):
            run.add_scalar("a", number)
        until(lambda: len(server.values("r", "a")) == limits.CLIENT_FRAME_MAX_POINTS)


def test_many_series_of_long_names_are_split_to_fit(server: Server) -> None:
    with Client(server.url, batch_max_bytes=50_000) as client:
        run = client.run("r")
        for number in range(500):
            run.add_scalar(f"{number:0500}", number, 0)
        client.flush()
    assert max(server.sizes) <= 50_000
    assert len(server.scalars) == 500


def test_weights_may_change_after_the_call(server: Server) -> None:
    weights = np.ones(10)
    with Client(server.url) as client, client.run("r") as run:
        run.add_histogram("w", weights)
        weights[:] = 5
    buckets = server.histograms[0][1].buckets
    assert buckets is not None
    assert buckets.rights[-1] == 1


def test_weights_too_large_to_copy_arrive_too(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "CLIENT_COPY_MAX_BYTES", 100)
    with Client(server.url) as client, client.run("r") as run:
        run.add_histogram("w", [*range(100), np.nan])
        run.add_histogram("w", [np.nan] * 3)
    buckets = server.histograms[0][1].buckets
    assert buckets is not None
    assert buckets.counts.sum() == 100
    assert sum("NaN" in record.message for record in caplog.records) == 1


def test_compressed_bodies_say_so(server: Server) -> None:
    with Client(server.url, compress=True) as client, client.run("r") as run:
        run.add_scalar("a", 1)
    assert server.values("r", "a") == [1]
    assert server.headers[0]["Content-Encoding"] == "gzip"


@pytest.mark.parametrize("ack", ["journaled", "written"])
def test_the_request_asks_for_partial_and_the_ack_wanted(server: Server, ack: Any) -> None:
    with Client(server.url + "/base", ack=ack) as client, client.run("r") as run:
        run.add_scalar("a", 1)
    assert server.paths == [f"/base/api/v1/write?partial=true&ack={ack}"]
    assert server.headers[0]["Content-Type"] == "application/x-protobuf"


def test_a_login_in_the_address_is_sent(server: Server) -> None:
    with Client(f"http://me:p%40ss@127.0.0.1:{server.port}") as client, client.run("r") as run:
        run.add_scalar("a", 1)
    assert server.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize(
    ("host", "exempt", "is_proxied"),
    [("bridge.invalid", "", True), ("bridge.invalid", "other.invalid,bridge.invalid", False), ("127.0.0.1", "", False)],
)
def test_the_proxy_of_the_environment_is_used_but_not_for_this_machine(
    server: Server, monkeypatch: pytest.MonkeyPatch, host: str, exempt: str, is_proxied: bool
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.setenv("no_proxy", exempt)
    client = Client(f"http://{host}:9")
    client.run("r").add_scalar("a", 1, 0)
    client.close(timeout_s=30 if is_proxied else 0.05)
    assert server.paths == [f"http://{host}:9/api/v1/write?partial=true&ack=journaled"] * is_proxied


# --- exactly once, whatever happens -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "troubles",
    [
        [LOST_REQUEST],
        [LOST_ANSWER],
        [LOST_ANSWER, LOST_ANSWER, LOST_REQUEST, OK, LOST_ANSWER],
        [status(429, headers={"Retry-After": "0"}), status(503), status(502), status(504), status(507), status(408)],
        [status(429, headers={"Retry-After": formatdate(0, usegmt=True)})],
        [status(500), status(500), Script(body=b"\x12\xff")],  # stored, but the answer is cut
        [LOST_ANSWER, status(503)],
    ],
    ids=["lost request", "lost answer", "both, mixed", "not now", "not now, until a date", "odd answers", "taken, then 503"],
)
def test_each_point_arrives_exactly_once(troubles: list[Script]) -> None:
    with serve(*troubles) as server, Client(server.url, flush_interval_s=0.01) as client:
        run = client.run("r")
        for step in range(50):
            run.add_scalar("a", step, step)
            run.add_text("t", str(step), step)
            if step % 10 == 0:
                client.flush()
        client.flush()
        assert server.values("r", "a") == list(range(50))
        assert [text.text for _, text in server.texts] == [str(step) for step in range(50)]
        assert client.stats.sent == 100
        assert client.stats.retries == len(troubles) - troubles.count(OK)


def test_a_repeat_has_the_same_number_and_a_new_batch_the_next() -> None:
    with serve(LOST_ANSWER, LOST_ANSWER) as server, Client(server.url) as client, client.run("r") as run:
        run.add_scalar("a", 1)
        client.flush()
        run.add_scalar("a", 2)
        client.flush()
    assert [seq for _, seq in server.requests] == [1, 1, 1, 2, 3]  # the last one says that the run is finished
    assert len({writer for writer, _ in server.requests}) == 1
    assert server.repeats == 2


def test_a_server_that_hangs_is_asked_again_and_stores_once() -> None:
    with serve(Script(hang=True)) as server, Client(server.url, request_timeout_s=0.2) as client:
        client.run("r").add_scalar("a", 1, 0)
        client.flush()
        server.release.set()  # the first request now arrives as well, late
        until(lambda: server.repeats == 1)
        assert server.values("r", "a") == [1]


def test_points_logged_while_the_server_is_away_arrive_when_it_is_back(caplog: pytest.LogCaptureFixture) -> None:
    server = Server()
    port = free_port()
    with Client("127.0.0.1", port, flush_interval_s=0.01) as client:
        run = client.run("r")
        run.add_scalar("a", 0, 0)
        until(lambda: client.stats.retries > 5)
        for step in range(1, 1000):
            run.add_scalar("a", step, step)
        server.start(port)
        try:
            client.flush()
        finally:
            server.stop()
    assert server.values("r", "a") == list(range(1000))
    assert [record.message for record in caplog.records if "does not take points now" in record.message]
    assert sum(record.levelno >= logging.WARNING for record in caplog.records) <= 2  # away, and back


def test_a_batch_too_large_for_the_server_is_sent_in_parts() -> None:
    with serve(max_body=2_000) as server, Client(server.url) as client:
        run = client.run("r")
        for step in range(1000):
            run.add_scalar("a", step, step)
        client.flush()
    assert server.values("r", "a") == list(range(1000))
    assert server.repeats == 0
    assert server.stored == list(range(1, len(server.stored) + 1))  # a number that was refused is used again


def test_one_value_too_large_for_the_server_is_refused_and_the_others_go_on() -> None:
    with serve(max_body=2_000) as server, Client(server.url) as client:
        run = client.run("r")
        run.add_text("t", "x" * 3000, 0)
        run.add_scalar("a", 1, 1)
        with pytest.raises(Rejected) as caught:
            client.flush()
        assert caught.value.status == 413
        assert client.stats.rejected == 1
    assert server.values("r", "a") == [1]


# --- what the server refuses ------------------------------------------------------------------------------------------


def test_a_refused_batch_is_told_once_counted_and_raised_by_flush(caplog: pytest.LogCaptureFixture) -> None:
    refusal = status(422, detail="tag 'a' holds text; use another tag")
    with serve(refusal, refusal) as server, Client(server.url) as client:
        run = client.run("r")
        for step in range(2):
            run.add_scalar("a", 1, step)
            with pytest.raises(Rejected, match="use another tag") as caught:
                client.flush()
            assert caught.value.status == 422
        client.flush()  # told already
        assert client.stats.rejected == 2
        run.add_scalar("a", 2, 2)
        client.flush()
        assert server.values("r", "a") == [2]
    assert sum("use another tag" in record.message for record in caplog.records) == 1


def test_items_refused_in_a_200_are_named_as_the_user_knows_them() -> None:
    with serve(Script(reject_run="bad")) as server, Client(server.url) as client:
        client.run("bad").add_scalar("a", 1, 0)
        client.run("good").add_scalar("a", 2, 0)
        with pytest.raises(Rejected, match=r"runs\[run='bad'\]") as caught:
            client.flush()
        assert [error.code for error in caught.value.errors] == ["run-name"]
        assert (client.stats.sent, client.stats.rejected) == (1, 1)
        assert server.values("good", "a") == [2]


def test_what_is_no_bridge_is_called_so(caplog: pytest.LogCaptureFixture) -> None:
    page = status(404, body=b"<html>", content_type="text/html")
    with serve(always=page) as server, Client(server.url) as client:
        client.run("r").add_scalar("a", 1, 0)
        with pytest.raises(Rejected, match="not a tbbridge server"):
            client.flush()
    assert "check host, port and path" in caplog.text


def test_a_batch_that_breaks_the_server_is_given_up_and_the_next_goes_on() -> None:
    broken = [status(500)] * limits.CLIENT_ODD_ANSWERS_MAX
    with serve(*broken) as server, Client(server.url) as client:
        run = client.run("r")
        run.add_scalar("a", 1, 1)
        with pytest.raises(Rejected, match="tries"):
            client.flush()
        run.add_scalar("a", 2, 2)
        client.flush()
        assert server.values("r", "a") == [2]


def test_a_warning_of_the_server_is_logged_once_for_each_tag(caplog: pytest.LogCaptureFixture) -> None:
    """By position, as what reads bodies names items, and by name, as the pipeline does."""
    back = [ItemWarning(f"runs[0].scalars[0].steps[{number}]", "step-back", "it goes back") for number in range(2)]
    named = [ItemWarning(f"runs[run='r'].scalars[tag='c'].steps[{number}]", "step-back", "it goes back") for number in range(2)]
    with serve(always=Script(warnings=(*back, *named))) as server, Client(server.url) as client:
        run = client.run("r")
        for tag in ("a", "a", "b"):
            run.add_scalar(tag, 1, 0)
            client.flush()
        said = [record.message for record in caplog.records]
    assert [line.partition("about ")[2] for line in said] == [
        f"runs[run='r'].scalars[tag='{tag}']: it goes back" for tag in "acb"
    ]


# --- flush and close --------------------------------------------------------------------------------------------------


def test_flush_waits_for_the_open_steps_of_all_runs_and_threads(server: Server) -> None:
    with Client(server.url, flush_interval_s=3600) as client:
        runs = [client.run(f"r{number}") for number in range(3)]
        threads = [threading.Thread(target=run.add_scalar, args=("a", 1)) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush()
        assert len(server.scalars) == 3


def test_send_sends_now(server: Server) -> None:
    with Client(server.url, flush_interval_s=3600) as client:
        run = client.run("r")
        run.add_scalar("a", 1)
        run.send()
        until(lambda: server.values("r", "a") == [1])
        run.add_scalar("a", 2)
        run.save()
        until(lambda: server.values("r", "a") == [1, 2])


def test_what_is_sent_during_a_pause_goes_off_after_it() -> None:
    with serve(status(429, headers={"Retry-After": "0.2"})) as server, Client(server.url, flush_interval_s=3600) as client:
        run = client.run("r")
        run.add_scalar("a", 1)
        run.send()
        until(lambda: client.stats.retries == 1)
        run.add_scalar("a", 2)
        run.send()
        until(lambda: server.values("r", "a") == [1, 2])


def test_flush_of_nothing_needs_no_server() -> None:
    with Client(port=free_port()) as client:
        client.run("r")
        client.flush(timeout_s=0)


def test_flush_raises_when_the_server_does_not_take_it_in_time_and_keeps_the_points() -> None:
    with serve(always=status(503)) as server, Client(server.url) as client:
        client.run("r").add_scalar("a", 1, 0)
        with pytest.raises(Unavailable, match=r"did not take all points within 0\.2 s: 1 wait") as caught:
            client.flush(timeout_s=0.2)
        assert "503" in str(caught.value)
        server.always = OK
        client.flush()
        assert server.values("r", "a") == [1]


def test_a_pause_that_the_server_asked_for_is_not_cut_short_by_flush() -> None:
    with serve(status(429, headers={"Retry-After": "3600"})) as server, Client(server.url) as client:
        client.run("r").add_scalar("a", 1, 0)
        for _ in range(3):
            with pytest.raises(Unavailable, match="429"):
                client.flush(timeout_s=0.3)
        assert len(server.requests) == 1
        client.close(timeout_s=0.1)


def test_points_dropped_since_the_last_flush_are_raised_once() -> None:
    with serve(Script(hang=True)) as server, Client(server.url, queue_max_points=100, spool_max_bytes=0) as client:
        run = client.run("r")
        run.add_scalar("a", -1, 0)
        run.send()
        server.arrived.acquire(timeout=30)
        for step in range(150):
            run.add_scalar("a", step, step)
        server.release.set()
        with pytest.raises(PointsLost) as caught:
            client.flush()
        assert caught.value.count == client.stats.dropped == 50
        client.flush()
        assert server.values("r", "a") == [-1, *range(50, 150)]


def test_close_says_how_many_points_were_left(caplog: pytest.LogCaptureFixture) -> None:
    client = Client(port=free_port(), spool_max_bytes=0)
    run = client.run("r")
    for step in range(7):
        run.add_scalar("a", 1, step)
    client.close(timeout_s=0.05)
    client.close()
    assert [record.message for record in caplog.records if record.message.startswith("7 points were left")]
    with pytest.raises(Unavailable, match="closed"):
        client.flush()


def test_closing_an_unused_client_starts_nothing() -> None:
    client = Client(port=free_port())
    client.close()
    assert client._sender._thread is None


def test_closing_ends_the_thread_and_the_connection(server: Server) -> None:
    client = Client(server.url)
    client.run("r").add_scalar("a", 1, 0)
    client.close()
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "tbbridge-sender"])


def test_log_calls_after_close_say_so(server: Server) -> None:
    client = Client(server.url)
    run, other = client.run("r"), client.run("other")
    run.add_scalar("known", 1)
    run.close()
    run.close()
    for call in (
        lambda: run.add_scalar("known", 1),
        lambda: run.add_scalar("new", 1, 1),
        lambda: run.add_text("t", "x"),
        lambda: run.add_histogram("w", [1]),
    ):
        with pytest.raises(RuntimeError, match="run 'r' is closed"):
            call()
    client.close()
    with pytest.raises(RuntimeError, match="closed"):
        other.add_scalar("a", 1)
    with pytest.raises(RuntimeError, match="closed"):
        client.run("more")
    assert server.values("r", "known") == [1]


def test_a_client_dropped_without_close_still_sends_and_its_thread_ends(server: Server) -> None:
    Client(server.url, flush_interval_s=3600).run("r").add_scalar("a", 1, 0)
    gc.collect()
    until(lambda: server.values("r", "a") == [1])
    until(lambda: not [thread for thread in threading.enumerate() if thread.name == "tbbridge-sender"])


def test_a_defect_in_the_sender_is_raised_by_flush(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tbbridge.client.packing.pack", broken)
    with Client(server.url) as client:
        client.run("r").add_scalar("a", 1, 0)
        with pytest.raises(tbbridge.TBBridgeError, match="stopped") as caught:
            client.flush()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


# --- the user's own mistakes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "arguments", "said"),
    [
        ("add_scalar", ("a", "0.5"), "the text '0.5'"),
        ("add_scalar", ("a",), "None"),
        ("add_scalar", ("", 1), "the tag is empty"),
        ("add_scalar", ("x" * 2000, 1), "a tag has at most"),
        ("add_scalar", (7, 1), "the tag is an int"),
        ("add_scalar", (["a"], 1), "the tag is a list"),
        ("add_scalar", ("a", 1, 2**63), "does not fit in 64 bits"),
        ("add_scalar", ("a", 1, "3"), "the step is the text"),
        ("add_scalar", ("a", 1, 1, float("nan")), "wall_time is nan"),
        ("add_scalar", ("\ud800", 1), "surrogate"),
        ("add_scalars", ({"a": None},), "None"),
        ("add_histogram", ("w",), "exactly one of the two"),
        ("add_histogram", ("w", [1], {"min": 0}), "exactly one of the two"),
        ("add_histogram", ("w", ["x"]), "give an array of numbers"),
        ("add_histogram", ("", [1]), "the tag is empty"),
        ("add_text", ("t", 3), "the text of tag 't' is an int"),
        ("add_text", ("t", "\ud800"), "surrogate"),
        ("add_text", ("t", "x" * (limits.TEXT_MAX_BYTES + 1)), "the text has"),
        ("add_text", ("", "x"), "the tag is empty"),
        ("step", ("x",), "the step is the text"),
        ("step", (2**63,), "does not fit"),
        ("wall_time", (float("inf"),), "wall_time is inf"),
    ],
)
def test_a_mistake_is_told_at_the_call_and_sends_nothing(
    server: Server, method: str, arguments: tuple[Any, ...], said: str
) -> None:
    with Client(server.url) as client, client.run("r") as run:
        with pytest.raises(InvalidItem) as caught:
            getattr(run, method)(*arguments)
        assert said in str(caught.value)
    assert server.requests == []


def test_the_last_step_there_is_cannot_be_passed(server: Server) -> None:
    with Client(server.url) as client, client.run("r", step=2**63 - 1) as run, pytest.raises(InvalidItem, match="64 bits"):
        run.step()


@pytest.mark.parametrize("name", ["", "..", "/etc", "a//b", "a\nb", ".tbbridge", "x" * 600])
def test_a_wrong_run_name_is_told_at_once(name: str) -> None:
    with Client(port=free_port()) as client, pytest.raises(InvalidItem, match="run name"):
        client.run(name)


@pytest.mark.parametrize(
    "settings",
    [{"ack": "queued"}, {"flush_interval_s": 0}, {"queue_max_points": -1}, {"queue_max_bytes": 0}, {"batch_max_bytes": 0}],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidItem, match=next(iter(settings))):
        Client(**settings)


# --- the end of a program ---------------------------------------------------------------------------------------------

PROGRAMS = {
    "thread, nothing closed": """
import tbbridge
run = tbbridge.Client().run("r")
for step in range(100):
    run.add_scalar("a", step)
    run.step()
run.add_text("t", "end")
""",
    "loop, nothing closed": """
import asyncio, tbbridge
async def main():
    run = tbbridge.AsyncClient().run("r")
    for step in range(100):
        run.add_scalar("a", step, step)
    run.add_text("t", "end")
asyncio.run(main())
""",
    "no loop at all": """
import tbbridge
run = tbbridge.AsyncClient().run("r")
for step in range(100):
    run.add_scalar("a", step, step)
run.add_text("t", "end")
""",
    "logged by a thread that outlives the main program": """
import threading, tbbridge
run = tbbridge.Client().run("r")
def work():
    threading.main_thread().join()
    for step in range(100):
        run.add_scalar("a", step, step)
    run.add_text("t", "end")
threading.Thread(target=work).start()
""",
    "logged at exit": """
import atexit, tbbridge
client = tbbridge.Client()
@atexit.register
def last():
    run = client.run("r")
    for step in range(100):
        run.add_scalar("a", step, step)
    run.add_text("t", "end")
""",
    "ended by an error": """
import tbbridge
with tbbridge.Client() as client, client.run("r") as run:
    for step in range(100):
        run.add_scalar("a", step, step)
    run.add_text("t", "end")
    raise SystemExit(0)
""",
    "in a forked worker of multiprocessing": """
import multiprocessing, tbbridge
client = tbbridge.Client()
def work():
    run = client.run("r")
    for step in range(100):
        run.add_scalar("a", step, step)
    run.add_text("t", "end")
if __name__ == "__main__":
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join()
""",
}


def python(program: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={"TBBRIDGE_URL": url, "TBBRIDGE_SPOOL_MAX_BYTES": "0"},
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS.keys())
def test_the_end_of_the_program_sends_what_is_left(server: Server, program: str) -> None:
    if "fork" in program and sys.platform == "win32":
        return
    ended = python(program, server.url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert server.values("r", "a") == list(range(100))
    assert [text.text for _, text in server.texts] == ["end"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot send SIGINT to one process as Ctrl-C does")
def test_ctrl_c_sends_what_was_logged(server: Server) -> None:
    program = """
import tbbridge
step = 0
with tbbridge.Client(flush_interval_s=0.001) as client, client.run("r") as run:
    print("ready", flush=True)
    try:
        while True:
            run.add_scalar("a", step, step)
            step += 1
            if step % 10_000 == 0:
                client.flush()
    except KeyboardInterrupt:
        print(step, flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={"TBBRIDGE_URL": server.url, "TBBRIDGE_SPOOL_MAX_BYTES": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        until(lambda: len(server.values("r", "a")) > 0)
        process.send_signal(signal.SIGINT)
        said, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    found = server.values("r", "a")
    assert found == list(range(len(found)))
    assert len(found) - int(said) in (0, 1)  # the signal may fall between the call and the count


def test_the_end_of_the_program_is_bounded_and_says_what_is_left() -> None:
    program = "from tbbridge import Client, limits\nlimits.CLIENT_CLOSE_TIMEOUT_S = 0.2\n"
    program += "run = Client().run('r')\nrun.add_scalar('a', 1)\nrun.add_scalar('a', 2)\n"
    ended = python(program, f"http://127.0.0.1:{free_port()}")
    assert ended.returncode == 0
    assert "2 points were left" in ended.stderr


ENDINGS = {
    "an AsyncClient left open": """
import asyncio
async def work():
    client = tbbridge.AsyncClient(request_timeout_s=3600)
    client.run("r").add_scalar("a", 1, 0)
    return client
client = asyncio.run(work())
""",
    "a Client first used at exit": """
import atexit
client = tbbridge.Client(request_timeout_s=3600)
atexit.register(lambda: client.run("r").add_scalar("a", 1, 0))
""",
    "a Client closed when no thread can start": """
import atexit
client = tbbridge.Client(request_timeout_s=3600)
def last():
    client.run("r").add_scalar("a", 1, 0)
    client.close(timeout_s=0.2)
atexit.register(last)
""",
}


@pytest.mark.parametrize("program", ENDINGS.values(), ids=ENDINGS.keys())
def test_a_server_that_never_answers_does_not_hold_up_the_end_of_the_program(program: str) -> None:
    """It takes connections and is silent. A request's own timeout, an hour here, counts no more once the program ends."""
    begin = "import tbbridge\nfrom tbbridge import limits\nlimits.CLIENT_CLOSE_TIMEOUT_S = 0.2\n"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        ended = python(begin + program, f"http://127.0.0.1:{silent.getsockname()[1]}")
    assert ended.returncode == 0
    assert "1 points were left" in ended.stderr


def test_a_run_named_by_a_number_is_refused_in_the_users_words() -> None:
    with (
        Client(port=free_port()) as client,
        pytest.raises(InvalidItem, match="the run's name is an int; a run's name is a str"),
    ):
        client.run(5)  # type: ignore[arg-type]
