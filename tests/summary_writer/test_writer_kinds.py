"""What one call does not show: hyperparameters again and again, embeddings beside each other, summaries of others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from event_folders import events, scalars
from google.protobuf import text_format
from tensorboard.compat.proto import summary_pb2
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.plugins.projector import projector_config_pb2
from tensorboard.util import tensor_util
from torch import nn
from torch.utils.tensorboard import SummaryWriter as TorchWriter
from torch.utils.tensorboard.summary import hparams

from tbbridge import InvalidItem, SummaryWriter
from tbbridge.kinds import Text


def sessions(folder: Path) -> list[dict[str, object]]:
    """The hyperparameters of each session_start_info in a run."""
    found = []
    for event in events(folder):
        for value in event.summary.value:
            if value.tag == "_hparams_/session_start_info":
                data = plugin_data_pb2.HParamsPluginData.FromString(value.metadata.plugin_data.content)
                said = data.session_start_info.hparams
                found.append({name: getattr(said[name], str(said[name].WhichOneof("kind"))) for name in said})
    return found


def test_hyperparameters_stand_in_the_run_itself(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.5, "kind": "adam", "deep": True}, {"accuracy": 0.75}, global_step=3)
        writer.add_hparams({"lr": 0.5, "kind": "adam", "deep": True}, {"accuracy": 1.0}, global_step=4)
    assert sessions(tmp_path) == [{"lr": 0.5, "kind": "adam", "deep": True}]
    assert scalars(tmp_path) == {"accuracy": [(3, 0.75), (4, 1.0)]}
    assert [path for path in tmp_path.iterdir() if path.is_dir()] == []


def test_other_hyperparameters_get_a_run_of_their_own_since_tensorboard_would_drop_them(tmp_path: Path) -> None:
    """tensorboardX's own example calls add_hparams in a loop."""
    with SummaryWriter(tmp_path) as writer:
        for number in range(3):
            writer.add_hparams({"lr": 0.5 * number}, {"accuracy": number})
    assert sessions(tmp_path) == [{"lr": 0.0}]
    for number in (2, 3):
        assert sessions(tmp_path / f"hparams-{number}") == [{"lr": 0.5 * (number - 1)}]
        assert scalars(tmp_path / f"hparams-{number}") == {"accuracy": [(0, number - 1.0)]}


@pytest.mark.parametrize(
    "arguments",
    [
        ({"name": "trial", "global_step": 5}, ()),  # tensorboardX
        ({}, ("trial", 5)),
        ({"run_name": "trial", "global_step": 5}, ()),  # torch
        ({"hparam_domain_discrete": {"lr": [0.5]}, "run_name": "trial", "global_step": 5}, ()),
        ({}, ({"lr": [0.5]}, "trial", 5)),
        ({}, (None, "trial", 5)),
    ],
)
def test_a_named_session_is_a_sub_run_however_it_is_named(
    tmp_path: Path, arguments: tuple[dict[str, object], tuple[object, ...]]
) -> None:
    named, positional = arguments
    with SummaryWriter(tmp_path) as writer:
        writer.add_hparams({"lr": 0.5}, {"accuracy": 1.0}, *positional, **named)
    assert sessions(tmp_path) == []
    assert sessions(tmp_path / "trial") == [{"lr": 0.5}]
    assert scalars(tmp_path / "trial") == {"accuracy": [(5, 1.0)]}


def embeddings(folder: Path) -> projector_config_pb2.ProjectorConfig:
    config = projector_config_pb2.ProjectorConfig()
    text_format.Parse((folder / "projector_config.pbtxt").read_text(), config)
    return config


def test_embeddings_of_a_run_stand_beside_each_other(tmp_path: Path) -> None:
    """Same tags, same steps, tags that leave the folder, a second writer: each keeps its files."""
    for first in (0, 10):
        with SummaryWriter(tmp_path) as writer:
            for number, tag in enumerate(["words", "words", "../../words", "a/b", "events.out.tfevents", "x" * 200]):
                writer.add_embedding(np.full((2, 2), first + number), ["a", "b"], global_step=1, tag=tag)
    found = embeddings(tmp_path).embeddings
    assert len({embedding.tensor_name for embedding in found}) == len({embedding.tensor_path for embedding in found}) == 12
    for number, embedding in enumerate(found):
        path = (tmp_path / embedding.tensor_path).resolve()
        assert path.is_relative_to(tmp_path)
        assert float(path.read_text().split()[0]) == number % 6 + 10 * (number >= 6)
        assert (tmp_path / embedding.metadata_path).read_text() == "a\nb\n"
    assert [path for path in tmp_path.rglob("*tfevents*") if path.is_dir()] == []


def test_summaries_of_others_are_taken_as_they_are(tmp_path: Path) -> None:
    summary = summary_pb2.Summary()
    summary.value.add(tag="theirs", simple_value=2.0)
    summary.value.add(tag="theirs too", simple_value=3.0)
    with SummaryWriter(tmp_path) as writer:
        writer.add_summary(summary, 4)
        writer.add_summary(Text("note", "x", 5))
    assert scalars(tmp_path) == {"theirs": [(4, 2.0)], "theirs too": [(4, 3.0)]}
    assert [event.step for event in events(tmp_path) for value in event.summary.value if value.tag == "note"] == [5]


def test_hyperparameters_by_the_inner_writer_as_many_scripts_do(tmp_path: Path) -> None:
    """Their way around the extra run of add_hparams."""
    messages = hparams({"lr": 0.5}, {"accuracy": 1.0})
    with SummaryWriter(tmp_path) as writer:
        for message in messages:
            writer.file_writer.add_summary(message)
    assert sessions(tmp_path) == [{"lr": 0.5}]


TENSORS = [torch.arange(6, dtype=torch.int64).reshape(2, 3), torch.rand(2, 2), torch.tensor(True), torch.tensor([1.5]).double()]


@pytest.mark.parametrize("tensor", TENSORS, ids=lambda tensor: str(tensor.dtype))
def test_a_tensor_is_read_back_as_torchs_is(tmp_path: Path, tensor: torch.Tensor) -> None:
    found = []
    for name, make in (("ours", SummaryWriter), ("torch", TorchWriter)):
        with make(str(tmp_path / name)) as writer:
            writer.add_tensor("t", tensor, 3)
        (event,) = (event for event in events(tmp_path / name) if event.summary.value)
        array = tensor_util.make_ndarray(event.summary.value[0].tensor)
        found.append((event.step, event.summary.value[0].tag, array.dtype, array.tolist()))
    assert found[0] == found[1]


def test_boxes_as_torch_calls_them(tmp_path: Path) -> None:
    picture, boxes = np.zeros((8, 8, 3), np.uint8), np.array([[1, 1, 4, 4]])
    with SummaryWriter(tmp_path) as writer:
        writer.add_image_with_boxes("x", picture, boxes, 1, None, "HWC", ["one"])  # tensorboardX
        writer.add_image_with_boxes("torch", picture, boxes, 1, None, 2, "HWC", ["one"])
        writer.add_image_with_boxes("torch, named", picture, boxes, rescale=2, dataformats="HWC", labels="one")
    sizes = {v.tag: (v.image.width, v.image.height) for event in events(tmp_path) for v in event.summary.value}
    assert sizes == {"x": (8, 8), "torch": (16, 16), "torch, named": (16, 16)}


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    (tmp_path / "model.onnx").write_bytes(b"model")
    with SummaryWriter(tmp_path / "runs") as writer, pytest.raises(ImportError, match="pip install onnx"):
        writer.add_onnx_graph(tmp_path / "model.onnx")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_graph_that_cannot_be_traced_is_told(tmp_path: Path) -> None:
    with SummaryWriter(tmp_path) as writer, pytest.raises(InvalidItem):
        writer.add_graph(nn.Linear(2, 2))
