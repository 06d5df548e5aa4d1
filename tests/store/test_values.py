"""Values of any writer are taken apart, and no bytes whatever make it raise: they come from files of strangers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from one_of_each import picture, sound
from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

from tbbridge import limits
from tbbridge.events import event_pb2 as pb
from tbbridge.store import values
from tbbridge.store.values import StoredValue, array_of


def stored(value, step=3) -> StoredValue:
    return StoredValue(0, value.tag, step, 1.5, value.SerializeToString())


def ours(proto) -> pb.TensorProto:
    return pb.TensorProto.FromString(proto.SerializeToString())


@pytest.mark.parametrize(
    "dtype",
    [
        "float32",
        "float64",
        "float16",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint8",
        "uint16",
        "uint32",
        "uint64",
        "bool",
        "complex64",
        "complex128",
    ],
)
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (0,), (2, 0)])
def test_tensorboards_own_tensors_are_read_in_every_type_and_shape(dtype, shape):
    array = np.arange(int(np.prod(shape)), dtype=np.float64).reshape(shape).astype(dtype)
    found = array_of(ours(tensor_util.make_tensor_proto(array)))
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert np.array_equal(found, array)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int32", "int64", "uint8", "bool", "complex64"])
def test_numbers_in_fields_of_their_own_are_read_too(dtype):
    """tensor_content is the usual place, the other one that of small tensors and of older writers."""
    number = np.array([1], dtype)
    for name, number_of in (
        ("float_val", float),
        ("double_val", float),
        ("int_val", int),
        ("int64_val", int),
        ("bool_val", bool),
        ("scomplex_val", None),
    ):
        proto = tensor_pb2.TensorProto(dtype=tensor_util.make_tensor_proto(number).dtype)
        proto.tensor_shape.dim.add(size=1)
        if values._TYPES[proto.dtype][1] == name:
            getattr(proto, name).extend([1.0, 0.0] if number_of is None else [number_of(1)])
            assert array_of(ours(proto)).tolist() == number.tolist()
            break
    else:
        pytest.fail("no field")


def test_one_number_for_all_is_repeated_within_a_bound():
    proto = pb.TensorProto(dtype=pb.DT_FLOAT, float_val=[2.5])
    proto.tensor_shape.dim.add(size=3)
    assert array_of(proto).tolist() == [2.5] * 3
    proto.tensor_shape.dim.add(size=limits.TENSOR_REPEATED_MAX)
    assert array_of(proto) is None


def test_a_tensor_that_does_not_fill_its_shape_is_none():
    proto = pb.TensorProto(dtype=pb.DT_FLOAT, tensor_content=b"1234")
    for sizes in ((2,), (-1,), (2**62, 2**62), (0,), (1,) * 100):
        del proto.tensor_shape.dim[:]
        for size in sizes:
            proto.tensor_shape.dim.add(size=size)
        assert array_of(proto) is None
    proto.tensor_content = b""
    del proto.tensor_shape.dim[:]
    for size in (0, 2**62):
        proto.tensor_shape.dim.add(size=size)
    assert array_of(proto) is None


def test_labels_of_clips_are_left_out():
    """TensorBoard's older audio summaries: rows of clip and label."""
    value = pb.Summary.Value(tag="a")
    value.tensor.dtype = pb.DT_STRING
    value.tensor.tensor_shape.dim.add(size=2)
    value.tensor.tensor_shape.dim.add(size=2)
    value.tensor.string_val.extend([sound(10), b"first", sound(20), b"second"])
    assert [blob.content for blob in values.blobs(stored(value))] == [sound(10), sound(20)]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (picture("red"), "image/png"),
        (picture("red", kind="JPEG"), "image/jpeg"),
        (sound(), "audio/wav"),
        (b"<!DOCTYPE html><script>", "application/octet-stream"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'>", "application/octet-stream"),
        (b"GIF89a", "application/octet-stream"),
        (b"RIFF----WAVE", "application/octet-stream"),
        (b"", "application/octet-stream"),
        (picture("red", kind="BMP"), "application/octet-stream"),
    ],
)
def test_the_content_type_is_seen_from_the_bytes(content, kind):
    assert values.content_type(content) == kind


def test_an_experiment_of_hparams_names_its_metrics():
    data = plugin_data_pb2.HParamsPluginData()
    data.experiment.metric_infos.add().name.tag = "loss"
    value = summary_pb2.Summary.Value(tag="_hparams_/experiment")
    value.metadata.plugin_data.content = data.SerializeToString()
    assert values.hparams(stored(value)).metrics == ["loss"]


DTYPES = st.sampled_from(sorted(types_pb2.DataType.values())).filter(lambda dtype: dtype < 24)
NUMBERS = {
    "float_val": st.floats(width=32),
    "double_val": st.floats(),
    "int_val": st.integers(-(2**31), 2**31 - 1),
    "int64_val": st.integers(-(2**63), 2**63 - 1),
    "half_val": st.integers(-(2**31), 2**31 - 1),
    "bool_val": st.booleans(),
    "uint32_val": st.integers(0, 2**32 - 1),
    "uint64_val": st.integers(0, 2**64 - 1),
    "scomplex_val": st.floats(width=32),
    "dcomplex_val": st.floats(),
    "string_val": st.binary(max_size=20),
}


@st.composite
def any_value(draw) -> pb.Summary.Value:
    value = pb.Summary.Value(tag="t")
    value.metadata.plugin_data.content = draw(st.binary(max_size=30))
    form = draw(st.sampled_from(["image", "audio", "histo", "tensor", "nothing"]))
    if form == "image":
        value.image.encoded_image_string = draw(st.binary(max_size=60))
    elif form == "audio":
        value.audio.encoded_audio_string = draw(st.sampled_from([b"", b"RIFF", sound(1)[:40]]))
    elif form == "histo":
        value.histo.bucket_limit.extend(draw(st.lists(st.floats(), max_size=3)))
        value.histo.bucket.extend(draw(st.lists(st.floats(), max_size=3)))
    elif form == "tensor":
        value.tensor.dtype = draw(DTYPES)
        for size in draw(st.lists(st.integers(-1, 7) | st.just(2**62), max_size=3)):
            value.tensor.tensor_shape.dim.add(size=size)
        value.tensor.tensor_content = draw(st.just(b"") | st.binary(max_size=48))
        _, usual = values._TYPES.get(value.tensor.dtype, ("", "string_val"))
        for name in draw(st.sets(st.sampled_from([usual, "half_val", *NUMBERS]), max_size=3)):
            getattr(value.tensor, name).extend(draw(st.lists(NUMBERS[name], max_size=6)))
    return value


READERS = (
    values.histogram,
    values.texts,
    values.blobs,
    values.curve,
    values.tensor,
    values.hparams,
    values.layout,
    values.mesh_part,
)


@given(any_value())
def test_no_value_makes_a_reader_raise(value):
    for read in READERS:
        read(stored(value))


@given(st.integers(0, 12))
def test_hparams_of_a_status_that_nobody_knows_are_read(status):
    data = plugin_data_pb2.HParamsPluginData()
    data.session_end_info.SetInParent()
    raw = data.SerializeToString()
    value = pb.Summary.Value(tag="t")
    value.metadata.plugin_data.content = raw[:-1] + bytes([2, 0x08, status])
    assert isinstance(values.hparams(stored(value)).status, str)
