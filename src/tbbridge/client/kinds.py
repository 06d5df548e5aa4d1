"""The log calls of a run for all but numbers and text: each makes a kind of what the user holds, at the call, and adds it.

The conversions are convert/'s, which says what each accepts; a mistake raises `InvalidItem` here, before anything is sent. The
pictures and sounds are encoded during the call. The path continues in run.py, `add_summary`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from tbbridge import convert
from tbbridge.client.values import Number, Step
from tbbridge.model import Summary


class KindCalls(ABC):
    """The part of a `Run` that logs pictures, sounds, curves, models, settings; `step` and `wall_time` as in `add_scalar`."""

    @abstractmethod
    def add_summary(self, summary: Summary, step: Step | None = None, wall_time: float | None = None) -> None:
        """Log one value of any kind, made by yourself."""

    @abstractmethod
    def add_scalar(
        self, tag: str, value: Number | None = None, step: Step | None = None, wall_time: float | None = None
    ) -> None:
        """Log one number."""

    # --- pictures and sound -------------------------------------------------------------------------------------------

    def add_image(
        self,
        tag: str,
        img: object,
        step: Step | None = None,
        wall_time: float | None = None,
        dataformats: str | None = None,
        *,
        clip: bool = False,
    ) -> None:
        """Log an image: an array HW, CHW or HWC, uint8 or floats in [0, 1]; PNG, JPEG or GIF bytes; or a Pillow image.

        The layout is seen from the shape unless `dataformats` names it. `clip` brings floats out of range into it.
        """
        self.add_summary(convert.image(tag, img, dataformats, clip=clip), step, wall_time)

    def add_images(
        self,
        tag: str,
        imgs: object,
        step: Step | None = None,
        wall_time: float | None = None,
        dataformats: str | None = None,
        *,
        clip: bool = False,
    ) -> None:
        """Log a batch of images NCHW or NHWC, or a list of them, as one grid of eight a row."""
        self.add_summary(convert.images(tag, imgs, dataformats, clip=clip), step, wall_time)

    def add_image_with_boxes(
        self,
        tag: str,
        img: object,
        boxes: object,
        step: Step | None = None,
        wall_time: float | None = None,
        dataformats: str | None = None,
        labels: str | Sequence[str] | None = None,
        *,
        rescale: float = 1.0,
        clip: bool = False,
    ) -> None:
        """Log an image with boxes drawn in it: [N, 4] of left, top, right, bottom in pixels, with a label each."""
        made = convert.image_with_boxes(tag, img, boxes, labels, dataformats, rescale=rescale, clip=clip)
        self.add_summary(made, step, wall_time)

    def add_figure(
        self, tag: str, figure: object, step: Step | None = None, close: bool = True, wall_time: float | None = None
    ) -> None:
        """Log a matplotlib figure, or a list of equally large ones as a grid; `close` closes it afterwards."""
        self.add_summary(convert.figure(tag, figure, close=close), step, wall_time)

    def add_video(
        self,
        tag: str,
        frames: object,
        step: Step | None = None,
        fps: float = 4,
        wall_time: float | None = None,
        dataformats: str = "NTCHW",
        *,
        clip: bool = False,
    ) -> None:
        """Log videos [video, time, channel, height, width] side by side as an animated GIF, or GIF bytes."""
        self.add_summary(convert.video(tag, frames, fps, dataformats, clip=clip), step, wall_time)

    def add_audio(
        self,
        tag: str,
        sound: object,
        step: Step | None = None,
        sample_rate: float = 44100,
        wall_time: float | None = None,
        *,
        clip: bool = False,
    ) -> None:
        """Log a sound: samples [L], [L, C] or [C, L] of 1 or 2 channels, floats in [-1, 1] or int16; or WAV bytes."""
        self.add_summary(convert.audio(tag, sound, sample_rate, clip=clip), step, wall_time)

    # --- curves, shapes, vectors --------------------------------------------------------------------------------------

    def add_pr_curve(
        self,
        tag: str,
        labels: object,
        predictions: object,
        step: Step | None = None,
        num_thresholds: int = 127,
        weights: object = None,
        wall_time: float | None = None,
    ) -> None:
        """Log precision and recall, from labels (1 where positive) and predictions in [0, 1]."""
        self.add_summary(convert.pr_curve(tag, labels, predictions, num_thresholds, weights), step, wall_time)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positives: object,
        false_positives: object,
        true_negatives: object,
        false_negatives: object,
        precision: object,
        recall: object,
        step: Step | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log precision and recall counted elsewhere: one number a threshold, thresholds evenly from 0 to 1."""
        counts = (true_positives, false_positives, true_negatives, false_negatives, precision, recall)
        self.add_summary(convert.pr_curve_raw(tag, *counts), step, wall_time)

    def add_mesh(
        self,
        tag: str,
        vertices: object,
        colors: object = None,
        faces: object = None,
        config: Mapping[str, object] | str | None = None,
        step: Step | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log points [N, 3] or [samples, N, 3] in space, with `faces` triangles between them; `config` for THREE.js."""
        self.add_summary(convert.mesh(tag, vertices, colors, faces, config), step, wall_time)

    def add_embedding(
        self,
        matrix: object,
        metadata: Iterable[object] | None = None,
        label_img: object = None,
        step: Step | None = None,
        tag: str = "default",
        metadata_header: Sequence[object] | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log vectors [N, D] for the Projector, with a label (or a row under `metadata_header`) and a picture for each."""
        self.add_summary(convert.embedding(tag, matrix, metadata, label_img, metadata_header), step, wall_time)

    def add_tensor(
        self,
        tag: str,
        values: object,
        step: Step | None = None,
        wall_time: float | None = None,
        *,
        plugin_name: str = "",
        plugin_content: bytes = b"",
    ) -> None:
        """Log an array of numbers or texts as it is, for a plugin of your own."""
        self.add_summary(convert.tensor(tag, values, plugin_name, plugin_content), step, wall_time)

    # --- models and settings ------------------------------------------------------------------------------------------

    def add_graph(
        self,
        model: object,
        input_to_model: object = None,
        verbose: bool = False,
        use_strict_trace: bool = True,
        *,
        step: Step | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log the graph of a torch module, which is run once with `input_to_model`; or a GraphDef, message or bytes."""
        made = convert.graph(model, input_to_model, verbose=verbose, use_strict_trace=use_strict_trace)
        self.add_summary(made, step, wall_time)

    def add_onnx_graph(self, model: object, *, step: Step | None = None, wall_time: float | None = None) -> None:
        """Log the graph of an ONNX model: its file's path or bytes (needs the package onnx), or a ModelProto."""
        self.add_summary(convert.onnx_graph(model), step, wall_time)

    def add_openvino_graph(self, model: object, *, step: Step | None = None, wall_time: float | None = None) -> None:
        """Log the graph of an OpenVINO model: the path of its .xml, or an openvino.Model."""
        self.add_summary(convert.openvino_graph(model), step, wall_time)

    def add_run_metadata(self, tag: str, metadata: object, step: Step | None = None, wall_time: float | None = None) -> None:
        """Log what a session run reported, for the Graphs page: a RunMetadata message, or its bytes."""
        self.add_summary(convert.run_metadata(tag, metadata), step, wall_time)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, object],
        metric_dict: Mapping[str, Any] | Sequence[str] | None = None,
        step: Step | None = None,
        wall_time: float | None = None,
        *,
        group_name: str = "",
        status: Literal["success", "failure", "running"] | None = None,
    ) -> None:
        """Log the run's hyperparameters, once; and the numbers of `metric_dict`, {tag: value}, as scalars of this run.

        Every scalar of the run is a metric of the HParams page. Runs of one `group_name` count as repetitions. A later call
        with `status` ends the session.
        """
        self.add_summary(convert.hparams(hparam_dict, metric_dict, group_name=group_name, status=status), step, wall_time)
        if isinstance(metric_dict, Mapping):
            for tag, value in metric_dict.items():
                self.add_scalar(tag, value, step, wall_time)

    def add_custom_scalars(
        self,
        layout: Mapping[str, Mapping[str, Sequence[Any]]],
        *,
        step: Step | None = None,
        wall_time: float | None = None,
    ) -> None:
        """Log a layout of charts: {category: {chart: ["Multiline", [tags]] or ["Margin", [value, lower, upper]]}}."""
        self.add_summary(convert.custom_scalars(layout), step, wall_time)
