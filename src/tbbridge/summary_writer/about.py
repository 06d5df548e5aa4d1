"""What `SummaryWriter` says about a run: its hyperparameters and its model; and summaries that others have made."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Protocol

from tbbridge import convert
from tbbridge.client.values import Number, Step, as_float
from tbbridge.errors import InvalidItem
from tbbridge.kinds import HParams, RawValue, Summary
from tbbridge.summary_writer.core import Core


class SummaryMessage(Protocol):
    """TensorBoard's Summary message, or tensorboardX's."""

    @property
    def value(self) -> Sequence[Message]:
        """Its values."""


class Message(Protocol):
    """A protobuf message."""

    def SerializeToString(self) -> bytes:  # noqa: N802 - protobuf's name
        """Its bytes."""


class AboutTheRun(Core):
    """The methods for hyperparameters and graphs."""

    # One session a run: what TensorBoard was told first counts.
    _hparams: HParams | None = None
    _hparams_runs: int = 1

    def add_hparams(
        self,
        hparam_dict: Mapping[str, object],
        metric_dict: Mapping[str, Number],
        name: str | Mapping[str, object] | None = None,
        global_step: Step | str | None = None,
        hparam_domain_discrete: Mapping[str, object] | Step | None = None,
        run_name: str | None = None,
    ) -> None:
        """Log hyperparameters and the metrics that judge them, in this run; in a sub-run if `name` (or `run_name`) is given.

        TensorBoard takes one set of hyperparameters a run, the first. So a later call with others gets a sub-run by itself:
        hparams-2, hparams-3 and so on. torch has `hparam_domain_discrete` and `run_name` in the places of `name` and
        `global_step`, and is understood; TensorBoard finds the domains by itself, so they are not written.
        """
        if isinstance(name, Mapping) or isinstance(global_step, str):  # torch's positions
            run_name = global_step if isinstance(global_step, str) else run_name
            name, global_step = None, None if isinstance(hparam_domain_discrete, Mapping) else hparam_domain_discrete
        given: object = metric_dict
        if not isinstance(given, Mapping):
            message = f"the metrics are a {type(given).__name__}; give a dictionary of numbers"
            raise InvalidItem("hparams", message, "metric_dict")
        kind = convert.hparams(hparam_dict, metric_dict, status="success")
        metrics = {tag: as_float(value, tag) for tag, value in metric_dict.items()}
        sub_run = name or run_name or self._free_hparams_run(kind)
        if self._hparams is None or sub_run:
            self._kind(kind, global_step, None, sub_run)
        if not sub_run:
            self._hparams = kind
        for tag, value in metrics.items():
            self._add_point(sub_run, tag, value, global_step)

    def _free_hparams_run(self, kind: HParams) -> str:
        if self._hparams is None or dict(self._hparams.values) == dict(kind.values):
            return ""
        self._hparams_runs += 1
        return f"hparams-{self._hparams_runs}"

    def add_graph(
        self, model: object, input_to_model: object = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """Log the graph of a torch module, traced with an input; or a GraphDef, as a message or bytes."""
        kind = convert.graph(model, input_to_model, verbose=verbose, use_strict_trace=use_strict_trace)
        self._kind(kind, None, None)

    def add_onnx_graph(
        self, onnx_model_file: str | os.PathLike[str] | bytes | None = None, prototxt: str | os.PathLike[str] | None = None
    ) -> None:
        """Log the graph of an ONNX file; `prototxt` is torch's name for it."""
        given = prototxt if onnx_model_file is None else onnx_model_file
        if given is None:
            raise InvalidItem("graph", "no ONNX model is given; give the path of its file", "onnx_model_file")
        self._kind(convert.onnx_graph(given), None, None)

    def add_openvino_graph(self, xmlname: str | os.PathLike[str]) -> None:
        """Log the graph of an OpenVINO model, `xmlname` being the path of its .xml."""
        self._kind(convert.openvino_graph(xmlname), None, None)

    def add_summary(
        self, summary: Summary | SummaryMessage | bytes, global_step: Step | None = None, walltime: float | None = None
    ) -> None:
        """Log a kind of `tbbridge.kinds`; or each value of a Summary message of TensorBoard's or tensorboardX's."""
        if isinstance(summary, Summary):
            step = summary.step if global_step is None else global_step
            self._kind(summary, step, summary.wall_time if walltime is None else walltime)
            return
        values = getattr(summary, "value", None)
        if values is None:
            message = f"the summary is of type {type(summary).__name__}; give a Summary message, or a kind of tbbridge.kinds"
            raise InvalidItem("summary", message, "summary")
        for kind in [RawValue(value.SerializeToString()) for value in values]:
            self._kind(kind, global_step, walltime)
