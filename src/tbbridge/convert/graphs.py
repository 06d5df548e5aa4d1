"""Models as GraphDef, the form in which TensorBoard draws graphs: the nodes of other libraries' models, found by duck typing.

A torch module is taken apart in torch_graphs.py. Here: messages ready made, ONNX and OpenVINO. Nothing is imported unless a
path or a model of that library is given.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from tbbridge.convert.arrays import described
from tbbridge.convert.tensors import message_bytes
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Graph

if TYPE_CHECKING:
    from xml.etree import ElementTree

# The version of graphs that TensorBoard's page was made for, as torch and tensorboardX write it.
_PRODUCER: Final = 22


@dataclass(frozen=True, slots=True)
class Node:
    """One box: `name` with "/" between nested boxes; `inputs` name other nodes; `shape` is of its output, if known."""

    name: str
    op: str
    inputs: Sequence[str] = ()
    attributes: str = ""
    shape: Sequence[int] | None = None


def graph_def(nodes: Iterable[Node]) -> bytes:
    """The nodes as a GraphDef. Inputs that name no node are left out, and so are second nodes of a name."""
    from tbbridge.foreign import graph_pb2, summary_pb2  # protobuf, for the few programs that log a graph

    by_name: dict[str, Node] = {}
    for node in nodes:
        by_name.setdefault(node.name, node)
    made = []
    for node in by_name.values():
        attr = {"attr": graph_pb2.AttrValue(s=node.attributes.encode("utf-8", "replace"))}
        if node.shape is not None:
            dims = [summary_pb2.TensorShapeProto.Dim(size=size) for size in node.shape]
            shapes = graph_pb2.AttrValue.ListValue(shape=[summary_pb2.TensorShapeProto(dim=dims)])
            attr["_output_shapes"] = graph_pb2.AttrValue(list=shapes)
        inputs = [name for name in node.inputs if name in by_name]
        made.append(graph_pb2.NodeDef(name=node.name, op=node.op, input=inputs, attr=attr))
    versions = graph_pb2.VersionDef(producer=_PRODUCER)
    return graph_pb2.GraphDef(node=made, versions=versions).SerializeToString()


def graph(model: object, input_to_model: object = None, *, verbose: bool = False, use_strict_trace: bool = True) -> Graph:
    """A torch module run once with `input_to_model` (a tensor, or a tuple of arguments); or a GraphDef, message or bytes.

    The module is traced in evaluation mode and left as it was. `verbose` prints the traced graph; `use_strict_trace=False`
    lets a module return lists and dictionaries.
    """
    if hasattr(model, "named_modules") or hasattr(model, "graph_for"):  # a module; a scripted function
        from tbbridge.convert.torch_graphs import torch_nodes

        return Graph(graph_def(torch_nodes(model, input_to_model, verbose=verbose, strict=use_strict_trace)))
    if isinstance(model, bytes | bytearray | memoryview) or hasattr(model, "SerializeToString"):
        return Graph(message_bytes(model, "the graph", "GraphDef"))
    message = f"the model is {described(model)}; give a torch module and an input for it, or a GraphDef message or its bytes"
    raise InvalidItem("graph", message + "; ONNX and OpenVINO models have calls of their own", "model")


def onnx_graph(model: object) -> Graph:
    """An ONNX model: the path of its file or its bytes, which need the package onnx; or a ModelProto."""
    if isinstance(model, str | os.PathLike | bytes | bytearray):
        onnx = _library("onnx", "ONNX models")
        try:
            model = onnx.load_from_string(bytes(model)) if isinstance(model, bytes | bytearray) else onnx.load(os.fspath(model))
        except OSError:
            raise
        except Exception as error:  # protobuf's DecodeError, whose package we must not import to name it
            raise InvalidItem(
                "graph", f"the ONNX model cannot be read ({error}); give what onnx.save wrote", "model"
            ) from error
    inside: Any = getattr(model, "graph", None)
    if inside is None or not hasattr(inside, "node"):
        message = f"the model is {described(model)}; give an ONNX ModelProto, its bytes, or the path of its file"
        raise InvalidItem("graph", message, "model")
    return Graph(graph_def(_onnx_nodes(inside)))


def _onnx_nodes(inside: Any) -> list[Node]:
    nodes = [Node(one.name, "Variable", shape=_onnx_shape(one)) for one in inside.input]
    nodes += [Node(one.name, "Constant", shape=list(one.dims)) for one in inside.initializer]
    maker = {name: one.output[0] for one in inside.node if one.output for name in one.output}
    for one in inside.node:
        if one.output:
            said = ", ".join(_onnx_attribute(attribute) for attribute in one.attribute)
            nodes.append(Node(one.output[0], one.op_type, [maker.get(name, name) for name in one.input], said))
    results = ((one, maker.get(one.name, one.name)) for one in inside.output)
    nodes += [Node(f"output/{one.name}", "IO Node", [source], shape=_onnx_shape(one)) for one, source in results]
    return nodes


def _onnx_shape(value: Any) -> list[int]:
    # A size that has only a name, such as "batch", is 0; TensorBoard writes "?" for -1.
    return [int(dim.dim_value) or -1 for dim in value.type.tensor_type.shape.dim]


def _onnx_attribute(attribute: Any) -> str:
    told = [value for field, value in attribute.ListFields() if field.name not in ("name", "type", "doc_string")]
    return f"{attribute.name} = {', '.join(str(value).strip()[:1000] for value in told)}"


def openvino_graph(model: object) -> Graph:
    """An OpenVINO model: the path of its .xml, which needs no package; or an openvino.Model."""
    if hasattr(model, "get_ordered_ops"):
        return Graph(graph_def(_openvino_nodes(model)))
    if not isinstance(model, str | os.PathLike):
        message = f"the model is {described(model)}; give the path of an OpenVINO .xml file, or an openvino.Model"
        raise InvalidItem("graph", message, "model")
    from xml.etree import ElementTree  # for this one call

    try:
        root = ElementTree.parse(os.fspath(model)).getroot()  # noqa: S314 - a file that the user made and names
    except ElementTree.ParseError as error:
        message = f"{os.fspath(model)} is no XML ({error}); give the .xml file that OpenVINO's converter wrote"
        raise InvalidItem("graph", message, "model") from None
    return Graph(graph_def(_openvino_xml_nodes(root)))


def _openvino_nodes(model: Any) -> list[Node]:
    nodes = []
    for one in model.get_ordered_ops():
        inputs = [value.get_node().get_friendly_name() for value in one.input_values()]
        said = ", ".join(f"{name} = {value}" for name, value in one.get_attributes().items())
        nodes.append(Node(one.get_friendly_name(), one.get_type_name(), inputs, said))
    return nodes


def _openvino_xml_nodes(root: ElementTree.Element) -> list[Node]:
    names = {layer.get("id", ""): layer.get("name", layer.get("id", "")) for layer in root.findall("layers/layer")}
    inputs: dict[str, list[str]] = {}
    for edge in root.findall("edges/edge"):
        inputs.setdefault(edge.get("to-layer", ""), []).append(names.get(edge.get("from-layer", ""), ""))
    nodes = []
    for layer in root.findall("layers/layer"):
        data = layer.find("data")
        said = "" if data is None else ", ".join(f"{name} = {value}" for name, value in data.items())
        dims = [dim.text or "" for dim in layer.findall("output/port[1]/dim")]
        shape = [int(dim) for dim in dims] if dims and all(dim.lstrip("-").isdigit() for dim in dims) else None
        number = layer.get("id", "")
        nodes.append(Node(names[number], layer.get("type", "op"), inputs.get(number, ()), said, shape))
    return nodes


def _library(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise ImportError(f"{what} need the package {name}, which is not installed: pip install {name}", name=name) from error
