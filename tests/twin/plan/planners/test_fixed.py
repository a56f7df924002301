"""Policies that are not trained, in the paper's environment: the fixed rows of its tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from waddington.errors import UnsupportedError
from waddington.twin.dynamics import Dynamics
from waddington.twin.plan.agent import AgentConfig, build_agent, rollout
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask
from waddington.twin.plan.planners import make_policy
from waddington.twin.plan.policy import as_act

CONFIG = AgentConfig(net_arch=(8,), n_steps=4)


@pytest.fixture
def env() -> CellVecEnv:
    cells = np.random.default_rng(0).standard_normal((40, 5)) + 2.0
    return CellVecEnv(PaperTask(cells=cells, max_steps=40), 4, seed=0)


def test_going_to_the_mean_ends_at_the_mean_of_the_cells(env: CellVecEnv) -> None:
    mean = env.task.cells.mean(axis=0)
    act = as_act(make_policy("go to the mean", env))
    seen = np.stack([mean, mean + 0.1, mean - 9.0]).astype(np.float32)
    np.testing.assert_allclose(act(seen), [[0.0] * 5, [-0.4] * 5, [1.0] * 5], atol=1e-5)
    final = rollout(act, CellVecEnv(env.task, 1), episodes=50, seed=1).final
    assert np.median(np.abs(final - mean)) < 1e-5  # but for what was struck in the last steps


def test_a_choice_between_perturbations_has_no_mean_to_go_to() -> None:
    dynamics = Dynamics(effects=np.eye(3), perturbations=("A", "B", "C"), noise_sd=np.zeros(3))
    task: Any = CellTask(dynamics=dynamics, starts=np.zeros((5, 3)), goals=np.eye(3))
    with pytest.raises(UnsupportedError, match=r"cannot go to the mean by actions of Discrete\(4\)"):
        make_policy("go to the mean", CellVecEnv(task, 1))


def test_untrained_policies_are_those_that_a_training_begins_with(env: CellVecEnv) -> None:
    seen = env.reset()
    begun = build_agent(env, optimizer="Adam", lr=1e-3, seed=3, config=CONFIG)
    decided = as_act(make_policy("untrained policy", env, seed=3, config=CONFIG))
    drawn = as_act(make_policy("untrained policy, stochastic", env, seed=3, config=CONFIG), deterministic=True)
    np.testing.assert_array_equal(decided(seen), begun.predict(seen, deterministic=True)[0])
    assert not np.array_equal(drawn(seen), drawn(seen))
    assert not np.array_equal(decided(seen), drawn(seen))
