"""The benchmarks' machinery: they say what was measured, and the page says what they said. Speed itself is not tested."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import report
from benchmarks.__main__ import main
from benchmarks.load import closed_loop, evenly, open_loop, post
from benchmarks.measure import in_turns, percentile
from benchmarks.peers import environments
from benchmarks.plots import digest
from benchmarks.results import Goal, Record, Result, Row, Spread, read_all
from benchmarks.servers import Server
from benchmarks.suite import BY_NAME

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the benchmarks need Linux")


def test_page_says_what_the_kept_results_say() -> None:
    said = (ROOT / "docs" / report.PAGE).read_text()
    assert said == report.page(read_all()), "docs/benchmarks.md is behind its results: python -m benchmarks report"


def test_pictures_of_the_page_are_drawn_from_the_kept_results() -> None:
    records = read_all()
    drawn = {path.stem: path.read_text() for path in (ROOT / "docs" / report.PICTURES).glob("*.svg")}
    wanted = {picture.name: digest(records, picture.needs) for picture in report.pictures(records)}
    assert {name for name in wanted if f"drawn from results {wanted[name]}" not in drawn.get(name, "")} == set()
    assert drawn.keys() == wanted.keys()
    assert max(map(len, drawn.values()), default=0) < 100_000


def test_a_benchmark_runs_is_kept_and_becomes_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results, docs = tmp_path / "results", tmp_path / "docs"
    assert main(["soak", "--quick", "--json", str(results / "soak.json")]) == 0
    assert "soak: memory at the end" in capsys.readouterr().out
    record = Record.read(results / "soak.json")
    assert record.size == "quick"
    assert {"processor", "cores", "kernel", "file_system"} <= record.machine.keys()
    assert {"Python", "tbbridge", "uvicorn"} <= record.versions.keys()
    report.write(results, docs)
    page = (docs / report.PAGE).read_text()
    assert "**Not to be believed**: soak ran with `--quick`" in page
    assert "| soak: descriptors | " in page
    assert "Not measured: `python -m benchmarks journey`" in page
    drawn = {path.name for path in (docs / report.PICTURES).iterdir()}
    assert drawn == {"goals.svg", "soak.svg"} == set(re.findall(r"\(benchmarks/([a-z]+\.svg)\)", page))


@pytest.mark.parametrize(
    ("arguments", "said"), [(["nosuch"], "no benchmark is called 'nosuch'"), (["post", "soak", "--json", "x"], "one")]
)
def test_a_wrong_command_line_is_told_what_there_is(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


def test_every_benchmark_is_listed_and_is_a_module(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert [name for name in BY_NAME if f" {name} " not in listed] == []
    assert [name for name in BY_NAME if not (ROOT / "benchmarks" / f"{name}.py").exists()] == []


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")]), ids=lambda page: page.name)
def test_pages_name_benchmarks_that_there_are(page: Path) -> None:
    named = {
        name for names in re.findall(r"python -m benchmarks((?: [a-z_0-9]+)+)", page.read_text()) for name in names.split()
    }
    assert named - {*BY_NAME, "list", "all", "peers", "report"} == set()


def test_rounds_take_turns_and_nobody_always_comes_second() -> None:
    order: list[str] = []
    found = in_turns({name: lambda name=name: order.append(name) or len(order) for name in "ab"}, 2, "")  # type: ignore[misc]
    assert order == ["a", "b", "b", "a"]
    assert found == {"a": [1, 4], "b": [2, 3]}


def test_ratio_is_how_many_times_better_ours_is() -> None:
    less = Row("", "s", Spread.of([2.0, 1.0, 3.0]), Spread.one(8.0), goal=Goal(4.0))
    more = Row("", "1/s", Spread.one(2.0), Spread.one(8.0), better="more", goal=Goal(3.0, "ours"))
    assert (less.ratio, less.is_reached, less.goal_text) == (4.0, True, "≥ 4x")
    assert (more.ratio, more.is_reached, more.goal_text) == (0.25, False, "≥ 3 1/s")
    assert Spread.of([2.0, 1.0, 4.0]).inverse(8.0) == Spread(4.0, 2.0, 8.0, 3)


# --- the load ---------------------------------------------------------------------------------------------------------

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
STALL_S = 0.3


@pytest.fixture
def stalling_port() -> Iterator[int]:
    """A server of one connection that answers at once, but for its tenth answer, before which it sleeps."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for number in range(1000):
                    if not connection.recv(65536):
                        return
                    if number == 10:
                        time.sleep(STALL_S)
                    connection.sendall(ANSWER)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(10)


def _server(port: int, folder: Path) -> Server:
    with subprocess.Popen(["true"]) as process:
        return Server(port, process, folder)


def test_a_server_that_stalls_does_not_slow_the_open_load_down_and_look_quick(stalling_port: int, tmp_path: Path) -> None:
    request = post(b"{}")
    loaded = open_loop(_server(stalling_port, tmp_path), lambda _: request, evenly(200, 0.5), 1)
    times = loaded.answered[200]
    assert loaded.counts == {200: 100}
    assert percentile(times, 50) > STALL_S / 10  # all that were due meanwhile are late, each by what was left of the stall
    assert sum(took > STALL_S / 4 for took in times) > 30


def test_the_closed_load_sees_the_stall_once(stalling_port: int, tmp_path: Path) -> None:
    request = post(b"{}")
    loaded = closed_loop(_server(stalling_port, tmp_path), lambda _: request, 1, count=100)
    assert loaded.counts == {200: 100}
    assert sum(took > STALL_S / 4 for took in loaded.answered[200]) == 1


# --- peers ------------------------------------------------------------------------------------------------------------


def test_a_peer_that_cannot_be_installed_is_said_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(
            command,
            1,
            "",
            "looking\nERROR: No matching distribution found for nosuch at https://index.example/x in /home/me/x\n",
        )

    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(environments.subprocess, "run", refuse)
    with pytest.raises(environments.Missing, match=r"No matching distribution found for nosuch at \.\.\. in \.\.\.$"):
        environments.installed(environments.Peer("nosuch", ("nosuch",)))


def test_a_peer_that_is_missing_stands_on_the_page() -> None:
    record = Record("loop_peers", "normal", 1.0, "2026-01-01", _MACHINE, {"Python": "3"}, Result(missing={"aim": "no wheel"}))
    assert "Not measured: **aim**: no wheel" in report.page({"loop_peers": record})


_MACHINE = {
    "cores": 2,
    "processor": "P",
    "memory_gib": 1,
    "system": "Linux",
    "kernel": "6",
    "file_system": "ext4",
    "load_before": 0,
}
