"""A run's batch as the bytes that its event file grows by: scalars.py for the columns, then each summary by its kind.

The bytes follow from the batch and the tags met before, and from nothing else: a replay of the journal writes the same again.
Embeddings are not in them; they are files of their own, which embeddings.py makes.
"""

from __future__ import annotations

from collections.abc import Container
from typing import assert_never

from tbbridge.events.media import encode_audio, encode_graph, encode_image, encode_run_metadata
from tbbridge.events.scalars import encode_scalars
from tbbridge.events.summaries import encode_histogram, encode_purge, encode_text
from tbbridge.events.tables import (
    encode_custom_scalars,
    encode_hparams,
    encode_mesh,
    encode_pr_curve,
    encode_raw,
    encode_tensor,
)
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
    RunBatch,
    RunMetadata,
    Summary,
    Tensor,
    Text,
)


def encode_run(batch: RunBatch, described: Container[str]) -> bytes | bytearray:
    """The records of a settled batch: its purge, scalars (ordered as scalars.py says), then summaries in their order.

    The first value of each tag that is not in `described` carries the tag's metadata: TensorBoard never shows a tag whose first
    tensor came without, and ignores what comes later. Raises ValueError if steps, wall times or buckets are missing.
    """
    scalars = encode_scalars(batch.scalars, described)
    if not batch.summaries and batch.purge_step is None:
        return scalars
    parts: list[bytes | bytearray] = [scalars]
    if batch.purge_step is not None:
        if batch.purge_wall_time is None:
            raise ValueError(f"the purge of run {batch.run!a} has no wall time; settle the batch before encoding it")
        parts.insert(0, encode_purge(batch.purge_wall_time, batch.purge_step))
    met = {column.tag for column in batch.scalars}
    for summary in batch.summaries:
        parts.append(_encode_summary(summary, described=summary.tag in met or summary.tag in described))
        met.add(summary.tag)
    return b"".join(parts)


def _encode_summary(summary: Summary, *, described: bool) -> bytes:
    match summary:
        case Text():
            return encode_text(summary, described=described)
        case Histogram():
            return encode_histogram(summary, described=described)
        case Image():
            return encode_image(summary, described=described)
        case Audio():
            return encode_audio(summary, described=described)
        case PrCurve():
            return encode_pr_curve(summary, described=described)
        case Mesh():
            return encode_mesh(summary)
        case Graph():
            return encode_graph(summary)
        case RunMetadata():
            return encode_run_metadata(summary)
        case HParams():
            return encode_hparams(summary)
        case CustomScalars():
            return encode_custom_scalars(summary, described=described)
        case Tensor():
            return encode_tensor(summary, described=described)
        case RawValue():
            return encode_raw(summary)
        case Embedding():
            return b""
        case _:
            assert_never(summary)
