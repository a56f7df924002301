"""A picture of a bound shows the curve, the bound and what holds without it, and says what was found."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.analysis import plots
from waddington.analysis.bounds import Bound, judge
from waddington.errors import ArgumentError

pytest.importorskip("matplotlib")

BOUND = Bound(name="rate", source="by hand", at=lambda t: 100.0 / np.sqrt(t), trivial=20.0)


def test_a_picture_has_curve_bound_and_trivial_bound() -> None:
    steps = np.geomspace(1.0, 1e4, 20)
    figure = plots.bound(judge(BOUND, steps, 1.0 / steps), ylabel="squared gradient norm")
    (axes,) = figure.axes
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["rate, measured", "rate, bound", "trivial bound"]
    assert axes.get_xscale() == axes.get_yscale() == "log"
    assert any("the bound holds" in text.get_text() for text in figure.texts)


def test_nothing_positive_is_refused() -> None:
    zero = Bound(name="zero", source="by hand", at=lambda t: 0.0 * t)
    with pytest.raises(ArgumentError, match="neither it nor the curve is positive"):
        plots.bound(judge(zero, [1.0], [0.0]))
