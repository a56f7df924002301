"""Formulas as MathML, which browsers draw without a script (an mkdocs hook)."""

from __future__ import annotations

import html
import re
from typing import Any

from latex2mathml.converter import convert

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)


def on_page_content(content: str, **kwargs: Any) -> str:
    """Replace the formulas that arithmatex has marked."""

    def draw(match: re.Match[str]) -> str:
        element, source = match.groups()
        display = "block" if element == "div" else "inline"
        formula = convert(html.unescape(source), display=display)
        if unknown := re.findall(r"\\[A-Za-z]+", formula):
            raise ValueError(f"cannot draw {', '.join(unknown)} of {source}: the converter has no such command")
        return f'<{element} class="arithmatex">{formula}</{element}>'

    return _FORMULA.sub(draw, content)
