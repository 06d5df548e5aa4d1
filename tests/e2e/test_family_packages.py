"""The published packages of crayon and pastalog, unchanged, against a live bridge; then both of TensorBoard's readers.

They need requests and a setuptools of their time, so they have an environment of their own inside this one. It is made when it
is missing, from the package index that pip is set up for; if that fails, the tests fail.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from processes import TBBRIDGE, Process, TensorBoard, address_in, environment, get, serve, tensorboard, until

HERE = Path(__file__).parent
PACKAGES = ("pycrayon==0.5", "pastalog==1.0.3")
# pycrayon's setup imports the package, and so requests; pastalog asks for pkg_resources, which later versions no longer have.
BENEATH = ("requests>=2.32", "setuptools>=70,<81", "wheel>=0.43")

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def family_python() -> Path:
    """The Python that has the old packages."""
    folder = Path(sys.prefix) / "family-clients"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = folder / ".installed"
    wanted = "\n".join((*BENEATH, *PACKAGES))
    if not done.exists() or done.read_text() != wanted:
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*install, *BENEATH],
            [*install, "--no-build-isolation", *PACKAGES],
        ):
            made = subprocess.run(command, capture_output=True, text=True, timeout=180)
            assert made.returncode == 0, f"{' '.join(command)} failed, and these tests cannot do without:\n{made.stderr}"
        done.write_text(wanted)
    return python


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packages") / "runs"


@pytest.fixture(scope="module")
def bridge(logdir: Path) -> Iterator[str]:
    with serve(logdir, "--veil-s", "4") as process:
        yield address_in(process)
        assert process.end() == 0, process.output


@pytest.fixture(scope="module")
def viewers(bridge: str, logdir: Path) -> Iterator[list[TensorBoard]]:
    with tensorboard(logdir, "true") as rust, tensorboard(logdir, "false") as python:
        yield [rust, python]


@pytest.fixture(scope="module")
def said(family_python: Path, bridge: str, viewers: list[TensorBoard], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the packages read back, while both readers watched."""
    where = urlsplit(bridge)
    folder = tmp_path_factory.mktemp("archives")
    command = [str(family_python), "-I", "-W", "ignore", str(HERE / "family_packages.py")]
    arguments = [str(where.hostname), str(where.port), str(folder)]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


BAR = [[0.0, 4, 2.0], [1.0, 5, 3.5], [2.0, 6, -1.0]]


def test_pycrayon_reads_back_every_point(said: Any) -> None:
    crayon = said["crayon"]
    assert crayon["names before"] == []
    now = crayon["scalars"].pop("now")
    assert crayon["scalars"] == {
        "bar": BAR,
        "fizz": [[0.0, 5, 3.0], [1.0, 6, 6.0]],
        "buzz": [[0.0, 5, 5.0], [1.0, 6, 10.0]],
    }
    assert [point[1:] for point in now] == [[0, 1.0]]


def test_pycrayon_reads_back_histograms_as_it_sent_them(said: Any) -> None:
    histograms = said["crayon"]["histograms"]
    sums = [(0.0, 0.0), (75.0, 0.0), (0.0, 5625.0), (75.0, 2675.0)]
    assert histograms["ready"] == [
        [0.0, step, [0.0, 100.0, 3.0, *both, [10.0, 50.0, 30.0], [5.0, 45.0, 25.0]]] for step, both in enumerate(sums)
    ]
    ((wall_time, step, built),) = histograms["built"]
    assert (wall_time, step, built[:5], sum(built[6])) == (3.0, 7, [1.0, 5.0, 5.0, 15.0, 55.0], 5.0)


REFUSED = {
    "empty name": "missing or empty",
    "created again": "the experiment 'foo' exists already",
    "opened": "there is no run 'nope'",
    "removed": "nope",
    "text for a value": "value is the text",
    "no series": "the name of the series is missing or empty",
    "read": "has no tag 'nope'",
    "no name read": "missing or empty",
    "histogram read": "has no tag 'nope'",
    "texts in a histogram": "values[0] is the text",
    "histogram without a name": "missing or empty",
    "restored over": "foo",
}


@pytest.mark.parametrize("call", REFUSED)
def test_pycrayon_says_why_it_was_refused(said: Any, call: str) -> None:
    answered = said["crayon"]["refused"][call]
    assert answered.startswith("ValueError: Something went wrong. Server sent: ")
    assert REFUSED[call] in answered


def test_pycrayon_removes_and_restores(said: Any) -> None:
    names, answered = said["crayon"]["after removal"]
    assert names == []
    assert "there is no experiment 'foo'" in answered
    assert said["crayon"]["restored"] == [BAR, BAR]
    assert said["crayon"]["names"] == ["foo", "new"]


def test_pastalog_raises_for_a_refusal(said: Any) -> None:
    assert said["pastalog"]["refused"].startswith("HTTPError: 400 Client Error")


def test_both_readers_and_the_read_api_have_every_point(said: Any, bridge: str, viewers: list[TensorBoard]) -> None:
    times = get(f"{bridge}/api/v1/scalars", run="model1", tag="validLoss")["wall_times"]
    points = {
        ("foo", "bar"): BAR,
        ("new", "bar"): [*BAR, [9.0, 100, 7.0]],
        ("foo", "fizz"): said["crayon"]["scalars"]["fizz"],
        ("model1", "validLoss"): [[time, step, step / 4] for step, time in enumerate(times)],
    }
    assert len(times) == 10
    for (run, tag), wanted in points.items():
        series = get(f"{bridge}/api/v1/scalars", run=run, tag=tag)
        columns = zip(series["wall_times"], series["steps"], series["values"], strict=True)
        assert [list(point) for point in columns] == wanted
        for viewer in viewers:

            def shown(viewer: TensorBoard = viewer, run: str = run, tag: str = tag) -> list[list[float]]:
                return [list(point) for point in viewer.scalars(run, tag)]

            until(lambda shown=shown, wanted=wanted: shown() == wanted, f"TensorBoard shows {run} {tag}")
    for viewer in viewers:
        until(lambda viewer=viewer: sorted(viewer.runs()) == ["foo", "model1", "new"], "the removed run is gone")
        for tag, steps in (("ready", [0, 1, 2, 3]), ("built", [7])):
            histograms = viewer.ask("plugin/histograms/histograms", run="new", tag=tag)
            assert [step for _, step, _ in histograms] == steps
            assert all(sum(count for _, _, count in buckets) == {"ready": 75, "built": 5}[tag] for _, _, buckets in histograms)
            distributions = viewer.ask("plugin/distributions/distributions", run="new", tag=tag)
            assert [step for _, step, _ in distributions] == steps, "also from edges that are out of order"


WITH_TOKEN = """
import sys, urllib.parse
sys.modules["urlparse"] = urllib.parse
import pastalog, pycrayon.crayon
host, port = sys.argv[1:]
foo = pycrayon.crayon.CrayonClient("http://" + host, port).create_experiment("foo")
foo.add_scalar_value("bar", 1, wall_time=0)
pastalog.Log(f"http://{host}:{port}/", "model").post("loss", 2.5, 1)
print(foo.get_scalar_values("bar"))
"""


def test_a_token_travels_in_the_address(family_python: Path, tmp_path: Path) -> None:
    token = "t" * 24
    command = [TBBRIDGE, "serve", "--logdir", str(tmp_path / "runs"), "--port", "0"]
    with Process(command, env=environment(TBBRIDGE_TOKENS=f"write,read:{token}")) as process:
        port = str(urlsplit(address_in(process)).port)
        said = {}
        for host in (f"any:{token}@127.0.0.1", "127.0.0.1"):
            command = [str(family_python), "-I", "-W", "ignore", "-c", WITH_TOKEN, host, port]
            said[host] = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
    assert said[f"any:{token}@127.0.0.1"].stdout == "[[0.0, 0, 1.0]]\n", said
    assert "this bridge asks for a token" in said["127.0.0.1"].stderr
