"""What the event files must hold, by the writers' notes: every acknowledged point exactly once and in order, and no half batch.

The files are read with TensorBoard's own message class and none of our code.
"""

from __future__ import annotations

import itertools
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from positions import Noted, read_notes, value_at
from tensorboard.compat.proto.event_pb2 import Event

Series = list[tuple[int, float]]
Found = dict[tuple[str, str], Series]


def read_series(logdir: Path, *, torn: bool = False) -> Found:
    """(step, value) of every scalar by (run, tag), in the order in which the files hold them. `torn`: files may end so."""
    found: Found = {}
    for path in sorted(logdir.rglob("*tfevents*")):
        run = path.parent.relative_to(logdir).as_posix()
        content, offset = path.read_bytes(), 0
        while offset + 12 <= len(content):
            (length,) = struct.unpack_from("<Q", content, offset)
            if offset + 16 + length > len(content):
                break
            event = Event.FromString(content[offset + 12 : offset + 12 + length])
            for value in event.summary.value:
                found.setdefault((run, value.tag), []).append((event.step, value.simple_value))
            offset += 16 + length
        assert torn or offset == len(content), f"{path} ends inside a record, at byte {offset} of {len(content)}"
    return found


@dataclass(slots=True)
class Training:
    """One life of a writer: its tags, the runs that get them, and its notes. `whole`: its batches come whole or not at all."""

    tag: str
    runs: Sequence[str]
    notes: Path
    whole: bool = True
    places: Sequence[str] = field(default_factory=tuple)

    @property
    def tags(self) -> tuple[str, str]:
        return f"{self.tag}/x", f"{self.tag}/y"

    @property
    def batches(self) -> list[Noted]:
        return read_notes(self.notes)


def check_exact(found: Found, training: Training) -> int:
    """All that was acknowledged, once and in order; of a batch that nobody knows of, all or nothing. Returns the points."""
    batches = training.batches
    acknowledged = sum(batch.count for batch in batches if batch.done is not None)
    begun = sum(batch.count for batch in batches)
    lengths = set()
    for run in training.runs:
        for tag in training.tags:
            series = found.get((run, tag), [])
            check_positions(run, tag, series, len(series))
            assert acknowledged <= len(series) <= begun, (
                f"{run} {tag}: {len(series)} of {acknowledged} acknowledged, {begun} sent"
            )
            lengths.add(len(series))
    if training.whole:
        assert lengths <= {acknowledged, begun}, f"{training.tag}: half a batch is there"
        assert len(lengths) == 1, f"{training.tag}: a batch is in some of its series only"
    return sum(len(found.get((run, tag), [])) for run in training.runs for tag in training.tags)


def check_logged(logdir: Path, found: Found, training: Training) -> int:
    """The log has one record for each batch that is there, once and in order. Returns the records."""
    first = logdir / ".tbbridge" / "logs" / f"{training.runs[0]}.log"
    files = [first, *sorted(first.parent.glob(first.name + ".*"), key=lambda path: int(path.suffix[1:]))]
    text = "".join(path.read_text() for path in files if path.exists())
    numbers = [int(number) for number in re.findall(f"batch of {re.escape(training.tag)} number (\\d+) end", text)]
    length = len(found.get((training.runs[0], training.tags[0]), []))
    present = sum(batch.first < length for batch in training.batches)
    assert numbers == list(range(1, present + 1)), f"{training.tag}: {present} batches, and {len(numbers)} log records"
    return present


def check_positions(run: str, tag: str, series: Series, count: int) -> None:
    expected = [(step, value_at(tag, step)) for step in range(count)]
    if series != expected:
        at = next(place for place, (is_, should) in enumerate(zip(series, expected, strict=True)) if is_ != should)
        raise AssertionError(f"{run} {tag}: position {at} holds {series[at - 2 : at + 3]}")


def check_moved(found: Found, training: Training) -> int:
    """The same for a run that was renamed again and again: its points, over all the names that it had."""
    joined = dict(found)
    for tag in training.tags:
        joined[training.runs[0], tag] = [point for place in training.places for point in found.get((place, tag), [])]
    return check_exact(joined, training)


def check_erased(found: Found, training: Training, erased_at: Mapping[str, float]) -> int:
    """Runs that were deleted: what was sent afterwards is there, nothing twice, nothing out of order."""
    total = 0
    for run, tag in itertools.product(training.runs, training.tags):
        series = found.get((run, tag), [])
        steps = [step for step, _ in series]
        assert steps == sorted(set(steps)), f"{tag}: a point is there twice or out of order"
        assert all(value == value_at(tag, step) for step, value in series), f"{tag}: a value that nobody sent"
        sent = {
            step
            for batch in training.batches
            if batch.done is not None and batch.begun > erased_at[run]
            for step in batch.steps
        }
        assert sent <= set(steps), f"{tag}: {len(sent - set(steps))} points are missing that were sent after the deletion"
        total += len(steps)
    return total


@dataclass(frozen=True, slots=True)
class Kill:
    """A death of the bridge. `back`: when the next could be reached, until when only the dead one's answers can arrive.

    `told`: the next start reported acknowledged entries as lost. `hurt`: what was damaged in between, in words.
    """

    back: float
    told: bool
    hurt: str


def check_damaged(found: Found, training: Training, kills: Sequence[Kill]) -> tuple[int, int]:
    """Damage to the journal may cost what was not in the event files yet, a batch of a writer, and only if it was told.

    The batch that was under way at such a kill may be there twice, since the journal no longer knows that it was taken.
    Returns the points found, and the batches lost.
    """
    batches = training.batches
    may_miss, may_repeat = set(), set()
    for kill in kills:
        if kill.told:
            before = [place for place, batch in enumerate(batches) if batch.done is not None and batch.done <= kill.back]
            may_miss.update(before[-1:])
            may_repeat.update(
                p for p, b in enumerate(batches) if b.begun <= kill.back and (b.done is None or b.done > kill.back)
            )
    lost: set[int] = set()
    total = 0
    for run in training.runs:
        for tag in training.tags:
            series = found.get((run, tag), [])
            assert all(value == value_at(tag, step) for step, value in series), f"{run} {tag}: a value that nobody sent"
            firsts = list(dict.fromkeys(step for step, _ in series))
            assert firsts == sorted(firsts), f"{run} {tag}: out of order"
            lost |= _compare(Counter(step for step, _ in series), batches, may_miss, may_repeat, f"{run} {tag}")
            total += len(series)
    return total, len(lost)


def _compare(counts: Counter[int], batches: Sequence[Noted], may_miss: set[int], may_repeat: set[int], where: str) -> set[int]:
    lost = set()
    for place, batch in enumerate(batches):
        times = {counts[step] for step in batch.steps}
        assert len(times) == 1, f"{where}: half of the batch at step {batch.first} is there"
        [count] = times
        if count == 0 and batch.done is not None:
            assert place in may_miss, f"{where}: batch {place} was acknowledged at {batch.done} and is silently gone"
            lost.add(place)
        assert count <= 1 or place in may_repeat, f"{where}: the batch at step {batch.first} is there {count} times"
    return lost
