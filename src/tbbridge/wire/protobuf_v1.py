"""The binary form of a write: what `application/x-protobuf` bodies, the journal and the Python clients all use.

The public contract is proto/tbbridge/v1/write.proto; this file reads and writes its twin, wire/columns.proto, in which a packed
column is bytes and so becomes a numpy array without a loop. Bytes in, values out: no files, no clock, no asyncio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tbbridge.errors import InvalidItem, ItemError, ItemWarning, MalformedBody
from tbbridge.groups import NO_GROUPS, Groups, MemberName, Place
from tbbridge.model import (
    Batch,
    LogRecord,
    RunBatch,
    RunName,
    RunStatus,
    ScalarColumns,
    Summary,
    decode_utf8,
    join_columns,
    run_name,
    tag_name,
)
from tbbridge.v1 import write_pb2
from tbbridge.wire import columns_pb2 as pb
from tbbridge.wire.collect import DEFAULT_LOG_LEVEL, RAW_VALUE_OF_MEMBER, Collected, ItemErrors, ScalarRow
from tbbridge.wire.protobuf_kinds import FLOAT64, INT64, array, summary_from_message, summary_to_message

# --- writing ----------------------------------------------------------------------------------------------------------


def encode_batch(batch: Batch) -> bytes:
    """`batch` as the body of a write request."""
    message = pb.WriteRequest(writer=batch.writer.encode(), seq=batch.seq)
    message.runs.extend(run_to_message(run) for run in batch.runs)
    return message.SerializeToString()


def run_to_message(run: RunBatch) -> pb.RunBatch:
    """One run's batch as its message; the journal stores the same."""
    name = run.run.encode()
    message = pb.RunBatch(member=name) if isinstance(run.run, MemberName) else pb.RunBatch(run=name)
    for column in run.scalars:
        added = message.scalars.add(tag=column.tag.encode())
        added.values.append(column.values.astype(FLOAT64, copy=False).tobytes())
        if column.steps is not None:
            added.steps.append(column.steps.astype(INT64, copy=False).tobytes())
        if column.wall_times is not None:
            added.wall_times.append(column.wall_times.astype(FLOAT64, copy=False).tobytes())
        if column.display_name:
            added.display_name = column.display_name.encode()
        if column.description:
            added.description = column.description.encode()
    message.summaries.extend(map(summary_to_message, run.summaries))
    if run.purge_step is not None:
        message.purge_step = run.purge_step
    if run.purge_wall_time is not None:
        message.purge_wall_time = run.purge_wall_time
    for record in run.logs:
        line = message.logs.add(message=record.message.encode(), level=record.level, logger=record.logger.encode())
        if record.wall_time is not None:
            line.wall_time = record.wall_time
    if run.create:
        message.create = True
    if run.status is not None:
        message.status = run.status.number
    return message


# --- reading ----------------------------------------------------------------------------------------------------------


def decode_batch(body: bytes, *, partial: bool = False, groups: Groups = NO_GROUPS) -> Collected:
    """A request's body as a batch. Items that are wrong raise `InvalidBatch`, or with `partial` are left out and listed.

    Members become the runs and tags that `groups` say. Raises `MalformedBody` if the body is not the message at all, `TooLarge`
    if it has more items than limits.ITEMS_MAX, or more log records than limits.LOG_RECORDS_MAX.
    """
    message = _parse(pb.WriteRequest, body)
    if any(_is_unpacked(run) for run in message.runs):
        # One element at a time instead of packed: legal, and rare, since proto3 packs. The official message reads both.
        message = _parse(pb.WriteRequest, _parse(write_pb2.WriteRequest, body).SerializeToString())
    errors = ItemErrors(partial=partial)
    errors.count_items(sum(1 + len(run.scalars) + len(run.summaries) for run in message.runs))
    errors.count_logs(sum(len(run.logs) for run in message.runs))
    writer = errors.attempt("", decode_utf8, message.writer, "the writer", "writer")
    made = (run_from_message(run, errors, f"runs[{position}]", groups) for position, run in enumerate(message.runs))
    return errors.collect([run for run in made if run is not None], writer or "", message.seq)


M = TypeVar("M", bound=Message)


def _parse(kind: type[M], body: bytes) -> M:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise MalformedBody("the body is not a tbbridge.v1.WriteRequest in protobuf's binary form") from error


# The kinds that belong to a run as a whole.
_TAGLESS = ("graph_def", "hparams", "custom_scalars")
# The kinds with packed columns, which a sender may also write element by element.
_PACKED = ("histogram", "pr_curve", "mesh", "embedding")


def _is_unpacked(run: pb.RunBatch) -> bool:
    packed = (getattr(item, kind) for item in run.summaries if (kind := item.WhichOneof("kind")) in _PACKED)
    return any(len(UnknownFieldSet(column)) for column in run.scalars) or any(len(UnknownFieldSet(item)) for item in packed)


def run_from_message(message: pb.RunBatch, errors: ItemErrors, path: str, groups: Groups = NO_GROUPS) -> RunBatch | None:
    """One run's message as its batch; None if its name is wrong or nothing in it is good. What is wrong goes to `errors`."""
    where = errors.attempt(path, _place_of, message, groups)
    if where is None:
        return None
    name, member = where
    columns = []
    for position, item in enumerate(message.scalars):
        column = errors.attempt(f"{path}.scalars[{position}]", _column, item, member)
        if column is not None:
            columns.append(column)
    rows, summaries = [], []
    for position, summary in enumerate(message.summaries):
        place = f"{path}.summaries[{position}]"
        made = errors.attempt(place, _summary, summary, place, member)
        if isinstance(made, ScalarRow):
            rows.append(made)
        elif made is not None:
            summaries.append(made)
    joined = errors.attempt(path, join_columns, columns + errors.columns_of(rows)) or ()
    purge_step = message.purge_step if message.HasField("purge_step") else None
    purge_wall_time = message.purge_wall_time if message.HasField("purge_wall_time") else None
    logs = [errors.attempt(f"{path}.logs[{position}]", _record, line) for position, line in enumerate(message.logs)]
    lines = tuple(record for record in logs if record is not None)
    status = errors.attempt(path, RunStatus.of_number, message.status) if message.status else None
    run = errors.attempt(
        path, RunBatch, name, joined, tuple(summaries), purge_step, purge_wall_time, lines, message.create, status
    )
    return None if run is None or run.is_empty else run


def _place_of(message: pb.RunBatch, groups: Groups) -> tuple[RunName, Place | None]:
    """The run that a message is for; and for a member's also how the group names its tags."""
    if not message.member:
        return run_name(decode_utf8(message.run, "the run name", "run")), None
    if message.run:
        raise InvalidItem("run-name", "both 'run' and 'member' are given; send one of them", "member")
    place = groups.place(decode_utf8(message.member, "the member", "member"))
    return place.run, place


def _column(message: pb.ScalarColumns, member: Place | None) -> ScalarColumns:
    tag = decode_utf8(message.tag, "the tag", "tag")
    return ScalarColumns(
        tag_name(tag) if member is None else member.tag(tag),
        array(message.values, FLOAT64, "values"),
        array(message.steps, INT64, "steps") if message.steps else None,
        array(message.wall_times, FLOAT64, "wall_times") if message.wall_times else None,
        decode_utf8(message.display_name, "display_name", "display_name"),
        decode_utf8(message.description, "description", "description"),
    )


def _summary(message: pb.Summary, path: str, member: Place | None) -> ScalarRow | Summary:
    if member is not None:
        kind = message.WhichOneof("kind") or ""
        if kind == "raw_value":
            raise InvalidItem("member", RAW_VALUE_OF_MEMBER, "raw_value")
        if kind not in _TAGLESS:
            message.tag = member.tag(decode_utf8(message.tag, "the tag", "tag")).encode()
    return summary_from_message(message, path)


def _record(message: pb.LogRecord) -> LogRecord:
    return LogRecord(
        decode_utf8(message.message, "the message", "message"),
        message.level or DEFAULT_LOG_LEVEL,
        decode_utf8(message.logger, "the logger's name", "logger"),
        message.wall_time if message.HasField("wall_time") else None,
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def encode_response(accepted: int, *, duplicate: bool, rejected: Sequence[ItemError], warnings: Sequence[ItemWarning]) -> bytes:
    """The answer to a write as `WriteResponse`."""
    message = write_pb2.WriteResponse(accepted=accepted, duplicate=duplicate)
    message.rejected.extend(_item(error) for error in rejected)
    message.warnings.extend(write_pb2.ItemWarning(path=w.path, code=w.code, message=w.message) for w in warnings)
    return message.SerializeToString()


def encode_problem(
    type_: str, title: str, status: int, detail: str, code: str, errors: Sequence[ItemError], request_id: str = ""
) -> bytes:
    """An error answer as `Problem`, the fields of RFC 9457."""
    message = write_pb2.Problem(type=type_, title=title, status=status, detail=detail, code=code, request_id=request_id)
    message.errors.extend(_item(error) for error in errors)
    return message.SerializeToString()


def _item(error: ItemError) -> write_pb2.ItemError:
    return write_pb2.ItemError(path=error.path, code=error.code, message=error.message)
