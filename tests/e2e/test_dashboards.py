"""The example that fills every page: what both of TensorBoard's readers return is what the example gave, page by page.

The example runs as a user runs it, once into a bridge and once into a folder. What it gave is known from running its `fill`
here with a writer that only takes notes.
"""

from __future__ import annotations

import html
import inspect
import io
import json
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import all_dashboards
import numpy as np
import pytest
from PIL import Image
from processes import ROOT, TensorBoard, address_in, environment, serve, tensorboard, until

import tbbridge

GALLERY = "gallery"
SIDE = all_dashboards.SIDE
BASIS_POINTS = (668, 1587, 3085, 5000, 6915, 8413, 9332)  # between the least and the greatest, on the Distributions page
PAGES = [
    *("scalars", "timeseries", "custom_scalars", "images", "audio", "graphs", "distributions", "histograms", "text"),
    *("pr_curves", "hparams", "mesh", "projector"),
]
PICTURES = ["digits/film", "digits/mistakes", "digits/scan", "digits/scans", "network/confusion", "network/filters"]


class Notes:
    """Takes the place of a SummaryWriter and keeps its calls, with the names that a SummaryWriter gives the arguments."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, method: str) -> Any:
        signature = inspect.signature(getattr(tbbridge.SummaryWriter, method))

        def note(*arguments: Any, **named: Any) -> None:
            bound = signature.bind(self, *arguments, **named)
            bound.apply_defaults()
            # Arrays are copied, as a SummaryWriter does: what the caller changes later is not seen.
            copied = {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in bound.arguments.items()}
            self.calls.append((method, copied))

        return note

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def of(self, method: str, **fields: Any) -> list[dict[str, Any]]:
        """The arguments of all calls of `method` with these arguments."""
        return [
            call for name, call in self.calls if name == method and all(call[field] == value for field, value in fields.items())
        ]


@pytest.fixture(scope="module")
def given() -> dict[str, Notes]:
    """What the example gives, by run."""
    runs: dict[str, Notes] = {}
    all_dashboards.fill(lambda run: runs.setdefault(run, Notes()), seed=0)  # type: ignore[arg-type]
    return runs


def run_example(*options: str) -> None:
    command = [sys.executable, str(ROOT / "examples" / "all_dashboards.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment())
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert "wrote 9 runs" in done.stdout


@pytest.fixture(scope="module", params=["bridge", "folder"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A log folder that the example filled, through a bridge that still runs or directly."""
    logdir = tmp_path_factory.mktemp(request.param)
    if request.param == "folder":
        run_example("--logdir", str(logdir))
        yield logdir
        return
    with serve(logdir) as bridge:
        run_example("--url", address_in(bridge))
        yield logdir
        assert bridge.end() == 0, bridge.output


@pytest.fixture(scope="module", params=["true", "false"], ids=["data server", "Python reader"])
def viewer(request: pytest.FixtureRequest, filled: Path, given: dict[str, Notes]) -> Iterator[TensorBoard]:
    """TensorBoard, with one reader and then the other, once it has read everything."""
    with tensorboard(filled, request.param) as viewer:
        # A file is read in order, so what was written last stands for the whole. The gallery's last is its graph.
        until(lambda: GALLERY in viewer.ask("plugin/graphs/info"), "TensorBoard has read the gallery")
        last = [run for run in given if run != GALLERY]
        until(lambda: len(sessions(viewer)) == len(last), "TensorBoard has read the trials")
        yield viewer


def sessions(viewer: TensorBoard) -> list[dict[str, Any]]:
    """What the HParams page lists."""
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    metrics = [{"metric": {"group": "", "tag": f"trial/best_{name}"}} for name in ("loss", "accuracy")]
    parameters = [{"hparam": name} for name in ("learning_rate", "pixels", "shuffled")]
    request = {"startIndex": 0, "sliceSize": 100, "allowedStatuses": statuses, "colParams": parameters + metrics}
    return list(viewer.post_json("plugin/hparams/session_groups", request).get("sessionGroups", []))


def blob(viewer: TensorBoard, plugin: str, individual: str, entry: dict[str, Any]) -> tuple[str, bytes]:
    """The picture or sound that an entry of a list points to by its query."""
    return viewer.raw(f"plugin/{plugin}/{individual}?{entry['query']}&unused=")


def picture(viewer: TensorBoard, tag: str, number: int = -1) -> Image.Image:
    entry = viewer.ask("plugin/images/images", run=GALLERY, tag=tag, sample=0)[number]
    kind, content = blob(viewer, "images", "individualImage", entry)
    assert kind in ("image/png", "image/gif")
    return Image.open(io.BytesIO(content))


def test_every_page_has_something_to_show(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    assert sorted(viewer.runs()) == sorted(given), "no stray runs"

    def all_active() -> bool:
        listing = viewer.ask("plugins_listing")  # the first answer says that the projector is not active yet
        return all(listing[page]["enabled"] for page in PAGES)

    until(all_active, "every page is active")


def test_scalars(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    shown = viewer.ask("plugin/scalars/tags")
    for run, notes in given.items():
        series: dict[str, list[tuple[int, float]]] = {}
        for call in notes.of("add_scalar"):
            series.setdefault(call["tag"], []).append((call["global_step"], float(np.float32(call["scalar_value"]))))
        for call in notes.of("add_hparams"):
            for tag, value in call["metric_dict"].items():
                series[tag] = [(call["global_step"], float(np.float32(value)))]
        assert sorted(shown[run]) == sorted(series)
        for tag, points in series.items():
            assert [(step, value) for _, step, value in viewer.scalars(run, tag)] == points
    assert "<strong>cross entropy</strong>" in shown[GALLERY]["loss/train"]["description"]


def test_time_series(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    tags = viewer.ask("plugin/timeseries/tags")
    assert "trial/loss" in tags["scalars"]["runTagInfo"][all_dashboards.TRIALS[0].run]
    assert sorted(tags["histograms"]["runTagInfo"][GALLERY]) == ["hidden", "weights/layer0", "weights/layer1"]
    assert set(tags["images"]["tagRunSampledInfo"]) == set(PICTURES)
    requests = [
        {"plugin": "scalars", "tag": "loss/train"},
        {"plugin": "histograms", "tag": "hidden", "run": GALLERY},
        {"plugin": "images", "tag": "network/filters", "run": GALLERY, "sample": 0},
    ]
    answers = viewer.post_form("plugin/timeseries/timeSeries", requests=json.dumps(requests))
    scalars, histograms, images = (answer["runToSeries"][GALLERY] for answer in answers)
    assert [point["step"] for point in scalars] == list(range(0, all_dashboards.STEPS + 1, all_dashboards.EVERY))
    assert [sum(bar["count"] for bar in point["bins"]) for point in histograms] == [
        call["values"].size for call in given[GALLERY].of("add_histogram", tag="hidden")
    ]
    kind, content = viewer.raw("plugin/timeseries/imageData", imageId=images[-1]["imageId"])
    assert (kind, content[:8]) == ("image/png", b"\x89PNG\r\n\x1a\n")


def test_images(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    notes = given[GALLERY]
    shown = viewer.ask("plugin/images/tags")[GALLERY]
    assert sorted(shown) == PICTURES
    for method, tag in [("add_images", "network/filters"), ("add_figure", "network/confusion")]:
        entries = viewer.ask("plugin/images/images", run=GALLERY, tag=tag, sample=0)
        assert [entry["step"] for entry in entries] == [call["global_step"] for call in notes.of(method, tag=tag)]
    scan = notes.of("add_image", tag="digits/scan")[0]["img_tensor"]
    assert np.abs(np.asarray(picture(viewer, "digits/scan").convert("L")) - scan * 255.0).max() <= 1
    scans = np.asarray(picture(viewer, "digits/scans").convert("L")).astype(int)
    assert scans.shape == (4 * SIDE, 8 * SIDE)
    tiles = scans.reshape(4, SIDE, 8, SIDE).swapaxes(1, 2).reshape(32, SIDE, SIDE)
    assert np.abs(tiles - notes.of("add_images", tag="digits/scans")[0]["img_tensor"][:, 0] * 255.0).max() <= 1
    confusion = picture(viewer, "network/confusion").convert("RGB")
    assert confusion.size == (500, 450)
    assert len(confusion.getcolors(1 << 20) or []) > 20, "a drawing, not an empty sheet"


def test_boxes_are_drawn_where_the_mistakes_are(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    call = given[GALLERY].of("add_image_with_boxes")[0]
    sheet = np.asarray(picture(viewer, "digits/mistakes").convert("RGB")).astype(int)
    assert sheet.shape == (*call["img_tensor"].shape, 3)
    painted = np.abs(sheet - call["img_tensor"][:, :, np.newaxis] * 255.0).max(axis=2) > 16
    cells = painted.reshape(6, SIDE, 10, SIDE).any(axis=(1, 3)).ravel()
    boxes = call["box_tensor"]
    assert np.flatnonzero(cells).tolist() == sorted(boxes[:, 1] // SIDE * 10 + boxes[:, 0] // SIDE)
    for left, top, right, bottom in boxes:
        assert painted[top + 10 : bottom - 10, [left, right]].all(), "both upright sides"


def test_a_video_moves(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    call = given[GALLERY].of("add_video")[0]
    frames = call["vid_tensor"][0, :, 0].astype(int)
    film = picture(viewer, "digits/film")
    assert (film.format, film.n_frames) == ("GIF", len(frames))
    for number in (0, 17, len(frames) - 1):
        film.seek(number)
        assert np.abs(np.asarray(film.convert("L")) - frames[number]).max() <= 8
        assert film.info["duration"] == pytest.approx(1000 / call["fps"], abs=10), "GIF counts in hundredths of a second"


def test_audio(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    assert {tag: info["samples"] for tag, info in viewer.ask("plugin/audio/tags")[GALLERY].items()} == {"tune": 1, "vowels": 1}
    for call in given[GALLERY].of("add_audio"):
        (entry,) = viewer.ask("plugin/audio/audio", run=GALLERY, tag=call["tag"], sample=0)
        assert (entry["step"], entry["contentType"]) == (0, "audio/wav")
        kind, content = blob(viewer, "audio", "individualAudio", entry)
        assert kind == "audio/wav"
        sent = call["snd_tensor"].reshape(len(call["snd_tensor"]), -1)
        with wave.open(io.BytesIO(content)) as sound:
            assert (sound.getframerate(), sound.getsampwidth(), sound.getnchannels()) == (call["sample_rate"], 2, sent.shape[1])
            heard = np.frombuffer(sound.readframes(sound.getnframes()), dtype="<i2").reshape(-1, sent.shape[1])
        assert np.abs(heard / 32767 - sent).max() < 1e-4


def test_histograms_and_distributions(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    notes = given[GALLERY]
    assert sorted(viewer.ask("plugin/histograms/tags")[GALLERY]) == ["hidden", "weights/layer0", "weights/layer1"]
    for tag in ("hidden", "weights/layer0"):
        calls = notes.of("add_histogram", tag=tag)
        histograms = viewer.ask("plugin/histograms/histograms", run=GALLERY, tag=tag)
        distributions = viewer.ask("plugin/distributions/distributions", run=GALLERY, tag=tag)
        assert [step for _, step, _ in histograms] == [call["global_step"] for call in calls]
        for call, (_, _, bars), (_, _, quantiles) in zip(calls, histograms, distributions, strict=True):
            values = np.sort(call["values"].ravel())
            assert sum(count for _, _, count in bars) == len(values)
            assert (bars[0][0], bars[-1][1]) == pytest.approx((values[0], values[-1]))
            exact = [values[len(values) * point // 10_000] for point in BASIS_POINTS]
            assert [value for _, value in quantiles[1:-1]] == pytest.approx(exact, abs=1e-9)


def test_text(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    (tag,) = viewer.ask("plugin/text/tags")[GALLERY]
    shown = viewer.ask("plugin/text/text", run=GALLERY, tag=tag, markdown="false")
    sent = [(call["global_step"], call["text_string"]) for call in given[GALLERY].of("add_text")]
    assert [(item["step"], html.unescape(item["text"])) for item in shown] == sent
    rendered = viewer.ask("plugin/text/text", run=GALLERY, tag=tag)[0]["text"]
    assert "<h3>After 0 steps</h3>" in rendered
    assert rendered.count("<tr>") == 11


def test_pr_curves(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    assert sorted(viewer.ask("plugin/pr_curves/tags")[GALLERY]) == [f"digit/{digit}" for digit in all_dashboards.CURVE_DIGITS]
    for digit in all_dashboards.CURVE_DIGITS:
        tag = f"digit/{digit}"
        calls = given[GALLERY].of("add_pr_curve", tag=tag)
        curves = viewer.ask("plugin/pr_curves/pr_curves", run=GALLERY, tag=tag)[GALLERY]
        assert [curve["step"] for curve in curves] == [call["global_step"] for call in calls]
        for call, curve in zip(calls, curves, strict=True):
            places = call["predictions"] * (call["num_thresholds"] - 1)
            chosen = places >= np.arange(call["num_thresholds"])[:, np.newaxis]
            right = (chosen & call["labels"]).sum(axis=1)
            shown = chosen.any(axis=1)  # thresholds above every prediction are left out
            assert curve["precision"] == pytest.approx((right / np.maximum(chosen.sum(axis=1), 1))[shown], abs=1e-6)
            assert curve["recall"] == pytest.approx((right / call["labels"].sum())[shown], abs=1e-6)


def test_hparams(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    infos = viewer.post_json("plugin/hparams/experiment", {})["hparamInfos"]
    kinds = {"learning_rate": "DATA_TYPE_FLOAT64", "pixels": "DATA_TYPE_STRING", "shuffled": "DATA_TYPE_BOOL"}
    assert {info["name"]: info["type"] for info in infos} == kinds
    shown = {group["name"]: group for group in sessions(viewer)}
    assert sorted(shown) == sorted(trial.run for trial in all_dashboards.TRIALS)
    for run, group in shown.items():
        (call,) = given[run].of("add_hparams")
        assert group["hparams"] == call["hparam_dict"]
        metrics = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
        assert {tag: metrics[tag] for tag in call["metric_dict"]} == pytest.approx(call["metric_dict"], rel=1e-6)
        which = {"sessionName": run, "metricName": {"group": "", "tag": "trial/best_loss"}}
        points = viewer.post_json("plugin/hparams/metric_evals", which)
        assert [step for _, step, _ in points] == [all_dashboards.STEPS]


def test_mesh(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    notes = given[GALLERY]
    assert sorted(viewer.ask("plugin/mesh/tags")[GALLERY]) == ["cloud", "ring"]
    for tag, parts in (("ring", ["VERTEX", "FACE", "COLOR"]), ("cloud", ["VERTEX", "COLOR"])):
        calls = notes.of("add_mesh", tag=tag)
        listed = viewer.ask("plugin/mesh/meshes", run=GALLERY, tag=tag, sample=0)
        assert len(listed) == len(parts) * len(calls)
        assert {entry["step"] for entry in listed} == {call["global_step"] for call in calls}
        assert json.loads(listed[0]["config"]) == calls[0]["config_dict"]
        for call in calls:
            arrays = {"VERTEX": ("vertices", "<f4"), "FACE": ("faces", "<i4"), "COLOR": ("colors", "u1")}
            for part in parts:
                name, kind = arrays[part]
                step = call["global_step"]
                query = {"run": GALLERY, "tag": tag, "sample": 0, "step": step, "content_type": part}
                _, content = viewer.raw("plugin/mesh/data", **query)
                assert np.array_equal(np.frombuffer(content, kind), call[name].ravel())


def test_custom_scalars(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    layout = viewer.ask("plugin/custom_scalars/layout")
    charts = {category["title"]: [chart["title"] for chart in category["chart"]] for category in layout["category"]}
    assert charts == {"Learning": ["loss", "accuracy"], "Certainty": ["accuracy and two standard errors"]}
    (certainty,) = [category for category in layout["category"] if category["title"] == "Certainty"]
    series = {"value": "margin/accuracy", "lower": "margin/lower", "upper": "margin/upper"}
    assert certainty["chart"][0]["margin"]["series"] == [series]
    shown = viewer.ask("plugin/custom_scalars/scalars", run=GALLERY, tag="loss/.*")
    assert shown["regex_valid"]
    assert {tag: len(points) for tag, points in shown["tag_to_events"].items()} == {"loss/train": 61, "loss/validation": 61}


def test_projector(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    (call,) = given[GALLERY].of("add_embedding")
    assert viewer.ask("plugin/projector/runs") == [GALLERY]
    (embedding,) = viewer.ask("plugin/projector/info", run=GALLERY)["embeddings"]
    assert embedding["tensorShape"] == list(call["mat"].shape)
    assert embedding["sprite"]["singleImageDim"] == [8, 8]
    which = {"run": GALLERY, "name": embedding["tensorName"]}
    _, tensor = viewer.raw("plugin/projector/tensor", **which)
    assert np.frombuffer(tensor, "<f4").tolist() == call["mat"].astype("<f4").ravel().tolist()
    _, metadata = viewer.raw("plugin/projector/metadata", **which)
    assert [line.split("\t") for line in metadata.decode().splitlines()] == [call["metadata_header"], *call["metadata"]]
    _, content = viewer.raw("plugin/projector/sprite_image", **which)
    sprite = np.asarray(Image.open(io.BytesIO(content)).convert("L")).astype(int)
    across = sprite.shape[1] // 8
    for number in (0, across - 1, across, len(call["mat"]) - 1):
        left, top = number % across * 8, number // across * 8
        cell = sprite[top : top + 8, left : left + 8]
        assert np.abs(cell - call["label_img"][number, 0] * 255.0).max() <= 1


def test_graphs(viewer: TensorBoard, given: dict[str, Notes]) -> None:
    assert viewer.ask("plugin/graphs/info")[GALLERY]["run_graph"]
    _, content = viewer.raw("plugin/graphs/graph", run=GALLERY)
    graph = content.decode()
    assert graph.count('op: "aten::linear"') == 2
    assert 'op: "aten::softmax"' in graph
    assert viewer.ask("plugin/graphs/info")[GALLERY]["tags"]["forward pass"]["profile"]
    _, content = viewer.raw("plugin/graphs/run_metadata", run=GALLERY, tag="forward pass")
    profile = content.decode()
    assert [line.strip() for line in profile.splitlines() if "name" in line] == ['node_name: "hidden"', 'node_name: "output"']


def test_the_graph_drawn_by_hand_is_one_that_tensorboard_reads(tmp_path: Path) -> None:
    """What is written where torch is not installed."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    with tbbridge.SummaryWriter(str(tmp_path)) as writer:
        writer.add_graph(all_dashboards.drawn_graph())
    graph = EventAccumulator(str(tmp_path)).Reload().Graph()
    names = {node.name for node in graph.node}
    assert len(names) == len(graph.node) == 11
    assert {source for node in graph.node for source in node.input} <= names
