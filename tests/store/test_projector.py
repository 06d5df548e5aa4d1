"""Embeddings are found in any writer's projector_config.pbtxt, and nothing outside the run's folder is."""

from __future__ import annotations

import os

import numpy as np
import pytest
from test_catalog import START, put

from tbbridge import limits
from tbbridge.events.embeddings import encode_embedding
from tbbridge.model import Embedding, tag_name
from tbbridge.store.catalog import Catalog
from tbbridge.store.projector import read_embeddings

MATRIX = np.array([[1, 2]], np.float32)


def config(folder, text):
    (folder / "projector_config.pbtxt").write_text(text)
    return [(one.tag, one.step, one.index, sorted(one.files)) for one in read_embeddings(folder)]


@pytest.mark.parametrize("tag", ["words", 'quotes " and \\', "ä/ö:7", "a\nb", "x:12", "x:00012"])
@pytest.mark.parametrize("step", [0, 3, -1, 2**63 - 1])
def test_what_the_encoder_writes_is_read_back(tmp_path, tag, step):
    made = encode_embedding(Embedding(tag_name(tag), MATRIX, step=step, wall_time=1.0), "embeddings.tbbridge/0")
    for name, content in made.files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "projector_config.pbtxt").write_bytes(made.config * 2)
    first, second = read_embeddings(tmp_path)
    assert (first.tag, first.step, first.index, second.index) == (tag, step, 0, 1)
    assert first.files["tensors"].read_bytes() == b"1\t2\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("model_checkpoint_path: 'x'", []),
        ("embeddings { tensor_path: 't.tsv' }", [("default", 0, 0, ["tensors"])]),
        ("embeddings <tensor_name:'a:00002' tensor_path:'t.tsv'>", [("a", 2, 0, ["tensors"])]),
        ('embeddings { tensor_name: "a" # "}"\n tensor_path: "t" ".tsv" }', [("a", 0, 0, ["tensors"])]),
        ("embeddings { tensor_name: 'a' sprite { image_path: 's.png' single_image_dim: 2 } }", [("a", 0, 0, ["sprite"])]),
        ("embeddings { tensor_name: 'unfinished", []),
        ("embeddings { tensor_name: 'a' }\nembeddings { tensor_name: 'a' }", [("a", 0, 0, []), ("a", 0, 1, [])]),
        ("other { tensor_name: 'b' } embeddings { tensor_name: 'a\\303\\244\\n' }", [("aä\n", 0, 0, [])]),
        ("}}} embeddings { } { { ", [("default", 0, 0, [])]),
    ],
)
def test_any_writers_text_format_is_read(tmp_path, text, found):
    for name in ("t.tsv", "s.png"):
        (tmp_path / name).write_bytes(b"1")
    assert config(tmp_path, text) == found


@pytest.mark.parametrize("path", ["../secret", "a/../../secret", "/etc/passwd", "link", "folder/link", "folder", "", "missing"])
def test_files_outside_the_run_are_not_its_own(tmp_path, path):
    run = tmp_path / "run"
    (run / "folder").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (run / "link").symlink_to(tmp_path / "secret")
    (run / "folder" / "link").symlink_to(tmp_path / "secret")
    assert config(run, f"embeddings {{ tensor_name: 'a' tensor_path: '{path}' }}") == [("a", 0, 0, [])]


def test_a_config_too_long_to_be_one_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "PROJECTOR_CONFIG_MAX_BYTES", 20)
    assert config(tmp_path, "embeddings { tensor_name: 'a' }") == []


def test_embeddings_count_as_values_of_their_run(tmp_path):
    path = put(tmp_path, "r", START)
    (tmp_path / "r" / "t.tsv").write_bytes(b"1\t2\n")
    os.utime(tmp_path / "r" / "t.tsv", (1000, 1000))
    (tmp_path / "r" / "projector_config.pbtxt").write_text("embeddings { tensor_name: 'e:00004' tensor_path: 't.tsv' }")
    catalog = Catalog(tmp_path)
    info, (tag,) = catalog.run("r")
    assert (info.points, dict(info.tag_counts), info.size_bytes) == (1, {"embedding": 1}, path.stat().st_size + 4)
    assert (tag.tag, tag.kind, tag.first_step, tag.first_wall_time) == ("e", "embedding", 4, 1000.0)
    assert catalog.empty_runs() == []
