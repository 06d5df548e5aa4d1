"""What a benchmark ran on: processor, cores, kernel, file system, Python, versions. No name of a host, a user or a folder."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
from pathlib import Path
from typing import Any

PACKAGES = (
    "tbbridge",
    "fastapi",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "numpy",
    "protobuf",
    "crc32c",
    "httpx",
    "tensorboard",
    "tensorboard-data-server",
    "tensorboardX",
    "torch",
)


def machine() -> dict[str, Any]:
    """The machine as it is now, its load included: other people's work is the largest source of noise."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "kernel": platform.release().split("-")[0],
        "file_system": file_system(Path(tempfile.gettempdir())),
        "load_before": round(os.getloadavg()[0], 2),
    }


def versions() -> dict[str, str]:
    """Of Python, of what is compared here, and the commit measured."""
    found = {"Python": platform.python_version(), "commit": _commit()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def file_system(folder: Path) -> str:
    """The kind that `folder` is on: a sync costs nothing on tmpfs, so its kind belongs to every result."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    place = folder.resolve()
    over = [fields for fields in mounts if place.is_relative_to(fields[1])]
    return max(over, key=lambda fields: len(fields[1]))[2] if over else "unknown"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    """The commit measured, with a plus behind it if the sources differ from it; empty outside of a clone."""
    root = Path(__file__).parents[1]
    asked = (
        ("git", "-C", str(root), "rev-parse", "--short=10", "HEAD"),
        ("git", "-C", str(root), "diff", "--quiet", "HEAD", "src"),
    )
    try:
        head, changed = (subprocess.run(command, capture_output=True, text=True) for command in asked)
    except OSError:
        return ""
    return "" if head.returncode else head.stdout.strip() + ("+" if changed.returncode else "")
