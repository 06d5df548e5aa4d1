"""A real browser, without a window: Debian's Chromium driven by Playwright. It downloads nothing."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterator

from PIL import Image
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# A page on a busy machine may take long; nothing here waits longer than it must.
PATIENCE_MS = 30_000
# No sandbox: it needs more rights than a container has. The others keep Chromium from calling out.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Chromium, until the block ends."""
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Sight:
    """One page as a user has it before him, and what went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: self.troubles.append(f"script: {error}"))
        page.on("console", self._said)
        page.on("response", self._answered)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.troubles.append(f"console: {message.text}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400:
            self.troubles.append(f"{response.status}: {response.url}")

    def shows(self, selector: str, count: int) -> Locator:
        """Waits until exactly `count` elements match; they may lie in shadow trees."""
        found = self.page.locator(selector)
        expect(found).to_have_count(count)
        return found

    def says(self, *texts: str) -> None:
        """Waits until each text is to be read."""
        for text in texts:
            expect(self.page.get_by_text(text).first).to_be_visible()


def colors(drawing: Locator) -> int:
    """How many colours are seen in an element, as it is on the screen."""
    seen = Image.open(io.BytesIO(drawing.screenshot())).convert("RGB")
    return len(seen.getcolors(seen.width * seen.height) or [])
