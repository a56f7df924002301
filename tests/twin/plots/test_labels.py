from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from matplotlib.text import Text

from waddington.twin import plots
from waddington.twin.plots.labels import drawable, short_labels

AWKWARD = (
    *("T cell [cycling]", "cost $5 and $10", "細胞", "🧬 helix", ":x: [red]", "_hidden", "a_b^c", "\x1b[31mred"),
    *("very long label " + "x" * 144, "very long label " + "x" * 100 + "y" + "x" * 43),
)


def test_labels_are_short_different_and_free_of_control_sequences() -> None:
    shown = short_labels(AWKWARD, 24)
    assert len(set(shown.values())) == len(AWKWARD)
    assert all(len(short) <= 24 for short in shown.values())
    assert "\x1b" not in "".join(shown.values())
    assert shown["cost $5 and $10"] == "cost $5 and $10"


def test_a_letter_that_no_font_has_is_a_visible_box() -> None:
    assert drawable("\U0010fffd gene") == "□ gene"


@pytest.mark.slow  # what becomes of each letter is asked above
def test_pictures_of_awkward_labels_show_them_as_letters(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    places = rng.normal(size=(200, 2))
    labels = np.array(AWKWARD)[np.arange(200) % len(AWKWARD)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a missing glyph warns
        panels = plots.landscape(places, rng.random(200), labels=labels)
        panels.save(tmp_path / "landscape.png", dpi=40)
        values = {"rna": rng.random(200)[:, None] * np.arange(1, 11) + rng.normal(size=(200, 10))}
        plots.trajectories(rng.random(200), values, {"rna": AWKWARD}).save(tmp_path / "trajectories.png", dpi=40)
    legend = panels["map"].get_legend()
    assert legend is not None
    shown = [text.get_text() for text in legend.get_texts()]
    assert {"T cell [cycling]", "cost $5 and $10", "_hidden", "a_b^c"} <= set(shown)
    assert not any(text.get_parse_math() for text in panels.figure.findobj(Text) if "$" in text.get_text())
