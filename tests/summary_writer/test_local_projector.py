"""Embeddings of a local writer on a disk that refuses: the Projector's list stays whole, and no half copies pile up."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

import tbbridge
from tbbridge.kinds import Embedding
from tbbridge.names import tag_name
from tbbridge.summary_writer.projector import write_embedding

ONE = Embedding(tag_name("one"), np.ones((2, 2), np.float32), step=0)
TWO = Embedding(tag_name("two"), np.ones((2, 2), np.float32), step=0)


def listed(folder: Path) -> list[str]:
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    return [embedding.tensor_name for embedding in config.embeddings]


def test_half_an_entry_of_the_list_is_taken_back_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_embedding(tmp_path, ONE)
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, content: real(fd, content[:20]))
        with pytest.raises(OSError, match="No space left"):
            write_embedding(tmp_path, TWO)
    assert listed(tmp_path) == ["one:00000"]
    write_embedding(tmp_path, TWO)
    assert listed(tmp_path) == ["one:00000", "two:00000"]


def test_tries_that_fail_leave_no_folders_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_embedding(tmp_path, ONE)
    before = sorted(path for path in tmp_path.rglob("*"))

    def refuse(fd: int, data: object, offset: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tbbridge.disk.write_all", refuse)
    for _ in range(3):
        with pytest.raises(OSError, match="No space left"):
            write_embedding(tmp_path, TWO)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_list_whose_last_line_somebody_left_open_is_continued(tmp_path: Path) -> None:
    (tmp_path / "projector_config.pbtxt").write_text('embeddings { tensor_name: "theirs" }  # no line break')
    write_embedding(tmp_path, ONE)
    assert listed(tmp_path) == ["theirs", "one:00000"]


def test_what_scripts_written_for_torch_reach_for_is_there(tmp_path: Path) -> None:
    with tbbridge.SummaryWriter(tmp_path, max_queue=7, flush_secs=3, filename_suffix=".x") as writer:
        assert (writer.log_dir, writer.max_queue, writer.flush_secs, writer.filename_suffix) == (str(tmp_path), 7, 3, ".x")
        assert writer._get_file_writer().get_logdir() == str(tmp_path)
