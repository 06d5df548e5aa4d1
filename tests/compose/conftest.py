"""The images, built once; and projects that are gone when their test ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stack import NoEngine, Stack, compose_command

Starting = Callable[..., Stack]


@pytest.fixture(scope="session")
def command() -> list[str]:
    """How compose is called here, where both images are built from this checkout."""
    try:
        found = compose_command()
    except NoEngine as error:
        pytest.exit(f"the containers cannot be tested: {error}", returncode=1)
    Stack(found, "build", {}).compose("build")
    return found


def _projects(command: list[str]) -> Iterator[Starting]:
    made: list[Stack] = []

    def make(name: str, override: Path | None = None, **variables: str) -> Stack:
        made.append(Stack(command, name, variables, override))
        return made[-1]

    yield make
    for each in made:
        each.down()


@pytest.fixture
def stack(command: list[str], tmp_path: Path) -> Iterator[Starting]:
    """Makes projects, `stack(name, override, VARIABLE=value ...)`, that are gone when the test ends, before its folder is."""
    yield from _projects(command)


@pytest.fixture(scope="module")
def lasting_stack(command: list[str]) -> Iterator[Starting]:
    """The same for all tests of a module."""
    yield from _projects(command)
