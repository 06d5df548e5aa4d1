"""What users hold (arrays, tensors, figures, sounds, models, dictionaries) as the kinds of `tbbridge.kinds`.

Every function is pure: values in, one kind without step and wall time out (`dataclasses.replace` adds them), or `InvalidItem`
that says what came, what is accepted and how to convert. The user's arrays are copied, never kept or changed. Nothing here
imports torch, JAX, matplotlib or onnx unless the value given is theirs; Pillow is imported when a picture is made. The clients
and the summary writer call in here; the path continues with what they do to a kind.

Where `clip` is taken: False raises for values far out of range; True cuts them to it, as torch.utils.tensorboard does, and
says so in the log once.

    image(tag, img, dataformats=None, *, clip=False) -> Image
        One image: an array in any layout, encoded PNG, JPEG or GIF bytes, or a Pillow image.
    images(tag, imgs, dataformats=None, *, clip=False) -> Image
        A batch, or a list of equal images, as one grid of eight a row.
    image_with_boxes(tag, img, boxes, labels=None, dataformats=None, *, rescale=1.0, clip=False) -> Image
        One image with boxes [N, 4] (left, top, right, bottom, in pixels) drawn in red.
    figure(tag, figures, *, close=True) -> Image
        A matplotlib figure, or a list of equal ones as a grid.
    video(tag, frames, fps=4, dataformats="NTCHW", *, clip=False) -> Image
        A batch of videos side by side as one animated GIF.
    audio(tag, sound, sample_rate=44100, *, clip=False) -> Audio
        Samples [L], [L, C] or [C, L], float in [-1, 1] or int16, as 16-bit WAV; or WAV bytes as they are.
    histogram(tag, values, bins="tensorflow", max_bins=None) -> Histogram
        How numbers are distributed; `bins` as in numpy.histogram, or "tensorflow" for TensorBoard's own 30 buckets.
    histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts) -> Histogram
        A histogram counted elsewhere.
    pr_curve(tag, labels, predictions, num_thresholds=127, weights=None) -> PrCurve
        Precision and recall from labels (0 or 1) and predictions in [0, 1].
    pr_curve_raw(tag, true_positives, false_positives, true_negatives, false_negatives, precision, recall) -> PrCurve
        The same, counted elsewhere: one number a threshold, thresholds ascending.
    mesh(tag, vertices, colors=None, faces=None, config=None) -> Mesh
        Points or triangles in space; `config` is a dictionary of THREE.js classes.
    embedding(tag, matrix, metadata=None, label_img=None, metadata_header=None) -> Embedding
        Vectors [N, D] for the projector, with labels and pictures.
    graph(model, input_to_model=None, *, verbose=False, use_strict_trace=True) -> Graph
        A torch module traced with an input; or GraphDef bytes, or a GraphDef message.
    onnx_graph(model) -> Graph
        An ONNX model: path, bytes or ModelProto.
    openvino_graph(model) -> Graph
        An OpenVINO model: path of its .xml, or an openvino.Model.
    run_metadata(tag, metadata) -> RunMetadata
        RunMetadata bytes, or the message.
    hparams(hparam_dict, metric_dict=None, *, group_name="", status=None) -> HParams
        Hyperparameters of a run; None is left out, functions and classes are called by their names.
    custom_scalars(layout) -> CustomScalars
        tensorboardX's layout: {category: {chart: ["Multiline", [tag patterns]] or ["Margin", [value, lower, upper]]}}.
    multiline_chart(tags, category="default", title="untitled") -> CustomScalars
        A layout of one chart of many lines.
    margin_chart(tags, category="default", title="untitled") -> CustomScalars
        A layout of one chart with a margin: three tags, of value, lower and upper bound.
    tensor(tag, values, plugin_name="", plugin_content=b"") -> Tensor
        Any array of numbers, or text, for a plugin of your own.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbbridge.convert.curves import pr_curve, pr_curve_raw
    from tbbridge.convert.embeddings import embedding
    from tbbridge.convert.graphs import graph, onnx_graph, openvino_graph
    from tbbridge.convert.histograms import histogram, histogram_raw
    from tbbridge.convert.meshes import mesh
    from tbbridge.convert.pictures import figure, image, image_with_boxes, images
    from tbbridge.convert.settings import custom_scalars, hparams, margin_chart, multiline_chart
    from tbbridge.convert.sounds import audio
    from tbbridge.convert.tensors import run_metadata, tensor
    from tbbridge.convert.videos import video

__all__ = [
    "audio",
    "custom_scalars",
    "embedding",
    "figure",
    "graph",
    "histogram",
    "histogram_raw",
    "hparams",
    "image",
    "image_with_boxes",
    "images",
    "margin_chart",
    "mesh",
    "multiline_chart",
    "onnx_graph",
    "openvino_graph",
    "pr_curve",
    "pr_curve_raw",
    "run_metadata",
    "tensor",
    "video",
]

# Loaded when first used: a program that logs only numbers pays for none of them.
_HOMES = {
    "audio": "tbbridge.convert.sounds",
    "custom_scalars": "tbbridge.convert.settings",
    "embedding": "tbbridge.convert.embeddings",
    "figure": "tbbridge.convert.pictures",
    "graph": "tbbridge.convert.graphs",
    "histogram": "tbbridge.convert.histograms",
    "histogram_raw": "tbbridge.convert.histograms",
    "hparams": "tbbridge.convert.settings",
    "image": "tbbridge.convert.pictures",
    "image_with_boxes": "tbbridge.convert.pictures",
    "images": "tbbridge.convert.pictures",
    "margin_chart": "tbbridge.convert.settings",
    "mesh": "tbbridge.convert.meshes",
    "multiline_chart": "tbbridge.convert.settings",
    "onnx_graph": "tbbridge.convert.graphs",
    "openvino_graph": "tbbridge.convert.graphs",
    "pr_curve": "tbbridge.convert.curves",
    "pr_curve_raw": "tbbridge.convert.curves",
    "run_metadata": "tbbridge.convert.tensors",
    "tensor": "tbbridge.convert.tensors",
    "video": "tbbridge.convert.videos",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found
