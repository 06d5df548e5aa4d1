"""Clients in other languages: really generated from docs/openapi.json, compiled, and run against a real bridge.

Each program says as JSON what the bridge answered; that is held here against what was sent, and what the bridge itself says.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from languages import LANGUAGES, Curl, run
from processes import Process, get

from tbbridge.wire import json_kinds_schema as kinds

SAMPLES = {
    "png": kinds.IMAGE_EXAMPLE["images"][0],
    "graph": kinds.GRAPH_EXAMPLE["graph_def"],
    "run_metadata": kinds.RUN_METADATA_EXAMPLE["run_metadata"],
    "raw": kinds.RAW_EXAMPLE["value"],
}
# As GET /api/v1/runs names them: a tensor that no page shows is `other`, the forwarded value is a scalar, embeddings are files.
KINDS = [
    "audio", "custom_scalars", "embedding", "graph", "histogram", "hparams", "image", "mesh", "other", "pr_curve",
    "run_metadata", "scalar", "text",
]  # fmt: skip
POINTS = 4 + 14 + 1


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("bridge")
    with Process([sys.executable, str(Path(__file__).parent / "bridge.py"), str(folder / "runs")]) as process:
        yield process.line(r"^(http://[0-9.]+:\d+)$")[1]


@pytest.fixture(scope="module", params=LANGUAGES)
def client(request: pytest.FixtureRequest) -> tuple[str, Curl]:
    """The language's name and its client, built."""
    language = LANGUAGES[request.param]()
    language.build()
    return request.param, language


def test_the_first_point_of_the_page_arrives(client: tuple[str, Curl], bridge: str) -> None:
    name, language = client
    said = run([*language.command("first_point"), bridge], language.folder)
    stored = get(f"{bridge}/api/v1/scalars", run=f"{name}/first", tag="loss")
    assert stored["values"][0] == pytest.approx(0.9)
    assert "0.89999" in said  # what it read back


def test_every_kind_is_sent_read_back_and_refused(client: tuple[str, Curl], bridge: str) -> None:
    name, language = client
    if name in ("curl", "cpp"):
        pytest.skip("nothing is generated for it: one written program, which the test above runs")
    report: dict[str, Any] = json.loads(run([*language.command("every_kind"), bridge, json.dumps(SAMPLES)], language.folder))
    assert report == {
        "accepted": POINTS,
        "duplicate": True,
        "values": [0.5, "NaN", "Infinity", "-Infinity"],
        "far_steps": [5_000_000_000],
        "text": "learning **well**",
        "hparams": {"lr": 0.001, "optimizer": "adam", "augment": True},
        "kinds": KINDS,
        "picture": SAMPLES["png"],
        "restored": f"{name}/copy",
        "refused": [422, "invalid-batch", "runs[0].scalars[0].steps"],
        "busy": [429, "queue-full", 1],
    }
    for run_name in (f"{name}/all", f"{name}/copy"):
        (described,) = get(f"{bridge}/api/v1/runs", run=run_name)["runs"]
        assert sorted({tag["kind"] for tag in described["tags"]}) == KINDS
    assert get(f"{bridge}/api/v1/scalars", run=f"{name}/all", tag="loss")["values"] == [0.5, "NaN", "Infinity", "-Infinity"]
    assert get(f"{bridge}/api/v1/scalars", run=f"busy/{name}", tag="loss")["count"] == 1
