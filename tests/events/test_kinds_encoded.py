"""The records of every kind as TensorBoard's own classes read them, and an embedding's files."""

from __future__ import annotations

import string
from functools import partial

import numpy as np
import pytest
from frames import frames_of
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from one_of_each import FACES, MATRIX, VERTICES, film, one_of_each, picture, sound
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary as Theirs
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tensorboard.plugins.mesh.plugin_data_pb2 import MeshPluginData
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from tensorboard.util import tensor_util

from tbbridge.events.embeddings import encode_embedding
from tbbridge.events.encode import encode_run
from tbbridge.model import Embedding, HParams, Mesh, RawValue, RunBatch, RunName, ScalarColumns, Summary, TagName, tag_name

WALL_TIME = 1.5e9
KINDS = one_of_each()


def events_of(data: bytes) -> list[Event]:
    return [Event.FromString(frame.payload.tobytes()) for frame in frames_of(data)]


def encoded(*summaries: Summary, described: frozenset[str] = frozenset()) -> list[Event]:
    return events_of(bytes(encode_run(RunBatch(RunName("r"), (), summaries), described)))


# name -> plugin, data class, content of its metadata; what comes outside a summary or in another's form is tested below.
METADATA = {
    "text": ("text", 2, b""),
    "histogram": ("histograms", 2, b""),
    "image": ("images", 3, b""),
    "images": ("images", 3, b""),
    "audio": ("audio", 3, b"\x10\x0b"),
    "clips": ("audio", 3, b"\x10\x0b"),
    "pr_curve": ("pr_curves", 2, b"\x10\x0b"),
    "custom_scalars": ("custom_scalars", 2, b""),
    "tensor": ("mine", 2, b""),
    "strings": ("text", 2, b""),
    "raw": ("scalars", 1, b""),
}


@pytest.mark.parametrize(("name", "metadata"), METADATA.items())
def test_the_first_value_of_a_tag_says_what_it_is(name: str, metadata: tuple[str, int, bytes]) -> None:
    summary = KINDS[name]
    (event,) = encoded(summary)
    (value,) = event.summary.value
    said = value.metadata
    assert (event.step, event.wall_time, value.tag) == (3, WALL_TIME, summary.tag)
    assert (said.plugin_data.plugin_name, said.data_class, said.plugin_data.content) == metadata
    assert (said.display_name, said.summary_description) == (summary.display_name, summary.description)


@pytest.mark.parametrize("name", [name for name in METADATA if name != "raw"])
def test_later_values_of_a_tag_say_nothing(name: str) -> None:
    summary = KINDS[name]
    first, second = encoded(summary, summary)
    assert first.summary.value[0].HasField("metadata")
    assert not second.summary.value[0].HasField("metadata")
    first.summary.value[0].ClearField("metadata")
    assert first == second
    assert encoded(summary, described=frozenset([summary.tag])) == [second]


@pytest.mark.parametrize("name", list(KINDS))
def test_bytes_follow_from_the_value_alone(name: str) -> None:
    again = one_of_each()[name]
    batches = (RunBatch(RunName("r"), (), (summary,)) for summary in (KINDS[name], again))
    assert len({bytes(encode_run(batch, set())) for batch in batches}) == 1


@pytest.mark.parametrize("name", list(KINDS))
def test_what_is_not_settled_is_refused(name: str) -> None:
    summary = one_of_each(None, None)[name]
    encode = partial(encode_embedding, summary, "folder") if isinstance(summary, Embedding) else partial(encoded, summary)
    with pytest.raises(ValueError, match="settle"):
        encode()


def only_value(name: str) -> Theirs.Value:
    (event,) = encoded(KINDS[name])
    (value,) = event.summary.value
    return value


def test_one_picture_and_one_sound_stand_in_their_own_fields() -> None:
    image = only_value("image").image
    assert (image.width, image.height, image.colorspace, image.encoded_image_string) == (4, 3, 3, picture("red"))
    assert only_value("video").image.encoded_image_string == film()
    audio = only_value("audio").audio
    assert (audio.sample_rate, audio.num_channels, audio.length_frames, audio.content_type) == (8000, 1, 100, "audio/wav")
    assert audio.encoded_audio_string == sound()


def test_several_pictures_or_sounds_are_strings() -> None:
    pictures = tensor_util.make_ndarray(only_value("images").tensor)
    assert pictures.tolist() == [b"4", b"3", *(picture(color) for color in ("red", "green", "blue"))]
    assert tensor_util.make_ndarray(only_value("clips").tensor).tolist() == [sound(), sound(50, 16000, 2)]


def test_tensors_keep_type_and_shape() -> None:
    numbers = tensor_util.make_ndarray(only_value("tensor").tensor)
    assert (numbers.dtype, numbers.tolist()) == (np.int64, [[7], [-8]])
    assert tensor_util.make_ndarray(only_value("strings").tensor).tolist() == [b"one", b"two"]
    curve = tensor_util.make_ndarray(only_value("pr_curve").tensor)
    assert (curve.dtype, curve.shape) == (np.float32, (6, 11))


def test_a_layout_is_one_string() -> None:
    (layout,) = tensor_util.make_ndarray(only_value("custom_scalars").tensor).reshape(-1).tolist()
    message = Layout.FromString(layout)
    assert [(chart.title, chart.WhichOneof("content")) for chart in message.category[0].chart] == [
        ("both", "multiline"),
        ("band", "margin"),
    ]


def test_graphs_stand_in_fields_of_the_event() -> None:
    (graph,) = encoded(KINDS["graph"])
    (profile,) = encoded(KINDS["run_metadata"])
    assert graph.graph_def == KINDS["graph"].graph_def  # type: ignore[union-attr]
    assert profile.tagged_run_metadata.tag == "profile"
    assert profile.tagged_run_metadata.run_metadata == KINDS["run_metadata"].run_metadata  # type: ignore[union-attr]


def test_parts_of_a_mesh_say_what_they_are_each_time_since_one_may_join_later() -> None:
    points = Mesh(tag_name("m"), VERTICES, step=0, wall_time=WALL_TIME)
    faces = Mesh(tag_name("m"), VERTICES, faces=FACES, step=1, wall_time=WALL_TIME)
    first, second = encoded(points, faces)
    assert [value.tag for event in (first, second) for value in event.summary.value] == ["m_VERTEX", "m_VERTEX", "m_FACE"]
    said = [MeshPluginData.FromString(value.metadata.plugin_data.content) for value in second.summary.value]
    assert [(one.name, one.content_type, one.components, list(one.shape)) for one in said] == [
        ("m", MeshPluginData.VERTEX, 6, [1, 4, 3]),
        ("m", MeshPluginData.FACE, 6, [1, 2, 3]),
    ]


def test_a_session_starts_and_ends_with_its_wall_time() -> None:
    (event,) = encoded(KINDS["hparams"])
    start, end = event.summary.value
    assert [start.tag, end.tag] == ["_hparams_/session_start_info", "_hparams_/session_end_info"]
    started = HParamsPluginData.FromString(start.metadata.plugin_data.content).session_start_info
    assert (started.group_name, started.start_time_secs) == ("group", WALL_TIME)
    assert {name: value.WhichOneof("kind") for name, value in started.hparams.items()} == {
        "lr": "number_value",
        "depth": "number_value",
        "name": "string_value",
        "flag": "bool_value",
    }
    ended = HParamsPluginData.FromString(end.metadata.plugin_data.content).session_end_info
    assert (ended.status, ended.end_time_secs) == (1, WALL_TIME)
    assert tensor_util.make_ndarray(start.tensor).shape == (0,)


def test_a_session_goes_on_until_a_status_comes() -> None:
    (event,) = encoded(HParams({"lr": 1}, step=0, wall_time=WALL_TIME))
    assert [value.tag for value in event.summary.value] == ["_hparams_/session_start_info"]


def test_a_forwarded_value_keeps_what_it_says() -> None:
    value = Theirs.Value(tag="t", simple_value=1.0)
    value.metadata.plugin_data.plugin_name = "scalars"
    value.metadata.display_name = "theirs"
    value.metadata.summary_description = "about"
    (event,) = encoded(RawValue(value.SerializeToString(), step=0, wall_time=WALL_TIME))
    assert event.summary.value[0] == value
    (renamed,) = encoded(RawValue(value.SerializeToString(), step=0, wall_time=WALL_TIME, display_name="ours"))
    metadata = renamed.summary.value[0].metadata
    assert (metadata.display_name, metadata.summary_description) == ("ours", "about")


# --- names of scalars -------------------------------------------------------------------------------------------------


def named(tag: str, count: int, name: str = "Loss") -> ScalarColumns:
    steps = np.arange(count)
    return ScalarColumns(TagName(tag), steps / 2, steps, WALL_TIME + steps, name, "about")


@pytest.mark.parametrize("count", [1, 2, 500])
def test_the_first_point_of_a_named_series_says_its_name(count: int) -> None:
    batch = RunBatch(RunName("r"), (named("plain", count, ""), named("loss", count)))
    events = events_of(bytes(encode_run(batch, set())))
    points: dict[str, list[tuple[int, float]]] = {}
    for event in events:
        (value,) = event.summary.value
        points.setdefault(value.tag, []).append((event.step, value.simple_value))
        if event.step == 0:
            assert (value.metadata.plugin_data.plugin_name, value.metadata.data_class) == ("scalars", 1)
            assert value.metadata.display_name == ("Loss" if value.tag == "loss" else "")
        else:
            assert not value.HasField("metadata")
    assert points == {tag: [(step, step / 2) for step in range(count)] for tag in ("plain", "loss")}


def test_a_name_that_comes_after_the_first_point_is_left_out() -> None:
    with_name = encode_run(RunBatch(RunName("r"), (named("loss", 3),)), {"loss"})
    steps = np.arange(3)
    without = ScalarColumns(TagName("loss"), steps / 2, steps, WALL_TIME + steps)
    assert with_name == encode_run(RunBatch(RunName("r"), (without,)), {"loss"})


# --- embeddings -------------------------------------------------------------------------------------------------------


def test_an_embedding_makes_no_record() -> None:
    assert encoded(KINDS["embedding"]) == []


def test_numbers_of_an_embedding_come_back_as_they_were() -> None:
    rng = np.random.default_rng(0)
    matrix = np.concatenate([rng.standard_normal((50, 3)), MATRIX[:, :1] * [[1, 1e-30, 1e-45]]]).astype(np.float32)
    files = encode_embedding(Embedding(tag_name("t"), matrix, step=0, wall_time=0.0), "f")
    ((name, content),) = files.files
    assert name == "f/tensors.tsv"
    back = np.array([[np.float32(cell) for cell in line.split("\t")] for line in content.decode().splitlines()])
    assert np.array_equal(back, matrix)


@given(tag=st.text(string.printable + 'ünïコ"\\\0\x1f', min_size=1, max_size=30), step=st.integers(-(2**63), 2**63 - 1))
def test_any_name_survives_the_list_of_embeddings(tag: str, step: int) -> None:
    one = Embedding(tag_name(tag), MATRIX, step=step, wall_time=0.0)
    two = Embedding(tag_name("plain"), MATRIX, (("a",),) * 3, sprite=picture("red"), sprite_size=(1, 1), step=0, wall_time=0.0)
    text = encode_embedding(one, "f/1").config + encode_embedding(two, "f/2").config
    config = text_format.Parse(text.decode("ascii"), ProjectorConfig())
    first, second = config.embeddings
    assert (first.tensor_name, first.tensor_path, first.metadata_path) == (f"{tag}:{step:05d}", "f/1/tensors.tsv", "")
    assert (second.metadata_path, second.sprite.image_path) == ("f/2/metadata.tsv", "f/2/sprite.png")
    assert list(second.sprite.single_image_dim) == [1, 1]
