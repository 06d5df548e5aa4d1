"""Run by test_family_packages.py, with a Python of its own: pycrayon and pastalog, as they were published, at work.

Prints what they read back as JSON. Arguments: host, port, a folder for archives.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.parse
from collections.abc import Callable
from typing import Any

sys.modules["urlparse"] = urllib.parse  # pastalog is of Python 2's time, and asks for no more of it than this

import pastalog  # noqa: E402
import pycrayon.crayon  # noqa: E402

READY = {"min": 0, "max": 100, "num": 3, "bucket_limit": [10, 50, 30], "bucket": [5, 45, 25]}


def refused(call: Callable[..., object], *arguments: object, **named: object) -> str:
    """What the client says when its call is refused."""
    try:
        call(*arguments, **named)
    except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user sees
        return f"{type(error).__name__}: {error}"
    return "taken"


def crayon(host: str, port: int) -> dict[str, Any]:
    client = pycrayon.crayon.CrayonClient(hostname=host, port=port)
    said: dict[str, Any] = {"names before": client.get_experiment_names()}
    foo = client.create_experiment("foo")
    foo.add_scalar_value("bar", 2, step=4, wall_time=0)
    foo.add_scalar_value("bar", 3.5, wall_time=1)
    client.open_experiment("foo").add_scalar_value("bar", -1, wall_time=2)
    foo.add_scalar_dict({"fizz": 3, "buzz": 5}, wall_time=0, step=5)
    foo.add_scalar_dict({"fizz": 6, "buzz": 10}, wall_time=1)
    foo.add_scalar_value("now", 1)
    for extra in ({}, {"sum": 75}, {"sum_squares": 5625}, {"sum": 75, "sum_squares": 2675}):
        foo.add_histogram_value("ready", {**READY, **extra}, wall_time=0)
    foo.add_histogram_value("built", [1, 2, 3, 4, 5], tobuild=True, wall_time=3, step=7)
    said["scalars"] = {name: foo.get_scalar_values(name) for name in foo.get_scalar_names()}
    said["histograms"] = {name: foo.get_histogram_values(name) for name in foo.get_histogram_names()}
    said["refused"] = {
        "empty name": refused(client.create_experiment, ""),
        "created again": refused(client.create_experiment, "foo"),
        "opened": refused(client.open_experiment, "nope"),
        "removed": refused(client.remove_experiment, "nope"),
        "text for a value": refused(foo.add_scalar_value, "bar", "lol"),
        "no series": refused(foo.add_scalar_value, "", 2),
        "read": refused(foo.get_scalar_values, "nope"),
        "no name read": refused(foo.get_scalar_values, ""),
        "histogram read": refused(foo.get_histogram_values, "nope"),
        "texts in a histogram": refused(foo.add_histogram_value, "h", ["lolz"], tobuild=True),
        "histogram without a name": refused(foo.add_histogram_value, "", READY),
        "restored over": refused(client.create_experiment, "foo", foo.to_zip("over")),
    }
    archive = foo.to_zip("backup")
    client.remove_experiment("foo")
    said["after removal"] = [client.get_experiment_names(), refused(foo.add_scalar_value, "bar", 1)]
    foo = client.create_experiment("foo", zip_file=archive)
    new = client.create_experiment("new", zip_file=archive)
    said["restored"] = [experiment.get_scalar_values("bar") for experiment in (foo, new)]
    new.add_scalar_value("bar", 7, wall_time=9, step=100)
    said["names"] = client.get_experiment_names()
    gone = client.create_experiment("gone")
    gone.add_scalar_value("bar", 1, wall_time=0)
    client.remove_experiment("gone")
    return said


def pasta(host: str, port: int) -> dict[str, Any]:
    log = pastalog.Log(f"http://{host}:{port}/", "model1")
    for step in range(10):
        log.post("validLoss", step / 4, step)
    return {"refused": refused(log.post, "", 1, 1)}


if __name__ == "__main__":
    os.chdir(sys.argv[3])
    where = sys.argv[1], int(sys.argv[2])
    json.dump({"crayon": crayon(*where), "pastalog": pasta(*where)}, sys.stdout)
