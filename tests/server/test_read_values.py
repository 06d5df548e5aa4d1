"""Every kind is read back as it was stored, within ranges and bounds, and no byte of it runs in a browser."""

from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from one_of_each import COLORS, FACES, MATRIX, VERTICES, curve_table, film, graph_def, one_of_each, picture, run_metadata, sound
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboardX import SummaryWriter

from tbbridge import limits
from tbbridge.model import Audio, Batch, Image, RunBatch, Text, run_name, tag_name
from tbbridge.server.routes.read_values import _parsed
from tbbridge.wire.protobuf_v1 import encode_batch

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}


@pytest.fixture
async def kinds(client):
    """A client of a bridge that holds one of each kind in run 'all/kinds'."""
    await put(client, "all/kinds", *one_of_each().values())
    return client


async def put(client, run, *summaries):
    body = encode_batch(Batch((RunBatch(run_name(run), (), summaries),)))
    answer = await client.post("/api/v1/write", content=body, headers=PROTOBUF)
    assert answer.status_code == 200, answer.content


async def read(client, path, tag=None, run="all/kinds", **query):
    params = {"run": run, **({} if tag is None else {"tag": tag}), **query}
    answer = await client.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()["values"]


async def blob(client, tag, **query):
    answer = await client.get("/api/v1/blob", params={"run": "all/kinds", "tag": tag, **query})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    return answer.headers["content-type"].partition(";")[0], answer.content


def array(said):
    return np.frombuffer(base64.b64decode(said["content"]), said["dtype"]).reshape(said["shape"])


async def test_a_run_lists_every_kind_once(kinds):
    """A mesh is three tags in the file, and an embedding none at all."""
    (run,) = (await kinds.get("/api/v1/runs", params={"run": "all/kinds"})).json()["runs"]
    assert run["tag_counts"] == {
        "text": 2,
        "histogram": 1,
        "image": 4,
        "audio": 2,
        "pr_curve": 1,
        "mesh": 2,
        "embedding": 2,
        "graph": 1,
        "run_metadata": 1,
        "hparams": 2,
        "custom_scalars": 1,
        "mine": 1,
        "scalar": 1,
    }
    found = {(tag["kind"], tag["tag"]): (tag["count"], tag["first_step"], tag["last_step"]) for tag in run["tags"]}
    assert found["mesh", "body"] == found["mesh", "cloud"] == found["embedding", "words"] == (1, 3, 3)
    assert run["points"] == len(one_of_each()) + 1  # the end of the session is a value of its own


async def test_histograms_have_their_edges_and_counts(kinds):
    (found,) = await read(kinds, "histograms", "weights")
    assert found == {
        "step": 3,
        "wall_time": 1.5e9,
        "min": 0.0,
        "max": 2.0,
        "num": 7.0,
        "sum": None,
        "sum_squares": None,
        "lefts": [0.0, 1.0],
        "rights": [1.0, 2.0],
        "counts": [3.0, 4.0],
    }


async def test_texts_are_strings(kinds):
    assert await read(kinds, "texts", "note") == [{"step": 3, "wall_time": 1.5e9, "shape": [], "texts": ["hi *there*"]}]
    (cells,) = await read(kinds, "texts", "cells")
    assert (cells["shape"], cells["texts"]) == ([2], ["one", "two"])


@pytest.mark.parametrize(
    ("path", "tag", "kind", "contents"),
    [
        ("images", "image", "image/png", [picture("red")]),
        ("images", "jpeg", "image/jpeg", [picture("blue", kind="JPEG")]),
        ("images", "images", "image/png", [picture("red"), picture("green"), picture("blue")]),
        ("images", "video", "image/gif", [film()]),
        ("audio", "voice", "audio/wav", [sound()]),
        ("audio", "voices", "audio/wav", [sound(), sound(50, 16000, 2)]),
        ("run_metadata", "profile", "application/octet-stream", [run_metadata().SerializeToString()]),
        ("graphs", "__run_graph__", "application/octet-stream", [graph_def().SerializeToString()]),
    ],
)
async def test_bytes_are_listed_and_come_back_as_they_were(kinds, path, tag, kind, contents):
    listed = [{"content_type": kind, "size_bytes": len(content)} for content in contents]
    assert await read(kinds, path, tag) == [{"step": 3, "wall_time": 1.5e9, "index": 0, "samples": listed}]
    for sample, content in enumerate(contents):
        assert await blob(kinds, tag, step=3, sample=sample) == (kind, content)


async def test_curves_meshes_and_tensors_are_numbers(kinds):
    (curve,) = await read(kinds, "pr_curves", "curve")
    rows = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")
    assert np.array_equal(np.array([curve[row] for row in rows], np.float32), curve_table().astype(np.float32))
    (body,) = await read(kinds, "meshes", "body")
    assert body["config"] == {"camera": {"fov": 75}}
    for part, sent in (("vertices", VERTICES), ("faces", FACES), ("colors", COLORS)):
        assert np.array_equal(array(body[part]), sent)
    (cloud,) = await read(kinds, "meshes", "cloud")
    assert (cloud["faces"], cloud["colors"]) == (None, None)
    (numbers,) = await read(kinds, "tensors", "numbers")
    assert array(numbers).tolist() == [[7], [-8]]
    (cells,) = await read(kinds, "tensors", "cells")
    assert (cells["dtype"], cells["content"], cells["texts"]) == ("string", None, ["one", "two"])


async def test_hparams_and_layouts_are_fields(kinds):
    start, end = await read(kinds, "hparams")
    assert start["values"] == {"lr": 0.1, "name": "sgd", "flag": True, "depth": 3.0}
    assert (start["group_name"], end["status"]) == ("group", "success")
    (layout,) = await read(kinds, "custom_scalars")
    (category,) = layout["categories"]
    assert (category["title"], category["closed"]) == ("losses", True)
    assert [(chart["multiline"], chart["margin"]) for chart in category["charts"]] == [
        (["loss/a", "loss/b"], None),
        (None, [{"value": "loss", "lower": "low", "upper": "high"}]),
    ]


async def test_embeddings_are_files(kinds):
    (words,) = await read(kinds, "embeddings", "words")
    assert (words["step"], words["parts"]) == (3, ["metadata", "sprite", "tensors"])
    kind, tensors = await blob(kinds, "words", kind="embedding")
    assert kind == "text/tab-separated-values"
    assert np.array_equal(np.array([line.split() for line in tensors.splitlines()], np.float32), MATRIX)
    assert (await blob(kinds, "words", part="metadata"))[1] == "word\tn\na\t1\nö\t2\nc\t\n".encode()
    assert await blob(kinds, "words", part="sprite") == ("image/png", picture("red", (8, 8)))
    answer = await kinds.get("/api/v1/blob", params={"run": "all/kinds", "tag": "labels", "part": "sprite"})
    assert (answer.status_code, "no file for sprite" in answer.json()["detail"]) == (404, True)


async def test_any_value_comes_as_it_is_in_the_file(kinds):
    (note,) = await read(kinds, "values", "note")
    value = Summary.Value.FromString(base64.b64decode(note["value"]))
    assert (value.tag, value.tensor.string_val[0], value.metadata.display_name) == ("note", b"hi *there*", "Shöwn")
    assert len(await read(kinds, "values", "body")) == 3  # the parts of a mesh


# --- which values ------------------------------------------------------------------------------------------------------------


async def test_steps_bound_what_is_read_and_index_counts_all(client):
    await put(
        client, "all/kinds", *(Image(tag_name("i"), (picture(color),), step=step) for step, color in enumerate(COLORNAMES))
    )
    found = await read(client, "images", "i", min_step=1, max_step=2)
    assert [(one["step"], one["index"]) for one in found] == [(1, 1), (2, 2)]
    assert (await blob(client, "i", step=1))[1] == picture(COLORNAMES[1])
    assert (await blob(client, "i", index=2))[1] == picture(COLORNAMES[2])
    assert (await blob(client, "i"))[1] == picture(COLORNAMES[-1])


COLORNAMES = ("red", "green", "blue", "white")


async def test_of_two_values_of_one_step_the_newest_is_given_and_index_tells_them_apart(client):
    await put(client, "all/kinds", *(Audio(tag_name("a"), (sound(frames),), step=7) for frames in (10, 20)))
    assert (await blob(client, "a", step=7))[1] == sound(20)
    assert (await blob(client, "a", index=0))[1] == sound(10)


@pytest.mark.parametrize(
    ("query", "status", "said"),
    [
        ({"tag": "image", "step": 99}, 404, "no value of step 99"),
        ({"tag": "image", "index": 5}, 404, "no value of index 5"),
        ({"tag": "image", "sample": 3}, 404, "has 1 samples"),
        ({"tag": "image", "index": 0, "step": 3}, 422, "one of them"),
        ({"tag": "note"}, 404, "kind text, which are no files"),
        ({"tag": "imag"}, 404, "did you mean 'image'"),
        ({"tag": "image", "kind": "audio"}, 404, "holds values of kind image"),
        ({"tag": "image", "sample": -1}, 422, "sample"),
    ],
)
async def test_a_blob_that_is_not_there_says_what_is(kinds, query, status, said):
    answer = await kinds.get("/api/v1/blob", params={"run": "all/kinds", **query})
    assert answer.status_code == status
    assert said in answer.text


@pytest.mark.parametrize(
    ("path", "query", "status", "said"),
    [
        ("texts", {"tag": "weights"}, 404, "kind histogram, not values of kind text"),
        ("texts", {}, 422, "tag: this parameter is missing"),
        ("texts", {"tag": "not"}, 404, "did you mean 'note'"),
        ("tensors", {"tag": "words"}, 404, "/api/v1/embeddings"),
        ("values", {"tag": "forwarded"}, 404, "/api/v1/scalars"),
        ("histograms", {"tag": "weights", "run": "all/kind"}, 404, "did you mean 'all/kinds'"),
        ("histograms", {"tag": "weights", "run": "../x"}, 422, "run"),
        ("histograms", {"tag": "weights", "max_points": 3}, 422, "no such parameter"),
    ],
)
async def test_a_wrong_question_is_told_what_to_ask(kinds, path, query, status, said):
    answer = await kinds.get(f"/api/v1/{path}", params={"run": "all/kinds", **query})
    assert answer.status_code == status
    assert said in answer.text


async def test_more_than_fits_one_answer_is_refused_with_the_step_to_stop_before(client, monkeypatch):
    await put(client, "all/kinds", *(Text(tag_name("t"), "x" * 1000, step=step) for step in range(10)))
    monkeypatch.setattr(limits, "READ_MAX_VALUES_BYTES", 3500)
    answer = await client.get("/api/v1/texts", params={"run": "all/kinds", "tag": "t"})
    assert (answer.status_code, "before step 3" in answer.text) == (422, True)
    assert len(await read(client, "texts", "t", max_step=2)) == 3
    monkeypatch.setattr(limits, "READ_MAX_VALUES", 1)
    assert (await client.get("/api/v1/texts", params={"run": "all/kinds", "tag": "t", "max_step": 2})).status_code == 422


# --- other writers -----------------------------------------------------------------------------------------------------------


async def test_files_of_tensorboardx_are_read_in_their_own_forms(client, settings):
    """Histograms with a message of their own, meshes whose parts are numbered, embeddings below a folder for each step."""
    with SummaryWriter(str(settings.logdir / "all/kinds")) as writer:
        writer.add_histogram_raw("h", 0.5, 3.0, 4, 7.0, 15.0, [1.0, 2.0, 3.0], [1, 0, 3], 5)
        writer.add_text("note", "hi", 1)
        writer.add_text("note", "ho", 2)
        writer.add_mesh("m", VERTICES, COLORS, FACES, global_step=4)
        writer.add_embedding(MATRIX, ["a", "b", "c"], global_step=6, tag="e")
        writer.add_pr_curve("pr", np.array([0, 1, 1]), np.array([0.1, 0.6, 0.9]), 3)
    (found,) = await read(client, "histograms", "h")
    assert (found["min"], found["max"], found["num"], found["sum"], found["sum_squares"]) == (0.5, 3.0, 4.0, 7.0, 15.0)
    assert (found["lefts"], found["rights"], found["counts"]) == ([0.5, 1.0, 2.0], [1.0, 2.0, 3.0], [1.0, 0.0, 3.0])
    assert [(one["step"], one["texts"]) for one in await read(client, "texts", "note/text_summary")] == [
        (1, ["hi"]),
        (2, ["ho"]),
    ]
    (mesh,) = await read(client, "meshes", "m")
    assert np.array_equal(array(mesh["vertices"]), VERTICES)
    (embedding,) = await read(client, "embeddings", "e")
    assert (embedding["step"], embedding["parts"]) == (6, ["metadata", "tensors"])
    assert len((await read(client, "pr_curves", "pr"))[0]["recall"]) == 127


@pytest.mark.parametrize(
    "content", [b"<html><script>alert(1)</script>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"RIFF", b""]
)
async def test_what_a_foreign_file_calls_an_image_never_runs_as_a_page(client, content):
    value = Summary.Value(tag="evil")
    value.image.encoded_image_string = content
    value.metadata.plugin_data.plugin_name = "images"
    body = {
        "runs": [
            {"run": "all/kinds", "summaries": [{"kind": "raw", "value": base64.b64encode(value.SerializeToString()).decode()}]}
        ]
    }
    answer = await client.post("/api/v1/write", content=json.dumps(body), headers=JSON)
    if answer.status_code == 200:
        assert await blob(client, "evil") == ("application/octet-stream", content)
    else:
        assert answer.status_code == 422


@pytest.mark.parametrize(
    ("config", "parsed"),
    [
        ("", {}),
        ('{"camera": {"fov": 75}}', {"camera": {"fov": 75}}),
        ("[1]", None),
        ("not json", None),
        ("[" * 100_000, None),
        ('{"a":' * 900 + "1" + "}" * 900, None),
    ],
)
def test_a_meshs_configuration_that_cannot_be_answered_is_none(config, parsed):
    """Python reads deeper JSON than can be written again."""
    assert _parsed(config) == parsed
