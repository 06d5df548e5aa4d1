"""Whatever comes in a body of an old client, the answer is a batch or a refusal in words: never an error of ours."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbbridge.errors import InvalidItem, MalformedBody, TBBridgeError
from tbbridge.model import Batch
from tbbridge.wire import crayon, family, lapiz, pastalog
from tbbridge.wire.multipart import FormFile

RUN, TAG = crayon.experiment("foo"), crayon.series("bar")
NAMES = (
    *("tag", "type", "value", "weights", "histo", "image", "img", "audio", "waveform", "sample_rate", "step", "wall_time"),
    *("summaries", "scalar", "histogram", "min", "max", "num", "sum", "sum_squares", "bucket", "bucket_limit"),
    *("modelName", "pointType", "pointValue", "globalStep"),
)
NUMBERS = st.one_of(
    st.integers(), st.floats(), st.integers(min_value=2**62, max_value=2**70), st.sampled_from([10**400, -(10**400), 0, 1, 255])
)
ANYTHING = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text(max_size=5), st.sampled_from(NAMES)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(NUMBERS, max_size=4),
        st.dictionaries(st.one_of(st.sampled_from(NAMES), st.text(max_size=3)), inner, max_size=6),
    ),
    max_leaves=12,
)
SUMMARIES = st.lists(
    st.fixed_dictionaries(
        {"tag": st.just("t"), "type": st.sampled_from(["scalar", "histogram", "image", "audio"])},
        optional=dict.fromkeys(("value", "weights", "histo", "image", "img", "audio", "waveform", "sample_rate"), ANYTHING),
    ),
    max_size=3,
)


def is_told(decode, *arguments, **named) -> None:
    refusal = None
    try:
        batch = decode(*arguments, **named)
    except TBBridgeError as error:
        refusal = error.message.encode(errors="strict")
    if refusal is None:
        assert isinstance(batch, Batch)
        assert all(run.points > 0 for run in batch.runs)
    else:
        assert 0 < len(refusal) < 1000


@given(came=ANYTHING)
def test_any_json_is_a_point_of_crayons_or_refused(came):
    body = json.dumps(came).encode()
    is_told(crayon.decode_scalar, RUN, TAG, body)
    is_told(crayon.decode_scalar, RUN, TAG, json.dumps([1, 2, came]).encode())


@given(came=ANYTHING, build=st.booleans())
def test_any_json_is_a_histogram_of_crayons_or_refused(came, build):
    is_told(crayon.decode_histogram, RUN, TAG, json.dumps([1, 2, came]).encode(), build=build)


@given(
    histo=st.fixed_dictionaries(
        {
            "min": NUMBERS,
            "max": NUMBERS,
            "num": NUMBERS,
            "bucket_limit": st.lists(NUMBERS, min_size=2, max_size=2),
            "bucket": st.lists(NUMBERS, min_size=2, max_size=2),
        },
        optional={"sum": NUMBERS, "sum_squares": NUMBERS},
    )
)
def test_any_numbers_are_a_histogram_of_crayons_or_refused(histo):
    is_told(crayon.decode_histogram, RUN, TAG, json.dumps([1, 2, histo]).encode(), build=False)


@given(came=st.one_of(ANYTHING, st.fixed_dictionaries({"step": NUMBERS, "wall_time": NUMBERS, "summaries": SUMMARIES})))
def test_any_json_is_a_step_of_lapizs_or_refused(came):
    is_told(lapiz.decode_summaries, RUN, json.dumps(came).encode())


@given(came=st.dictionaries(st.sampled_from(NAMES), ANYTHING, max_size=6))
def test_any_object_is_a_point_of_pastalogs_or_refused(came):
    is_told(pastalog.point_of, came)


@given(body=st.binary(max_size=40))
def test_any_bytes_are_json_or_refused(body):
    with contextlib.suppress(MalformedBody):
        assert family.parse(body, "send JSON") == json.loads(body) or b"NaN" in body


@pytest.mark.parametrize("name", ["\ud800", "a\udfff"])
def test_a_lone_surrogate_is_no_name(name):
    with pytest.raises(InvalidItem, match="lone surrogate"):
        family.run(name, "xp")
    with pytest.raises(InvalidItem, match="lone surrogate"):
        family.tag(name, "name")


@given(
    content=st.one_of(st.binary(max_size=60), st.lists(st.sampled_from([b"\r\n", b"--", b"--b", b"b", b"x"])).map(b"".join)),
    cuts=st.lists(st.integers(min_value=0, max_value=300), max_size=8),
)
def test_a_form_gives_the_same_file_however_it_is_cut(content, cuts):
    if b"\r\n--b" in b"\r\n" + content:
        return
    body = b'--b\r\nContent-Disposition: form-data; name="archive"\r\n\r\n' + content + b"\r\n--b--"
    form = FormFile("multipart/form-data; boundary=b", "archive")
    edges = [0, *sorted(cuts), len(body)]
    got = b"".join(form.feed(body[start:end]) for start, end in itertools.pairwise(edges))
    form.close()
    assert got == content
