"""Every kind that a run can log arrives as convert/ made it, with the step, the time and the names it was given."""

from __future__ import annotations

import io
import logging
import wave
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import PIL.Image
import pytest
from fake_server import Server, serve
from matplotlib.figure import Figure
from tensorboard.compat.proto.config_pb2 import RunMetadata as TensorBoardsRunMetadata
from tensorboard.compat.proto.graph_pb2 import GraphDef

from tbbridge import convert, limits
from tbbridge.client import Client, Run
from tbbridge.client.backlog import Note
from tbbridge.errors import InvalidItem, PointsLost
from tbbridge.kinds import Image, RawValue, Summary, Text
from tbbridge.model import Batch, RunBatch, run_name, tag_name
from tbbridge.wire.protobuf_v1 import encode_batch

RANDOM = np.random.default_rng(0)
PICTURE, PICTURES = RANDOM.random((3, 8, 9)), RANDOM.random((5, 3, 8, 9))
BOXES, LABELS = [[1, 1, 5, 5]], ["x"]
VIDEO, SOUND = RANDOM.random((1, 3, 1, 8, 8)), RANDOM.uniform(-1, 1, 50)
POINTS = RANDOM.normal(size=(4, 3))
FIGURE = Figure(figsize=(1, 1))
GRAPH = GraphDef()
GRAPH.node.add(name="a", op="Const")
METADATA = TensorBoardsRunMetadata().SerializeToString()
LAYOUT = {"A": {"many": ["Multiline", ["x"]]}}
TRUTH, SCORES = [0, 1, 1], [0.1, 0.4, 0.9]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve() as made:
        yield made


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], Summary]] = [
    ("add_image", ("t", PICTURE), {}, convert.image("t", PICTURE)),
    ("add_image", ("t", PICTURE.transpose(1, 2, 0)), {"dataformats": "HWC"}, convert.image("t", PICTURE)),
    ("add_image", ("t", PICTURE * 3), {"clip": True}, convert.image("t", PICTURE * 3, clip=True)),
    ("add_images", ("t", PICTURES), {}, convert.images("t", PICTURES)),
    ("add_image_with_boxes", ("t", PICTURE, BOXES), {"labels": LABELS}, convert.image_with_boxes("t", PICTURE, BOXES, LABELS)),
    ("add_figure", ("t", FIGURE), {}, convert.figure("t", FIGURE)),
    ("add_video", ("t", VIDEO), {"fps": 10}, convert.video("t", VIDEO, 10)),
    ("add_audio", ("t", SOUND), {"sample_rate": 8000}, convert.audio("t", SOUND, 8000)),
    ("add_pr_curve", ("t", TRUTH, SCORES), {"num_thresholds": 9}, convert.pr_curve("t", TRUTH, SCORES, 9)),
    ("add_pr_curve_raw", ("t", *[[1, 2]] * 6), {}, convert.pr_curve_raw("t", *[[1, 2]] * 6)),
    ("add_mesh", ("t", POINTS), {"faces": [[0, 1, 2]]}, convert.mesh("t", POINTS, faces=[[0, 1, 2]])),
    ("add_embedding", (POINTS, ["abcd"] * 4), {"tag": "t"}, convert.embedding("t", POINTS, ["abcd"] * 4)),
    ("add_tensor", ("t", POINTS), {"plugin_name": "mine"}, convert.tensor("t", POINTS, "mine")),
    ("add_graph", (GRAPH,), {}, convert.graph(GRAPH)),
    ("add_run_metadata", ("t", METADATA), {}, convert.run_metadata("t", METADATA)),
    ("add_hparams", ({"lr": 0.1},), {"status": "success"}, convert.hparams({"lr": 0.1}, status="success")),
    ("add_custom_scalars", (LAYOUT,), {}, convert.custom_scalars(LAYOUT)),
    ("add_summary", (Text(tag_name("t"), "hello"),), {}, Text(tag_name("t"), "hello")),
]


def test_every_log_call_of_a_run_is_in_the_table() -> None:
    """But the two whose libraries are not installed here, and those for numbers and text, which test_client.py logs."""
    elsewhere = {"add_scalar", "add_scalars", "add_histogram", "add_text", "add_onnx_graph", "add_openvino_graph"}
    assert {name for name in dir(Run) if name.startswith("add_")} - elsewhere == {call[0] for call in CALLS}


def as_sent(summary: Summary) -> bytes:
    """Arrays make kinds incomparable; their bytes are not."""
    return encode_batch(Batch((RunBatch(run_name("r"), (), (summary,)),)))


@pytest.mark.parametrize(("name", "given", "more", "expected"), CALLS, ids=[call[0] for call in CALLS])
def test_a_kind_arrives_as_it_was_made(
    server: Server, name: str, given: tuple[Any, ...], more: dict[str, Any], expected: Summary
) -> None:
    with Client(server.url) as client, client.run("r", step=7) as run:
        getattr(run, name)(*given, **more, step=3, wall_time=5.0)
        getattr(run, name)(*given, **more)
    (_, settled), (_, framed) = server.summaries
    assert as_sent(settled) == as_sent(replace(expected, step=3, wall_time=5.0))
    assert framed.step == 7
    assert framed.wall_time is not None
    assert as_sent(framed) == as_sent(replace(expected, step=7, wall_time=framed.wall_time))


def test_the_calls_that_lapiz_promised_work_with_their_defaults(server: Server) -> None:
    picture, waveform = RANDOM.integers(0, 256, (20, 30, 3)).astype(np.uint8), np.sin(np.arange(1000) / 9)
    with Client(server.url) as client, client.run("r") as run:
        run.add_image("sample", picture)
        run.add_audio("audio", waveform)
    (_, image), (_, audio) = server.summaries
    assert isinstance(image, Image)
    assert np.array_equal(np.array(PIL.Image.open(io.BytesIO(image.images[0]))), picture)
    with wave.open(io.BytesIO(audio.clips[0])) as reader:  # type: ignore[union-attr]
        assert (reader.getframerate(), reader.getnframes()) == (44100, 1000)


def test_the_metrics_of_hparams_are_scalars_of_the_same_run(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run:
        run.add_hparams({"lr": 0.1}, {"accuracy": 0.5, "loss": np.float32(2)}, step=4)
    assert [(run, summary.tag) for run, summary in server.summaries] == [("r", "_hparams_/session_start_info")]
    assert {key: [row[:2] for row in rows] for key, rows in server.scalars.items()} == {
        ("r", "accuracy"): [(4, 0.5)],
        ("r", "loss"): [(4, 2.0)],
    }


def test_a_kinds_own_step_time_and_names_count_unless_the_call_gives_others(server: Server) -> None:
    mine = Text(tag_name("t"), "x", 5, 6.0, "Mine", "of *mine*")
    with Client(server.url) as client, client.run("r") as run:
        run.describe("t", "Ours", "")
        run.add_summary(mine)
        run.add_summary(mine, step=8, wall_time=9.0)
        run.add_text("t", "y", 1, 2.0)
    assert [summary for _, summary in server.summaries] == [
        mine,
        replace(mine, step=8, wall_time=9.0),
        Text(tag_name("t"), "y", 1, 2.0, "Ours"),
    ]


def test_a_description_goes_with_every_kind_of_value_of_its_tag_and_run(server: Server) -> None:
    with Client(server.url) as client, client.run("r") as run, client.run("other") as other:
        run.add_scalar("late", 1.0)
        for tag in ("early", "late", "w", "t", "img"):
            run.describe(tag, tag.title(), f"about {tag}")
        run.add_scalar("early", 1.0)
        run.add_scalar("late", 2.0)
        run.add_histogram("w", [1.0])
        run.add_text("t", "x")
        run.add_image("img", PICTURE)
        other.add_scalar("early", 1.0)
    assert server.names == {
        ("r", "early"): ("Early", "about early"),
        ("r", "late"): ("Late", "about late"),
        ("other", "early"): ("", ""),
    }
    assert [(one.tag, one.display_name, one.description) for _, one in server.summaries] == [
        (tag, tag.title(), f"about {tag}") for tag in ("w", "t", "img")
    ]


def test_a_raw_value_of_tensorboards_is_forwarded(server: Server) -> None:
    from tensorboard.compat.proto.summary_pb2 import Summary as TensorBoardsSummary

    raw = RawValue(TensorBoardsSummary.Value(tag="loss", simple_value=0.5).SerializeToString())
    with Client(server.url) as client, client.run("r") as run:
        run.add_summary(raw, step=2)
    (_, arrived) = server.summaries[0]
    assert isinstance(arrived, RawValue)
    assert (arrived.value, arrived.tag, arrived.step) == (raw.value, "loss", 2)


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("add_image", ("t", np.zeros((2, 9, 9))), "2 channels"),
        ("add_audio", ("t", [0.0, 100.0]), "from 0 to 100"),
        ("add_mesh", ("t", np.zeros((4, 4))), "vertices"),
        ("add_hparams", ([],), "hyperparameters are a list"),
        ("add_summary", ("a text",), "the summary is the text 'a text'; give a kind"),
        ("describe", ("t", "x" * 2000), "display_name has 2000 bytes"),
        ("describe", (3,), "the tag is an int"),
    ],
)
def test_a_mistake_is_told_at_the_call_and_nothing_is_sent(
    server: Server, name: str, given: tuple[Any, ...], said: str
) -> None:
    with Client(server.url) as client, client.run("r") as run, pytest.raises(InvalidItem, match=said):
        getattr(run, name)(*given)
    assert server.summaries == []


def test_a_closed_run_takes_no_kind(server: Server) -> None:
    with Client(server.url) as client:
        run = client.run("r")
        run.close()
        with pytest.raises(RuntimeError, match="run 'r' is closed"):
            run.add_image("t", PICTURE)


def test_pictures_that_wait_are_bounded_by_their_bytes(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody listens at this port's other end: the oldest picture goes when the second one comes."""
    made = convert.image("t", RANDOM.integers(0, 256, (3, 100, 100)).astype(np.uint8))
    with serve() as server, caplog.at_level(logging.WARNING, "tbbridge.client"):
        url = server.url
    client = Client(url, queue_max_bytes=made.size_bytes + 2 * limits.ITEM_OVERHEAD_BYTES)
    run = client.run("r")
    for step in range(2):
        run.add_summary(made, step)
    assert client.stats.dropped == 1
    loss = client.outbox.loss()
    assert isinstance(loss, PointsLost)
    assert loss.count == 1
    client.close(timeout_s=0)


@pytest.mark.parametrize("content", [made for *_, made in CALLS], ids=[call[0] for call in CALLS])
def test_a_waiting_value_counts_with_at_least_the_bytes_it_is_sent_with(content: Summary) -> None:
    assert Note(run_name("r"), content.tag, content, 0, 0.0).size_bytes >= len(as_sent(content))
