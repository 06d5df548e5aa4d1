"""Event files without one tag: every other record is kept byte for byte. Bytes in, bytes out.

Most records do not hold the tag's bytes at all, which a search over the whole buffer tells; only the others are parsed.
"""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tbbridge.events import event_pb2 as pb
from tbbridge.events.reader import read_events, record_starts
from tbbridge.events.tfrecord import OVERHEAD_BYTES, Corrupt, End, Torn, frame

# The parts that writers split a mesh into, as TensorBoard's own and as tensorboardX call them.
_MESH_PARTS: Final = ("_VERTEX", "_FACE", "_COLOR", "_1", "_2", "_3")
_MESH: Final = "mesh"
_GRAPH_TAG: Final = "__run_graph__"


def mesh_of(tag: str) -> str:
    """The mesh that a tag is a part of."""
    return next((tag.removesuffix(part) for part in _MESH_PARTS if tag.endswith(part)), tag)


@dataclass(frozen=True, slots=True)
class Kept:
    """What is left of a stretch of an event file. `end`, `stopped` and `plugins` are as in `reader.Chunk`."""

    pieces: list[memoryview | bytes]
    dropped: int  # values
    plugins: dict[str, str]
    end: int
    stopped: End | Torn | Corrupt


def without_tag(buffer: bytes, tag: str, plugins: Mapping[str, str] | None = None) -> Kept:
    """The whole records of `buffer` without the values of `tag` (of a mesh: without its parts). A record left empty goes."""
    chunk = read_events(buffer, 0, plugins)
    view = memoryview(buffer)[: chunk.end]
    unwanted = {tag, *(tag + part for part in _MESH_PARTS if chunk.plugins.get(tag + part) == _MESH)}
    starts = record_starts(view)
    pieces: list[memoryview | bytes] = []
    kept_to = dropped = 0
    for position in _candidates(buffer, chunk.end, tag.encode(), starts):
        start = starts[position]
        end = starts[position + 1] if position + 1 < len(starts) else chunk.end
        found = _filtered(view[start + OVERHEAD_BYTES - 4 : end - 4], unwanted)
        if found is None:
            continue
        count, replacement = found
        dropped += count
        if start > kept_to:
            pieces.append(view[kept_to:start])
        if replacement:
            pieces.append(replacement)
        kept_to = end
    if chunk.end > kept_to:
        pieces.append(view[kept_to:])
    return Kept(pieces, dropped, chunk.plugins, chunk.end, chunk.stopped)


def _candidates(buffer: bytes, end: int, needle: bytes, starts: list[int]) -> list[int]:
    """The records in which `needle` stands somewhere, and those that hold a graph, whose tag is not written out."""
    found = []
    offset = 0
    implied = needle == _GRAPH_TAG.encode()
    if implied:
        return list(range(len(starts)))
    while (offset := buffer.find(needle, offset, end)) >= 0:
        position = bisect.bisect_right(starts, offset) - 1
        found.append(position)
        if position + 1 >= len(starts):
            break
        offset = starts[position + 1]
    return found


def _filtered(payload: memoryview, unwanted: set[str]) -> tuple[int, bytes] | None:
    """How many values go, and the record that stays (empty: none); None if nothing of `unwanted` is in it."""
    event = pb.Event.FromString(payload.tobytes())
    what = event.WhichOneof("what")
    if (what == "graph_def" and _GRAPH_TAG in unwanted) or (
        what == "tagged_run_metadata" and event.tagged_run_metadata.tag in unwanted
    ):
        return 1, b""
    kept = [value for value in event.summary.value if value.tag not in unwanted]
    count = len(event.summary.value) - len(kept)
    if count == 0:
        return None
    if not kept:
        return count, b""
    del event.summary.value[:]
    event.summary.value.extend(kept)
    return count, frame(event.SerializeToString())
