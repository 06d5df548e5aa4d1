"""Every kind as protobuf: there and back, from other writers, and what is said of one that is wrong."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest
from one_of_each import FACES, MATRIX, VERTICES, curve_table, graph_def, one_of_each, picture

from tbbridge.errors import InvalidBatch, MalformedBody
from tbbridge.events.embeddings import encode_embedding
from tbbridge.events.encode import encode_run
from tbbridge.model import Batch, Embedding, Mesh, PrCurve, RunBatch, Summary, run_name
from tbbridge.v1 import write_pb2 as pb
from tbbridge.wire.protobuf_v1 import decode_batch, encode_batch


def body_of(*summaries: Summary) -> bytes:
    return encode_batch(Batch((RunBatch(run_name("r"), (), summaries),)))


def taken(message: pb.Summary) -> Summary:
    request = pb.WriteRequest(runs=[pb.RunBatch(run="r", summaries=[message])])
    (summary,) = decode_batch(request.SerializeToString()).batch.runs[0].summaries
    return summary


def shown(summary: Summary) -> object:
    """All that an event file or a reader of it would see."""
    files = encode_embedding(summary, "f") if isinstance(summary, Embedding) else None
    metrics = getattr(summary, "metrics", None)
    return bytes(encode_run(RunBatch(run_name("r"), (), (summary,)), set())), files, metrics, summary.display_name


@pytest.mark.parametrize("name", list(one_of_each()))
def test_there_and_back(name: str) -> None:
    summary = one_of_each()[name]
    (back,) = decode_batch(body_of(summary)).batch.runs[0].summaries
    assert type(back) is type(summary)
    assert shown(back) == shown(summary)
    assert body_of(back) == body_of(summary)


@pytest.mark.parametrize("name", list(one_of_each(None, None)))
def test_what_is_left_out_stays_left_out(name: str) -> None:
    (back,) = decode_batch(body_of(one_of_each(None, None)[name])).batch.runs[0].summaries
    assert (back.step, back.wall_time) == (None, None)


@pytest.mark.parametrize("name", list(one_of_each()))
def test_a_body_cut_anywhere_is_a_batch_or_a_clear_error_and_nothing_else(name: str) -> None:
    body = body_of(one_of_each()[name])
    for cut in range(0, len(body), 1 + len(body) // 300):
        with contextlib.suppress(InvalidBatch, MalformedBody):
            decode_batch(body[:cut])


def test_messages_of_the_public_contract() -> None:
    """What a client generated from proto/tbbridge/v1 sends, with all that may be left out left out."""
    curve = taken(pb.Summary(tag="t", pr_curve=pb.PrCurve(**dict(zip(ROWS, curve_table(), strict=True)))))
    assert isinstance(curve, PrCurve)
    assert np.array_equal(curve.table, curve_table())
    mesh = taken(pb.Summary(tag="t", mesh=pb.Mesh(vertices=VERTICES.ravel(), faces=FACES.ravel())))
    assert isinstance(mesh, Mesh)
    assert mesh.faces is not None
    assert (mesh.vertices.shape, mesh.faces.tolist(), mesh.colors, mesh.config) == ((1, 4, 3), FACES.tolist(), None, "{}")
    points = taken(pb.Summary(tag="t", embedding=pb.Embedding(dimensions=2, values=MATRIX.ravel())))
    assert isinstance(points, Embedding)
    assert (points.matrix.tolist(), points.metadata, points.sprite) == (MATRIX.tolist(), None, None)


ROWS = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")


def test_columns_sent_element_by_element_are_the_same_columns() -> None:
    """Legal, since a field may be unpacked; proto3's own writers pack."""
    name = b"\x0a\x01t"
    single = b"".join(b"\x15" + MATRIX.ravel()[i : i + 1].tobytes() for i in range(6))
    embedding = b"\x08\x02" + single
    summary = name + b"\x8a\x01" + bytes([len(embedding)]) + embedding
    run = b"\x0a\x01r" + b"\x1a" + bytes([len(summary)]) + summary
    (points,) = decode_batch(b"\x1a" + bytes([len(run)]) + run).batch.runs[0].summaries
    assert isinstance(points, Embedding)
    assert points.matrix.tolist() == MATRIX.tolist()


BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"graph_def": graph_def().SerializeToString(), "tag": "t"}, "tag", "leave the tag out"),
    ({"hparams": pb.HParams(), "tag": "t"}, "tag", "leave the tag out"),
    ({"image": pb.Image(encoded=[b"x"]), "tag": "t"}, "images[0]", "encode it as PNG"),
    ({"image": pb.Image(encoded=[picture("red")])}, "tag", "is empty"),
    ({"pr_curve": pb.PrCurve(true_positives=[1, 2], recall=[1]), "tag": "t"}, "false_positives", "one a threshold"),
    ({"mesh": pb.Mesh(vertices=[1, 2, 3, 4]), "tag": "t"}, "vertices", "three for each"),
    ({"mesh": pb.Mesh(vertices=[1, 2, 3], samples=2), "tag": "t"}, "vertices", "2 samples"),
    ({"mesh": pb.Mesh(vertices=[1, 2, 3], colors=b"12"), "tag": "t"}, "colors", "three for each"),
    ({"embedding": pb.Embedding(values=[1.0]), "tag": "t"}, "values", "0 dimensions"),
    ({"embedding": pb.Embedding(values=[1.0], dimensions=2), "tag": "t"}, "values", "2 dimensions"),
    ({"embedding": pb.Embedding(values=[1.0], dimensions=1, sprite_width=4), "tag": "t"}, "sprite", "nothing came"),
    ({"hparams": pb.HParams(values=[pb.HParams.Value(name="a")])}, "values[0]", "no value"),
    ({"hparams": pb.HParams(values=[pb.HParams.Value(name="a", number=1)] * 2)}, "values[1]", "stands twice"),
    ({"tensor": pb.Tensor(dtype="int8", shape=[2**63, 0]), "tag": "t"}, "shape", "none negative"),
    ({"tensor": pb.Tensor(dtype="int8", shape=[2**40] * 8), "tag": "t"}, "content", "bytes of content"),
    ({"run_metadata": b"\xff", "tag": "t"}, "run_metadata", "not a serialized RunMetadata"),
    ({"raw_value": b"\xff"}, "value", "not a serialized Summary.Value"),
    ({"text": "x", "tag": "t", "display_name": "x" * 2000}, "display_name", "shorten it"),
]


@pytest.mark.parametrize(("fields", "place", "says"), BAD, ids=[f"{place}: {says}" for _, place, says in BAD])
def test_a_wrong_item_is_named_and_with_partial_left_out_alone(fields: dict[str, Any], place: str, says: str) -> None:
    run = pb.RunBatch(run="r", summaries=[pb.Summary(**fields), pb.Summary(tag="good", text="x")])
    body = pb.WriteRequest(runs=[run]).SerializeToString()
    with pytest.raises(InvalidBatch) as raised:
        decode_batch(body)
    (error,) = raised.value.errors
    assert error.path == f"runs[0].summaries[0].{place}"
    assert says in error.message
    collected = decode_batch(body, partial=True)
    assert [summary.tag for summary in collected.batch.runs[0].summaries] == ["good"]


def test_texts_that_are_not_utf8_are_errors_of_their_item() -> None:
    for kind in ("embedding", "hparams", "custom_scalars", "mesh", "strings"):
        body = body_of(one_of_each()[{"mesh": "mesh", "strings": "strings"}.get(kind, kind)])
        for good in (b"word", b"sgd", b"losses", b"camera", b"text"):
            bad = body.replace(good, good[:-1] + b"\xff")
            if bad != body:
                with pytest.raises(InvalidBatch, match="UTF-8"):
                    decode_batch(bad)
