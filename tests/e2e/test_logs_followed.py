"""Logs from real processes into a real bridge: read, followed through its restarts and its death, and shown by TensorBoard."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from processes import TBBRIDGE, Process, address_in, environment, get, post, serve, tensorboard, until

from tbbridge import Client
from tbbridge.compat import LoggerplexClient

# A program that logs as every program does: a few records, one with a traceback, and an end without a word to tbbridge.
PROGRAM = """
import logging, sys, tbbridge

logging.basicConfig(level="INFO", handlers=[tbbridge.LogHandler(sys.argv[1], "node/7")])
log = logging.getLogger("train")
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    log.info("record %d", number)
try:
    1 / 0
except ZeroDivisionError:
    log.exception("it broke")
"""


def program(url: str, first: int, end: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, url, str(first), str(end)],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def run(*arguments: str, url: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TBBRIDGE, "logs", *arguments, "--url", url], capture_output=True, text=True, timeout=60, env=environment()
    )


def test_a_program_s_log_is_read_as_it_was_written(bridge: str, logdir: Path) -> None:
    program(bridge, 0, 3)
    done = run("node/7", url=bridge)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (logdir / ".tbbridge" / "logs" / "node" / "7.log").read_text()
    lines = done.stdout.splitlines()
    assert [line[28:] for line in lines[:4]] == [f"INFO     train record {n}" for n in range(3)] + ["ERROR    train it broke"]
    assert lines[4] == "\tTraceback (most recent call last):"
    assert lines[-1] == "\tZeroDivisionError: division by zero"
    assert get(f"{bridge}/api/v1/runs")["runs"] == []  # a log alone is no run

    done = run("node/7", "-n", "1", "--json", "--level", "info", "--since", "1h", url=bridge)
    (record,) = map(json.loads, done.stdout.splitlines())
    assert (record["level"], record["logger"], record["message"].splitlines()[0]) == (40, "train", "it broke")
    assert run("node/7", "--level", "critical", "-n", "all", url=bridge).stdout == ""


def test_what_cannot_be_read_is_one_line(bridge: str) -> None:
    done = run("nobody", url=bridge)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no log of a run 'nobody'" in done.stderr
    done = run("nobody", "--since", "yesterday", url=bridge)
    assert done.returncode == 1
    assert "'yesterday' is no time" in done.stderr
    done = run("-f", "nobody", url="127.0.0.1:1")
    assert done.returncode == 1
    assert "no answer from http://127.0.0.1:1" in done.stderr


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_log_is_followed_through_the_end_of_the_bridge(logdir: Path, how: signal.Signals) -> None:
    with serve(logdir) as first:
        url = address_in(first)
        follower = Process([TBBRIDGE, "logs", "-f", "node/7", "--url", url])
        with follower:
            follower.line("no log of run 'node/7' yet; waiting")
            program(url, 0, 2)
            follower.line("record 1")
            follower.line("ZeroDivisionError")
            first.end(how)
            follower.line("the bridge is away, and is waited for")
            with serve(logdir, port=int(url.rpartition(":")[2])) as second:
                address_in(second)
                program(url, 2, 4)
                follower.line("record 3")
                until(lambda: follower.output.count("ZeroDivisionError") == 2, "the second traceback")
                assert [line.split()[-1] for line in follower.lines if "record" in line and "train" in line] == list("0123")
                assert second.end() == 0
            assert follower.end(signal.SIGINT) == 130


def test_a_retry_repeats_no_record(bridge: str) -> None:
    body = {"writer": "w", "seq": 1, "runs": [{"run": "r", "logs": [{"message": "once"}, {"message": "low", "level": 5}]}]}
    answers = [post(f"{bridge}/api/v1/write", body) for _ in range(3)]
    assert [answer["duplicate"] for answer in answers] == [False, True, True]
    assert run("r", url=bridge).stdout.count("once") == 1


def test_clients_of_loggerplex_and_members_of_groups_log_too(bridge: str) -> None:
    request = urllib.request.Request(
        f"{bridge}/api/v1/groups",
        json.dumps({"groups": [{"name": "agent", "kind": "indexed", "bin_size": 10}]}).encode(),
        {"Content-Type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).close()
    log = LoggerplexClient("agent/17", host=bridge)
    log.info5("from", "loggerplex")
    log.flush()
    with Client(bridge) as client:
        client.member("agent/017").log("from a member")
        client.flush()
    lines = run("agent/17", url=bridge).stdout.splitlines()
    assert [line[28:] for line in lines] == ["INFO5    - from loggerplex", "INFO     - from a member"]


def test_settings_say_what_becomes_of_logs(logdir: Path) -> None:
    for turn in range(2):
        flags = ("--logs-mode", "overwrite", "--logs-level", "warning", "--logs-to-text")
        with serve(logdir, *flags) as process:
            url = address_in(process)
            logs = [{"message": f"turn {turn}", "level": 30}, {"message": "quiet"}]
            assert post(f"{url}/api/v1/write", {"runs": [{"run": "r", "logs": logs}]})["accepted"] == 2
            assert [line[28:] for line in run("r", url=url).stdout.splitlines()] == [f"WARNING  - turn {turn}"]
            with pytest.raises(urllib.error.HTTPError, match="404"):
                get(f"{url}/api/v1/logs", run="other")
            assert process.end() == 0


@pytest.mark.parametrize("load_fast", ["true", "false"], ids=["data server", "python"])
def test_as_texts_they_are_shown_by_tensorboard(logdir: Path, load_fast: str) -> None:
    with serve(logdir, "--logs-to-text") as process:
        url = address_in(process)
        program(url, 0, 2)
        with tensorboard(logdir, load_fast) as board:
            shown = until(lambda: board.ask("plugin/text/text", run="node/7", tag="logs/train"), "the texts")
            assert [one["step"] for one in shown] == [0, 1, 2]
            assert "<code>INFO record 1" in shown[1]["text"]
            assert "ZeroDivisionError: division by zero" in shown[2]["text"]
        assert process.end() == 0
