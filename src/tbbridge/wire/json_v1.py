"""The JSON form of a write, and of its answers. Its types, which are also the published schema, are in `json_v1_schema`.

A body takes one of two paths. The fast one lets pydantic read the raw bytes once into plain lists, which become arrays; it
knows only yes and no. After a no the careful one reads the body again item by item: it allows the strings for NaN and infinity,
finds every wrong item, says what is wrong with it in our words, and with `partial` keeps the rest. Both end in `wire.collect`.
Bytes in, values out: no files, no clock, no asyncio.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from tbbridge import limits
from tbbridge.errors import InvalidBatch, InvalidItem, ItemError, ItemWarning, MalformedBody, TooLarge
from tbbridge.groups import NO_GROUPS, Groups, Place
from tbbridge.model import (
    INT64_MAX,
    INT64_MIN,
    Float64s,
    Int64s,
    LogRecord,
    RunBatch,
    RunName,
    RunStatus,
    ScalarColumns,
    Summary,
    check_step,
    check_wall_time,
    join_columns,
    run_name,
    tag_name,
)
from tbbridge.wire import json_v1_schema as schema
from tbbridge.wire.collect import DEFAULT_LOG_LEVEL, RAW_VALUE_OF_MEMBER, Collected, ItemErrors, ScalarRow
from tbbridge.wire.json_errors import checked, clipped, shown
from tbbridge.wire.json_fields import SPECIAL_NUMBERS
from tbbridge.wire.json_kinds import summary_of

_REQUEST: Final = TypeAdapter(schema.WriteRequest)
_SHAPE_HINT: Final = 'send an object such as {"runs": [{"run": "first", "scalars": [{"tag": "loss", "values": [0.5]}]}]}'


def decode_batch(body: bytes, *, partial: bool = False, groups: Groups = NO_GROUPS) -> Collected:
    """A request's body as a batch. Items that are wrong raise `InvalidBatch`, or with `partial` are left out and listed.

    Members become the runs and tags that `groups` say. Raises `MalformedBody` if the body is not JSON, `TooLarge` if it has
    more values than limits.JSON_MAX_VALUES, more items than limits.ITEMS_MAX, or more log records than limits.LOG_RECORDS_MAX.
    """
    if len(body) > limits.JSON_MAX_VALUES and _values_at_most(body) > limits.JSON_MAX_VALUES:
        message = f"the body has over {limits.JSON_MAX_VALUES} values; send fewer at a time, or use the protobuf form"
        raise TooLarge(message)
    try:
        return _decode_clean(_REQUEST.validate_json(body), groups)
    except (_Unclean, ValidationError, InvalidItem, InvalidBatch, OverflowError):
        errors = ItemErrors(partial=partial)
    return _decode_carefully(body, errors, groups)  # out here, where what the fast path had read is freed


def _values_at_most(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


# --- the fast path: a body in which nothing is wrong --------------------------------------------------------------------


class _Unclean(Exception):
    """Something is wrong with the body; the careful path finds out what."""


def _decode_clean(request: schema.WriteRequest, groups: Groups) -> Collected:
    if not request.keys() <= _FIELDS_OF_REQUEST:
        raise _Unclean
    errors = ItemErrors(partial=False)
    errors.count_items(sum(1 + len(run.get("scalars", ())) + len(run.get("summaries", ())) for run in request["runs"]))
    errors.count_logs(sum(len(run.get("logs", ())) for run in request["runs"]))
    runs = [made for run in request["runs"] if (made := _clean_run(run, groups)) is not None]
    return errors.collect(runs, request.get("writer", ""), request.get("seq", 0))


def _clean_run(item: schema.RunBatch, groups: Groups) -> RunBatch | None:
    if not item.keys() <= _FIELDS_OF_RUN:
        raise _Unclean
    if "member" in item:
        name, member = _place_of(item, groups)
        for part in (*item.get("scalars", ()), *item.get("summaries", ())):
            _put_in_place(part, member)
    else:
        name = run_name(item.get("run", ""))
    columns = []
    for column in item.get("scalars", ()):
        if not column.keys() <= _FIELDS_OF_COLUMNS:
            raise _Unclean
        columns.append(_columns(column))
    rows: dict[str, list[schema.ScalarSummary]] = {}
    summaries: list[Summary] = []
    for summary in item.get("summaries", ()):
        if summary["kind"] == "scalar":
            rows.setdefault(summary["tag"], []).append(summary)
        elif not summary.keys() <= _FIELDS_OF_KIND[summary["kind"]]:
            raise _Unclean
        else:
            summaries.append(summary_of(summary))
    columns.extend(_clean_rows(tag, same) for tag, same in rows.items())
    logs = []
    for record in item.get("logs", ()):
        if not record.keys() <= _FIELDS_OF_RECORD:
            raise _Unclean
        logs.append(_record(record))
    purge = item.get("purge_step"), item.get("purge_wall_time")
    run = RunBatch(name, join_columns(columns), tuple(summaries), *purge, tuple(logs), item.get("create", False), _status(item))
    return None if run.is_empty else run


def _clean_rows(tag: str, rows: Sequence[schema.ScalarSummary]) -> ScalarColumns:
    steps = [row["step"] for row in rows if "step" in row]
    wall_times = [row["wall_time"] for row in rows if "wall_time" in row]
    if sum(map(len, rows)) != 3 * len(rows) + len(steps) + len(wall_times):  # some row has a field more than most have
        return _named_rows(tag, rows)
    for wall_time in (min(wall_times), max(wall_times)) if wall_times else ():
        check_wall_time(wall_time)
    return ScalarColumns(
        tag_name(tag),
        _floats([row["value"] for row in rows]),
        _steps(steps) if steps else None,
        _floats(wall_times) if wall_times else None,
    )


def _named_rows(tag: str, rows: Sequence[schema.ScalarSummary]) -> ScalarColumns:
    """The same for rows of which some say how they want to be shown."""
    names = [row.get("display_name", "") for row in rows]
    descriptions = [row.get("description", "") for row in rows]
    plain: list[Any] = [
        {field: value for field, value in row.items() if field not in ("display_name", "description")} for row in rows
    ]
    if any(not row.keys() <= _FIELDS_OF_KIND["scalar"] for row in rows):
        raise _Unclean
    return replace(
        _clean_rows(tag, plain), display_name=next(filter(None, names), ""), description=next(filter(None, descriptions), "")
    )


# --- the careful path: what exactly is wrong, and what is still good ----------------------------------------------------

_RUN: Final = TypeAdapter(schema.RunBatch)
_COLUMNS: Final = TypeAdapter(schema.ScalarColumns)
_RECORD: Final = TypeAdapter(schema.LogRecord)
_KINDS: Final[Mapping[str, TypeAdapter[Any]]] = {kind: TypeAdapter(said) for kind, said in schema.KINDS.items()}
_FIELDS_OF_REQUEST: Final = schema.WriteRequest.__annotations__.keys()
_FIELDS_OF_RUN: Final = schema.RunBatch.__annotations__.keys()
_FIELDS_OF_COLUMNS: Final = schema.ScalarColumns.__annotations__.keys()
_FIELDS_OF_RECORD: Final = schema.LogRecord.__annotations__.keys()
_FIELDS_OF_KIND: Final = {kind: said.__annotations__.keys() for kind, said in schema.KINDS.items()}


def _decode_carefully(body: bytes, errors: ItemErrors, groups: Groups) -> Collected:
    request = _parse(body)
    # What holds for the whole request is never partial: a misspelt `seq` would cost the sender its protection.
    head = ItemErrors(partial=False)
    if not isinstance(request, dict):
        head.add(ItemError("", "type", f"the body is {shown(request)}; {_SHAPE_HINT}"))
        raise InvalidBatch(head.kept)
    runs = request.get("runs")
    if isinstance(runs, list):
        request["runs"] = []
    made = checked(_REQUEST, _FIELDS_OF_REQUEST, request, "", head)
    if made is None or head.count or not isinstance(runs, list):
        raise InvalidBatch(head.kept)
    good = (_careful_run(run, errors, f"runs[{position}]", groups) for position, run in enumerate(runs))
    return errors.collect([run for run in good if run is not None], made.get("writer", ""), made.get("seq", 0))


def _parse(body: bytes) -> Any:
    if not body.strip():
        raise MalformedBody(f"the body is empty; {_SHAPE_HINT}")
    try:
        return from_json(body, cache_strings="keys")
    except ValueError as error:
        raise MalformedBody(f"the body is not JSON: {error}; {_SHAPE_HINT}") from None


def _careful_run(item: object, errors: ItemErrors, path: str, groups: Groups) -> RunBatch | None:
    if not isinstance(item, dict):
        errors.add(
            ItemError(path, "type", f'a run is an object, this is {shown(item)}; send {{"run": name, "scalars": [...]}}')
        )
        return None
    lists: dict[str, list[Any]] = {}
    for field in [field for field in ("scalars", "summaries", "logs") if field in item]:
        came = item.pop(field)
        if isinstance(came, list):
            lists[field] = came
        else:
            message = f"{shown(came)} came where a list is wanted; send [...] or leave it out"
            errors.add(ItemError(f"{path}.{field}", "type", message))
    errors.count_items(1 + len(lists.get("scalars", [])) + len(lists.get("summaries", [])))
    made = checked(_RUN, _FIELDS_OF_RUN, item, path, errors)
    where = None if made is None else errors.attempt(path, _place_of, made, groups)
    if made is None or where is None:
        return None
    name, member = where
    columns = list(_careful_columns(lists.get("scalars", []), errors, path, member))
    rows: list[ScalarRow] = []
    summaries: list[Summary] = []
    for summary in _careful_summaries(lists.get("summaries", []), errors, path, member):
        if isinstance(summary, ScalarRow):
            rows.append(summary)
        else:
            summaries.append(summary)
    joined = errors.attempt(path, join_columns, columns + errors.columns_of(rows)) or ()
    purge = made.get("purge_step"), made.get("purge_wall_time")
    errors.count_logs(len(lists.get("logs", [])))
    logs = tuple(_careful_logs(lists.get("logs", []), errors, path))
    run = errors.attempt(path, RunBatch, name, joined, tuple(summaries), *purge, logs, made.get("create", False), _status(made))
    return None if run is None or run.is_empty else run


def _careful_logs(items: Iterable[Any], errors: ItemErrors, path: str) -> Iterator[LogRecord]:
    for position, item in enumerate(items):
        place = f"{path}.logs[{position}]"
        made = checked(_RECORD, _FIELDS_OF_RECORD, item, place, errors, whole=True)
        record = None if made is None else errors.attempt(place, _record, made)
        if record is not None:
            yield record


def _careful_columns(items: Iterable[Any], errors: ItemErrors, path: str, member: Place | None) -> Iterator[ScalarColumns]:
    for position, item in enumerate(items):
        place = f"{path}.scalars[{position}]"
        made = checked(_COLUMNS, _FIELDS_OF_COLUMNS, _with_numbers(item, "values"), place, errors, whole=True)
        column = None if made is None else errors.attempt(place, _columns, made, member)
        if column is not None:
            yield column


# Where a kind has numbers that JSON may not be able to write.
_NUMBERS_IN: Final = {"scalar": "value", "histogram": "values"}


def _careful_summaries(
    items: Iterable[Any], errors: ItemErrors, path: str, member: Place | None
) -> Iterator[ScalarRow | Summary]:
    for position, item in enumerate(items):
        place = f"{path}.summaries[{position}]"
        kind = item.get("kind") if isinstance(item, dict) else None
        if not isinstance(item, dict):
            errors.add(ItemError(place, "type", f'a summary is an object, this is {shown(item)}; send {{"kind": ...}}'))
            continue
        if not isinstance(kind, str) or kind not in _KINDS:
            came = f"kind is {shown(kind)}" if "kind" in item else "'kind' is missing"
            errors.add(ItemError(f"{place}.kind", "kind", f"{came}; this server knows " + ", ".join(_KINDS)))
            continue
        item = _with_numbers(item, _NUMBERS_IN.get(kind, ""))  # noqa: PLW2901 - the same item, made readable
        made = checked(_KINDS[kind], _FIELDS_OF_KIND[kind], item, place, errors, whole=True)
        if made is None:
            continue
        summary = errors.attempt(place, _summary, made, place, member)
        if summary is not None:
            yield summary


_LARGEST_FLOAT: Final = int(sys.float_info.max)


def _with_numbers(item: Any, name: str) -> Any:
    """`item` with the strings that stand for numbers in its field `name` as those numbers."""
    if isinstance(item, dict) and name in item:
        came = item[name]
        item[name] = [_number(one) for one in came] if isinstance(came, list) else _number(came)
    return item


def _number(came: Any) -> Any:
    if type(came) is str:
        return SPECIAL_NUMBERS.get(came, came)
    if type(came) is int and not -_LARGEST_FLOAT <= came <= _LARGEST_FLOAT:  # infinite, as pydantic reads it from the bytes
        return float("inf") if came > 0 else float("-inf")
    return came


# --- one item, from what pydantic made of it ----------------------------------------------------------------------------


def _place_of(item: schema.RunBatch, groups: Groups) -> tuple[RunName, Place | None]:
    """The run that an item is for; and for a member's item also how the group names its tags."""
    if "member" not in item:
        if "run" not in item:
            raise InvalidItem("missing", "'run' is missing; add it (or 'member', the name of one of a group)", "run")
        return run_name(item["run"]), None
    if "run" in item:
        raise InvalidItem("run-name", "both 'run' and 'member' are given; send one of them", "member")
    place = groups.place(item["member"])
    return place.run, place


# The kinds that belong to a run as a whole.
_TAGLESS: Final = ("graph", "hparams", "custom_scalars")


def _put_in_place(item: Any, member: Place | None) -> None:
    """Give `item`, columns or a summary of a member, the tag that its group makes of its own."""
    if member is None:
        return
    kind = item.get("kind")
    if kind == "raw":
        raise InvalidItem("member", RAW_VALUE_OF_MEMBER, "kind")
    if kind not in _TAGLESS:
        item["tag"] = member.tag(item["tag"])


def _summary(item: Any, path: str, member: Place | None) -> ScalarRow | Summary:
    _put_in_place(item, member)
    return _row(item, path) if item["kind"] == "scalar" else summary_of(item)


def _status(item: schema.RunBatch) -> RunStatus | None:
    return RunStatus(item["status"]) if "status" in item else None


def _record(item: schema.LogRecord) -> LogRecord:
    return LogRecord(item["message"], item.get("level", 0) or DEFAULT_LOG_LEVEL, item.get("logger", ""), item.get("wall_time"))


def _columns(item: schema.ScalarColumns, member: Place | None = None) -> ScalarColumns:
    _put_in_place(item, member)
    steps, wall_times = item.get("steps"), item.get("wall_times")
    return ScalarColumns(
        tag_name(item["tag"]),
        _floats(item["values"]),
        None if steps is None else _steps(steps),
        None if wall_times is None else _floats(wall_times),
        item.get("display_name", ""),
        item.get("description", ""),
    )


# `struct` makes an array of a list in 40% of numpy's time, but takes a second copy of the list for it.
_PACKED_MAX: Final = 64 * 1024


def _floats(values: Sequence[float]) -> Float64s:
    if len(values) > _PACKED_MAX:
        return np.array(values, dtype=np.float64)
    return np.frombuffer(struct.pack(f"{len(values)}d", *values))


def _steps(steps: Sequence[int]) -> Int64s:
    try:
        if len(steps) > _PACKED_MAX:
            return np.array(steps, dtype=np.int64)
        return np.frombuffer(struct.pack(f"{len(steps)}q", *steps), np.int64)
    except (OverflowError, struct.error):
        position, step = next((at, step) for at, step in enumerate(steps) if not INT64_MIN <= step <= INT64_MAX)
        message = f"step {clipped(str(step))} does not fit in 64 bits; steps go from -2^63 to 2^63-1"
        raise InvalidItem("step", message, f"steps[{position}]") from None


def _row(item: schema.ScalarSummary, path: str) -> ScalarRow:
    step, wall_time = item.get("step"), item.get("wall_time")
    return ScalarRow(
        path,
        tag_name(item["tag"]),
        item["value"],
        None if step is None else check_step(step),
        None if wall_time is None else check_wall_time(wall_time),
        item.get("display_name", ""),
        item.get("description", ""),
    )


# --- answers ------------------------------------------------------------------------------------------------------------


def encode_response(accepted: int, *, duplicate: bool, rejected: Sequence[ItemError], warnings: Sequence[ItemWarning]) -> bytes:
    """The answer to a write."""
    answer = {"accepted": accepted, "duplicate": duplicate, "rejected": _items(rejected), "warnings": _items(warnings)}
    return to_json(answer)


def encode_problem(
    type_: str, title: str, status: int, detail: str, code: str, errors: Sequence[ItemError], request_id: str = ""
) -> bytes:
    """An error answer, in the fields of RFC 9457."""
    problem: dict[str, object] = {"type": type_, "title": title, "status": status, "detail": detail, "code": code}
    if errors:
        problem["errors"] = _items(errors)
    if request_id:
        problem["request_id"] = request_id
    return to_json(problem)


def _items(items: Sequence[ItemError | ItemWarning]) -> list[dict[str, str]]:
    return [{"path": item.path, "code": item.code, "message": item.message} for item in items]
