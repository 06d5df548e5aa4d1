"""The live page in a real browser, before a real bridge: what a reader sees and does, and what strangers cannot do to him.

One bridge and one browser serve all tests but those that kill the bridge or ask for a token. At the end of each test nothing
may have gone wrong on the page: no script error, no message of the content security policy, no refused request. Without
Chromium on the machine these tests are skipped: `apt-get install chromium` brings it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import signal
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, Sight, colors
from live_page import card, columns, delete, downloaded, findings, from_menu, only, run_menu, table_of, write, zoom_of
from playwright.sync_api import Page, expect
from processes import TBBRIDGE, Process, address_in, environment, get, serve, tensorboard, until

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine: apt-get install chromium")

DENSE = 40_000
NOISE = np.random.default_rng(8).normal(0, 1, DENSE).astype(np.float32)
EVIL = '<img src=x onerror="window.pwned=1">'
TURNED = "left\u202etfel"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel of PNG
EVIL_TEXT = f"""# A note <script>window.pwned = 1</script>

{EVIL} and [a link](javascript:window.pwned=1), [a good one](https://example.org/a) and **bold**

| a | b |
|---|---|
| 1 | `<b>` |

![picture](https://example.org/spy.png)
"""


@pytest.fixture(scope="module")
def logdir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page") / "runs"


@pytest.fixture(scope="module")
def bridge(logdir: Path) -> Iterator[str]:
    """A bridge with something of each kind, some of it evil."""
    with serve(logdir, "--veil-s", "2") as process:
        address = address_in(process)
        write(address, "dense", columns("noise", NOISE.tolist()), columns("loss", [3, 2, 1]), status="running")
        write(address, "digits/a", columns("loss", [3, 2.5, "NaN", 2]), columns("acc/train", [0.1, 0.2]), status="finished")
        write(address, "digits/b", columns("loss", [3, 1.5, 1.2, 1.1]), columns("acc/train", [0.3, 0.4]), status="failed")
        odd = [columns(EVIL, [1, 2]), columns("nan only", ["NaN", "NaN"]), columns("one point", [7])]
        odd.append({"tag": "far", "steps": [2**53 + 1, 2**62], "values": [1, 2]})
        write(
            address,
            f"odd/{EVIL}".replace("/>", ">"),
            *odd,
            summaries=[
                {"kind": "text", "tag": f"note {EVIL}", "step": 1, "text": EVIL_TEXT},
                {"kind": "image", "tag": "picture", "step": 1, "images": [PIXEL]},
                {"kind": "audio", "tag": "click", "step": 1, "samples": [0, 0.7, 1, 0], "sample_rate": 8000},
                {"kind": "histogram", "tag": "weights", "step": 1, "values": [1, 2, 2, 3]},
            ],
            logs=[{"message": EVIL, "level": 40, "logger": EVIL}, {"message": "all is well", "level": 20}],
        )
        write(address, TURNED, columns("loss", [2, 2]))
        for lr in (0.1, 0.01):
            start = {"kind": "hparams", "values": {"lr": lr, "name": EVIL}}
            write(address, f"hparams/{lr}", columns("score", [lr]), summaries=[start])
        yield address
        assert process.end() == 0, process.output


@pytest.fixture
def page(open_page: Callable[..., Sight], bridge: str) -> Page:
    """The page with all runs."""
    page = open_page(f"{bridge}/").page
    expect(page.locator(".connection")).to_have_text("live")
    return page


def test_points_runs_and_tags_appear_as_they_come(page: Page, bridge: str) -> None:
    page.get_by_role("searchbox", name="Filter charts").fill("^loss$|brand")
    loss = card(page, "loss")
    assert table_of(loss)["digits/b"][:3] == ["4", "3", "1.1"]
    write(bridge, "digits/b", columns("loss", [0.5], first=4))
    expect(loss.locator("tbody")).to_contain_text("0.5")
    assert table_of(loss)["digits/b"][:3] == ["5", "4", "0.5"]
    write(bridge, "digits/new", columns("loss", [9.25]), columns("brand/new", [1]))
    expect(loss.locator("tbody")).to_contain_text("9.25")
    expect(page.locator(".run", has_text="new")).to_be_visible()
    card(page, "brand/new")
    delete(bridge, run="digits/new")
    expect(page.locator('.card[data-tag="brand/new"]')).to_have_count(0)
    expect(page.locator(".run", has_text="new")).to_have_count(0)


def test_what_is_painted_changes_with_a_point(page: Page, bridge: str) -> None:
    plot = card(page, "loss").locator(".plot")
    before = plot.screenshot()
    assert colors(plot) > 20
    write(bridge, "digits/a", columns("loss", [8.0], first=4))
    until(lambda: plot.screenshot() != before, "the chart was painted again")


def test_runs_are_switched_on_and_off_alone_by_group_and_by_filter(page: Page) -> None:
    loss = card(page, "loss")

    def shown(*runs: str) -> None:
        until(lambda: set(table_of(loss)) == set(runs), f"only {runs} are in the table")

    table_of(loss)
    page.get_by_role("checkbox", name="Show dense").uncheck()
    until(lambda: "dense" not in table_of(loss), "the run is gone from the table")
    only(page, "the group digits")
    shown("digits/a", "digits/b")
    page.get_by_role("checkbox", name="Show digits/a").uncheck()
    shown("digits/b")
    page.get_by_role("checkbox", name="Show all runs").check()
    page.get_by_role("searchbox", name="Filter runs").fill("^d.*[ae]$")
    shown("digits/a", "dense")
    page.get_by_role("searchbox", name="Filter runs").fill("(")
    expect(page.get_by_role("searchbox", name="Filter runs")).to_have_class("bad")
    page.get_by_role("searchbox", name="Filter runs").fill("")
    page.locator('.run[data-run="digits/a"] .name').click()
    expect(page.locator(".selection")).to_contain_text("1 selected")


def test_a_view_can_be_passed_on(page: Page, open_page: Callable[..., Sight], bridge: str) -> None:
    loss = card(page, "loss")
    only(page, "the group digits")
    page.get_by_role("slider", name="Smoothing").fill("0.6")
    page.get_by_role("combobox", name="X axis").select_option("relative")
    loss.locator(".plot").focus()
    page.keyboard.press("+")
    zoom = zoom_of(page, "loss")
    assert zoom is not None
    other = open_page(page.url).page
    again = card(other, "loss")
    until(lambda: set(table_of(again)) == {"digits/a", "digits/b"}, "only the group is shown")
    expect(other.get_by_role("slider", name="Smoothing")).to_have_value("0.6")
    expect(other.get_by_role("combobox", name="X axis")).to_have_value("relative")
    assert zoom_of(other, "loss") == zoom


def test_a_dense_series_is_candlesticks_as_numpy_has_them_and_every_point_when_near(page: Page) -> None:
    only(page, "dense")
    noise = card(page, "noise")
    expect(noise).to_have_attribute("data-dense", "candles")
    text = downloaded(page, lambda: from_menu(noise, "Save what is shown as CSV")).decode()
    bins = list(csv.DictReader(io.StringIO(text)))
    assert 20 <= len(bins) <= 1000
    covered = 0
    for one in bins:
        first, last = int(one["first_step"]), int(one["last_step"])
        values = NOISE[first : last + 1].astype(np.float64)
        covered += len(values)
        assert int(one["count"]) == len(values)
        expected = [values.min(), *np.quantile(values, [0.25, 0.5, 0.75]), values.max()]
        np.testing.assert_allclose([float(one[name]) for name in ("min", "q1", "median", "q3", "max")], expected, rtol=1e-6)
    assert covered == DENSE

    plot = noise.locator(".u-over")
    box = plot.bounding_box()
    assert box is not None
    plot.click(position={"x": 100, "y": 50})
    for _ in range(14):
        page.mouse.wheel(0, -300)
    expect(noise).to_have_attribute("data-dense", "points")
    zoom = zoom_of(page, "noise")
    assert zoom is not None
    text = downloaded(page, lambda: from_menu(noise, "Save what is shown as CSV")).decode()
    points = [(int(row["step"]), float(row["value"])) for row in csv.DictReader(io.StringIO(text))]
    steps = list(range(int(np.ceil(zoom[0])), int(zoom[1]) + 1))
    assert points == [(step, float(f"{float(NOISE[step]):.17g}")) for step in steps]

    page.mouse.move(box["x"] + 150, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 50, box["y"] + 62, steps=4)
    page.mouse.up()
    moved = zoom_of(page, "noise")
    assert moved is not None
    assert moved[0] > zoom[0]
    assert moved[1] - moved[0] == pytest.approx(zoom[1] - zoom[0])
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 60, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 120, box["y"] + 90, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    boxed = zoom_of(page, "noise")
    assert boxed is not None
    assert (boxed[1] - boxed[0]) / (moved[1] - moved[0]) == pytest.approx(60 / box["width"], rel=0.1)
    plot.dblclick(position={"x": 30, "y": 30})
    expect(noise).to_have_attribute("data-dense", "candles")
    assert zoom_of(page, "noise") is None
    assert downloaded(page, lambda: from_menu(noise, "Save as PNG"))[:4] == b"\x89PNG"


def test_a_series_and_a_run_are_deleted_when_the_reader_says_so_twice_and_tensorboard_follows(
    page: Page, bridge: str, logdir: Path
) -> None:
    for run in ("gone/whole", "gone/half"):
        write(bridge, run, columns("doomed/a", [1, 2]), columns("doomed/b", [1]))
    with tensorboard(logdir, "true") as viewer:
        until(lambda: {"gone/whole", "gone/half"} <= set(viewer.runs()), "TensorBoard shows both runs")
        run_menu(page, "gone/whole")
        page.get_by_role("menuitem", name="Delete").click()
        page.keyboard.press("Escape")
        assert "gone/whole" in {run["run"] for run in get(f"{bridge}/api/v1/runs")["runs"]}
        run_menu(page, "gone/whole")
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator(".run", has_text="whole")).to_have_count(0)
        only(page, "gone/half")
        from_menu(card(page, "doomed/a"), "Delete this series")
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.locator('.card[data-tag="doomed/a"]')).to_have_count(0)
        card(page, "doomed/b")
        until(lambda: "gone/whole" not in viewer.runs(), "TensorBoard shows the run no longer")
        until(lambda: set(viewer.ask("plugin/scalars/tags").get("gone/half", ())) == {"doomed/b"}, "nor the series")
    delete(bridge, run="gone/half")


def test_a_run_is_renamed_taken_away_as_a_zip_and_put_back_by_dropping_it(page: Page, bridge: str) -> None:
    write(bridge, "traveller", columns("road", [1, 2, 3]))

    def menu(run: str, entry: str) -> None:
        run_menu(page, run)
        page.get_by_role("menuitem", name=entry).click()

    menu("traveller", "Rename")
    page.get_by_role("textbox", name="New name").fill("wanderer")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.locator(".run", has_text="wanderer")).to_be_visible()
    expect(page.locator(".run", has_text="traveller")).to_have_count(0)
    archive = downloaded(page, lambda: menu("wanderer", "Download as a zip"))
    assert any("tfevents" in name for name in zipfile.ZipFile(io.BytesIO(archive)).namelist())
    drop = """bytes => {
        const files = new DataTransfer();
        files.items.add(new File([new Uint8Array(bytes)], "returned.zip", {type: "application/zip"}));
        document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
    }"""
    page.evaluate(drop, list(archive))
    page.get_by_role("textbox", name="Name of the run").fill("returned")
    page.get_by_role("button", name="Restore").click()
    expect(page.locator(".run", has_text="returned")).to_be_visible()
    assert get(f"{bridge}/api/v1/scalars", run="returned", tag="road")["values"] == [1, 2, 3]
    for run in ("wanderer", "returned"):
        delete(bridge, run=run)
    expect(page.locator(".run", has_text="returned")).to_have_count(0)


def test_the_page_is_right_again_after_the_bridge_was_killed(open_page: Callable[..., Sight], tmp_path: Path) -> None:
    first = serve(tmp_path)
    again: Process | None = None
    try:
        bridge = address_in(first)
        write(bridge, "run", columns("loss", [3, 2]))
        page = open_page(bridge).page
        loss = card(page, "loss")
        expect(page.locator(".connection")).to_have_text("live")
        first.end(signal.SIGKILL)
        expect(page.locator(".connection")).to_have_text("reconnecting")
        again = serve(tmp_path, port=int(bridge.rpartition(":")[2]))
        address_in(again)
        write(bridge, "run", columns("loss", [1.75], first=2))
        expect(page.locator(".connection")).to_have_text("live")
        until(lambda: table_of(loss)["run"][:3] == ["3", "2", "1.75"], "what was missed is shown")
        write(bridge, "run", columns("loss", [1.25], first=3))
        until(lambda: table_of(loss)["run"][:3] == ["4", "3", "1.25"], "and what comes")
    finally:
        for process in (first, again):
            if process is not None:
                process.__exit__()


def test_a_token_is_asked_for_once_and_is_in_no_address(open_page: Callable[..., Sight], tmp_path: Path) -> None:
    token = "t0ken-of-a-reader-of-24x"
    command = [TBBRIDGE, "serve", "--logdir", str(tmp_path), "--port", "0"]
    with Process(command, env=environment(TBBRIDGE_TOKENS=f"read,write:{token}")) as process:
        bridge = address_in(process)
        body = json.dumps({"runs": [{"run": "secret", "scalars": [columns("loss", [1, 2])]}]}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        urllib.request.urlopen(urllib.request.Request(f"{bridge}/api/v1/write", body, headers), timeout=30)
        sight = open_page(bridge)
        page = sight.page
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.get_by_label("Token", exact=True).fill("wrong-token-of-24-letters")
        page.get_by_role("button", name="Continue").click()
        expect(page.get_by_role("dialog")).to_contain_text("not known here")
        page.get_by_label("Token", exact=True).fill(token)
        page.keyboard.press("Enter")
        card(page, "loss")
        page.reload()
        card(page, "loss")
        assert not [url for url in (*asked, page.url) if token in url]
        assert page.evaluate("[...Object.values(localStorage), document.cookie].join()").find(token) == -1
        run_menu(page, "secret")
        page.get_by_role("menuitem", name="Delete").click()
        page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        expect(page.get_by_role("alert")).to_contain_text("does not allow admin")
        sight.troubles[:] = [line for line in sight.troubles if "401" not in line and "403" not in line]


def test_names_texts_and_logs_of_strangers_are_nothing_but_text(open_page: Callable[..., Sight], bridge: str) -> None:
    page = open_page(f"{bridge}/").page
    evil = card(page, EVIL)
    expect(evil.locator("h3")).to_have_text(EVIL)
    assert table_of(evil)[f"odd/{EVIL}"][:3] == ["2", "1", "2"]
    expect(page.locator(".run", has_text="left⟨U+202E⟩tfel")).to_be_visible()
    for tag in ("nan only", "one point", "far"):
        card(page, tag)
    assert table_of(card(page, "far"))[f"odd/{EVIL}"][1].startswith("≈4.61")
    page.get_by_role("link", name="Texts").click()
    prose = page.locator(".prose").first
    expect(prose.locator("strong")).to_have_text("bold")
    expect(prose.locator("h4")).to_have_text("A note <script>window.pwned = 1</script>")
    expect(prose.locator("td code")).to_have_text("<b>")
    assert prose.locator("a").evaluate_all("all => all.map(a => a.href)") == [
        "https://example.org/a",
        "https://example.org/spy.png",
    ]
    assert page.locator("main img, main script, main iframe").count() == 0
    page.get_by_role("link", name="Logs").click()
    page.get_by_role("combobox", name="Run", exact=True).select_option(f"odd/{EVIL}")
    expect(page.locator(".record .message").first).to_have_text(EVIL)
    page.get_by_role("combobox", name="Lowest level").select_option("40")
    expect(page.locator(".record")).to_have_count(1)
    write(bridge, f"odd/{EVIL}", logs=[{"message": "it broke", "level": 50}])
    expect(page.locator(".record.critical")).to_contain_text("it broke")
    page.get_by_role("searchbox", name="Search in the log").fill("BROKE")
    expect(page.locator(".record")).to_have_count(1)
    page.get_by_role("link", name="HParams").click()
    expect(page.locator(".hparams tbody tr")).to_have_count(2)
    page.get_by_role("button", name="score").click()
    expect(page.locator(".hparams tbody th").first).to_have_text("hparams/0.1")


def test_everything_can_be_done_with_keys(page: Page) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the charts")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    loss = card(page, "loss")
    plot = loss.locator(".plot")
    expect(plot).to_have_attribute("aria-label", re.compile("digits/b: [0-9.]+ at step"))
    plot.focus()
    page.keyboard.press("+")
    near = zoom_of(page, "loss")
    page.keyboard.press("ArrowRight")
    moved = zoom_of(page, "loss")
    assert near is not None
    assert moved is not None
    assert moved[0] > near[0]
    page.keyboard.press("Shift+ArrowRight")
    expect(loss.locator(".tip")).to_be_visible()
    expect(loss.locator("[aria-live]")).to_contain_text("at step")
    page.keyboard.press("0")
    assert zoom_of(page, "loss") is None
    more = loss.get_by_role("button", name="More for loss")
    more.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitemcheckbox", name="Logarithmic axis")).to_be_focused()
    page.keyboard.press("End")
    expect(page.get_by_role("menuitem", name="Delete this series")).to_be_focused()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()
    expect(page.get_by_role("menu")).to_have_count(0)


VIEWS = ("Scalars", "Histograms", "Images", "Audio", "Texts", "HParams", "Logs", "Health")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious(open_page: Callable[..., Sight], bridge: str, theme: str) -> None:
    page = open_page(f"{bridge}/", color_scheme=theme).page
    seen: list[str] = []
    for view in VIEWS:
        page.get_by_role("link", name=view, exact=True).click()
        expect(page.locator("main").locator(".card, .panel, .hparams table, .log, .tile").first).to_be_visible()
        seen += findings(page, view)
    page.get_by_role("link", name="Scalars").click()
    loss = card(page, "loss")
    table_of(loss)
    seen += findings(page, "table")
    loss.get_by_role("button", name="More for loss").click()
    seen += findings(page, "menu")
    page.get_by_role("menuitem", name="Delete this series").click()
    seen += findings(page, "dialog")
    assert seen == []


def test_ten_thousand_tags_do_not_freeze_it(open_page: Callable[..., Sight], tmp_path: Path) -> None:
    with serve(tmp_path) as process:
        bridge = address_in(process)
        write(bridge, "many", *[columns(f"group{n % 500}/tag{n}", [1, 2]) for n in range(10_000)])
        page = open_page(bridge).page
        card(page, "group0/tag0")
        assert page.locator(".card").count() < 200
        page.get_by_role("searchbox", name="Filter charts").fill("tag9999$")
        expect(page.locator(".card")).to_have_count(1)
        card(page, "group499/tag9999")
