"""TensorBoard's main pages in a real browser, over what examples/all_dashboards.py writes: drawn, and without an error.

Whether a reader returns the right numbers is test_dashboards.py's; here it is whether the page can draw them. Without Chromium
on the machine these tests are skipped: `apt-get install chromium` brings it.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import CHROMIUM, Sight, colors
from playwright.sync_api import Browser, expect
from processes import ROOT, TensorBoard, environment, tensorboard, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium")

TRIALS = 8


@pytest.fixture(scope="module")
def viewer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TensorBoard]:
    """TensorBoard over everything the example writes."""
    logdir: Path = tmp_path_factory.mktemp("runs")
    command = [sys.executable, str(ROOT / "examples" / "all_dashboards.py"), "--logdir", str(logdir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment())
    assert done.returncode == 0, done.stderr
    with tensorboard(logdir, "true") as viewer:
        until(lambda: len(viewer.runs()) == TRIALS + 1, "TensorBoard lists all runs")
        until(lambda: viewer.ask("plugin/graphs/info"), "TensorBoard has read the gallery to its end")
        until(lambda: viewer.ask("plugins_listing")["projector"]["enabled"], "the projector is active")
        yield viewer


@pytest.fixture
def sight(browser: Browser, viewer: TensorBoard, request: pytest.FixtureRequest) -> Iterator[Sight]:
    """The page named by the test's parameter, open; at the end nothing on it may have gone wrong."""
    page = browser.new_page(viewport={"width": 1500, "height": 1100})
    sight = Sight(page)
    page.goto(f"{viewer.address}/#{request.param}")
    yield sight
    page.close()
    assert sight.troubles == []


def on(page: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("sight", [page], indirect=True)


@on("scalars")
def test_scalars(sight: Sight) -> None:
    sight.says("loss", "margin", "trial")
    sight.shows("tf-scalar-card", 4)  # of the two groups that are open at first: accuracy and loss
    assert colors(sight.page.locator("tf-scalar-card").first) > 20


@on("timeseries")
def test_time_series(sight: Sight) -> None:
    sight.says("accuracy/train", "accuracy/validation")
    assert colors(sight.page.locator("line-chart").first) > 20
    expect(sight.page.locator("image-card img").first).to_be_visible()
    sight.page.get_by_text("Histogram", exact=True).click()
    sight.page.get_by_text("weights", exact=True).click()
    histograms = sight.shows("histogram-card tb-histogram", 2)
    until(lambda: colors(histograms.first) > 20, "the histogram is drawn")


@on("images")
def test_images(sight: Sight) -> None:
    pictures = sight.shows("tf-image-loader img", 6)
    widths = "all => all.every(picture => picture.complete) && all.map(picture => picture.naturalWidth).sort((a, b) => a - b)"
    until(lambda: pictures.evaluate_all(widths), "every picture is loaded")
    narrowest, *_, widest = pictures.evaluate_all(widths)
    assert (narrowest, widest) == (60, 600)
    sight.says("digits/mistakes", "network/confusion")


@on("audio")
def test_audio(sight: Sight) -> None:
    players = sight.shows("audio", 2)
    lengths = "all => all.every(player => player.readyState > 0) && all.map(player => player.duration)"
    assert until(lambda: players.evaluate_all(lengths), "both sounds are loaded") == pytest.approx([2.8, 2.0], abs=0.01)


@on("graphs")
def test_graphs(sight: Sight) -> None:
    sight.says("Main Graph")
    expect(sight.page.locator("g.node").first).to_be_visible()
    names = " ".join(sight.page.locator("g.node text").all_text_contents())
    assert "Sequential" in names


@on("histograms")
def test_histograms(sight: Sight) -> None:
    sight.shows("vz-histogram-timeseries g.histogram", 3 * 5)
    assert colors(sight.page.locator("vz-histogram-timeseries").first) > 20


@on("distributions")
def test_distributions(sight: Sight) -> None:
    sight.shows("tf-distribution-loader", 3)
    expect(sight.page.locator("vz-distribution-chart path").nth(20)).to_be_attached()
    assert colors(sight.page.locator("vz-distribution-chart").first) > 10


@on("text")
def test_text(sight: Sight) -> None:
    sight.says("After 300 steps", "seen")
    sight.shows("tf-text-loader h3", 5)


@on("pr_curves")
def test_pr_curves(sight: Sight) -> None:
    sight.says("digit/1", "digit/8")
    cards = sight.shows("tf-pr-curve-card", 2)
    assert colors(cards.first) > 10


@on("custom_scalars")
def test_custom_scalars(sight: Sight) -> None:
    sight.says("Learning", "Certainty", "accuracy and two standard errors")
    sight.shows("tf-custom-scalar-multi-line-chart-card", 2)
    margin = sight.shows("tf-custom-scalar-margin-chart-card", 1)
    expect(margin.locator("path").nth(2)).to_be_attached()
    assert sight.page.get_by_text("Missing Tags").filter(visible=True).count() == 0


@on("hparams")
def test_hparams(sight: Sight) -> None:
    sight.says("learning_rate", "trial/best_accuracy")
    expect(sight.page.locator("vaadin-grid-cell-content").filter(has_text="trials/")).to_have_count(TRIALS)


@on("mesh")
def test_mesh(sight: Sight) -> None:
    shapes = sight.shows("tf-mesh-loader canvas", 4)  # both once in the group of all, and once in their own
    for shape in shapes.all()[:2]:
        until(lambda: colors(shape) > 8, "the shape is drawn")  # noqa: B023  asked at once


@on("projector")
def test_projector(sight: Sight) -> None:
    frame = sight.page.frame_locator("iframe").frame_locator("iframe")
    expect(frame.get_by_text(re.compile(r"Points:\s+500"))).to_be_visible()
    expect(frame.get_by_text(re.compile(r"Dimension:\s+32"))).to_be_visible()
    cloud = frame.locator("vz-projector canvas").first
    until(lambda: colors(cloud) > 20, "the pictures of the digits stand in the cloud")
