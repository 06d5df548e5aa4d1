"""docs/clients.md shows what `make test-clients` runs: the same commands, and the same programs to the letter."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
CLIENTS = ROOT / "tests" / "clients"
LANGUAGES = ("curl", "python", "typescript", "go", "java", "cpp")


def blocks_of(language: str) -> list[str]:
    """The code of a language's section."""
    title = {"curl": "curl", "typescript": "TypeScript", "cpp": "C++"}.get(language, language.capitalize())
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    return re.findall(r"```\w+\n(.*?)\n```", section, re.DOTALL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_program_of_the_page_is_the_one_that_is_run(language: str) -> None:
    (program,) = (path for path in (CLIENTS / language).iterdir() if path.stem.lower() in ("first_point", "firstpoint"))
    if program.is_dir():  # a package of Go
        program /= "main.go"
    assert program.read_text(encoding="utf-8").rstrip() in blocks_of(language)


def test_the_commands_of_the_page_are_those_that_are_run() -> None:
    spec = importlib.util.spec_from_file_location("languages", CLIENTS / "languages.py")
    assert spec is not None
    assert spec.loader is not None
    languages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(languages)
    assert set(languages.LANGUAGES) == set(LANGUAGES)
    for language, command in languages.COMMANDS.items():
        assert command in blocks_of(language), language
    assert (CLIENTS / "python" / "config.yml").read_text(encoding="utf-8").rstrip() in blocks_of("python")


def test_every_language_is_marked_as_tested_or_not() -> None:
    for section in PAGE.split("\n## ")[2:]:
        name = section.splitlines()[0]
        tested = name.lower().replace("++", "pp") in LANGUAGES
        assert ("Not tested here." in section) is not tested, name
