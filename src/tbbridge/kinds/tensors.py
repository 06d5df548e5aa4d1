"""Any tensor, and values that were made elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.foreign import checks
from tbbridge.kinds.shared import Shared, check_size, check_summary
from tbbridge.names import TagName, utf8_length

# What a tensor may hold, and the bytes of one element (text: none that are fixed).
DTYPE_BYTES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "float32": 4,
        "float64": 8,
        "float16": 2,
        "bfloat16": 2,
        "int8": 1,
        "int16": 2,
        "int32": 4,
        "int64": 8,
        "uint8": 1,
        "uint16": 2,
        "uint32": 4,
        "uint64": 8,
        "bool": 1,
        "complex64": 8,
        "complex128": 16,
        "string": 0,
    }
)


@dataclass(frozen=True, slots=True)
class Tensor(Shared):
    """Any array, for the page of `plugin_name` (with its `plugin_content`) or, without, for programs that read event files.

    `dtype` is one of DTYPE_BYTES; `content` holds the elements little-endian, row by row; if dtype is string, `strings` does.
    """

    tag: TagName
    dtype: str
    shape: tuple[int, ...]
    content: bytes = b""
    strings: tuple[bytes, ...] = ()
    plugin_name: str = ""
    plugin_content: bytes = b""

    def __post_init__(self) -> None:
        check_summary(self)
        if self.dtype not in DTYPE_BYTES:
            raise InvalidItem("tensor", f"dtype is {self.dtype!a:.60}; send one of {', '.join(DTYPE_BYTES)}", "dtype")
        checks.check_shape(self.shape, "shape")
        elements = math.prod(self.shape)
        if self.dtype == "string":
            came, wanted, where = len(self.strings), elements, "strings"
            other = len(self.content)
        else:
            came, wanted, where = len(self.content), elements * DTYPE_BYTES[self.dtype], "content"
            other = len(self.strings)
        if came != wanted or other:
            unit = "strings and no content" if where == "strings" else "bytes of content and no strings"
            message = f"a {self.dtype} tensor of the shape {list(self.shape)} has {wanted} {unit}, this one {came}"
            raise InvalidItem("length", message + (" and both" if other else ""), where)
        check_size(self.size_bytes, where)
        if utf8_length(self.plugin_name, "plugin_name", "plugin_name") > limits.TAG_MAX_BYTES:
            message = f"plugin_name has over {limits.TAG_MAX_BYTES} bytes; it is a short word such as text"
            raise InvalidItem("too-large", message, "plugin_name")
        checks.check_tensor(self.plugin_name, self.plugin_content, self.dtype, self.shape, self.strings)

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.content) + sum(len(text) + 50 for text in self.strings) + len(self.plugin_content)


@dataclass(frozen=True, slots=True)
class RawValue(Shared):
    """A serialized Summary.Value of TensorBoard's, forwarded as it is.

    Its tag is inside, and so is the metadata that the first value of a tag needs; a display_name or description given here
    replaces those inside.
    """

    value: bytes
    tag: TagName = field(init=False)
    plugin_name: str = field(init=False)

    def __post_init__(self) -> None:
        check_size(len(self.value), "value")
        found = checks.check_value(self.value, "value")
        object.__setattr__(self, "tag", TagName(found.tag))
        object.__setattr__(self, "plugin_name", found.plugin_name)
        check_summary(self)

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.value)
