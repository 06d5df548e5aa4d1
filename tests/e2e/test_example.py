"""The example, streamed into a real bridge, comes out of both of TensorBoard's readers exactly as it was sent."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from processes import ROOT, TensorBoard, environment, tensorboard, until

STEPS = 60


@pytest.mark.parametrize("load_fast", ["true", "false"], ids=["data server", "Python reader"])
def test_tensorboard_returns_exactly_what_the_example_sent(load_fast: str, bridge: str, logdir: Path, tmp_path: Path) -> None:
    record = tmp_path / "sent.json"
    with tensorboard(logdir, load_fast) as viewer:
        command = [sys.executable, ROOT / "examples" / "train_digits.py"]
        options = ["--url", bridge, "--steps", str(STEPS), "--record", record]
        done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=100, env=environment())
        assert (done.returncode, done.stderr) == (0, "")
        assert f"sent {STEPS * 4 * 2} scalars, 12 histograms and 2 texts" in done.stdout
        sent = json.loads(record.read_text())
        assert sorted(sent) == ["digits/lr=0.1", "digits/lr=0.5"]
        until(lambda: all(has_all_scalars(viewer, run, sent[run]["scalars"]) for run in sent), "TensorBoard shows every point")
        assert sorted(viewer.runs()) == sorted(sent)
        for run, series in sent.items():
            check_scalars(viewer, run, series["scalars"])
            check_texts(viewer, run, series["texts"])
            check_histograms(viewer, run, series["histograms"])
    loss = sent["digits/lr=0.5"]["scalars"]["loss/validation"]
    assert loss[-1][1] < loss[0][1] / 2, "the network learns"


def has_all_scalars(viewer: TensorBoard, run: str, series: dict[str, list[tuple[int, float]]]) -> bool:
    return all(len(viewer.scalars(run, tag)) == len(points) for tag, points in series.items())


def check_scalars(viewer: TensorBoard, run: str, series: dict[str, list[tuple[int, float]]]) -> None:
    assert sorted(viewer.ask("plugin/scalars/tags")[run]) == sorted(series)
    for tag, points in series.items():
        shown = viewer.scalars(run, tag)
        # TensorBoard's files hold 32-bit floats: the nearest of them, and nothing else, is what must come back.
        assert [(step, value) for _, step, value in shown] == [(step, float(np.float32(value))) for step, value in points]
        times = [wall_time for wall_time, _, _ in shown]
        assert times == sorted(times)


def check_texts(viewer: TensorBoard, run: str, series: dict[str, list[tuple[int, str]]]) -> None:
    assert sorted(viewer.ask("plugin/text/tags")[run]) == sorted(series)
    for tag, points in series.items():
        shown = viewer.ask("plugin/text/text", run=run, tag=tag, markdown="false")
        assert [[item["step"], html.unescape(item["text"])] for item in shown] == points


def check_histograms(viewer: TensorBoard, run: str, series: dict[str, list[tuple[int, int]]]) -> None:
    assert sorted(viewer.ask("plugin/histograms/tags")[run]) == sorted(series)
    for tag, points in series.items():
        shown = viewer.ask("plugin/histograms/histograms", run=run, tag=tag)
        assert [[step, sum(count for _, _, count in buckets)] for _, step, buckets in shown] == points
