"""Text that users wrote, made fit to be shown: never markup, never a control sequence, never longer than its place."""

from __future__ import annotations

import ast
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["REPLACEMENT", "cell_width", "counted", "literal", "shorten", "shorten_all", "split_commas", "visible"]

REPLACEMENT = "�"
"""Shown for what has no picture of its own: bidirectional overrides, surrogates, C1 controls."""

_ELLIPSIS = "…"
_OVERRIDES = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C, 0xFEFF}
_PICTURES = {**{code: 0x2400 + code for code in range(0x20)}, 0x7F: 0x2421}  # U+2400: control pictures
_HIDDEN = {code: ord(REPLACEMENT) for code in (*range(0x80, 0xA0), *range(0xD800, 0xE000), *_OVERRIDES)}
_SHOWN = {**_PICTURES, **_HIDDEN}
_OBEYED = re.compile("[" + "".join(map(re.escape, map(chr, _SHOWN))) + "]")


def counted(number: int, thing: str, things: str = "") -> str:
    """Write how many there are of a thing: ``"1 cell"``, ``"1,200 cells"``; a plural not in -s is given."""
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def literal(text: str) -> Any:
    """Give a text as Python's literal, ``true`` and ``false``, ``inf`` and ``nan`` as those, or as it is where none."""
    if text in ("true", "false"):  # so do shells, TOML and JSON write them; as a text "false" would count as true
        return text == "true"
    if text in ("inf", "+inf", "-inf", "nan"):  # of TOML, too, and of print; no literals of Python
        return float(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def split_commas(text: str) -> list[str]:
    """Split a text at its commas, but those within brackets, and strip the pieces: ``Adam, betas=(0.9, 0.99)``."""
    pieces, depth = [""], 0
    for letter in text:
        depth = max(0, depth + (letter in "([{") - (letter in ")]}"))
        if letter == "," and depth == 0:
            pieces.append("")
        else:
            pieces[-1] += letter
    return [piece.strip() for piece in pieces]


def visible(text: str) -> str:
    """Replace what a terminal, a page or a picture would obey instead of show: escapes, line ends, overrides."""
    return _OBEYED.sub(lambda letter: chr(_SHOWN[ord(letter[0])]), text)


def cell_width(text: str) -> int:
    """Count the columns that a text fills: two for wide letters (CJK, emoji), none for combining ones."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def shorten(text: str, width: int) -> str:
    """Cut a text in its middle to a number of columns; both ends stay, for names differ at either.

    Parameters
    ----------
    text
        Any text.
    width
        Columns, at least 3.
    """
    if cell_width(text) <= width:
        return text
    room = width - 1
    head = _fitting(text, room - room // 2)
    tail = _fitting(text[::-1], room // 2)[::-1]
    return f"{head}{_ELLIPSIS}{tail}"


def _fitting(text: str, width: int) -> str:
    """Give the longest beginning that fills no more than some columns."""
    used = 0
    for at, letter in enumerate(text):
        used += cell_width(letter)
        if used > width:
            return text[:at]
    return text


def shorten_all(texts: Iterable[str], width: int, *, draw: Callable[[str], str] = visible) -> dict[str, str]:
    """Give what is shown for each text, shortened so that texts stay different: those that look alike get a number.

    Parameters
    ----------
    texts
        Any texts.
    width
        Columns that each may fill, at least 10.
    draw
        Makes a text fit to be shown, before it is shortened.
    """
    shown: dict[str, str] = {}
    taken: set[str] = set()
    for text in dict.fromkeys(texts):
        whole, number = draw(text), 1
        short = shorten(whole, width)
        while short in taken:
            number += 1
            mark = f" ({number})"
            short = shorten(whole, max(width - len(mark), 3)) + mark
        taken.add(short)
        shown[text] = short
    return shown
