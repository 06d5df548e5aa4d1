"""From an entry to the bytes that event files, and files beside them, grow by. Used live and in replay: both write the same."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass

from tbbridge.events.embeddings import encode_embedding
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import EMBEDDINGS_FOLDER, PROJECTOR_CONFIG, Embedding
from tbbridge.pipeline.ledger import Entry, Run


@dataclass(frozen=True, slots=True)
class Write:
    """`data` at `offset` of the file `name` in the run's folder: the event file, the list of embeddings, or a file of one."""

    run: Run
    name: str
    offset: int
    data: bytes | bytearray

    @property
    def is_whole(self) -> bool:
        """True for a file that one write makes, under a name that no other has."""
        return self.name not in (self.run.file, PROJECTOR_CONFIG)


class _AllBut(Container[str]):
    """Every tag but the fresh ones: those that the run's file has met before, and which need no metadata again."""

    def __init__(self, fresh: frozenset[str]) -> None:
        self._fresh = fresh

    def __contains__(self, tag: object) -> bool:
        return tag not in self._fresh


def writes_of(entry: Entry) -> Iterator[Write]:
    """The writes that `entry` means, in the order in which a reader should meet them; advances each run's lengths past them."""
    opened = {opening.run: opening for opening in entry.openings}
    for batch, run, fresh in zip(entry.batches, entry.targets, entry.fresh, strict=True):
        config = b""
        for position, summary in enumerate(batch.summaries):
            if isinstance(summary, Embedding):
                # The event file's own part of its name is new in this folder, even after somebody deleted the journal.
                file = run.file.rpartition("tfevents.")[2]
                embedding = encode_embedding(summary, f"{EMBEDDINGS_FOLDER}/{file}-{entry.index}-{position}")
                config += embedding.config
                yield from (Write(run, name, 0, data) for name, data in embedding.files)
        data = encode_run(batch, _AllBut(fresh))
        opening = opened.get(batch.run)
        if opening is not None:
            data = encode_file_start(opening.wall_time, session_start=opening.first_of_run) + data
        if data:
            yield Write(run, run.file, run.length, data)
            run.length += len(data)
        if config:
            if run.config_length:
                config = b"\n" + config  # whoever wrote the last line may have left it open
            yield Write(run, PROJECTOR_CONFIG, run.config_length, config)
            run.config_length += len(config)
