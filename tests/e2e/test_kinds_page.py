"""Everything that docs/kinds.md prints is sent as printed, and TensorBoard shows it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from processes import ROOT, environment, get, post, tensorboard, until

import tbbridge

PAGE = (ROOT / "docs" / "kinds.md").read_text()
PRINTED = "127.0.0.1:6007"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_every_page_that_it_names_has_what_it_prints(bridge: str, logdir: Path) -> None:
    summaries = [json.loads(block) for block in blocks("json")]
    answer = post(f"{bridge}/api/v1/write", {"runs": [{"run": "json", "summaries": summaries}]})
    assert answer == {"accepted": 8, "duplicate": False, "rejected": [], "warnings": []}
    (program,) = blocks("python")
    command = [sys.executable, "-W", "error", "-c", program.replace(PRINTED, bridge.removeprefix("http://"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    with tensorboard(logdir, "true") as viewer:

        def shown() -> bool:
            tags = {page: viewer.ask(f"plugin/{page}/tags") for page in ("images", "audio", "pr_curves", "mesh")}
            return all({"json", "kinds"} <= runs.keys() for runs in tags.values())

        until(shown, "both runs on each page")
        until(lambda: sorted(viewer.ask("plugin/projector/runs")) == ["json", "kinds"], "both runs in the Projector")
        assert viewer.ask("plugin/custom_scalars/layout")["category"][0]["title"] == "losses"


@pytest.mark.parametrize("logger", [tbbridge.Run, tbbridge.SummaryWriter])
def test_every_method_that_it_names_exists(logger: type) -> None:
    named = set(re.findall(r"`(?:Run\.)?(add_\w+)`", PAGE))
    only_of_runs = set(re.findall(r"`Run\.(add_\w+)`", PAGE))
    assert len(named) > 18
    expected = named if logger is tbbridge.Run else named - only_of_runs
    assert [name for name in sorted(expected) if not hasattr(logger, name)] == []


def test_every_kind_of_the_interface_is_on_it(bridge: str) -> None:
    kinds = get(f"{bridge}/openapi.json")["components"]["schemas"]["Summary"]["discriminator"]["mapping"]
    assert len(kinds) > 12
    assert [kind for kind in sorted(kinds) if f"`{kind}`" not in PAGE] == []
