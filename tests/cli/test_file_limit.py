"""The limit of open files goes up to the hard one, in a process of its own so that the tests keep theirs."""

from __future__ import annotations

import subprocess
import sys

import pytest

RAISE = """
import resource
from tbbridge.commands.file_limit import raise_file_limit
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, 512))
raise_file_limit()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize("soft", [64, 512])
def test_the_soft_limit_becomes_the_hard_one(soft: int) -> None:
    done = subprocess.run([sys.executable, "-c", RAISE.format(soft=soft)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["512", "512"]
