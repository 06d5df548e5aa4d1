"""The binary form of a write: what `application/x-protobuf` bodies, the journal and the Python clients all use.

The public contract is proto/tbbridge/v1/write.proto; this file reads and writes its twin, wire/columns.proto, in which a packed
column is bytes and so becomes a numpy array without a loop. Bytes in, values out: no files, no clock, no asyncio.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from tbbridge.errors import ItemError, ItemWarning, MalformedBody
from tbbridge.model import Batch, RunBatch, ScalarColumns, decode_utf8, join_columns, run_name, tag_name
from tbbridge.v1 import write_pb2
from tbbridge.wire import columns_pb2 as pb
from tbbridge.wire.collect import Collected, ItemErrors, ScalarRow
from tbbridge.wire.protobuf_kinds import FLOAT64, INT64, array, summary_from_message, summary_to_message

# --- writing ----------------------------------------------------------------------------------------------------------


def encode_batch(batch: Batch) -> bytes:
    """`batch` as the body of a write request."""
    message = pb.WriteRequest(writer=batch.writer.encode(), seq=batch.seq)
    message.runs.extend(run_to_message(run) for run in batch.runs)
    return message.SerializeToString()


def run_to_message(run: RunBatch) -> pb.RunBatch:
    """One run's batch as its message; the journal stores the same."""
    message = pb.RunBatch(run=run.run.encode())
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
    return message


# --- reading ----------------------------------------------------------------------------------------------------------


def decode_batch(body: bytes, *, partial: bool = False) -> Collected:
    """A request's body as a batch. Items that are wrong raise `InvalidBatch`, or with `partial` are left out and listed.

    Raises `MalformedBody` if the body is not the message at all.
    """
    message = _parse(pb.WriteRequest, body)
    if any(_is_unpacked(run) for run in message.runs):
        # One element at a time instead of packed: legal, and rare, since proto3 packs. The official message reads both.
        message = _parse(pb.WriteRequest, _parse(write_pb2.WriteRequest, body).SerializeToString())
    errors = ItemErrors(partial=partial)
    writer = errors.attempt("", decode_utf8, message.writer, "the writer", "writer")
    made = (run_from_message(run, errors, f"runs[{position}]") for position, run in enumerate(message.runs))
    return errors.collect([run for run in made if run is not None], writer or "", message.seq)


M = TypeVar("M", bound=Message)


def _parse(kind: type[M], body: bytes) -> M:
    try:
        return kind.FromString(body)
    except DecodeError as error:
        raise MalformedBody("the body is not a tbbridge.v1.WriteRequest in protobuf's binary form") from error


# The kinds with packed columns, which a sender may also write element by element.
_PACKED = ("histogram", "pr_curve", "mesh", "embedding")


def _is_unpacked(run: pb.RunBatch) -> bool:
    packed = (getattr(item, kind) for item in run.summaries if (kind := item.WhichOneof("kind")) in _PACKED)
    return any(len(UnknownFieldSet(column)) for column in run.scalars) or any(len(UnknownFieldSet(item)) for item in packed)


def run_from_message(message: pb.RunBatch, errors: ItemErrors, path: str) -> RunBatch | None:
    """One run's message as its batch; None if its name is wrong or nothing in it is good. What is wrong goes to `errors`."""
    name = errors.attempt(path, lambda: run_name(decode_utf8(message.run, "the run name", "run")))
    if name is None:
        return None
    columns = []
    for position, item in enumerate(message.scalars):
        column = errors.attempt(f"{path}.scalars[{position}]", _column, item)
        if column is not None:
            columns.append(column)
    rows, summaries = [], []
    for position, summary in enumerate(message.summaries):
        place = f"{path}.summaries[{position}]"
        made = errors.attempt(place, summary_from_message, summary, place)
        if isinstance(made, ScalarRow):
            rows.append(made)
        elif made is not None:
            summaries.append(made)
    joined = errors.attempt(path, join_columns, columns + errors.columns_of(rows)) or ()
    purge_step = message.purge_step if message.HasField("purge_step") else None
    purge_wall_time = message.purge_wall_time if message.HasField("purge_wall_time") else None
    run = errors.attempt(path, RunBatch, name, joined, tuple(summaries), purge_step, purge_wall_time)
    return None if run is None or run.is_empty else run


def _column(message: pb.ScalarColumns) -> ScalarColumns:
    return ScalarColumns(
        tag_name(decode_utf8(message.tag, "the tag", "tag")),
        array(message.values, FLOAT64, "values"),
        array(message.steps, INT64, "steps") if message.steps else None,
        array(message.wall_times, FLOAT64, "wall_times") if message.wall_times else None,
        decode_utf8(message.display_name, "display_name", "display_name"),
        decode_utf8(message.description, "description", "description"),
    )


# --- answers ----------------------------------------------------------------------------------------------------------


def encode_response(accepted: int, *, duplicate: bool, rejected: Sequence[ItemError], warnings: Sequence[ItemWarning]) -> bytes:
    """The answer to a write as `WriteResponse`."""
    message = write_pb2.WriteResponse(accepted=accepted, duplicate=duplicate)
    message.rejected.extend(_item(error) for error in rejected)
    message.warnings.extend(write_pb2.ItemWarning(path=w.path, code=w.code, message=w.message) for w in warnings)
    return message.SerializeToString()


def encode_problem(type_: str, title: str, status: int, detail: str, code: str, errors: Sequence[ItemError]) -> bytes:
    """An error answer as `Problem`, the fields of RFC 9457."""
    message = write_pb2.Problem(type=type_, title=title, status=status, detail=detail, code=code)
    message.errors.extend(_item(error) for error in errors)
    return message.SerializeToString()


def _item(error: ItemError) -> write_pb2.ItemError:
    return write_pb2.ItemError(path=error.path, code=error.code, message=error.message)
