"""lapiz's body (version 0.5): the summaries of one step of one run, all of them taken or none.

lapiz's server took scalars and histograms; images and audio, which its README promised, are taken here as nested lists or as
base64 of a file. Pure; the routes are in server/routes/lapiz.py.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import numpy as np

from tbbridge import limits
from tbbridge.convert import histograms, pictures, sounds
from tbbridge.convert.arrays import as_numbers
from tbbridge.errors import InvalidItem
from tbbridge.model import Audio, Batch, Float64s, Histogram, Image, RunBatch, RunName, Summary
from tbbridge.wire import family
from tbbridge.wire.collect import ItemErrors, ScalarRow

VERSION: Final = "0.5.0"  # its client works with no other major and minor

_HINT: Final = 'send {"wall_time": seconds, "step": number, "summaries": [{"tag": ..., "type": "scalar", "value": ...}]}'
_FIELDS: Final = ("wall_time", "step", "summaries")
_DEFAULT_RATE_HZ: Final = 44100


def run_of(name: str) -> RunName:
    """The name of a run, from the path."""
    return family.run(name, "the run's name")


def decode_summaries(run: RunName, body: bytes) -> Batch:
    """All summaries of one step. Raises `InvalidBatch` with each that is wrong, `MalformedBody`, `InvalidItem`, `TooLarge`."""
    came = family.parse(body, _HINT)
    if not isinstance(came, dict):
        raise InvalidItem("type", f"the body is {family.shown(came)}; {_HINT}", "body")
    unknown = [name for name in came if name not in _FIELDS]
    if unknown:
        raise InvalidItem("unknown-field", f"{family.shown(unknown[0])} is no field here; {_HINT}", "body")
    items = came.get("summaries")
    if not isinstance(items, list):
        raise InvalidItem("type", f"summaries is {family.shown(items)}; send a list", "summaries")
    wall_time = None if came.get("wall_time") is None else family.finite(came["wall_time"], "wall_time")
    step = None if came.get("step") is None else family.whole(came["step"], "step")
    errors = ItemErrors(partial=False)
    rows: list[ScalarRow] = []
    summaries: list[Summary] = []
    for position, item in enumerate(items):
        path = f"summaries[{position}]"
        made = errors.attempt(path, _summary, item, path, step, wall_time)
        if isinstance(made, ScalarRow):
            rows.append(made)
        elif made is not None:
            summaries.append(made)
    batch = RunBatch(run, tuple(errors.columns_of(rows)), tuple(summaries))
    return errors.collect(() if batch.is_empty else (batch,), "", 0).batch


def _summary(item: object, path: str, step: int | None, wall_time: float | None) -> ScalarRow | Summary:
    if not isinstance(item, dict):
        raise InvalidItem("type", f"a summary is an object, this is {family.shown(item)}; send one with tag and type")
    kind = item.get("type")
    if not isinstance(kind, str) or kind not in _KINDS:
        came = f"type is {family.shown(kind)}" if "type" in item else "type is missing"
        raise InvalidItem("kind", f"{came}; send one of {', '.join(_KINDS)}", "type")
    fields, make = _KINDS[kind]
    unknown = [name for name in item if name not in ("tag", "type", *fields)]
    if unknown:
        known = ", ".join(("tag", "type", *fields))
        raise InvalidItem("unknown-field", f"{family.shown(unknown[0])} is no field of this type; it has {known}", "type")
    tag = family.tag(family.text(item.get("tag"), "tag"), "tag")
    if make is None:
        return ScalarRow(path, tag, family.number(item.get("value"), "value"), step, wall_time)
    return replace(make(tag, item), step=step, wall_time=wall_time)


def _histogram(tag: str, item: Mapping[str, object]) -> Histogram:
    weights, histo = item.get("weights"), item.get("histo")
    if (weights is None) == (histo is None):
        came = "both came" if weights is not None else "neither came"
        raise InvalidItem("missing", f"weights or histo is wanted and {came}; send exactly one of them", "weights")
    if histo is not None:
        if not isinstance(histo, dict):
            message = f"histo is {family.shown(histo)}; send a HistogramProto dictionary"
            raise InvalidItem("histogram", message, "histo")
        ready: dict[str, float | list[float]] = {}
        for name, came in histo.items():
            if name in ("bucket_limit", "bucket"):
                ready[name] = family.numbers(came, name, limits.HISTOGRAM_MAX_BUCKETS)
            elif name in ("min", "max", "num", "sum", "sum_squares"):
                ready[name] = family.number(came, name)
            else:
                raise InvalidItem("unknown-field", f"histo has {family.shown(name)}, which is no field of one", "histo")
        return Histogram(family.tag(tag, "tag"), buckets=histograms.as_buckets(ready, tag))
    return Histogram(family.tag(tag, "tag"), values=_array(weights, "weights").astype(np.float64).ravel())


def _image(tag: str, item: Mapping[str, object]) -> Image:
    came = _one_of(item, "image", "img")
    if isinstance(came, str):
        return pictures.image(tag, _bytes(came, "image"))
    array = _array(came, "image")
    # JSON tells 1 from 1.0, but a client's arrays may be of either; whole numbers that go beyond 1 can only be bytes.
    if array.size and array.min() >= 0 and 1 < array.max() <= 255 and (array == np.floor(array)).all():
        return pictures.image(tag, array.astype(np.uint8))
    return pictures.image(tag, array.astype(np.float64))


def _audio(tag: str, item: Mapping[str, object]) -> Audio:
    came = _one_of(item, "audio", "waveform")
    if isinstance(came, str):
        return sounds.audio(tag, _bytes(came, "audio"))
    rate = family.number(item.get("sample_rate", _DEFAULT_RATE_HZ), "sample_rate")
    return sounds.audio(tag, _array(came, "audio").astype(np.float64), rate)


# Of each type: the fields it may have besides tag and type, and what makes it (None: a scalar, which becomes part of a column).
_KINDS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str, Mapping[str, object]], Histogram | Image | Audio] | None]]] = {
    "scalar": (("value",), None),
    "histogram": (("weights", "histo"), _histogram),
    "image": (("image", "img"), _image),
    "audio": (("audio", "waveform", "sample_rate"), _audio),
}


def _one_of(item: Mapping[str, object], name: str, other: str) -> object:
    given = [item[field] for field in (name, other) if item.get(field) is not None]
    if len(given) != 1:
        raise InvalidItem("missing", f"{name} is wanted once, as nested lists or as base64 of a file; send it", name)
    return given[0]


def _bytes(came: str, where: str) -> bytes:
    try:
        return b64decode(came, validate=True)
    except (binascii.Error, ValueError) as error:
        message = f"the text is not base64 ({error}); encode the file's bytes with the standard alphabet and its padding"
        raise InvalidItem("base64", message, where) from None


def _array(came: object, where: str) -> Float64s:
    """Nested lists of numbers as float64; numpy sees nothing but numbers."""
    if not isinstance(came, list):
        raise InvalidItem("type", f"{where} is {family.shown(came)}; send a list of numbers", where)
    level: list[object] = came
    depth = 1
    while level and all(type(one) is list for one in level):
        level = [inner for one in level if isinstance(one, list) for inner in one]
        depth += 1
    strange = next((one for one in level if type(one) not in (int, float)), None)
    if strange is not None or any(one is None for one in level):
        message = f"{where} holds {family.shown(strange)} among its numbers; send numbers in lists of equal length"
        raise InvalidItem("values", message, where)
    try:
        return as_numbers(came, where).astype(np.float64)
    except InvalidItem as error:
        raise InvalidItem(error.item_code, error.message, where) from None
