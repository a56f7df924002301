"""Formulas become MathML, and one with a command that the converter lacks stops the build."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

on_page_content = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "mathml.py"))["on_page_content"]


def test_a_formula_is_drawn() -> None:
    drawn = on_page_content(r'a <span class="arithmatex">\(\alpha &lt; 1\)</span> b')
    assert drawn.startswith('a <span class="arithmatex"><math')
    assert "&#x003B1;" in drawn or "α" in drawn
    assert drawn.endswith("</math></span> b")


def test_a_formula_with_an_unknown_command_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"cannot draw \\langle, \\rangle"):
        on_page_content(r'<div class="arithmatex">\[\Bigl\langle x \Bigr\rangle\]</div>')
