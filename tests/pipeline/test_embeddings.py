"""Embeddings are files, not events: what they are called is no tag's business."""

from __future__ import annotations

from pathlib import Path

import pytest
from folders import batch, embedding, events, open_pipeline, scalars
from google.protobuf import text_format
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from tbbridge.errors import InvalidBatch
from tbbridge.model import Text, tag_name
from tbbridge.pipeline.pipeline import Ack

BOTH = [scalars("hidden", [0.5], steps=[1]), embedding("hidden", 2, step=7)]


@pytest.mark.parametrize("order", [[0, 1], [1, 0]], ids=["tag first", "embedding first"])
@pytest.mark.parametrize("restart", [False, True], ids=["in one session", "after a restart"])
async def test_an_embedding_may_be_called_like_a_tag(order: list[int], restart: bool, tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    for number in order:
        await pipeline.submit(batch("a", BOTH[number]), ack=Ack.WRITTEN)
        if restart:
            await pipeline.close()
            pipeline = await open_pipeline(tmp_path)
    # Each goes on from its own last step, and the scalar's metadata is written however late its tag comes.
    await pipeline.submit(batch("a", scalars("hidden", [0.25]), embedding("hidden", 2)), ack=Ack.WRITTEN)
    await pipeline.close()
    (file,) = (tmp_path / "a").glob("*tfevents*")
    values = [(event.step, value) for event in events(file.read_bytes()) for value in event.summary.value]
    assert [(step, value.simple_value) for step, value in values] == [(1, 0.5), (2, 0.25)]
    assert [value.metadata.plugin_data.plugin_name for _, value in values] == ["scalars", ""]
    config = text_format.Parse((tmp_path / "a" / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert [one.tensor_name for one in config.embeddings] == ["hidden:00007", "hidden:00008"]


async def test_two_kinds_of_events_still_need_two_tags(tmp_path: Path) -> None:
    pipeline = await open_pipeline(tmp_path)
    await pipeline.submit(batch("a", *BOTH), ack=Ack.WRITTEN)
    with pytest.raises(InvalidBatch, match="holds scalar values"):
        await pipeline.submit(batch("a", Text(tag_name("hidden"), "note")), ack=Ack.WRITTEN)
    await pipeline.close()
