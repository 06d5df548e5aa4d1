"""Jobs whose bridge comes and goes, as real processes: what they logged is on the bridge once, and how they ended is known."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import TBBRIDGE, Process, address_in, environment, get, serve, tensorboard, until

JOB = """
import sys, time, tbbridge
with tbbridge.Client(flush_interval_s=0.05) as client, client.run("job") as run:
    for step in range(int(sys.argv[1])):
        run.add_scalar("position", step, step)
        time.sleep(0.002)
        if step == int(sys.argv[1]) // 2:
            print("half", flush=True)
    {end}
"""


@pytest.fixture
def spools(tmp_path: Path) -> Path:
    return tmp_path / "spools"


def job(spools: Path, url: str, points: int, end: str = "", **more: str) -> Process:
    command = [sys.executable, "-c", JOB.format(end=end), str(points)]
    return Process(command, env=environment(TBBRIDGE_URL=url, TBBRIDGE_SPOOL_DIR=str(spools), **more))


def sync(spools: Path, *flags: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TBBRIDGE, "sync", str(spools), *flags], env=environment(**more), capture_output=True, text=True, timeout=60
    )


def positions(url: str, run: str = "job") -> list[float]:
    answer = get(f"{url}/api/v1/scalars", run=run, tag="position")
    assert answer["values"] == answer["steps"]
    return list(answer["steps"])


def status_of(url: str, run: str = "job") -> str | None:
    entries = {entry["run"]: entry["status"] for entry in get(f"{url}/api/v1/runs")["runs"]}
    return entries.get(run)


def test_a_bridge_killed_under_a_job_and_back_later_has_every_point_once(logdir: Path, spools: Path) -> None:
    with serve(logdir) as bridge:
        url = address_in(bridge)
        port = int(url.rpartition(":")[2])
        with job(spools, url, 600) as running:
            until(lambda: status_of(url) == "running", "the run is listed as running")
            bridge.end(signal.SIGKILL)
            until(lambda: list(spools.glob("*.spool")), "the job spools")
            running.line("half")
            with serve(logdir, port=port) as again:
                address_in(again)
                assert running.wait() == 0, running.output
                assert positions(url) == list(range(600))
                assert status_of(url) == "finished"
                assert os.listdir(spools) == []
                with tensorboard(logdir, "true") as board:
                    shown = until(lambda: board.scalars("job", "position"), "TensorBoard shows it")
                    assert [step for _, step, _ in shown] == list(range(600))
                again.end()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_told_to_end_sends_what_it_logged_and_is_failed(bridge: str, spools: Path, how: signal.Signals) -> None:
    with job(spools, bridge, 100_000) as running:
        until(lambda: status_of(bridge) == "running", "the run is listed as running")
        assert running.end(how) != 0
    found = positions(bridge)
    assert found == list(range(len(found)))
    assert status_of(bridge) == "failed"
    assert list(spools.glob("*.spool")) == []


def test_an_exception_in_the_training_loop_fails_the_run(bridge: str, spools: Path) -> None:
    with job(spools, bridge, 10, end="raise ValueError('nan')") as running:
        assert running.wait() == 1
    assert positions(bridge) == list(range(10))
    assert status_of(bridge) == "failed"


LOGGED = """
import sys, tbbridge
run = tbbridge.Client(flush_interval_s=0.05).run("job")
run.add_scalar("position", 0, 0)
def train():
    {train}
{end}
"""
# What a program without a `with` block does in its training and at its end, its exit code, and how its run is listed then.
ENDS = {
    "ends": ("pass", "train()", 0, "finished"),
    "sys.exit()": ("sys.exit()", "train()", 0, "finished"),
    "sys.exit(0)": ("return 0", "sys.exit(train())", 0, "finished"),
    "sys.exit(4)": ("return 4", "sys.exit(train())", 4, "failed"),
    "sys.exit(4) deep inside": ("sys.exit(4)", "try: train()\nfinally: run.log('bye')", 4, "failed"),
    "sys.exit of a text": ("sys.exit('no such data')", "train()", 1, "failed"),
    "a wrong argument": ("import argparse; argparse.ArgumentParser().error('bad')", "train()", 2, "failed"),
    "sys.exit(4) that is caught": ("sys.exit(4)", "try: train()\nexcept SystemExit: pass", 0, "finished"),
    "sys.exit(4) that is caught and kept": ("sys.exit(4)", "try: train()\nexcept SystemExit as e: kept = e", 0, "finished"),
    "sys.exit(4) of a thread": ("sys.exit(4)", "import threading; threading.Thread(target=train).start()", 0, "finished"),
    "an exception": ("1 / 0", "train()", 1, "failed"),
    "sys.exit(0) in a with block": ("sys.exit(0)", "with run: train()", 0, "finished"),
    "sys.exit(4) in a with block": ("sys.exit(4)", "with run: train()", 4, "failed"),
}


@pytest.mark.parametrize(("train", "end", "code", "status"), ENDS.values(), ids=ENDS.keys())
def test_how_a_program_ended_is_how_its_run_is(bridge: str, spools: Path, train: str, end: str, code: int, status: str) -> None:
    program = LOGGED.format(train=train, end=end)
    variables = environment(TBBRIDGE_URL=bridge, TBBRIDGE_SPOOL_DIR=str(spools))
    done = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert (status_of(bridge), positions(bridge)) == (status, [0])
    assert "ignored" not in done.stderr


def test_an_offline_job_is_synced_while_it_runs_and_after_it_was_killed(bridge: str, spools: Path) -> None:
    with job(spools, bridge, 100_000, TBBRIDGE_MODE="offline") as running:
        until(lambda: list(spools.glob("*.spool")), "the job spools")
        until(lambda: "points sent" in sync(spools).stdout, "there is something to send")
        assert "runs" in sync(spools, "--list").stdout
        until(lambda: sync(spools).returncode == 0 and len(positions(bridge)) > 100, "more comes with each sync")
        assert status_of(bridge) == "running"
        running.end(signal.SIGKILL)
    done = sync(spools)
    assert done.returncode == 0, done.stderr
    found = positions(bridge)
    assert found == list(range(len(found)))
    assert os.listdir(spools) == []
    assert "nothing to send" in sync(spools).stdout


def test_several_spools_go_to_the_bridge_that_is_named_and_a_bridge_that_is_away_loses_none(bridge: str, spools: Path) -> None:
    away = "http://127.0.0.1:1"
    for number in range(3):
        program = f"import tbbridge\nwith tbbridge.Client() as c: c.run('job{number}').add_scalar('position', 0, 0)"
        env = environment(TBBRIDGE_URL=away, TBBRIDGE_SPOOL_DIR=str(spools), TBBRIDGE_MODE="offline")
        subprocess.run([sys.executable, "-c", program], env=env, check=True, timeout=60, capture_output=True)
    failed = sync(spools, "--timeout", "0.3")
    assert failed.returncode == 1
    assert "no answer from" in failed.stderr
    assert len(list(spools.glob("*.spool"))) == 3
    done = sync(spools, "--url", bridge)
    assert (done.returncode, done.stdout.count("1 points sent")) == (0, 3), done.stderr
    assert [positions(bridge, f"job{number}") for number in range(3)] == [[0], [0], [0]]


def test_a_job_without_its_token_keeps_its_points_and_a_sync_with_it_sends_them(
    logdir: Path, spools: Path, tmp_path: Path
) -> None:
    made = subprocess.run(
        [TBBRIDGE, "token", "new", "trainers", "--file", str(tmp_path / "tokens")],
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    token = made.stdout.strip()
    with serve(logdir, "--tokens-file", str(tmp_path / "tokens")) as bridge:
        url = address_in(bridge)
        with job(spools, url, 10) as running:
            assert running.wait() == 0
            assert "TBBRIDGE_TOKEN" in running.output
        denied = sync(spools)
        assert (denied.returncode, "TBBRIDGE_TOKEN" in denied.stderr) == (1, True)
        assert sync(spools, TBBRIDGE_TOKEN=token).returncode == 0
        with job(spools, url, 20, TBBRIDGE_TOKEN=token) as running:
            assert running.wait() == 0, running.output
        read = [TBBRIDGE, "read", "job", "position", "--json", "--url", url]
        shown = subprocess.run(
            read, env=environment(TBBRIDGE_TOKEN=token), capture_output=True, text=True, check=True, timeout=60
        )
        assert shown.stdout.count(".0") >= 30
        assert token not in running.output + bridge.output + denied.stderr
        bridge.end()
