"""Members of groups from many processes into one bridge: the runs and tags of Tensorplex, in both of TensorBoard's readers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from processes import PATIENCE_S, TBBRIDGE, Process, address_in, environment, get, serve, tensorboard, until

from tbbridge import Client, Rejected
from tbbridge.compat import TensorplexClient

MEMBERS, PROCESSES, STEPS = 42, 6, 3
# What a node of a Tensorplex program does; run in processes of their own: address, first member, how many processes.
NODE = f"""
import sys
from tbbridge.compat import TensorplexClient

url, first = sys.argv[1], int(sys.argv[2])
agents = [TensorplexClient(f"agent/{{index}}", host=url) for index in range(first, {MEMBERS}, {PROCESSES})]
for step in range({STEPS}):
    for agent in agents:
        agent.add_scalar("reward", float(agent.client_id.split("/")[1]) + step, step)
        agent.add_scalars({{":own:section/a": 1.0, "b#c": 2.0}}, step)
learner = TensorplexClient(f"learner/net{{first}}", host=url)
learner.add_scalar("loss", 0.5, 7)
evaluation = TensorplexClient(["eval/red", "eval/reddish", "eval/blue", "eval/x", "eval/y", "eval/z"][first], host=url)
evaluation.add_scalar("score", 1.5, 8)
if first % 2:
    learner.flush()  # the others leave it to the end of the process
"""
GROUPS = [
    {"name": "agent", "kind": "indexed", "bin_size": 10},
    {"name": "learner", "kind": "normal"},
    {"name": "eval", "kind": "combined", "patterns": [{"pattern": "red*", "bin": "colors"}, {"pattern": "*", "bin": "others"}]},
]


def bin_of(index: int) -> str:
    return f"{index // 10 * 10}-{index // 10 * 10 + 9}"


def expected() -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Run -> tag -> points, as the reference names them."""
    runs: dict[str, dict[str, list[tuple[int, float]]]] = {}
    for index in range(MEMBERS):
        runs[f"agent/{index}"] = {
            f"agent/reward/{bin_of(index)}": [(step, float(index + step)) for step in range(STEPS)],
            f"agent.own.section/a/{bin_of(index)}": [(step, 1.0) for step in range(STEPS)],
            f"agent/b.c/{bin_of(index)}": [(step, 2.0) for step in range(STEPS)],
        }
    runs["learner"] = {f"net{process}/loss": [(7, 0.5)] for process in range(PROCESSES)}
    for name in ("red", "reddish", "blue", "x", "y", "z"):
        runs[f"eval/{name}"] = {f"eval/score/{'colors' if name.startswith('red') else 'others'}": [(8, 1.5)]}
    return runs


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """The log folder and the address of a bridge to which all processes have sent."""
    logdir = tmp_path_factory.mktemp("members") / "runs"
    with serve(logdir) as process:
        url = address_in(process)
        with Client(url) as client:
            client.put_groups(GROUPS)  # type: ignore[arg-type]
            assert client.groups() == GROUPS
        nodes = [Process([sys.executable, "-c", NODE, url, str(first)]) for first in range(PROCESSES)]
        for node in nodes:
            with node:
                assert node.wait() == 0, node.output
        yield logdir, url
        assert process.end() == 0, process.output


@pytest.mark.parametrize("load_fast", ["true", "false"])
def test_42_indexed_members_of_6_processes_have_the_names_of_the_reference(written: tuple[Path, str], load_fast: str) -> None:
    logdir, _ = written
    wanted = expected()
    with tensorboard(logdir, load_fast) as board:
        until(lambda: sorted(board.runs()) == sorted(wanted), "all runs")
        tags = {run: sorted(found) for run, found in board.ask("plugin/scalars/tags").items()}
        assert tags == {run: sorted(found) for run, found in wanted.items()}
        for run, series in wanted.items():
            for tag, points in series.items():
                assert [(step, value) for _, step, value in board.scalars(run, tag)] == points


def test_the_read_interface_has_every_point_too(written: tuple[Path, str]) -> None:
    _, url = written
    for run, series in expected().items():
        for tag, points in series.items():
            found = get(f"{url}/api/v1/scalars", run=run, tag=tag)
            assert list(zip(found["steps"], found["values"], strict=True)) == points


def test_export_json_writes_a_file_a_run_of_a_group_and_of_nothing_else(written: tuple[Path, str], tmp_path: Path) -> None:
    _, url = written
    with Client(url) as client:
        client.run("no/member").add_scalar("loss", 1.0, 1)
        client.flush()
    nan = TensorplexClient("eval/odd", host=url)
    nan.add_scalar("score", float("nan"), 9)
    nan.export_json(tmp_path / "json")
    wanted = expected()
    wanted["eval/odd"] = {"eval/score/others": [(9, float("nan"))]}
    files = {path.name: json.loads(path.read_text()) for path in (tmp_path / "json").iterdir()}
    assert sorted(files) == sorted(run.replace("/", ".") + ".json" for run in wanted)
    for run, series in wanted.items():
        found = files[run.replace("/", ".") + ".json"]
        assert sorted(found) == sorted(series)
        for tag, points in series.items():
            np.testing.assert_equal([(step, value) for _, step, value in found[tag]], points)


def test_export_json_gives_runs_with_long_names_files_of_their_own(bridge: str, tmp_path: Path) -> None:
    """The first of them broke the export off in the middle: its file's name was too long for the disk."""
    group = "g" * 140
    with Client(bridge) as client:
        client.put_groups([{"name": group, "kind": "combined", "patterns": [{"pattern": "*", "bin": "x"}]}])
    members = ["m" * 140 + end for end in ("1", "2", "é" * 50)]
    for number, member in enumerate(members):
        made = TensorplexClient(f"{group}/{member}", host=bridge)
        made.add_scalar("reward", number, 0)
    made.export_json(tmp_path / "json")
    files = sorted((tmp_path / "json").iterdir())
    assert all(path.name.startswith("g" * 140 + ".mmm") for path in files)
    assert sorted(points[0][2] for path in files for points in json.loads(path.read_text()).values()) == [0.0, 1.0, 2.0]


def kinds_of(url: str, run: str) -> dict[str, str]:
    (entry,) = get(f"{url}/api/v1/runs", run=run)["runs"]
    return {tag["tag"]: tag["kind"] for tag in entry["tags"]}


def test_every_method_of_the_client_reaches_its_place(bridge: str) -> None:
    with Client(bridge) as client:
        client.put_groups(GROUPS)  # type: ignore[arg-type]
    with TensorplexClient("agent/17", host=bridge) as agent:
        agent.add_scalar("s", 1)
        agent.add_scalars({"s2": 1.0}, 1)
        agent.add_histogram("h", np.arange(10), 2)
        agent.add_histogram("h2", np.arange(10), 2, bins="auto")
        agent.add_image("i", np.zeros((3, 4, 4), np.uint8), 3)
        agent.add_audio("a", np.zeros(100), 4, sample_rate=8000)
        agent.add_text("t", "hello", 5.5)  # a fraction is cut off, as in tensorboardX
        agent.add_embedding(np.eye(3), ["a", "b", "c"], global_step=6, tag="e")
        agent.flush()
    kinds = kinds_of(bridge, "agent/17")
    names = {f"agent/{tag}/10-19" for tag in ("s", "s2", "h", "h2", "i", "a", "t")}
    assert {tag: kind for tag, kind in kinds.items() if kind != "embedding"} == {
        tag: {"h": "histogram", "i": "image", "a": "audio", "t": "text", "s": "scalar"}[tag[6]] for tag in names
    }


CROWD = """
import sys
from tbbridge.compat import TensorplexClient

members = [TensorplexClient(f"agent/{index}", host=sys.argv[1]) for index in range(int(sys.argv[2]), 3000, 3)]
members += [TensorplexClient(f"learner/{sys.argv[2]}-{index}", host=sys.argv[1]) for index in range(1000)]
for step in range(2):
    for member in members:
        member.add_scalar("reward", 1.0, step)
members[0].flush()  # of all: the end of a process waits for ten seconds only
"""


def test_thousands_of_members_of_several_processes(bridge: str, processes_of_test: list[Process]) -> None:
    """3,000 in runs of their own, 3,000 in one; each of their points is there once."""
    with Client(bridge) as client:
        client.put_groups(GROUPS)  # type: ignore[arg-type]
    processes_of_test += [Process([sys.executable, "-c", CROWD, bridge, str(first)]) for first in range(3)]
    assert [(process.wait(), process.output) for process in processes_of_test] == [(0, "")] * 3
    points = {entry["run"]: entry["points"] for entry in get(f"{bridge}/api/v1/runs")["runs"]}
    assert points == {**{f"agent/{index}": 2 for index in range(3000)}, "learner": 6000}


def test_a_member_of_no_group_is_told_so_and_holds_up_no_other(bridge: str) -> None:
    with Client(bridge) as client:
        client.put_groups(GROUPS)  # type: ignore[arg-type]
    with Client(bridge) as client:
        client.member("nobody/1").add_scalar("reward", 1.0, 1)
        client.member("agent/1").add_scalar("reward", 1.0, 1)
        with pytest.raises(Rejected, match=r"nobody/1.*the groups are agent \(indexed, 10 to a chart\), learner"):
            client.flush()
    assert list(kinds_of(bridge, "agent/1")) == ["agent/reward/0-9"]


def test_names_of_members_do_not_change_over_a_kill(logdir: Path, processes_of_test: list[Process]) -> None:
    """The journal only holds what the groups made of a member: other groups at the restart do not move what was taken."""
    process = serve(logdir)
    processes_of_test.append(process)
    url = address_in(process)
    with Client(url) as client:
        client.put_groups(GROUPS)  # type: ignore[arg-type]
        client.member("agent/17").add_scalar("reward", 1.0, 1)
        client.flush()
    process.process.kill()
    process.wait()
    (logdir / ".tbbridge" / "groups.json").unlink()
    again = serve(logdir)
    processes_of_test.append(again)
    assert list(kinds_of(address_in(again), "agent/17")) == ["agent/reward/10-19"]


def test_the_command_shows_and_replaces_the_groups(bridge: str, tmp_path: Path) -> None:
    def groups(*flags: str) -> subprocess.CompletedProcess[str]:
        command = [TBBRIDGE, "groups", "--url", bridge, *flags]
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=environment())

    file = tmp_path / "groups.toml"
    file.write_text('[groups.agent]\nkind = "indexed"\nbin_size = 10\n[groups.learner]\nkind = "normal"\n')
    assert "no groups" in groups().stdout
    put = groups("--put", str(file))
    assert (put.returncode, put.stderr) == (0, "")
    shown = groups("--json")
    assert json.loads(shown.stdout)["groups"] == GROUPS[:2]
    again = tmp_path / "kept.json"
    again.write_text(shown.stdout)
    assert groups("--put", str(again)).stdout.splitlines()[1].split("\t")[:2] == ["agent", "indexed"]
    file.write_text('[groups.agent]\nkind = "indexed"\n')
    refused = groups("--put", str(file))
    assert refused.returncode == 1
    assert "groups[0].bin_size: a group of kind 'indexed' has 'bin_size'; add it" in refused.stderr
    file.unlink()
    missing = groups("--put", str(file))
    assert missing.returncode == 1
    assert "groups.toml cannot be read" in missing.stderr


def test_a_bridge_with_a_settings_file_has_its_groups(logdir: Path, tmp_path: Path, processes_of_test: list[Process]) -> None:
    file = tmp_path / "bridge.toml"
    file.write_text(f'logdir = "{logdir}"\nport = 0\n[groups.agent]\nkind = "indexed"\nbin_size = 5\n')
    process = Process([TBBRIDGE, "serve", "--config", str(file)])
    processes_of_test.append(process)
    with Client(address_in(process)) as client:
        client.member("agent/7").add_scalar("reward", 1.0, 1)
        client.flush()
        with pytest.raises(Rejected, match="settings file"):
            client.put_groups([])
    assert (logdir / "agent" / "7").is_dir()
