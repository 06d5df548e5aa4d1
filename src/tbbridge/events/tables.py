"""The records of tensors: curves, meshes, hyperparameters, layouts, and values that were made elsewhere.

Each in the form that both of TensorBoard's readers show fully. Pure: bytes out.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tbbridge.events import event_pb2 as pb
from tbbridge.events.tfrecord import frame
from tbbridge.events.values import describe, event_of, set_shape
from tbbridge.foreign import plugins_pb2
from tbbridge.model import CustomScalars, HParams, Mesh, PrCurve, RawValue, Tensor

_DATA_TYPES: Final = {
    "float32": pb.DT_FLOAT,
    "float64": pb.DT_DOUBLE,
    "float16": pb.DT_HALF,
    "bfloat16": pb.DT_BFLOAT16,
    "int8": pb.DT_INT8,
    "int16": pb.DT_INT16,
    "int32": pb.DT_INT32,
    "int64": pb.DT_INT64,
    "uint8": pb.DT_UINT8,
    "uint16": pb.DT_UINT16,
    "uint32": pb.DT_UINT32,
    "uint64": pb.DT_UINT64,
    "bool": pb.DT_BOOL,
    "complex64": pb.DT_COMPLEX64,
    "complex128": pb.DT_COMPLEX128,
    "string": pb.DT_STRING,
}
_STATUS: Final = {
    "success": plugins_pb2.STATUS_SUCCESS,
    "failure": plugins_pb2.STATUS_FAILURE,
    "running": plugins_pb2.STATUS_RUNNING,
}
_SESSION_END: Final = "_hparams_/session_end_info"


def encode_pr_curve(curve: PrCurve, *, described: bool) -> bytes:
    """One record: a float tensor [6, N]."""
    event = event_of(curve)
    value = event.summary.value.add(tag=curve.tag)
    if not described:
        content = plugins_pb2.PrCurvePluginData(num_thresholds=curve.table.shape[1])
        describe(value, curve, "pr_curves", content.SerializeToString())
    _set_array(value.tensor, pb.DT_FLOAT, curve.table.astype("<f4"))
    return frame(event.SerializeToString())


def encode_mesh(mesh: Mesh) -> bytes:
    """One record with a value for each part: vertices, faces, colours, under tags of their own that share the mesh's name.

    Each carries its metadata every time: a part may join later than the first one, and the readers ignore what they know.
    """
    event = event_of(mesh)
    content = plugins_pb2.MeshPluginData
    parts: list[tuple[str, plugins_pb2.MeshPluginData.ContentType, pb.DataType, NDArray[np.generic]]] = [
        ("VERTEX", content.VERTEX, pb.DT_FLOAT, mesh.vertices.astype("<f4", copy=False))
    ]
    if mesh.faces is not None:
        parts.append(("FACE", content.FACE, pb.DT_INT32, mesh.faces.astype("<i4", copy=False)))
    if mesh.colors is not None:
        parts.append(("COLOR", content.COLOR, pb.DT_UINT8, mesh.colors.astype("u1", copy=False)))
    components = sum(1 << kind for _, kind, _, _ in parts)
    for name, kind, data_type, array in parts:
        value = event.summary.value.add(tag=f"{mesh.tag}_{name}")
        said = content(name=mesh.tag, content_type=kind, json_config=mesh.config, shape=array.shape, components=components)
        describe(value, mesh, "mesh", said.SerializeToString())
        _set_array(value.tensor, data_type, array)
    return frame(event.SerializeToString())


def encode_hparams(hparams: HParams) -> bytes:
    """One record: the start of a session, and its end if the status is given.

    No experiment: TensorBoard takes one of them for all runs, and hyperparameters that this one does not name are lost; without
    any, it gathers them from all runs. Only the metadata matters, so each record has it: the readers keep the first.
    """
    event = event_of(hparams)
    start = plugins_pb2.SessionStartInfo(group_name=hparams.group_name, start_time_secs=event.wall_time)
    for name in sorted(hparams.values):  # a map has no order of its own; the bytes need one
        said = hparams.values[name]
        if isinstance(said, bool):
            start.hparams[name].bool_value = said
        elif isinstance(said, str):
            start.hparams[name].string_value = said
        else:
            start.hparams[name].number_value = said
    sessions = [(str(hparams.tag), plugins_pb2.HParamsPluginData(session_start_info=start))]
    if hparams.status is not None:
        end = plugins_pb2.SessionEndInfo(status=_STATUS[hparams.status], end_time_secs=event.wall_time)
        sessions.append((_SESSION_END, plugins_pb2.HParamsPluginData(session_end_info=end)))
    for tag, data in sessions:
        value = event.summary.value.add(tag=tag)
        describe(value, hparams, "hparams", data.SerializeToString(deterministic=True))
        value.tensor.dtype = pb.DT_FLOAT
        set_shape(value.tensor, 0)
    return frame(event.SerializeToString())


def encode_custom_scalars(layout: CustomScalars, *, described: bool) -> bytes:
    """One record: a string tensor of rank 0, the Layout."""
    event = event_of(layout)
    value = event.summary.value.add(tag=layout.tag)
    if not described:
        describe(value, layout, "custom_scalars")
    message = plugins_pb2.Layout()
    for category in layout.categories:
        added = message.category.add(title=category.title, closed=category.closed)
        for chart in category.charts:
            drawn = added.chart.add(title=chart.title)
            if chart.multiline:
                drawn.multiline.tag.extend(chart.multiline)
            for middle, lower, upper in chart.margin:
                drawn.margin.series.add(value=middle, lower=lower, upper=upper)
    value.tensor.dtype = pb.DT_STRING
    set_shape(value.tensor)
    value.tensor.string_val.append(message.SerializeToString())
    return frame(event.SerializeToString())


def encode_tensor(tensor: Tensor, *, described: bool) -> bytes:
    """One record: the tensor as it came."""
    event = event_of(tensor)
    value = event.summary.value.add(tag=tensor.tag)
    if not described:
        describe(value, tensor, tensor.plugin_name, tensor.plugin_content, _class_of(tensor.plugin_name))
    value.tensor.dtype = _DATA_TYPES[tensor.dtype]
    set_shape(value.tensor, *tensor.shape)
    value.tensor.tensor_content = tensor.content
    value.tensor.string_val.extend(tensor.strings)
    return frame(event.SerializeToString())


def encode_raw(raw: RawValue) -> bytes:
    """One record: the value as it came, its metadata with it."""
    event = event_of(raw)
    value = event.summary.value.add()
    value.MergeFromString(raw.value)
    if (raw.display_name or raw.description) and not value.metadata.plugin_data.plugin_name:
        describe(value, raw, raw.plugin_name, data_class=_class_of(raw.plugin_name))  # without, no reader shows the name
    if raw.display_name:
        value.metadata.display_name = raw.display_name
    if raw.description:
        value.metadata.summary_description = raw.description
    return frame(event.SerializeToString())


def _class_of(plugin_name: str) -> pb.DataClass:
    if plugin_name == "scalars":
        return pb.DATA_CLASS_SCALAR
    return pb.DATA_CLASS_BLOB_SEQUENCE if plugin_name in ("images", "audio", "graphs") else pb.DATA_CLASS_TENSOR


def _set_array(tensor: pb.TensorProto, data_type: pb.DataType, array: NDArray[np.generic]) -> None:
    tensor.dtype = data_type
    set_shape(tensor, *array.shape)
    tensor.tensor_content = array.tobytes()
