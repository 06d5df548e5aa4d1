"""The public surface: these names, these signatures, and nothing heavy behind `import tbbridge`."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tbbridge
from tbbridge import client

SURFACE = [
    "AsyncClient",
    "Buckets",
    "Client",
    "ClientStats",
    "GlobalSummaryWriter",
    "InvalidItem",
    "PointsLost",
    "Rejected",
    "Run",
    "SummaryWriter",
    "TBBridgeError",
    "Unavailable",
    "WriteFailed",
    "__version__",
]
RUN = {
    "aclose": "()",
    "add_histogram": "(tag='weights', weights=None, histo=None, step=None, wall_time=None)",
    "add_scalar": "(tag='accuracy', value=None, step=None, wall_time=None)",
    "add_scalars": "(values, step=None, wall_time=None)",
    "add_text": "(tag, text, step=None, wall_time=None)",
    "close": "()",
    "save": "()",
    "send": "()",
    "step": "(number=None)",
    "wall_time": "(seconds)",
}
CLIENT = {"close": "(timeout_s=10.0)", "flush": "(timeout_s=60.0)", "run": "(name, step=0)"}
# Called by the other parts of the client, not by users.
INTERNAL = {"end", "forget", "hand_over", "wake"}


def methods(kind: type) -> dict[str, str]:
    found = {}
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") and name not in INTERNAL:
            signature = inspect.signature(member)
            parameters = [p.replace(annotation=inspect.Parameter.empty) for p in list(signature.parameters.values())[1:]]
            found[name] = str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    return found


def test_the_names() -> None:
    assert sorted(tbbridge.__all__) == SURFACE
    assert set(SURFACE) <= set(dir(tbbridge))
    for name in SURFACE:
        assert getattr(tbbridge, name) is getattr(tbbridge, name)
    for name in client.__all__:
        assert getattr(client, name) is getattr(tbbridge, name)


@pytest.mark.parametrize("module", [tbbridge, client])
def test_other_names_are_told_as_usual(module: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Klient'"):
        _ = module.Klient  # type: ignore[attr-defined]


def test_the_log_calls() -> None:
    assert methods(tbbridge.Run) == RUN


@pytest.mark.parametrize("kind", [tbbridge.Client, tbbridge.AsyncClient])
def test_both_clients_have_the_same_calls(kind: type) -> None:
    assert methods(kind) == CLIENT


def test_both_clients_take_the_same_arguments() -> None:
    assert inspect.signature(tbbridge.Client) == inspect.signature(tbbridge.AsyncClient)
    assert list(inspect.signature(tbbridge.Client).parameters)[:3] == ["address", "port", "hostname"]


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert tbbridge.__version__ == project["version"]


# What a program loads for each step. A training job should not pay for a server, nor a script that only reads an address.
WEIGHT = {
    "import tbbridge": ("tbbridge.", "numpy", "httpx", "google", "fastapi", "pydantic", "uvicorn", "starlette"),
    "import tbbridge.client.address": ("numpy", "httpx", "google", "fastapi", "pydantic", "uvicorn", "starlette"),
    "import tbbridge; tbbridge.Client().run('r').add_scalar('a', 1); tbbridge.AsyncClient()": (
        "fastapi",
        "pydantic",
        "uvicorn",
        "starlette",
        "tensorboard",
        "tbbridge.server",
        "tbbridge.pipeline",
        "tbbridge.store",
    ),
}


@pytest.mark.parametrize(("program", "unwanted"), WEIGHT.items(), ids=WEIGHT.keys())
def test_importing_is_light(program: str, unwanted: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys, os; {program}; print(*sys.modules); sys.stdout.flush(); os._exit(0)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = ended.stdout.split()
    assert "tbbridge" in loaded
    assert [name for name in loaded if name.startswith(unwanted)] == []
