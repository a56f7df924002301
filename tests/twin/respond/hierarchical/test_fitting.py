"""What a fit finds in screens whose strengths are known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.twin.respond.hierarchical.dense import Screen, a_screen

from waddington.twin.respond.hierarchical.fitting import Course, fit_strengths, outweighing
from waddington.twin.respond.hierarchical.likelihood import Strengths, negative_log_likelihood, posterior_of
from waddington.twin.respond.hierarchical.prediction import predicted_mean

NAMES = "ABCDEFGH"
SHORT = Course(first_steps=2, rounds=1, steps_a_round=1, last_steps=2)


def drawn(*, c: float = 0.7, w: float = 0.03, doubles: bool = True, features: int = 60, seed: int = 0) -> Screen:
    """Give a screen that the model's own equations drew."""
    rng = np.random.default_rng(seed)
    parts = [(), *((name,) for name in NAMES), *(itertools.combinations(NAMES, 2) if doubles else ())]
    screen = a_screen(parts, features=features, seed=seed)
    a, l = np.geomspace(0.05, 2.0, len(NAMES)), screen.strengths.l  # noqa: E741
    z = np.array([[float(name in one) for name in NAMES] for one in parts])
    combined = z.sum(axis=1) > 1
    theta = rng.standard_normal((len(NAMES), features)) * np.sqrt(np.outer(a, l))
    eta = rng.standard_normal((len(parts), features)) * np.sqrt(np.outer(np.where(combined, w * (z @ a), 0.0), l))
    n = np.full(len(parts), 200.0)
    noise = rng.standard_normal((len(parts), features)) / np.sqrt(n)[:, None]
    y = 1.0 + (z * np.where(combined, c, 1.0)[:, None]) @ theta + eta + noise
    return Screen(parts, n, y, Strengths(a=a, l=l, c=c, w=w))


def test_finds_strengths_scale_and_interaction_again() -> None:
    screen = drawn()
    _, found = fit_strengths(screen.design(), screen.n, screen.y, Course(pair_kernel=False))
    assert (found.c, found.w, found.kappa) == (0.7, 0.03, 0.0)
    assert np.abs(np.log(found.a / screen.strengths.a)).max() < np.log(2.0)
    assert np.corrcoef(np.log(found.l), np.log(screen.strengths.l))[0, 1] > 0.7
    assert found.l.mean() == pytest.approx(1.0)


def test_without_combinations_there_is_no_scale_to_fit() -> None:
    screen = drawn(doubles=False)
    _, found = fit_strengths(screen.design(), screen.n, screen.y, SHORT)
    assert (found.c, found.w, found.kappa) == (1.0, 0.3, 0.0)


def test_the_grids_are_walked_by_likelihood() -> None:
    screen = drawn(features=20)
    course = replace(SHORT, steps_a_round=0, last_steps=0)
    design, found = fit_strengths(screen.design(), screen.n, screen.y, course)
    best = negative_log_likelihood(posterior_of(design, screen.n, screen.y, found))
    for kappa in course.couplings:  # the last grid of the round
        other = replace(found, kappa=kappa)
        together = screen.design(pairs_together=True)
        assert negative_log_likelihood(posterior_of(together, screen.n, screen.y, other)) >= best - 1e-9


def test_the_features_that_respond_most_tell_scale_and_interaction() -> None:
    screen = drawn()
    course = Course(pair_kernel=False, features_for_grids=20)
    _, found = fit_strengths(screen.design(), screen.n, screen.y, course)
    assert (found.c, found.w) == (0.7, 0.03)


def test_few_combinations_are_not_coupled() -> None:
    screen = drawn(features=20)
    _, found = fit_strengths(screen.design(), screen.n, screen.y, replace(SHORT, pairs_for_kernel=99))
    assert found.kappa == 0.0
    assert found.similarity is None


def means(screen: Screen, asked: list[tuple[str, ...]]) -> np.ndarray:
    design, strengths = fit_strengths(screen.design(), screen.n, screen.y, SHORT)
    posterior = posterior_of(design, screen.n, screen.y, strengths)
    return np.stack([predicted_mean(posterior, one) for one in asked])


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(1, 12)), st.permutations(range(12)))
def test_order_of_conditions_and_features_does_not_matter(conditions: list[int], features: list[int]) -> None:
    parts = [(), *((name,) for name in "ABCDE"), ("A", "B"), ("B", "C"), ("A", "C"), ("D", "E"), ("A", "F"), ("B", "F")]
    screen = a_screen(parts, features=12)
    order = [0, *conditions]
    other = Screen([parts[i] for i in order], screen.n[order], screen.y[order][:, features], screen.strengths)
    asked = [("A",), ("A", "B"), ("C", "F")]
    np.testing.assert_allclose(means(other, asked), means(screen, asked)[:, features], rtol=1e-6, atol=1e-8)


def test_a_feature_that_outweighs_all_others_has_no_part_in_their_strengths() -> None:
    screen = drawn(features=20)
    wrong = screen.y.copy()
    wrong[1, 4] += 1e4
    assert np.flatnonzero(outweighing(screen.n, wrong)).tolist() == [4]
    assert not outweighing(screen.n, screen.y).any()
    assert not outweighing(screen.n, wrong[:, :9]).any()
    others = np.arange(20) != 4
    _, found = fit_strengths(screen.design(), screen.n, wrong, SHORT)
    _, without = fit_strengths(screen.design(), screen.n, screen.y[:, others], SHORT)
    np.testing.assert_array_equal(found.a, without.a)
    np.testing.assert_array_equal(found.l[others], without.l)
    strength = dict(zip(screen.perturbations, found.a, strict=True))
    sums = [(sum(strength[name] for name in one), len(one)) for one in screen.parts[1:]]
    expected = np.mean([total * (found.c**2 + found.w if size > 1 else 1.0) for total, size in sums])
    squares = (wrong[1:, 4] - wrong[0, 4]) ** 2 - 1 / screen.n[1:] - 1 / screen.n[0]
    assert found.l[4] == pytest.approx(squares.mean() / expected)
