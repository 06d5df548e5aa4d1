"""Each peer in an environment of its own below .venv-peers/, made once and used again; one that cannot be had says why.

Packages come from the registries that pip and npm are set to. The newest release is taken, and its version is in the result.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.tools import without_places

ROOT = Path(__file__).parents[2] / ".venv-peers"
INSTALL_S = 900.0


class Missing(Exception):
    """A peer that cannot be measured here; the message says why."""


@dataclass(frozen=True, slots=True)
class Peer:
    """What to install for a tool."""

    environment: str  # a folder's name
    packages: tuple[str, ...]
    node: str = ""  # the package that brings a server for Node.js, whose own dependencies npm installs
    tools: tuple[str, ...] = ()  # by the names that the driver knows


PEERS = (
    Peer("mlflow", ("mlflow",), tools=("mlflow", "mlflow, async")),
    Peer("trackio", ("trackio",), tools=("trackio",)),
    Peer("wandb", ("wandb",), tools=("wandb, offline",)),
    Peer("aim", ("aim",), tools=("aim",)),
    # Its client is of Python 2's time and wants pkg_resources, which setuptools has dropped since.
    Peer("pastalog", ("pastalog", "requests", "setuptools<80"), "pastalog", ("pastalog",)),
    Peer(
        "tensorflow", ("tensorflow-cpu", "tensorboard"), tools=("TensorFlow", "TensorFlow, records")
    ),  # tf.summary asks for TensorBoard
)


def installed(peer: Peer) -> Path:
    """Its Python; installs it if it is not there. Raises `Missing`."""
    folder = ROOT / peer.environment
    python, stamp = folder / "bin" / "python", folder / ".installed"
    wanted = " ".join(peer.packages)
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"installing {wanted} into .venv-peers/{peer.environment} ...", file=sys.stderr)
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(folder)])
        _run([str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "numpy", *peer.packages])
        if peer.node:
            _install_node(python, peer.node)
        stamp.write_text(wanted)
    return python


def site_packages(python: Path) -> Path:
    """Where an environment's packages are."""
    source = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(subprocess.run([str(python), "-c", source], capture_output=True, text=True, check=True).stdout.strip())


def _install_node(python: Path, package: str) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise Missing("its server needs Node.js and npm, which are not installed")
    folder = site_packages(python) / package
    _run([npm, "install", "--omit=dev", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"], folder)


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, cwd=cwd)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"it could not be installed: {type(error).__name__}") from error
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if "error" in line.lower()] or ["no reason given"]
        raise Missing(f"it could not be installed: {without_places(said[0])}")
