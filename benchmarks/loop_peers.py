"""The same training loop with the tools that people use instead, each in an environment of its own and by its documented calls.

mlflow logs to its own server over HTTP, with and without its asynchronous logging; pastalog to its own server for Node.js;
trackio, wandb (offline) and aim by their defaults on this machine. tbbridge is measured in the same rounds. Seconds added as in
`python -m benchmarks loop`; a tool that is so slow that a round would take long does fewer steps.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks.loop import STEPS, TAGS, data_of, rows_of
from benchmarks.measure import Size, in_turns
from benchmarks.peers.environments import PEERS, Missing, installed, site_packages
from benchmarks.peers.tools import Rounds, Tool, tool
from benchmarks.results import Result
from benchmarks.servers import HOST, bridge, free_port, running

LIMIT_S = 1.0  # of a round's steps with logging
# Servers and threads of seven tools come and go: in a twentieth of a second the difference of two loops is mostly theirs.
TIMES_STEPS = 4
SERVER_START_S = 300.0
NETWORK = ("mlflow", "mlflow, async", "trackio", "wandb, offline", "aim", "pastalog")


@contextmanager
def mlflow_server(python: Path, folder: Path) -> Iterator[str]:
    """As its documentation starts it, with its default store."""
    port = free_port()
    command = [str(python), "-m", "mlflow", "server", "--host", HOST, "--port", str(port)]
    with running(command, f"http://{HOST}:{port}/health", cwd=folder, patience_s=SERVER_START_S):
        yield f"http://{HOST}:{port}"


@contextmanager
def pastalog_server(python: Path, folder: Path) -> Iterator[str]:
    port, node = free_port(), shutil.which("node")
    if node is None:
        raise Missing("its server needs Node.js, which is not installed")
    place = folder / "pastalog"
    shutil.copytree(site_packages(python) / "pastalog", place)
    (place / "data").mkdir()
    with running([node, str(place / "build" / "server.js"), "--port", str(port)], f"http://{HOST}:{port}/", cwd=place):
        yield f"http://{HOST}:{port}/"


SERVERS = {"mlflow": mlflow_server, "pastalog": pastalog_server}


def opened(stack: ExitStack, folder: Path, missing: dict[str, str]) -> dict[str, Tool]:
    """The tools that can be had, each once it has answered; the others go to `missing`."""
    found: dict[str, Tool] = {}
    for peer in PEERS:
        names = [name for name in peer.tools if name in NETWORK]
        if not names:
            continue
        try:
            python = installed(peer)
            place = folder / peer.environment
            place.mkdir()
            server = SERVERS.get(peer.environment)
            address = stack.enter_context(server(python, place)) if server else ""
            for name in names:
                started = stack.enter_context(tool(name, str(python), address))
                # The first run of some makes a database.
                started.ask(work="loop", tags=2, steps=2, limit_s=10.0, name="first")
                found[name] = started
        except (Missing, RuntimeError, OSError) as error:
            for name in names:
                missing.setdefault(name, str(error))
    return found


def measure(tools: dict[str, Tool], size: Size, missing: dict[str, str]) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """As in `loop`, but a peer that fails on the way is left out from there on, and said."""
    found: dict[str, dict[int, list[dict[str, Any]]]] = {name: {} for name in tools}
    asked = {name: Rounds(tool_, size.pick(0.3, LIMIT_S)) for name, tool_ in tools.items()}

    def careful(name: str, work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any] | None]:
        def once() -> dict[str, Any] | None:
            if name in missing:
                return None
            try:
                return work()
            except RuntimeError as error:
                missing[name] = str(error)
                return None

        return once

    for tags in size.pick(TAGS[:2], TAGS):
        works = {
            name: careful(name, rounds.work(tags, size.pick(5, TIMES_STEPS * STEPS[tags])))
            for name, rounds in asked.items()
            if name not in missing
        }
        for name, all_ in in_turns(works, size.pick(1, 3, 7), f"loop, {tags} tags").items():
            answered = [one for one in all_ if one is not None]
            if answered:
                found[name][tags] = answered
    return found


def run(size: Size) -> Result:
    """Ours and every peer that can be had."""
    missing: dict[str, str] = {}
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        server = stack.enter_context(bridge(folder / "runs"))
        ours = {"tbbridge": stack.enter_context(tool("tbbridge", sys.executable, server.url))}
        peers = opened(stack, folder, missing)
        versions = {what: peer.ask(work="hello")["version"] for what, peer in peers.items()}
        found = measure({**ours, **peers}, size, missing)
    names: Mapping[str, str] = {what: f"{what} ({version})" for what, version in versions.items()}
    measured = {names.get(what, what): by_tags for what, by_tags in found.items()}
    return Result(rows_of(measured, dict.fromkeys(names.values(), True), has_own_goal=False), data_of(measured), missing)
