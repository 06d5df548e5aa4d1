"""A training loop and a tool that logs it, in the tool's own environment: run as a script, it knows only numpy and the tool.

Reads requests from standard input, one JSON object a line, and answers each with one. `python driver.py TOOL [ADDRESS]`. The
training is a network of two layers that learns by gradient descent, about half a millisecond a step; each tool logs by the
calls that its own documentation shows, with its defaults.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Values = dict[str, float]


class Place(NamedTuple):
    """Where a new run goes: what a tool needs of it."""

    address: str
    folder: str
    name: str


# A run: how to log the values of one step, and how to end it so that all of them are delivered.
Run = tuple[Callable[[int, Values], object], Callable[[], object]]


def tbbridge(place: Place) -> Run:
    client = importlib.import_module("tbbridge").Client(place.address)
    run = client.run(place.name)
    return lambda step, values: run.add_scalars(values, step), client.close


def tbbridge_by_tag(place: Place) -> Run:
    client = importlib.import_module("tbbridge").Client(place.address)
    run = client.run(place.name)

    def log(step: int, values: Values) -> None:
        for tag, value in values.items():
            run.add_scalar(tag, value, step)

    return log, client.close


def event_file(package: str) -> Callable[[Place], Run]:
    def opened(place: Place) -> Run:
        writer = importlib.import_module(package).SummaryWriter(os.path.join(place.folder, place.name))

        def log(step: int, values: Values) -> None:
            for tag, value in values.items():
                writer.add_scalar(tag, value, step)

        return log, writer.close

    return opened


def tensorflow(place: Place) -> Run:
    tf = importlib.import_module("tensorflow")
    writer = tf.summary.create_file_writer(os.path.join(place.folder, place.name))

    def log(step: int, values: Values) -> None:
        with writer.as_default():
            for tag, value in values.items():
                tf.summary.scalar(tag, value, step=step)

    return log, writer.close


def tensorflow_records(place: Place) -> Run:
    """Its C++ writer of records alone, given events that are made by protobuf."""
    tf = importlib.import_module("tensorflow")
    event = importlib.import_module("tensorboard.compat.proto.event_pb2").Event
    writer = tf.io.TFRecordWriter(os.path.join(place.folder, place.name))

    def log(step: int, values: Values) -> None:
        for tag, value in values.items():
            made = event(wall_time=time.time(), step=step)
            made.summary.value.add(tag=tag, simple_value=value)
            writer.write(made.SerializeToString())

    return log, writer.close


def mlflow(*, is_async: bool) -> Callable[[Place], Run]:
    def opened(place: Place) -> Run:
        module = importlib.import_module("mlflow")
        module.set_tracking_uri(place.address)
        module.start_run(run_name=place.name)

        def log(step: int, values: Values) -> None:
            module.log_metrics(values, step=step, synchronous=not is_async)

        def end() -> None:
            if is_async:
                module.flush_async_logging()
            module.end_run()

        return log, end

    return opened


def trackio(place: Place) -> Run:
    module = importlib.import_module("trackio")
    module.init(project="benchmark", name=place.name)
    return lambda step, values: module.log(values, step=step), module.finish


def wandb(place: Place) -> Run:
    run = importlib.import_module("wandb").init(mode="offline", project="benchmark", name=place.name, dir=place.folder)
    return lambda step, values: run.log(values, step=step), run.finish


def aim(place: Place) -> Run:
    run = importlib.import_module("aim").Run(repo=place.folder, system_tracking_interval=None, log_system_params=False)

    def log(step: int, values: Values) -> None:
        for tag, value in values.items():
            run.track(value, name=tag, step=step)

    return log, run.close


def pastalog(place: Place) -> Run:
    import urllib.parse

    sys.modules["urlparse"] = urllib.parse  # it is of Python 2's time, and asks for no more of it than this
    log = importlib.import_module("pastalog").Log(place.address, place.name)

    def post(step: int, values: Values) -> None:
        for tag, value in values.items():
            log.post(tag, value, step)

    return post, lambda: None


TOOLS: dict[str, Callable[[Place], Run]] = {
    "tbbridge": tbbridge,
    "tbbridge, tag by tag": tbbridge_by_tag,
    "tensorboardX": event_file("tensorboardX"),
    "torch": event_file("torch.utils.tensorboard"),
    "TensorFlow": tensorflow,
    "TensorFlow, records": tensorflow_records,
    "mlflow": mlflow(is_async=False),
    "mlflow, async": mlflow(is_async=True),
    "trackio": trackio,
    "wandb, offline": wandb,
    "aim": aim,
    "pastalog": pastalog,
}


class Training:
    """Two layers, 64 examples a step."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self.inputs = random.normal(size=(64, 128)).astype(np.float32)
        self.targets = random.normal(size=(64, 10)).astype(np.float32)
        self.first = random.normal(size=(128, 256)).astype(np.float32) / 12
        self.second = random.normal(size=(256, 10)).astype(np.float32) / 16

    def step(self) -> float:
        """Forward, backward, update; the loss."""
        hidden = np.maximum(self.inputs @ self.first, 0)
        error = hidden @ self.second - self.targets
        back = error @ self.second.T * (hidden > 0)
        self.second -= 1e-3 * hidden.T @ error / 64
        self.first -= 1e-3 * self.inputs.T @ back / 64
        return float((error**2).mean())


def train(steps: int, tags: list[str], log: Callable[[int, Values], object] | None, limit_s: float) -> tuple[int, float, float]:
    """Steps done, seconds, and seconds of them inside the log calls. It ends early after `limit_s`."""
    training, inside = Training(), 0.0
    start = time.perf_counter()
    for step in range(steps):
        loss = training.step()
        values = dict.fromkeys(tags, loss)
        if log is not None:
            before = time.perf_counter()
            log(step, values)
            now = time.perf_counter()
            inside += now - before
            if now - start > limit_s:
                return step + 1, now - start, inside
    return steps, time.perf_counter() - start, inside


def loop(tool: str, address: str, folder: str, asked: dict[str, Any]) -> dict[str, Any]:
    """One round: with logging, then without, as many steps."""
    tags = [f"layer{number}/metric" for number in range(asked["tags"])]
    log, end = TOOLS[tool](Place(address, folder, asked["name"]))
    train(20, [], None, 1.0)
    steps, with_s, calls_s = train(asked["steps"], tags, log, asked["limit_s"])
    start = time.perf_counter()
    end()
    end_s = time.perf_counter() - start
    _, without_s, _ = train(steps, tags, None, float("inf"))
    return {"steps": steps, "with_s": with_s, "without_s": without_s, "calls_s": calls_s, "end_s": end_s}


def encode(tool: str, address: str, folder: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Seconds from a new writer until `points` of each of `tags` are in its closed file."""
    tags = [f"train/metric{number}" for number in range(asked["tags"])]
    values = np.random.default_rng(0).normal(size=asked["points"]).tolist()
    start = time.perf_counter()
    log, end = TOOLS[tool](Place(address, folder, asked["name"]))
    for step, value in enumerate(values):
        log(step, dict.fromkeys(tags, value))
    end()
    return {"seconds": time.perf_counter() - start}


WORKS: dict[str, Callable[[str, str, str, dict[str, Any]], dict[str, Any]]] = {"loop": loop, "encode": encode}


def version_of(tool: str) -> str:
    package = tool.partition(",")[0].replace("TensorFlow", "tensorflow-cpu")
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"


def main() -> None:
    tool, address = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the tool prints must not be taken for an answer
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder, contextlib.chdir(folder):
        for line in sys.stdin:
            asked = json.loads(line)
            if asked["work"] == "hello":
                answer: dict[str, Any] = {"version": version_of(tool)}
            else:
                answer = WORKS[asked["work"]](tool, address, folder, asked)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    answers.close()
    os._exit(0)  # some tools' threads would keep the process


if __name__ == "__main__":
    main()
