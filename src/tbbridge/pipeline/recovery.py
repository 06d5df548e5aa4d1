"""What happens at a start: load the newest checkpoint, play the journal behind it, and make the event files hold the result.

Killed at any byte, a process leaves event files that are prefixes of what its journal means; this adds what is missing, byte
for byte, so a TensorBoard that watches never stumbles. A file that its owner deleted stays deleted: every group but the last
one was in its event files before the next was journalled, so an older file that is missing was there once. Only after the
machine itself went down may it be missing because it never reached the disk; then it is made again.

A journal that lost acknowledged entries is played up to the damage. What was in the event files before stays there, what can
still be known of writers is kept, and the loss is told by file and offset, never passed over.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tbbridge.errors import InvalidBatch, Stopping
from tbbridge.model import RunName
from tbbridge.pipeline import codec
from tbbridge.pipeline import journal_pb2 as pb
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, renamed
from tbbridge.pipeline.changes import Changes
from tbbridge.pipeline.checkpoint import load_checkpoint
from tbbridge.pipeline.eventfile import EventFiles
from tbbridge.pipeline.journal import Damage, Journal, JournalReader, boot_id, list_segments, segment_path
from tbbridge.pipeline.ledger import Entry, Ledger, Opening, Run
from tbbridge.pipeline.logfiles import LogFiles, log_work
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
    is_damaged: bool = False  # acknowledged entries were lost from the journal


def recover(
    folder: Path,
    ledger: Ledger,
    files: EventFiles,
    logs: LogFiles,
    changes: Changes,
    journal: Journal,
    should_stop: Callable[[], bool] = lambda: False,
) -> Recovery:
    """Bring `ledger` (empty) and the event files to what `folder`'s journal means, and begin a new segment in `journal`.

    Raises `Stopping` soon after `should_stop` says so; a later start then begins from the same journal.
    """
    outcome = Recovery()
    first, outcome.losses = load_checkpoint(folder, ledger)
    fates = _Fates(ledger)
    looking = JournalReader(folder, first, ledger.next_index)
    for message in looking:
        _stop_if(should_stop)
        fates.look(message, looking.boot)
    for name in [name for name, run in ledger.runs.items() if not files.is_there(run) and not fates.changed(run)]:
        log.info("run %r: its event file is gone, a new one begins with its next batch", name)
        del ledger.runs[name]
    reader = JournalReader(folder, first, ledger.next_index)
    replay = _Replay(ledger, files, logs, fates.gone(files), fates.ended_at)
    said = time.monotonic()
    for message in reader:
        _stop_if(should_stop)
        change = codec.change_of(message)
        if change is not None:
            replay.flush()
            ledger.change(message.index, change)
            # Every other one was done before the entry after it was journalled; behind damage there was such an entry
            if message.index == fates.last_index and looking.damage is None:
                changes.apply(change, message.index)
            outcome.replayed += 1
            continue
        try:
            replay.play(codec.play_entry(message, ledger))
        except InvalidBatch as error:  # what follows would go to the wrong places in the event files
            reason = f"entry {message.index} is not valid in this version: {error}"
            reader.damage = Damage(segment_path(folder, reader.last_number), reader.last_length, reason)
            break
        outcome.replayed += 1
        if time.monotonic() - said > _PROGRESS_S:
            said = time.monotonic()
            log.info("replaying the journal: %d batches so far", outcome.replayed)
    replay.finish()
    ledger.logs.adopt(logs.found())
    damage = reader.damage or longer_than_journal(folder, ledger, files, reader)
    number = reader.last_number
    if damage is not None:
        outcome.is_damaged = True
        outcome.losses.append(_salvage(folder, damage, reader, ledger, files))
        number = max((number, reader.noted_number, *(number for number, _ in list_segments(folder))))
    journal.begin(number + 1, ledger.next_index, reader.last_length)
    return outcome


def longer_than_journal(folder: Path, ledger: Ledger, files: EventFiles, reader: JournalReader) -> Damage | None:
    """Damage that only the event files tell of: one holds more than the journal, through which all goes, accounts for."""
    for run in ledger.runs.values():
        size = files.size(run)
        if size > run.length:
            path = segment_path(folder, reader.last_number)
            return Damage(
                path, reader.last_length, f"it ends here, but {files.path(run)} was {size - run.length} bytes further already"
            )
    return None


def _salvage(folder: Path, damage: Damage, reader: JournalReader, ledger: Ledger, files: EventFiles) -> str:
    """Keep what is left: the damaged segment and those behind it, the event files as they are, and the writers' numbers.

    An entry was in its event files before one of a later group was journalled, so what is answered as done is.
    """
    whole = [(entry.index, entry.durable_below, entry.writer.decode(), entry.seq) for entry in reader.behind(damage)]
    published = max((durable_below for _, durable_below, _, _ in whole), default=0)
    for index, _, writer, seq in whole:
        if writer and index < published and seq > ledger.marks.get(writer, 0):
            ledger.mark(writer, seq)
        ledger.next_index = max(ledger.next_index, index + 1)
    for run in [run for run in ledger.runs.values() if files.size(run) > run.length]:
        log.warning("run %r: its event file stays as it is, a new one begins with its next batch", run.name)
        del ledger.runs[run.name]
    kept = []
    for number, path in list_segments(folder):
        if path == damage.path or number > reader.last_number:
            aside = path.with_name(path.name + ".damaged")
            _set_aside(path, aside)
            kept.append(aside.name)
    told = f"; kept aside: {', '.join(kept)}" if kept else ""
    return f"{damage}; acknowledged entries are lost from there on unless they are in the event files, which stay{told}"


def _set_aside(path: Path, aside: Path) -> None:
    """A second name: the first is left in place, so that a crash before the next checkpoint finds all as it was."""
    with contextlib.suppress(FileNotFoundError):
        aside.unlink()
    try:
        os.link(path, aside)
    except OSError:  # a file system without links
        shutil.copyfile(path, aside)


def _stop_if(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Stopping("stopped while the journal was replayed; the next start replays it from the beginning")


class _Fates:
    """What became of the event files that the journal begins, found by looking through all of it before any of it is played."""

    def __init__(self, ledger: Ledger) -> None:
        self.last_index = 0
        self._begun: dict[tuple[str, str], tuple[int, bool]] = {}
        self._current: dict[str, tuple[str, str]] = {name: (name, run.file) for name, run in ledger.runs.items()}
        self._superseded: set[tuple[str, str]] = set()
        self._changed: set[tuple[str, str]] = set()
        self.ended_at: dict[tuple[str, str], int] = {}  # the entry whose change took it; there may be another of its name since
        self._published = 0  # entries below this index are in their event files
        self._here = boot_id()

    def look(self, message: pb.Entry, boot: str) -> None:
        """Take the next entry; `boot` is that of its segment."""
        self.last_index = message.index
        self._published = message.durable_below
        for opened in message.opened:
            self._begin(opened.run.decode(), opened.name, message.index, known=bool(self._here) and boot == self._here)
        match codec.change_of(message):
            case Removed(runs):
                for run in runs:
                    self._end(run, message.index)
            case Installed(run=run, then=then):
                self._end(run, message.index)
                if then is not None:
                    self._begin(run, then.file, message.index, known=True)
            case Rewritten(run=run, file=file):
                if self._end(run, message.index):
                    self._begin(run, file, message.index, known=True)
            case Renamed() as change:
                for run, (_, file) in list(self._current.items()):
                    to = renamed(run, change)
                    if to is not None:
                        self._end(run, message.index)
                        self._begin(to, file, message.index, known=True)

    def _begin(self, run: str, file: str, index: int, *, known: bool) -> None:
        """`known`: the file was on the disk before the next entry was journalled, or this machine has not been down since."""
        if run in self._current:
            self._superseded.add(self._current[run])
        key = self._current[run] = run, file
        self._superseded.discard(key)  # a run may come back to a name it had
        self._begun[key] = index, known

    def _end(self, run: str, index: int) -> bool:
        key = self._current.pop(run, None)
        if key is None:
            return False
        self._superseded.add(key)
        self._changed.add(key)
        self.ended_at[key] = index
        return True

    def changed(self, run: Run) -> bool:
        """True if a change to runs took the file that the checkpoint knows: where it went, the journal says."""
        return (run.name, run.file) in self._changed

    def gone(self, files: EventFiles) -> set[tuple[str, str]]:
        """(run, file) of event files that were written once and are not there any more."""
        keys = self._begun.keys() | self._changed
        missing = (key for key in keys if not files.is_there(Run(RunName(key[0]), key[1])))
        return {key for key in missing if key in self._superseded or self._was_there(key)}

    def _was_there(self, key: tuple[str, str]) -> bool:
        index, known = self._begun.get(key, (0, True))
        return known and index < self._published


class _Replay:
    """Gathers the event bytes of entries and makes the files hold them."""

    def __init__(
        self,
        ledger: Ledger,
        files: EventFiles,
        logs: LogFiles,
        gone: set[tuple[str, str]],
        ended_at: Mapping[tuple[str, str], int],
    ) -> None:
        """`gone` and `ended_at`: files not to be written to, and before which entry; see `_Fates`."""
        self._ledger = ledger
        self._files = files
        self._logs = logs
        self._with_logs: list[Entry] = []
        self._gone = gone
        self._ended_at = ended_at
        self._gathered: dict[int, list[Write]] = {}  # of event files, by identity: a run may have two files in one replay
        self._beside: list[Write] = []
        self._lists: dict[int, list[Write]] = {}  # what each run's list of embeddings grows by, kept until the end
        self._size = 0

    def play(self, entry: Entry) -> None:
        """Take the writes of one entry."""
        if entry.openings:
            self.flush()
            self._supersede(entry.openings)
        for write in writes_of(entry):
            key = write.run.name, write.run.file
            if key in self._gone or entry.index < self._ended_at.get(key, 0):
                continue
            if write.is_whole:
                self._beside.append(write)
            else:
                kept = self._gathered if write.name == write.run.file else self._lists
                kept.setdefault(id(write.run), []).append(write)
            self._size += len(write.data)
        if entry.lines or entry.dropped_logs:
            self._with_logs.append(entry)
            self._size += sum(len(lines.data) for lines in entry.lines)
        if self._size > _GATHER_BYTES:
            self.flush()

    def _supersede(self, openings: Iterable[Opening]) -> None:
        # The list of embeddings goes on under its old name, from the length it had then: what came before is in it, or was
        # deleted, and must not be put over what came after.
        for opening in openings:
            self._lists = {key: writes for key, writes in self._lists.items() if writes[0].run.name != opening.run}

    def flush(self) -> None:
        """Compare what was gathered with the files, and write what they lack."""
        for writes in self._gathered.values():
            run = writes[0].run
            if not self._files.repair(run, writes[0].offset, b"".join([write.data for write in writes])):
                self._forget(run)
        for write in self._beside:
            self._repair_beside(write)
        for work in log_work(self._with_logs):
            self._logs.redo(work)
        self._gathered.clear()
        self._beside.clear()
        self._with_logs.clear()
        self._size = 0

    def finish(self) -> None:
        """After the last entry: the files, and then the lists that name them."""
        self.flush()
        for writes in self._lists.values():
            for write in writes:
                self._repair_beside(write)
        for run in [run for run in self._ledger.runs.values() if (run.name, run.file) in self._gone]:
            self._forget(run)

    def _forget(self, run: Run) -> None:
        log.info("run %r: its event file is gone, a new one begins with its next batch", run.name)
        if self._ledger.runs.get(run.name) is run:
            del self._ledger.runs[run.name]

    def _repair_beside(self, write: Write) -> None:
        if self._files.is_there(write.run):
            self._files.repair_beside(write)
