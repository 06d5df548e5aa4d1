"""From an entry to the bytes it adds to event files. Used live and in replay, so both write the same."""

from __future__ import annotations

from collections.abc import Container, Iterator

from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.pipeline.ledger import Entry, Run


class _AllBut(Container[str]):
    """Every tag but the fresh ones: those that the run's file has met before, and which need no metadata again."""

    def __init__(self, fresh: frozenset[str]) -> None:
        self._fresh = fresh

    def __contains__(self, tag: object) -> bool:
        return tag not in self._fresh


def event_bytes(entry: Entry) -> Iterator[tuple[Run, int, bytes | bytearray]]:
    """The writes that `entry` means, as (run, offset, bytes); advances each run's length past them."""
    opened = {opening.run: opening for opening in entry.openings}
    for batch, run, fresh in zip(entry.batches, entry.targets, entry.fresh, strict=True):
        data = encode_run(batch, _AllBut(fresh))
        opening = opened.get(batch.run)
        if opening is not None:
            data = encode_file_start(opening.wall_time, session_start=opening.first_of_run) + data
        offset = run.length
        run.length += len(data)
        yield run, offset, data
