"""The page on the house names files that exist, and the path of a cell is no longer than it promises."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "house.md").read_text(encoding="utf-8")


def test_the_house_page_names_what_exists() -> None:
    named = re.findall(r"`((?:\w+/)+(?:\w+\.py)?)`", PAGE)
    assert len(named) > 20
    missing = [
        n for n in named if not any((base / n).exists() for base in (ROOT, ROOT / "src", ROOT / "src" / "waddington"))
    ]
    assert not missing


def test_the_path_of_a_cell_is_at_most_twenty_files() -> None:
    section = PAGE.partition("## The path of a cell")[2].partition("\n## ")[0]
    files = re.findall(r"^\| \d+ \| `(.+?)`", section, flags=re.MULTILINE)
    assert len(set(files)) == len(files)
    assert 10 < len(files) <= 20
