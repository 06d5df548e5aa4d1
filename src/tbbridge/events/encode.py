"""A run's batch as the bytes that its event file grows by: scalars.py for the columns, summaries.py for the rest.

The bytes follow from the batch and the tags met before, and from nothing else: a replay of the journal writes the same again.
"""

from __future__ import annotations

from collections.abc import Container
from typing import assert_never

from tbbridge.events.scalars import encode_scalars
from tbbridge.events.summaries import encode_histogram, encode_text
from tbbridge.model import Histogram, RunBatch, Summary, Text


def encode_run(batch: RunBatch, described: Container[str]) -> bytes | bytearray:
    """The records of a settled batch: scalars (ordered as scalars.py says), then summaries in their order.

    The first value of each tag that is not in `described` carries the tag's metadata: TensorBoard never shows a tag whose first
    tensor came without, and ignores what comes later. Raises ValueError if steps, wall times or buckets are missing.
    """
    scalars = encode_scalars(batch.scalars, described)
    if not batch.summaries:
        return scalars
    parts: list[bytes | bytearray] = [scalars]
    met = {column.tag for column in batch.scalars}
    for summary in batch.summaries:
        parts.append(_encode_summary(summary, describe=summary.tag not in met and summary.tag not in described))
        met.add(summary.tag)
    return b"".join(parts)


def _encode_summary(summary: Summary, *, describe: bool) -> bytes:
    match summary:
        case Text():
            return encode_text(summary, describe=describe)
        case Histogram():
            return encode_histogram(summary, describe=describe)
        case _:
            assert_never(summary)
