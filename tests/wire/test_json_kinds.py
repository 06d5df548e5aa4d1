"""Every kind as JSON: what it becomes, and what is said of one that is wrong."""

from __future__ import annotations

import io
import json
import tracemalloc
import wave
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from one_of_each import MATRIX, VERTICES, curve_table, graph_def, one_of_each, picture, sound
from PIL import Image as Pillow

from tbbridge.errors import InvalidBatch
from tbbridge.model import Audio, HParams, Image, PrCurve, ScalarColumns, Summary, Tensor
from tbbridge.wire import json_v1
from tbbridge.wire import json_v1_schema as schema

COUNTS = dict(
    zip(
        ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall"),
        curve_table().tolist(),
        strict=True,
    )
)


def text_of(raw: bytes) -> str:
    return b64encode(raw).decode()


def taken(kind: str, **fields: Any) -> Summary:
    """The one summary of a body that is right."""
    collected = json_v1.decode_batch(json.dumps({"runs": [{"run": "r", "summaries": [{"kind": kind, **fields}]}]}).encode())
    (summary,) = collected.batch.runs[0].summaries
    return summary


PIXELS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 8, 7]]], np.uint8)


@pytest.mark.parametrize(
    ("array", "dataformats"),
    [
        (PIXELS.tolist(), None),
        (PIXELS.tolist(), "HWC"),
        (PIXELS.transpose(2, 0, 1).tolist(), "CHW"),
        ((PIXELS / 255).tolist(), "HWC"),
    ],
)
def test_an_array_becomes_a_picture(array: list[Any], dataformats: str | None) -> None:
    fields = {} if dataformats is None else {"dataformats": dataformats}
    made = taken("image", tag="t", array=array, **fields)
    assert isinstance(made, Image)
    shown = np.asarray(Pillow.open(io.BytesIO(made.images[0])))
    assert np.abs(shown.astype(int) - PIXELS).max() <= 1


@pytest.mark.parametrize(
    ("samples", "channels"), [([0, 1, -1, 0.5], 1), ([[0, 0], [1, -1], [0, 0], [0, 0]], 2), ([0, 1, 0, 1], 1)]
)
def test_samples_become_a_wav_whose_loudest_is_one(samples: list[Any], channels: int) -> None:
    made = taken("audio", tag="t", samples=samples, sample_rate=8000)
    assert isinstance(made, Audio)
    with wave.open(io.BytesIO(made.clips[0])) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes(), file.getsampwidth()) == (8000, channels, 4, 2)
        heard = np.frombuffer(file.readframes(4), "<i2").reshape(np.shape(samples))
    assert heard.tolist() == np.rint(np.array(samples) * 32767).astype(int).tolist()


def test_a_curve_is_counted_from_labels_or_taken_as_counted() -> None:
    counted = taken("pr_curve", tag="t", labels=[1, 0, True], predictions=[0.9, 0.2, 1], num_thresholds=3)
    assert isinstance(counted, PrCurve)
    assert counted.table[:4].tolist() == [[2, 2, 1], [1, 0, 0], [0, 1, 1], [0, 0, 1]]
    given = taken("pr_curve", tag="t", **COUNTS)
    assert isinstance(given, PrCurve)
    assert np.array_equal(given.table, curve_table())


@pytest.mark.parametrize(
    ("fields", "dtype", "shape", "values"),
    [
        ({"values": [[1, 2], [3, 4]]}, "int64", (2, 2), [1, 2, 3, 4]),
        ({"values": [1, 2.5]}, "float64", (2,), [1, 2.5]),
        ({"values": [1, 2], "dtype": "float32"}, "float32", (2,), [1, 2]),
        ({"values": [True, False]}, "bool", (2,), [True, False]),
        ({"content": text_of(b"\1\2"), "dtype": "uint8", "shape": [2, 1]}, "uint8", (2, 1), [1, 2]),
    ],
)
def test_tensors(fields: dict[str, Any], dtype: str, shape: tuple[int, ...], values: list[Any]) -> None:
    made = taken("tensor", tag="t", **fields)
    assert isinstance(made, Tensor)
    assert (made.dtype, made.shape) == (dtype, shape)
    assert np.frombuffer(made.content, dtype).tolist() == values


def test_numbers_that_json_has_not_are_texts_in_hyperparameters_too() -> None:
    made = taken("hparams", values={"name": "adam", "lr": 1, "flag": False})
    assert isinstance(made, HParams)
    assert dict(made.values) == {"name": "adam", "lr": 1.0, "flag": False}
    assert [type(value) for value in made.values.values()] == [str, float, bool]


def test_names_of_scalars_come_with_their_column() -> None:
    row = {"kind": "scalar", "tag": "a", "value": 1, "description": "about"}
    body = {
        "runs": [
            {
                "run": "r",
                "scalars": [{"tag": "b", "values": [1], "display_name": "B"}],
                "summaries": [{**row, "display_name": "A"}, {"kind": "scalar", "tag": "a", "value": 2}],
            }
        ]
    }
    columns: dict[str, ScalarColumns] = {
        column.tag: column for column in json_v1.decode_batch(json.dumps(body).encode()).batch.runs[0].scalars
    }
    assert (columns["a"].display_name, columns["a"].description, len(columns["a"].values)) == ("A", "about", 2)
    assert (columns["b"].display_name, columns["b"].description) == ("B", "")


def test_every_kind_of_the_model_can_be_sent() -> None:
    """The example bodies together make every class of summary."""
    body = json.dumps({"runs": [{"run": "r", "summaries": schema.RUN_EXAMPLE["summaries"]}]}).encode()
    made = {type(summary) for summary in json_v1.decode_batch(body).batch.runs[0].summaries}
    assert made == {type(summary) for summary in one_of_each().values()}


PNG = text_of(picture("red"))
WAV = text_of(sound())
GRAPH = text_of(graph_def().SerializeToString())
BAD: list[tuple[dict[str, Any], str, str, str]] = [
    ({"kind": "image", "tag": "t"}, "images", "missing", "neither came"),
    ({"kind": "image", "tag": "t", "images": [PNG], "array": [[0]]}, "images", "missing", "both came"),
    ({"kind": "image", "tag": "t", "images": [PNG, "not base64!"]}, "images[1]", "base64", "standard alphabet"),
    ({"kind": "image", "tag": "t", "images": [PNG, WAV]}, "images[1]", "image", "encode it as PNG"),
    ({"kind": "image", "tag": "t", "images": [3]}, "images[0]", "type", "3 came"),
    ({"kind": "image", "tag": "t", "images": []}, "images", "empty", "1 to 64"),
    ({"kind": "image", "tag": "t", "array": [[0, 300]]}, "array", "type", "0 to 255"),
    ({"kind": "image", "tag": "t", "array": [[0, 0.5, 1.7]]}, "array", "range", "divide numbers"),
    ({"kind": "image", "tag": "t", "array": [[0, 1], [1]]}, "array", "values", "array of numbers"),
    ({"kind": "image", "tag": "t", "array": [["0"]]}, "array", "values", "array of numbers"),
    ({"kind": "image", "tag": "t", "array": [[[[[0]]]]]}, "array", "shape", "NCHW or NHWC"),
    ({"kind": "image", "tag": "t", "array": [[0]], "dataformats": "XY"}, "array", "layout", "XY"),
    ({"kind": "image", "tag": "t", "image": PNG}, "image", "unknown-field", "known are kind"),
    ({"kind": "audio", "tag": "t", "samples": [0, 1]}, "sample_rate", "missing", "such as 44100"),
    ({"kind": "audio", "tag": "t", "samples": [0, 7], "sample_rate": 8000}, "samples", "range", "-1 to 1"),
    ({"kind": "audio", "tag": "t", "samples": [[0], [1, 1]], "sample_rate": 8000}, "samples", "type", "different lengths"),
    ({"kind": "audio", "tag": "t", "samples": ["x"], "sample_rate": 8000}, "samples", "type", "equal length"),
    ({"kind": "audio", "tag": "t", "samples": [0], "sample_rate": 0.5}, "samples", "sample-rate", "such as 44100"),
    ({"kind": "audio", "tag": "t", "clips": [PNG]}, "clips[0]", "audio", "encode it as WAV"),
    ({"kind": "pr_curve", "tag": "t", "labels": [1]}, "predictions", "missing", "'predictions' is missing"),
    ({"kind": "pr_curve", "tag": "t", "labels": [1], "predictions": [2]}, "predictions", "range", "sigmoid"),
    ({"kind": "pr_curve", "tag": "t", "labels": [1], "predictions": [1], **COUNTS}, "true_positives", "pr-curve", "one of"),
    ({"kind": "pr_curve", "tag": "t", "recall": [1]}, "true_positives", "missing", "or labels"),
    ({"kind": "pr_curve", "tag": "t", **COUNTS, "recall": [1]}, "true_positives", "length", "one of each"),
    ({"kind": "mesh", "tag": "t", "vertices": [[0, 0]]}, "vertices", "shape", "[how many, 3]"),
    ({"kind": "mesh", "tag": "t", "vertices": VERTICES.tolist(), "faces": [[0, 1, 9]]}, "faces", "mesh", "0 to 3"),
    ({"kind": "mesh", "tag": "t", "vertices": VERTICES.tolist(), "config": "{}"}, "config", "type", "an object"),
    ({"kind": "embedding", "tag": "t", "matrix": [[1], [2, 3]]}, "matrix", "values", "array of numbers"),
    (
        {"kind": "embedding", "tag": "t", "matrix": MATRIX.tolist()[:1], "metadata": ["a", "b"]},
        "metadata",
        "length",
        "1 points",
    ),
    ({"kind": "embedding", "tag": "t", "matrix": [[1]], "sprite_size": [1]}, "sprite_size", "length", "two numbers"),
    ({"kind": "graph", "graph_def": WAV}, "graph_def", "not-parseable", "GraphDef"),
    ({"kind": "graph", "tag": "t", "graph_def": GRAPH}, "tag", "unknown-field", "known are"),
    ({"kind": "run_metadata", "tag": "t", "run_metadata": PNG}, "run_metadata", "not-parseable", "RunMetadata"),
    ({"kind": "hparams", "values": {"a": None}}, "values.a", "hparams", "a number, a text"),
    ({"kind": "hparams", "values": {"a": [1]}}, "values.a", "hparams", "is a list"),
    ({"kind": "hparams", "values": {}, "status": "done"}, "status", "type", "known here"),
    ({"kind": "custom_scalars", "categories": [{"title": "a"}]}, "categories[0].charts", "missing", "add it"),
    (
        {"kind": "custom_scalars", "categories": [{"title": "a", "charts": [{"title": "b", "multline": ["c"]}]}]},
        "categories[0].charts[0].multline",
        "unknown-field",
        "spelling",
    ),
    ({"kind": "custom_scalars", "categories": [{"title": "a", "charts": [{"title": "b"}]}]}, "multiline", "layout", "exactly"),
    ({"kind": "tensor", "tag": "t", "values": [[1], [2, 3]]}, "values", "values", "array"),
    ({"kind": "tensor", "tag": "t", "values": [1.5], "dtype": "int8"}, "values", "tensor", "another dtype"),
    ({"kind": "tensor", "tag": "t", "values": [300], "dtype": "uint8"}, "values", "tensor", "another dtype"),
    ({"kind": "tensor", "tag": "t", "values": [1], "dtype": "float8"}, "values", "tensor", "one of"),
    ({"kind": "tensor", "tag": "t", "content": "AAAA"}, "dtype", "missing", "dtype and shape"),
    ({"kind": "tensor", "tag": "t", "content": "AAA=", "dtype": "int8", "shape": [3]}, "content", "length", "3 bytes"),
    ({"kind": "raw", "value": PNG}, "value", "not-parseable", "Summary.Value"),
    ({"kind": "text", "tag": "t", "text": "x", "display_name": "x" * 2000}, "display_name", "too-large", "shorten"),
]


@pytest.mark.parametrize(("item", "place", "code", "says"), BAD, ids=[f"{bad['kind']} {at} {code}" for bad, at, code, _ in BAD])
def test_a_wrong_item_is_named_and_with_partial_left_out_alone(item: dict[str, Any], place: str, code: str, says: str) -> None:
    good = {"kind": "text", "tag": "good", "text": "x"}
    body = json.dumps({"runs": [{"run": "r", "summaries": [item, good]}]}).encode()
    with pytest.raises(InvalidBatch) as raised:
        json_v1.decode_batch(body)
    (error,) = raised.value.errors
    assert (error.path, error.code) == (f"runs[0].summaries[0].{place}", code)
    assert says in error.message
    collected = json_v1.decode_batch(body, partial=True)
    assert [one.path for one in collected.rejected] == [error.path]
    assert [summary.tag for summary in collected.batch.runs[0].summaries] == ["good"]


WIDE: list[Any] = ["x" * 4000, *[""] * 100_000]


@pytest.mark.parametrize(
    ("item", "place"),
    [
        ({"kind": "image", "array": WIDE}, "array"),
        ({"kind": "audio", "samples": WIDE, "sample_rate": 8000}, "samples"),
        ({"kind": "audio", "samples": [0, *WIDE], "sample_rate": 8000}, "samples"),
        ({"kind": "pr_curve", "labels": WIDE, "predictions": [1]}, "labels"),
        ({"kind": "mesh", "vertices": [WIDE]}, "vertices"),
        ({"kind": "mesh", "vertices": VERTICES.tolist(), "colors": WIDE}, "colors"),
        ({"kind": "mesh", "vertices": VERTICES.tolist(), "faces": [[[0]], WIDE]}, "faces"),
        ({"kind": "embedding", "matrix": [[0], WIDE]}, "matrix"),
        ({"kind": "tensor", "values": [0, *WIDE]}, "values"),
        ({"kind": "tensor", "values": WIDE, "dtype": "float32"}, "values"),
        ({"kind": "tensor", "values": [0, *WIDE], "dtype": "string"}, "values"),
    ],
)
def test_texts_among_numbers_do_not_fill_the_memory(item: dict[str, Any], place: str) -> None:
    body = json.dumps({"runs": [{"run": "r", "summaries": [{"tag": "t", **item}]}]}).encode()
    tracemalloc.start()
    try:
        with pytest.raises(InvalidBatch) as raised:
            json_v1.decode_batch(body)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raised.value.errors[0].path == f"runs[0].summaries[0].{place}"
    assert most < 64 * 1024 * 1024


def test_a_tensor_of_texts_takes_one_long_text_among_many_short_ones() -> None:
    tracemalloc.start()
    try:
        made = taken("tensor", tag="t", values=WIDE)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(made, Tensor)
    assert (made.dtype, len(made.strings)) == ("string", len(WIDE))
    assert most < 64 * 1024 * 1024
