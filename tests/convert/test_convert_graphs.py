"""Models become the graph that torch.utils.tensorboard draws; ONNX and OpenVINO by what their models can do."""

from __future__ import annotations

import re
import sys
import warnings
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from tensorboard.compat.proto.config_pb2 import RunMetadata as TensorBoardsRunMetadata
from tensorboard.compat.proto.graph_pb2 import GraphDef
from torch.utils.tensorboard._pytorch_graph import graph as torchs_graph

from tbbridge import convert
from tbbridge.convert.graphs import Node, graph_def
from tbbridge.convert.torch_graphs import PROFILER_METADATA
from tbbridge.errors import InvalidItem


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(1, 4, 3)
        self.head = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(8, 2))

    def forward(self, picture: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        values = self.head(self.conv(picture).mean((2, 3)))
        return torch.log_softmax(values * scale, 1)


INPUTS = (torch.zeros(2, 1, 8, 8), torch.ones(1))


def read(made: Any) -> GraphDef:
    return GraphDef.FromString(made.graph_def)


def unnumbered(name: str) -> str:
    """torch numbers values by when it saw them, which differs between its two ways to inline a graph."""
    return re.sub(r"/\d+$", "/#", name)


def test_a_module_has_the_nodes_scopes_and_shapes_that_torch_draws() -> None:
    model = Net()
    ours = read(convert.graph(model, INPUTS))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, metadata = torchs_graph(model, INPUTS)

    def told(graph: GraphDef) -> Counter[tuple[object, ...]]:
        named = {node.name for node in graph.node}
        return Counter(
            (
                unnumbered(node.name),
                node.op,
                tuple(unnumbered(name) for name in node.input if name in named),
                node.attr["attr"].s,
                node.attr["_output_shapes"].SerializeToString(),
            )
            for node in graph.node
        )

    assert told(theirs) == told(ours)
    assert ours.versions == theirs.versions
    assert TensorBoardsRunMetadata.FromString(PROFILER_METADATA) == metadata


def test_a_model_that_runs_differently_the_second_time_is_drawn() -> None:
    """torch's own check of a trace refuses attention, whose fast path is taken or not."""
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    assert any("Linear[linear1]" in node.name for node in read(convert.graph(layer, torch.zeros(1, 5, 8))).node)


def test_every_input_names_a_node() -> None:
    graph = read(convert.graph(Net(), INPUTS))
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    assert {name for node in graph.node for name in node.input} <= set(names)
    assert any(name.startswith("Net/Sequential[head]/Linear[0]/weight") for name in names)


def test_a_model_keeps_the_mode_of_each_of_its_parts() -> None:
    model = Net()
    model.conv.eval()
    convert.graph(model, INPUTS)
    assert (model.training, model.conv.training, model.head.training) == (True, False, True)
    with pytest.raises(InvalidItem, match="missing 1 required"):
        convert.graph(model, torch.zeros(3))
    assert (model.training, model.conv.training) == (True, False)


def test_verbose_prints_the_graph(capsys: pytest.CaptureFixture[str]) -> None:
    convert.graph(torch.nn.Linear(2, 2), torch.zeros(1, 2), verbose=True)
    assert "aten::linear" in capsys.readouterr().out


def test_a_graph_of_any_library_travels_as_it_is() -> None:
    message = GraphDef()
    message.node.add(name="a", op="Const")
    assert convert.graph(message).graph_def == message.SerializeToString()
    assert convert.graph(message.SerializeToString()) == convert.graph(message)


def test_inputs_that_name_no_node_and_second_nodes_of_a_name_are_left_out() -> None:
    graph = GraphDef.FromString(graph_def([Node("a", "x", ["b", "gone"]), Node("b", "y"), Node("a", "z")]))
    assert [(node.name, node.op, list(node.input)) for node in graph.node] == [("a", "x", ["b"]), ("b", "y", [])]


@pytest.mark.parametrize(
    ("model", "given", "said"),
    [
        (torch.nn.Linear(2, 2), None, "give an input for it"),
        (torch.nn.Linear(2, 2), torch.zeros(3), "torch cannot trace the model with this input .*check that model"),
        ("model.onnx", None, "the text 'model.onnx'; .*ONNX and OpenVINO models have calls of their own"),
        (b"\xff\xff", None, "not a serialized GraphDef"),
    ],
)
def test_what_is_no_model_is_told(model: object, given: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.graph(model, given)


class OnnxAttribute:
    """One attribute; `ListFields` as protobuf's."""

    name = "axis"

    def ListFields(self) -> list[tuple[Any, Any]]:  # noqa: N802 - protobuf's name
        return [(SimpleNamespace(name="name"), "axis"), (SimpleNamespace(name="i"), 1), (SimpleNamespace(name="type"), 2)]


def onnx_value(name: str, *sizes: int) -> SimpleNamespace:
    shape = SimpleNamespace(dim=[SimpleNamespace(dim_value=size) for size in sizes])
    return SimpleNamespace(name=name, type=SimpleNamespace(tensor_type=SimpleNamespace(shape=shape)))


def test_an_onnx_model_is_known_by_its_graph() -> None:
    """A fake with the fields that are read; that onnx.load makes such an object is not checked."""
    nodes = [
        SimpleNamespace(output=["h"], op_type="Gemm", input=["x", "w"], attribute=[]),
        SimpleNamespace(output=["y", "z"], op_type="Split", input=["h"], attribute=[OnnxAttribute()]),
        SimpleNamespace(output=["s"], op_type="Add", input=["z", "y"], attribute=[]),
    ]
    inside = SimpleNamespace(
        input=[onnx_value("x", 0, 3)],
        output=[onnx_value("s", 2)],
        initializer=[SimpleNamespace(name="w", dims=[3, 4])],
        node=nodes,
    )
    graph = read(convert.onnx_graph(SimpleNamespace(graph=inside)))
    assert [(node.name, node.op, list(node.input), node.attr["attr"].s) for node in graph.node] == [
        ("x", "Variable", [], b""),
        ("w", "Constant", [], b""),
        ("h", "Gemm", ["x", "w"], b""),
        ("y", "Split", ["h"], b"axis = 1"),
        ("s", "Add", ["y", "y"], b""),
        ("output/s", "IO Node", ["s"], b""),
    ]
    assert [dim.size for dim in graph.node[0].attr["_output_shapes"].list.shape[0].dim] == [-1, 3]


def test_without_onnx_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        convert.onnx_graph("model.onnx")
    with pytest.raises(InvalidItem, match="give an ONNX ModelProto"):
        convert.onnx_graph(3)


OPENVINO = """<net name="m" version="11"><layers>
<layer id="0" name="x" type="Parameter"><data shape="1,3" element_type="f32"/>
<output><port id="0"><dim>1</dim><dim>3</dim></port></output></layer>
<layer id="1" name="w" type="Const"/>
<layer id="2" name="mul" type="MatMul"/>
</layers><edges><edge from-layer="0" to-layer="2"/><edge from-layer="1" to-layer="2"/></edges></net>"""


def test_an_openvino_file_has_each_layer_once_with_all_its_inputs(tmp_path: Path) -> None:
    path = tmp_path / "model.xml"
    path.write_text(OPENVINO, encoding="utf-8")
    graph = read(convert.openvino_graph(path))
    assert [(node.name, node.op, list(node.input)) for node in graph.node] == [
        ("x", "Parameter", []),
        ("w", "Const", []),
        ("mul", "MatMul", ["x", "w"]),
    ]
    assert graph.node[0].attr["attr"].s == b"shape = 1,3, element_type = f32"
    assert [dim.size for dim in graph.node[0].attr["_output_shapes"].list.shape[0].dim] == [1, 3]


def test_an_openvino_model_is_known_by_its_operations() -> None:
    """A fake with the methods that are called; that openvino.Model has them is from its documentation."""

    class Operation(SimpleNamespace):
        def get_friendly_name(self) -> str:
            return str(self.name)

        def get_type_name(self) -> str:
            return str(self.op)

        def get_attributes(self) -> dict[str, object]:
            return {"axis": 1}

        def input_values(self) -> list[SimpleNamespace]:
            return [SimpleNamespace(get_node=lambda one=one: one) for one in self.inputs]

    first = Operation(name="x", op="Parameter", inputs=[])
    model = SimpleNamespace(get_ordered_ops=lambda: [first, Operation(name="y", op="Relu", inputs=[first])])
    graph = read(convert.openvino_graph(model))
    assert [(node.name, node.op, list(node.input), node.attr["attr"].s) for node in graph.node] == [
        ("x", "Parameter", [], b"axis = 1"),
        ("y", "Relu", ["x"], b"axis = 1"),
    ]


def test_what_is_no_openvino_model_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"\0\1")
    with pytest.raises(InvalidItem, match="is no XML"):
        convert.openvino_graph(path)
    with pytest.raises(InvalidItem, match="is an int; give the path"):
        convert.openvino_graph(3)
    with pytest.raises(FileNotFoundError):
        convert.openvino_graph(tmp_path / "gone.xml")
