"""The live page with what is rare: fingers, tokens that are revoked, ten million points, ten thousand tags, odd numbers.

As in test_live_page_shown.py nothing may go wrong on a page that a test does not expect, and without Chromium all are skipped.
"""

from __future__ import annotations

import json
import re
import threading
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, Sight, colors
from live_page import card, columns, delete, downloaded, from_menu, run_menu, table_of, write, zoom_of
from playwright.sync_api import Locator, Page, Route, expect
from processes import TBBRIDGE, Process, address_in, environment, get, serve, tensorboard, until

from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import RunBatch, ScalarColumns, run_name, tag_name
from tbbridge.server.tokens import Scope, new_token

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium")

TEN_MILLION = 10_000_000
TURNED = "left\u202etfel"
RED = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel of PNG


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serve(tmp_path_factory.mktemp("rare") / "runs", "--veil-s", "0.05") as process:
        yield address_in(process)
        assert process.end() == 0, process.output


# --- fingers ----------------------------------------------------------------------------------------------------------------


class Fingers:
    """What fingers do on a screen that feels them, as Chromium gets it from one; places within `on`, from its left and top."""

    def __init__(self, page: Page, on: Locator) -> None:
        self._session = page.context.new_cdp_session(page)
        box = on.bounding_box()
        assert box is not None
        self.left, self.top, self.width, self.height = box["x"], box["y"], box["width"], box["height"]

    def _send(self, kind: str, *places: tuple[float, float]) -> None:
        points = [{"x": self.left + x, "y": self.top + y, "id": number} for number, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def move(self, *paths: tuple[tuple[float, float], tuple[float, float]]) -> None:
        """Put a finger down for each path, at its beginning; move all to their ends; lift them."""
        self._send("touchStart", *(begin for begin, _ in paths))
        for part in np.linspace(0, 1, 9)[1:].tolist():
            self._send("touchMove", *((a + (c - a) * part, b + (d - b) * part) for (a, b), (c, d) in paths))
        self._send("touchEnd")


def test_fingers_pinch_drag_and_scroll(open_page: Callable[..., Sight], bridge: str) -> None:
    """Two zoom about their middle, one pans sideways, and one that goes up or down scrolls the page."""
    run = "fingers"
    write(bridge, run, *[columns(f"touch/{n}", [*range(101)]) for n in range(8)])
    page = open_page(
        f"{bridge}/#/scalars?only={run}", viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True
    ).page
    chart = card(page, "touch/0")
    over = chart.locator(".u-over")
    hand = Fingers(page, over)
    middle, half = hand.width / 2, hand.height / 2
    hand.move(((middle - 30, half), (middle - 90, half)), ((middle + 30, half), (middle + 90, half)))
    near = zoom_of(page, "touch/0")
    assert near is not None
    whole = 103.0  # steps 0 to 100 and 1.5 hundredths of room on each side
    assert near[1] - near[0] == pytest.approx(whole / 3, rel=0.02)
    assert sum(near) / 2 == pytest.approx(50, abs=1)
    hand.move(((middle, half), (middle - hand.width / 4, half)))
    moved = zoom_of(page, "touch/0")
    assert moved is not None
    assert moved[0] - near[0] == pytest.approx((near[1] - near[0]) / 4, rel=0.1)
    assert moved[1] - moved[0] == pytest.approx(near[1] - near[0])
    hand.move(((middle - 90, half), (middle - 45, half)), ((middle + 90, half), (middle + 45, half)))
    far = zoom_of(page, "touch/0")
    assert far is not None
    assert far[1] - far[0] == pytest.approx(2 * (near[1] - near[0]), rel=0.02)
    assert page.evaluate("document.getElementById('main').scrollTop + scrollY") == 0
    hand.move(((middle, half), (middle, half - 300)))
    until(lambda: page.evaluate("document.getElementById('main').scrollTop + scrollY") > 50, "the page scrolls")
    assert zoom_of(page, "touch/0") == far
    chart.scroll_into_view_if_needed()
    chart.get_by_role("button", name="Show all").tap()
    assert zoom_of(page, "touch/0") is None


def test_a_double_tap_shows_everything(open_page: Callable[..., Sight], bridge: str) -> None:
    write(bridge, "taps", columns("tapped", [*range(50)]))
    options = {"viewport": {"width": 400, "height": 800}, "has_touch": True, "is_mobile": True}
    page = open_page(f"{bridge}/#/scalars?only=taps&zoom=10%3A20%3Atapped", **options).page
    over = card(page, "tapped").locator(".u-over")
    assert zoom_of(page, "tapped") == [10, 20]
    over.tap()
    over.tap()
    assert zoom_of(page, "tapped") is None


# --- tokens -----------------------------------------------------------------------------------------------------------------


def test_a_token_that_is_revoked_while_one_watches_is_asked_for_again_and_nothing_is_lost(
    open_page: Callable[..., Sight], tmp_path: Path
) -> None:
    """The page stays where it is, with its zoom and smoothing, and shows what was written meanwhile."""
    writes, writer = new_token("writer", frozenset({Scope.WRITE}))
    first, reader = new_token("reader", frozenset({Scope.READ}))
    second, other = new_token("other", frozenset({Scope.READ}))
    tokens = tmp_path / "tokens"

    def know(*lines: Any) -> None:
        fresh = tmp_path / "fresh"
        fresh.write_text("".join(f"{line.line()}\n" for line in lines))
        fresh.chmod(0o600)
        fresh.replace(tokens)

    know(writer, reader)
    command = [TBBRIDGE, "serve", "--logdir", str(tmp_path / "runs"), "--port", "0", "--tokens-file", str(tokens)]
    with Process(command, env=environment()) as process:
        bridge = address_in(process)

        def log(steps: range) -> None:
            column = {"tag": "loss", "steps": [*steps], "values": [step / 4 for step in steps]}
            body = json.dumps({"runs": [{"run": "secret", "scalars": [column]}]}).encode()
            headers = {"Content-Type": "application/json", "Authorization": f"Bearer {writes}"}
            urllib.request.urlopen(urllib.request.Request(f"{bridge}/api/v1/write", body, headers), timeout=30).close()

        log(range(40))
        sight = open_page(f"{bridge}/#/scalars?smooth=0.5&zoom=10%3A20%3Aloss")
        page = sight.page
        page.get_by_label("Token", exact=True).fill(first)
        page.keyboard.press("Enter")
        loss = card(page, "loss")
        expect(page.locator(".connection")).to_have_text("live")
        page.evaluate("window.isSamePage = true")
        know(writer, other)
        expect(page.get_by_role("dialog")).to_contain_text("not known here, or not any more")
        log(range(40, 44))
        page.get_by_label("Token", exact=True).fill(second)
        page.keyboard.press("Enter")
        expect(page.locator(".connection")).to_have_text("live")
        until(lambda: table_of(loss)["secret"][:3] == ["44", "43", "10.75"], "what was missed is there")
        log(range(44, 45))
        until(lambda: table_of(loss)["secret"][:3] == ["45", "44", "11"], "and what comes")
        assert page.evaluate("window.isSamePage")
        assert zoom_of(page, "loss") == [10, 20]
        expect(page.get_by_role("slider", name="Smoothing")).to_have_value("0.5")
        assert second not in page.url
        sight.troubles[:] = [line for line in sight.troubles if "401" not in line]


# --- a feed that is late ------------------------------------------------------------------------------------------------------

# What the feed says is kept back for as long as `held` is a promise that nobody has kept.
HOLDS_THE_FEED = """
    const plain = window.fetch;
    window.held = null;
    window.fetch = async (...asked) => {
        const answer = await plain(...asked);
        if (!String(asked[0]?.url ?? asked[0]).includes("api/v1/live")) return answer;
        const late = new TransformStream({ transform: async (piece, out) => { await window.held; out.enqueue(piece); } });
        return new Response(answer.body.pipeThrough(late), answer);
    };
"""


@pytest.mark.parametrize("count", [3, 20_000], ids=["every point", "candlesticks"])
def test_points_that_a_chart_has_read_are_not_shown_twice_when_the_feed_tells_of_them_later(
    open_page: Callable[..., Sight], tmp_path: Path, count: int
) -> None:
    with serve(tmp_path) as process:
        bridge = address_in(process)
        write(bridge, "snail", columns("slow", [*range(count)]), columns("other", [1]))
        page = open_page("about:blank").page
        page.add_init_script(HOLDS_THE_FEED)
        page.goto(f"{bridge}/#/scalars?tags=other")
        other = card(page, "other")
        until(lambda: table_of(other)["snail"][0] == "1", "the page is there")
        page.evaluate("window.held = new Promise((keep) => (window.release = keep)); null")
        write(bridge, "snail", columns("slow", [7, 8], first=count))
        page.get_by_role("searchbox", name="Filter charts").fill("slow")
        slow = card(page, "slow")
        until(lambda: table_of(slow)["snail"][0] == f"{count + 2:,}", "all of it was read")
        page.evaluate("window.release()")
        write(bridge, "snail", columns("slow", [9], first=count + 2))
        until(lambda: table_of(slow)["snail"][1] == f"{count + 2:,}", "the feed has told of all of it")
        assert table_of(slow)["snail"][0] == f"{count + 3:,}"


# --- runs that go and come back -----------------------------------------------------------------------------------------------


def test_a_run_is_put_back_by_the_button_and_a_file_that_is_no_archive_is_refused(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    write(bridge, "boat", columns("water", [1, 2, 3]))
    sight = open_page(f"{bridge}/#/scalars?tags=water")
    page = sight.page
    run_menu(page, "boat")
    archive = downloaded(page, lambda: page.get_by_role("menuitem", name="Download as a zip").click())

    def choose(name: str, content: bytes) -> None:
        with page.expect_file_chooser() as waiting:
            page.get_by_role("button", name="Put a run back from a zip").click()
        waiting.value.set_files({"name": name, "mimeType": "application/zip", "buffer": content})

    choose("torn.zip", archive[: len(archive) // 2])
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("alert")).to_contain_text("zip")
    page.keyboard.press("Escape")
    write(bridge, "boat", columns("water", [4], first=3))
    water = card(page, "water")
    until(lambda: table_of(water)["boat"][:3] == ["4", "3", "4"], "a point is there that the archive has not")
    choose("boat.zip", archive)
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("alert")).to_contain_text("boat")  # there is one
    page.get_by_role("checkbox", name="Replace the run").check()
    page.get_by_role("button", name="Restore").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    until(lambda: table_of(water)["boat"][:3] == ["3", "2", "3"], "the run is as it was in the archive")
    sight.troubles[:] = [line for line in sight.troubles if not re.search("409|400", line)]
    delete(bridge, run="boat")


def test_a_run_that_is_deleted_while_it_is_watched_is_gone_and_begins_afresh_when_it_is_written_again(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    write(bridge, "phoenix", columns("feathers", [*range(50)]), columns("flames", [1, 2]))
    page = open_page(f"{bridge}/#/scalars?only=phoenix&zoom=10%3A20%3Afeathers").page
    feathers = card(page, "feathers")
    assert table_of(feathers)["phoenix"][:2] == ["50", "49"]
    delete(bridge, run="phoenix")
    expect(page.locator(".run", has_text="phoenix")).to_have_count(0)
    expect(page.locator(".card")).to_have_count(0)
    write(bridge, "phoenix", columns("feathers", [7.5]))
    again = card(page, "feathers")
    until(lambda: table_of(again)["phoenix"][:3] == ["1", "0", "7.5"], "only what is new is there")
    delete(bridge, run="phoenix", tag="feathers")
    expect(page.locator(".card")).to_have_count(0)
    delete(bridge, run="phoenix")


@pytest.mark.parametrize("count", [40, 20_000], ids=["every point", "candlesticks"])
def test_a_training_that_goes_on_from_an_earlier_step_hides_what_is_shown(
    open_page: Callable[..., Sight], tmp_path: Path, count: int
) -> None:
    """In open charts of all its series, at once and after the page is loaded again, as TensorBoard does that restarts at it."""
    half = count // 2
    with serve(tmp_path, "--veil-s", "0.05") as process:
        bridge = address_in(process)
        write(bridge, "again", columns("loss", [*range(count)]), columns("aside", [*range(count)]))
        write(bridge, "again", summaries=[picture(step, "sketch") for step in (1, half, count)])
        page = open_page(f"{bridge}/").page
        loss, aside = card(page, "loss"), card(page, "aside")
        until(lambda: table_of(aside)["again"][1] == f"{count - 1:,}", "all is shown")
        image = open_page(f"{bridge}/#/images").page.locator(".panel img")
        expect(image).to_have_attribute("alt", f"sketch of again at step {count}")
        write(bridge, "again", columns("loss", [-7], first=half), purge_step=half)

        def shown(chart: Locator) -> list[str]:
            """Last step, lowest and highest value."""
            cells = table_of(chart)["again"]
            return [cells[1], *cells[3:5]]

        expected = [f"{half:,}", "\u22127", str(half - 1)]

        until(lambda: shown(loss) == expected, "what is new took the place of what was there")
        until(lambda: shown(aside)[0] == f"{half - 1:,}", "what is hidden is gone from the others, too")
        page.reload()
        loss, aside = card(page, "loss"), card(page, "aside")
        until(lambda: shown(loss) == expected, "the same after a reload")
        assert shown(aside)[0] == f"{half - 1:,}"
        expect(image).to_have_attribute("alt", "sketch of again at step 1")
        with tensorboard(tmp_path, "false") as viewer:

            def are_the_same(tag: str) -> bool:
                ours = get(f"{bridge}/api/v1/scalars", run="again", tag=tag)
                theirs = viewer.scalars("again", tag)
                return [*zip(ours["steps"], ours["values"], strict=True)] == [(step, value) for _, step, value in theirs]

            until(lambda: are_the_same("loss") and are_the_same("aside"), "TensorBoard shows the same points")


# --- numbers and names --------------------------------------------------------------------------------------------------------


def test_nan_only_one_point_and_steps_beyond_2_to_the_53_are_drawn_and_can_be_zoomed(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    far = [2**53 + 1, 2**62]
    odd = [columns("nan only", ["NaN", "NaN", "NaN"]), columns("one point", [7]), columns(f"turned {TURNED}", [1, 2])]
    odd.append({"tag": "far", "steps": far, "values": [1, 2]})
    odd.append(columns("infinite", ["Infinity", "-Infinity"]))
    write(bridge, "odd", *odd)
    page = open_page(f"{bridge}/#/scalars?only=odd").page
    charts = {tag: card(page, tag) for tag in ("nan only", "one point", "far", "infinite")}
    for chart in charts.values():
        expect(chart).not_to_have_class(re.compile("loading"))
        assert colors(chart.locator(".u-wrap canvas")) > 10, "something is drawn besides axes, in the run's colour"
    assert strong_pixels(charts["nan only"]) > 20  # its marks
    assert strong_pixels(charts["one point"]) > 8  # its dot
    assert table_of(charts["nan only"])["odd"] == ["3", "2", "NaN", "NaN", "NaN", "3"]
    assert table_of(charts["one point"])["odd"][:5] == ["1", "0", "7", "7", "7"]
    assert [cell[:5] for cell in table_of(charts["far"])["odd"][1:3]] == ["≈4.61", "2"]
    for tag in ("one point", "far"):
        charts[tag].get_by_role("button", name="Show as a table").click()
        plot = charts[tag].locator(".plot")
        plot.focus()
        for key in ("+", "+", "ArrowLeft"):
            page.keyboard.press(key)
        zoom = zoom_of(page, tag)
        assert zoom is not None
        assert zoom[0] < zoom[1]
        page.keyboard.press("0")
        assert zoom_of(page, tag) is None
    said = downloaded(page, lambda: from_menu(charts["far"], "Save every point as CSV")).decode()
    assert [int(line.split(",")[2]) for line in said.splitlines()[1:]] == far  # each digit of them
    expect(page.locator(".card h3", has_text="turned left⟨U+202E⟩tfel")).to_be_visible()


def strong_pixels(chart: Locator) -> int:
    """Pixels of a chart's canvas that are as strongly coloured as a run is; axes and grids are grey."""
    found: int = chart.locator(".u-wrap canvas").evaluate(
        """canvas => {
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            let count = 0;
            for (let i = 0; i < data.length; i += 4) {
                const three = [data[i], data[i + 1], data[i + 2]];
                if (data[i + 3] > 100 && Math.max(...three) - Math.min(...three) > 60) count += 1;
            }
            return count;
        }"""
    )
    return found


def test_ten_million_points_open_and_refine(open_page: Callable[..., Sight], tmp_path: Path) -> None:
    folder = tmp_path / "long"
    folder.mkdir()
    random = np.random.default_rng(3)
    values = random.normal(size=TEN_MILLION).astype(np.float32)
    spike = 6_543_210
    values[spike] = 1000
    with (folder / "events.out.tfevents.1700000000.test.1.0").open("wb") as file:
        file.write(encode_file_start(1.7e9, session_start=True))
        for start in range(0, TEN_MILLION, 1_000_000):
            steps = np.arange(start, start + 1_000_000)
            part = ScalarColumns(tag_name("loss"), values[steps].astype(np.float64), steps, 1.7e9 + steps.astype(np.float64))
            file.write(encode_run(RunBatch(run_name("long"), (part,)), set()))
    with serve(tmp_path) as process:
        address = address_in(process)
        page = open_page(f"{address}/").page
        loss = card(page, "loss")
        expect(loss).to_have_attribute("data-dense", "candles")
        cells = table_of(loss)["long"]
        assert (cells[0], cells[1], cells[4]) == ("10,000,000", "9,999,999", "1000")
        page = open_page(f"{address}/#/scalars?zoom={spike - 20}%3A{spike + 20}%3Aloss").page
        loss = card(page, "loss")

        def rows() -> list[list[str]]:
            text = downloaded(page, lambda: from_menu(loss, "Save what is shown as CSV")).decode()
            return [line.split(",")[2:] for line in text.splitlines()[1:]]

        steps = range(spike - 20, spike + 21)
        until(lambda: [int(row[0]) for row in rows()] == [*steps], "every point of the stretch is read")
        assert [float(row[2]) for row in rows()] == pytest.approx(values[steps].tolist())


def test_ten_thousand_tags_stay_usable_while_points_stream_in(open_page: Callable[..., Sight], tmp_path: Path) -> None:
    """Two hundred of them get a point ten times a second; filtering and scrolling go on."""
    with serve(tmp_path) as process:
        bridge = address_in(process)
        write(bridge, "many", *[columns(f"group{n % 500}/tag{n}", [1, 2]) for n in range(10_000)])
        page = open_page(bridge).page
        first = card(page, "group0/tag0")
        ended = threading.Event()
        sent = 2

        def points(chart: Locator) -> int:
            return int(table_of(chart)["many"][0])

        def stream() -> None:
            nonlocal sent
            while not ended.is_set():
                write(bridge, "many", *[columns(f"group{n % 500}/tag{n}", [sent], first=sent) for n in range(0, 10_000, 50)])
                sent += 1
                ended.wait(0.1)

        streaming = threading.Thread(target=stream)
        streaming.start()
        try:
            until(lambda: points(first) > 5, "points are seen as they come")
            page.get_by_role("searchbox", name="Filter charts").fill("tag50$")
            expect(page.locator(".card")).to_have_count(1)
            filtered = card(page, "group50/tag50")
            until(lambda: points(filtered) > 8, "a chart that was not there before goes on, too")
        finally:
            ended.set()
            streaming.join()
        until(lambda: points(filtered) == sent, "no point is missing in the end")


# --- the other views ----------------------------------------------------------------------------------------------------------


def picture(step: int, tag: str = "drawn") -> dict[str, Any]:
    return {"kind": "image", "tag": tag, "step": step, "images": [RED]}


def test_images_go_back_by_their_slider_and_stay_there_when_new_ones_come(open_page: Callable[..., Sight], bridge: str) -> None:
    write(bridge, "painter", summaries=[picture(step) for step in (1, 2, 3)])
    page = open_page(f"{bridge}/#/images?only=painter").page
    panel = page.locator(".panel", has_text="drawn")
    image = panel.locator("img")
    expect(image).to_have_attribute("alt", "drawn of painter at step 3")
    assert image.evaluate("img => img.decode().then(() => img.naturalWidth)") == 1
    write(bridge, "painter", summaries=[picture(4)])
    expect(image).to_have_attribute("alt", "drawn of painter at step 4")  # who is at the newest stays there
    slider = panel.get_by_role("slider", name="Step of drawn")
    slider.fill("1")
    expect(image).to_have_attribute("alt", "drawn of painter at step 2")
    write(bridge, "painter", summaries=[picture(5)])
    expect(slider).to_have_attribute("max", "4")
    expect(image).to_have_attribute("alt", "drawn of painter at step 2")
    page.get_by_role("link", name="Health").click()
    page.get_by_role("link", name="Images").click()
    expect(panel.locator("img")).to_have_attribute("alt", "drawn of painter at step 2")
    assert panel.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth)") == 1


def test_sound_that_could_not_be_fetched_is_fetched_again_with_the_next_one(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    def clip(step: int) -> dict[str, Any]:
        return {"kind": "audio", "tag": "speech", "step": step, "samples": [0.0, 0.5] * 2000, "sample_rate": 8000}

    write(bridge, "singer", summaries=[clip(1), clip(2)])
    sight = open_page(f"{bridge}/#/scalars?only=singer")
    page = sight.page
    refused: list[str] = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.abort()

    page.route("**/api/v1/blob?*", refuse)
    page.get_by_role("link", name="Audio").click()
    panel = page.locator(".panel", has_text="speech")
    expect(panel.get_by_role("slider")).to_have_attribute("max", "1")
    panel.get_by_role("slider").fill("0")
    expect(panel.locator(".players")).to_contain_text("fetch")
    until(lambda: refused, "it was asked for")
    page.unroute("**/api/v1/blob?*")
    write(bridge, "singer", summaries=[clip(3)])  # the slider stays at the step that was not fetched
    player = panel.locator("audio")
    expect(player).to_have_attribute("aria-label", "speech of singer at step 1")
    until(lambda: player.evaluate("player => player.duration") == pytest.approx(0.5), "it can be played")


def test_histograms_are_ridges_or_a_heat_map(open_page: Callable[..., Sight], bridge: str) -> None:
    random = np.random.default_rng(5)
    steps = [{"kind": "histogram", "tag": "weights", "step": n, "values": random.normal(n, 1, 200).tolist()} for n in range(12)]
    write(bridge, "shapes", summaries=steps)
    page = open_page(f"{bridge}/#/histograms?only=shapes").page
    canvas = page.locator("canvas.histogram")
    expect(canvas).to_have_attribute("aria-label", re.compile("12 steps, the last 11; values from"))
    ridges = canvas.screenshot()
    assert colors(canvas) > 30
    page.get_by_role("combobox", name="Form of the histograms").select_option("heat")
    until(lambda: canvas.screenshot() != ridges, "it is drawn in another form")


def test_lines_of_thinned_runs_are_smoothed_as_those_of_whole_ones_and_show_that_there_is_nan(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    """Of their lowest and highest points the average would be about two."""
    random = np.random.default_rng(11)
    for run, count in {"even/long": 20_000, "even/short": 300}.items():
        values = random.exponential(size=count)
        values[count // 10 :: count // 10] = np.nan
        column = columns("noise", ["NaN" if np.isnan(value) else value for value in values.tolist()])
        write(bridge, run, column | {"wall_times": np.linspace(1.7e9, 1.7e9 + 1000, count).tolist()})
    page = open_page(f"{bridge}/#/scalars?only=even/long&only=even/short&x=wall&smooth=0.99").page
    noise = card(page, "noise")
    cells = table_of(noise)
    assert cells["even/short"][5] == "9"
    assert cells["even/long"][5] == "\u2265 9"
    noise.get_by_role("button", name="Show as a table").click()
    plot = noise.locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    plot.hover(position={"x": box["width"] * 0.9, "y": box["height"] / 2})
    reads = '(rows) => rows.map((row) => [row.querySelector("bdi").innerText, row.querySelector("td.num").innerText])'
    shown = until(lambda: dict(noise.locator(".tip tr").evaluate_all(reads)), "the tip is there")
    assert shown.keys() == cells.keys()
    smoothed = [float(text.split()[0]) for text in shown.values()]  # "1.02 (0.3)"
    assert smoothed == pytest.approx([1, 1], abs=0.4)
