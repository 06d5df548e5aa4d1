"""What the pages say is so: every setting is on its page, every link leads somewhere, every limit has its number right.

The README's commands are run, as printed, in e2e/test_readme.py.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tbbridge import limits
from tbbridge.server.settings import SETTINGS, ServerSettings

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("**/*.md")])


def rows_of_settings() -> list[str]:
    """The table of docs/settings.md as the settings themselves would write it."""
    return [
        f"| `{setting.flag} {setting.metavar}` | `{setting.variable}` | `{setting.default_text}` | {setting.help} |"
        for setting in SETTINGS
    ]


def test_settings_page_has_every_setting_and_no_other() -> None:
    bridge = (ROOT / "docs" / "settings.md").read_text().split("\n## ")[1]
    assert [line for line in bridge.splitlines() if line.startswith("| `--")] == rows_of_settings()


def test_settings_read_back_from_their_own_default_text() -> None:
    for setting in SETTINGS:
        assert setting.read(setting.default_text, setting.flag) == getattr(ServerSettings(), setting.name)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text())
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_code_marks_exist(page: Path) -> None:
    names = re.findall(r"`((?:src|tests|docs|proto|examples|benchmarks)/[\w./-]+)`", page.read_text())
    assert [name for name in names if not (ROOT / name).exists()] == []


def test_the_page_of_the_interface_says_the_limits_as_they_are() -> None:
    page = (ROOT / "docs" / "http.md").read_text()
    said = (
        f"a run is 1 to {limits.RUN_MAX_BYTES} bytes",
        f"a tag is 1 to {limits.TAG_MAX_BYTES:,} bytes",
        f"at most {limits.BODY_MAX_BYTES // limits.MiB} MiB, {limits.DECODED_MAX_BYTES // limits.MiB} MiB after",
    )
    assert [sentence for sentence in said if sentence not in page] == []
