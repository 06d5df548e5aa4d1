"""A disk that is really full under a real process: refused with 507 or 503, nothing acknowledged lost, and it recovers."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import TBBRIDGE, Process, address_in, get, post, serve, until


def send_until_refused(url: str) -> tuple[int, urllib.error.HTTPError]:
    """Post columns of a thousand points until the first refusal; returns the points acknowledged, and the refusal."""
    acknowledged = 0
    while acknowledged < 1_000_000:
        steps = list(range(acknowledged, acknowledged + 1000))
        columns = {"tag": "position", "steps": steps, "values": steps}
        try:
            post(
                url + "/api/v1/write",
                {"writer": "w", "seq": len(steps) + acknowledged, "runs": [{"run": "a", "scalars": [columns]}]},
            )
        except urllib.error.HTTPError as error:
            with error:
                return acknowledged, error
        acknowledged += 1000
    raise AssertionError("the disk never got full")


def is_ready(url: str) -> bool:
    try:
        get(url + "/readyz")
    except urllib.error.HTTPError as error:
        with error:
            return error.code != 503
    return True


def check_refusal_and_recovery(url: str, statuses: set[int], make_room: object) -> None:
    acknowledged, refusal = send_until_refused(url)
    assert acknowledged > 0
    assert refusal.code in statuses
    assert int(refusal.headers["Retry-After"]) >= 1
    until(lambda: not is_ready(url), "readyz says no")
    make_room()  # type: ignore[operator]
    until(lambda: is_ready(url), "it recovers by itself")
    for position in range(acknowledged, acknowledged + 5):  # the writer's retry, and on
        body = {"runs": [{"run": "a", "scalars": [{"tag": "position", "steps": [position], "values": [position]}]}]}
        assert post(url + "/api/v1/write", body)["accepted"] == 1
    series = get(url + "/api/v1/scalars", run="a", tag="position")
    assert series["steps"] == list(range(acknowledged + 5))
    assert series["values"] == series["steps"]


@contextlib.contextmanager
def small_file_system(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        # Only root may mount; the test below fills a limit that needs no rights, so the fault itself is tested for everybody.
        pytest.skip(f"mounting a small file system needs root: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_file_system(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    with small_file_system(folder, "6m"):
        ballast = folder / "ballast"
        ballast.write_bytes(bytes(3_000_000))
        with serve(folder / "runs", "--segment-bytes", "1000000") as server:
            check_refusal_and_recovery(address_in(server), {507}, ballast.unlink)
            assert server.end() == 0, server.output


def test_a_limit_on_the_size_of_files(tmp_path: Path) -> None:
    # Needs no rights: the kernel refuses to let a file grow, and the process's owner may lift the limit while it runs.
    soft = 300_000
    command = f'ulimit -S -f {soft // 1024}; exec "$0" "$@"'
    flags = ["serve", "--logdir", str(tmp_path / "runs"), "--port", "0", "--segment-bytes", "100000"]
    with Process(["bash", "-c", command, TBBRIDGE, *flags]) as server:
        url = address_in(server)
        _, hard = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)

        def lift() -> None:
            resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

        check_refusal_and_recovery(url, {503}, lift)
        assert server.end() == 0, server.output
    assert not os.path.exists(tmp_path / "core")
