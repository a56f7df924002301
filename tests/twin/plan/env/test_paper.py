"""The published environment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.twin.plan.env import CellVecEnv, PaperTask, perturb_features

Make = Callable[..., PaperTask]


@given(st.integers(1, 4), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_a_perturbation_sets_a_few_features_to_zero_or_doubles_them(max_perturb: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before = rng.uniform(0.5, 1.0, (40, 6)).astype(np.float32)
    after = before.copy()
    rows = np.arange(0, 40, 2)
    perturb_features(after, rows, rng, max_perturb=max_perturb)
    np.testing.assert_array_equal(after[1::2], before[1::2])
    changed = (after != before).sum(axis=1)[rows]
    assert changed.min() >= 1
    assert changed.max() <= max_perturb
    # A feature may be struck more than once: factors are powers of two, or zero.
    factors = np.unique((after / before).round(5))
    assert set(factors) <= {0.0, *(2.0**power for power in range(max_perturb + 1))}


def test_rates_of_single_and_double_perturbation(paper_task: Make) -> None:
    cells = np.random.default_rng(0).uniform(1, 2, (200, 30))
    for max_perturb in (1, 2):
        task = paper_task(cells=cells, max_perturb=max_perturb)
        env = CellVecEnv(task, 5000, seed=1)
        env.reset()
        struck_at_start = (env.state["z"] != env.state["initial"]).sum(axis=1)
        assert struck_at_start.min() == 1
        assert struck_at_start.max() == max_perturb
        before = env.state["z"].copy()
        env.step(np.zeros((5000, 30), np.float32))
        # A zero that is doubled or zeroed again does not show, so the observed rate lies a little lower.
        assert np.any(env.state["z"] != before, axis=1).mean() == pytest.approx(0.1, abs=0.02)


def test_reward_is_the_drop_of_the_mean_squared_distance(paper_task: Make) -> None:
    env = CellVecEnv(paper_task(perturb_prob=0.0), 8, seed=0)
    env.reset()
    z, goal = env.state["z"].copy(), env.state["goal"].copy()
    push = np.random.default_rng(0).uniform(-2, 2, (8, 5)).astype(np.float32)
    reward = env.step(push)[1]
    moved = np.clip(z + 0.25 * np.clip(push, -1, 1), -5, 5)
    np.testing.assert_allclose(env.state["z"], moved, rtol=1e-6)
    np.testing.assert_allclose(reward, ((z - goal) ** 2).mean(1) - ((moved - goal) ** 2).mean(1), atol=1e-6)


def test_target_is_another_cell_or_a_later_one(paper_task: Make) -> None:
    rng = np.random.default_rng(0)
    state = paper_task().reset(4000, rng)
    assert (state["start_index"] != state["goal_index"]).all()
    assert len(np.unique(state["goal_index"])) == 30
    order = rng.permutation(30).astype(float)
    state = paper_task(order=order).reset(4000, rng)
    start, goal = order[state["start_index"]], order[state["goal_index"]]
    assert ((goal > start) | (start == 29)).all()
    assert set(goal[start == 27]) == {28.0, 29.0}


def test_agent_does_not_see_the_target(paper_task: Make) -> None:
    env = CellVecEnv(paper_task(), 4, seed=0)
    np.testing.assert_array_equal(env.reset(), env.state["z"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"cells": np.zeros((1, 5))}, "n >= 2"),
        ({"cells": np.full((3, 5), np.inf)}, "finite"),
        ({"order": np.arange(3.0)}, r"order of shape \(3,\): accepted \(30,\)"),
        ({"perturb_prob": 2.0}, "perturb_prob"),
        ({"max_perturb": 0}, "max_perturb"),
    ],
)
def test_refuses_impossible_tasks(paper_task: Make, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        paper_task(**changes)
