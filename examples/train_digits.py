"""Train a small network on the UCI digits, with two learning rates side by side, and watch it in TensorBoard while it runs.

Start a bridge first (`make up`), then in a second shell:

    .venv/bin/python examples/train_digits.py

The data are the 1,797 scans of 8 by 8 pixels that scikit-learn ships. Each step is one batch; after each, the loss and the
accuracy on training and validation data are logged for both runs, every 25 steps histograms of the weights, and at the start a
text with the settings. The same seed gives the same numbers.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import tbbridge

Array: TypeAlias = NDArray[np.float64]
Labels: TypeAlias = NDArray[np.int64]

LEARNING_RATES = (0.1, 0.5)
HIDDEN = 32
CLASSES = 10
BATCH = 64
VALIDATION = 360  # of the 1,797 digits
HISTOGRAM_EVERY = 25  # steps


class Log(Protocol):
    """What the training needs of a `tbbridge` run."""

    def step(self, step: int, /) -> None: ...  # noqa: D102
    def add_scalar(self, tag: str, value: float, /) -> None: ...  # noqa: D102
    def add_histogram(self, tag: str, weights: Array, /) -> None: ...  # noqa: D102
    def add_text(self, tag: str, text: str, /) -> None: ...  # noqa: D102


class Network:
    """Two layers and a softmax, trained by plain gradient descent."""

    def __init__(self, learning_rate: float, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.learning_rate = learning_rate
        self.weights = [random.normal(0, 0.1, (64, HIDDEN)), random.normal(0, 0.1, (HIDDEN, CLASSES))]
        self.biases = [np.zeros(HIDDEN), np.zeros(CLASSES)]

    def probabilities(self, pixels: Array) -> tuple[Array, Array]:
        """The hidden layer's output and the probability of each class."""
        hidden = np.maximum(pixels @ self.weights[0] + self.biases[0], 0)
        scores = hidden @ self.weights[1] + self.biases[1]
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        return hidden, scores / scores.sum(axis=1, keepdims=True)

    def learn(self, pixels: Array, labels: Labels) -> None:
        """One step of gradient descent on one batch."""
        hidden, probabilities = self.probabilities(pixels)
        of_scores = (probabilities - np.eye(CLASSES)[labels]) / len(labels)
        of_hidden = (of_scores @ self.weights[1].T) * (hidden > 0)
        for layer, (inputs, gradient) in enumerate(((pixels, of_hidden), (hidden, of_scores))):
            self.weights[layer] -= self.learning_rate * (inputs.T @ gradient)
            self.biases[layer] -= self.learning_rate * gradient.sum(axis=0)

    def judge(self, pixels: Array, labels: Labels) -> tuple[float, float]:
        """Loss and accuracy on these digits."""
        _, probabilities = self.probabilities(pixels)
        loss = -np.log(probabilities[np.arange(len(labels)), labels] + 1e-12).mean()
        return float(loss), float((probabilities.argmax(axis=1) == labels).mean())


class Training:
    """One network, the digits, and the run where what happens is logged."""

    def __init__(self, log: Log, learning_rate: float, seed: int) -> None:
        self.log = log
        self.network = Network(learning_rate, seed)
        self.random = np.random.default_rng(seed)
        digits = load_digits()
        order = self.random.permutation(len(digits.target))
        pixels, labels = digits.data[order] / 16, digits.target[order]
        self.validation = pixels[:VALIDATION], labels[:VALIDATION]
        self.training = pixels[VALIDATION:], labels[VALIDATION:]
        log.step(0)
        log.add_text(
            "settings",
            f"| setting | value |\n|---|---|\n| learning rate | {learning_rate} |\n| batch | {BATCH} |\n"
            f"| hidden units | {HIDDEN} |\n| seed | {seed} |",
        )

    def step(self, step: int) -> None:
        """Learn from one batch and log how well the network does now."""
        pixels, labels = self.training
        batch = self.random.integers(len(labels), size=BATCH)
        self.network.learn(pixels[batch], labels[batch])
        self.log.step(step)
        for name, digits in (("train", self.training), ("validation", self.validation)):
            loss, accuracy = self.network.judge(*digits)
            self.log.add_scalar(f"loss/{name}", loss)
            self.log.add_scalar(f"accuracy/{name}", accuracy)
        if step % HISTOGRAM_EVERY == 0:
            for layer, weights in enumerate(self.network.weights):
                self.log.add_histogram(f"weights/layer{layer}", weights)


class Recorder:
    """Passes everything on to a run, and keeps a list of it: how a test knows exactly what was sent."""

    def __init__(self, run: Log) -> None:
        self.run = run
        self.current_step = 0
        self.scalars: dict[str, list[tuple[int, float]]] = {}
        self.texts: dict[str, list[tuple[int, str]]] = {}
        self.histograms: dict[str, list[tuple[int, int]]] = {}  # step, number of values

    def step(self, step: int) -> None:
        """As the run's."""
        self.current_step = step
        self.run.step(step)

    def add_scalar(self, tag: str, value: float) -> None:
        """As the run's."""
        self.scalars.setdefault(tag, []).append((self.current_step, value))
        self.run.add_scalar(tag, value)

    def add_text(self, tag: str, text: str) -> None:
        """As the run's."""
        self.texts.setdefault(tag, []).append((self.current_step, text))
        self.run.add_text(tag, text)

    def add_histogram(self, tag: str, weights: Array) -> None:
        """As the run's."""
        self.histograms.setdefault(tag, []).append((self.current_step, weights.size))
        self.run.add_histogram(tag, weights)

    def as_json(self) -> dict[str, object]:
        """All of it."""
        return {"scalars": self.scalars, "texts": self.texts, "histograms": self.histograms}


def main() -> None:
    """Read the options, train, and say what was sent."""
    parser = argparse.ArgumentParser(description="Train a small network on the UCI digits and stream it to a bridge.")
    parser.add_argument("--url", default="http://127.0.0.1:6007", help="where the bridge listens (default %(default)s)")
    parser.add_argument("--steps", type=int, default=400, help="batches to train on (default %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same numbers (default %(default)s)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="also write all that was sent to FILE, as JSON")
    options = parser.parse_args()

    with tbbridge.Client(options.url) as client:
        logs = {f"digits/lr={rate}": Recorder(client.run(f"digits/lr={rate}")) for rate in LEARNING_RATES}
        trainings = [Training(log, rate, options.seed) for log, rate in zip(logs.values(), LEARNING_RATES, strict=True)]
        for step in range(options.steps):
            for training in trainings:
                training.step(step)
        try:
            client.flush()  # returns when all of it is on the bridge's disk
        except tbbridge.TBBridgeError as error:
            sys.exit(f"train_digits: {error}")

    if options.record:
        options.record.write_text(json.dumps({name: log.as_json() for name, log in logs.items()}))
    scalars = sum(len(points) for log in logs.values() for points in log.scalars.values())
    histograms = sum(len(points) for log in logs.values() for points in log.histograms.values())
    texts = sum(len(points) for log in logs.values() for points in log.texts.values())
    names = " and ".join(logs)
    print(f"sent {scalars} scalars, {histograms} histograms and {texts} texts to {options.url}, in the runs {names}")


if __name__ == "__main__":
    main()
