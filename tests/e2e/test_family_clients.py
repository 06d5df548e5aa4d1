"""Each old client's requests against a live bridge, error paths included; then every point in both of TensorBoard's readers.

One bridge and two TensorBoards serve all tests of this file; each test has runs of its own.
"""

from __future__ import annotations

import io
import time
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

import numpy as np
import PIL.Image as Pillow
import pytest
from family_drivers import CrayonClient, LapizClient, LuaCrayon, PastaLog
from processes import TensorBoard, address_in, get, serve, tensorboard, until

VEIL_S = 4.0  # two of the readers' reload intervals, and more: what is deleted and begun anew shows that much later


Buckets: TypeAlias = list[tuple[float, float, float]]  # left edge, right edge, count


@dataclass(frozen=True)
class Family:
    """A bridge and both readers over its log folder."""

    url: str
    logdir: Path
    viewers: tuple[TensorBoard, TensorBoard]

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    def shows(self, run: str, tag: str, points: list[tuple[float, int, float]]) -> None:
        """Both readers and the read API have exactly these (wall_time, step, value), in order."""
        wanted = [(wall_time, step, float(np.float32(value))) for wall_time, step, value in points]
        series = get(f"{self.url}/api/v1/scalars", run=run, tag=tag)
        assert list(zip(series["wall_times"], series["steps"], series["values"], strict=True)) == wanted
        for viewer in self.viewers:
            until(lambda viewer=viewer: viewer.scalars(run, tag) == wanted, f"TensorBoard shows {points} for {run} {tag}")

    def shows_histograms(self, run: str, tag: str, sent: list[tuple[float, int, Buckets]]) -> None:
        """Both readers and the read API have exactly these (wall_time, step, buckets), in order."""
        assert self.histograms(run, tag) == sent
        wanted = [(wall_time, step, _narrow(buckets)) for wall_time, step, buckets in sent]
        for viewer in self.viewers:

            def found(viewer: TensorBoard = viewer) -> list[tuple[float, int, Buckets]]:
                shown = viewer.ask("plugin/histograms/histograms", run=run, tag=tag) or []
                return [(wall_time, step, _narrow(buckets)) for wall_time, step, buckets in shown]

            until(lambda found=found: found() == wanted, f"TensorBoard shows the histogram {run} {tag}")

    def shows_histogram_of(self, run: str, tag: str, wall_time: float, step: int, numbers: np.ndarray) -> None:
        """The tag's only histogram counts these numbers, each in the bucket it belongs to, wherever it is read."""
        ((_, _, buckets),) = found = self.histograms(run, tag)
        self.shows_histograms(run, tag, [(wall_time, step, buckets)])
        (stored,) = get(f"{self.url}/api/v1/histograms", run=run, tag=tag)["values"]
        assert (stored["min"], stored["max"], stored["num"]) == (numbers.min(), numbers.max(), numbers.size), found
        below = 0.0
        for left, right, count in buckets:
            below += count
            # A number that is an edge may count on either side of it.
            assert left <= right
            assert np.count_nonzero(numbers < right) <= below <= np.count_nonzero(numbers <= right), (left, right, count)
        assert below == numbers.size

    def histograms(self, run: str, tag: str) -> list[tuple[float, int, Buckets]]:
        """What the read API has."""
        values = get(f"{self.url}/api/v1/histograms", run=run, tag=tag)["values"]
        return [
            (one["wall_time"], one["step"], list(zip(one["lefts"], one["rights"], one["counts"], strict=True)))
            for one in values
        ]


def _narrow(buckets: Buckets) -> Buckets:
    """Edges as 32-bit floats: TensorBoard's older reader has them so, the other one as they are in the file."""
    return [(float(np.float32(left)), float(np.float32(right)), count) for left, right, count in buckets]


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Family]:
    logdir = tmp_path_factory.mktemp("family") / "runs"
    logdir.mkdir()
    with (
        serve(logdir, "--veil-s", str(VEIL_S)) as process,
        tensorboard(logdir, "true") as rust,
        tensorboard(logdir, "false") as python,
    ):
        yield Family(address_in(process), logdir, (rust, python))
        assert process.end() == 0, process.output


def blob(viewer: TensorBoard, plugin: str, path: str, run: str, tag: str, *, step: int) -> tuple[str, bytes]:
    """Type and bytes of a tag's only picture or sound."""

    def asked() -> list[dict[str, Any]] | None:
        entries: list[dict[str, Any]] | None = viewer.ask(f"plugin/{plugin}/{plugin}", run=run, tag=tag, sample=0)
        return entries

    (entry,) = until(asked, f"TensorBoard shows {run} {tag}")
    assert entry["step"] == step
    return viewer.raw(f"plugin/{plugin}/{path}", **parse_qs(entry["query"]))


# --- lapiz --------------------------------------------------------------------------------------------------------------


HISTO = {"min": 0, "max": 3, "num": 4, "sum": 6, "sum_squares": 12, "bucket_limit": [1, 2, 3], "bucket": [1, 1, 2]}


def test_lapizs_client(family: Family) -> None:
    client = LapizClient(f"{family.host}:{family.port}")  # the form of its README
    client = LapizClient(family.host, port=family.port)
    name = "run0,lr=1e-3,lambda=1e-1"
    rng = np.random.default_rng(4)
    weights = rng.normal(size=(8, 4)).astype(np.float32)
    sent: list[tuple[float, int, float]] = []
    with client.run(name) as run:
        for step in range(10):
            value = np.float32(step / 7)
            run.wall_time(1.5e9 + step)
            run.add_scalar(value=value)  # of the default tag, accuracy
            run.add_scalar("loss", -step)
            sent.append((1.5e9 + step, step, float(value)))
            if step == 3:
                run.add_histogram("w", weights)
                run.add_histogram("ready", histo=HISTO)
            run.step()
        run.add_image("pixels", [[0.0, 1.0], [0.2, 0.4]])
        run.add_audio("tone", np.sin(np.arange(441) / 7))
        run.save()
    family.shows(name, "accuracy", sent)
    family.shows(name, "loss", [(wall_time, step, -float(step)) for wall_time, step, _ in sent])
    family.shows_histogram_of(name, "w", 1.5e9 + 3, 3, weights.astype(np.float64))
    family.shows_histograms(name, "ready", [(1.5e9 + 3, 3, [(0, 1, 1), (1, 2, 1), (2, 3, 2)])])
    for viewer in family.viewers:
        kind, content = blob(viewer, "images", "individualImage", name, "pixels", step=10)
        assert kind == "image/png"
        assert np.asarray(Pillow.open(io.BytesIO(content))).tolist() == [[0, 255], [51, 102]]
        kind, content = blob(viewer, "audio", "individualAudio", name, "tone", step=10)
        assert kind == "audio/wav"
        with wave.open(io.BytesIO(content)) as sound:
            assert (sound.getframerate(), sound.getnframes()) == (44100, 441)
    runs = client.runs()
    assert name in runs["runs"]
    assert name not in runs["empty_runs"]


def test_lapizs_backup_and_restore(family: Family) -> None:
    client = LapizClient(family.host, family.port)
    points = [(1.5e9 + step, step, step / 2) for step in range(5)]
    with client.run("kept") as run:
        for wall_time, step, value in points:
            run.step(step)
            run.wall_time(wall_time)
            run.add_scalar("loss", value)
    archive = client.backup("kept")
    client.restore("again", archive)
    with client.run("kept", step=5) as run:
        run.wall_time(1.5e9 + 5)
        run.add_scalar("loss", 100)
    client.restore("kept", archive)  # with force: what came behind the backup is gone
    family.shows("again", "loss", points)
    family.shows("kept", "loss", points)


def test_what_lapizs_client_is_told_when_it_is_wrong(family: Family) -> None:
    client = LapizClient(family.host, family.port)
    run = client.run("wrong")
    run.summaries.append({"tag": "t", "type": "smell", "value": 1})
    with pytest.raises(RuntimeError, match=r"400: summaries\[0\].type: type is the text .smell.; send one of scalar"):
        run.send()
    run = client.run("../up")
    run.add_scalar("t", 1)
    with pytest.raises(RuntimeError, match=r"400: the run's name: .*'\.\.'"):
        run.send()
    with pytest.raises(RuntimeError, match="there is no run 'nope'"):
        client.backup("nope")
    with pytest.raises(RuntimeError, match="whole zip"):
        client.restore("new", b"no zip")
    assert "wrong" not in client.runs()["runs"]


# --- crayon -------------------------------------------------------------------------------------------------------------

READY = {"min": 0, "max": 100, "num": 75, "bucket_limit": [10, 50, 100], "bucket": [5, 45, 25], "sum": 75}


def test_crayons_client(family: Family) -> None:
    client = CrayonClient(family.host, family.port)
    name = "foo bar/lr=0.1 & 'more'"
    foo = client.create(name)
    assert name in client.names()
    assert foo.describe() == {"scalars": [], "histograms": []}
    points: list[tuple[float, int, float]] = []
    for number in range(10):
        step = number if number < 5 else number + 10
        foo.add_scalar("a+b c/d", number / 4, wall_time=1.5e9 + number, step=step if number == 5 else None)
        points.append((1.5e9 + number, step, number / 4))
        assert foo.scalars("a+b c/d") == [list(point) for point in points], "a reader sees its own write at once"
    again = client.open(name)
    again.add_scalar("a+b c/d", 7, wall_time=2e9)
    points.append((2e9, 20, 7.0))
    foo.add_histogram("ready", READY, tobuild=False, wall_time=1.0, step=1)
    foo.add_histogram("built", [1, 2, 3, 4, 5], tobuild=True, wall_time=2.0, step=2)
    assert foo.histograms("ready") == [[1.0, 1, [0.0, 100.0, 75.0, 75.0, 0.0, [10.0, 50.0, 100.0], [5.0, 45.0, 25.0]]]]
    ((wall_time, step, built),) = foo.histograms("built")
    assert (wall_time, step, built[:5], sum(built[6])) == (2.0, 2, [1.0, 5.0, 5.0, 15.0, 55.0], 5.0)
    assert foo.describe() == {"scalars": ["a+b c/d"], "histograms": ["ready", "built"]}
    family.shows(name, "a+b c/d", points)
    family.shows_histograms(name, "ready", [(1.0, 1, [(0, 10, 5), (10, 50, 45), (50, 100, 25)])])
    family.shows_histogram_of(name, "built", 2.0, 2, np.arange(1.0, 6.0))


def test_crayons_experiment_deleted_and_begun_anew_starts_afresh(family: Family) -> None:
    client = CrayonClient(family.host, family.port)
    foo = client.create("again and again")
    for step in range(5):
        foo.add_scalar("loss", step, wall_time=float(step))
    family.shows("again and again", "loss", [(float(step), step, float(step)) for step in range(5)])
    archive = foo.to_zip()
    client.remove("again and again")
    assert "again and again" not in client.names()
    with pytest.raises(ValueError, match="there is no experiment"):
        foo.add_scalar("loss", 5)
    foo = client.create("again and again")
    assert foo.describe() == {"scalars": [], "histograms": []}
    foo.add_scalar("loss", 100, wall_time=9.0)
    assert foo.scalars("loss") == [[9.0, 0, 100.0]]
    client.create("copy", archive)
    family.shows("copy", "loss", [(float(step), step, float(step)) for step in range(5)])
    family.shows("again and again", "loss", [(9.0, 0, 100.0)])


def test_what_crayons_client_is_told_when_it_is_wrong(family: Family) -> None:
    client = CrayonClient(family.host, family.port)
    foo = client.create("checked")
    calls: list[tuple[Any, str]] = [
        (lambda: client.create(""), "missing or empty"),
        (lambda: client.create("checked"), "the experiment 'checked' exists already"),
        (lambda: client.create("a\nb"), "control character"),
        (lambda: client.create("checked", foo.to_zip()), "checked"),
        (lambda: client.create("new", b"random noise"), "whole zip"),
        (lambda: client.open("nope"), "there is no run 'nope'"),
        (lambda: client.remove("nope"), "nope"),
        (lambda: foo.add_scalar("bar", "lol"), "value is the text"),
        (lambda: foo.add_scalar("", 2), "the name of the series is missing or empty"),
        (lambda: foo.scalars("bar"), "has no tag 'bar'"),
        (lambda: foo.scalars(""), "missing or empty"),
        (lambda: foo.histograms("bar"), "has no tag 'bar'"),
        (lambda: foo.add_histogram("bar", {"some data": 0}, tobuild=False, wall_time=0, step=0), "lacks min"),
        (lambda: foo.add_histogram("bar", ["lolz"], tobuild=True, wall_time=0, step=0), "values.0."),
    ]
    for call, says in calls:
        with pytest.raises(ValueError, match=says):
            call()
    assert foo.describe() == {"scalars": [], "histograms": []}
    assert "new" not in client.names()


def test_crayons_client_for_lua(family: Family) -> None:
    client = LuaCrayon(family.host, family.port)
    assert client.create("torch net").text == "ok"
    points = [(1.5e9 + step / 8, step, step / 3) for step in range(10)]
    for wall_time, step, value in points:
        assert client.add_scalar("torch net", "train loss", wall_time, step, value).text == "ok"
    rows = client.read("scalars", "torch net", "train loss")
    assert [row[:2] for row in rows] == [list(point[:2]) for point in points]
    assert client.add_histogram("torch net", "w", 1.0, 3.0, [0.5, -1, 2]).text == "ok"
    assert client.read("histograms", "torch net", "w")[0][2][:3] == [-1.0, 2.0, 3.0]
    refused = client.create("torch net")
    assert (refused.status, refused.text) == (400, "the experiment 'torch net' exists already; choose another name, or open it")
    refused = client.add_scalar("other", "t", 0, 0, 0)
    assert (refused.status, refused.text) == (400, "there is no experiment 'other'; create it first")
    family.shows("torch net", "train loss", points)
    family.shows_histogram_of("torch net", "w", 1.0, 3, np.array([0.5, -1, 2]))


# --- pastalog -----------------------------------------------------------------------------------------------------------


def test_pastalogs_client(family: Family) -> None:
    begun = time.time()
    log = PastaLog(family.url, "model1")
    for step in range(10):
        log.post("validLoss", step / 4, step)
    for step in (3, 4, 7):
        log.post("trainLoss", 1 / step, step)
    for model, says in (("", "modelName is missing or empty"), ("a\nb", "control character")):
        with pytest.raises(RuntimeError, match=f"400: .*{says}"):
            PastaLog(family.url, model).post("validLoss", 1, 1)
    with pytest.raises(RuntimeError, match="400: pointType is missing"):
        log.post("", 1, 1)
    with pytest.raises(RuntimeError, match="400: pointValue is the text"):
        log.post("validLoss", "high", 1)  # type: ignore[arg-type]
    for tag, points in (
        ("validLoss", [(step, step / 4) for step in range(10)]),
        ("trainLoss", [(step, 1 / step) for step in (3, 4, 7)]),
    ):
        times = get(f"{family.url}/api/v1/scalars", run="model1", tag=tag)["wall_times"]  # those of receipt
        assert begun <= times[0]
        assert times == sorted(times)
        family.shows("model1", tag, [(moment, *point) for moment, point in zip(times, points, strict=True)])


def test_what_one_made_all_see(family: Family) -> None:
    CrayonClient(family.host, family.port).create("shared")
    PastaLog(family.url, "shared").post("loss", 1, 0)
    with LapizClient(family.host, family.port).run("shared", step=1) as run:
        run.add_scalar("loss", 2)
    LuaCrayon(family.host, family.port).add_scalar("shared", "loss", 1.5e9, 2, 3)
    rows = CrayonClient(family.host, family.port).open("shared").scalars("loss")
    assert [row[1:] for row in rows] == [[0, 1.0], [1, 2.0], [2, 3.0]]
    assert "shared" in LapizClient(family.host, family.port).runs()["runs"]
    family.shows("shared", "loss", [tuple(row) for row in rows])  # type: ignore[misc]
