"""What the records of all kinds have in common: the event around a value, and the metadata of a tag's first value.

TensorBoard's readers look at the metadata of a tag's first value only, and never show a tag whose first tensor came without.
With the data class given, its data server keeps display name and description of plain values too.
"""

from __future__ import annotations

from tbbridge.events import event_pb2 as pb
from tbbridge.model import Summary


def event_of(summary: Summary) -> pb.Event:
    """An event with the summary's step and wall time. Raises ValueError if they are not settled."""
    if summary.step is None or summary.wall_time is None:
        raise ValueError(f"summary {summary.tag!a} has no step or no wall_time; settle the batch before encoding it")
    return pb.Event(wall_time=summary.wall_time, step=summary.step)


def describe(
    value: pb.Summary.Value,
    summary: Summary,
    plugin_name: str,
    content: bytes = b"",
    data_class: pb.DataClass = pb.DATA_CLASS_TENSOR,
) -> None:
    """Give `value` its tag's metadata."""
    metadata = value.metadata
    metadata.plugin_data.plugin_name = plugin_name
    metadata.plugin_data.content = content
    metadata.display_name = summary.display_name
    metadata.summary_description = summary.description
    metadata.data_class = data_class


def set_shape(tensor: pb.TensorProto, *sizes: int) -> None:
    """The tensor's dimensions; none for a single value."""
    tensor.tensor_shape.SetInParent()
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
