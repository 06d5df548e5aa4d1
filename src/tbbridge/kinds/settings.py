"""A run's hyperparameters, and the layout of its custom scalars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.kinds.shared import Shared, check_size, check_summary, check_tag_at
from tbbridge.names import TagName, utf8_length


@dataclass(frozen=True, slots=True)
class HParams(Shared):
    """A run's hyperparameters, a row of the HParams page. The first of a run counts; `status` ends the session, and may come
    with a later one whose values are then not looked at. `metrics` names the run's scalar tags that matter: TensorBoard takes
    all of them as long as nobody writes an experiment, which tbbridge does not; it is there for other readers.
    """

    values: Mapping[str, bool | float | str]
    metrics: tuple[str, ...] = ()
    group_name: str = ""
    status: Literal["success", "failure", "running"] | None = None

    def __post_init__(self) -> None:
        check_summary(self)
        if len(self.values) > limits.HPARAMS_MAX or len(self.metrics) > limits.HPARAMS_MAX:
            count = max(len(self.values), len(self.metrics))
            raise InvalidItem(
                "too-many", f"{count} hyperparameters or metrics, at most {limits.HPARAMS_MAX} are taken", "values"
            )
        given: Mapping[str, object] = self.values  # what the annotations promise is what is checked
        for name, value in given.items():
            if not isinstance(name, str) or not 1 <= utf8_length(name, "the name", "values") <= limits.HPARAM_NAME_MAX_BYTES:
                message = f"a hyperparameter's name has 1 to {limits.HPARAM_NAME_MAX_BYTES} bytes; this is {name!a:.50}"
                raise InvalidItem("hparams", message, "values")
            if isinstance(value, str):
                if utf8_length(value, "the value", f"values.{name}") > limits.HPARAM_TEXT_MAX_BYTES:
                    message = f"the value has over {limits.HPARAM_TEXT_MAX_BYTES} bytes; shorten it"
                    raise InvalidItem("too-large", message, f"values.{name}")
            elif not isinstance(value, bool | int | float):
                came = f"{value!a:.60} is a {type(value).__name__}"
                raise InvalidItem(
                    "hparams", f"{came}; a hyperparameter is a number, a text, or true or false", f"values.{name}"
                )
        for position, metric in enumerate(self.metrics):
            check_tag_at(metric, f"metrics[{position}]")
        if utf8_length(self.group_name, "group_name", "group_name") > limits.HPARAM_NAME_MAX_BYTES:
            message = f"group_name has over {limits.HPARAM_NAME_MAX_BYTES} bytes; shorten it"
            raise InvalidItem("too-large", message, "group_name")
        if self.status not in (None, "success", "failure", "running"):
            raise InvalidItem("hparams", f"status is {self.status!a}; it is success, failure, running or left out", "status")
        kept = {name: _plain(name, value) for name, value in self.values.items()}
        object.__setattr__(self, "values", MappingProxyType(kept))

    @property
    def tag(self) -> TagName:
        """TensorBoard's own name for it."""
        return TagName("_hparams_/session_start_info")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        texts = sum(len(value) for value in self.values.values() if isinstance(value, str))
        return texts + sum(len(name) + 50 for name in (*self.values, *self.metrics))


def _plain(name: str, value: bool | float | str) -> bool | float | str:
    if isinstance(value, bool | str):
        return value
    try:
        return float(value)
    except OverflowError:
        message = "the number is too large for a 64-bit float; send it as text"
        raise InvalidItem("hparams", message, f"values.{name}") from None


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart of a layout: either `multiline`, regular expressions that match the start of tags; or `margin`, a line with a
    band, as the tags of (value, lower, upper), whose steps must be equal.
    """

    title: str
    multiline: tuple[str, ...] = ()
    margin: tuple[tuple[str, str, str], ...] = ()

    def __post_init__(self) -> None:
        check_tag_at(self.title, "title")
        if bool(self.multiline) == bool(self.margin):
            raise InvalidItem("layout", "a chart has either multiline or margin; send exactly one of the two", "multiline")
        for position, pattern in enumerate(self.multiline):
            check_tag_at(pattern, f"multiline[{position}]")
        margins: tuple[tuple[str, ...], ...] = self.margin  # three tags each is what is checked
        for position, series in enumerate(margins):
            if len(series) != 3:
                message = f"a margin names three tags (value, lower, upper), this one {len(series)}"
                raise InvalidItem("layout", message, f"margin[{position}]")
            for tag in series:
                check_tag_at(tag, f"margin[{position}]")


@dataclass(frozen=True, slots=True)
class Category:
    """Charts under one title, which the Custom Scalars page opens or, with `closed`, leaves closed."""

    title: str
    charts: tuple[Chart, ...]
    closed: bool = False

    def __post_init__(self) -> None:
        check_tag_at(self.title, "title")


@dataclass(frozen=True, slots=True)
class CustomScalars(Shared):
    """A run's layout of the Custom Scalars page; the latest counts. Categories of all runs are joined by title."""

    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        check_summary(self)
        charts = sum(len(category.charts) for category in self.categories)
        if charts > limits.LAYOUT_MAX_CHARTS or len(self.categories) > limits.LAYOUT_MAX_CHARTS:
            message = f"the layout has {charts} charts, at most {limits.LAYOUT_MAX_CHARTS} are taken"
            raise InvalidItem("too-many", message, "categories")
        check_size(self.size_bytes, "categories")

    @property
    def tag(self) -> TagName:
        """TensorBoard's own name for it."""
        return TagName("custom_scalars__config__")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        charts = [chart for category in self.categories for chart in category.charts]
        patterns = sum(len(pattern) + 50 for chart in charts for pattern in chart.multiline)
        tags = sum(len(tag) + 50 for chart in charts for series in chart.margin for tag in series)
        return patterns + tags + 200 * (len(charts) + len(self.categories))
