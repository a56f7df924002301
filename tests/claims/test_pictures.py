"""Pictures show every figure that is finite, its interval and the paper's, and name what they leave out."""

from __future__ import annotations

import math

import pytest

from waddington.bench.statistics import Interval
from waddington.claims.pictures import Row, bars, curves, forest
from waddington.errors import ArgumentError

pytest.importorskip("matplotlib")
ROWS = [
    Row(name="digits", middle=0.2, interval=Interval(-0.1, 0.5), claimed=2.4),
    Row(name="MNIST", middle=math.nan),
]


@pytest.mark.parametrize("draw", [forest, bars])
def test_rows_are_named_from_top_to_bottom(draw: object) -> None:
    figure = draw(ROWS, label="points")  # type: ignore[operator]
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["digits", "MNIST"]
    assert axes.yaxis_inverted()
    assert axes.get_xlabel() == "points"
    drawn = [tuple(line.get_xdata()) for line in axes.get_lines()]
    assert {(-0.1, 0.5), (2.4,)} <= set(drawn)
    assert "diamond: the paper's; not finite: MNIST" in figure.get_supxlabel()


def test_long_names_and_labels_stay_inside_the_picture() -> None:
    figure = forest([Row(name="a long name " * 6, middle=1.0)], label="a long label " * 10)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for text in (*axes.get_yticklabels(), axes.xaxis.label):
        box = text.get_window_extent()
        assert 0.0 <= box.x0 < box.x1 <= figure.bbox.x1


def test_curves_leave_out_what_a_logarithm_cannot_show_and_count_it() -> None:
    figure = curves({"AMVT": ([1, 10, 100], [1.0, 0.1, 0.0]), "Adam": ([1, 10], [1.0, math.inf])}, x="T", y="f",
                    logs="xy", slopes=[-0.5])  # fmt: skip
    (axes,) = figure.axes
    first, slope, second = axes.get_lines()
    assert (list(first.get_ydata()), list(second.get_ydata())) == ([1.0, 0.1], [1.0])
    assert slope.get_ydata()[1] == pytest.approx(10**-0.5)
    assert "2 points" in figure.get_supxlabel()


@pytest.mark.parametrize(
    "draw", [lambda: forest([], label=""), lambda: bars([], label=""), lambda: curves({}, x="", y="")]
)
def test_nothing_cannot_be_drawn(draw: object) -> None:
    with pytest.raises(ArgumentError, match="at least one"):
        draw()  # type: ignore[operator]


def test_what_a_claim_is_judged_by_is_no_figure_of_the_paper() -> None:
    for figure in (forest(ROWS[:1], label="points", limit=1.05), bars(ROWS[:1], label="points", limit=1.05)):
        (axes,) = figure.axes
        assert [1.05, 1.05] in [list(line.get_xdata()) for line in axes.get_lines() if line.get_linestyle() == "--"]
        assert figure.get_supxlabel() == "lines: 95 % intervals; diamond: the paper's; dashed: judged by 1.05"


def test_lines_of_rows_say_what_they_span() -> None:
    assert "lines: from 5 to 95 %" in forest(ROWS, label="points", spans="from 5 to 95 %").get_supxlabel()


def test_curves_that_coincide_are_seen_one_through_the_other() -> None:
    steps = list(range(40))
    figure = curves(dict.fromkeys(("Adam", "AMVT", "SGD"), (steps, steps)), x="step", y="loss")
    lines = figure.axes[0].get_lines()
    assert [line.get_linestyle() for line in lines] == ["-", "--", "-"]
    widths = [line.get_linewidth() for line in lines]
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > widths[-1]


def test_rounding_errors_are_left_out_of_logarithms_and_counted() -> None:
    figure = curves({"Adam": ([1, 10, 100], [1.0, 1e-9, 1e-20])}, x="step", y="distance", logs="xy", least=1e-9)
    assert list(figure.axes[0].get_lines()[0].get_xdata()) == [1, 10]
    assert "1 points are not finite" in figure.get_supxlabel()
    assert "below 1e-09" in figure.get_supxlabel()
