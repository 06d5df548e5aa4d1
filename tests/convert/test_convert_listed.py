"""The list at the top of the package is what the package has."""

from __future__ import annotations

import inspect
import re

from tbbridge import convert

LINE = re.compile(r"^    (\w+\(.*\)) -> (\w+)$", re.MULTILINE)


def signature(name: str) -> tuple[str, str]:
    found = inspect.signature(getattr(convert, name))
    bare = [parameter.replace(annotation=parameter.empty) for parameter in found.parameters.values()]
    return f"{name}{found.replace(parameters=bare, return_annotation=found.empty)}", found.return_annotation


def test_every_conversion_is_listed_with_its_arguments_and_its_kind() -> None:
    listed = dict(LINE.findall((convert.__doc__ or "").replace("'", '"')))
    actual = dict(signature(name) for name in convert.__all__)
    assert {call.replace("'", '"'): kind for call, kind in actual.items()} == listed
