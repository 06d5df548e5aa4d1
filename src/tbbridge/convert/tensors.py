"""Any array, for a plugin of one's own or a program that reads event files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tbbridge.convert.arrays import as_numbers, described
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import DTYPE_BYTES, RunMetadata, Tensor


def tensor(tag: str, values: object, plugin_name: str = "", plugin_content: bytes = b"") -> Tensor:
    """An array in its own shape and type, complex numbers too; or text: one str or bytes, or lists of them of any depth.

    Types that numpy has no name for (bfloat16) are kept as float32.
    """
    name = checked_tag(tag)
    what = f"the tensor of tag {tag!a}"
    texts = _texts(values)
    if texts is not None:
        strings = tuple(_raw(text, what) for text in texts.ravel().tolist())
        return Tensor(name, "string", texts.shape, b"", strings, plugin_name, plugin_content)
    array = _numbers(values, what)
    dtype = array.dtype.name
    if dtype not in DTYPE_BYTES:
        message = f"{what} is of {dtype}; TensorBoard's files take {', '.join(DTYPE_BYTES)}: convert it with astype()"
        raise InvalidItem("type", message, "values")
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return Tensor(name, dtype, array.shape, little.tobytes(), (), plugin_name, plugin_content)


def run_metadata(tag: str, metadata: object) -> RunMetadata:
    """What a session run reported: a RunMetadata message of any library, or its bytes."""
    return RunMetadata(checked_tag(tag), message_bytes(metadata, f"the run metadata of tag {tag!a}", "RunMetadata"))


def message_bytes(message: object, what: str, kind: str) -> bytes:
    """A protobuf message of any library, or its bytes, as bytes."""
    if isinstance(message, bytes | bytearray | memoryview):
        return bytes(message)
    serialize = getattr(message, "SerializeToString", None)
    if not callable(serialize):
        raise InvalidItem("message", f"{what} is {described(message)}; give a {kind} message or its bytes", "value")
    return bytes(serialize())


def _texts(values: object) -> NDArray[np.object_] | None:
    if isinstance(values, str | bytes):
        one = np.empty((), object)
        one[()] = values
        return one
    if isinstance(values, np.ndarray):
        array = values
    elif isinstance(values, list | tuple) and _first(values) is not None:
        array = np.array(values, object)
    else:
        return None
    if array.dtype.kind in "USO" and array.size and all(isinstance(text, str | bytes) for text in array.ravel().tolist()):
        return array.astype(object)
    return None


def _first(values: object) -> str | bytes | None:
    while isinstance(values, list | tuple) and values:
        values = values[0]
    return values if isinstance(values, str | bytes) else None


def _raw(text: str | bytes, what: str) -> bytes:
    try:
        return text.encode() if isinstance(text, str) else text
    except UnicodeEncodeError as error:
        message = f"{what} holds a lone surrogate at character {error.start}; give valid Unicode"
        raise InvalidItem("not-utf8", message, "values") from None


def _numbers(values: object, what: str) -> NDArray[np.generic]:
    as_complex = isinstance(values, complex) or getattr(getattr(values, "dtype", None), "kind", "") == "c"
    return np.asarray(values) if as_complex else as_numbers(values, what)
