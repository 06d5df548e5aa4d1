"""The columnar encoder against protobuf's own serializer and a plain CRC, byte for byte."""

from __future__ import annotations

from collections.abc import Container, Sequence
from unittest.mock import patch

import numpy as np
import pytest
from frames import frames_of
from hypothesis import example, given
from hypothesis import strategies as st
from tensorboard.compat.proto.event_pb2 import Event as TensorBoardEvent

from tbbridge import limits
from tbbridge.events import event_pb2, scalars
from tbbridge.events.crc32c import crc32c, mask
from tbbridge.events.scalars import encode_scalars, varint
from tbbridge.model import ScalarColumns, TagName

WALL_TIME = 1.7e9


def column(tag: str, steps: Sequence[int], values: Sequence[float] = (), wall_times: Sequence[float] = ()) -> ScalarColumns:
    return ScalarColumns(
        TagName(tag),
        np.array(values or np.arange(len(steps)) / 7, np.float64),
        np.array(steps, np.int64),
        np.array(wall_times or np.full(len(steps), WALL_TIME), np.float64),
    )


def plain_record(tag: str, value: float, step: int, wall_time: float, *, describe: bool) -> bytes:
    """One record the slow way: the message built field by field, serialised by protobuf, framed with a CRC of its bytes."""
    event = event_pb2.Event(wall_time=wall_time, step=step)
    added = event.summary.value.add(tag=tag)
    with np.errstate(over="ignore", invalid="ignore"):
        added.simple_value = float(np.float32(value))
    if describe:
        added.metadata.plugin_data.plugin_name = "scalars"
        added.metadata.data_class = event_pb2.DATA_CLASS_SCALAR
    payload = event.SerializeToString()
    length = len(payload).to_bytes(8, "little")
    return b"".join((length, mask(crc32c(length)).to_bytes(4, "little"), payload, mask(crc32c(payload)).to_bytes(4, "little")))


def plain_records(one: ScalarColumns, described: Container[str]) -> list[bytes]:
    """The records of one column, in its order."""
    assert one.steps is not None
    assert one.wall_times is not None
    points = zip(one.values.tolist(), one.steps.tolist(), one.wall_times.tolist(), strict=True)
    return [
        plain_record(one.tag, *point, describe=position == 0 and one.tag not in described)
        for position, point in enumerate(points)
    ]


def records_of(data: bytes) -> list[bytes]:
    """`data` cut at its frames; every CRC is checked on the way."""
    return [data[frame.start : frame.end] for frame in frames_of(data)]


def by_tag(records: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Records in order for each tag, as TensorBoard's own classes read them."""
    found: dict[str, list[bytes]] = {}
    for record in records:
        (value,) = TensorBoardEvent.FromString(record[12:-4]).summary.value
        found.setdefault(value.tag, []).append(record)
    return found


int64s = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 300),
    st.sampled_from([0, 1, 127, 128, 2**14 - 1, 2**14, 2**21, 2**35, 2**56 - 1, 2**56, 2**63 - 1, -1, -(2**63)]),
)
floats = st.one_of(
    st.floats(), st.floats(width=32), st.sampled_from([0.0, -0.0, 5e-324, 1e-45, 3.4028235677973366e38, 1e300, -1e300])
)
wall_times = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.0, -0.0, WALL_TIME]))
tags = st.one_of(
    st.text(min_size=1, max_size=20),
    st.sampled_from(
        ["a", "loss", "train/acc", "x" * 93, "x" * 107, "x" * 127, "x" * 128, "ü" * 300, "x" * limits.TAG_MAX_BYTES]
    ),
).filter(
    lambda tag: (
        len(tag.encode("utf-8", "surrogatepass")) <= limits.TAG_MAX_BYTES and tag.encode(errors="ignore").decode() == tag
    )
)


@st.composite
def columns(draw: st.DrawFn) -> list[ScalarColumns]:
    made = []
    for tag in draw(st.lists(tags, min_size=1, max_size=6, unique=True)):
        points = draw(st.lists(st.tuples(floats, int64s, wall_times), min_size=1, max_size=12))
        values, steps, times = zip(*points, strict=True)
        made.append(column(tag, steps, values, times))
    return made


@given(columns(), st.integers(0, 63))
@example([column("a", [0, 1, 2, 1, 0, 300, 2, -1, 0, -1])], 0)
@example([column("a", range(300)), column("b", range(300)), column("long/tag", [5] * 300)], 0b101)
@example([column("a", [128, 127] * 30)], 1)
@example([column(f"tag{i}", [i]) for i in range(200)], 0b110)
def test_bytes_equal_protobuf_and_a_plain_crc(given_columns: list[ScalarColumns], which_described: int) -> None:
    """Whichever way is taken; in each column's order; metadata on the first point of a tag that is not described."""
    described = {one.tag for position, one in enumerate(given_columns) if which_described >> position % 6 & 1}
    with patch.object(scalars, "_POINTS_A_GROUP", 0):  # never gives up on arrays
        in_groups = scalars._encode_in_groups(given_columns, described)
    one_by_one = scalars._encode_one_by_one(given_columns, described)
    encoded = encode_scalars(given_columns, described)

    assert in_groups == one_by_one == encoded
    expected = {one.tag: plain_records(one, described) for one in given_columns}
    assert by_tag(records_of(encoded)) == expected


def test_many_rows_are_made_in_several_strides() -> None:
    count = 2 * scalars._ROWS_AT_A_TIME + 5
    one = [column("a", range(count)), column("b", range(count))]
    assert encode_scalars(one, ()) == scalars._encode_one_by_one(one, ())


def test_golden_record_of_another_writer() -> None:
    """The bytes that TensorBoard's format reference gives for step -1, tag 'a', value 0.5."""
    encoded = encode_scalars([column("a", [-1], [0.5], [1.5e9])], {"a"})
    golden = "200000000000000029eda95009000000c00b5ad64110ffffffffffffffffff012a0a0a080a0161150000003f60cc9e81"
    assert encoded == bytes.fromhex(golden)


def test_describing_records_stand_first() -> None:
    """So that a reader knows every tag of the batch before its other points."""
    given_columns = [column(name, range(100)) for name in ("a", "bb", "c", "dddd")]
    first = records_of(encode_scalars(given_columns, {"c"}))[:3]
    values = [TensorBoardEvent.FromString(record[12:-4]).summary.value[0] for record in first]
    assert {value.tag for value in values} == {"a", "bb", "dddd"}
    assert {(value.metadata.plugin_data.plugin_name, value.metadata.data_class) for value in values} == {("scalars", 1)}


def test_columns_of_one_tag_are_joined() -> None:
    """Only the first of all a tag's points is described, and the order is that of the columns."""
    parts = [column("a", [5, 6]), column("b", [1]), column("a", [7, 2])]
    whole = column("a", [5, 6, 7, 2], [0.0, 1 / 7, 0.0, 1 / 7])
    assert by_tag(records_of(encode_scalars(parts, ())))["a"] == plain_records(whole, ())


@pytest.mark.parametrize("left_out", ["steps", "wall_times"])
def test_unsettled_columns_are_refused(left_out: str) -> None:
    settled = {"steps": np.array([1]), "wall_times": np.array([1.0])}
    settled[left_out] = None
    with pytest.raises(ValueError, match=r"'loss'.*settle"):
        encode_scalars([ScalarColumns(TagName("loss"), np.array([1.0]), **settled)], ())


@pytest.mark.parametrize("count", [1, 1000])
def test_too_large_for_float32_becomes_infinite_without_a_warning(count: int) -> None:
    encoded = encode_scalars([column("a", range(count), [1e300] * count)], {"a"})
    events = [TensorBoardEvent.FromString(record[12:-4]) for record in records_of(encoded)]
    assert [event.summary.value[0].simple_value for event in events] == [np.inf] * count


def test_nothing_is_nothing() -> None:
    assert encode_scalars([], ()) == b""


@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 2**63 - 1, -1, -(2**63)])
def test_varints_are_protobufs(number: int) -> None:
    assert b"\x10" + varint(number) == (event_pb2.Event(step=number).SerializeToString() or b"\x10\x00")
