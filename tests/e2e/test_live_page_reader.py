"""The live page as somebody reads it: what he chose stays his choice, and what is said of a place is true of that place.

As in test_live_page_shown.py nothing may go wrong on a page that a test does not expect, and without Chromium all are skipped.
"""

from __future__ import annotations

import csv
import io
import re
import urllib.parse
from collections.abc import Callable, Iterator

import pytest
from browser import CHROMIUM, Sight, colors
from live_page import card, columns, downloaded, from_menu, table_of, write, zoom_of
from playwright.sync_api import Locator, Page, expect
from processes import address_in, post, serve, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium")

LONG = 3000  # points: more than the bridge gives of a run at once
BEGUN = 1_000_000_000.25  # a moment: in Tokyo it was 10:46:40
LONG_NAME = "sweep/" + "learning_rate=0.001,weight_decay=0.0001," * 6
RED = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel of PNG


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bridge with runs of which each test looks at its own."""
    with serve(tmp_path_factory.mktemp("reader") / "runs", "--veil-s", "0.05") as process:
        address = address_in(process)
        long = columns("level", [step % 7 for step in range(LONG)])
        write(address, "long", {**long, "wall_times": [BEGUN + step for step in range(LONG)]})
        write(address, "short", columns("level", [4, 5, 6]), columns("below", [-1, -2, -3]))
        pictures = [{"kind": "image", "tag": "drawn", "step": step, "images": [RED]} for step in (1, 2, 3)]
        write(address, "painter", columns("paint", [1, 3, 2]), summaries=pictures)
        records = [{"message": f"line {n}", "level": 20, "wall_time": BEGUN + n} for n in range(3)]
        write(address, "talker", columns("words", [1]), logs=records)
        write(address, LONG_NAME, columns("words", [1]), logs=records[:1])
        yield address
        assert process.end() == 0, process.output


def shown(chart: Locator) -> list[dict[str, str]]:
    """What the chart says it shows."""
    text = downloaded(chart.page, lambda: from_menu(chart, "Save what is shown as CSV")).decode()
    return list(csv.DictReader(io.StringIO(text)))


def tab(page: Page, name: str) -> Locator:
    return page.get_by_role("navigation").get_by_role("link", name=name, exact=True)


# --- charts -------------------------------------------------------------------------------------------------------------------


def test_a_logarithmic_axis_comes_and_goes_by_menu_and_by_address(open_page: Callable[..., Sight], bridge: str) -> None:
    page = open_page(f"{bridge}/#/scalars?runs=painter").page
    paint = card(page, "paint")
    for address in ("log=paint", "runs=painter$", "log=paint"):
        paint.get_by_role("button", name="More for paint").click()
        page.get_by_role("menuitemcheckbox", name="Logarithmic axis").click()
        expect(page).to_have_url(re.compile(address))
    page.reload()
    paint = card(page, "paint")
    assert colors(paint.locator("canvas")) > 10
    assert [row["value"] for row in shown(paint)] == ["1", "3", "2"]


def test_a_logarithmic_axis_says_so_where_no_value_is_above_0(open_page: Callable[..., Sight], bridge: str) -> None:
    below = card(open_page(f"{bridge}/#/scalars?tags=below&log=below").page, "below")
    note = below.locator(".note")
    expect(note).to_contain_text("No value here is above 0")
    write(bridge, "short", columns("below", [0.5], first=3))
    expect(note).to_be_hidden()


# What is written onto a canvas is in no element.
_KEEPS_WHAT_IS_WRITTEN = """
    window.written = [];
    const { fillText } = CanvasRenderingContext2D.prototype;
    CanvasRenderingContext2D.prototype.fillText = function (...what) {
        window.written.push(what[0]);
        return fillText.apply(this, what);
    };
"""


def test_values_can_be_read_off_a_short_logarithmic_axis_and_names_off_a_picture(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    runs = [f"crowd/{n:02}-{'wide' * 30}-{n:02}" for n in range(14)]
    for n, run in enumerate(runs):
        write(bridge, run, columns("tight", [0.3, 0.33 - n / 1000]))
    page = open_page("about:blank").page
    page.add_init_script(_KEEPS_WHAT_IS_WRITTEN)
    page.goto(f"{bridge}/#/scalars?tags=tight&log=tight")
    tight = card(page, "tight")
    until(lambda: {"0.3", "0.31", "0.32", "0.33"} <= set(page.evaluate("window.written")), "the axis has labels")
    until(lambda: len(table_of(tight)) == len(runs), "all are there")
    page.evaluate("window.written = []")
    downloaded(page, lambda: from_menu(tight, "Save as PNG"))
    title, *legend = page.evaluate("window.written")[-13:]
    assert title == "tight"
    assert legend[-1] == "and 3 more"
    for run, text in zip(runs, legend[:-1], strict=False):
        begin, end = text.split("\u2026")
        assert run.startswith(begin)
        assert run.endswith(end)
        assert len(end) > 3, "which tells it from the others"


def test_a_stretch_of_a_long_run_is_read_finely_also_by_the_time_since_it_began(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    level = card(open_page(f"{bridge}/#/scalars?only=long&x=relative&zoom=1999.5%3A2100.5%3Alevel").page, "level")
    until(lambda: [int(row["step"]) for row in shown(level)] == [*range(2000, 2101)], "every point of the stretch is shown")


def test_the_candle_under_the_cursor_is_told_of_on_both_of_its_halves(open_page: Callable[..., Sight], bridge: str) -> None:
    page = open_page(f"{bridge}/#/scalars?only=long&wide=1").page
    level = card(page, "level")
    expect(level).to_have_attribute("data-dense", "candles")
    candles = shown(level)
    candle = candles[len(candles) // 2]
    first, last = int(candle["first_step"]), int(candle["last_step"])
    box = level.locator(".u-over").bounding_box()
    assert box is not None
    room = 0.015 * (LONG - 1)
    for part in (0.25, 0.75):
        at = (first + part * (last - first) + room) / (LONG - 1 + 2 * room)
        page.mouse.move(box["x"] + at * box["width"], box["y"] + 60)
        expect(level.locator(".tip td.num").last).to_have_text(f"{first:,}\u2013{last:,}")


def test_candlesticks_and_points_are_saved_below_the_same_heads(open_page: Callable[..., Sight], bridge: str) -> None:
    level = card(open_page(f"{bridge}/#/scalars?only=long&only=short&dense=candles").page, "level")
    rows: list[dict[str, str]] = until(
        lambda: {row["run"] for row in shown(level)} == {"long", "short"} and shown(level), "both"
    )
    names = ("first_step", "last_step", "count", "min", "q1", "median", "q3", "max")
    assert [[row[name] for name in names] for row in rows if row["run"] == "short"] == [
        [str(step), str(step), "1", *[str(value)] * 5] for step, value in enumerate((4, 5, 6))
    ]
    assert sum(int(row["count"]) for row in rows if row["run"] == "long") == LONG


# --- views --------------------------------------------------------------------------------------------------------------------

_CLICKS_ON = (
    "(names) => names.forEach((name) => document.querySelector(`#tabs a[data-view=${name}]`).click())"  # within a frame
)


def test_a_view_is_still_alive_after_its_own_tab_was_clicked_and_after_away_and_back_at_once(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    page = open_page(f"{bridge}/#/scalars?runs=painter").page
    paint = card(page, "paint")
    for names in (["scalars"], ["images", "scalars"]):
        page.evaluate(_CLICKS_ON, names)
        expect(paint.locator("canvas")).to_be_visible()
        assert colors(paint.locator("canvas")) > 10
    page.evaluate(_CLICKS_ON, ["images"])
    panel = page.locator(".panel", has_text="drawn")
    expect(panel.locator("img")).to_have_attribute("alt", "drawn of painter at step 3")
    page.evaluate(_CLICKS_ON, ["images", "scalars", "images"])
    panel.get_by_role("slider").fill("0")
    expect(panel.locator("img")).to_have_attribute("alt", "drawn of painter at step 1")


def test_the_filter_of_tags_is_seen_in_every_view_that_it_holds_in(open_page: Callable[..., Sight], bridge: str) -> None:
    page = open_page(f"{bridge}/#/scalars?tags=paint").page
    card(page, "paint")
    tab(page, "Images").click()
    page.get_by_role("searchbox", name="Filter tags").fill("wor")
    tab(page, "Scalars").click()
    expect(page.get_by_role("searchbox", name="Filter charts")).to_have_value("wor")
    expect(page.locator(".card")).to_have_count(1)
    card(page, "words")


def test_back_leads_to_the_view_before_with_what_was_chosen_since(open_page: Callable[..., Sight], bridge: str) -> None:
    """One step a view, however often its tab is clicked; what is typed into the address is read as a whole."""
    page = open_page(f"{bridge}/#/scalars?runs=painter&zoom=0%3A1%3Apaint").page
    page.evaluate("window.isSamePage = true")
    paint = card(page, "paint")
    paint.get_by_role("button", name="Show all").click()
    assert zoom_of(page, "paint") is None
    for name in ("Images", "Health"):
        tab(page, name).click()
        tab(page, name).click()
        expect(page).to_have_title(re.compile(name))
    page.go_back()
    expect(page.locator(".panel img")).to_be_visible()
    expect(tab(page, "Images")).to_have_attribute("aria-current", "page")
    page.go_back()
    expect(paint.locator("canvas")).to_be_visible()
    assert zoom_of(page, "paint") is None
    assert "#/scalars?runs=painter" in page.url
    page.go_forward()
    expect(page).to_have_title(re.compile("Images"))
    assert page.evaluate("window.isSamePage")
    page.goto(f"{bridge}/#/scalars?tags=words")
    card(page, "words")
    page.go_back()
    expect(page.locator(".panel img")).to_be_visible()
    expect(page.get_by_role("searchbox", name="Filter runs")).to_have_value("painter")


# --- runs ---------------------------------------------------------------------------------------------------------------------


def test_a_run_that_is_renamed_stays_as_it_was_chosen_and_coloured(open_page: Callable[..., Sight], bridge: str) -> None:
    for run in ("mover/a", "mover/b", "mover/c"):
        write(bridge, run, columns("moved", [1, 2, 3]))
    seen = """[...document.querySelectorAll(".run")].map((row) => [row.dataset.run, {
        colour: row.style.getPropertyValue("--run"),
        isShown: row.querySelector("input").checked,
        isSelected: row.classList.contains("selected"),
    }])"""

    def rename(run: str, to: str) -> None:
        post(f"{bridge}/api/v1/runs/rename", {"run": run, "to": to})
        expect(page.locator(f".run[data-run='{to}']")).to_be_visible()
        expect(page.locator(f".run[data-run='{run}']")).to_have_count(0)

    page = open_page(f"{bridge}/#/scalars?runs=mover&only=mover%2Fa&select=mover%2Fa&zoom=0%3A1%3Amoved").page
    moved = card(page, "moved")
    page.evaluate("(card) => card.isSame = true", moved.element_handle())
    before = dict(page.evaluate(seen))
    rename("mover/a", "mover/z")
    expect(page).to_have_url(re.compile("only=mover%2Fz&select=mover%2Fz"))
    after = dict(page.evaluate(seen))
    assert after == {"mover/b": before["mover/b"], "mover/c": before["mover/c"], "mover/z": before["mover/a"]}
    until(lambda: {row["run"] for row in shown(moved)} == {"mover/z"}, "its points are there by its new name")
    assert zoom_of(page, "moved") == [0, 1]
    assert moved.evaluate("(card) => card.isSame"), "the chart was made anew"


def test_metrics_beside_hyperparameters_are_numbers_that_follow_what_comes(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    """Though one is NaN; and who sorts with the keyboard is not thrown out of the table by a point."""
    for lr, score in ((0.5, 0.25), (0.25, 0.75), (0.125, "NaN")):
        write(bridge, f"tried/{lr}", columns("score", [score]), summaries=[{"kind": "hparams", "values": {"lr": lr}}])
    page = open_page(f"{bridge}/#/hparams").page
    marks = page.locator("svg text.mark")
    expect(marks).to_have_text(["0.125", "0.313", "0.5", "0.25", "0.5", "0.75"])
    sort = page.locator("th").get_by_role("button", name="score")
    sort.focus()
    page.evaluate("document.activeElement.isOld = true")
    write(bridge, "tried/0.5", columns("score", [1.75], first=1))
    row = page.locator("tr", has=page.get_by_role("rowheader", name="tried/0.5"))
    expect(row.locator("td")).to_have_text(["0.5", "1.75"])
    assert not sort.evaluate("(button) => button.isOld ?? false"), "the table was made anew"
    expect(sort).to_be_focused()


# --- logs ---------------------------------------------------------------------------------------------------------------------


def test_a_record_has_the_time_of_the_readers_clock_and_tells_the_moment_in_full(
    open_page: Callable[..., Sight], bridge: str
) -> None:
    page = open_page(f"{bridge}/#/logs?log-run=talker", timezone_id="Asia/Tokyo").page
    time = page.locator(".record time").first
    expect(time).to_have_text("10:46:40.250")
    expect(time).to_have_attribute("title", re.compile("^2001-09-09T01:46:40.250"))


def test_a_log_without_records_says_that_it_has_none(open_page: Callable[..., Sight], bridge: str) -> None:
    page = open_page(f"{bridge}/#/logs?log-run=talker").page
    count = page.locator(".toolbar .num")
    expect(count).to_have_text("3 of 3 records")
    page.get_by_role("combobox", name="Run", exact=True).select_option("painter")
    expect(count).to_have_text("0 of 0 records")


def test_a_long_name_of_a_run_does_not_make_its_log_wider_than_the_screen(open_page: Callable[..., Sight], bridge: str) -> None:
    query = urllib.parse.urlencode({"log-run": LONG_NAME})
    page = open_page(f"{bridge}/#/logs?{query}", viewport={"width": 700, "height": 600}).page
    expect(page.locator(".record")).to_have_count(1)
    for selector in ("#main", "html"):
        assert page.locator(selector).evaluate("(one) => one.scrollWidth - one.clientWidth") == 0
