"""The commands and programs of the README, and of pages it hands on to, are run as printed; only the port is another one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from processes import ROOT, SCRIPTS, environment, get

PAGES = [(ROOT / page).read_text() for page in ("README.md", "docs/http.md")]
LAPIZ = (ROOT / "docs" / "compat" / "lapiz.md").read_text()
PRINTED = "127.0.0.1:6007"
# Commands that set things up: make's are what continuous integration itself runs, the rest is run by test_example and test_up.
SET_UP = ("make ", "python3 -m venv ", ".venv/bin/", "docker compose up")


def blocks(language: str) -> list[str]:
    return [block for page in PAGES for block in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)]


def run(command: list[str], bridge: str, folder: Path) -> str:
    path = f"{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    variables = environment(TBBRIDGE_URL=bridge, PATH=path)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=variables, cwd=folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_everything_printed_works(bridge: str, tmp_path: Path) -> None:
    place = bridge.removeprefix("http://")
    answers = []
    for block in blocks("bash"):
        lines = [line for line in block.splitlines() if line.strip()]
        if all(line.startswith(SET_UP) for line in lines):
            continue
        # --fail: an error answer fails the command; as printed, curl would show it to the reader.
        script = block.replace(PRINTED, place).replace("curl ", "curl -sS --fail ")
        answers.append(run(["bash", "-euo", "pipefail", "-c", script], bridge, tmp_path))
    assert len(answers) == 5, "three writes, the reads, and tbbridge send"
    for answer in blocks("json"):
        assert json.loads(answers[0]) == json.loads(answer)
    (theirs, ours) = re.findall(r"```python\n(.*?)```", LAPIZ, re.DOTALL)
    assert "from lapiz import" in theirs, "that one is run with lapiz's own package, in test_family_packages"
    programs = [*blocks("python"), ours]
    assert len(programs) == 4
    for program in programs:
        run([sys.executable, "-W", "error", "-c", program.replace(PRINTED, place)], bridge, tmp_path)
    assert len(list((tmp_path / "runs-local" / "exp1").glob("*tfevents*"))) == 1

    def values(run: str, tag: str) -> dict[int, object]:
        answer = get(f"{bridge}/api/v1/scalars", run=run, tag=tag)
        return dict(zip(answer["steps"], answer["values"], strict=True))

    hello = get(f"{bridge}/api/v1/scalars", run="hello", tag="loss")
    assert (hello["steps"], hello["values"]) == ([1, 1], [0.5, 0.5]), "both pages send it"
    assert list(values("experiment/lr=0.1", "loss/train")) == [1, 2, 3]
    assert values("experiment/lr=0.1", "loss/train")[3] == "NaN"
    assert len(values("first", "loss")) == len(values("sine,lr=1e-3", "wave")) == 100
    assert list(values("exp1", "loss")) == list(range(10))
    assert list(values("run0,lr=1e-3,lambda=1e-1", "accuracy")) == [1, 36]
    assert values("nightly", "loss") == {7: 0.25}


def test_make_targets_that_the_pages_name_exist() -> None:
    named = {
        name
        for page in ("README.md", "CONTRIBUTING.md")
        for name in re.findall(r"(?:^|`)make (\w+)", (ROOT / page).read_text(), re.MULTILINE)
    }
    assert {"up", "test", "lint", "bench", "proto"} <= named
    for name in named:
        subprocess.run(["make", "--dry-run", name], cwd=ROOT, check=True, capture_output=True)
