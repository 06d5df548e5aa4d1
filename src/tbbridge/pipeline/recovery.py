"""What happens at a start: load the newest checkpoint, play the journal behind it, and make the event files hold the result.

Killed at any byte, a process leaves event files that are prefixes of what its journal means; this adds what is missing, byte
for byte, so a TensorBoard that watches never stumbles. A file that its owner deleted stays deleted.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tbbridge.errors import InvalidBatch
from tbbridge.pipeline import codec
from tbbridge.pipeline.checkpoint import load_checkpoint
from tbbridge.pipeline.eventfile import EventFiles
from tbbridge.pipeline.journal import Journal, JournalReader, list_segments
from tbbridge.pipeline.ledger import Entry, Ledger, Opening, Run
from tbbridge.pipeline.publish import Write, writes_of

log = logging.getLogger(__name__)

# Event bytes gathered before they are compared with the files: many small entries of a run become one comparison.
_GATHER_BYTES = 8 * 1024 * 1024
# A long replay says how far it is, this often.
_PROGRESS_S = 5.0


@dataclass(slots=True)
class Recovery:
    """The outcome: how many entries were played, and every loss in one line each."""

    replayed: int = 0
    losses: list[str] = field(default_factory=list)


def recover(folder: Path, ledger: Ledger, files: EventFiles, journal: Journal) -> Recovery:
    """Bring `ledger` (empty) and the event files to what `folder`'s journal means, and begin a new segment in `journal`."""
    outcome = Recovery()
    first, outcome.losses = load_checkpoint(folder, ledger)
    for name in [name for name, run in ledger.runs.items() if not _is_there(files.path(run), run.length)]:
        log.info("run %r: its event file is gone, a new one begins with its next batch", name)
        del ledger.runs[name]
    reader = JournalReader(folder, first, ledger.next_index)
    replay = _Replay(ledger, files, outcome)
    said = time.monotonic()
    for message in reader:
        try:
            replay.play(codec.play_entry(message, ledger))
        except InvalidBatch as error:
            outcome.losses.append(f"journal entry {message.index} is not valid in this version and was left out: {error}")
            ledger.next_index = message.index + 1
        outcome.replayed += 1
        if time.monotonic() - said > _PROGRESS_S:
            said = time.monotonic()
            log.info("replaying the journal: %d batches so far", outcome.replayed)
    replay.finish()
    number = reader.last_number
    if reader.damage is not None:
        outcome.losses.append(f"{reader.damage}; what follows there is kept aside and not replayed")
        number = max((number, *(number for number, _ in list_segments(folder))))
        reader.damage.path.rename(reader.damage.path.with_name(reader.damage.path.name + ".damaged"))
    journal.begin(number + 1, ledger.next_index, reader.last_length)
    return outcome


def _is_there(path: Path, length: int) -> bool:
    try:
        return path.stat().st_size >= length
    except (FileNotFoundError, NotADirectoryError):
        return False


class _Replay:
    """Gathers the event bytes of entries and makes the files hold them."""

    def __init__(self, ledger: Ledger, files: EventFiles, outcome: Recovery) -> None:
        self._ledger = ledger
        self._files = files
        self._outcome = outcome
        self._gathered: dict[int, list[Write]] = {}  # of event files, by identity: a run may have two files in one replay
        self._beside: list[Write] = []
        self._lists: dict[int, list[Write]] = {}  # what each run's list of embeddings grows by, kept until the end
        self._size = 0
        self._made: dict[str, Run] = {}  # files that were not there before this replay
        self._made_beside: dict[str, list[Write]] = {}

    def play(self, entry: Entry) -> None:
        """Take the writes of one entry."""
        if entry.openings:
            self.flush()
            self._supersede(entry.openings)
        for write in writes_of(entry):
            if write.is_whole:
                self._beside.append(write)
            else:
                kept = self._gathered if write.name == write.run.file else self._lists
                kept.setdefault(id(write.run), []).append(write)
            self._size += len(write.data)
        if self._size > _GATHER_BYTES:
            self.flush()

    def _supersede(self, openings: Iterable[Opening]) -> None:
        # A run got a new file because its old one was deleted: if only this replay made the old one again, it goes again.
        for opening in openings:
            made = self._made.pop(opening.run, None)
            if made is not None:
                self._files.remove(made)
            for write in self._made_beside.pop(opening.run, []):
                self._files.remove_beside(write)
            # The list of embeddings goes on under its old name, from the length it had then: what came before is in it, or was
            # deleted, and must not be put over what came after.
            self._lists = {key: writes for key, writes in self._lists.items() if writes[0].run.name != opening.run}

    def flush(self) -> None:
        """Compare what was gathered with the files, and write what they lack."""
        for writes in self._gathered.values():
            run, offset = writes[0].run, writes[0].offset
            is_new = offset == 0 and not self._files.path(run).exists()
            if not self._files.repair(run, offset, b"".join([write.data for write in writes])):
                log.info("run %r: its event file is gone, a new one begins with its next batch", run.name)
                if self._ledger.runs.get(run.name) is run:
                    del self._ledger.runs[run.name]
            elif is_new:
                self._made[run.name] = run
        for write in self._beside:
            self._repair_beside(write)
        self._gathered.clear()
        self._beside.clear()
        self._size = 0

    def finish(self) -> None:
        """After the last entry: the files, and then the lists that name them."""
        self.flush()
        for writes in self._lists.values():
            for write in writes:
                self._repair_beside(write)

    def _repair_beside(self, write: Write) -> None:
        run = write.run
        if self._files.path(run).exists() and self._files.repair_beside(write):
            self._made_beside.setdefault(run.name, []).append(write)
