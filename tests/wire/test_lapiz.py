"""lapiz's body: the summaries of one step, and every one of them that is wrong named."""

from __future__ import annotations

import io
import json
import wave
from base64 import b64encode
from typing import Any

import numpy as np
import PIL.Image as Pillow
import pytest
from one_of_each import picture, sound

from tbbridge.errors import InvalidBatch, InvalidItem, MalformedBody
from tbbridge.model import Audio, Histogram, Image
from tbbridge.wire import lapiz

RUN = lapiz.run_of("run0,lr=1e-3,lambda=1e-1")
HISTO = {"min": -1.0, "max": 2.0, "num": 4, "sum": 3.0, "sum_squares": 9.0, "bucket_limit": [0.0, 2.0], "bucket": [1, 3]}


def decode(*summaries: Any, **head: Any):
    body = {"wall_time": 1501914380.78, "step": 1, "summaries": list(summaries), **head}
    return lapiz.decode_summaries(RUN, json.dumps(body).encode())


def only(*summaries: Any, **head: Any):
    (run,) = decode(*summaries, **head).runs
    assert run.run == "run0,lr=1e-3,lambda=1e-1"
    return run


def item(kind: str, **fields: Any) -> dict[str, Any]:
    return {"tag": "t", "type": kind, **fields}


def test_a_step_of_several_summaries_is_one_batch_with_its_step_and_time():
    run = only(
        {"tag": "accuracy", "type": "scalar", "value": 0.8},
        {"tag": "loss", "type": "scalar", "value": 3},
        {"tag": "w", "type": "histogram", "weights": [1.0, 2.0], "histo": None},
    )
    assert [(column.tag, column.values.tolist(), column.steps.tolist()) for column in run.scalars] == [
        ("accuracy", [0.8], [1]),
        ("loss", [3.0], [1]),
    ]
    assert [column.wall_times.tolist() for column in run.scalars] == [[1501914380.78]] * 2
    (histogram,) = run.summaries
    assert (histogram.tag, histogram.step, histogram.wall_time) == ("w", 1, 1501914380.78)
    assert histogram.values.tolist() == [1.0, 2.0]


def test_two_values_of_one_tag_are_both_kept_in_order():
    (column,) = only(item("scalar", value=1), item("scalar", value=2)).scalars
    assert (column.values.tolist(), column.steps.tolist()) == ([1.0, 2.0], [1, 1])


@pytest.mark.parametrize("weights", [[1, 2.5, 3, 4], [[1, 2.5], [3, 4]], [[[1], [2.5]], [[3], [4]]]])
def test_weights_of_any_shape_are_flattened(weights):
    (histogram,) = only(item("histogram", weights=weights)).summaries
    assert isinstance(histogram, Histogram)
    assert histogram.values.tolist() == [1, 2.5, 3, 4]


def test_a_ready_histogram_keeps_its_buckets():
    (histogram,) = only(item("histogram", weights=None, histo=HISTO)).summaries
    assert isinstance(histogram, Histogram)
    buckets = histogram.buckets
    assert (buckets.lefts.tolist(), buckets.rights.tolist(), buckets.counts.tolist()) == ([-1, 0], [0, 2], [1, 3])


def pixels_of(image: Image) -> np.ndarray:
    return np.asarray(Pillow.open(io.BytesIO(image.images[0])))


@pytest.mark.parametrize("field", ["image", "img"])
@pytest.mark.parametrize(
    ("array", "pixels"),
    [
        ([[0, 255], [128, 7]], [[0, 255], [128, 7]]),  # bytes
        ([[0.0, 1.0], [0.2, 0.4]], [[0, 255], [51, 102]]),  # floats
        ([[0, 1], [1, 0]], [[0, 255], [255, 0]]),  # floats that happen to be whole
        ([[[255, 0, 0]], [[0, 255, 0]]], [[[255, 0, 0]], [[0, 255, 0]]]),  # HWC
    ],
)
def test_an_image_comes_as_nested_lists(array, pixels, field):
    (image,) = only(item("image", **{field: array})).summaries
    assert isinstance(image, Image)
    assert (image.tag, image.step) == ("t", 1)
    assert pixels_of(image).tolist() == pixels


def test_an_image_comes_as_base64_of_a_file_and_is_kept_as_it_is():
    (image,) = only(item("image", image=b64encode(picture("red")).decode())).summaries
    assert image.images == (picture("red"),)


@pytest.mark.parametrize("field", ["audio", "waveform"])
@pytest.mark.parametrize(("samples", "channels"), [([0, 1, -1, 0.5], 1), ([[0.0, 1.0], [0.5, -0.5], [0, 0]], 2)])
def test_audio_comes_as_samples(samples, channels, field):
    (audio,) = only(item("audio", **{field: samples}, sample_rate=8000)).summaries
    assert isinstance(audio, Audio)
    with wave.open(io.BytesIO(audio.clips[0])) as read:
        assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (channels, 8000, len(samples))
        found = np.frombuffer(read.readframes(read.getnframes()), "<i2") / 32767
    assert np.allclose(found, np.ravel(samples), atol=1e-4)


def test_audio_is_44100_hz_unless_it_says_otherwise():
    (audio,) = only(item("audio", waveform=[0.0, 0.1])).summaries
    with wave.open(io.BytesIO(audio.clips[0])) as read:
        assert read.getframerate() == 44100


def test_audio_comes_as_base64_of_a_wav_and_is_kept_as_it_is():
    (audio,) = only(item("audio", audio=b64encode(sound()).decode())).summaries
    assert audio.clips == (sound(),)


def test_nothing_to_write_is_no_run():
    assert decode().runs == ()


def test_step_and_time_may_be_left_out():
    run = lapiz.decode_summaries(RUN, json.dumps({"summaries": [item("scalar", value=1)]}).encode()).runs[0]
    assert (run.scalars[0].steps, run.scalars[0].wall_times) == (None, None)


BAD = {
    "unknown type": (item("smell"), 'type: type is the text "smell"; send one of scalar, histogram, image, audio'),
    "no type": ({"tag": "t", "value": 1}, "type is missing"),
    "no tag": ({"type": "scalar", "value": 1}, "tag is null; send a text"),
    "empty tag": ({"tag": "", "type": "scalar", "value": 1}, "the tag is empty"),
    "tag of 10 kB": ({"tag": "t" * 10_000, "type": "scalar", "value": 1}, "at most 1024 bytes"),
    "not an object": ("scalar", "a summary is an object, this is the text"),
    "no value": (item("scalar"), "value: value is null; send a number"),
    "text for a value": (item("scalar", value="0.8"), "value is the text"),
    "unknown field": (item("scalar", value=1, step=3), 'the text "step" is no field of this type; it has tag, type, value'),
    "neither weights nor histo": (item("histogram", weights=None, histo=None), "weights or histo is wanted and neither came"),
    "weights and histo": (item("histogram", weights=[1], histo=HISTO), "both came"),
    "texts among weights": (item("histogram", weights=[1, "x"]), 'weights holds the text "x" among its numbers'),
    "null among weights": (item("histogram", weights=[1, None]), "weights holds null among its numbers"),
    "uneven weights": (item("histogram", weights=[[1, 2], [3]]), "weights"),
    "weights of two depths": (item("histogram", weights=[[1, 2], 3]), "weights holds a list among its numbers"),
    "weights are a number": (item("histogram", weights=3), "weights is 3; send a list of numbers"),
    "histo is a list": (item("histogram", histo=[1]), "histo is a list; send a HistogramProto dictionary"),
    "histo lacks a key": (item("histogram", histo={"min": 0, "max": 1, "bucket": [1]}), "lacks bucket_limit"),
    "histo has another key": (item("histogram", histo={**HISTO, "mean": 1}), 'histo has the text "mean"'),
    "histo out of order": (item("histogram", histo={**HISTO, "bucket_limit": [2.0, 0.0]}), "sort the buckets"),
    "no image": (item("image"), "image is wanted once"),
    "two images": (item("image", image=[[0]], img=[[0]]), "image is wanted once"),
    "image of one dimension": (item("image", image=[1, 2, 3]), "shape (3,)"),
    "image far out of range": (item("image", image=[[0.0, 300.5]]), "300.5"),
    "image is no base64": (item("image", image="%%%"), "the text is not base64"),
    "image is no picture": (item("image", image=b64encode(b"<svg/>").decode()), "images[0]"),
    "no audio": (item("audio"), "audio is wanted once"),
    "audio out of range": (item("audio", audio=[0, 30000]), "goes from 0 to 30000"),
    "audio without a rate": (item("audio", audio=[0.0], sample_rate=0), "sample_rate"),
    "audio is no WAV": (item("audio", audio=b64encode(b"ID3").decode()), "WAV"),
}


@pytest.mark.parametrize(("wrong", "says"), BAD.values(), ids=BAD.keys())
def test_a_summary_that_is_wrong_refuses_the_step_and_is_named(wrong, says):
    with pytest.raises(InvalidBatch) as raised:
        decode(item("scalar", value=1), wrong)
    (error,) = raised.value.errors
    assert error.path.startswith("summaries[1]")
    assert says in raised.value.message


def test_all_that_are_wrong_are_listed():
    with pytest.raises(InvalidBatch) as raised:
        decode(item("smell"), item("scalar", value=1), item("scalar"))
    assert [error.path for error in raised.value.errors] == ["summaries[0].type", "summaries[2].value"]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is empty"),
        (b"{", "not JSON"),
        (b"[]", "the body is a list; send {"),
        (b"{}", "summaries is null; send a list"),
        (b'{"summaries": {}}', "summaries is an object"),
        (b'{"summaries": [], "steps": 1}', 'the text "steps" is no field here'),
        (b'{"summaries": [], "step": 1.5}', "step is 1.5; send a whole number"),
        (b'{"summaries": [], "step": "1"}', "step is the text"),
        (b'{"summaries": [], "wall_time": NaN}', "wall_time is nan"),
        (b'{"summaries": [], "wall_time": "now"}', "wall_time is the text"),
    ],
)
def test_a_body_that_is_no_step_is_refused(body, says):
    with pytest.raises((InvalidItem, MalformedBody)) as raised:
        lapiz.decode_summaries(RUN, body)
    assert says in raised.value.message


@pytest.mark.parametrize("name", ["", "../up", "a//b", "a\nb", "x" * 10_000])
def test_a_name_that_cannot_be_is_refused_naming_the_rule(name):
    with pytest.raises(InvalidItem, match="the run's name: "):
        lapiz.run_of(name)
