"""The OpenAPI document as the file that is committed; run by `make openapi`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings

DOCS = Path(__file__).parents[2] / "docs"
COMMITTED = DOCS / "openapi.json"
RELEASED = DOCS / "openapi-released.json"


def document() -> dict[str, Any]:
    """What the app says now."""
    made: dict[str, Any] = json.loads(json.dumps(build_app(ServerSettings()).openapi()))
    return made


if __name__ == "__main__":
    COMMITTED.write_text(json.dumps(document(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
