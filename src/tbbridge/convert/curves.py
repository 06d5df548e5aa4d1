"""Precision and recall over thresholds, from labels and predictions or from counts."""

from __future__ import annotations

import operator
from typing import Final, SupportsIndex

import numpy as np

from tbbridge import limits
from tbbridge.arrays import Float64s
from tbbridge.convert.arrays import as_numbers, in_range
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import PrCurve

# tensorboard/plugins/pr_curve/summary.py: _MINIMUM_COUNT, which keeps 0 of 0 at 0.
_MINIMUM_COUNT: Final = 1e-7
_COUNTS: Final = ("true_positives", "false_positives", "true_negatives", "false_negatives", "precision", "recall")


# A softmax in half precision may pass 1 by as much; logits are further out.
_ROUNDING: Final = 1e-3


def pr_curve(tag: str, labels: object, predictions: object, num_thresholds: object = 127, weights: object = None) -> PrCurve:
    """Precision and recall at evenly spaced thresholds, from labels (True or 1 where positive) and predictions in [0, 1].

    `weights`, one number or one for each prediction, is what each counts for. More than 127 thresholds are kept: the cap of
    tensorboardX was for a fault that TensorBoard no longer has.
    """
    name = checked_tag(tag)
    what = f"the PR curve of tag {tag!a}"
    most = limits.PR_CURVE_MAX_THRESHOLDS
    count = operator.index(num_thresholds) if isinstance(num_thresholds, SupportsIndex) else 0
    if not 2 <= count <= most:
        message = f"num_thresholds of {what} is {num_thresholds!a:.60}; give a whole number from 2 to {most}"
        raise InvalidItem("thresholds", message, "num_thresholds")
    truth, scores = _flat(labels, f"labels of {what}"), _flat(predictions, f"predictions of {what}")
    if len(truth) != len(scores) or len(truth) == 0:
        message = f"{what} has {len(truth)} labels and {len(scores)} predictions; give one label a prediction, at least one"
        raise InvalidItem("length", message, "labels")
    truth = in_range(truth, 0, 1, f"labels of {what}", "give 1 or True where positive, else 0", slack=0)
    remedy = "they are taken from 0 to 1: apply a sigmoid or softmax to logits"
    scores = in_range(scores, 0, 1, f"predictions of {what}", remedy, slack=_ROUNDING)
    heavy = np.ones(1) if weights is None else _flat(weights, f"weights of {what}")
    if len(heavy) not in (1, len(scores)) or not (np.isfinite(heavy).all() and (heavy >= 0).all()):
        message = f"weights of {what} are {len(heavy)} numbers for {len(scores)} predictions"
        raise InvalidItem("weights", message + "; give one, or one a prediction, finite and from 0 up", "weights")
    above = np.floor(scores * (count - 1)).astype(np.int64)
    positive = np.bincount(above, truth * heavy, count)[::-1].cumsum()[::-1]
    negative = np.bincount(above, (1.0 - truth) * heavy, count)[::-1].cumsum()[::-1]
    table = np.empty((len(_COUNTS), count))
    table[0], table[1], table[2], table[3] = positive, negative, negative[0] - negative, positive[0] - positive
    table[4] = positive / np.maximum(_MINIMUM_COUNT, positive + negative)
    table[5] = positive / np.maximum(_MINIMUM_COUNT, positive + table[3])
    return PrCurve(name, table)


def pr_curve_raw(
    tag: str,
    true_positives: object,
    false_positives: object,
    true_negatives: object,
    false_negatives: object,
    precision: object,
    recall: object,
) -> PrCurve:
    """A PR curve counted elsewhere: six lists of one number a threshold, thresholds evenly from 0 to 1, ascending."""
    name = checked_tag(tag)
    given = (true_positives, false_positives, true_negatives, false_negatives, precision, recall)
    rows = [_flat(row, f"{what} of the PR curve of tag {tag!a}") for row, what in zip(given, _COUNTS, strict=True)]
    if len({len(row) for row in rows}) != 1:
        lengths = ", ".join(f"{len(row)} {what}" for row, what in zip(rows, _COUNTS, strict=True))
        raise InvalidItem(
            "length", f"the PR curve of tag {tag!a} has {lengths}; give one of each a threshold", "true_positives"
        )
    return PrCurve(name, np.stack(rows))


def _flat(values: object, what: str) -> Float64s:
    return as_numbers(values, what).astype(np.float64).ravel()
