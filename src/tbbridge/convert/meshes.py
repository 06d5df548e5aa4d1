"""Points and triangles in space, for TensorBoard's Mesh page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbbridge.convert.arrays import as_float32, as_numbers, described, in_range
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Mesh


def mesh(tag: str, vertices: object, colors: object = None, faces: object = None, config: object = None) -> Mesh:
    """A point cloud, or with `faces` a mesh: vertices [B, N, 3] of x, y, z; one sample alone may be [N, 3].

    `colors` has the shape of the vertices: integers 0 to 255, or floats, which are 0 to 1 unless one is greater. `faces` are
    [B, M, 3] whole numbers, positions in `vertices`. `config` is a dictionary of THREE.js classes, or its JSON.
    """
    name = checked_tag(tag)
    points = as_float32(_triples(vertices, f"vertices of tag {tag!a}"))
    return Mesh(name, points, _colors(colors, tag), _faces(faces, tag), _config(config, tag))


def _triples(values: object, what: str) -> NDArray[Any]:
    array = as_numbers(values, what)
    if array.ndim == 2:
        array = array[np.newaxis]
    if array.ndim != 3 or array.shape[2] != 3 or 0 in array.shape:
        message = f"{what} have shape {array.shape}; give [samples, how many, 3] or [how many, 3], not empty"
        raise InvalidItem("shape", message, what.partition(" ")[0])
    return array


def _colors(colors: object, tag: str) -> NDArray[np.uint8] | None:
    if colors is None:
        return None
    what = f"colors of tag {tag!a}"
    array = _triples(colors, what)
    if array.dtype.kind == "f":
        remedy = "give numbers from 0 to 255, or floats from 0 to 1"
        wide = array.astype(np.float64)
        high = 1.0 if wide.max() <= 1 else 255.0
        return np.rint(in_range(wide, 0.0, high, what, remedy, slack=0) * (255.0 / high)).astype(np.uint8)
    if array.min() < 0 or array.max() > 255:
        message = f"{what} go from {array.min()} to {array.max()}; give numbers from 0 to 255"
        raise InvalidItem("range", message, "colors")
    return array.astype(np.uint8)


def _faces(faces: object, tag: str) -> NDArray[np.int32] | None:
    if faces is None:
        return None
    what = f"faces of tag {tag!a}"
    array = _triples(faces, what)
    whole = array.astype(np.int32) if np.isfinite(array).all() and abs(array).max() < 2**31 else None
    if whole is None or (whole != array).any():
        raise InvalidItem("type", f"{what} are no whole numbers; give positions in vertices, counted from 0", "faces")
    return whole


def _config(config: object, tag: str) -> str:
    if config is None:
        return "{}"
    if isinstance(config, str):
        return config
    if not isinstance(config, Mapping):
        message = f"the config of tag {tag!a} is {described(config)}; give a dictionary of THREE.js classes"
        raise InvalidItem("config", message, "config")
    try:
        return json.dumps(dict(config), sort_keys=True, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        message = (
            f"the config of tag {tag!a} cannot be written as JSON ({error}); use plain numbers, texts, lists and dictionaries"
        )
        raise InvalidItem("config", message, "config") from None
