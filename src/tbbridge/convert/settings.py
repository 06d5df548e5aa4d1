"""What is said about a run rather than measured in it: hyperparameters, and the layout of its custom charts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from tbbridge.convert.arrays import described
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Category, Chart, CustomScalars, HParams


def hparams(
    hparam_dict: object,
    metric_dict: object = None,
    *,
    group_name: str = "",
    status: Literal["success", "failure", "running"] | None = None,
) -> HParams:
    """Hyperparameters of a run: numbers, texts, True or False; a function or class counts by its name, None is left out.

    Anything else, such as a list or a path, is kept as its text, so that no column is lost. Of `metric_dict` only the names
    matter here: log the values as scalars.
    """
    if not isinstance(hparam_dict, Mapping):
        message = f"the hyperparameters are {described(hparam_dict)}; give a dictionary such as {{'lr': 0.1}}"
        raise InvalidItem("hparams", message, "hparam_dict")
    metrics = () if metric_dict is None else metric_dict
    if isinstance(metrics, str) or not isinstance(metrics, Mapping | Sequence):
        message = f"the metrics are {described(metrics)}; give a dictionary such as {{'accuracy': 0.9}}, or names"
        raise InvalidItem("hparams", message, "metric_dict")
    values = {str(name): _setting(name, value) for name, value in hparam_dict.items() if value is not None}
    return HParams(values, tuple(str(name) for name in metrics), group_name, status)


def _setting(name: object, value: object) -> bool | float | str:
    if isinstance(value, str | bool):
        return value
    shape = getattr(value, "shape", None)
    item = getattr(value, "item", None)
    if shape is not None and callable(item):  # one number of numpy, torch, JAX
        if np.prod(tuple(shape)) != 1:
            message = f"hyperparameter {name!a} is {described(value)}; give one number, or its text with str()"
            raise InvalidItem("hparams", message, f"hparam_dict[{name!r}]")
        value = item()
    if isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return str(value)
    if callable(value):
        return str(getattr(value, "__name__", value))
    return str(value)


def custom_scalars(layout: object) -> CustomScalars:
    """tensorboardX's layout {category: {chart: [kind, tags]}} as charts of the Custom Scalars page.

    The kind is "Multiline", with any number of tags (regular expressions matched from the start), or "Margin", with three:
    value, lower and upper bound, or several such triples.
    """
    if not isinstance(layout, Mapping) or not all(isinstance(charts, Mapping) for charts in layout.values()):
        message = f"the layout is {described(layout)}; give {{category: {{chart: ['Multiline', [tags]]}}}}"
        raise InvalidItem("layout", message, "layout")
    return CustomScalars(
        tuple(
            Category(str(title), tuple(_chart(str(name), said) for name, said in charts.items()))
            for title, charts in layout.items()
        )
    )


def _chart(title: str, said: object) -> Chart:
    kind, tags = (said[0], said[1]) if isinstance(said, list | tuple) and len(said) == 2 else (None, None)
    kind = kind.casefold() if isinstance(kind, str) else None
    if kind not in ("multiline", "margin") or not isinstance(tags, list | tuple):
        message = f"chart {title!a} of the layout is {said!a:.60}; give ['Multiline', [tags]] or ['Margin', [3 tags]]"
        raise InvalidItem("layout", message, "layout")
    if kind == "multiline":
        return Chart(title, multiline=tuple(map(str, tags)))
    triples = tags if tags and all(isinstance(one, list | tuple) for one in tags) else [tags]
    for triple in triples:
        if len(triple) != 3:
            message = f"the margin chart {title!a} has {len(triple)} tags; give three: value, lower bound, upper bound"
            raise InvalidItem("layout", message, "layout")
    return Chart(title, margin=tuple((str(value), str(lower), str(upper)) for value, lower, upper in triples))


def multiline_chart(tags: Sequence[str], category: str = "default", title: str = "untitled") -> CustomScalars:
    """A layout of one chart of many lines; tensorboardX's add_custom_scalars_multilinechart."""
    return custom_scalars({category: {title: ["Multiline", list(tags)]}})


def margin_chart(tags: Sequence[str], category: str = "default", title: str = "untitled") -> CustomScalars:
    """A layout of one chart with a margin, `tags` being value, lower and upper bound."""
    return custom_scalars({category: {title: ["Margin", list(tags)]}})
