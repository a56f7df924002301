"""Posterior mean and variance of an effect are those of all unknowns written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.twin.respond.hierarchical.dense import MIXED, SINGLES, Screen, a_screen, dense_effect

from waddington.twin.respond.hierarchical.design import Stack, cut
from waddington.twin.respond.hierarchical.likelihood import Strengths, posterior_of
from waddington.twin.respond.hierarchical.prediction import predicted_effect

ASKED = {
    "a measured single": ("A",),
    "a measured pair": ("A", "B"),
    "an unmeasured pair": ("B", "C"),
    "a perturbation seen in combinations alone": ("E",),
    "a pair across parts that share nothing": ("D", "G"),
    "a measured triple": ("A", "B", "F"),
    "an unmeasured triple": ("A", "C", "E"),
    "nothing": (),
}


def agrees(screen: Screen, asked: tuple[str, ...], *, pairs_together: bool) -> None:
    design = screen.design(pairs_together=pairs_together)
    posterior = posterior_of(design, screen.n, screen.y, screen.strengths)
    mean, variance = predicted_effect(posterior, asked)
    for feature in range(screen.y.shape[1]):
        expected = dense_effect(screen, asked, feature)
        assert (mean[feature], variance[feature]) == pytest.approx(expected, rel=1e-9, abs=1e-11)


@pytest.mark.parametrize("asked", ASKED.values(), ids=ASKED)
@pytest.mark.parametrize("kappa", [0.0, 0.9])
def test_equals_all_unknowns_written_out(kappa: float, asked: tuple[str, ...]) -> None:
    agrees(a_screen(kappa=kappa), asked, pairs_together=kappa > 0)


@pytest.mark.parametrize("asked", [("B",), ("A", "D")])
def test_equals_it_with_singles_alone(asked: tuple[str, ...]) -> None:
    agrees(a_screen(SINGLES), asked, pairs_together=False)


def test_order_within_a_combination_does_not_matter() -> None:
    screen = a_screen(kappa=0.5)
    posterior = posterior_of(screen.design(pairs_together=True), screen.n, screen.y, screen.strengths)
    for one, other in ((("A", "B"), ("B", "A")), (("C", "E"), ("E", "C"))):
        np.testing.assert_allclose(predicted_effect(posterior, one), predicted_effect(posterior, other), rtol=1e-12)


@pytest.mark.parametrize("asked", [("Z",), ("A", "Z"), ("E", "Z")])
def test_what_never_occurred_is_one_of_mean_strength_of_which_nothing_is_known(asked: tuple[str, ...]) -> None:
    screen = a_screen()
    posterior = posterior_of(screen.design(), screen.n, screen.y, screen.strengths)
    mean, variance = predicted_effect(posterior, asked)
    strength = np.append(screen.strengths.a, screen.strengths.a.mean())
    wider = replace(screen, never=("Z",), strengths=replace(screen.strengths, a=strength))
    for feature in range(screen.y.shape[1]):
        assert (mean[feature], variance[feature]) == pytest.approx(dense_effect(wider, asked, feature), rel=1e-9)


@pytest.mark.parametrize("kappa", [0.0, 0.5])
def test_cutting_into_parts_that_share_nothing_changes_nothing(kappa: float) -> None:
    screen = a_screen(kappa=kappa)
    one, other = screen.design(pairs_together=kappa > 0), screen.design(pairs_together=True)
    # A design in one piece: every perturbation in every block's table.
    whole = replace(other, stacks=(one_block(screen),))
    for asked in MIXED:
        found = [
            np.stack(predicted_effect(posterior_of(design, screen.n, screen.y, screen.strengths), asked))
            for design in (one, other, whole)
        ]
        np.testing.assert_allclose(found[1], found[0], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(found[2], found[0], rtol=1e-9, atol=1e-12)


def one_block(screen: Screen) -> Stack:
    member = np.array([[float(name in one) for name in screen.perturbations] for one in screen.parts])
    conditions, perturbations = (np.arange(size)[None, :] for size in member.shape)
    return Stack(conditions=conditions, perturbations=perturbations, member=member[None])


def test_doses_share_an_effect_as_if_each_were_combined_with_it() -> None:
    """Without a factor or an interaction of combinations, a shared column is one more perturbation."""
    rng = np.random.default_rng(4)
    parts = ((), ("X@1",), ("X@9",), ("A",), ("A", "X@9"))
    n, y = np.array([40.0, 5.0, 20.0, 20.0, 20.0]), rng.normal(size=(5, 6))
    shared = {"X@1": "X", "X@9": "X"}
    one = cut(("A", "X@1", "X@9"), parts, shared=shared)
    other = cut(one.perturbations, [[*part, *(["X"] if any("X" in p for p in part) else [])] for part in parts])
    strengths = Strengths(a=np.array([1.0, 0.3, 0.5, 2.0]), l=np.full(6, 1.0), c=1.0, w=0.0)
    found, expected = (posterior_of(design, n, y, strengths) for design in (one, other))
    assert one.size.tolist() == [0, 1, 1, 1, 2]
    for asked in (("X@1",), ("X@9",), ("A", "X@1")):
        np.testing.assert_allclose(
            predicted_effect(found, asked), predicted_effect(expected, (*asked, "X")), rtol=1e-9, atol=1e-12
        )
    half = predicted_effect(found, [{"X@1": 0.5, "X@9": 0.5}])[0]
    ends = [predicted_effect(found, (dose,))[0] for dose in shared]
    np.testing.assert_allclose(half, np.mean(ends, axis=0), atol=1e-12)
