"""The live page in a real, headless Chromium, beside TensorBoard's Time Series page on the same log folder.

The first chart: from the navigation's start until one is drawn, by the browser's own clock; of TensorBoard, until an axis
of a card shows more than the range from 0 to 1 that it has without data. Bytes are all that came over the wire until then
and two seconds later. POST to pixel: the page itself posts a point and waits for the frame after the one that painted it.
Zoom: from the key until the stretch was read more finely and painted. Processor time is that of all of Chromium's
processes, and of the bridge, while 50 runs get 10 points a second each. Without a GPU, Chromium draws in software: on a
desk it takes less.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import HOST, Server, bridge, free_port, running
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.model import RunBatch, ScalarColumns, run_name, tag_name

RUNS, TAGS = 100, 20
NAME: Final = "events.out.tfevents.1700000000.benchmark.1.0"
LIVE_RUNS, LIVE_HZ = 50, 10
CHROMIUM: Final = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]

_FIRST_OF_THEIRS: Final = """
const look = () => {
  const labels = [...document.querySelectorAll("scalar-card line-chart-axis text")].map(text => text.firstChild.textContent);
  if (labels.some(label => Number.parseFloat(label) > 1.5)) performance.mark("first-chart");
  else requestAnimationFrame(look);
};
requestAnimationFrame(look);
"""
_MARK: Final = "() => performance.getEntriesByName('first-chart')[0]?.startTime ?? null"
_BYTES: Final = """() => ["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
  .reduce((sum, one) => sum + one.transferSize, 0)"""
# Posts points one after the other; each is painted when the frame has passed that comes after the drawing.
_POSTS: Final = """async ({run, tag, first, count}) => {
  const card = document.querySelector(`.card[data-tag="${tag}"]`);
  const found = [];
  for (let i = 0; i < count; i++) {
    const drawn = new Promise(done => {
      const observer = new MutationObserver(() => { observer.disconnect(); requestAnimationFrame(() => setTimeout(done)); });
      observer.observe(card, {attributes: true, attributeFilter: ["data-drawn"]});
    });
    const began = performance.now();
    const body = JSON.stringify({runs: [{run, scalars: [{tag, steps: [first + i], values: [Math.random()]}]}]});
    fetch("api/v1/write", {method: "POST", headers: {"Content-Type": "application/json"}, body});
    await drawn;
    found.push(performance.now() - began);
    await new Promise(done => setTimeout(done, 40 + 80 * Math.random()));
  }
  return found;
}"""
_ZOOM: Final = """async ({tag, keys}) => {
  const card = document.querySelector(`.card[data-tag="${tag}"]`);
  const plot = card.querySelector(".plot");
  plot.focus();
  const frame = () => new Promise(done => requestAnimationFrame(done));
  const began = performance.now();
  for (const key of keys) plot.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true, cancelable: true}));
  while (!card.classList.contains("loading")) await frame();
  while (card.classList.contains("loading")) await frame();
  await frame();
  await new Promise(done => setTimeout(done));
  return performance.now() - began;
}"""


def _tag(number: int) -> str:
    return f"group{number % 5}/tag{number:02}"


def write_runs(logdir: Path, runs: int, tags: int, points: int) -> None:
    """Event files as the bridge writes them."""
    random = np.random.default_rng(0)
    steps = np.arange(points)
    wall_times = 1.7e9 + steps.astype(np.float64)
    for number in range(runs):
        columns = tuple(
            ScalarColumns(tag_name(_tag(tag)), random.normal(size=points) + 50 / (steps + 10), steps, wall_times)
            for tag in range(tags)
        )
        batch = RunBatch(run_name(f"run{number:03}"), columns)
        content = encode_file_start(1.7e9, session_start=True) + encode_run(batch, set())
        folder = logdir / f"run{number:03}"
        folder.mkdir(parents=True)
        (folder / NAME).write_bytes(content)


def first_chart(browser: Browser, url: str, script: str = "") -> tuple[float, float]:
    """Milliseconds until the first chart, in a new profile; and bytes."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.goto(url)
        deadline = time.monotonic() + 120
        while (at := page.evaluate(_MARK)) is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"no chart was drawn at {url} within two minutes")
            page.wait_for_timeout(50)
        page.wait_for_timeout(2000)
        return float(at), float(page.evaluate(_BYTES))
    finally:
        context.close()


def compare_first_charts(browser: Browser, folder: Path, size: Size) -> list[Row]:
    points = size.pick(100, 10_000)
    runs, rounds = size.pick(5, RUNS), size.pick(1, 3)
    logdir = folder / "many"
    write_runs(logdir, runs, TAGS, points)
    port = free_port()
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--host", HOST, "--port", str(port)]
    theirs_at = f"http://{HOST}:{port}"
    with bridge(logdir) as server, running(command, theirs_at):
        _until_loaded(theirs_at, runs)
        for tag in range(TAGS):  # ours has read them too, as a bridge has that wrote them and was looked at before
            query = urllib.parse.urlencode({"tag": _tag(tag), "max_points": 300, "downsample": "minmax"})
            with urllib.request.urlopen(f"{server.url}/api/v1/scalars/many?{query}", timeout=120) as answer:
                answer.read()
        found = in_turns(
            {
                "ours": lambda: first_chart(browser, f"{server.url}/"),
                "theirs": lambda: first_chart(browser, f"{theirs_at}/#timeseries", _FIRST_OF_THEIRS),
            },
            rounds,
            "opening the page",
        )
    ours, theirs = found["ours"], found["theirs"]
    what = f"{runs} runs x {TAGS} tags x {points:,} points"
    time_goal = Goal(1500.0, "ours") if size is not Size.QUICK else None
    return [
        Row(
            f"first chart, {what}",
            "ms",
            Spread.of([ms for ms, _ in ours]),
            Spread.of([ms for ms, _ in theirs]),
            "TensorBoard's Time Series page",
            goal=time_goal,
            note="both have read the files before",
        ),
        Row(
            f"loaded, {what}",
            "MB",
            Spread.of([size / 1e6 for _, size in ours]),
            Spread.of([size / 1e6 for _, size in theirs]),
            "TensorBoard's Time Series page",
        ),
    ]


def _until_loaded(url: str, runs: int) -> None:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        with urllib.request.urlopen(f"{url}/data/runs", timeout=60) as answer:
            if len(json.load(answer)) == runs:
                return
        time.sleep(0.2)
    raise RuntimeError("TensorBoard did not read the runs within five minutes")


# --- while points come -------------------------------------------------------------------------------------------------------


def processor_seconds(of: int) -> float:
    """Processor time of all processes that come from process `of` and are Chromium's."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        fields = rest.split()
        parents.setdefault(int(fields[1]), []).append(int(entry.name))
        used[int(entry.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if "chrom" in name else 0.0
    total, waiting = 0.0, [of]
    while waiting:
        process = waiting.pop()
        total += used.get(process, 0.0)
        waiting += parents.get(process, [])
    return total


def post(url: str, body: object) -> None:
    request = urllib.request.Request(f"{url}/api/v1/write", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass


@contextmanager
def streaming(server: Server) -> Iterator[None]:
    """50 runs get 10 points a second each, until the block ends."""
    ended = threading.Event()

    def send() -> None:
        step = 0
        random = np.random.default_rng(1)
        due = time.monotonic()
        while not ended.is_set():
            values = random.normal(size=LIVE_RUNS) + 10 / (step + 5)
            runs = [
                {"run": f"live/{number:02}", "scalars": [{"tag": "loss", "steps": [step], "values": [float(value)]}]}
                for number, value in enumerate(values)
            ]
            post(server.url, {"runs": runs})
            step += 1
            due += 1 / LIVE_HZ
            ended.wait(max(0.0, due - time.monotonic()))

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def opened(browser: Browser, url: str, tag: str) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.goto(url)
    page.wait_for_selector(f'.card[data-tag="{tag}"][data-drawn]')
    return page


def watch_points_come(browser: Browser, folder: Path, size: Size) -> list[Row]:
    rows = []
    with bridge(folder / "live") as server:
        post(server.url, {"runs": [{"run": "one", "scalars": [{"tag": "loss", "values": [1.0]}]}]})
        page = opened(browser, f"{server.url}/", "loss")
        times: list[float] = page.evaluate(_POSTS, {"run": "one", "tag": "loss", "first": 1, "count": size.pick(5, 100)})
        page.close()
        rows.append(Row("POST to painted pixel, p50", "ms", Spread.of(times), goal=Goal(250.0, "ours")))
        with streaming(server):
            time.sleep(2)
            page = opened(browser, f"{server.url}/#/scalars?tags=loss", "loss")
            page.wait_for_timeout(2000)
            browser_shares, server_shares = [], []
            for _ in range(size.pick(1, 3)):
                before, ours = processor_seconds(os.getpid()), server.cpu_seconds
                began = time.monotonic()
                page.wait_for_timeout(size.pick(1000, 5000))
                took = time.monotonic() - began
                browser_shares.append((processor_seconds(os.getpid()) - before) / took * 100)
                server_shares.append((server.cpu_seconds - ours) / took * 100)
            page.close()
    what = f"{LIVE_RUNS} runs x {LIVE_HZ} points a second in one chart"
    rows.append(Row(f"browser, {what}", "% of a core", Spread.of(browser_shares), goal=Goal(30.0, "ours")))
    rows.append(Row(f"bridge, {what}", "% of a core", Spread.of(server_shares), goal=Goal(10.0, "ours")))
    return rows


def zoom_into_a_million(browser: Browser, folder: Path, size: Size) -> list[Row]:
    points = size.pick(50_000, 1_000_000)
    logdir = folder / "million"
    write_runs(logdir, 1, 1, points)
    tag = "group0/tag00"
    times = []
    with bridge(logdir) as server:
        page = opened(browser, f"{server.url}/", tag)
        page.wait_for_timeout(500)
        for _ in range(size.pick(1, 9)):
            times.append(float(page.evaluate(_ZOOM, {"tag": tag, "keys": ["+"] * 5})))
            page.keyboard.press("0")
            page.wait_for_timeout(200)
        page.close()
    return [Row(f"zoom into {points:,} points, refined and painted", "ms", Spread.of(times), goal=Goal(150.0, "ours"))]


def run(size: Size) -> Result:
    """All of it."""
    if CHROMIUM is None:
        return Result(missing={"Chromium": "it is not installed: apt-get install chromium"})
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tbbridge-page-") as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for measure in (compare_first_charts, watch_points_come, zoom_into_a_million):
            rows += measure(browser, Path(name), size)
        browser.close()
    return Result(rows)
