"""The rooms of the house import downwards only. Read from the source, so a late import counts as much as one at the top."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tbbridge"

BASE = {"arrays", "model", "kinds", "names", "groups", "foreign", "media", "errors", "limits"}
# v1 is the generated code of the public protobuf message: it imports nothing.
MAY_IMPORT = {
    "limits": set(),
    "errors": set(),
    "arrays": set(),
    "names": {"arrays", "errors", "limits"},
    "media": {"errors", "limits"},
    # foreign holds generated code too: the messages of others that bytes are checked with.
    "foreign": {"errors", "limits"},
    "kinds": {"arrays", "names", "media", "foreign", "errors", "limits"},
    "model": {"arrays", "kinds", "names", "errors", "limits"},
    "groups": {"names", "errors", "limits"},
    "disk": set(),
    "measures": set(),
    "layout": {"names"},
    "v1": set(),
    "events": BASE,
    "wire": BASE | {"v1", "convert"},
    # The form of log files: what pipeline writes, store reads and a terminal shows.
    "logs": BASE,
    "pipeline": BASE | {"disk", "measures", "layout", "events", "wire", "logs"},
    "store": BASE | {"disk", "layout", "events", "wire", "logs"},
    "server": BASE | {"measures", "layout", "events", "wire", "pipeline", "store", "logs"},
    # What users hold becomes kinds, for the clients and the summary writer.
    "convert": BASE | {"events"},
    "client": BASE | {"measures", "events", "wire", "v1", "convert", "logs"},
    # It writes local files itself.
    "summary_writer": BASE | {"disk", "events", "convert", "client"},
    # Old clients by their own names, over ours.
    "compat": BASE | {"convert", "client", "summary_writer", "logs"},
    "commands": BASE | {"layout", "events", "wire", "pipeline", "server", "client", "logs"},
    "cli": BASE | {"commands", "server", "client"},
    "__init__": BASE | {"client", "summary_writer"},
}
# One library, one place: (module, the files that may import it).
ONLY_IN = {
    "httpx": {"client/transport.py"},
    "httpcore": {"client/transport.py"},
    "fastapi": {"server"},
    "starlette": {"server"},
    "uvicorn": {"server"},
    "pydantic": {"server", "wire"},
}
# A pure room makes bytes and arrays of bytes and arrays: no files, no clock, no event loop, no environment.
PURE = {"measures", "events", "logs", "wire", "model", "groups", "kinds", "names", "foreign", "media", "limits", "errors"}
IMPURE = {"asyncio", "os", "pathlib", "time", "random", "socket", "threading", "tempfile", "datetime", "subprocess"}


def imports(path: Path) -> set[str]:
    """Every module that the file imports, `from a import b` as a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import absolutely"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


FILES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def room_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for name in imports(SOURCE / path):
        head, _, rest = name.partition(".")
        if head == "tbbridge" and rest:
            imported = rest.partition(".")[0]
            assert imported == room or imported in MAY_IMPORT[room], f"{path} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=str)
def test_libraries_stay_in_their_room(path: Path) -> None:
    for name in imports(SOURCE / path):
        allowed = ONLY_IN.get(name.partition(".")[0])
        assert allowed is None or {room_of(path), path.as_posix()} & allowed, f"{path} imports {name}"


@pytest.mark.parametrize("path", [path for path in FILES if room_of(path) in PURE], ids=str)
def test_pure_rooms_touch_nothing_outside(path: Path) -> None:
    assert {name.partition(".")[0] for name in imports(SOURCE / path)} & IMPURE == set()


def test_every_room_is_in_the_table() -> None:
    assert {room_of(path) for path in FILES} == set(MAY_IMPORT)
