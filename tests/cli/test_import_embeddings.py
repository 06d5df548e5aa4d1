"""Embeddings of a log folder: what is read of them, and what is left out with its reason. At work: e2e/test_import.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from tbbridge.commands.import_embeddings import FoundEmbedding, embeddings_in
from tbbridge.commands.import_files import LeftOut, SourceFile
from tbbridge.model import Embedding, run_name


@pytest.fixture
def source(tmp_path: Path) -> SourceFile:
    """A run's folder with a good table of numbers, a text, and a link to a file elsewhere; the list is the test's to write."""
    folder = tmp_path / "logs" / "run"
    folder.mkdir(parents=True)
    (tmp_path / "logs" / "secret").write_text("1\t2\n")
    (folder / "link").symlink_to(tmp_path / "logs" / "secret")
    (folder / "text").write_text("no numbers\n")
    (folder / "good").write_text("1\t2\n3\t4\n")
    return SourceFile(folder / "projector_config.pbtxt", run_name("run"), 0)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('embeddings { tensor_name: "a" tensor_path: "/etc/passwd" }', "not in the run's folder"),
        ('embeddings { tensor_name: "a" tensor_path: "../secret" }', "not in the run's folder"),
        ('embeddings { tensor_name: "a" tensor_path: "link" }', "not in the run's folder"),
        ('embeddings { tensor_name: "a" tensor_path: "missing" }', "cannot be read"),
        ('embeddings { tensor_name: "a" tensor_path: "text" }', "no table of numbers"),
        ('embeddings { tensor_name: "a" tensor_path: "good" metadata_path: "text" }', "1 rows of metadata for 2 points"),
        ('embeddings { tensor_name: "a" }', "not in the run's folder"),
    ],
)
def test_an_embedding_that_cannot_be_read_is_left_out_and_the_next_one_read(
    source: SourceFile, config: str, words: str
) -> None:
    good = 'embeddings { tensor_name: "b:00007" tensor_path: "good" }'
    source.path.write_text(config + good)
    left, found = embeddings_in(source)
    assert isinstance(left, LeftOut)
    assert words in left.reason
    assert str(source.path) in left.place
    assert isinstance(found, FoundEmbedding)
    (embedding,) = found.batch.summaries
    assert isinstance(embedding, Embedding)
    assert (embedding.tag, embedding.step, embedding.matrix.tolist()) == ("b", 7, [[1.0, 2.0], [3.0, 4.0]])


def test_each_embedding_has_a_number_of_its_own(source: SourceFile) -> None:
    """By which a bridge knows it again, and only it."""
    entry = 'embeddings { tensor_name: "%s:0000%d" tensor_path: "good" }'
    source.path.write_text("".join(entry % named for named in (("a", 1), ("a", 2), ("b", 1), ("a", 1))))
    first, second, third, again = (found.identity for found in embeddings_in(source) if isinstance(found, FoundEmbedding))
    assert len({first, second, third}) == 3
    assert again == first
