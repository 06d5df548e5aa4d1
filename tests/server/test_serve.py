"""The server as a process: it starts or says in one line why not, and stops with everything it acknowledged on disk."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request

import httpx
import pytest

from tbbridge.errors import CannotListen, LogFolderBusy, StorageFailed
from tbbridge.server import serve as serve_module
from tbbridge.server.app import build_app
from tbbridge.server.serve import address_of, bind, serve
from tbbridge.server.settings import ServerSettings
from tbbridge.store.catalog import Catalog

SCRIPT = """
import asyncio, sys
from pathlib import Path
from tbbridge.server.serve import serve
from tbbridge.server.settings import ServerSettings
settings = ServerSettings(logdir=Path(sys.argv[1]), port=0, shutdown_timeout_s=float(sys.argv[2]))
asyncio.run(serve(settings, on_ready=lambda address: print(address, flush=True)))
print("returned", flush=True)
"""


@contextlib.contextmanager
def process(folder, shutdown_timeout_s=10.0):
    """A bridge of its own, and the address it printed."""
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), str(shutdown_timeout_s)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as bridge:
        try:
            yield bridge, bridge.stdout.readline().strip()
        finally:
            bridge.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_stop_under_load_loses_nothing_that_was_acknowledged(tmp_path, number):
    """Four senders write as fast as they can while the signal comes; the process exits with 0."""
    acknowledged: list[list[int]] = [[] for _ in range(4)]
    under_way = threading.Barrier(5)

    def send(run: int, address: str) -> None:
        with httpx.Client(base_url=address) as client:
            for step in range(100_000):
                column = {"tag": "t", "steps": [step], "values": [1.0]}
                try:
                    answer = client.post("/api/v1/write", json={"runs": [{"run": f"r{run}", "scalars": [column]}]})
                except httpx.TransportError:
                    return
                if answer.status_code == 200:
                    acknowledged[run].append(step)
                if step == 20:
                    under_way.wait()

    with process(tmp_path) as (bridge, address):
        senders = [threading.Thread(target=send, args=(run, address)) for run in range(4)]
        for sender in senders:
            sender.start()
        under_way.wait()
        bridge.send_signal(number)
        output, errors = bridge.communicate(timeout=10)
        for sender in senders:
            sender.join()
    assert (bridge.returncode, output, errors) == (0, "returned\n", "")
    catalog = Catalog(tmp_path)
    for run, steps in enumerate(acknowledged):
        assert len(steps) > 20
        found = catalog.series(f"r{run}", "t").steps.tolist()
        assert found[: len(steps)] == steps
        assert len(found) <= len(steps) + 1  # one whose answer was lost with the connection


def test_a_stalled_body_does_not_hold_up_the_stop(tmp_path):
    with process(tmp_path, shutdown_timeout_s=2.0) as (bridge, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as stalled:
            stalled.sendall(
                b"POST /api/v1/write HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
            )
            assert urllib.request.urlopen(address + "/healthz").status == 200
            bridge.send_signal(signal.SIGTERM)
            _, errors = bridge.communicate(timeout=10)
            answer = stalled.recv(65536)
    assert bridge.returncode == 0
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 1  # uvicorn's, which counts them all
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"shutting down" in answer


OPENING = """
import asyncio, importlib, sys
from pathlib import Path
from tbbridge.server import app, serve
from tbbridge.server.settings import ServerSettings

async def replay(settings):
    print("opening", flush=True)
    await asyncio.Event().wait()

serve.build_app = lambda settings: app.build_app(settings, open_door=replay)
settings = ServerSettings(logdir=Path(sys.argv[1]), port=0)
loop_factory = importlib.import_module(sys.argv[2]).new_event_loop
with asyncio.Runner(loop_factory=loop_factory) as runner:
    runner.run(serve.serve(settings, on_ready=lambda address: print("listening", flush=True)))
print("returned", flush=True)
"""


@pytest.mark.parametrize("loop", [*(["uvloop"] if importlib.util.find_spec("uvloop") else []), "asyncio"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "Ctrl-C"])
def test_a_stop_while_the_journal_is_replayed_is_no_error_and_does_not_wait_for_it(tmp_path, number, loop):
    """Supervisors kill what is not gone after some seconds, and count an exit code other than 0 as a crash."""
    command = [sys.executable, "-c", OPENING, str(tmp_path), loop]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bridge:
        assert bridge.stdout.readline() == "opening\n"
        bridge.send_signal(number)
        output, errors = bridge.communicate(timeout=60)
    assert (bridge.returncode, output, errors) == (0, "returned\n", "")


async def test_cancelling_while_it_opens_is_still_a_cancellation(tmp_path, monkeypatch):
    opening = asyncio.Event()

    async def replay(_):
        opening.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(serve_module, "build_app", lambda settings: build_app(settings, open_door=replay))
    running = asyncio.create_task(serve(ServerSettings(logdir=tmp_path, port=0)))
    await opening.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_cancelling_stops_it_gracefully_and_frees_the_folder(tmp_path):
    for _ in range(2):
        ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        running = asyncio.create_task(serve(ServerSettings(logdir=tmp_path, port=0), on_ready=ready.set_result))
        async with httpx.AsyncClient(base_url=await ready) as client:
            assert (await client.get("/readyz")).status_code == 200
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_taken_port_is_found_before_the_folder_is_touched(tmp_path):
    with contextlib.closing(bind("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen, match=f"port {port} on 127.0.0.1 is taken .* choose another with --port"):
            await serve(ServerSettings(logdir=tmp_path / "runs", port=port))
    assert list(tmp_path.iterdir()) == []


async def test_a_folder_in_use_is_one_error_and_the_port_is_free_again(tmp_path):
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(serve(ServerSettings(logdir=tmp_path, port=0), on_ready=ready.set_result))
    await ready
    free = bind("127.0.0.1", 0)
    port = free.getsockname()[1]
    free.close()
    with pytest.raises(LogFolderBusy):
        await serve(ServerSettings(logdir=tmp_path, port=port))
    bind("127.0.0.1", port).close()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_folder_that_cannot_be_made_is_one_error(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageFailed):
        await serve(ServerSettings(logdir=tmp_path / "file" / "runs", port=0))


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("no.such.host.invalid", "no address of this machine"),
        ("192.0.2.1", "0.0.0.0 for all its addresses"),
        ("\udcff", "try --host"),
    ],
)
def test_an_address_that_is_not_ours_names_the_remedy(host, says):
    with pytest.raises(CannotListen, match=says):
        bind(host, 0)


@pytest.mark.parametrize(
    ("number", "says"), [(errno.EACCES, "below 1024"), (errno.ENOBUFS, "choose others with --host and --port")]
)
def test_other_refusals_of_the_system_name_a_remedy(number, says):
    assert says in serve_module._why_not(OSError(number, os.strerror(number)), "127.0.0.1", 80)


@pytest.mark.parametrize(
    ("host", "shown"), [("0.0.0.0", "http://127.0.0.1:"), ("127.0.0.1", "http://127.0.0.1:"), ("localhost", "http://")]
)
def test_the_address_shown_is_one_to_call(host, shown):
    with contextlib.closing(bind(host, 0)) as listener:
        address = address_of(listener)
        assert address.startswith(shown)
        assert address.endswith(f":{listener.getsockname()[1]}")


def test_points_written_by_curl_in_one_process_are_there_in_the_next(tmp_path):
    body = json.dumps({"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0, 2.0]}]}]}).encode()
    for expected in ([0, 1], [0, 1, 2, 3]):
        with process(tmp_path) as (bridge, address):
            request = urllib.request.Request(address + "/api/v1/write", body, {"Content-Type": "application/json"})
            assert urllib.request.urlopen(request).status == 200
            with urllib.request.urlopen(address + "/api/v1/scalars?run=r&tag=t") as answer:
                assert json.load(answer)["steps"] == expected
            bridge.send_signal(signal.SIGTERM)
            assert bridge.wait(timeout=10) == 0
