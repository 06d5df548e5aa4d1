"""The commands that look at and change runs, as a shell script runs them, with TensorBoard watching."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from processes import TBBRIDGE, address_in, environment, get, post, serve, tensorboard, until

RUN = "digits/lr=1e-3"


def commands(url: str, folder: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Runs a command in `folder`, against the bridge at `url`."""

    def call(*arguments: str, stdin: bytes = b"", url: str = url) -> subprocess.CompletedProcess[bytes]:
        command = [TBBRIDGE, *arguments]
        return subprocess.run(
            command, input=stdin, capture_output=True, timeout=60, env=environment(TBBRIDGE_URL=url), cwd=folder
        )

    return call


@pytest.fixture
def run(bridge: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run a command against the bridge."""
    return commands(bridge, tmp_path)


def write(bridge: str, run_name: str = RUN, points: int = 3, **more: object) -> None:
    scalars = [{"tag": "loss", "values": list(range(points)), "wall_times": [1e9 + step for step in range(points)]}]
    post(f"{bridge}/api/v1/write", {"runs": [{"run": run_name, "scalars": scalars, **more}]})


def names(bridge: str) -> list[str]:
    return [entry["run"] for entry in get(f"{bridge}/api/v1/runs")["runs"]]


def event_files(logdir: Path) -> dict[str, bytes]:
    return {str(path.relative_to(logdir)): path.read_bytes() for path in logdir.rglob("*tfevents*")}


def test_archive_delete_restore_under_the_eyes_of_tensorboard(logdir, tmp_path) -> None:
    """The event files are the same, byte for byte, and both readers show the run, then not, then again."""
    with serve(logdir) as process, tensorboard(logdir, "true") as fast, tensorboard(logdir, "false") as slow:
        bridge, boards = address_in(process), (fast, slow)
        run = commands(bridge, tmp_path)
        write(bridge, summaries=[{"kind": "embedding", "tag": "points", "matrix": [[1, 2], [3, 4]], "step": 1}])
        write(bridge, "other")
        assert run("archive", RUN, "run.zip").returncode == 0
        before = event_files(logdir)
        expected = [until(lambda board=board: board.scalars(RUN, "loss"), "it shows the run") for board in boards]
        assert [len(points) for points in expected] == [3, 3]
        assert run("delete", RUN, "--yes").stdout == f"deleted {RUN}\n".encode()
        until(lambda: not any(RUN in board.runs() for board in boards), "they no longer show the run")
        done = run("restore", RUN, "run.zip")
        assert (done.returncode, done.stderr) == (0, b"")
        assert done.stdout.startswith(f"restored {RUN}: 3 files, ".encode())
        until(lambda: [board.scalars(RUN, "loss") for board in boards] == expected, "they show the run again")
        until(lambda: event_files(logdir) == before, "the files are where they were")
        assert run("archive", RUN, "again.zip").returncode == 0
        assert (tmp_path / "again.zip").read_bytes() == (tmp_path / "run.zip").read_bytes()
        assert process.end() == 0, process.output


def test_runs_and_show_are_tables_of_tabs_for_scripts(bridge, run) -> None:
    write(bridge, summaries=[{"kind": "text", "tag": "no\tte", "text": "x", "step": 5, "wall_time": 5.0}])
    size = get(f"{bridge}/api/v1/runs")["runs"][0]["size_bytes"]
    assert run("runs").stdout.decode().splitlines() == [
        "run\ttags\tpoints\tfirst_step\tlast_step\tlast_written\tsize\tstatus",
        f"{RUN}\t1 scalar, 1 text\t4\t0\t5\t1000000002.0\t{size}\t",
    ]
    assert run("show", RUN).stdout.decode().splitlines() == [
        "tag\tkind\tcount\tfirst_step\tlast_step\tlast_written",
        "loss\tscalar\t3\t0\t2\t1000000002.0",
        "no\\tte\ttext\t1\t5\t5\t5.0",
    ]
    assert json.loads(run("runs", "--json").stdout)["runs"][0]["run"] == RUN
    assert [tag["tag"] for tag in json.loads(run("show", RUN, "--json").stdout)["tags"]] == ["loss", "no\tte"]


def test_a_terminal_gets_no_orders_from_a_name(bridge) -> None:
    """A tag may hold anything, also what makes a terminal clear its screen or answer."""
    write(bridge, summaries=[{"kind": "text", "tag": "[bold]\x1b[2J\x07", "text": "x"}])
    ours, theirs = pty.openpty()
    command = [TBBRIDGE, "show", RUN, "--url", bridge]
    with subprocess.Popen(
        command, stdout=theirs, stderr=theirs, stdin=subprocess.DEVNULL, env=environment(NO_COLOR="1")
    ) as process:
        os.close(theirs)
        pieces = []
        try:
            while piece := os.read(ours, 4096):
                pieces.append(piece)
        except OSError:  # how Linux says that nobody holds the other end any more
            pass
    os.close(ours)
    shown = b"".join(pieces)
    assert process.returncode == 0
    assert b"[bold]\\x1b[2J\\x07" in shown
    assert b"\x1b[2J" not in shown
    assert b"\x07" not in shown


def test_read_gives_every_kind_back(bridge, run, tmp_path) -> None:
    histogram = {"kind": "histogram", "tag": "weights", "values": [1, 2, 3], "step": 1}
    image = {"kind": "image", "tag": "picture", "array": [[0.0, 0.5], [0.5, 1.0]], "dataformats": "HW", "step": 1}
    write(bridge, summaries=[histogram, {"kind": "text", "tag": "note", "text": "hello", "step": 1}, image])
    assert run("read", RUN, "loss").stdout == (
        b"step\tvalue\twall_time\n0\t0.0\t1000000000.0\n1\t1.0\t1000000001.0\n2\t2.0\t1000000002.0\n"
    )
    assert len(run("read", RUN, "loss", "--min-step", "1", "--max-step", "1").stdout.splitlines()) == 2
    assert json.loads(run("read", RUN, "loss", "--json").stdout)["values"] == [0.0, 1.0, 2.0]
    (note,) = json.loads(run("read", RUN, "note").stdout)["values"]
    assert note["texts"] == ["hello"]
    (weights,) = json.loads(run("read", RUN, "weights").stdout)["values"]
    assert weights["num"] == 3
    assert run("read", RUN, "picture", "--save", "newest.png").returncode == 0
    assert (tmp_path / "newest.png").read_bytes().startswith(b"\x89PNG")
    done = run("read", RUN, "nothing")
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"nothing" in done.stderr


def test_read_thins_out(bridge, run) -> None:
    write(bridge, points=1000)
    table = run("read", RUN, "loss", "--downsample", "candlestick", "--max-points", "10").stdout.decode().splitlines()
    assert len(table) == 11
    assert {"min", "q1", "median", "q3", "max"} <= set(table[0].split("\t"))
    assert 2 <= len(run("read", RUN, "loss", "--max-points", "10").stdout.splitlines()) <= 11


def test_delete_asks_and_without_a_terminal_refuses(bridge, run) -> None:
    write(bridge)
    done = run("delete", RUN, stdin=b"y\n")
    assert done.returncode == 1
    assert b"--yes" in done.stderr
    assert names(bridge) == [RUN]


@pytest.mark.parametrize(("answer", "code", "left"), [(b"y\n", 0, []), (b"n\n", 1, [RUN]), (b"\n", 1, [RUN])])
def test_delete_does_what_it_is_told(bridge, answer, code, left) -> None:
    write(bridge)
    ours, theirs = pty.openpty()
    command = [TBBRIDGE, "delete", RUN, "--url", bridge]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment()
    ) as process:
        os.write(ours, answer)
        output, _ = process.communicate(timeout=60)
    os.close(theirs)
    os.close(ours)
    assert f"Delete {RUN}?".encode() in output
    assert process.returncode == code
    assert names(bridge) == left


def test_delete_of_a_tag_and_of_a_folder_of_runs(bridge, run) -> None:
    for name in ("a", "a/b", "c"):
        write(bridge, name, summaries=[{"kind": "text", "tag": "note", "text": "x"}])
    assert run("delete", "c", "--tag", "loss", "--yes").stdout == b"deleted c: loss\n"
    assert [tag["tag"] for tag in get(f"{bridge}/api/v1/runs", run="c")["runs"][0]["tags"]] == ["note"]
    assert run("delete", "a", "--below", "--yes").returncode == 0
    assert names(bridge) == ["c"]
    assert run("delete", "c", "a", "--tag", "note", "--yes").returncode == 1


def test_rename_tells_what_moved(bridge, run) -> None:
    write(bridge, "a")
    write(bridge, "a/b")
    assert sorted(run("rename", "a", "new").stdout.decode().splitlines()) == ["renamed a to new", "renamed a/b to new/b"]
    assert names(bridge) == ["new", "new/b"]
    write(bridge, "taken")
    done = run("rename", "new", "taken")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert b"taken" in done.stderr


def test_archive_overwrites_nothing_and_pipes(bridge, run, tmp_path) -> None:
    write(bridge)
    assert run("archive", RUN).stdout.startswith(b"digits_lr=1e-3.zip: ")
    assert run("archive", RUN).returncode == 1
    assert run("archive", RUN, "--force").returncode == 0
    piped = run("archive", RUN, "-")
    assert piped.stdout == (tmp_path / "digits_lr=1e-3.zip").read_bytes()
    done = run("restore", "copy", "-", "--json", stdin=piped.stdout)
    assert json.loads(done.stdout)["run"] == "copy"
    assert run("restore", "copy", "digits_lr=1e-3.zip").returncode == 1
    assert run("restore", "copy", "digits_lr=1e-3.zip", "--replace").returncode == 0
    assert run("archive", "nobody", "nobody.zip").returncode == 1
    assert run("restore", "new", "missing.zip").returncode == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits_lr=1e-3.zip", "runs"]


def test_a_hostile_archive_is_one_line_and_exit_code_1(bridge, run, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as made:
        made.writestr("events.out.tfevents.1", b"")
        made.writestr("../../escaped", b"x")
    done = run("restore", "new", "bad.zip")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert b"nothing of the archive was taken" in done.stderr
    assert names(bridge) == []


def test_export_streams_every_point(bridge, run, tmp_path) -> None:
    write(bridge)
    write(bridge, "other", points=2)
    rows = list(csv.DictReader(io.StringIO(run("export").stdout.decode())))
    assert [(row["run"], row["tag"], int(row["step"]), float(row["value"])) for row in rows] == [
        *((RUN, "loss", step, float(step)) for step in range(3)),
        *(("other", "loss", step, float(step)) for step in range(2)),
    ]
    lines = run("export", "other", "--tag", "loss", "--format", "jsonl").stdout.splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]
    assert run("export", RUN, "--format", "tensorboard-json", "-o", "all.json").stdout == b""
    (series,) = json.loads((tmp_path / "all.json").read_bytes()).values()
    assert series == [[1e9 + step, step, float(step)] for step in range(3)]
    assert run("export", "nobody", "-o", "nobody.csv").returncode == 1
    assert not (tmp_path / "nobody.csv").exists()


class Breaking(BaseHTTPRequestHandler):
    """A bridge that dies in the middle of an answer."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("command", [("archive", RUN, "half.zip"), ("export", "-o", "half.csv")])
def test_what_breaks_off_leaves_no_half(run, tmp_path, command) -> None:
    with HTTPServer(("127.0.0.1", 0), Breaking) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        done = run(*command, url=f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert b"broke off" in done.stderr
    assert [path.name for path in tmp_path.iterdir() if "half" in path.name] == []


@pytest.mark.parametrize(
    "command",
    [
        *(("runs",), ("show", "r"), ("read", "r", "t"), ("delete", "r", "--yes"), ("rename", "r", "s")),
        *(("archive", "r"), ("restore", "r", "/dev/null"), ("export",), ("import", "logs")),
    ],
    ids=lambda command: command[0],
)
def test_nobody_there_is_one_line(tmp_path, command) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "events.out.tfevents.1").write_bytes(b"")
    done = subprocess.run(
        [TBBRIDGE, *command, "--url", "127.0.0.1:9"],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert "tbbridge up" in done.stderr
