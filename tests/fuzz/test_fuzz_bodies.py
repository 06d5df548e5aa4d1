"""Fuzzing of request bodies: both forms of version 1, the old dialects, forms, compression, groups, pictures and sounds.

One invariant stands above all of these tests: a body is taken or refused by one of our errors, whose message names what is
wrong; whatever else is raised would be an internal error in the eyes of its sender.
"""

from __future__ import annotations

import fnmatch
import gzip
import json
import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeVar

import numpy as np
from budget import fuzz
from damage import JSON_VALUES, TEXTS, damaged, spoiled
from google.protobuf import json_format
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from one_of_each import one_of_each

from tbbridge import limits
from tbbridge.errors import InvalidBatch, InvalidItem, MalformedBody, TBBridgeError, TooLarge
from tbbridge.groups import NO_GROUPS
from tbbridge.media import read_picture, read_sound
from tbbridge.model import Audio, Batch, Image, LogRecord, RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.v1 import write_pb2
from tbbridge.wire import compression, crayon, family, groups_v1, json_v1, lapiz, pastalog, protobuf_v1
from tbbridge.wire.collect import Collected, ItemErrors
from tbbridge.wire.json_v1_schema import HISTOGRAM_EXAMPLE, ONE_POINT_EXAMPLE, SCALAR_EXAMPLE, WRITE_EXAMPLE
from tbbridge.wire.multipart import FormFile

T = TypeVar("T")
REFUSALS = (InvalidBatch, InvalidItem, MalformedBody, TooLarge)
RUN, TAG = run_name("r"), tag_name("t")
# What a message may say of a value that came: enough of it to find it, and no more.
MESSAGE_MAX = 2_000


def taken(decode: Callable[[], T]) -> T | None:
    """What `decode` makes, or None after a refusal that its sender can act on."""
    try:
        return decode()
    except REFUSALS as error:
        check_message(error)
        return None


def check_message(error: TBBridgeError) -> None:
    assert 400 <= error.status < 500
    errors = error.errors if isinstance(error, InvalidBatch) else ()
    assert len(errors) <= limits.REPORTED_ITEMS
    for message in (error.message, *(one.message for one in errors)):
        assert 0 < len(message) <= MESSAGE_MAX, message
        message.encode()
    for one in errors:
        one.path.encode()


def check_batch(batch: Batch) -> None:
    """What the gate let through is whole: the journal can hold it, and reads the same from there."""
    body = protobuf_v1.encode_batch(batch)
    assert protobuf_v1.encode_batch(protobuf_v1.decode_batch(body).batch) == body
    assert batch.size_bytes > 0


# --- JSON ---------------------------------------------------------------------------------------------------------------

REQUESTS: list[object] = [
    {**WRITE_EXAMPLE, "runs": [{"run": "r", "summaries": [summary]}]} for summary in WRITE_EXAMPLE["runs"][0]["summaries"]
]
REQUESTS += [
    WRITE_EXAMPLE,
    ONE_POINT_EXAMPLE,
    {"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1, "NaN"], "steps": [1, 2], "wall_times": [3, 4.5]}] * 2}]},
    {"runs": [{"run": "r", "summaries": [SCALAR_EXAMPLE, {**SCALAR_EXAMPLE, "wall_time": 7}, HISTOGRAM_EXAMPLE]}] * 2},
    {"runs": [{"run": "r", "purge_step": 3, "purge_wall_time": 1.5, "create": True, "logs": [{"message": "a\nb"}]}]},
    {"runs": [{"member": "agent/3", "scalars": [{"tag": "t", "values": [1]}]}]},
    {"runs": [{"member": "eval/red", "summaries": [SCALAR_EXAMPLE]}]},
]  # fmt: skip
GROUPS = groups_v1.decode_groups(json.dumps(groups_v1.GROUPS_EXAMPLE).encode())


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()


@fuzz("JSON writes", examples=120, weight=2)
@given(st.one_of(spoiled(st.sampled_from(REQUESTS)), JSON_VALUES).map(as_json), st.booleans())
@example(b'{"runs": [' + b'{"run": "r", "scalars": [{"tag": "t", "values": [' * 60, False)
@example(as_json({"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [10**400], "steps": [10**30]}]}]}), True)
def test_a_json_write_is_taken_or_refused_in_words(body: bytes, partial: bool) -> None:
    """Any JSON is taken or refused; what is taken is whole, and with `partial` only good items are."""
    found = taken(lambda: json_v1.decode_batch(body, partial=partial, groups=GROUPS))
    if found is not None:
        check_batch(found.batch)
        assert partial or not found.rejected


@fuzz("JSON bytes", examples=100)
@given(damaged(st.sampled_from(REQUESTS).map(as_json)))
@example(b"\xef\xbb\xbf{}")
@example(b"[" * 5_000)
@example(b'{"runs": [], "seq": ' + b"9" * 5_000 + b"}")
def test_bytes_that_are_nearly_json_are_taken_or_refused_in_words(body: bytes) -> None:
    """Damage on the way never becomes anything but a batch or a refusal."""
    found = taken(lambda: json_v1.decode_batch(body, groups=GROUPS))
    if found is not None:
        check_batch(found.batch)


@fuzz("JSON fast and careful", examples=80)
@given(spoiled(st.sampled_from(REQUESTS)).map(as_json))
def test_the_fast_and_the_careful_way_through_json_end_at_the_same_batch(body: bytes) -> None:
    """A body in which nothing is wrong means the same whether or not the careful path reads it."""

    def by(decode: Callable[[], Collected]) -> bytes | None:
        made = taken(decode)
        return None if made is None else protobuf_v1.encode_batch(made.batch)

    try:
        request = json_v1._REQUEST.validate_json(body)
        fast = json_v1._decode_clean(request, GROUPS)
    except (json_v1._Unclean, ValueError, OverflowError, TBBridgeError):
        return
    assert by(lambda: json_v1._decode_carefully(body, ItemErrors(partial=False), GROUPS)) == protobuf_v1.encode_batch(
        fast.batch
    )


# --- protobuf -----------------------------------------------------------------------------------------------------------


def messages() -> list[bytes]:
    every = one_of_each()
    columns = ScalarColumns(tag_name("t"), np.arange(3.0), np.arange(3), np.full(3, 1.5))
    logs = (LogRecord("a\nb", 20, "train", 1.5),)
    runs = [RunBatch(RUN, (columns,), tuple(every.values()), 3, 1.5, logs, create=True)]
    runs += [RunBatch(RUN, summaries=(summary,)) for summary in every.values()]
    made = [protobuf_v1.encode_batch(Batch((run,), "w", 1)) for run in runs]
    member = write_pb2.WriteRequest()
    member.runs.add(member="agent/3").scalars.add(tag="t", values=[1.0])
    return [*made, member.SerializeToString()]


MESSAGES = messages()


@fuzz("protobuf writes", examples=150, weight=2)
@given(damaged(st.sampled_from(MESSAGES), most=3), st.booleans())
@example(b"\x0a\x00", False)
def test_a_protobuf_write_is_taken_or_refused_in_words(body: bytes, partial: bool) -> None:
    """Any bytes are a batch that is whole, or a refusal."""
    found = taken(lambda: protobuf_v1.decode_batch(body, partial=partial, groups=GROUPS))
    if found is not None:
        check_batch(found.batch)


@st.composite
def spoiled_messages(draw: DrawFn) -> bytes:
    """Messages that protobuf takes, in which fields have values of their type that make no sense."""
    message = write_pb2.WriteRequest.FromString(draw(st.sampled_from(MESSAGES)))
    said = json_format.MessageToDict(message, preserving_proto_field_name=True)
    for _ in range(draw(st.integers(1, 3))):
        changed = draw(spoiled(st.just(said)))
        try:
            json_format.ParseDict(changed, write_pb2.WriteRequest())
        except (json_format.ParseError, ValueError, TypeError, AttributeError, SystemError):  # the last for surrogates in names
            continue
        said = changed
    return json_format.ParseDict(said, write_pb2.WriteRequest()).SerializeToString()


@fuzz("protobuf with odd values", examples=60)
@given(spoiled_messages(), st.booleans())
def test_a_protobuf_write_of_odd_values_is_taken_or_refused_in_words(body: bytes, partial: bool) -> None:
    """Messages that are well formed and mean nothing are batches that are whole, or refusals."""
    found = taken(lambda: protobuf_v1.decode_batch(body, partial=partial, groups=GROUPS))
    if found is not None:
        check_batch(found.batch)


# --- the old dialects ---------------------------------------------------------------------------------------------------

HISTO = {"min": 0.0, "max": 2.0, "num": 3.0, "bucket_limit": [1.0, 2.0], "bucket": [1.0, 2.0], "sum": 3.0, "sum_squares": 5.0}
LAPIZ: list[object] = [
    {"wall_time": 1.5e9, "step": 3, "summaries": [{"tag": "t", "type": kind, **fields}]}
    for kind, fields in [
        ("scalar", {"value": 0.5}),
        ("histogram", {"weights": [[1, 2.5], [3, 4]]}),
        ("histogram", {"histo": HISTO}),
        ("image", {"image": [[0, 0.5], [1, 0]]}),
        ("image", {"img": [[[0, 128, 255]] * 3] * 2}),
        ("image", {"image": "aGVsbG8="}),
        ("audio", {"audio": [0, 0.5, -0.5], "sample_rate": 8000}),
        ("audio", {"waveform": "UklGRg=="}),
    ]
]


@fuzz("lapiz", examples=100)
@given(st.one_of(spoiled(st.sampled_from(LAPIZ)), JSON_VALUES).map(as_json))
@example(as_json({"step": 1, "summaries": [{"tag": "t", "type": "histogram", "weights": json.loads("[" * 90 + "]" * 90)}]}))
@example(
    as_json({"step": 1, "summaries": [{"tag": "t", "type": "histogram", "weights": json.loads("[" * 90 + "1" + "]" * 90)}]})
)
@example(as_json({"step": 1, "summaries": [{"tag": "t", "type": "histogram", "weights": [10**400]}]}))
@example(as_json({"step": 1, "summaries": [{"tag": "t", "type": "audio", "audio": [1], "sample_rate": 1e300}]}))
@example(as_json({"step": 1, "summaries": [{"tag": "t", "type": "audio", "audio": [1], "sample_rate": math.nan}]}))
def test_what_lapiz_clients_send_is_taken_or_refused_in_words(body: bytes) -> None:
    """Any JSON is a step's summaries, or a refusal of one line."""
    batch = taken(lambda: lapiz.decode_summaries(RUN, body))
    if batch is not None:
        check_batch(batch)


@fuzz("crayon", examples=100)
@given(st.one_of(spoiled(st.sampled_from([[1.5, 3, 0.5], [1.5, 3, [1, 2.5]], [1.5, 3, HISTO]])), JSON_VALUES).map(as_json))
@example(as_json([1.5, 3, [1e308, -1e308]]))
@example(as_json([1.5, 3, [5e-324, 1e308]]))
@example(as_json([1.5, 10**400, 10**400]))
def test_what_crayons_clients_send_is_taken_or_refused_in_words(body: bytes) -> None:
    """Any JSON is a point, a histogram or a refusal of one line."""
    for decode in (
        lambda: crayon.decode_scalar(RUN, TAG, body),
        lambda: crayon.decode_histogram(RUN, TAG, body, build=False),
        lambda: crayon.decode_histogram(RUN, TAG, body, build=True),
    ):
        batch = taken(decode)
        if batch is not None:
            check_batch(batch)


POINT = {"modelName": "m", "pointType": "t", "pointValue": 2.5, "globalStep": 1}


@fuzz("pastalog", examples=80)
@given(st.one_of(spoiled(st.just(POINT)), st.dictionaries(TEXTS, JSON_VALUES, max_size=4)))
def test_what_pastalogs_clients_send_is_taken_or_refused_in_words(point: object) -> None:
    """Any object is a point, or a refusal of one line."""
    came = taken(lambda: family.parse(as_json(point), "send a point"))
    batch = taken(lambda: pastalog.point_of(came)) if isinstance(came, dict) else None
    if batch is not None:
        check_batch(batch)


# --- forms --------------------------------------------------------------------------------------------------------------

HEADS = st.sampled_from([
    b'Content-Disposition: form-data; name="archive"; filename="b.zip"', b"content-disposition:form-data;name=archive",
    b'Content-Disposition: form-data; name="other"', b"", b"X: y", b'Content-Disposition: form-data; name="archive',
])  # fmt: skip


@st.composite
def forms(draw: DrawFn) -> bytes:
    content = st.one_of(
        st.binary(max_size=40),
        st.lists(st.sampled_from([b"\r\n", b"--", b"xYz", b"\r\n--xY", b"\n", b"a"]), max_size=9).map(b"".join),
    )
    parts = draw(st.lists(st.tuples(HEADS, content), max_size=3))
    return b"".join(b"--xYz\r\n%s\r\n\r\n%s\r\n" % part for part in parts) + b"--xYz--\r\n"


def read_form(pieces: list[bytes]) -> bytes | None:
    try:
        form = FormFile("multipart/form-data; boundary=xYz", "archive")
        got = b"".join(map(form.feed, pieces))
        form.close()
    except MalformedBody as error:
        check_message(error)
        return None
    return got


@fuzz("forms", examples=150)
@given(damaged(forms(), most=2), st.lists(st.integers(0, 300), max_size=6))
def test_a_form_holds_the_same_file_whatever_pieces_it_comes_in(body: bytes, cuts: list[int]) -> None:
    """Where the network cuts a body is no matter; a broken form is refused."""
    places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    pieces = [body[start:end] for start, end in pairwise(places)]
    whole = read_form([body])
    assert read_form(pieces) == whole
    assert read_form([bytes([one]) for one in body]) == whole


# --- compression --------------------------------------------------------------------------------------------------------

COMPRESS = {"gzip": lambda data: gzip.compress(data, mtime=0), "zstd": compression.zstd.compress}
PLAIN = st.one_of(st.binary(max_size=60), st.sampled_from([b"\0" * 5_000, b"ab" * 600, b""]))


@fuzz("compressed bodies", examples=150)
@given(st.data(), st.sampled_from(sorted(COMPRESS)), st.integers(1, 2_000))
def test_a_compressed_body_is_never_more_than_its_bound(data: st.DataObject, encoding: str, most: int) -> None:
    """Any bytes decompress to at most the bound, or are refused; frames in a row are joined."""
    parts = data.draw(st.lists(PLAIN, min_size=1, max_size=3))
    packed = b"".join(map(COMPRESS[encoding], parts))
    plain = b"".join(parts)
    try:
        assert compression.decompress(packed, encoding, most) == plain
        assert len(plain) <= most
    except TooLarge:
        assert len(plain) > most
    found = taken(lambda: compression.decompress(data.draw(damaged(st.just(packed))), encoding, most))
    assert found is None or len(found) <= most


# --- groups -------------------------------------------------------------------------------------------------------------

MEMBERS = st.one_of(
    st.tuples(st.sampled_from(["learner", "agent", "eval", "none"]), st.one_of(TEXTS, st.integers(-1, 10**20).map(str))).map(
        "/".join
    ),
    TEXTS,
)


@fuzz("groups", examples=80)
@given(st.one_of(spoiled(st.just(groups_v1.GROUPS_EXAMPLE)), JSON_VALUES).map(as_json), MEMBERS, TEXTS)
def test_a_table_of_groups_is_taken_and_kept_the_same_or_refused_in_words(body: bytes, member: str, tag: str) -> None:
    """Any JSON is a table that reads back as itself, or a refusal; every member of it has a run that can be, or a refusal."""
    for table in (taken(lambda: groups_v1.decode_groups(body)), GROUPS):
        if table is None:
            continue
        again = groups_v1.decode_groups(groups_v1.encode_groups(table))
        assert again.table == table.table
        assert groups_v1.listed(again) == groups_v1.listed(table)
        found = taken(lambda table=table: table.place(member))
        if found is not None:
            run_name(found.run)
            assert found.run.split("/")[0] in {group.name for group in table.table}
            shown = taken(lambda found=found: found.tag(tag))
            assert shown is None or tag_name(shown)
    assert taken(lambda: NO_GROUPS.place(member)) is None


@fuzz("group patterns", examples=100)
@given(st.text("ab*?[]!-^\\.", max_size=8), st.text("ab-]^[\\.", min_size=1, max_size=6))
def test_a_members_chart_is_that_of_the_first_pattern_that_a_shell_would_match(pattern: str, name: str) -> None:
    """Patterns mean what fnmatch says, and the first that matches counts."""
    table = {
        "groups": [
            {"name": "g", "kind": "combined", "patterns": [{"pattern": p, "bin": b} for p, b in ((pattern, "x"), ("*", "y"))]}
        ]
    }
    made = taken(lambda: groups_v1.decode_groups(as_json(table)))
    found = taken(lambda: made.place(f"g/{name}")) if made is not None else None
    if found is not None:
        assert found.bin == ("x" if fnmatch.fnmatchcase(name, pattern) else "y")


# --- pictures and sounds ------------------------------------------------------------------------------------------------

EVERY = one_of_each()
PICTURES = st.sampled_from([data for one in EVERY.values() if isinstance(one, Image) for data in one.images])
SOUNDS = st.sampled_from([data for one in EVERY.values() if isinstance(one, Audio) for data in one.clips])


@fuzz("pictures", examples=150)
@given(damaged(PICTURES))
@example(b"\xff\xd8" + b"\xff" * 200_000)
@example(b"\xff\xd8" + b"\xff\xe0\x00\x02" * 70_000)
def test_a_pictures_header_says_a_size_that_can_be_drawn_or_it_is_refused(data: bytes) -> None:
    """No bytes make a picture without pixels or of more than a browser can draw."""
    found = taken(lambda: read_picture(data, "image"))
    if found is not None:
        assert 0 < found.width * found.height <= limits.IMAGE_MAX_PIXELS
        assert found.mime in ("image/png", "image/jpeg", "image/gif")


@fuzz("sounds", examples=150)
@given(damaged(SOUNDS))
@example(b"RIFF\0\0\0\0WAVE" + b"junk\0\0\0\0" * 20_000)
def test_a_sounds_header_promises_no_more_than_the_file_holds_or_it_is_refused(data: bytes) -> None:
    """No bytes make a sound of more frames than bytes, or of a rate that nothing plays."""
    found = taken(lambda: read_sound(data, "audio"))
    if found is not None:
        assert 0 <= found.frames <= len(data)
        assert 1 <= found.rate_hz <= limits.AUDIO_MAX_RATE_HZ
        assert 1 <= found.channels <= limits.AUDIO_MAX_CHANNELS
