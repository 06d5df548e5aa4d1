"""docs/deploy.md: its units pass systemd's own check, and the job that brings its own bridge runs as printed.

What it says of containers is in tests/compose.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from processes import ROOT, SCRIPTS, environment, get, serve

PAGE = (ROOT / "docs" / "deploy.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_units_pass_systemds_check(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("there is no systemd-analyze here")
    units = []
    for name, text in zip(("tbbridge", "tbbridge-tensorboard"), blocks("ini"), strict=True):
        units.append(tmp_path / f"{name}.service")
        units[-1].write_text(text.replace("/opt/tbbridge/bin", str(SCRIPTS)).replace("User=tbbridge", "User=root"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_commands_are_commands() -> None:
    for block in blocks("bash"):
        done = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), block


SRUN = """#!/bin/bash
# Two workers of a job, as srun would start them.
for rank in 0 1; do SLURM_PROCID=$rank "$@" & workers="$workers $!"; done
for worker in $workers; do wait $worker || exit 1; done
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """The script of the job that brings its own bridge, with the program that it runs and an srun."""
    (script,) = [block for block in blocks("bash") if "tbbridge serve --host" in block and "SBATCH" in block]
    (tmp_path / "job.sh").write_text(script)
    (tmp_path / "train.py").write_text(blocks("python")[0])
    (tmp_path / "srun").write_text(SRUN)
    (tmp_path / "srun").chmod(0o755)
    return tmp_path / "job.sh"


def run(job: Path) -> subprocess.CompletedProcess[str]:
    path = f"{job.parent}{os.pathsep}{SCRIPTS}{os.pathsep}{os.environ['PATH']}"
    variables = environment(PATH=path, SLURM_JOB_ID=str(os.getpid()), TBBRIDGE_SPOOL_DIR=str(job.parent / "spool"))
    return subprocess.run(
        ["bash", str(job)],
        cwd=job.parent,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def test_a_job_that_brings_its_own_bridge(job: Path) -> None:
    done = run(job)
    assert done.returncode == 0, done.stdout
    with serve(job.parent / "runs" / str(os.getpid())) as server:
        address = server.line(r"(http://[0-9.]+:\d+)")[1]
        assert {entry["run"] for entry in get(f"{address}/api/v1/runs")["runs"]} == {
            f"job-{os.getpid()}/rank-{rank}" for rank in (0, 1)
        }
        series = get(f"{address}/api/v1/scalars", run=f"job-{os.getpid()}/rank-1", tag="loss")
        assert series["steps"] == list(range(100))


def test_a_job_whose_bridge_cannot_start_says_why_and_ends(job: Path) -> None:
    folder = job.parent / "runs" / str(os.getpid())
    with serve(folder) as other:
        other.line("listens on")
        done = run(job)
    assert done.returncode == 1
    assert "is in use by another tbbridge" in done.stdout
