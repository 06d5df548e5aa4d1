"""Fill every page of TensorBoard with something worth looking at: one training on real digits, seen from all sides.

Into a running bridge (`make up`), or without one straight into a folder; the calls are the same:

    .venv/bin/python examples/all_dashboards.py
    .venv/bin/python examples/all_dashboards.py --logdir runs-local     # then: tensorboard --logdir runs-local

The run `gallery` holds pictures, sound, text, curves, shapes, a graph and an embedding; the runs `trials/...` hold eight short
trainings with different settings, for the HParams page. Needs scikit-learn (the digits), Pillow and matplotlib (the pictures):
`pip install 'tbbridge[examples]'`. With torch installed the graph is traced from a torch module, without it made by hand.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from train_digits import BATCH, CLASSES, HIDDEN, Network

import tbbridge
from tbbridge.kinds import RunMetadata
from tbbridge.names import tag_name

Array: TypeAlias = NDArray[np.float64]
Floats: TypeAlias = NDArray[np.float32]
Bytes: TypeAlias = NDArray[np.uint8]
Integers: TypeAlias = NDArray[np.int64]
Open: TypeAlias = Callable[[str], tbbridge.SummaryWriter]

STEPS = 300
EVERY = 5  # steps between two points of a curve
LOOK_EVERY = 75  # steps between two looks at the network: pictures, histograms, precision-recall curves
VALIDATION = 360  # of the 1,797 digits
EMBEDDED = 500  # digits in the Projector
CURVE_DIGITS = (1, 8)  # whose precision-recall curves are drawn: an easy and a hard one
SIDE = 60  # pixels, of an enlarged picture
MELODY_RATE = 22_050  # Hz
VOWELS_RATE = 16_000  # Hz


# --- what is learned ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Digits:
    """The scans, float64[n, 64] from 0 to 1, and which digit each shows, int64[n]; both shuffled."""

    pixels: Array
    labels: Integers

    @property
    def pictures(self) -> Floats:
        """The scans as float32[n, 8, 8]."""
        return self.pixels.reshape(-1, 8, 8).astype(np.float32)


def load(seed: int) -> tuple[Digits, Digits]:
    """Digits to learn from, and digits to validate with."""
    data = load_digits()
    order = np.random.default_rng(seed).permutation(len(data.target))
    pixels, labels = data.data[order] / 16, data.target[order].astype(np.int64)
    return Digits(pixels[VALIDATION:], labels[VALIDATION:]), Digits(pixels[:VALIDATION], labels[:VALIDATION])


@dataclass(frozen=True, slots=True)
class Trial:
    """The settings of one short training."""

    learning_rate: float
    pixels: str
    shuffled: bool

    @property
    def run(self) -> str:
        """Where it is logged."""
        return f"trials/lr={self.learning_rate},{self.pixels},{'shuffled' if self.shuffled else 'sorted'}"

    def prepare(self, digits: Digits) -> Digits:
        """The digits as this trial wants them."""
        pixels = digits.pixels if self.pixels == "grey" else (digits.pixels > 0.5).astype(np.float64)
        order = np.arange(len(pixels)) if self.shuffled else np.argsort(digits.labels, kind="stable")
        return Digits(pixels[order], digits.labels[order])


TRIALS = [Trial(*settings) for settings in itertools.product((0.05, 0.5), ("grey", "black-white"), (True, False))]


def train(network: Network, digits: Digits) -> Iterator[int]:
    """Go through the digits batch by batch, round after round; yields each step's number before it is learned."""
    for step in range(STEPS + 1):
        yield step
        first = step * BATCH % (len(digits.labels) - BATCH)
        network.learn(digits.pixels[first : first + BATCH], digits.labels[first : first + BATCH])


def run_trial(writer: tbbridge.SummaryWriter, trial: Trial, learn: Digits, validate: Digits, seed: int) -> None:
    """One training with its settings: Scalars, Time Series and HParams."""
    network = Network(trial.learning_rate, seed)
    learn, validate = trial.prepare(learn), trial.prepare(validate)
    lowest_loss, best_accuracy = np.inf, 0.0
    for step in train(network, learn):
        if step % EVERY == 0:
            loss, accuracy = network.judge(validate.pixels, validate.labels)
            lowest_loss, best_accuracy = min(lowest_loss, loss), max(best_accuracy, accuracy)
            writer.add_scalar("trial/loss", loss, step)
            writer.add_scalar("trial/accuracy", accuracy, step)
    settings = {"learning_rate": trial.learning_rate, "pixels": trial.pixels, "shuffled": trial.shuffled}
    writer.add_hparams(settings, {"trial/best_loss": lowest_loss, "trial/best_accuracy": best_accuracy}, global_step=STEPS)


# --- what is shown -----------------------------------------------------------------------------------------------------------


def run_gallery(writer: tbbridge.SummaryWriter, learn: Digits, validate: Digits, seed: int) -> None:
    """One training, looked at from all sides."""
    network = Network(0.2, seed)
    for step in train(network, learn):
        if step % EVERY == 0:
            show_curves(writer, network, learn, validate, step)
        if step % LOOK_EVERY == 0:
            show_network(writer, network, validate, step)
    show_layout(writer)
    show_pictures(writer, validate, network)
    show_sounds(writer)
    show_shapes(writer, learn)
    show_embedding(writer, network, learn)
    show_graph(writer, network)
    show_profile(writer, network, validate)


def show_curves(writer: tbbridge.SummaryWriter, network: Network, learn: Digits, validate: Digits, step: int) -> None:
    """Scalars; and the margin for Custom Scalars: how sure the accuracy is, from how many digits it was counted on."""
    for name, digits in (("train", learn), ("validation", validate)):
        loss, accuracy = network.judge(digits.pixels, digits.labels)
        writer.add_scalar(f"loss/{name}", loss, step, summary_description="Mean **cross entropy** of the digits.")
        writer.add_scalar(f"accuracy/{name}", accuracy, step)
    error = 2 * (accuracy * (1 - accuracy) / len(validate.labels)) ** 0.5
    writer.add_scalar("margin/accuracy", accuracy, step)
    writer.add_scalar("margin/lower", max(0.0, accuracy - error), step)
    writer.add_scalar("margin/upper", min(1.0, accuracy + error), step)


def show_layout(writer: tbbridge.SummaryWriter) -> None:
    """Custom Scalars: which curves share a chart."""
    margin = ["margin/accuracy", "margin/lower", "margin/upper"]
    layout = {
        "Learning": {"loss": ["Multiline", ["loss/.*"]], "accuracy": ["Multiline", ["accuracy/.*"]]},
        "Certainty": {"accuracy and two standard errors": ["Margin", margin]},
    }
    writer.add_custom_scalars(layout)


def show_network(writer: tbbridge.SummaryWriter, network: Network, validate: Digits, step: int) -> None:
    """Histograms, Distributions, Images, PR Curves and Text: what the network is like at this step."""
    hidden, probabilities = network.probabilities(validate.pixels)
    for layer, weights in enumerate(network.weights):
        writer.add_histogram(f"weights/layer{layer}", weights, step)
    writer.add_histogram("hidden", hidden, step)
    writer.add_images("network/filters", filters(network), step)
    for digit in CURVE_DIGITS:
        writer.add_pr_curve(f"digit/{digit}", validate.labels == digit, probabilities[:, digit], step)
    guesses = probabilities.argmax(axis=1)
    writer.add_figure("network/confusion", confusion_figure(validate.labels, guesses), step)
    writer.add_text("report", report(validate.labels, guesses, step), step)


def report(labels: Integers, guesses: Integers, step: int) -> str:
    """A table in Markdown: how many of each digit were recognized."""
    rows = [
        f"| {digit} | {(labels == digit).sum()} | {(guesses[labels == digit] == digit).mean():.0%} |"
        for digit in range(CLASSES)
    ]
    return "\n".join([f"### After {step} steps", "", "| digit | seen | right |", "|---:|---:|---:|", *rows])


def filters(network: Network) -> Floats:
    """What each hidden unit looks for, as float32[n, 1, SIDE, SIDE] from 0 to 1; grey is indifference."""
    weights = network.weights[0].T.reshape(HIDDEN, 8, 8)
    shades: Array = 0.5 + weights / (2 * np.abs(weights).max())
    return enlarged(shades.astype(np.float32), border=1.0)[:, np.newaxis]


def confusion_figure(labels: Integers, guesses: Integers) -> object:
    """A matplotlib figure: which digits are taken for which."""
    from matplotlib.figure import Figure

    counts = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    np.add.at(counts, (labels, guesses), 1)
    figure = Figure(figsize=(5, 4.5), layout="constrained")
    axes = figure.subplots()
    picture = axes.imshow(counts, cmap="Blues")
    axes.set(xlabel="recognized as", ylabel="digit", xticks=range(CLASSES), yticks=range(CLASSES))
    figure.colorbar(picture)
    return figure


def show_pictures(writer: tbbridge.SummaryWriter, digits: Digits, network: Network) -> None:
    """Images: one scan, many at once, mistakes in boxes, and a film."""
    writer.add_image("digits/scan", enlarged(digits.pictures[:1])[0], 0, dataformats="HW")
    writer.add_images("digits/scans", enlarged(digits.pictures[:32])[:, np.newaxis], 0)
    sheet, boxes, labels = mistakes(digits, network)
    writer.add_image_with_boxes("digits/mistakes", sheet, boxes, STEPS, dataformats="HW", labels=labels)
    writer.add_video("digits/film", film(digits), 0, fps=12)


def enlarged(pictures: Floats, border: float = 0.0) -> Floats:
    """Pictures of 8 by 8 pixels with a border of one shade, each pixel six by six large: float32[n, SIDE, SIDE]."""
    framed = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), constant_values=border)
    return framed.repeat(6, axis=1).repeat(6, axis=2)


def mistakes(digits: Digits, network: Network) -> tuple[Floats, Integers, list[str]]:
    """A sheet of scans, float32[6 * SIDE, 10 * SIDE]; a box (left, top, right, bottom) round each mistake, and its name."""
    _, probabilities = network.probabilities(digits.pixels)
    guesses = probabilities.argmax(axis=1)
    wrong = np.flatnonzero(guesses != digits.labels)
    shown = np.sort(np.concatenate([wrong[:20], np.flatnonzero(guesses == digits.labels)])[:60])
    sheet = enlarged(digits.pictures[shown]).reshape(6, 10, SIDE, SIDE).swapaxes(1, 2).reshape(6 * SIDE, 10 * SIDE)
    places = np.flatnonzero(np.isin(shown, wrong))
    left, top = places % 10 * SIDE, places // 10 * SIDE
    names = [f"{guesses[index]}?" for index in shown[places]]
    return sheet, np.stack([left + 2, top + 2, left + SIDE - 3, top + SIDE - 3], axis=1), names


def film(digits: Digits) -> Bytes:
    """From 0 to 9 and back to 0, each fading into the next: uint8[1, 80, 1, SIDE, SIDE]."""
    examples = np.stack([digits.pictures[digits.labels == digit].mean(axis=0) for digit in [*range(CLASSES), 0]])
    share = np.linspace(0, 1, 8, endpoint=False, dtype=np.float32)[:, np.newaxis, np.newaxis]
    frames = np.concatenate([before * (1 - share) + after * share for before, after in itertools.pairwise(examples)])
    return (enlarged(frames) * 255).astype(np.uint8)[np.newaxis, :, np.newaxis]


def show_sounds(writer: tbbridge.SummaryWriter) -> None:
    """Audio: a tune in stereo, and five vowels."""
    writer.add_audio("tune", tune(), 0, sample_rate=MELODY_RATE)
    writer.add_audio("vowels", vowels(), 0, sample_rate=VOWELS_RATE)


def tune() -> Floats:
    """A scale that wanders from the left to the right: float32[n, 2] from -1 to 1."""
    semitones = (0, 2, 4, 5, 7, 9, 11, 12)
    time = np.arange(int(0.35 * MELODY_RATE)) / MELODY_RATE
    notes = [
        sum(np.sin(2 * np.pi * 261.63 * 2 ** (semitone / 12) * overtone * time) / overtone**2 for overtone in (1, 2, 3))
        * np.exp(-5 * time)
        * np.minimum(1, time / 0.01)
        for semitone in semitones
    ]
    mono = np.concatenate(notes)
    place = np.linspace(0, 1, len(mono))
    stereo = np.stack([mono * (1 - place), mono * place], axis=1)
    loud: Array = 0.8 * stereo / np.abs(stereo).max()
    return loud.astype(np.float32)


def vowels() -> Floats:
    """A, e, i, o, u by a voice at 120 Hz whose overtones are loud near two resonances each: float32[n] from -1 to 1."""
    resonances = ((800, 1150), (400, 2000), (270, 2300), (450, 800), (325, 700))  # Hz
    time = np.arange(int(0.4 * VOWELS_RATE)) / VOWELS_RATE
    fade = np.minimum(1, np.minimum(time, time[::-1]) / 0.05)
    voice = [
        fade
        * sum(
            np.sin(2 * np.pi * pitch * time) * sum(np.exp(-(((pitch - resonance) / 120) ** 2)) for resonance in pair)
            for pitch in range(120, 3000, 120)
        )
        for pair in resonances
    ]
    sound = np.concatenate([part / np.abs(part).max() for part in voice])
    return (0.7 * sound).astype(np.float32)


def show_shapes(writer: tbbridge.SummaryWriter, digits: Digits) -> None:
    """Mesh: a ring that is squeezed, and the digits as a cloud of points, a colour each digit."""
    for step, height in enumerate((1.0, 0.6, 0.3)):
        vertices, colors, faces = ring(height)
        config = {"camera": {"cls": "PerspectiveCamera", "fov": 60}, "lights": LIGHTS}
        writer.add_mesh("ring", vertices[np.newaxis], colors[np.newaxis], faces[np.newaxis], config, step)
    points, colors = cloud(digits)
    config = {"material": {"cls": "PointsMaterial", "size": 0.08}}
    writer.add_mesh("cloud", points[np.newaxis], colors[np.newaxis], None, config, 0)


LIGHTS = [
    {"cls": "AmbientLight", "color": "#ffffff", "intensity": 0.75},
    {"cls": "DirectionalLight", "color": "#ffffff", "intensity": 0.75, "position": [0, -1, 2]},
]
# One a digit, chosen to be told apart: red, orange, yellow, lime, green, cyan, azure, blue, violet, grey.
COLORS = np.array(
    [
        *([220, 40, 40], [250, 140, 20], [230, 210, 30], [150, 220, 40], [30, 140, 60]),
        *([40, 200, 200], [60, 150, 250], [40, 50, 200], [170, 60, 200], [120, 120, 120]),
    ],
    dtype=np.uint8,
)


def ring(height: float, around: int = 48, across: int = 24) -> tuple[Floats, Bytes, NDArray[np.int32]]:
    """A torus: vertices float32[n, 3], colours uint8[n, 3] and triangles int32[m, 3] of indices of vertices."""
    i, j = (part.ravel() for part in np.indices((around, across)))
    angle, tube = 2 * np.pi * i / around, 2 * np.pi * j / across
    radius = 1 + 0.4 * np.cos(tube)
    x, y, z = radius * np.cos(angle), radius * np.sin(angle), 0.4 * height * np.sin(tube)
    vertices = np.stack([x, 0.5 * y - 0.87 * z, 0.87 * y + 0.5 * z], axis=1)  # tilted by 60 degrees, to be seen from the side
    colors = np.stack([127 + 127 * np.cos(angle), 127 + 127 * np.cos(tube), 127 + 127 * np.sin(angle)], axis=1)
    here, right = i * across + j, (i + 1) % around * across + j
    up, both = i * across + (j + 1) % across, (i + 1) % around * across + (j + 1) % across
    faces = np.concatenate([np.stack([here, right, both], axis=1), np.stack([here, both, up], axis=1)])
    return vertices.astype(np.float32), colors.astype(np.uint8), faces.astype(np.int32)


def cloud(digits: Digits) -> tuple[Floats, Bytes]:
    """The digits in the three directions in which they differ most: points float32[n, 3] and colours uint8[n, 3]."""
    points = PCA(3, svd_solver="full").fit_transform(digits.pixels)
    return points.astype(np.float32), COLORS[digits.labels]


def show_embedding(writer: tbbridge.SummaryWriter, network: Network, digits: Digits) -> None:
    """Projector: what the hidden layer makes of each digit, with its picture."""
    chosen = Digits(digits.pixels[:EMBEDDED], digits.labels[:EMBEDDED])
    hidden, probabilities = network.probabilities(chosen.pixels)
    metadata = [[str(label), str(guess)] for label, guess in zip(chosen.labels, probabilities.argmax(axis=1), strict=True)]
    pictures = 1 - chosen.pictures[:, np.newaxis]  # ink is dark on the page's white
    writer.add_embedding(hidden, metadata, pictures, STEPS, "hidden", metadata_header=["digit", "recognized as"])


def show_graph(writer: tbbridge.SummaryWriter, network: Network) -> None:
    """Graphs: the network itself, as torch runs it; or drawn by hand where torch is not installed."""
    if importlib.util.find_spec("torch") is None:
        writer.add_graph(drawn_graph())
        return
    import torch

    first, second = torch.nn.Linear(64, HIDDEN), torch.nn.Linear(HIDDEN, CLASSES)
    with torch.no_grad():
        for layer, weights, biases in zip((first, second), network.weights, network.biases, strict=True):
            layer.weight.copy_(torch.tensor(weights.T))
            layer.bias.copy_(torch.tensor(biases))
    writer.add_graph(torch.nn.Sequential(first, torch.nn.ReLU(), second, torch.nn.Softmax(dim=1)), torch.zeros(1, 64))


def show_profile(writer: tbbridge.SummaryWriter, network: Network, digits: Digits) -> None:
    """Graphs, as a session run: how long each layer takes for all digits, as it was measured just now."""
    inputs, times = digits.pixels, [time.perf_counter()]
    for weights, biases in zip(network.weights, network.biases, strict=True):
        inputs = np.maximum(inputs @ weights + biases, 0)
        times.append(time.perf_counter())
    nodes = b""
    for name, (start, end) in zip(("hidden", "output"), itertools.pairwise(times), strict=True):
        # NodeExecStats of tensorflow/core/framework/step_stats.proto: its name, when it began, how long it took
        begun, took = (max(1, round(seconds * 1e6)) for seconds in (start, end - start))
        nodes += field(2, field(1, name.encode()) + b"\x10" + varint(begun) + b"\x28" + varint(took))
    run_metadata = field(1, field(1, field(1, b"/cpu:0") + nodes))
    writer.add_summary(RunMetadata(tag_name("forward pass"), run_metadata), STEPS)


def varint(number: int) -> bytes:
    """A number as protobuf writes it: seven bits a byte, the lowest first."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def field(number: int, content: bytes) -> bytes:
    """A field of protobuf that holds bytes, a text or a message."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def drawn_graph() -> bytes:
    """The network as a GraphDef (tensorflow/core/framework/graph.proto), which is small enough to be spelled out in bytes."""

    def node(name: str, operation: str, *inputs: str) -> bytes:
        parts = field(1, name.encode()) + field(2, operation.encode())
        return field(1, parts + b"".join(field(3, source.encode()) for source in inputs))

    return b"".join(
        [
            node("pixels", "Placeholder"),
            node("hidden/weights", "Variable"),
            node("hidden/biases", "Variable"),
            node("hidden/product", "MatMul", "pixels", "hidden/weights"),
            node("hidden/sum", "BiasAdd", "hidden/product", "hidden/biases"),
            node("hidden/relu", "Relu", "hidden/sum"),
            node("output/weights", "Variable"),
            node("output/biases", "Variable"),
            node("output/product", "MatMul", "hidden/relu", "output/weights"),
            node("output/sum", "BiasAdd", "output/product", "output/biases"),
            node("output/probabilities", "Softmax", "output/sum"),
        ]
    )


# --- where it goes -----------------------------------------------------------------------------------------------------------


def fill(open_run: Open, seed: int) -> Sequence[str]:
    """Write everything into the runs that `open_run` opens; their names."""
    learn, validate = load(seed)
    runs = ["gallery", *(trial.run for trial in TRIALS)]
    with ExitStack() as stack:
        gallery, *trials = (stack.enter_context(open_run(run)) for run in runs)
        run_gallery(gallery, learn, validate, seed)
        for writer, trial in zip(trials, TRIALS, strict=True):
            run_trial(writer, trial, learn, validate, seed)
    return runs


def main() -> None:
    """Read the options, write, and say where to look."""
    parser = argparse.ArgumentParser(description="Fill every page of TensorBoard with something worth looking at.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--url", default="http://127.0.0.1:6007", help="where a bridge listens (default %(default)s)")
    where.add_argument("--logdir", type=Path, help="write into this folder instead, without a bridge")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same content (default %(default)s)")
    options = parser.parse_args()

    def open_run(name: str) -> tbbridge.SummaryWriter:
        if options.logdir is not None:
            return tbbridge.SummaryWriter(str(options.logdir / name))
        return tbbridge.SummaryWriter(options.url, run=name)

    try:
        runs = fill(open_run, options.seed)
    except tbbridge.TBBridgeError as error:
        sys.exit(f"all_dashboards: {error}")
    print(f"wrote {len(runs)} runs to {options.logdir or options.url}: {', '.join(runs)}")


if __name__ == "__main__":
    main()
