"""The same calls to our SummaryWriter, tensorboardX's and torch's: what both of TensorBoard's readers return is compared.

Ours also sends them to a bridge, which has to show the same as our local file.
Where theirs is wrong or merely different, the case says so and what is expected instead. Videos and sounds of tensorboardX need
packages that are not installed here (moviepy, soundfile), so those have no peer.
"""

from __future__ import annotations

import html
import io
import re
import warnings
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import tensorboardX
import torch
from matplotlib.figure import Figure
from PIL import Image
from processes import TensorBoard, address_in, serve, tensorboard, until
from torch.utils.tensorboard import SummaryWriter as TorchWriter

import tbbridge

mpl.use("Agg")
MAKERS: dict[str, Any] = {"ours": tbbridge.SummaryWriter, "tensorboardX": tensorboardX.SummaryWriter, "torch": TorchWriter}
RANDOM = np.random.default_rng(0)
NORMAL = RANDOM.normal(size=1000)
PICTURE = RANDOM.random((3, 8, 12), dtype=np.float32)
BATCH = RANDOM.random((10, 3, 4, 6), dtype=np.float32)
SOUND = np.sin(np.linspace(0, 100, 2000)).astype(np.float32)
LABELS = RANDOM.integers(0, 2, 200)
PREDICTIONS = RANDOM.random(200)
VERTICES = RANDOM.random((1, 4, 3), dtype=np.float32)
COLORS = RANDOM.integers(0, 256, (1, 4, 3), dtype=np.uint8)
FACES = np.array([[[0, 1, 2], [1, 2, 3]]], dtype=np.int32)
MATRIX = RANDOM.random((5, 3), dtype=np.float32)
SPRITES = RANDOM.random((5, 3, 4, 4), dtype=np.float32)
LAYOUT = {"first": {"lines": ["Multiline", ["loss/.*"]], "band": ["Margin", ["loss/a", "loss/b", "loss/c"]]}}

Log = Callable[[Any], None]
Ask = Callable[[TensorBoard, str], Any]


# --- the questions: what a page shows of a run, without times ---------------------------------------------------------------


def scalars(tag: str, sub_run: str = "") -> Ask:
    return lambda viewer, run: [point[1:] for point in viewer.scalars(run + sub_run, tag)]


def histograms(viewer: TensorBoard, run: str) -> Any:
    """(step, [(left, right, count)] without empty buckets)."""
    answer = viewer.ask("plugin/histograms/histograms", run=run, tag="h") or []
    return [(step, [bucket for bucket in buckets if bucket[2]]) for _, step, buckets in answer]


def pictures(viewer: TensorBoard, run: str) -> Any:
    """(step, pixels) of each."""
    found = []
    for entry in viewer.ask("plugin/images/images", run=run, tag="i", sample=0) or []:
        _, content = viewer.raw("plugin/images/individualImage?" + entry["query"] + "&unused=")
        found.append((entry["step"], np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))))
    return found


def sizes(viewer: TensorBoard, run: str) -> Any:
    return [(step, pixels.shape) for step, pixels in pictures(viewer, run)]


def reds(viewer: TensorBoard, run: str) -> Any:
    """Where the first picture is red, as left, top, right, bottom."""
    found = pictures(viewer, run)
    if not found:
        return None
    rows, columns = np.nonzero(found[0][1][:, :, 0] > 127)
    return float(columns.min()), float(rows.min()), float(columns.max()), float(rows.max())


def sounds(viewer: TensorBoard, run: str) -> Any:
    found = []
    for entry in viewer.ask("plugin/audio/audio", run=run, tag="s", sample=0) or []:
        _, content = viewer.raw("plugin/audio/individualAudio?" + entry["query"] + "&unused=")
        with wave.open(io.BytesIO(content)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            found.append((entry["step"], file.getframerate(), file.getnchannels(), samples))
    return found


def sound_types(viewer: TensorBoard, run: str) -> Any:
    return [entry["contentType"] for entry in viewer.ask("plugin/audio/audio", run=run, tag="s", sample=0) or []]


def moving_pictures(viewer: TensorBoard, run: str) -> Any:
    """(type, frames, size) of each."""
    found = []
    for entry in viewer.ask("plugin/images/images", run=run, tag="v", sample=0) or []:
        kind, content = viewer.raw("plugin/images/individualImage?" + entry["query"] + "&unused=")
        picture = Image.open(io.BytesIO(content))
        found.append((kind, getattr(picture, "n_frames", 1), picture.size))
    return found


def shown_names(viewer: TensorBoard, run: str) -> Any:
    tags = (viewer.ask("plugin/scalars/tags") or {}).get(run, {})
    return [(tags[tag]["displayName"], tags[tag]["description"]) for tag in tags if tag == "loss"]


def texts(viewer: TensorBoard, run: str) -> Any:
    """(step, the text without its HTML), under whichever tag it stands."""
    tags = (viewer.ask("plugin/text/tags") or {}).get(run, [])
    answer = viewer.ask("plugin/text/text", run=run, tag=tags[0]) if tags else []
    return [(entry["step"], html.unescape(re.sub("<[^>]*>", "", entry["text"])).strip()) for entry in answer]


def curves(viewer: TensorBoard, run: str) -> Any:
    answer = viewer.ask("plugin/pr_curves/pr_curves", run=run, tag="pr") or {}
    return [(entry["step"], entry["precision"], entry["recall"], entry["thresholds"]) for entry in answer.get(run, [])]


def meshes(viewer: TensorBoard, run: str) -> Any:
    parts = viewer.ask("plugin/mesh/meshes", run=run, tag="m", sample=0) or []
    found = {}
    for part in parts:
        kind = ("VERTEX", "FACE", "COLOR")[part["content_type"] - 1]
        query = {"run": run, "tag": "m", "sample": 0, "step": part["step"], "content_type": kind}
        found[kind] = (part["step"], part["data_shape"], viewer.raw("plugin/mesh/data", **query)[1])
    return found


def embeddings(viewer: TensorBoard, run: str) -> Any:
    """Matrix, labels and pictures of the only embedding."""
    info = viewer.ask("plugin/projector/info", run=run) or {}
    found = []
    for embedding in info.get("embeddings", []):
        query = {"run": run, "name": embedding["tensorName"]}
        matrix = np.frombuffer(viewer.raw("plugin/projector/tensor", **query)[1], "<f4")
        labels = viewer.raw("plugin/projector/metadata", **query)[1].decode().split()
        sprite = np.asarray(Image.open(io.BytesIO(viewer.raw("plugin/projector/sprite_image", **query)[1])).convert("RGB"))
        found.append((embedding["tensorShape"], matrix, labels, embedding["sprite"]["singleImageDim"], sprite[:4, :20]))
    return found


def hyperparameters(viewer: TensorBoard, run: str) -> Any:
    """(hyperparameters, metrics, status) of the run's session, or of its one sub-run's."""
    request = {
        "startIndex": 0,
        "sliceSize": 100,
        "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"],
        "colParams": [{"hparam": name} for name in ("lr", "kind", "deep")] + [{"metric": {"group": "", "tag": "accuracy"}}],
    }
    sessions = viewer.post_json("plugin/hparams/session_groups", request).get("sessionGroups", [])
    return [
        (group["hparams"], [metric["value"] for metric in group["metricValues"]], group["sessions"][0]["status"])
        for group in sessions
        if (group["name"] + "/").startswith(run + "/") and group.get("metricValues")
    ]


def graphs(viewer: TensorBoard, run: str) -> Any:
    """How many nodes of each operation, inputs and outputs of the module apart."""
    if "run_graph" not in (viewer.ask("plugin/graphs/info") or {}).get(run, {}):
        return None
    text = viewer.raw("plugin/graphs/graph", run=run)[1].decode()
    operations = re.findall(r'op: "([^"]*)"', text)
    return {name: operations.count(name) for name in operations if name.startswith("aten::")}


def layouts(viewer: TensorBoard, run: str) -> Any:
    """The layouts of all runs, by category; each writer's are its own."""
    layout = viewer.ask("plugin/custom_scalars/layout") or {}
    name = run.partition("/")[0]
    return {c["title"].removeprefix(name): c["chart"] for c in layout.get("category", []) if c["title"].startswith(name)}


# --- the cases --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    log: Log
    ask: Ask
    peers: tuple[str, ...] = ("tensorboardX", "torch")
    ask_peer: dict[str, Ask] = field(default_factory=dict)  # the same, where theirs is called otherwise
    expected: Any = None  # what ours shows, where theirs is wrong
    tolerance: float = 1e-6


def figure() -> Figure:
    made = Figure(figsize=(2, 1), dpi=50)
    made.add_subplot().plot([1, 3, 2])
    return made


def name_of(writer: Any) -> str:
    return Path(writer.get_logdir() if isinstance(writer, TorchWriter) else writer.logdir).parent.name


def log_layouts(writer: Any) -> None:
    name = name_of(writer)
    writer.add_custom_scalars({name + title: charts for title, charts in LAYOUT.items()})


def log_hparams(writer: Any) -> None:
    writer.add_hparams({"lr": 0.5, "kind": "adam", "deep": True}, {"accuracy": 0.75})


class TwoLayers(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(4, 3)
        self.second = torch.nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(torch.relu(self.first(x)))


def edges_of(values: Any) -> Any:
    """What the exact histogram of `values` says at least: least and greatest value, and how many there are."""
    return float(values.min()), float(values.max()), len(values)


def summed(viewer: TensorBoard, run: str) -> Any:
    return [(buckets[0][0], buckets[-1][1], sum(b[2] for b in buckets)) for _, buckets in histograms(viewer, run)]


def counted(viewer: TensorBoard, run: str) -> Any:
    return [(step, sum(bucket[2] for bucket in buckets)) for step, buckets in histograms(viewer, run)]


CASES: dict[str, Case] = {
    "add_scalar": Case(lambda w: [w.add_scalar("loss", step / 3, step) for step in range(5)] and None, scalars("loss")),
    "add_scalar of tensors": Case(lambda w: w.add_scalar("loss", torch.tensor([0.25]), 7), scalars("loss")),
    "add_scalar not finite": Case(lambda w: w.add_scalar("loss", float("-inf"), 1), scalars("loss")),
    "add_scalars": Case(
        lambda w: [w.add_scalars("many", {"a": step, "b": -step}, step) for step in range(3)] and None,
        scalars("many", "/many/b"),
        ask_peer={"torch": scalars("many", "/many_b")},  # tensorboardX's folders are a level deeper, ours are as its
    ),
    # Their buckets are cut at fixed edges: the least and greatest values are lost, the count is not.
    "add_histogram": Case(lambda w: w.add_histogram("h", NORMAL, 2), summed, (), expected=[edges_of(NORMAL)], tolerance=1e-12),
    "add_histogram counts": Case(lambda w: w.add_histogram("h", NORMAL, 2), counted),
    "add_histogram auto": Case(lambda w: w.add_histogram("h", NORMAL, 2, "auto"), histograms),
    "add_histogram_raw": Case(
        lambda w: w.add_histogram_raw("h", 0.5, 3.0, 6, 9.0, 20.0, [1.0, 2.0, 3.0], [1, 2, 3], 4), histograms
    ),
    "add_image": Case(lambda w: w.add_image("i", PICTURE, 1), pictures, tolerance=1),
    "add_image HWC uint8": Case(
        lambda w: w.add_image("i", (PICTURE.transpose(1, 2, 0) * 255).astype(np.uint8), 1, dataformats="HWC"), pictures
    ),
    "add_image HW": Case(lambda w: w.add_image("i", torch.from_numpy(PICTURE[0]), 1, dataformats="HW"), pictures, tolerance=1),
    "add_images": Case(lambda w: w.add_images("i", BATCH, 1), pictures, tolerance=1),
    "add_figure": Case(lambda w: w.add_figure("i", figure(), 1), pictures),
    "add_audio": Case(lambda w: w.add_audio("s", SOUND[None], 1, 8000), sounds, ("torch",), tolerance=1),
    # Theirs comes without the name of its encoding: one reader serves it as bytes that no browser plays.
    "add_audio type": Case(lambda w: w.add_audio("s", SOUND[None], 1, 8000), sound_types, (), expected=["audio/wav"]),
    "add_video": Case(
        lambda w: w.add_video("v", RANDOM.random((2, 5, 3, 8, 12), dtype=np.float32), 1),
        moving_pictures,
        (),
        expected=[("image/gif", 5, (24, 8))],
    ),
    # Theirs comes without a data class: one reader drops the names.
    "add_scalar names": Case(
        lambda w: w.add_scalar("loss", 1.0, 1, None, "Shown", "what it is"),
        shown_names,
        (),
        expected=[("Shown", "<p>what it is</p>")],
    ),
    "add_text": Case(lambda w: w.add_text("t", "**bold** text", 1), texts),
    "add_pr_curve": Case(lambda w: w.add_pr_curve("pr", LABELS, PREDICTIONS, 1), curves, tolerance=1e-5),
    "add_pr_curve_raw": Case(
        lambda w: w.add_pr_curve_raw("pr", [9, 5, 1], [9, 3, 0], [0, 6, 9], [0, 4, 8], [0.5, 0.6, 1.0], [1.0, 0.5, 0.1], 1, 3),
        curves,
    ),
    "add_mesh": Case(lambda w: w.add_mesh("m", VERTICES, COLORS, FACES, global_step=3), meshes),
    "add_embedding": Case(
        lambda w: w.add_embedding(torch.from_numpy(MATRIX), list("abcde"), torch.from_numpy(SPRITES), 2),
        embeddings,
        tolerance=1.01,
    ),
    "add_hparams": Case(log_hparams, hyperparameters),
    "add_custom_scalars": Case(log_layouts, layouts),
    "add_custom_scalars_multilinechart": Case(
        lambda w: w.add_custom_scalars_multilinechart(["a", "b"], name_of(w) + "lines", "two"), layouts
    ),
    "add_custom_scalars_marginchart": Case(
        lambda w: w.add_custom_scalars_marginchart(["a", "b", "c"], name_of(w) + "margin", "three"), layouts
    ),
    # Labels are drawn in other places and letters.
    "add_image_with_boxes": Case(
        lambda w: w.add_image_with_boxes("i", np.zeros((3, 40, 60), np.uint8), np.array([[5, 5, 30, 20]]), 1, labels=["x"]),
        sizes,
    ),
    "add_image_with_boxes unlabelled": Case(
        lambda w: w.add_image_with_boxes("i", np.zeros((3, 40, 60), np.uint8), np.array([[5, 5, 30, 20]]), 1), reds
    ),
    "add_graph": Case(lambda w: w.add_graph(TwoLayers(), torch.zeros(1, 4)), graphs),
}


def folder_of(name: str) -> str:
    return re.sub(r"\W", "_", name)


def log(case: Case, writer: Any) -> None:
    with warnings.catch_warnings(), writer:
        warnings.simplefilter("ignore")  # torch of its own tracer, tensorboardX of numpy
        case.log(writer)
        writer.add_scalar("end", 1.0, 1)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every case by every writer that takes part in it, in <writer>/<case>."""
    logdir = tmp_path_factory.mktemp("writers")
    for name, case in CASES.items():
        for maker in ("ours", *case.peers):
            log(case, MAKERS[maker](str(logdir / maker / folder_of(name))))
    with serve(logdir) as bridge:
        for name, case in CASES.items():
            log(case, tbbridge.SummaryWriter(address_in(bridge), run=f"bridge/{folder_of(name)}"))
        for maker in ("bridge", *MAKERS):  # the same resumed training as below, its second part over a bridge
            run = f"purged_over_a_bridge/{maker}"
            first = (
                tbbridge.SummaryWriter(address_in(bridge), run=run) if maker == "bridge" else MAKERS[maker](str(logdir / run))
            )
            with first as writer:
                for step in range(10):
                    writer.add_scalar("loss", 0.0, step)
            with tbbridge.SummaryWriter(address_in(bridge), run=run, purge_step=5) as writer:
                for step in range(5, 8):
                    writer.add_scalar("loss", 1.0, step)
                    writer.flush()
                writer.add_scalar("end", 1.0, 1)
        assert bridge.end() == 0, bridge.output
    for maker in ("ours", "tensorboardX", "torch"):  # a training that died at step 9, and was resumed by ours from 5
        folder = str(logdir / "purged" / maker)
        with MAKERS[maker](folder) as writer:
            for step in range(10):
                writer.add_scalar("loss", 0.0, step)
        with tbbridge.SummaryWriter(folder, purge_step=5) as writer:
            for step in range(5, 8):
                writer.add_scalar("loss", 1.0, step)
            writer.add_scalar("end", 1.0, 1)
    return logdir


@pytest.fixture(scope="module", params=["true", "false"], ids=["data server", "Python reader"])
def viewer(request: pytest.FixtureRequest, logged: Path) -> Iterator[TensorBoard]:
    runs = [str(path.relative_to(logged)) for path in logged.glob("[a-z]*/*")]
    with tensorboard(logged, request.param) as viewer:
        until(lambda: all(viewer.scalars(run, "end") for run in runs), "TensorBoard has read all runs")
        yield viewer


def same(ours: Any, theirs: Any, tolerance: float) -> None:
    """Equal in shape, and in numbers within `tolerance`."""
    if isinstance(ours, dict):
        assert ours.keys() == theirs.keys()
        for key in ours:
            same(ours[key], theirs[key], tolerance)
    elif isinstance(ours, list | tuple):
        assert len(ours) == len(theirs), (ours, theirs)
        for mine, other in zip(ours, theirs, strict=True):
            same(mine, other, tolerance)
    elif isinstance(ours, np.ndarray):
        assert ours.shape == theirs.shape
        assert np.abs(ours.astype(float) - theirs.astype(float)).max() <= tolerance
    elif isinstance(ours, float):
        assert ours == pytest.approx(theirs, abs=tolerance, nan_ok=True)
    else:
        assert ours == theirs


@pytest.mark.parametrize("name", CASES)
def test_both_readers_show_what_theirs_would(viewer: TensorBoard, name: str) -> None:
    case = CASES[name]
    ours = until(lambda: case.ask(viewer, f"ours/{folder_of(name)}"), f"TensorBoard shows our {name}")
    if case.expected is not None:
        same(ours, case.expected, case.tolerance)
    for peer in ("bridge", *case.peers):
        ask = case.ask_peer.get(peer, case.ask)
        theirs = until(lambda: ask(viewer, f"{peer}/{folder_of(name)}"), f"TensorBoard shows {name} of {peer}")  # noqa: B023
        same(ours, theirs, case.tolerance)


@pytest.mark.parametrize(
    "run",
    [
        *(f"purged/{first}" for first in ("ours", "tensorboardX", "torch")),
        *(f"purged_over_a_bridge/{first}" for first in ("bridge", "ours", "tensorboardX", "torch")),
    ],
)
def test_purge_step_hides_the_old_points_whoever_wrote_them(viewer: TensorBoard, run: str) -> None:
    """tensorboardX's and torch's own does so in neither reader when the first process was one of theirs."""
    shown = [point[1:] for point in viewer.scalars(run, "loss")]
    assert shown == [(step, 0.0) for step in range(5)] + [(step, 1.0) for step in range(5, 8)]


def test_no_run_is_there_that_nobody_asked_for(viewer: TensorBoard) -> None:
    """add_hparams of theirs makes one for each call."""
    ours = {run for run in viewer.runs() if run.startswith("ours/")}
    assert ours == {f"ours/{folder_of(name)}" for name in CASES} | {"ours/add_scalars/many/a", "ours/add_scalars/many/b"}
