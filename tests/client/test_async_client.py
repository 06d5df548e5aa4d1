"""`AsyncClient`: the same promises on an event loop; what the two share is tested in test_client.py."""

from __future__ import annotations

import asyncio
import threading

import pytest
from fake_server import LOST_ANSWER, LOST_REQUEST, OK, Script, Server, free_port, serve, status

from tbbridge.client import AsyncClient
from tbbridge.errors import PointsLost, Rejected, TBBridgeError, Unavailable

pytestmark = pytest.mark.usefixtures("quick_retries")


async def until(happened: object, timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not happened():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_the_same_calls_log_the_same_points(server: Server) -> None:
    async with AsyncClient(hostname="127.0.0.1", port=server.port) as client:
        async with client.run("run0") as run:
            run.step()
            run.add_scalar("accuracy", 1.3e-3)
            run.add_histogram("w", [1, 2, 3])
            run.step(36)
            run.add_text("t", "x")
            run.wall_time(11.3)
        with client.run("run1") as other:
            other.add_scalar("a", 1, 5)
    assert server.steps("run0", "accuracy") == [1]
    assert (server.texts[0][1].step, server.texts[0][1].wall_time) == (36, 11.3)
    assert len(server.histograms) == 1
    assert server.steps("run1", "a") == [5]


async def test_what_was_logged_goes_off_by_itself(server: Server) -> None:
    async with AsyncClient(server.url, flush_interval_s=0.01) as client:
        client.run("r").add_scalar("a", 1, 0)
        await until(lambda: server.values("r", "a") == [1])


async def test_send_sends_now(server: Server) -> None:
    async with AsyncClient(server.url, flush_interval_s=3600) as client:
        run = client.run("r")
        run.add_scalar("a", 1)
        run.send()
        await until(lambda: server.values("r", "a") == [1])


async def test_each_point_arrives_exactly_once() -> None:
    troubles = [LOST_ANSWER, LOST_REQUEST, status(503), OK, status(429, headers={"Retry-After": "0"}), LOST_ANSWER]
    with serve(*troubles) as server:
        async with AsyncClient(server.url) as client:
            run = client.run("r")
            for step in range(50):
                run.add_scalar("a", step, step)
                if step % 10 == 0:
                    await client.flush()
            await client.flush()
            assert server.values("r", "a") == list(range(50))
            assert client.stats.retries == 5


async def test_loads_too_large_for_the_loop_are_packed_beside_it(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        run = client.run("r")
        for step in range(10_000):
            run.add_scalar("a", step, step)
        await client.flush()
    assert server.values("r", "a") == list(range(10_000))


async def test_threads_may_log_while_the_loop_sends(server: Server) -> None:
    async with AsyncClient(server.url, flush_interval_s=0.01) as client:
        run = client.run("r")

        def work(number: int) -> None:
            for step in range(500):
                run.add_scalar(f"tag{number}", step, step)
            run.send()

        await asyncio.gather(*(asyncio.to_thread(work, number) for number in range(3)))
        await client.flush()
    for number in range(3):
        assert server.values("r", f"tag{number}") == list(range(500))


async def test_flushes_may_overlap(server: Server) -> None:
    async with AsyncClient(server.url, flush_interval_s=3600) as client:
        run = client.run("r")

        async def work(number: int) -> None:
            run.add_scalar(f"tag{number}", 1)
            await client.flush()
            assert server.values("r", f"tag{number}") == [1]

        await asyncio.gather(*map(work, range(10)))


async def test_flush_raises_and_keeps_the_points() -> None:
    with serve(always=status(503)) as server:
        async with AsyncClient(server.url) as client:
            client.run("r").add_scalar("a", 1, 0)
            with pytest.raises(Unavailable, match="503"):
                await client.flush(timeout_s=0.2)
            server.always = OK
            await client.flush()
            assert server.values("r", "a") == [1]


async def test_flush_tells_what_was_refused_and_what_was_dropped() -> None:
    with serve(status(422, detail="no such kind"), Script(hang=True)) as server:
        async with AsyncClient(server.url, queue_max_points=100, spool_max_bytes=0) as client:
            run = client.run("r")
            run.add_scalar("a", 1, 0)
            with pytest.raises(Rejected, match="no such kind"):
                await client.flush()
            run.add_scalar("a", -1, 0)
            run.send()
            await until(lambda: len(server.paths) == 2)
            for step in range(150):
                run.add_scalar("a", step, step)
            server.release.set()
            with pytest.raises(PointsLost) as caught:
                await client.flush()
            assert caught.value.count == 50


async def test_close_is_bounded_and_says_what_was_left(caplog: pytest.LogCaptureFixture) -> None:
    client = AsyncClient(port=free_port(), spool_max_bytes=0)
    run = client.run("r")
    run.add_scalar("a", 1, 0)
    await client.close(timeout_s=0.05)
    await client.close()
    assert "1 points were left" in caplog.text
    with pytest.raises(RuntimeError, match="closed"):
        run.add_scalar("a", 1)
    with pytest.raises(Unavailable, match="closed"):
        await client.flush()


async def test_close_does_not_wait_for_a_server_that_hangs(caplog: pytest.LogCaptureFixture) -> None:
    with serve(Script(hang=True)) as server:
        client = AsyncClient(server.url, spool_max_bytes=0)
        client.run("r").add_scalar("a", 1, 0)
        await client.close(timeout_s=0.1)
        assert len([task for task in asyncio.all_tasks() if task.get_name() == "tbbridge-sender"]) == 0
    assert "1 points were left" in caplog.text


def test_a_client_outlives_its_loop(server: Server) -> None:
    """As in a notebook or a test suite: each asyncio.run is a new loop."""
    client = AsyncClient(server.url, flush_interval_s=3600)
    run = client.run("r")  # no loop yet
    run.add_scalar("a", 0, 0)

    async def work(step: int) -> None:
        run.add_scalar("a", step, step)
        await client.flush()

    asyncio.run(work(1))
    run.add_scalar("a", 2, 2)
    asyncio.run(work(3))
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work(4))
    loop.run_until_complete(client.close())
    loop.close()
    assert server.values("r", "a") == [0, 1, 2, 3, 4]


async def test_a_client_dropped_without_close_still_sends(server: Server) -> None:
    AsyncClient(server.url, flush_interval_s=3600).run("r").add_scalar("a", 1, 0)
    await until(lambda: server.values("r", "a") == [1])
    await until(lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "tbbridge-sender"])


async def test_a_defect_in_the_sender_is_raised_by_flush(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("tbbridge.client.packing.pack", broken)
    async with AsyncClient(server.url) as client:
        client.run("r").add_scalar("a", 1, 0)
        with pytest.raises(TBBridgeError, match="stopped"):
            await client.flush()


async def test_no_thread_is_used_for_sending(server: Server) -> None:
    before = set(threading.enumerate())
    async with AsyncClient(server.url) as client:
        client.run("r").add_scalar("a", 1, 0)
        await client.flush()
        new = set(threading.enumerate()) - before
        assert not [thread for thread in new if thread.name.startswith("tbbridge-")]
