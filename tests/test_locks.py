"""What the container images install is what pyproject.toml asks for; `make lock` mends it. The images: tests/compose."""

from __future__ import annotations

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from processes import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
IMAGE = {"python_version": "3.11", "python_full_version": "3.11.9", "sys_platform": "linux"}
ASKED = {
    "bridge": [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["server"]],
    "tensorboard": [text for text in PROJECT["project"]["optional-dependencies"]["tensorboard"] if "tbbridge" not in text],
    "build": PROJECT["build-system"]["requires"],
}


@pytest.mark.parametrize("lock", ASKED)
def test_a_lock_has_all_that_is_asked_for_in_a_version_that_will_do(lock: str) -> None:
    text = (ROOT / "docker" / f"{lock}.lock").read_text()
    pinned = dict(re.findall(r"^([a-z0-9._-]+)==(\S+) \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE))
    assert len(pinned) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)), "each pin has a hash"
    for asked in map(Requirement, ASKED[lock]):
        if asked.marker is None or asked.marker.evaluate(IMAGE):
            assert asked.specifier.contains(pinned[canonicalize_name(asked.name)]), f"{asked}: run `make lock`"
