"""Labels of users in pictures: shortened in their middle, and letters that no font here has as a visible box."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from matplotlib import font_manager

from waddington._text import shorten_all, visible

__all__ = ["drawable", "fonts", "short_labels"]

_BOX = "□"
_PREFERRED = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_FALLBACKS = (
    *("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Noto Sans SC", "Noto Sans JP", "Noto Sans KR"),
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Microsoft YaHei", "Yu Gothic", "Malgun Gothic"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "IPAexGothic", "Arial Unicode MS", "Noto Sans"),
    *("Noto Emoji", "Segoe UI Symbol", "Segoe UI Emoji", "Symbola"),
)


@functools.cache
def fonts() -> tuple[str, ...]:
    """Give the fonts that letters are looked for in, in order; those that this machine has."""
    present = set(font_manager.get_font_names())
    return tuple(name for name in (*_PREFERRED, *_FALLBACKS) if name in present) or ("DejaVu Sans",)


@functools.cache
def _has(letter: str) -> bool:
    """Tell whether a font has a letter."""
    return any(font_manager.get_font(font_manager.findfont(name)).get_char_index(ord(letter)) != 0 for name in fonts())


def drawable(text: str) -> str:
    """Replace what would not be seen in a picture: control characters, and letters that no font here has."""
    return "".join(letter if _has(letter) else _BOX for letter in visible(text))


def short_labels(texts: Iterable[str], width: int = 32) -> dict[str, str]:
    """Give what is written for each label: shortened in its middle, all different, nothing that a font lacks.

    Parameters
    ----------
    texts
        Labels as the data have them.
    width
        Columns that a label may fill; wide letters fill two.
    """
    return shorten_all(map(str, texts), width, draw=drawable)
