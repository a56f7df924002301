"""Keep the prose of Markdown pages within 120 columns, so that a diff shows sentences.

Run ``python docs/lines.py``: paragraphs and list items with a longer line are filled anew, in every page of the
repository. Tables, code, headings, HTML, pictures and mkdocstrings' entries stay as they are, and so do links, code and
formulas inside of a line. A test holds that nothing is left to do; pages that programs write go through `reflowed`.
"""

from __future__ import annotations

import re
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).parents[1]
WIDTH = 120
_FENCE = re.compile(r"\s*(```|~~~)")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+\.)\s+")
_OTHER = re.compile(r"\s*(?:[|#<>]|:::|!\[|\$\$|\[[^\]]+\]:)")
_WORD = re.compile(r"(?:`[^`]*`|\$[^$]*\$|\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])|\S)+")
_MARKS_A_BLOCK = re.compile(r"[-*+=:]+|\d+[.)]|[#>|].*")
_INDENT = re.compile(r"\s*")


def pages() -> list[Path]:
    """List the pages that people read as prose."""
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def reflowed(text: str) -> str:
    """Give a page whose paragraphs and list items have no line beyond the width that words could end."""
    found: list[str] = []
    for (kind, _), lines in groupby(_kinds(text.split("\n")), key=lambda entry: entry[0]):
        block = [line for _, line in lines]
        found += _filled(block) if kind == "prose" and any(len(line) > WIDTH for line in block) else block
    return "\n".join(found)


def _kinds(lines: list[str]) -> list[tuple[tuple[str, int], str]]:
    """Say of each line of what kind it is, and to which block of that kind it belongs."""
    found = []
    fence = ""
    entry = False
    block = 0
    before = "other"
    for line in lines:
        mark = _FENCE.match(line)
        entry = line.startswith(":::") or (entry and line.startswith("    "))
        prose = not (fence or mark or entry or not line.strip() or _OTHER.match(line))
        if mark and fence in ("", mark[1]):
            fence = "" if fence else mark[1]
        kind = "prose" if prose else "other"
        block += kind != before or (prose and _ITEM.match(line) is not None)
        found.append(((kind, block), line))
        before = kind
    return found


def _filled(block: list[str]) -> list[str]:
    """Fill a paragraph or a list item; one with a hard break stays."""
    if any(line.endswith(("  ", "\\")) for line in block):
        return block
    start = (_ITEM.match(block[0]) or _INDENT.match(block[0]))[0]
    indent = _INDENT.match(block[1])[0] if len(block) > 1 else ""
    indent = indent or " " * len(start)
    first, *words = _WORD.findall(" ".join([block[0][len(start) :], *block[1:]]))
    lines = [start + first]
    for word in words:
        if len(lines[-1]) + 1 + len(word) <= WIDTH or _MARKS_A_BLOCK.fullmatch(word):
            lines[-1] += " " + word
        else:
            lines.append(indent + word)
    return lines


if __name__ == "__main__":
    for page in pages():
        text = page.read_text(encoding="utf-8")
        page.write_text(reflowed(text), encoding="utf-8")
