"""One summary of each kind, small and different from one another, for tests that look at all kinds."""

from __future__ import annotations

import io
import wave

import numpy as np
from PIL import Image as Pillow
from tensorboard.compat.proto import config_pb2, graph_pb2, summary_pb2

from tbbridge.model import (
    Audio,
    Buckets,
    Category,
    Chart,
    CustomScalars,
    Embedding,
    Graph,
    Histogram,
    HParams,
    Image,
    Mesh,
    PrCurve,
    RawValue,
    RunMetadata,
    Summary,
    Tensor,
    Text,
    tag_name,
)


def picture(color: str, size: tuple[int, int] = (4, 3), kind: str = "PNG", mode: str = "RGB") -> bytes:
    """One colour, encoded."""
    file = io.BytesIO()
    Pillow.new(mode, size, color).save(file, kind)
    return file.getvalue()


def film() -> bytes:
    """Three frames as an animated GIF."""
    frames = [Pillow.new("L", (4, 4), 80 * number) for number in range(3)]
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


def sound(frames: int = 100, rate: int = 8000, channels: int = 1) -> bytes:
    """A ramp, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(np.arange(frames * channels, dtype="<i2").tobytes())
    return file.getvalue()


def graph_def() -> graph_pb2.GraphDef:
    """Two nodes, by TensorBoard's own message."""
    graph = graph_pb2.GraphDef()
    graph.node.add(name="a", op="Const").attr["text"].s = b"\xff\x00"
    graph.node.add(name="b", op="Add", input=["a"])
    graph.versions.producer = 22
    return graph


def run_metadata() -> config_pb2.RunMetadata:
    """One node's times."""
    metadata = config_pb2.RunMetadata()
    metadata.step_stats.dev_stats.add(device="/cpu:0").node_stats.add(node_name="a", all_start_micros=1)
    return metadata


def curve_table(thresholds: int = 11) -> np.ndarray:
    """Twenty things, half of them positive, told apart by chance."""
    at = np.linspace(0, 1, thresholds)
    return np.stack([10 - 10 * at, 10 - 10 * at, 10 * at, 10 * at, np.full(thresholds, 0.5), 1 - at])


VERTICES = np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]], np.float32)
COLORS = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 8, 7]]], np.uint8)
FACES = np.array([[[0, 1, 2], [1, 2, 3]]], np.int32)
MATRIX = np.array([[0.1, 1], [2, -3e-7], [4, 3.4e38]], np.float32)
TWO_BUCKETS = Buckets(np.array([0.0, 1.0]), np.array([1.0, 2.0]), np.array([3.0, 4.0]))


def one_of_each(step: int | None = 3, wall_time: float | None = 1.5e9) -> dict[str, Summary]:
    """By a name that says what is special; each has a tag of its own."""
    at = {"step": step, "wall_time": wall_time}
    named = {**at, "display_name": "Shöwn", "description": "*about* it"}
    raw = summary_pb2.Summary.Value(tag="forwarded", simple_value=3.5)
    layout = Category(
        "losses", (Chart("both", ("loss/a", "loss/b")), Chart("band", margin=(("loss", "low", "high"),))), closed=True
    )
    table = Embedding(
        tag_name("words"), MATRIX, (("a", "1"), ("ö", "2"), ("c", "")), ("word", "n"), picture("red", (8, 8)), (4, 4), **at
    )
    return {
        "text": Text(tag_name("note"), "hi *there*", **named),
        "histogram": Histogram(tag_name("weights"), buckets=TWO_BUCKETS, **named),
        "image": Image(tag_name("image"), (picture("red"),), **named),
        "jpeg": Image(tag_name("jpeg"), (picture("blue", kind="JPEG"),), **at),
        "images": Image(tag_name("images"), (picture("red"), picture("green"), picture("blue")), **named),
        "video": Image(tag_name("video"), (film(),), **at),
        "audio": Audio(tag_name("voice"), (sound(),), **named),
        "clips": Audio(tag_name("voices"), (sound(), sound(50, 16000, 2)), **at),
        "pr_curve": PrCurve(tag_name("curve"), curve_table(), **named),
        "mesh": Mesh(tag_name("body"), VERTICES, COLORS, FACES, '{"camera": {"fov": 75}}', **named),
        "cloud": Mesh(tag_name("cloud"), VERTICES, **at),
        "embedding": table,
        "labels": Embedding(tag_name("labels"), MATRIX, (("x",), ("y",), ("z",)), **at),
        "graph": Graph(graph_def().SerializeToString(), **at),
        "run_metadata": RunMetadata(tag_name("profile"), run_metadata().SerializeToString(), **at),
        "hparams": HParams({"lr": 0.1, "name": "sgd", "flag": True, "depth": 3}, ("loss",), "group", "success", **at),
        "custom_scalars": CustomScalars((layout,), **at),
        "tensor": Tensor(tag_name("numbers"), "int64", (2, 1), np.array([7, -8], "<i8").tobytes(), plugin_name="mine", **at),
        "strings": Tensor(tag_name("cells"), "string", (2,), strings=(b"one", b"two"), plugin_name="text", **named),
        "raw": RawValue(raw.SerializeToString(), **named),
    }
