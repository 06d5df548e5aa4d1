"""A torch module, traced with an example, as the nodes of a graph, with torch.utils.tensorboard's names, scopes and shapes.

A node stands for a value: the outputs of each operation, the inputs of the module, and a sink for each of its outputs. Its name
starts with the modules around it (`Net/Linear[fc1]/input.1`), which TensorBoard draws as boxes in boxes. torch is only imported
if a module came, so the user has done it already.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from tbbridge.convert.graphs import Node
from tbbridge.errors import InvalidItem

# RunMetadata{step_stats{dev_stats{device: "/device:CPU:0"}}}: what torch writes beside a graph, under the tag "profiler".
PROFILER_TAG: Final = "profiler"
PROFILER_METADATA: Final = b"\x0a\x11\x0a\x0f\x0a\x0d/device:CPU:0"

_GET_ATTRIBUTE: Final = "prim::GetAttr"
_MODULE: Final = "ClassType"


def torch_nodes(model: Any, example: object, *, verbose: bool, strict: bool) -> list[Node]:
    """The module's graph; it is run once with `example`. `InvalidItem` if torch cannot trace it."""
    if example is None:
        message = "a torch module is drawn by running it once; give an input for it: a tensor, or a tuple of arguments"
        raise InvalidItem("graph", message, "input_to_model")
    import torch

    jit: Any = torch.jit
    with _evaluating(model), warnings.catch_warnings():
        # torch would have torch.export instead, whose graphs have lost the nesting of modules.
        warnings.filterwarnings("ignore", message=r"`torch\.jit\..*deprecated", category=DeprecationWarning)
        # That another input might take another branch matters to who runs a trace, not to who looks at it.
        warnings.filterwarnings("ignore", category=jit.TracerWarning)
        try:
            # The check would run the model twice more, and refuse attention layers, whose fast path differs.
            traced = jit.trace(model, example, strict=strict, check_trace=False)
        except Exception as error:  # whatever the user's own forward() raises
            message = f"torch cannot trace the model with this input ({type(error).__name__}: {error})"
            message += "; check that model(*inputs) runs"
            raise InvalidItem("graph", message, "model") from error
    inlined = traced.inlined_graph
    if verbose:
        sys.stdout.write(f"{inlined}\n")
    return _Drawing(traced, inlined).nodes()


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    """Every module in evaluation mode, and each back to its own mode after: parts of a model may be frozen on purpose."""
    modules = list(model.modules()) if hasattr(model, "modules") else []
    modes = [module.training for module in modules]
    if modules:
        model.train(False)
    try:
        yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode


class _Drawing:
    """One traced graph being named."""

    def __init__(self, traced: Any, inlined: Any) -> None:
        self._graph = inlined
        self._root = _class_name(traced)
        # Paths as a trace writes them (`__module.layers.0`) -> as shown (`Linear[0]`).
        named = traced.named_modules(prefix="__module") if hasattr(traced, "named_modules") else ()
        self._shown = {path: f"{_class_name(module)}[{path.rpartition('.')[2]}]" for path, module in named}
        self._names: dict[str, str] = {}  # the trace's name of a value -> the node's

    def nodes(self) -> list[Node]:
        inputs = [value for value in self._graph.inputs() if value.uses() and value.type().kind() != _MODULE]
        operations = list(self._operations())
        for value in inputs:
            self._names[value.debugName()] = f"input/{value.debugName()}"
        for operation, scope in operations:
            for value in operation.outputs():
                self._names[value.debugName()] = f"{scope}/{value.debugName()}"
        made = [Node(self._names[value.debugName()], "IO Node", shape=_sizes(value)) for value in inputs]
        for number, value in enumerate(self._graph.outputs(), 1):
            made.append(Node(f"output/output.{number}", "IO Node", self._sources([value]), shape=_sizes(value)))
        for operation, _ in operations:
            sources = self._sources(operation.inputs())
            said = _attributes(operation)
            outputs = ((self._names[value.debugName()], _sizes(value)) for value in operation.outputs())
            made.extend(Node(name, operation.kind(), sources, said, sizes) for name, sizes in outputs)
        return made

    def _operations(self) -> Iterator[tuple[Any, str]]:
        """The operations, each with its scope; fetching a submodule is none, fetching a weight is."""
        paths: dict[str, str] = {}  # of each attribute fetched, in the form of scopeName()
        for operation in self._graph.nodes():
            if operation.kind() != _GET_ATTRIBUTE:
                yield operation, self._scope(operation.scopeName())
                continue
            name, parent = operation.s("name"), operation.input().node()
            if parent.kind() == _GET_ATTRIBUTE:
                above = paths[operation.input().debugName()]
                path = f"{above}/{above.rpartition('/')[2]}.{name}"
            else:
                path = f"__module.{name}"
            paths[operation.output().debugName()] = path
            if operation.output().type().kind() != _MODULE:
                yield operation, self._scope(path)

    def _scope(self, path: str) -> str:
        parts = [self._shown.get(part, part.rpartition(".")[2]) for part in path.split("/") if part]
        return "/".join([self._root, *parts])

    def _sources(self, values: Any) -> list[str]:
        return [self._names[value.debugName()] for value in values if value.debugName() in self._names]


def _class_name(module: Any) -> str:
    return str(getattr(module, "_name", None) or getattr(module, "original_name", None) or "Module")


def _sizes(value: Any) -> list[int] | None:
    try:
        sizes = value.type().sizes()
    except RuntimeError:  # not a tensor
        return None
    return None if sizes is None else [int(size) for size in sizes]


def _attributes(operation: Any) -> str:
    # As in a dictionary, but without single quotes, which TensorBoard's page trips over.
    found = {name: getattr(operation, operation.kindOf(name))(name) for name in operation.attributeNames()}
    return str(found).replace("'", " ")
