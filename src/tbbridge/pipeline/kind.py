"""What a tag holds, as the pipeline remembers it: TensorBoard shows one kind a tag and run, so a second one is refused."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from tbbridge.model import (
    Audio,
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
)


class Kind(enum.IntEnum):
    """What a tag holds. TensorBoard shows one kind a tag and run. The numbers are in checkpoints: never reuse one."""

    SCALAR = 1
    TEXT = 2
    HISTOGRAM = 3
    IMAGE = 4
    AUDIO = 5
    PR_CURVE = 6
    MESH = 7
    EMBEDDING = 8
    GRAPH = 9
    RUN_METADATA = 10
    HPARAMS = 11
    CUSTOM_SCALARS = 12
    TENSOR = 13


_KIND_OF: Mapping[type[Summary], Kind] = {
    Text: Kind.TEXT,
    Histogram: Kind.HISTOGRAM,
    Image: Kind.IMAGE,
    Audio: Kind.AUDIO,
    PrCurve: Kind.PR_CURVE,
    Mesh: Kind.MESH,
    Embedding: Kind.EMBEDDING,
    Graph: Kind.GRAPH,
    RunMetadata: Kind.RUN_METADATA,
    HParams: Kind.HPARAMS,
    CustomScalars: Kind.CUSTOM_SCALARS,
}
# Tensors and forwarded values are of the kind that their page shows.
_KIND_OF_PLUGIN: Mapping[str, Kind] = {
    "scalars": Kind.SCALAR,
    "text": Kind.TEXT,
    "histograms": Kind.HISTOGRAM,
    "images": Kind.IMAGE,
    "audio": Kind.AUDIO,
    "pr_curves": Kind.PR_CURVE,
    "mesh": Kind.MESH,
    "hparams": Kind.HPARAMS,
    "custom_scalars": Kind.CUSTOM_SCALARS,
    "graphs": Kind.GRAPH,
    "graph_tagged_run_metadata": Kind.RUN_METADATA,
}


def kind_of_plugin(plugin: str) -> Kind:
    """The kind of values that TensorBoard's plugin of this name shows."""
    return _KIND_OF_PLUGIN.get(plugin, Kind.TENSOR)


def kind_of(summary: Summary) -> Kind:
    """The kind of one summary."""
    if isinstance(summary, Tensor | RawValue):
        return kind_of_plugin(summary.plugin_name)
    return _KIND_OF[type(summary)]
