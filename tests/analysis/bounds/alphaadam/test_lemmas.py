"""The lemmas of Appendix E: constants by hand, and what full-batch runs with a known L do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.analysis.bounds import judge
from waddington.analysis.bounds.alphaadam import (
    Descent,
    attained_step_factor,
    convergence_bound,
    descent_bound,
    second_moment_bound,
    step_bound,
    step_factor,
)
from waddington.errors import ArgumentError

QUICK = (0.5, 0.9)


class Run(NamedTuple):
    steps: np.ndarray
    length: np.ndarray
    behind: np.ndarray
    missed: np.ndarray
    norm: np.ndarray
    loss: np.ndarray


def descend(curvature: np.ndarray, start: np.ndarray, descent: Descent, steps: int) -> Run:
    """Run what the appendix analyses on f = Σ λ x²/2, in its own few lines, and take down what the lemmas speak of."""
    (beta1, beta2), x = descent.betas, start.astype(float)
    m, v = np.zeros_like(x), np.zeros_like(x)
    found = []
    for t in range(1, steps + 1):
        g, before = curvature * x, v
        mask = g * m > 0
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        rate = descent.lr / math.sqrt(t)
        u = m / np.sqrt(np.where(v > 0, v, 1.0))
        above = np.abs(g) >= descent.second_moment_threshold(t)
        behind = (before[above] / g[above] ** 2).max(initial=0.0)
        norm = np.abs(g)[mask].sum()
        missed = rate * (norm / math.sqrt(10.0) - (g * u)[mask].sum())
        found.append((t, np.abs(rate * u * mask).max(), behind, missed, norm, 0.5 * (curvature * x * x).sum()))
        x = x - rate * u * mask
    return Run(*np.array(found).T)


def test_the_step_factor_by_hand() -> None:
    assert step_factor(QUICK) == pytest.approx(0.5 / (math.sqrt(0.1) * (1.0 - 0.5 / math.sqrt(0.9))))
    assert step_factor() == pytest.approx(31.766, abs=1e-3)
    assert attained_step_factor() == pytest.approx(7.2703, abs=1e-4)
    assert attained_step_factor(step=1) == pytest.approx(0.1 / math.sqrt(0.001))
    assert step_factor((0.95, 0.9)) == math.inf
    assert attained_step_factor((0.99, 0.9)) == math.inf
    assert math.isfinite(attained_step_factor((0.99, 0.9), step=10))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60), st.floats(0.0, 0.99), st.floats(0.01, 0.999))
def test_no_gradients_make_a_longer_step_than_what_can_be_attained(grads, beta1: float, beta2: float) -> None:
    m, v = 0.0, 0.0
    for g in grads:
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    attained = attained_step_factor((beta1, beta2), step=len(grads))
    assert abs(m) <= attained * math.sqrt(v) * (1.0 + 1e-9) + 1e-150
    assert attained <= attained_step_factor((beta1, beta2)) * (1.0 + 1e-9)
    assert attained_step_factor((beta1, beta2)) <= step_factor((beta1, beta2)) * (1.0 + 1e-9)


def test_growing_gradients_attain_it() -> None:
    beta1, beta2 = 0.9, 0.999
    m, v = 0.0, 0.0
    for back in reversed(range(60)):
        g = (beta1 / beta2) ** back
        m, v = beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g * g
    assert m / math.sqrt(v) == pytest.approx(attained_step_factor((beta1, beta2), step=60), rel=1e-12)


def test_the_constants_of_the_theorem_by_hand() -> None:
    descent = Descent(dimension=4, smoothness=2.0, lr=0.01, betas=QUICK)
    kappa = step_factor(QUICK)
    assert descent.start == 3  # ½^3 is the first below ¼
    assert Descent(dimension=4, smoothness=2.0, lr=0.01).start == 14
    assert Descent(dimension=4, smoothness=2.0, lr=0.01, betas=(0.0, 0.9)).start == 2
    assert descent.drift(1.0) == pytest.approx(0.01 * 2.0 * 2.0 * kappa)
    assert descent.drift(4.0) == pytest.approx(0.5 * descent.drift(1.0))
    assert descent.second_moment_threshold(1.0) == pytest.approx(10.0 * math.sqrt(32.0) * descent.drift(1.0))
    assert descent.descent_threshold(1.0) == pytest.approx(12.0 * math.sqrt(32.0) * descent.drift(1.0))
    assert descent.slack == pytest.approx(4.0 * descent.descent_threshold(1.0) * (1.0 / math.sqrt(10.0) + kappa))
    assert descent.bend == pytest.approx(0.5 * 0.01**2 * 2.0 * 4.0 * kappa**2)
    doubled = Descent(dimension=4, smoothness=2.0, lr=0.01, betas=QUICK, multiplier=(1.0, 2.0))
    assert (doubled.slack, doubled.bend) == pytest.approx((2.0 * descent.slack, 4.0 * descent.bend))


@settings(deadline=None, max_examples=12)
@given(
    st.lists(st.tuples(st.floats(0.05, 2.0), st.floats(-8.0, 8.0)), min_size=1, max_size=5),
    st.sampled_from([1e-4, 1e-3, 0.05]),
    st.sampled_from([QUICK, (0.9, 0.99)]),
)
def test_full_batch_runs_keep_to_every_lemma(drawn, lr: float, betas: tuple[float, float]) -> None:
    curvature, start = np.array(drawn).T
    descent = Descent(dimension=len(curvature), smoothness=float(curvature.max()), lr=lr, betas=betas)
    run = descend(curvature, start, descent, 120)
    assert judge(step_bound(lr, betas), run.steps, run.length).holds
    assert judge(second_moment_bound(descent), run.steps, run.behind).holds
    assert judge(descent_bound(descent), run.steps, np.maximum(run.missed, 0.0)).holds
    late = slice(descent.start - 1, None)
    bound = convergence_bound(descent, float(run.loss[late][0]), full_batch=True, exact_smoothness=True, eps=0.0)
    assert all(each.holds for each in bound.assumptions)
    assert judge(bound, run.steps[late], np.minimum.accumulate(run.norm[late])).holds


def test_some_coordinates_are_above_the_thresholds() -> None:
    descent = Descent(dimension=2, smoothness=1.0, lr=1e-3, betas=QUICK)
    run = descend(np.array([1.0, 0.5]), np.array([3.0, -2.0]), descent, 120)
    assert run.behind.max() > 0.9  # so that the lemma had something to say
    assert (run.missed[descent.start :] < 0).all()


def longest_step(compensation: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> float:
    """Take random steps of many tensors of ten coordinates; give the longest one over the lemma's bound."""
    rng, worst = np.random.default_rng(0), 0.0
    m, v = np.zeros((500, 10)), np.zeros((500, 10))
    for _ in range(200):
        g = rng.standard_normal(m.shape)
        mask = g * m > 0
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        moving = mask.any(1)
        u = m[moving] / (np.sqrt(v[moving]) + 1e-8)
        kept = u * mask[moving]
        worst = max(worst, float((np.abs(kept).max(1) * compensation(u, kept)).max(initial=0.0)))
    return worst / step_factor()


def test_what_the_analysis_leaves_out_breaks_the_step_bound() -> None:
    def strength(u: np.ndarray, kept: np.ndarray) -> np.ndarray:
        return (u**2).sum(1) / (kept**2).sum(1)

    def count(kept: np.ndarray) -> np.ndarray:
        return 10.0 / ((kept != 0.0).sum(1) + 1.0)

    assert longest_step(lambda u, kept: np.ones(len(u))) <= attained_step_factor() / step_factor()  # 0.229
    assert longest_step(lambda u, kept: np.minimum(strength(u, kept), 2.0) * count(kept)) < 2.5  # 2 · 5 · 0.229
    assert longest_step(lambda u, kept: strength(u, kept) * count(kept)) > 5.0
    violated = [each.name for each in step_bound(0.1, multiplier=(1.0, 4.0)).assumptions if not each.holds]
    assert violated == ["a bare update"]


def test_what_is_refused() -> None:
    with pytest.raises(ArgumentError, match="dimension=0"):
        Descent(dimension=0, smoothness=1.0, lr=0.1)
    with pytest.raises(ArgumentError, match=r"multiplier=\(2.0, 1.0\)"):
        Descent(dimension=1, smoothness=1.0, lr=0.1, multiplier=(2.0, 1.0))
    with pytest.raises(ArgumentError, match="beta2=1"):
        step_factor((0.9, 1.0))
    with pytest.raises(ArgumentError, match="lr=0"):
        step_bound(0.0)
