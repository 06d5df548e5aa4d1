"""The kinds of values that are sent one at a time: pictures, sounds, texts, tables, whatever TensorBoard has a page for.

Each is checked when it is made and frozen from then on. What fails raises `InvalidItem`, which names the field and the remedy.
How a kind travels is wire/'s, how it is written events/'s; a new one joins here, there, and in pipeline/kind.py's `Kind`.

All share `step` and `wall_time` (left out: settled by the pipeline), and `display_name` and `description` (Markdown), which
TensorBoard shows for a tag as its first value had them.
"""

from __future__ import annotations

import copy
from typing import TypeAlias, TypeVar

from tbbridge.kinds.media import Audio, Graph, Image, RunMetadata
from tbbridge.kinds.settings import Category, Chart, CustomScalars, HParams
from tbbridge.kinds.tables import Embedding, Mesh, PrCurve
from tbbridge.kinds.tensors import DTYPE_BYTES, RawValue, Tensor
from tbbridge.kinds.texts import Buckets, Histogram, Text

__all__ = [
    "DTYPE_BYTES",
    "Audio",
    "Buckets",
    "Category",
    "Chart",
    "CustomScalars",
    "Embedding",
    "Graph",
    "HParams",
    "Histogram",
    "Image",
    "Mesh",
    "PrCurve",
    "RawValue",
    "RunMetadata",
    "Summary",
    "Tensor",
    "Text",
    "settled",
]

Summary: TypeAlias = (
    Text
    | Histogram
    | Image
    | Audio
    | PrCurve
    | Mesh
    | Embedding
    | Graph
    | RunMetadata
    | HParams
    | CustomScalars
    | Tensor
    | RawValue
)


S = TypeVar("S", bound=Summary)


def settled(summary: S, step: int, wall_time: float) -> S:
    """The same value at this step and time. Both are taken as checked, and the rest is not checked again."""
    made = copy.copy(summary)
    object.__setattr__(made, "step", step)
    object.__setattr__(made, "wall_time", wall_time)
    return made
