"""What all perturbations have in common is guessed of another, as far as it foretells any of them."""

from __future__ import annotations

import numpy as np
import pytest
from tests.twin.respond.hierarchical.dense import Screen, a_screen

from waddington.twin.respond.hierarchical.fitting import Course, fit_strengths
from waddington.twin.respond.hierarchical.guessing import common_response, posterior_effects, slope_by_control
from waddington.twin.respond.hierarchical.likelihood import posterior_of

FEATURES = 60


def screen_of(effects: np.ndarray, *, controls: float = 500.0, seed: int = 0) -> Screen:
    """Give singles with these effects, 50 cells each."""
    rng = np.random.default_rng(seed)
    parts = [(), *((f"E{i:02d}",) for i in range(len(effects)))]
    n = np.array([controls, *[50.0] * len(effects)])
    y = np.vstack([np.zeros(FEATURES), effects]) + rng.standard_normal((len(n), FEATURES)) / np.sqrt(n)[:, None]
    return Screen(parts, n, y, a_screen(parts, features=FEATURES).strengths)


def guessed(screen: Screen) -> np.ndarray:
    design, strengths = fit_strengths(screen.design(), screen.n, screen.y, Course(last_steps=4))
    return common_response(posterior_of(design, screen.n, screen.y, strengths), screen.n, screen.y)


def test_a_common_response_is_guessed() -> None:
    common = np.random.default_rng(1).standard_normal(FEATURES)
    strength = np.random.default_rng(2).uniform(0.5, 1.5, (12, 1))
    found = guessed(screen_of(strength * common))
    assert np.corrcoef(found, common)[0, 1] > 0.99
    assert 0.8 < (found @ common) / (common @ common) < 1.2


@pytest.mark.parametrize("seed", range(3))
def test_responses_that_have_nothing_in_common_are_no_ground_for_a_guess(seed: int) -> None:
    own = np.random.default_rng(seed).standard_normal((12, FEATURES))
    found = guessed(screen_of(own, seed=seed))
    assert np.linalg.norm(found) < 0.2 * np.linalg.norm(own, axis=1).mean()


def test_opposite_responses_are_no_ground_for_a_guess() -> None:
    common = np.random.default_rng(1).standard_normal(FEATURES)
    signs = np.array([[1.0], [-1.0]] * 6)
    assert np.linalg.norm(guessed(screen_of(signs * common))) < 0.1 * np.linalg.norm(common)


def test_noise_of_the_one_control_is_not_taken_for_something_in_common() -> None:
    """Few controls: every effect, measured against them, has their noise; as large as some true response."""
    own = 0.2 * np.random.default_rng(1).standard_normal((12, FEATURES))
    own -= own.mean(axis=0)
    screens = [screen_of(own, controls=10.0, seed=seed) for seed in range(6)]
    size = np.mean([np.linalg.norm(guessed(screen)) for screen in screens])
    shared = np.mean([np.linalg.norm(screen.y[0]) for screen in screens])
    assert size < 0.07 * shared


def test_few_perturbations_are_no_ground_for_a_guess() -> None:
    assert not guessed(screen_of(np.ones((4, FEATURES)))).any()


def test_means_follow_the_control_as_far_as_its_slope_says() -> None:
    screen = a_screen(features=4)
    moved = screen.y.copy()
    moved[0] += 1.0
    before, after = (posterior_of(screen.design(), screen.n, y, screen.strengths) for y in (screen.y, moved))
    found = posterior_effects(after) - posterior_effects(before)
    np.testing.assert_allclose(found, slope_by_control(before, screen.n[0]), rtol=1e-9, atol=1e-12)
