"""A fork in the middle of it: the child sends its own points and none of its parent's, and neither waits for the other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fake_server import Script, serve

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no fork")

PROGRAM = """
import os, sys, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # Python warns of any fork in a process with threads
from tbbridge import AsyncClient, Client

client = {kind}(flush_interval_s={interval})
run = client.run("r")
for step in range(100):
    run.add_scalar("parent", step, step)
run.send()
if {wait}:
    input()  # the first request hangs in the server now
for step in range(100, 200):
    run.add_scalar("parent", step, step)
for step in range(2):
    run.add_scalars({{"row/a": step, "row/b": step}}, step)
run.add_scalar("open", 1)  # an open step

child = os.fork()
if child == 0:
    for step in range(100):
        run.add_scalar("child", step, step)
    client.run("r2").add_scalar("child", 1)
    for step in range(2, 4):
        run.add_scalars({{"row/a": step, "row/b": step}}, step)
    {flush}
    assert client.stats.sent == 105, client.stats
    os._exit(0)

_, state = os.waitpid(child, 0)
assert state == 0, state
print("child done", flush=True)
"""


def fork(url: str, kind: str, *, interval: float, wait: bool) -> subprocess.Popen[str]:
    flush = "client.flush(30)" if kind == "Client" else "import asyncio; asyncio.run(client.flush(30))"
    program = PROGRAM.format(kind=kind, interval=interval, wait=wait, flush=flush)
    return subprocess.Popen(
        [sys.executable, "-c", program],
        env={"TBBRIDGE_URL": url, "PYTHONPATH": str(Path.cwd()), "XDG_CACHE_HOME": os.environ["XDG_CACHE_HOME"]},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("kind", ["Client", "AsyncClient"])
@pytest.mark.parametrize("interval", [0.001, 3600])
def test_a_child_sends_its_own_points_only(kind: str, interval: float) -> None:
    with serve() as server:
        said, errors = fork(server.url, kind, interval=interval, wait=False).communicate(timeout=60)
        assert (said, errors) == ("child done\n", "")
        assert server.values("r", "parent") == list(range(200))
        assert server.values("r", "open") == [1]
        assert sorted(server.values("r", "row/a")) == sorted(server.values("r", "row/b")) == [0, 1, 2, 3]
        assert server.values("r", "child") == list(range(100))
        assert server.values("r2", "child") == [1]
        assert len({writer for writer, _ in server.requests}) == 2


def test_a_fork_while_a_request_is_under_way() -> None:
    with serve(Script(hang=True)) as server:
        process = fork(server.url, "Client", interval=3600, wait=True)
        assert server.arrived.acquire(timeout=30)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "child done\n"  # while the parent's request still hangs
        server.release.set()
        _, errors = process.communicate(timeout=60)
        assert errors == ""
        assert server.values("r", "parent") == list(range(200))
        assert server.values("r", "child") == list(range(100))
        assert server.repeats == 0
