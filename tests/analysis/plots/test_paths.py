"""Paths that lie on each other are nested in a picture, and those that it cannot tell apart are named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waddington.analysis import Landscape, plots
from waddington.analysis.plots._paths import coinciding, in_words, path_styles, starts

X = np.linspace(-1.0, 1.0, 5)
STEPS = np.linspace(0.0, 1.0, 8)
BENT = np.stack([STEPS - 0.5, STEPS**2 - 0.5], axis=1)
AWAY = np.stack([STEPS - 0.5, -0.4 * STEPS - 0.5], axis=1)
FORKED = np.concatenate([BENT[:5], BENT[4] + np.stack([0.1 * STEPS[1:], -0.5 * STEPS[1:]], axis=1)])


def with_paths(**paths: Any) -> Landscape:
    return Landscape((X, 2 * X), np.add.outer(X**2, X**2) + 0.5, 0.5, ("a", "b"), paths=paths)


def test_paths_that_coincide_are_named_and_nested_the_widest_below() -> None:
    found = with_paths(ASGDAdam=BENT, Adam=AWAY, Padam=BENT + 1e-4, SGD=BENT[[0, 1, 3, 4, 5, 6, 7]])
    assert coinciding(found) == [("ASGDAdam", "Padam", "SGD")]
    looks = path_styles(found)
    assert [name for name in looks if name != "Adam"] == ["ASGDAdam", "Padam", "SGD"], "in the order of drawing"
    widths = [looks[name].width for name in ("ASGDAdam", "Padam", "SGD")]
    sizes = [looks[name].size for name in ("ASGDAdam", "Padam", "SGD")]
    assert np.all(np.diff(widths) < -1.0), "a line is seen on both sides of the one above"
    assert np.all(np.divide(sizes[:-1], sizes[1:]) > np.sqrt(2)), "a circle is seen around a square"
    assert looks["Adam"].width == looks["SGD"].width == min(widths)
    assert len({look.marker for look in looks.values()}) == len({look.color for look in looks.values()}) == 4


def test_paths_that_go_one_way_for_a_while_are_nested_but_do_not_coincide() -> None:
    found = with_paths(first=BENT, second=FORKED, third=AWAY)
    assert coinciding(found) == []
    looks = path_styles(found)
    assert looks["first"].width > looks["second"].width == looks["third"].width


def test_a_path_that_hardly_leaves_the_start_makes_no_other_wider_and_its_end_is_seen_in_the_starts_ring() -> None:
    still = BENT[0] + 1e-4 * STEPS[:, None]
    found = with_paths(still=still, stuck=still, going=BENT)
    assert coinciding(found) == [("still", "stuck")]
    looks = path_styles(found)
    assert {look.width for look in looks.values()} == {looks["going"].width}
    assert looks["still"].size > looks["stuck"].size == looks["going"].size
    (start,) = starts(found)
    assert start.names == ("still", "stuck", "going")
    assert start.size > looks["still"].size
    assert start.place.tolist() == BENT[0].tolist()


def test_what_is_one_place_goes_by_the_pictures_extent() -> None:
    """The second axis is twice as long: there, twice as much is one place."""
    assert coinciding(with_paths(a=BENT, b=BENT + np.array([0.008, 0.0]))) == [("a", "b")]
    assert coinciding(with_paths(a=BENT, b=BENT + np.array([0.03, 0.0]))) == []
    far = np.array([[-0.5, 0.0], [0.5, 0.0]])
    assert coinciding(with_paths(a=far, b=far + np.array([0.0, 0.015]))) == [("a", "b")]


def test_starts_that_several_share_are_one() -> None:
    found = starts(with_paths(a=BENT, b=AWAY, c=BENT + 0.3))
    assert [(start.names, start.size) for start in found] == [(("a", "b"), 5.0), (("c",), 5.0)]


@given(st.permutations(["a", "b", "c", "d"]), st.integers(1, 12))
def test_neither_the_order_of_paths_nor_their_number_of_points_tells(order: list[str], points: int) -> None:
    dense = np.linspace(0.0, 1.0, points + 1)[:, None]
    straight = {"a": BENT[0] + (BENT[-1] - BENT[0]) * dense, "b": BENT[[0, -1]], "c": AWAY, "d": AWAY[[0, -1]]}
    groups = coinciding(with_paths(**{name: straight[name] for name in order}))
    assert {frozenset(group) for group in groups} == {frozenset("ab"), frozenset("cd")}


@pytest.mark.parametrize("draw", [plots.contour, plots.surface])
def test_a_picture_says_in_its_legend_what_coincides_and_draws_the_widest_first(draw: Any) -> None:
    found = with_paths(ASGDAdam=BENT, Padam=BENT, Adam=AWAY)
    assert in_words(found) == ["ASGDAdam and Padam coincide in this picture"]
    figure = draw(found)
    figure.draw_without_rendering()
    legend = figure.legends[0]
    assert legend.get_title().get_text() == "ASGDAdam and Padam coincide in this picture"
    assert [text.get_text() for text in legend.get_texts()][-3:] == ["ASGDAdam", "Padam", "Adam"]
    colors = {name: look.color for name, look in path_styles(found).items()}
    lines = [line for line in figure.axes[0].lines if len(line.get_xdata()) == len(BENT)]
    ours = [line for line in lines if line.get_color() in (colors["ASGDAdam"], colors["Padam"])]
    assert [line.get_color() for line in ours] == [colors["ASGDAdam"], colors["Padam"]]
    assert ours[0].get_linewidth() > ours[1].get_linewidth() + 1.0
    assert draw(with_paths(Adam=AWAY)).legends[0].get_title().get_text() == ""


def test_a_page_nests_them_too_and_says_so() -> None:
    page = plots.page(with_paths(ASGDAdam=BENT, Padam=BENT))
    assert "<li>ASGDAdam and Padam coincide in this picture</li>" in page
