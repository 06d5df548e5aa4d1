"""Encoded request bodies taken apart again: halves of one that is too large, and the names of what is in it. Pure.

A body from the spool has its number for good, so its halves cannot have the next ones: each gets a writer of its own, made of
the body's writer and number. Whoever halves the same body makes the same halves, and so a repeat stays free.
"""

from __future__ import annotations

from typing import Final

from google.protobuf.message import DecodeError

from tbbridge.wire import columns_pb2 as pb

_NUMBER_BYTES: Final = 8


def halves(raw: bytes) -> tuple[bytes, bytes] | None:
    """A body as two, to be sent one after the other; None if it holds only one value, or is no body of ours."""
    try:
        whole = pb.WriteRequest.FromString(raw)
    except DecodeError:
        return None
    parts = _runs_halved(whole)
    if parts is None:
        return None
    writer = whole.writer if whole.seq == 0 else whole.writer + b"-" + str(whole.seq).encode()
    made = []
    for letter, runs in zip((b"a", b"b"), parts, strict=True):
        half = pb.WriteRequest(writer=writer + letter, seq=1)
        half.runs.extend(runs)
        made.append(half.SerializeToString())
    return made[0], made[1]


def _runs_halved(whole: pb.WriteRequest) -> tuple[list[pb.RunBatch], list[pb.RunBatch]] | None:
    if len(whole.runs) > 1:
        middle = len(whole.runs) // 2
        return list(whole.runs[:middle]), list(whole.runs[middle:])
    if not whole.runs:
        return None
    first, second = pb.RunBatch(), pb.RunBatch()
    run = whole.runs[0]
    first.CopyFrom(run)
    second.CopyFrom(run)
    second.ClearField("purge_step")  # it comes before all values
    second.ClearField("purge_wall_time")
    first.status = 0  # and this behind them
    for name in ("scalars", "summaries", "logs"):
        items = getattr(run, name)
        middle = (len(items) + 1) // 2
        del getattr(first, name)[middle:]
        del getattr(second, name)[:middle]
    if second.scalars or second.summaries or second.logs:
        return [first], [second]
    # One of each at the most
    if run.scalars and (run.summaries or run.logs):
        del first.summaries[:], first.logs[:]
        second.summaries.extend(run.summaries)
        second.logs.extend(run.logs)
        return [first], [second]
    if run.summaries and run.logs:
        del first.logs[:]
        second.logs.extend(run.logs)
        return [first], [second]
    return _column_halved(first, second, run) if run.scalars else None


def _column_halved(
    first: pb.RunBatch, second: pb.RunBatch, run: pb.RunBatch
) -> tuple[list[pb.RunBatch], list[pb.RunBatch]] | None:
    count = len(b"".join(run.scalars[0].values)) // _NUMBER_BYTES
    if count < 2:
        return None
    middle = count // 2 * _NUMBER_BYTES
    second.scalars.add().CopyFrom(run.scalars[0])
    for name in ("values", "steps", "wall_times"):
        column = b"".join(getattr(run.scalars[0], name))
        if column:
            getattr(first.scalars[0], name)[:] = [column[:middle]]
            getattr(second.scalars[0], name)[:] = [column[middle:]]
    return [first], [second]


def count_values(raw: bytes) -> int:
    """How many values a body holds, of any kind; 0 if it is no body of ours."""
    try:
        whole = pb.WriteRequest.FromString(raw)
    except DecodeError:
        return 0
    count = 0
    for run in whole.runs:
        count += sum(len(b"".join(column.values)) // _NUMBER_BYTES for column in run.scalars)
        count += len(run.summaries) + len(run.logs)
    return count


def name_of(raw: bytes, run: int, kind: str | None, item: int) -> str | None:
    """The item at `runs[run]` and, with a kind, `.<kind>[item]`, by run and tag; None if there is none."""
    try:
        whole = pb.WriteRequest.FromString(raw)
        part = whole.runs[run]
        what = "member" if part.member else "run"
        place = f"runs[{what}={(part.member or part.run).decode()!a}]"
        if kind is None:
            return place
        items = part.scalars if kind == "scalars" else part.summaries
        return f"{place}.{kind}[tag={items[item].tag.decode()!a}]" if item < len(items) else place
    except (DecodeError, IndexError, ValueError):
        return None
