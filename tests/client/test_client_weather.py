"""The client in bad weather: what it cannot send is on disk, goes off when the server is back, and comes once."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from fake_server import LOST_ANSWER, OK, Script, Server, free_port, serve, status, until
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tbbridge import AsyncClient, Client, Remote, SummaryWriter, limits
from tbbridge.cli import main
from tbbridge.client import spool as spool_file
from tbbridge.client.options import default_spool_folder
from tbbridge.client.spool import SUFFIX, find_spools, lock, read_bodies
from tbbridge.client.transport import Endpoint
from tbbridge.client.upload import Outcome, Upload
from tbbridge.compat import LoggerplexClient, TensorplexClient
from tbbridge.errors import InvalidItem, Rejected, Unavailable
from tbbridge.events.tfrecord import frame
from tbbridge.groups import Groups, NormalGroup
from tbbridge.model import RunStatus
from tbbridge.wire.protobuf_v1 import decode_batch


@pytest.fixture(autouse=True)
def quick_to_spool(quick_retries: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(limits, "CLIENT_SLOW_ANSWER_S", 0.05)
    monkeypatch.setenv("TBBRIDGE_SPOOL_DIR", str(tmp_path / "spool"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


def upload(path: Path, server: Server, patience_s: float = 10) -> Outcome:
    from tbbridge.client.address import find_address

    transport = Endpoint(find_address(server.url), "journaled", 10.0, compress=False).open()
    try:
        return Upload(transport, server.url, patience_s).send(path)
    finally:
        transport.close()


def killed(program: str, folder: Path, url: str, how: signal.Signals, **more: str) -> subprocess.CompletedProcess[str]:
    """A program that is sent a signal once it says so."""
    environment = {"TBBRIDGE_URL": url, "TBBRIDGE_SPOOL_DIR": str(folder), **more}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(how)
        said, errors = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, said, errors)


# --- the spool of a living client -------------------------------------------------------------------------------------


def test_points_of_an_outage_are_on_disk_and_arrive_once_in_order_when_it_ends(folder: Path) -> None:
    port = free_port()
    with Client(port=port, flush_interval_s=0.01) as client:
        run = client.run("r")
        for step in range(100):
            run.add_scalar("a", step, step)
            if step % 20 == 0:
                run.send()
                until(lambda: client.stats.queued == 0)
        until(lambda: client.stats.spooled == 100)
        assert len(find_spools(folder)) == 1
        server = Server(LOST_ANSWER)
        server.start(port)
        try:
            client.flush()
            run.add_scalar("a", 100, 100)
            client.flush()
            assert server.steps("r", "a") == list(range(101))
            assert server.repeats == 1
            assert server.stored == sorted(server.stored)
            assert client.stats.spooled == 0
            assert os.listdir(folder) == []
        finally:
            server.stop()


async def test_an_asyncio_client_spools_and_drains_too(folder: Path) -> None:
    port = free_port()
    async with AsyncClient(port=port, flush_interval_s=0.01) as client:
        run = client.run("r")
        run.add_scalar("a", 0, 0)
        with pytest.raises(Unavailable, match=r"1 wait \(in .*spool"):
            await client.flush(timeout_s=0.5)
        assert client.stats.spooled == 1
        server = Server()
        server.start(port)
        try:
            run.add_scalar("a", 1, 1)
            await client.flush()
            assert server.steps("r", "a") == [0, 1]
            assert os.listdir(folder) == []
        finally:
            server.stop()


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_a_request_that_hangs_keeps_nothing_from_the_disk(kind: str, folder: Path) -> None:
    """Killed while the server is silent, a process loses only what it logged a moment ago."""
    program = f"""
import asyncio, time, tbbridge
from tbbridge import limits
limits.CLIENT_SLOW_ANSWER_S = 0.05
async def main():
    client = tbbridge.{kind}(flush_interval_s=0.01)
    run = client.run("r")
    run.add_scalar("a", 0, 0)
    while not client.stats.spooled:
        await asyncio.sleep(0.01)
    run.add_scalar("a", 1, 1)
    run.add_text("t", "x", 1)
    while client.stats.spooled < 3:
        await asyncio.sleep(0.01)
    print("ready", flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with serve(always=Script(hang=True)) as server:
        ended = killed(program, folder, server.url, signal.SIGKILL)
        assert ended.returncode == -signal.SIGKILL
    (path,) = find_spools(folder)
    with serve() as server:
        outcome = upload(path, server)
        assert (outcome.stored, outcome.is_removed) == (3, True)
        assert server.steps("r", "a") == [0, 1]
    assert os.listdir(folder) == []


def test_memory_that_fills_up_goes_to_disk_and_nothing_is_dropped(folder: Path) -> None:
    with serve(Script(hang=True)) as server, Client(server.url, queue_max_points=1000, batch_max_bytes=5000) as client:
        run = client.run("r")
        run.add_scalar("a", -1, -1)
        run.send()
        assert server.arrived.acquire(timeout=30)
        for step in range(3000):
            run.add_scalar("a", step, step)
            if step % 300 == 0:
                until(lambda: client.stats.queued < 500)
        server.release.set()
        client.flush()
        assert client.stats.dropped == 0
        assert server.steps("r", "a") == list(range(-1, 3000))


def test_a_spool_that_is_full_leaves_points_in_memory(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with Client(port=port, flush_interval_s=0.01, spool_max_bytes=1000) as client:
        run = client.run("r")
        for step in range(200):
            run.add_scalar("a", step, step)
            run.send()
            if step == 0:
                until(lambda: client.stats.spooled == 1)
        until(lambda: "is full" in caplog.text)
        server = Server()
        server.start(port)
        try:
            client.flush()
            assert server.steps("r", "a") == list(range(200))
        finally:
            server.stop()


def test_a_spooled_body_that_the_server_finds_too_large_is_sent_in_halves(folder: Path) -> None:
    port = free_port()
    with Client(port=port, flush_interval_s=0.01) as client:
        run = client.run("r")
        for step in range(1000):
            run.add_scalar("a", step, step)
        run.add_text("t", "x", 0)
        until(lambda: client.stats.spooled == 1001)
        server = Server(max_body=3000)
        server.start(port)
        try:
            run.add_scalar("b", 1, 1)
            client.flush()
            assert server.steps("r", "a") == list(range(1000))
            assert (len(server.texts), server.values("r", "b")) == (1, [1])
            assert client.stats.rejected == 0
        finally:
            server.stop()


def test_a_fork_leaves_the_spool_to_the_parent(folder: Path) -> None:
    program = """
import os, sys, time, warnings, tbbridge
warnings.simplefilter("ignore", DeprecationWarning)
client = tbbridge.Client(flush_interval_s=0.01)
run = client.run("r")
run.add_scalar("parent", 0, 0)
while not client.stats.spooled:
    time.sleep(0.01)
child = os.fork()
run.add_scalar("child" if child == 0 else "parent", 1, 1)
while client.stats.spooled != (1 if child == 0 else 2):
    time.sleep(0.01)
if child == 0:
    os._exit(0)
os.waitpid(child, 0)
os._exit(0)
"""
    environment = {"TBBRIDGE_URL": f"127.0.0.1:{free_port()}", "TBBRIDGE_SPOOL_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=60)
    with serve() as server:
        for path in find_spools(folder):
            assert upload(path, server).is_removed
        assert (server.steps("r", "parent"), server.steps("r", "child")) == ([0, 1], [1])


# --- the ends of a process --------------------------------------------------------------------------------------------


def test_the_end_of_a_program_whose_server_is_away_leaves_a_spool(folder: Path) -> None:
    program = "from tbbridge import Client, limits\nlimits.CLIENT_CLOSE_TIMEOUT_S = 0.2\nrun = Client().run('r')\n"
    program += "run.add_scalar('a', 1)\nrun.add_scalar('a', 2)\n"
    environment = {"TBBRIDGE_URL": f"127.0.0.1:{free_port()}", "TBBRIDGE_SPOOL_DIR": str(folder)}
    ended = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0
    assert "2 points are kept in" in ended.stderr
    assert "tbbridge sync" in ended.stderr
    with serve() as server:
        upload(find_spools(folder)[0], server)
        assert server.values("r", "a") == [1, 2]


SIGTERMED = """
import asyncio, time, tbbridge
from tbbridge import limits
limits.CLIENT_CLOSE_TIMEOUT_S = 5 if {is_up} else 0.3
async def main():
    client = tbbridge.{kind}(flush_interval_s=3600)
    run = client.run("r")
    run.add_scalar("a", 1, 0)
    run.add_scalar("open", 1)
    print("ready", flush=True)
    while True:  # as trainings do: Python hears a signal between two lines, and not in the middle of a long wait
        await asyncio.sleep(0.01)
asyncio.run(main())
"""


@pytest.mark.parametrize("is_up", [True, False])
@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
def test_sigterm_sends_or_spools_what_was_logged_and_ends_the_process(kind: str, is_up: bool, folder: Path) -> None:
    with serve() as server:
        url = server.url if is_up else f"127.0.0.1:{free_port()}"
        ended = killed(SIGTERMED.format(kind=kind, is_up=is_up), folder, url, signal.SIGTERM)
        assert ended.returncode == -signal.SIGTERM
        if not is_up:
            upload(find_spools(folder)[0], server)
        assert (server.values("r", "a"), server.values("r", "open")) == ([1], [1])
    assert os.listdir(folder) == []


def test_a_handler_of_the_users_is_left_alone(folder: Path) -> None:
    program = """
import signal, time, tbbridge
signal.signal(signal.SIGTERM, lambda *_: exit(7))
tbbridge.Client().run("r").add_scalar("a", 1, 0)
print("ready", flush=True)
while True:
    time.sleep(0.01)
"""
    with serve() as server:
        assert killed(program, folder, server.url, signal.SIGTERM).returncode == 7
        assert server.values("r", "a") == [1]


# --- modes ------------------------------------------------------------------------------------------------------------


def test_offline_mode_asks_nobody_and_keeps_everything(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TBBRIDGE_MODE", "offline")
    with serve() as server:
        with Client(server.url, flush_interval_s=3600) as client:
            run = client.run("r")
            run.add_scalar("a", 1, 0)
            client.flush()
            (path,) = find_spools(folder)
            first = upload(path, server)
            assert (first.stored, first.is_live, first.is_removed) == (1, True, False)
            run.add_scalar("a", 2, 1)
        assert server.paths == ["/api/v1/write?partial=true&ack=journaled"]
        second = upload(path, server)
        assert (second.stored, second.known, second.is_removed) == (1, 0, True)
        assert server.values("r", "a") == [1, 2]
    assert os.listdir(folder) == []


REFUSED_AT_FIRST = """
import logging, resource, signal, threading, tbbridge
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
told = threading.Event()
class Told(logging.Handler):
    def emit(self, record):
        told.set()
logging.getLogger("tbbridge.client").addHandler(Told())
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
client = tbbridge.Client(mode="offline", flush_interval_s=0.01)
client.run("r").add_scalar("a", 1, 0)
assert told.wait(30)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
client.run("r").add_scalar("a", 2, 1)
client.flush()
client.close()
"""


def test_a_spool_whose_first_bytes_the_disk_refused_is_begun_anew(folder: Path) -> None:
    """A quota, or a disk that is full at the wrong moment; the limit of a file's size is refused at the same place."""
    environment = {"TBBRIDGE_URL": "bridge", "TBBRIDGE_SPOOL_DIR": str(folder)}
    subprocess.run([sys.executable, "-c", REFUSED_AT_FIRST], env=environment, check=True, timeout=60)
    (path,) = find_spools(folder)
    with serve() as server:
        outcome = upload(path, server)
        assert (outcome.stored, outcome.problems, outcome.is_removed) == (2, [], True)
        assert server.values("r", "a") == [1, 2]


def test_offline_flush_says_what_the_disk_refuses_and_the_end_waits_for_nobody(folder: Path, caplog) -> None:
    client = Client(port=free_port(), mode="offline", flush_interval_s=0.01, spool_max_bytes=10)
    client.run("r").add_scalar("a", 1, 0)
    with pytest.raises(Unavailable) as said:
        client.flush(timeout_s=0.2)
    assert str(said.value).startswith(f"offline: 1 points could not be kept on disk within 0.2 s: the spool {folder} is full")
    began = time.monotonic()
    client.close(timeout_s=30)
    assert time.monotonic() - began < 15
    assert f"offline: 1 points were left when the client closed, and are lost: the spool {folder} is full" in caplog.text


async def test_offline_an_asyncio_client_says_the_same(folder: Path, caplog) -> None:
    client = AsyncClient(port=free_port(), mode="offline", flush_interval_s=0.01, spool_max_bytes=10)
    client.run("r").add_scalar("a", 1, 0)
    with pytest.raises(Unavailable, match="offline: 1 points could not be kept on disk"):
        await client.flush(timeout_s=0.2)
    began = time.monotonic()
    await client.close(timeout_s=30)
    assert time.monotonic() - began < 15
    assert f"are lost: the spool {folder} is full" in caplog.text


def test_sending_a_spool_again_from_its_beginning_changes_nothing(folder: Path) -> None:
    client = Client(port=free_port(), mode="offline")
    run = client.run("r")
    for step in range(3):
        run.add_scalar("a", step, step)
        client.flush()
    (path,) = find_spools(folder)
    with serve(OK, LOST_ANSWER) as server:
        assert upload(path, server).stored == 2  # the answer to the second was lost: it is known then
        path.with_suffix(".sent").unlink()
        assert upload(path, server).known == 3
        client.close()
        assert upload(path, server).is_removed
        assert server.steps("r", "a") == [0, 1, 2]


def test_the_progress_of_an_older_file_of_that_name_hides_nothing(folder: Path) -> None:
    """Its process sent that one itself, and began another; an upload that was under way stored its offset last."""
    with Client(port=free_port(), mode="offline") as client:
        client.run("r").add_scalar("a", 1, 0)
    (path,) = find_spools(folder)
    path.with_suffix(".sent").write_text(f"{path.stat().st_size} 1.5")
    with serve() as server:
        assert upload(path, server).stored == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(st.binary(max_size=40), max_size=5), cut=st.integers(0, 400), flip=st.integers(0, 400))
def test_a_damaged_spool_gives_back_bodies_that_were_in_it_and_nothing_else(
    written: list[bytes], cut: int, flip: int, tmp_path: Path
) -> None:
    """Cut anywhere and flipped anywhere; it never raises, and what it gives is in order."""
    raw = bytearray(b"".join(frame(body) for body in (b'{"tbbridge_spool": 1}', *written))[:cut])
    if flip < len(raw):
        raw[flip] ^= 0x40
    path = tmp_path / "x.spool"
    path.write_bytes(raw)
    with path.open("rb") as file:
        found = [body for _, body in read_bodies(file, 0) if isinstance(body, bytes)]
    rest = iter([b'{"tbbridge_spool": 1}', *written])
    assert all(body in rest for body in found)


def test_a_torn_end_is_told_and_the_rest_is_sent(folder: Path) -> None:
    with Client(port=free_port(), mode="offline") as client:
        client.run("r").add_scalar("a", 1, 0)
        client.flush()
        client.run("r").add_scalar("a", 2, 1)
    (path,) = find_spools(folder)
    path.write_bytes(path.read_bytes()[:-5])
    with serve() as server:
        outcome = upload(path, server)
        assert outcome.torn_bytes > 0
        assert outcome.is_removed
        assert server.values("r", "a")[:1] == [1]


def test_a_flipped_byte_is_told_by_file_and_offset_and_what_stands_behind_it_is_sent(folder: Path) -> None:
    with Client(port=free_port(), mode="offline") as client:
        run = client.run("r")
        for step in range(3):
            run.add_scalar(f"tag{step}", step, step)
            client.flush()
    (path,) = find_spools(folder)
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"tag1")] ^= 1
    path.write_bytes(raw)
    with serve() as server:
        outcome = upload(path, server)
        assert [problem for problem in outcome.problems if f"{path}: damaged at byte" in problem]
        assert (server.values("r", "tag0"), server.values("r", "tag1"), server.values("r", "tag2")) == ([0], [], [2])


def spool_of_three(folder: Path) -> tuple[Path, bytearray]:
    """A spool with three bodies, and its bytes."""
    with Client("http://first:6007", mode="offline") as client:
        for step in range(3):
            client.run("r").add_scalar("a", step, step)
            client.flush()
    (path,) = find_spools(folder)
    return path, bytearray(path.read_bytes())


def flip(path: Path, raw: bytearray, at: int) -> bytes:
    raw[at] ^= 1
    path.write_bytes(raw)
    return bytes(raw)


def test_what_stands_behind_a_damaged_head_is_sent_to_the_address_that_is_given(folder: Path, capsys, monkeypatch) -> None:
    path, raw = spool_of_three(folder)
    kept = flip(path, raw, raw.index(b"first"))
    monkeypatch.delenv("TBBRIDGE_URL", raising=False)
    assert main(["sync", str(folder)]) == 1
    assert f"{path}: damaged at byte 0, which says for whom it is; give --url" in capsys.readouterr().err
    assert path.read_bytes() == kept
    with serve() as server:
        for again in range(2):  # bodies have their own writer and number, so they are known again without a head
            path.write_bytes(kept)
            assert main(["sync", str(folder), "--url", server.url]) == 1
            said = capsys.readouterr()
            assert f"{path}: damaged at byte 0" in said.err
            assert f"{0 if again else 3} points sent" in said.out
            assert not path.exists()
        assert server.steps("r", "a") == [0, 1, 2]


@pytest.mark.parametrize("url", [[], ["--url", "http://127.0.0.1:1"]])
def test_a_spool_whose_first_length_is_damaged_is_kept_under_another_name(folder: Path, capsys, url: list[str]) -> None:
    path, raw = spool_of_three(folder)
    kept = flip(path, raw, 0)
    assert main(["sync", str(folder), *url]) == 1
    said = capsys.readouterr()
    assert f"{path}: damaged at byte 0; this and all behind it cannot be read" in said.err
    assert f"is kept as {path.name}.damaged" in said.err
    assert said.out == ""
    assert path.with_name(path.name + ".damaged").read_bytes() == kept
    assert main(["sync", str(folder)]) == 0


def test_an_empty_file_that_a_killed_process_left_goes_in_silence(folder: Path, capsys) -> None:
    folder.mkdir()
    left, begun = folder / "left.spool", folder / "begun.spool"
    left.touch()
    with begun.open("wb") as file:
        assert lock(file)
        assert main(["sync", str(folder)]) == 0
    assert capsys.readouterr().err == ""
    assert find_spools(folder) == [begun]


def test_a_spool_taken_for_one_that_a_killed_process_left_is_begun_anew(folder: Path, monkeypatch) -> None:
    """The moment is the worst there is: the file has its name, and neither its lock nor its head."""
    opened = spool_file.lock

    def sync_and_lock(file: BinaryIO, **more: float) -> bool:
        monkeypatch.setattr(spool_file, "lock", opened)
        assert main(["sync", str(folder)]) == 0
        return opened(file, **more)

    monkeypatch.setattr(spool_file, "lock", sync_and_lock)
    path, _ = spool_of_three(folder)
    with serve() as server:
        assert upload(path, server).stored == 3


def test_a_spool_that_somebody_looks_at_as_it_is_made_has_its_lock(folder: Path, monkeypatch) -> None:
    opened = spool_file._only_for_us  # called between the file's beginning and its lock
    looks: list[BinaryIO] = []

    def open_and_look(path: str, flags: int) -> int:
        number = opened(path, flags)
        looks.append(Path(path).open("rb"))  # noqa: SIM115 - as `tbbridge sync --list` does
        assert lock(looks[0])
        threading.Timer(0.01, looks[0].close).start()
        return number

    monkeypatch.setattr(spool_file, "_only_for_us", open_and_look)
    monkeypatch.setattr(limits, "SPOOL_LOCK_WAIT_S", 30.0, raising=False)
    with Client("http://first:6007", mode="offline") as client:
        client.run("r").add_scalar("a", 1, 0)
        client.flush()
        until(lambda: looks[0].closed)
        (path,) = find_spools(folder)
        with path.open("rb") as file:
            assert not lock(file)


@pytest.mark.parametrize("mode", ["offline", "online"])
@pytest.mark.parametrize("then", ["more", "flush", "end"])
def test_a_spool_that_a_cleaner_deletes_under_a_job_is_written_again(folder: Path, mode: Any, then: str, caplog) -> None:
    with Client(port=free_port(), mode=mode, flush_interval_s=0.01 if mode == "online" else 3600) as client:
        run = client.run("r")
        for step in range(5):
            run.add_scalar("a", step, step)
            with contextlib.suppress(Unavailable):
                client.flush(timeout_s=0.2)
        until(lambda: client.stats.spooled == 5)
        shutil.rmtree(folder)
        if then == "more":
            run.add_scalar("a", 5, 5)
        if then != "end":
            with contextlib.suppress(Unavailable) if mode == "online" else contextlib.nullcontext():
                client.flush(timeout_s=0.2 if mode == "online" else 30)
            until(lambda: "was deleted while this process writes to it; the 5 points in it are in a new one" in caplog.text)
        if mode == "online":
            client.close(timeout_s=0)
    (path,) = find_spools(folder)
    with serve() as server:
        outcome = upload(path, server)
        assert (outcome.problems, outcome.torn_bytes, outcome.is_removed) == ([], 0, True)
        assert server.steps("r", "a") == list(range(6 if then == "more" else 5))


def test_bodies_of_a_spool_that_was_deleted_and_written_again_go_off_when_the_server_is_back(folder: Path) -> None:
    port = free_port()
    with Client(port=port, flush_interval_s=0.01) as client:
        for step in range(6):
            client.run("r").add_scalar("a", step, step)
            until(lambda wanted=step + 1: client.stats.spooled == wanted)
            if step == 3:
                shutil.rmtree(folder)
        until(lambda: find_spools(folder))
        server = Server()
        server.start(port)
        try:
            client.flush()
            assert server.steps("r", "a") == list(range(6))
            assert os.listdir(folder) == []
        finally:
            server.stop()


def test_points_in_a_deleted_spool_that_cannot_be_written_again_are_said_to_be_lost(folder: Path, caplog) -> None:
    with Client(port=free_port(), mode="offline", flush_interval_s=3600) as client:
        client.run("r").add_scalar("a", 1, 0)
        client.flush()
        (path,) = find_spools(folder)
        shutil.rmtree(folder)
        folder.write_text("in the way")
        with pytest.raises(Unavailable):
            client.flush(timeout_s=0.2)
        assert f"{path} was deleted and cannot be made again (File exists): the 1 points in it are lost when" in caplog.text
        client.close(timeout_s=0)
    assert f"1 points are lost: {path} was deleted, and could not be made again" in caplog.text
    assert "are kept in" not in caplog.text


def test_a_spool_is_readable_by_its_owner_only(folder: Path) -> None:
    with Client(port=free_port(), mode="offline") as client:
        client.run("r").add_scalar("a", 1, 0)
        client.flush()
        assert folder.stat().st_mode & 0o777 == 0o700
        assert find_spools(folder)[0].stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["Client", "SummaryWriter"])
def test_disabled_mode_checks_calls_and_keeps_nothing(kind: str, folder: Path) -> None:
    before = threading.active_count()
    with serve() as server:
        if kind == "Client":
            with Client(server.url, mode="disabled") as client, client.run("r") as run:
                run.add_scalar("a", 1, 0)
                run.add_text("t", "x")
                client.flush()
                with pytest.raises(InvalidItem):
                    run.add_text("t", 5)  # type: ignore[arg-type]
                assert client.stats.queued == 0
        else:
            with SummaryWriter(server.url, run="r", mode="disabled") as writer:
                writer.add_scalar("a", 1, 0)
                writer.flush()
        assert threading.active_count() <= before + 2  # those of the server here
        assert server.paths == []
    assert not folder.exists()


@pytest.mark.parametrize(
    ("given", "variable"),
    [({"mode": "ofline"}, {}), ({}, {"TBBRIDGE_MODE": "on"}), ({"mode": "offline", "spool_max_bytes": 0}, {})],
)
def test_modes_that_make_no_sense_are_refused(
    given: dict[str, Any], variable: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variable.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidItem, match=r"mode|MODE|spool"):
        Client(**given)


def test_the_spool_is_in_the_users_cache_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TBBRIDGE_SPOOL_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_spool_folder() == tmp_path / "tbbridge" / "spool"


# --- tokens -----------------------------------------------------------------------------------------------------------


def test_who_is_not_let_in_is_told_once_and_what_was_logged_is_kept(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with serve(always=status(401, detail="this bridge asks for a token")) as server, Client(server.url) as client:
        run = client.run("r")
        for step in range(3):
            run.add_scalar("a", step, step)
            with pytest.raises(Rejected, match="does not let this program in") as caught:
                client.flush()
            assert caught.value.status == 401
        told = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert [record.message.partition(" (")[0] for record in told] == [f"{server.url} does not let this program in"]
        assert (client.stats.rejected, client.stats.spooled) == (0, 3)
        server.always = OK  # somebody gave it the scope
        client.flush()
        assert server.steps("r", "a") == [0, 1, 2]


def test_points_are_kept_while_something_else_answers_at_the_address(folder: Path) -> None:
    """A proxy whose bridge is being replaced, a captive portal, a port mistyped: none of them costs points."""
    page = {"content_type": "text/html", "body": b"<html>"}
    with serve(status(404, **page), Script(status=200, take=False, **page)) as server:
        with Client(server.url, flush_interval_s=0.01) as client:
            client.run("r").add_scalar("a", 1, 0)
            until(lambda: client.stats.sent == 1)
            assert (client.stats.rejected, server.values("r", "a")) == (0, [1])
        job = Client(server.url, mode="offline")
        job.run("r").add_scalar("a", 2, 1)
        job.close()
        server.always = status(404, **page)
        (path,) = find_spools(folder)
        with pytest.raises(Rejected, match="not a tbbridge server"):
            upload(path, server)
        assert path.exists()


@pytest.mark.parametrize("way", ["SummaryWriter", "TensorplexClient", "LoggerplexClient"])
def test_every_client_takes_a_token(way: str, folder: Path) -> None:
    with serve() as server:
        if way == "SummaryWriter":
            with SummaryWriter(server.url, run="r", token=SECRET) as writer:
                writer.add_scalar("a", 1, 0)
        elif way == "TensorplexClient":
            server.groups = Groups((NormalGroup("agent"),))
            member = TensorplexClient("agent/1", host=server.url, token=SECRET)
            member.add_scalar("a", 1, 0)
            member.flush()
        else:
            log = LoggerplexClient("node/1", host=server.url, token=SECRET)
            log.info("x")
            log.flush()
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {SECRET}"}


def test_a_writer_of_a_folder_takes_neither_token_nor_mode(tmp_path: Path) -> None:
    for more in ({"token": SECRET}, {"mode": "offline"}):
        with pytest.raises(InvalidItem, match="is for a bridge"):
            SummaryWriter(tmp_path, **more)


SECRET = "tbb_0123456789abcdef"


@pytest.mark.parametrize("how", ["argument", "variable"])
def test_a_token_goes_in_its_header_and_nowhere_else(
    how: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, folder: Path
) -> None:
    caplog.set_level(logging.DEBUG)
    if how == "variable":
        monkeypatch.setenv("TBBRIDGE_TOKEN", SECRET)
    given = {"token": SECRET} if how == "argument" else {}
    with serve(status(403, detail="not yours"), status(503)) as server, Client(server.url, **given) as client:
        client.run("r").add_scalar("a", 1, 0)
        with pytest.raises(Rejected) as caught:
            client.flush()
        shown = [repr(client), repr(client._endpoint), str(caught.value), caplog.text, *map(repr, server.paths)]
        assert [text for text in shown if SECRET in text] == []
        assert SECRET.encode() not in find_spools(folder)[0].read_bytes()
        client.flush()
        assert {headers["Authorization"] for headers in server.headers} == {f"Bearer {SECRET}"}


@pytest.mark.parametrize("make", [Client, AsyncClient, Remote])
def test_a_token_that_cannot_be_one_is_refused_and_not_shown(make: Any) -> None:
    with pytest.raises(InvalidItem, match="token is no token") as caught:
        make("127.0.0.1:1", token="sec ret\n")
    assert "sec" not in str(caught.value).replace("is no token", "").replace("ASCII without spaces", "")


def test_a_password_of_the_address_is_in_no_error_and_no_repr() -> None:
    for wrong in ("ftp://me:hunter2@host", "http://me:hunter2@host:99999999", "me:hunter2@", "http://me:hunter2@h/?x"):
        with pytest.raises(InvalidItem) as caught:
            Client(wrong)
        assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Client("http://me:hunter2@host")._endpoint)


# --- how runs are -----------------------------------------------------------------------------------------------------


def statuses(server: Server, client_calls: Any) -> list[tuple[str, str | None]]:
    """What a program's requests say of runs, in order, without repetitions."""
    said: list[tuple[str, str | None]] = []
    take = server.take

    def noting(script: Script, raw: bytes) -> Any:
        for run in decode_batch(raw).batch.runs:
            item = (str(run.run), None if run.status is None else run.status.value)
            if item not in said[-1:]:
                said.append(item)
        return take(script, raw)

    server.take = noting  # type: ignore[method-assign]
    client_calls()
    return said


def test_runs_say_that_they_run_and_how_they_ended() -> None:
    with serve() as server:

        def work() -> None:
            with Client(server.url) as client:
                with client.run("good") as run:
                    run.add_scalar("a", 1, 0)
                with contextlib.suppress(ZeroDivisionError), client.run("bad") as run:
                    run.add_scalar("a", 1, 0)
                    client.flush()
                    raise ZeroDivisionError
                client.flush()
                client.run("own").add_scalar("a", 1, 0)
                client.flush()
                client.run("silent")
                client.run("own").finish("failed")
            with pytest.raises(InvalidItem, match="'finished' or 'failed'"):
                Client(server.url).run("r").finish("done")

        said = statuses(server, work)
    assert [item for item in said if item[0] == "bad"] == [("bad", "running"), ("bad", "failed")]
    assert [item for item in said if item[0] == "good"][-1] == ("good", "finished")
    assert [item for item in said if item[0] == "own"] == [("own", "running"), ("own", "finished")]
    assert "silent" not in dict(said)


def test_an_exception_in_the_with_block_of_a_client_fails_its_runs() -> None:
    with serve() as server:

        def work() -> None:
            with contextlib.suppress(ZeroDivisionError), Client(server.url) as client:
                client.run("r").add_scalar("a", 1, 0)
                raise ZeroDivisionError

        assert statuses(server, work)[-1] == ("r", RunStatus.FAILED.value)


def test_a_silent_run_shows_that_it_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLIENT_HEARTBEAT_S", 0.05)
    with serve() as server, Client(server.url, flush_interval_s=0.01) as client:
        client.run("r").add_scalar("a", 1, 0)
        client.flush()
        first = len(server.requests)
        until(lambda: len(server.requests) >= first + 3)
        assert (server.values("r", "a"), client.stats.sent) == ([1], 1)


def test_what_a_client_spooled_and_dropped_is_told_to_the_server(folder: Path) -> None:
    port = free_port()
    with Client(port=port, flush_interval_s=0.01) as client:
        client.run("r").add_scalar("a", 1, 0)
        until(lambda: client.stats.spooled == 1)
        server = Server()
        server.start(port)
        try:
            client.flush()
            assert server.headers[0]["Tbbridge-Client"] == f"id={client.outbox.writer}; dropped=0; spooled=1"
        finally:
            server.stop()


def test_spool_files_end_in_their_suffix(folder: Path) -> None:
    with Client(port=free_port(), mode="offline") as client:
        client.run("r").add_scalar("a", 1, 0)
    assert [path.suffix for path in folder.iterdir()] == [SUFFIX]
