"""No line of prose is longer than 120 columns, and filling it anew changes no word."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

LINES = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "lines.py"))
WORDS = " ".join(["word"] * 40)


@pytest.mark.parametrize("page", LINES["pages"](), ids=lambda page: page.stem)
def test_no_line_of_prose_is_too_long(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert LINES["reflowed"](text) == text, "run: python docs/lines.py"


@pytest.mark.parametrize("start", ["", "- ", "12. ", "  ", "    - "])
def test_prose_and_items_are_filled(start: str) -> None:
    first, *others = LINES["reflowed"](f"{start}{WORDS}\n").rstrip("\n").split("\n")
    assert first.startswith(start)
    assert others
    assert all(len(line) <= 120 for line in (first, *others))
    assert all(line.startswith(" " * len(start) + "word") for line in others)
    assert " ".join([first.removeprefix(start), *others]).split() == WORDS.split()


@pytest.mark.parametrize(
    "text",
    [
        f"| {WORDS} |\n",
        f"# {WORDS}\n",
        f"<!-- {WORDS} -->\n",
        f"![{WORDS}](a.png)\n",
        f"```text\n{WORDS}\n```\n",
        f"- item\n\n  ```text\n  {WORDS}\n  ```\n",
        f"::: waddington.jobs\n    options: {WORDS}\n",
        f"{WORDS}  \nafter a hard break\n",
        f"`{WORDS}`\n",
        f"[{WORDS}](a.md)\n",
        "short\nlines\nstay\n",
    ],
)
def test_what_is_not_prose_stays(text: str) -> None:
    assert LINES["reflowed"](text) == text


@pytest.mark.parametrize("mark", ["-", "1.", "#3", ">", "|", ":", "=="])
def test_no_line_begins_with_what_would_begin_a_block(mark: str) -> None:
    for length in range(100, 125):
        lines = LINES["reflowed"](f"{'a' * length} {mark} {WORDS}").split("\n")
        assert not any(line.startswith(mark) for line in lines)
