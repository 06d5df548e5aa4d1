"""Writes docs/live/*.png again: the live page at three sizes in both themes, over runs that look like a training's.

`.venv/bin/python tests/shared/live_pictures.py`. Look at all of them afterwards; whoever reads docs/page.md does.
"""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from browser import chromium
from PIL import Image
from playwright.sync_api import Browser, Page
from processes import address_in, post, serve

DOCS: Final = Path(__file__).parents[2] / "docs" / "live"
STEPS: Final = 4000
LONG_STEPS: Final = 400_000
# Learning rate of each run, and how it is.
RUNS: Final = {
    "baseline": (0.002, "finished"),
    "digits/lr=0.001": (0.001, "finished"),
    "digits/lr=0.003": (0.003, "finished"),
    "digits/lr=0.01": (0.01, "running"),
    "digits/lr=0.03": (0.03, "running"),
    "digits/lr=0.1": (0.1, "failed"),
    "vision/resnet-a": (0.005, "running"),
    "vision/resnet-b": (0.008, "running"),
}

PIXEL: Final = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
# One of each kind that has a view, so that no view is missing above.
OTHERS: Final[list[dict[str, Any]]] = [
    {"kind": "histogram", "tag": "weights", "values": [1, 2, 2, 3]},
    {"kind": "image", "tag": "samples", "images": [PIXEL]},
    {"kind": "audio", "tag": "speech", "samples": [0, 0.5, 0], "sample_rate": 8000},
    {"kind": "text", "tag": "notes", "text": "**Best** so far"},
    {"kind": "hparams", "values": {"lr": 0.005}},
]


def columns(lr: float, seed: int, steps: int) -> list[dict[str, Any]]:
    """Losses that fall the quicker the greater the learning rate is, and level out the higher."""
    random = np.random.default_rng(seed)
    at = np.arange(0, steps)
    half, floor = 1100 * (lr / 0.001) ** -0.68, 0.12 + 5 * lr + 0.02 * seed
    fall = 2.2 / (1 + at / half) + floor
    noise = random.normal(size=steps)
    ends = time.time() - 0.6 * (steps - at)

    def column(tag: str, values: Any, every: int = 1) -> dict[str, Any]:
        kept = slice(0, None, every)
        return {
            "tag": tag,
            "steps": at[kept].tolist(),
            "values": np.asarray(values)[kept].round(5).tolist(),
            "wall_times": ends[kept].tolist(),
        }

    accuracy = 1 - 0.8 * (fall - floor) / 2.2 - 0.25 * floor
    rate = lr * 0.5 * (1 + np.cos(np.pi * at / steps))
    return [
        column("loss/train", fall * (1 + 0.06 * noise)),
        column("loss/validation", fall * 1.08 + 0.03 + 0.02 * random.normal(size=steps), 20),
        column("loss/regularizer", 0.04 + 0.12 * (1 - np.exp(-at / (half + 500))) * (1 + lr * 9), 10),
        column("accuracy/train", accuracy + 0.006 * noise),
        column("accuracy/validation", accuracy - 0.012 + 0.005 * random.normal(size=steps), 20),
        column("accuracy/top5", 1 - (1 - accuracy) * 0.32 + 0.003 * noise, 20),
        column("optimizer/grad_norm", (0.3 + fall) * np.exp(0.28 * random.normal(size=steps))),
        column("optimizer/learning_rate", rate, 10),
        column("optimizer/weight_norm", 9 + 14 * (1 - np.exp(-at / half)), 10),
    ]


def long_column(seed: int) -> dict[str, Any]:
    """A run so long that it is shown as candlesticks."""
    random = np.random.default_rng(seed)
    at = np.arange(LONG_STEPS)
    reward = (
        180 * (1 - np.exp(-at / 90_000))
        + 12 * np.sin(at / 21_000)
        + random.normal(size=LONG_STEPS) * (14 + 20 * at / LONG_STEPS)
    )
    return {"tag": "episode/reward", "steps": at.tolist(), "values": reward.round(3).tolist()}


def fill(url: str) -> None:
    for seed, (run, (lr, status)) in enumerate(RUNS.items()):
        post(f"{url}/api/v1/write", {"runs": [{"run": run, "scalars": columns(lr, seed, STEPS), "status": status}]})
    post(f"{url}/api/v1/write", {"runs": [{"run": "vision/resnet-a", "summaries": OTHERS}]})
    random = np.random.default_rng(9)
    at = np.arange(LONG_STEPS)
    length = 20 + 160 * (1 - np.exp(-at / 70_000)) + random.gamma(2.0, 12.0, LONG_STEPS)
    slow = {"tag": "episode/length", "steps": at.tolist(), "values": length.round(2).tolist()}
    post(f"{url}/api/v1/write", {"runs": [{"run": "agent/ppo", "scalars": [long_column(8)], "status": "running"}]})
    post(f"{url}/api/v1/write", {"runs": [{"run": "agent/ppo", "scalars": [slow]}]})


def settled(page: Page) -> None:
    """Until all that is seen is drawn."""
    page.wait_for_selector(".card[data-drawn]")
    page.wait_for_function("() => !document.querySelector('.card.loading')")
    page.wait_for_timeout(600)


def charts(page: Page) -> None:
    settled(page)
    plot = page.locator('.card[data-tag="loss/train"] .u-over')
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    if box is not None and box["width"] > 250:
        page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.42)
    page.wait_for_timeout(300)


def open_runs(page: Page) -> None:
    settled(page)
    page.get_by_role("button", name="Runs").first.click()
    page.wait_for_timeout(300)


HIDDEN: Final = (
    "#/scalars?smooth=0.6&tags=accuracy%7Closs%7Coptimizer&hide=agent%2Fppo&hide=vision%2Fresnet-a&hide=digits%2Flr%3D0.1"
)
LONG: Final = "#/scalars?tags=episode&only=agent%2Fppo&wide=1"
PICTURES: Final[dict[str, tuple[int, int, str, str, Callable[[Page], None]]]] = {
    "wide-light": (1400, 875, "light", HIDDEN, charts),
    "wide-dark": (1400, 875, "dark", HIDDEN, charts),
    "tablet-light": (820, 720, "light", LONG, settled),
    "tablet-dark": (820, 720, "dark", LONG, settled),
    "phone-light": (400, 866, "light", HIDDEN, settled),
    "phone-dark": (400, 866, "dark", HIDDEN, open_runs),
}


def take(browser: Browser, url: str, name: str) -> None:
    width, height, theme, view, act = PICTURES[name]
    options: dict[str, Any] = {"has_touch": True, "is_mobile": True} if width < 500 else {}
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, **options)
    page = context.new_page()
    page.goto(f"{url}/{view}")
    act(page)
    # All colours are kept: with a palette, a green dot became a grey one, and two runs' colours one.
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(DOCS / f"{name}.png", optimize=True)
    context.close()


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="tbbridge-pictures-") as folder,
        serve(Path(folder) / "runs", "--tensorboard-url", ":6006") as bridge,
    ):
        url = address_in(bridge)
        fill(url)
        with chromium() as browser:
            for name in PICTURES:
                take(browser, url, name)


if __name__ == "__main__":
    main()
