"""A script's calls mean here what they mean to tensorboardX and torch: the same methods, positions, names and defaults."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import tensorboardX
from torch.utils.tensorboard import SummaryWriter as TorchWriter

from tbbridge import GlobalSummaryWriter, SummaryWriter

THEIRS = {"tensorboardX": tensorboardX.SummaryWriter, "torch": TorchWriter}
# Where the two disagree, both are understood, told apart by type; tests below call each in each one's way.
TORCH_POSITIONS = {
    ("add_scalar", "new_style"): "display_name",
    ("add_scalar", "double_precision"): "summary_description",
    ("add_image_with_boxes", "rescale"): "dataformats",
    ("add_image_with_boxes", "dataformats"): "labels",
    ("add_image_with_boxes", "labels"): "rescale",
    ("add_hparams", "hparam_domain_discrete"): "name",
    ("add_hparams", "run_name"): "global_step",
    ("add_hparams", "global_step"): "hparam_domain_discrete",
    ("add_onnx_graph", "prototxt"): "onnx_model_file",
    ("__init__", "log_dir"): "logdir",
}
# Ours may be left out where theirs is required, so that torch's name for it works too.
OPTIONAL_HERE = {("add_onnx_graph", "onnx_model_file"), ("add_onnx_graph", "prototxt")}
# A dictionary as default is shared by all calls; None says the same here.
DEFAULTS = {("__init__", "comet_config"): None}


def parameters(function: Callable[..., object]) -> list[inspect.Parameter]:
    listed = list(inspect.signature(function).parameters.values())[1:]
    return [p for p in listed if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]


def methods(kind: type) -> dict[str, Callable[..., object]]:
    found = inspect.getmembers(kind, inspect.isfunction)
    return {name: member for name, member in found if name == "__init__" or not name.startswith("_")}


CASES = [(library, name) for library, kind in THEIRS.items() for name in methods(kind)]


@pytest.mark.parametrize(("library", "name"), CASES)
def test_every_method_is_called_as_theirs(library: str, name: str) -> None:
    ours = parameters(methods(SummaryWriter)[name])
    by_name = {parameter.name: parameter for parameter in ours}
    for position, theirs in enumerate(parameters(methods(THEIRS[library])[name])):
        place = (name, theirs.name)
        mine = by_name[theirs.name]
        if place not in OPTIONAL_HERE:
            assert mine.default == DEFAULTS.get(place, theirs.default), place
        if theirs.kind is not theirs.KEYWORD_ONLY:
            expected = TORCH_POSITIONS.get(place, theirs.name) if library == "torch" else theirs.name
            assert ours[position].name == expected, place
        else:
            assert mine.kind is mine.KEYWORD_ONLY, place


@pytest.mark.parametrize("name", methods(tensorboardX.GlobalSummaryWriter))
def test_the_global_writer_is_called_as_theirs(name: str) -> None:
    if name == "getSummaryWriter":
        return
    theirs = [(p.name, p.default) for p in parameters(methods(tensorboardX.GlobalSummaryWriter)[name])]
    ours = [(p.name, p.default) for p in parameters(methods(GlobalSummaryWriter)[name])]
    assert ours[: len(theirs)] == theirs


def test_nothing_of_ours_changes_the_meaning_of_a_positional_argument() -> None:
    """What only we have comes behind all that they have, or by name."""
    positional = [p.name for p in parameters(SummaryWriter.__init__) if p.kind is not p.KEYWORD_ONLY]
    assert positional == [p.name for p in parameters(tensorboardX.SummaryWriter.__init__)]
