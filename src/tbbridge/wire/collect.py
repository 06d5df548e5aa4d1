"""What every dialect does with the items of a body: make each, note those that are wrong, join the rest into a batch.

Shared by the dialects so that a wrong item is found, named and (with `partial`) left out in one way, whatever it came in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, TypeVarTuple

import numpy as np

from tbbridge import limits
from tbbridge.errors import InvalidBatch, InvalidItem, ItemError, TooLarge
from tbbridge.model import Batch, RunBatch, ScalarColumns, TagName, join_columns

# A log record that says no level, or 0, which Python's logging calls "not set".
DEFAULT_LOG_LEVEL: Final = 20
RAW_VALUE_OF_MEMBER: Final = "a raw value has its tag inside, where no group can put it in its chart; send it with 'run'"

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Collected:
    """The items that are good, and (only with `partial`) those that were left out."""

    batch: Batch
    rejected: tuple[ItemError, ...] = ()


@dataclass(frozen=True, slots=True)
class ScalarRow:
    """One scalar sent by itself; `path` is its place in the body. Its parts are checked already."""

    path: str
    tag: TagName
    value: float
    step: int | None
    wall_time: float | None
    display_name: str = ""
    description: str = ""


class ItemErrors:
    """Collects what is wrong with the items of one body: all are counted, limits.REPORTED_ITEMS of them are kept."""

    def __init__(self, *, partial: bool) -> None:
        self.partial = partial
        self.count = 0
        self.kept: list[ItemError] = []
        self._logs = 0
        self._items = 0

    def add(self, error: ItemError) -> None:
        """Note one more wrong item."""
        self.count += 1
        if len(self.kept) < limits.REPORTED_ITEMS:
            self.kept.append(error)

    def count_logs(self, count: int) -> None:
        """Note that the body has `count` more log records. Raises `TooLarge` if they are too many."""
        self._logs += count
        if self._logs > limits.LOG_RECORDS_MAX:
            raise TooLarge(f"the body has over {limits.LOG_RECORDS_MAX} log records; send fewer at a time")

    def count_items(self, count: int) -> None:
        """Note that the body has `count` more runs, columns and summaries. Raises `TooLarge` if they are too many."""
        self._items += count
        if self._items > limits.ITEMS_MAX:
            raise TooLarge(f"the body has over {limits.ITEMS_MAX} runs, columns and summaries; send fewer at a time")

    def attempt(self, path: str, make: Callable[[*Ts], T], *args: *Ts) -> T | None:
        """What `make(*args)` makes; or None, after noting why it could not."""
        try:
            return make(*args)
        except InvalidItem as error:
            self.add(error.at(path))
            return None

    def columns_of(self, rows: Iterable[ScalarRow]) -> list[ScalarColumns]:
        """Rows as columns, one a tag, in order. Rows of one tag all have a step or none has; likewise a wall_time."""
        by_tag: dict[str, list[ScalarRow]] = {}
        for row in rows:
            by_tag.setdefault(row.tag, []).append(row)
        made = (self.attempt(same[0].path, _column_of, same) for same in by_tag.values())
        return [column for column in made if column is not None]

    def collect(self, runs: Iterable[RunBatch], writer: str, seq: int) -> Collected:
        """Everything good as one batch, each run once. Raises `InvalidBatch` if anything was wrong and not `partial`."""
        by_name: dict[str, list[RunBatch]] = {}
        for run in runs:
            by_name.setdefault(run.run, []).append(run)
        made = [self.attempt(f"runs[run={name!a}]", _run_of, same) for name, same in by_name.items()]
        if self.kept and not self.partial:
            raise InvalidBatch(self.kept)
        try:
            batch = Batch(tuple(run for run in made if run is not None), writer, seq)
        except InvalidItem as error:  # writer or seq: without them nothing of the batch is safe to take, partial or not
            raise InvalidBatch([error.at("")]) from None
        return Collected(batch, tuple(self.kept))


def _column_of(rows: Sequence[ScalarRow]) -> ScalarColumns:
    steps = [row.step for row in rows if row.step is not None]
    wall_times = [row.wall_time for row in rows if row.wall_time is not None]
    for name, given in (("step", len(steps)), ("wall_time", len(wall_times))):
        if given not in (0, len(rows)):
            message = f"{given} of the {len(rows)} values of tag {rows[0].tag!a} have a {name}; give one to all of them or none"
            raise InvalidItem("length", message, name)
    named = next((row for row in rows if row.display_name or row.description), rows[0])
    return ScalarColumns(
        rows[0].tag,
        np.array([row.value for row in rows], dtype=np.float64),
        np.array(steps, dtype=np.int64) if steps else None,
        np.array(wall_times, dtype=np.float64) if wall_times else None,
        named.display_name,
        named.description,
    )


def _run_of(batches: Sequence[RunBatch]) -> RunBatch:
    if len(batches) == 1:
        return batches[0]
    columns = [column for batch in batches for column in batch.scalars]
    summaries = [summary for batch in batches for summary in batch.summaries]
    purging = next((batch for batch in batches if batch.purge_step is not None), batches[0])
    return RunBatch(
        batches[0].run,
        join_columns(columns),
        tuple(summaries),
        purging.purge_step,
        purging.purge_wall_time,
        logs=tuple(record for batch in batches for record in batch.logs),
        create=any(batch.create for batch in batches),
        status=next((batch.status for batch in reversed(batches) if batch.status is not None), None),
    )
