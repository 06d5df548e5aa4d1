"""A body of nothing but short items is refused by their number: each takes a hundred times as much once it is read."""

from __future__ import annotations

import json

import pytest

from tbbridge import limits
from tbbridge.errors import TooLarge
from tbbridge.v1 import write_pb2 as pb
from tbbridge.wire import json_v1, protobuf_v1

COLUMN = {"tag": "x", "values": [1.0]}
TEXT = {"kind": "text", "tag": "y", "text": "words"}


def many(runs: int, columns: int, summaries: int) -> list[dict[str, object]]:
    return [{"run": f"r{number}", "scalars": [COLUMN] * columns, "summaries": [TEXT] * summaries} for number in range(runs)]


def protobuf(runs: list[dict[str, object]]) -> bytes:
    message = pb.WriteRequest()
    for run in runs:
        added = message.runs.add(run=run["run"], scalars=[pb.ScalarColumns(**COLUMN)] * len(run["scalars"]))
        added.summaries.extend([pb.Summary(tag="y", text="words")] * len(run["summaries"]))
    return message.SerializeToString()


def in_json(runs: list[dict[str, object]]) -> bytes:
    return json.dumps({"runs": runs}).encode()


def carefully(runs: list[dict[str, object]]) -> bytes:
    """JSON that only the careful path reads, which names what is wrong."""
    return json.dumps({"runs": [*runs, 17]}).encode()


FORMS = {
    "protobuf": (protobuf_v1.decode_batch, protobuf),
    "JSON": (json_v1.decode_batch, in_json),
    "JSON with a mistake": (json_v1.decode_batch, carefully),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize(("runs", "columns", "summaries"), [(11, 0, 0), (1, 10, 0), (1, 0, 10), (2, 3, 2)])
def test_more_items_than_memory_is_made_for_are_refused(monkeypatch, form, runs, columns, summaries):
    decode, encode = form
    monkeypatch.setattr(limits, "ITEMS_MAX", 10)
    with pytest.raises(TooLarge, match="over 10 runs, columns and summaries; send fewer"):
        decode(encode(many(runs, columns, summaries)), partial=True)


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_as_many_items_as_may_be_are_taken(monkeypatch, form):
    decode, encode = form
    monkeypatch.setattr(limits, "ITEMS_MAX", 10)
    assert decode(encode(many(2, 2, 2)), partial=True).batch.points == 8
