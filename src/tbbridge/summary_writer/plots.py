"""What `SummaryWriter` draws and tells besides scalars and pictures: histograms, texts, curves, meshes, embeddings, layouts.

Positions, names and defaults are tensorboardX's and torch's, which agree here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tbbridge import convert, limits
from tbbridge.client.values import Step, as_array
from tbbridge.convert.arrays import as_numbers
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.events.histograms import bucketize
from tbbridge.kinds import Text
from tbbridge.summary_writer.core import Content, Core


class Plots(Core):
    """The methods for everything that is neither a scalar nor a picture nor said about the run."""

    def add_histogram(
        self,
        tag: str,
        values: object,
        global_step: Step | None = None,
        bins: str | int | Sequence[float] = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log how numbers are distributed. NaN and infinities are left out, and reported once in the log.

        `bins` and `max_bins` are as in numpy.histogram and tensorboardX. By default another thread sorts the values, a copy of
        them, unless it is behind already.
        """
        if not isinstance(bins, str) or bins != "tensorflow" or max_bins is not None:
            self._kind(convert.histogram(tag, values, bins, max_bins), global_step, walltime)
            return
        what = f"the histogram of tag {tag!a}"
        content: Content
        if self._destination.is_behind:
            content = bucketize(as_numbers(values, what).astype(float, copy=False).ravel())
        else:
            content = as_array(values, what)
            if content.nbytes > limits.CLIENT_COPY_MAX_BYTES:
                content = bucketize(content.astype(float, copy=False))
        self._note(checked_tag(tag), content, global_step, walltime)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,  # noqa: A002 - tensorboardX's names
        max: float,  # noqa: A002
        num: float,
        sum: float,  # noqa: A002
        sum_squares: float,
        bucket_limits: Sequence[float],
        bucket_counts: Sequence[float],
        global_step: Step | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log a histogram counted elsewhere: the right edge of each bucket, and how many values fell in it."""
        kind = convert.histogram_raw(tag, min, max, num, sum, sum_squares, bucket_limits, bucket_counts)
        self._kind(kind, global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step: Step | None = None, walltime: float | None = None) -> None:
        """Log a text; TensorBoard shows it as Markdown."""
        given: object = text_string
        if not isinstance(given, str):
            message = f"the text of tag {tag!a} is of type {type(given).__name__}; give a str"
            raise InvalidItem("text", message, "text_string")
        self._kind(Text(checked_tag(tag), text_string), global_step, walltime)

    def add_tensor(self, tag: str, tensor: object, global_step: Step | None = None, walltime: float | None = None) -> None:
        """Log any array. No page of TensorBoard's own shows it; plugins and readers of event files do."""
        self._kind(convert.tensor(tag, tensor), global_step, walltime)

    def add_pr_curve(
        self,
        tag: str,
        labels: object,
        predictions: object,
        global_step: Step | None = None,
        num_thresholds: int = 127,
        weights: object = None,
        walltime: float | None = None,
    ) -> None:
        """Log a precision-recall curve from labels (0 or 1) and predictions in [0, 1]."""
        self._kind(convert.pr_curve(tag, labels, predictions, num_thresholds, weights), global_step, walltime)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: object,
        false_positive_counts: object,
        true_negative_counts: object,
        false_negative_counts: object,
        precision: object,
        recall: object,
        global_step: Step | None = None,
        num_thresholds: int = 127,  # noqa: ARG002 - see below
        weights: object = None,  # noqa: ARG002
        walltime: float | None = None,
    ) -> None:
        """Log a precision-recall curve counted elsewhere: one number for each threshold, thresholds ascending from 0 to 1.

        The number of thresholds is that of the counts, which also hold the weights: `num_thresholds` and `weights` are there
        for tensorboardX's sake and change nothing, as they change nothing there.
        """
        kind = convert.pr_curve_raw(
            tag,
            true_positive_counts,
            false_positive_counts,
            true_negative_counts,
            false_negative_counts,
            precision,
            recall,
        )
        self._kind(kind, global_step, walltime)

    def add_mesh(
        self,
        tag: str,
        vertices: object,
        colors: object = None,
        faces: object = None,
        config_dict: Mapping[str, object] | None = None,
        global_step: Step | None = None,
        walltime: float | None = None,
    ) -> None:
        """Log point clouds or meshes: vertices [B, N, 3], colours 0..255 [B, N, 3], faces [B, M, 3]."""
        self._kind(convert.mesh(tag, vertices, colors, faces, config_dict), global_step, walltime)

    def add_embedding(
        self,
        mat: object,
        metadata: Iterable[object] | None = None,
        label_img: object = None,
        global_step: Step | None = None,
        tag: str = "default",
        metadata_header: Sequence[object] | None = None,
    ) -> None:
        """Log vectors [N, D] for the Projector, with a label and a square picture [N, C, H, W] for each."""
        self._kind(convert.embedding(tag, mat, metadata, label_img, metadata_header), global_step, None)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Sequence[object]]]) -> None:
        """Log the charts of the Custom Scalars page: {category: {chart: ['Multiline', tags] or ['Margin', 3 tags]}}."""
        self._kind(convert.custom_scalars(layout), None, None)

    def add_custom_scalars_multilinechart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """The same for one chart of several lines."""
        self.add_custom_scalars({category: {title: ["Multiline", list(tags)]}})

    def add_custom_scalars_marginchart(self, tags: Sequence[str], category: str = "default", title: str = "untitled") -> None:
        """The same for one chart of a line and its bounds: value, lower, upper."""
        self.add_custom_scalars({category: {title: ["Margin", list(tags)]}})
