"""What a reader does on the live page and sees there, and what others write: for the tests that have it in a browser."""

from __future__ import annotations

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Download, Locator, Page, expect
from processes import post, until


def columns(tag: str, values: Any, first: int = 0) -> dict[str, Any]:
    return {"tag": tag, "steps": list(range(first, first + len(values))), "values": values}


def write(bridge: str, run: str, *scalars: dict[str, Any], **more: Any) -> None:
    post(f"{bridge}/api/v1/write", {"runs": [{"run": run, "scalars": list(scalars), **more}]})


def delete(bridge: str, **query: str) -> None:
    text = urllib.parse.urlencode(query)
    urllib.request.urlopen(urllib.request.Request(f"{bridge}/api/v1/runs?{text}", method="DELETE"), timeout=30)


def card(page: Page, tag: str) -> Locator:
    """A chart that is drawn."""
    found = page.locator(f".card[data-tag={json.dumps(tag)}]")
    found.scroll_into_view_if_needed()
    expect(found).to_have_attribute("data-drawn", re.compile("."))
    return found


def only(page: Page, name: str) -> None:
    """Show only this run or group: the button is there when the mouse is over the row."""
    button = page.get_by_role("button", name=f"Show only {name}", exact=True)
    page.locator(".run, .run-group").filter(has=button).hover()
    button.click()
    page.mouse.move(0, 0)


def run_menu(page: Page, run: str) -> None:
    button = page.get_by_role("button", name=f"More for {run}", exact=True)
    page.locator(".run").filter(has=button).hover()
    button.click()


# A cell that spans several columns ("no points") stands in each of them. All at once: the table is replaced when a point comes.
_READS_A_TABLE = """
    (chart) => Array.from(chart.querySelectorAll("tbody tr"), ({ cells: [run, ...cells] }) => [
        run.innerText,
        cells.flatMap((cell) => Array(cell.colSpan).fill(cell.innerText)),
    ])
"""


def table_of(chart: Locator) -> dict[str, list[str]]:
    """The chart's table: the six cells of each run, as soon as the page has read all of them."""
    button = chart.get_by_role("button", name="Show as a table")
    if button.get_attribute("aria-pressed") == "false":
        button.click()

    def read() -> dict[str, list[str]] | None:
        rows: dict[str, list[str]] = dict(chart.evaluate(_READS_A_TABLE))
        return None if any("not read yet" in cells for cells in rows.values()) else rows

    return until(read, "there are runs in the table, and all of them are read")


def downloaded(page: Page, act: Callable[[], None]) -> bytes:
    with page.expect_download() as waiting:
        act()
    download: Download = waiting.value
    return Path(download.path()).read_bytes()


def from_menu(chart: Locator, entry: str) -> None:
    chart.get_by_role("button", name=re.compile("^More for")).click()
    chart.page.get_by_role("menuitem", name=entry).click()


def zoom_of(page: Page, tag: str) -> list[float] | None:
    """The range that the address holds, when things have come to rest: the page writes it 150 ms after what was done last."""
    url = page.evaluate("new Promise((keep) => setTimeout(() => keep(location.href), 200))")  # by the page's clock, busy or not
    found = re.search(r"zoom=([^&]*)%3A([^&]*)%3A" + re.escape(urllib.parse.quote_plus(tag)), url)
    return [float(found[1]), float(found[2])] if found else None


def findings(page: Page, where: str) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{where}: {one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
