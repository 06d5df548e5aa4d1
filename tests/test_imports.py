"""Imports point down only, one file knows httpx, and `import tbbridge` stays light. Late imports count like all others."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "tbbridge"
BOTTOM = {"limits", "errors", "model", "v1"}  # v1 is generated: the public message
# What each room may import besides itself. Whoever is not named here may not be imported by anybody.
ROOMS: dict[str, set[str]] = {
    "limits": set(),
    "errors": {"limits"},
    "model": {"limits", "errors"},
    "v1": set(),
    "wire": BOTTOM,
    "events": BOTTOM,
    "pipeline": BOTTOM | {"wire", "events"},
    "store": BOTTOM | {"wire", "events"},
    "server": BOTTOM | {"wire", "events", "pipeline", "store"},
    "client": BOTTOM | {"wire", "events"},
    "commands": BOTTOM | {"wire", "events", "server", "client"},
    "cli": {"commands", "errors"},
    "__init__": BOTTOM | {"client"},
}


def imported_by(path: Path) -> Iterator[str]:
    """Full names of the modules that a file imports, wherever in the file it does."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


FILES = sorted(PACKAGE.rglob("*.py"))


def test_every_room_is_known() -> None:
    assert {room_of(path) for path in FILES} == set(ROOMS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_down_only(path: Path) -> None:
    room = room_of(path)
    ours = {name.split(".")[1] for name in imported_by(path) if name.startswith("tbbridge.")}
    assert ours <= ROOMS[room] | {room}


@pytest.mark.parametrize(
    ("library", "users"),
    [
        ("httpx", {"client/transport.py"}),
        ("uvicorn", {"server/serve.py"}),
        ("asyncio", {"pipeline", "server", "client", "commands/serve.py"}),
        ("pydantic", {"wire/json_v1.py", "wire/json_v1_schema.py", "server"}),
        ("fastapi", {"server"}),
        ("tensorboard", {"commands/tensorboard_child.py"}),
    ],
)
def test_a_library_is_known_only_where_it_belongs(library: str, users: set[str]) -> None:
    found = {
        path.relative_to(PACKAGE).as_posix() for path in FILES if any(n.split(".")[0] == library for n in imported_by(path))
    }
    strangers = {name for name in found if name not in users and name.split("/")[0] not in users}
    assert found
    assert strangers == set()


SERVER_ONLY = {"fastapi", "pydantic", "uvicorn", "starlette", "prometheus_client", "tensorboard"}


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [("import tbbridge", SERVER_ONLY | {"httpx", "rich"}), ("from tbbridge import Client, AsyncClient", SERVER_ONLY)],
)
def test_importing_loads_nothing_heavy(statement: str, unwanted: set[str]) -> None:
    code = f"import sys; {statement}; print(*sorted({{name.split('.')[0] for name in sys.modules}}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "tbbridge" in loaded
    assert set(loaded) & unwanted == set()
