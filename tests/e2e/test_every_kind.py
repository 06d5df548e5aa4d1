"""Every kind, sent as JSON and as protobuf to a real bridge, as both of TensorBoard's readers return it."""

from __future__ import annotations

import json
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from one_of_each import (
    COLORS,
    FACES,
    MATRIX,
    VERTICES,
    curve_table,
    film,
    graph_def,
    one_of_each,
    picture,
    run_metadata,
    sound,
)
from processes import TensorBoard, address_in, get, post, serve, tensorboard, until

from tbbridge.model import Batch, RawValue, RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.wire.protobuf_v1 import encode_batch

WALL_TIME = 1.5e9
NAMED = {"display_name": "Shöwn", "description": "*about* it"}


def text_of(raw: bytes) -> str:
    return b64encode(raw).decode()


def as_json() -> dict[str, Any]:
    """What `one_of_each` holds, written down as JSON by hand."""
    kinds = one_of_each()
    raw = kinds["raw"]
    assert isinstance(raw, RawValue)
    at = {"step": 3, "wall_time": WALL_TIME}
    table = dict(
        zip(
            ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall"),
            curve_table().tolist(),
            strict=True,
        )
    )
    layout = {
        "title": "losses",
        "closed": True,
        "charts": [
            {"title": "both", "multiline": ["loss/a", "loss/b"]},
            {"title": "band", "margin": [{"value": "loss", "lower": "low", "upper": "high"}]},
        ],
    }
    matrix = [[float(f"{number:.9g}") for number in row] for row in MATRIX.tolist()]
    summaries: list[dict[str, Any]] = [
        {"kind": "text", "tag": "note", "text": "hi *there*", **NAMED},
        {"kind": "histogram", "tag": "weights", "buckets": [[0, 1, 3], [1, 2, 4]], **NAMED},
        {"kind": "image", "tag": "image", "images": [text_of(picture("red"))], **NAMED},
        {"kind": "image", "tag": "jpeg", "images": [text_of(picture("blue", kind="JPEG"))]},
        {"kind": "image", "tag": "images", "images": [text_of(picture(c)) for c in ("red", "green", "blue")], **NAMED},
        {"kind": "image", "tag": "video", "images": [text_of(film())]},
        {"kind": "audio", "tag": "voice", "clips": [text_of(sound())], **NAMED},
        {"kind": "audio", "tag": "voices", "clips": [text_of(sound()), text_of(sound(50, 16000, 2))]},
        {"kind": "pr_curve", "tag": "curve", **table, **NAMED},
        {
            "kind": "mesh",
            "tag": "body",
            "vertices": VERTICES.tolist(),
            "colors": COLORS.tolist(),
            "faces": FACES.tolist(),
            "config": {"camera": {"fov": 75}},
            **NAMED,
        },
        {"kind": "mesh", "tag": "cloud", "vertices": VERTICES[0].tolist()},
        {
            "kind": "embedding",
            "tag": "words",
            "matrix": matrix,
            "metadata": [["a", "1"], ["ö", "2"], ["c", ""]],
            "header": ["word", "n"],
            "sprite": text_of(picture("red", (8, 8))),
            "sprite_size": [4, 4],
        },
        {"kind": "embedding", "tag": "labels", "matrix": matrix, "metadata": ["x", "y", "z"]},
        {"kind": "graph", "graph_def": text_of(graph_def().SerializeToString())},
        {"kind": "run_metadata", "tag": "profile", "run_metadata": text_of(run_metadata().SerializeToString())},
        {
            "kind": "hparams",
            "values": {"lr": 0.1, "name": "sgd", "flag": True, "depth": 3},
            "metrics": ["loss"],
            "group_name": "group",
            "status": "success",
        },
        {"kind": "custom_scalars", "categories": [layout]},
        {"kind": "tensor", "tag": "numbers", "values": [[7], [-8]], "plugin_name": "mine"},
        {"kind": "tensor", "tag": "cells", "values": ["one", "two"], "plugin_name": "text", **NAMED},
        {"kind": "raw", "value": text_of(raw.value), **NAMED},
    ]
    scalars = {"tag": "loss", "values": [0.5, 0.25], "steps": [0, 1], "wall_times": [WALL_TIME, WALL_TIME + 1], **NAMED}
    return {"runs": [{"run": "json", "scalars": [scalars], "summaries": [{**one, **at} for one in summaries]}]}


def as_protobuf() -> bytes:
    loss = ScalarColumns(
        tag_name("loss"), np.array([0.5, 0.25]), np.array([0, 1]), np.array([WALL_TIME, WALL_TIME + 1]), *NAMED.values()
    )
    return encode_batch(Batch((RunBatch(run_name("protobuf"), (loss,), tuple(one_of_each().values())),)))


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("kinds") / "runs"
    with serve(folder) as bridge:
        address = address_in(bridge)
        sent = post(f"{address}/api/v1/write?ack=written", as_json())
        request = urllib.request.Request(
            f"{address}/api/v1/write?ack=written", as_protobuf(), {"Content-Type": "application/x-protobuf"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert answer.status == 200
        assert (sent["accepted"], sent["warnings"]) == (2 + len(one_of_each()), [])
        counts = {run["run"]: run["tag_counts"] for run in get(f"{address}/api/v1/runs")["runs"]}
        bridge.end()
    assert counts["json"] == counts["protobuf"]
    assert counts["json"] == {
        "scalar": 2,
        "text": 2,
        "histogram": 1,
        "image": 4,
        "audio": 2,
        "pr_curve": 1,
        "mesh": 2,  # each of several parts
        "embedding": 2,
        "graph": 1,
        "run_metadata": 1,
        "hparams": 2,
        "custom_scalars": 1,
        "mine": 1,
    }
    return folder


@pytest.fixture(scope="module", params=["true", "false"], ids=["data server", "python reader"])
def viewer(request: pytest.FixtureRequest, logdir: Any) -> Iterator[TensorBoard]:
    with tensorboard(logdir, request.param) as shown:
        until(lambda: {"json", "protobuf"} <= set(shown.runs()), "both runs are listed")
        until(lambda: (shown.ask("plugin/scalars/tags") or {}).get("json", {}).get("forwarded"), "the last tag is read")
        until(lambda: (shown.ask("plugin/scalars/tags") or {}).get("protobuf", {}).get("forwarded"), "the last tag is read")
        yield shown


RUNS = pytest.mark.parametrize("run", ["json", "protobuf"])
SHOWN = {"displayName": "Shöwn", "description": "<p><em>about</em> it</p>"}


@RUNS
def test_scalars_and_forwarded_values(viewer: TensorBoard, run: str) -> None:
    assert viewer.ask("plugin/scalars/tags")[run] == {"loss": SHOWN, "forwarded": SHOWN}
    assert viewer.scalars(run, "loss") == [(WALL_TIME, 0, 0.5), (WALL_TIME + 1, 1, 0.25)]
    assert viewer.scalars(run, "forwarded") == [(WALL_TIME, 3, 3.5)]


def blobs(viewer: TensorBoard, plugin: str, one: str, run: str, tag: str, samples: int) -> list[tuple[str, bytes]]:
    found = []
    for sample in range(samples):
        (said,) = viewer.ask(f"plugin/{plugin}/{plugin}", run=run, tag=tag, sample=sample)
        assert (said["step"], said["wall_time"]) == (3, WALL_TIME)
        with urllib.request.urlopen(f"{viewer.address}/data/plugin/{plugin}/{one}?{said['query']}", timeout=30) as answer:
            found.append((answer.headers["Content-Type"], answer.read()))
    return found


@RUNS
def test_pictures(viewer: TensorBoard, run: str) -> None:
    tags = viewer.ask("plugin/images/tags")[run]
    assert {tag: said["samples"] for tag, said in tags.items()} == {"image": 1, "jpeg": 1, "images": 3, "video": 1}
    assert tags["image"] == {**SHOWN, "samples": 1}
    assert tags["images"] == {**SHOWN, "samples": 3}
    expected = {
        "image": [("image/png", picture("red"))],
        "jpeg": [("image/jpeg", picture("blue", kind="JPEG"))],
        "images": [("image/png", picture(color)) for color in ("red", "green", "blue")],
        "video": [("image/gif", film())],
    }
    for tag, pictures in expected.items():
        assert blobs(viewer, "images", "individualImage", run, tag, len(pictures)) == pictures


@RUNS
def test_sounds(viewer: TensorBoard, run: str) -> None:
    tags = viewer.ask("plugin/audio/tags")[run]
    assert {tag: said["samples"] for tag, said in tags.items()} == {"voice": 1, "voices": 2}
    assert tags["voice"] == {**SHOWN, "samples": 1}
    assert blobs(viewer, "audio", "individualAudio", run, "voice", 1) == [("audio/wav", sound())]
    both = [("audio/wav", sound()), ("audio/wav", sound(50, 16000, 2))]
    assert blobs(viewer, "audio", "individualAudio", run, "voices", 2) == both


@RUNS
def test_histograms_and_texts(viewer: TensorBoard, run: str) -> None:
    assert viewer.ask("plugin/histograms/tags")[run] == {"weights": SHOWN}
    histograms = viewer.ask("plugin/histograms/histograms", run=run, tag="weights")
    assert histograms == [[WALL_TIME, 3, [[0.0, 1.0, 3.0], [1.0, 2.0, 4.0]]]]
    assert sorted(viewer.ask("plugin/text/tags")[run]) == ["cells", "note"]
    (note,) = viewer.ask("plugin/text/text", run=run, tag="note")
    assert (note["step"], note["text"]) == (3, "<p>hi <em>there</em></p>")
    (cells,) = viewer.ask("plugin/text/text", run=run, tag="cells")
    assert cells["text"].count("<td>") == 2


@RUNS
def test_pr_curves(viewer: TensorBoard, run: str) -> None:
    assert viewer.ask("plugin/pr_curves/tags")[run] == {"curve": SHOWN}
    (curve,) = viewer.ask("plugin/pr_curves/pr_curves", run=run, tag="curve")[run]
    # The last threshold, which nothing passes, is cut off by TensorBoard.
    assert curve["precision"] == [0.5] * 10
    assert curve["recall"] == pytest.approx((1 - np.linspace(0, 0.9, 10)).tolist())
    assert curve["true_positives"] == list(range(10, 0, -1))


@RUNS
def test_meshes(viewer: TensorBoard, run: str) -> None:
    assert viewer.ask("plugin/mesh/tags")[run] == {"body": {"samples": 1}, "cloud": {"samples": 1}}
    parts = viewer.ask("plugin/mesh/meshes", run=run, tag="body", sample=0)
    assert {part["content_type"]: part["data_shape"] for part in parts} == {1: [1, 4, 3], 2: [1, 2, 3], 3: [1, 4, 3]}
    assert {part["components"] for part in parts} == {14}
    assert json.loads(parts[0]["config"]) == {"camera": {"fov": 75}}
    (cloud,) = viewer.ask("plugin/mesh/meshes", run=run, tag="cloud", sample=0)
    assert cloud["components"] == 2
    for kind, array in (("VERTEX", VERTICES), ("FACE", FACES), ("COLOR", COLORS)):
        _, data = viewer.raw("plugin/mesh/data", run=run, tag="body", sample=0, step=3, content_type=kind)
        assert data == array.tobytes(), kind


@RUNS
def test_graphs(viewer: TensorBoard, run: str) -> None:
    said = viewer.ask("plugin/graphs/info")[run]
    assert said["run_graph"]
    assert said["tags"]["profile"]["profile"]
    _, graph = viewer.raw("plugin/graphs/graph", run=run)
    assert b'name: "a"' in graph
    assert b'input: "a"' in graph
    _, profile = viewer.raw("plugin/graphs/run_metadata", run=run, tag="profile")
    assert b'device: "/cpu:0"' in profile


def test_hyperparameters(viewer: TensorBoard) -> None:
    experiment = viewer.post_json("plugin/hparams/experiment", {})
    assert {info["name"]: info["type"] for info in experiment["hparamInfos"]} == {
        "lr": "DATA_TYPE_FLOAT64",
        "name": "DATA_TYPE_STRING",
        "flag": "DATA_TYPE_BOOL",
        "depth": "DATA_TYPE_FLOAT64",
    }
    assert "loss" in {info["name"]["tag"] for info in experiment["metricInfos"]}
    question = {
        "startIndex": 0,
        "sliceSize": 10,
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [{"metric": {"group": "", "tag": "loss"}}],
    }
    (group,) = viewer.post_json("plugin/hparams/session_groups", question)["sessionGroups"]
    assert group["name"] == "group"
    assert group["hparams"] == {"lr": 0.1, "name": "sgd", "flag": True, "depth": 3.0}
    sessions = {session["name"]: session for session in group["sessions"]}
    assert sorted(sessions) == ["json", "protobuf"]
    for session in sessions.values():
        assert (session["startTimeSecs"], session["endTimeSecs"]) == (WALL_TIME, WALL_TIME)
        values = {metric["name"]["tag"]: metric["value"] for metric in session["metricValues"]}
        assert values["loss"] == 0.25


@RUNS
def test_custom_scalars(viewer: TensorBoard, run: str) -> None:
    (category,) = viewer.ask("plugin/custom_scalars/layout")["category"]
    assert (category["title"], category["closed"]) == ("losses", True)
    both, band = category["chart"]
    assert (both["title"], both["multiline"]) == ("both", {"tag": ["loss/a", "loss/b"]})
    assert band["margin"] == {"series": [{"value": "loss", "lower": "low", "upper": "high"}]}
    drawn = viewer.ask("plugin/custom_scalars/scalars", run=run, tag="lo.*")
    assert list(drawn["tag_to_events"]) == ["loss"]


@RUNS
def test_embeddings(viewer: TensorBoard, run: str) -> None:
    assert sorted(viewer.ask("plugin/projector/runs")) == ["json", "protobuf"]
    listed = {one["tensorName"]: one for one in viewer.ask("plugin/projector/info", run=run)["embeddings"]}
    assert sorted(listed) == ["labels:00003", "words:00003"]
    assert listed["words:00003"]["sprite"]["singleImageDim"] == [4, 4]
    assert listed["words:00003"]["tensorShape"] == [3, 2]
    for name, metadata in (("words:00003", "word\tn\na\t1\nö\t2\nc\t\n"), ("labels:00003", "x\ny\nz\n")):
        _, numbers = viewer.raw("plugin/projector/tensor", run=run, name=name, num_rows=10)
        assert np.frombuffer(numbers, np.float32).reshape(3, 2).tolist() == MATRIX.tolist()
        _, text = viewer.raw("plugin/projector/metadata", run=run, name=name, num_rows=10)
        assert text.decode() == metadata
    kind, sprite = viewer.raw("plugin/projector/sprite_image", run=run, name="words:00003")
    assert (kind, sprite) == ("image/png", picture("red", (8, 8)))


def test_a_tensor_of_somebody_elses_page_is_in_the_file(logdir: Any) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    for run in ("json", "protobuf"):
        files = EventAccumulator(str(logdir / run), size_guidance={"tensors": 0})
        files.Reload()
        (event,) = files.Tensors("numbers")
        assert tensor_util.make_ndarray(event.tensor_proto).tolist() == [[7], [-8]]
        assert files.SummaryMetadata("numbers").plugin_data.plugin_name == "mine"
