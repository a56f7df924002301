"""Letting policies act."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from waddington.errors import ArgumentError
from waddington.twin.plan.agent import AgentConfig, build_agent, rollout
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask
from waddington.twin.plan.planners import idle_policy, random_policy


def test_record_is_complete_and_consistent(task: Callable[..., CellTask]) -> None:
    env = CellVecEnv(task(cost=0.0), 4, seed=0)
    record = rollout(random_policy(env.task), env, episodes=7, seed=1, keep_trajectories=True)
    steps = env.task.max_steps
    assert record.trajectories is not None
    assert record.trajectories.shape == (7, steps + 1, 16)
    assert record.actions.shape == (7, steps)
    np.testing.assert_array_equal(record.trajectories[:, 0], record.initial)
    np.testing.assert_array_equal(record.trajectories[:, -1], record.final)
    np.testing.assert_allclose(record.initial, env.task.starts[record.start_index])
    np.testing.assert_allclose(record.goal, env.task.goals[record.goal_index])
    np.testing.assert_allclose(record.final_distance, ((record.final - record.goal) ** 2).mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(
        record.returns, env.task.scale * (record.initial_distance - record.final_distance), atol=1e-4
    )
    assert (record.lengths == steps).all()


def test_chosen_starts_and_goals(task: Callable[..., CellTask]) -> None:
    env = CellVecEnv(task(), 2)
    record = rollout(idle_policy(env.task), env, starts=[5, 6, 7], goals=[0, 0, 9])
    np.testing.assert_array_equal(record.start_index, [5, 6, 7])
    np.testing.assert_array_equal(record.goal_index, [0, 0, 9])
    assert record.trajectories is None
    assert len(rollout(idle_policy(env.task), env).returns) == 2
    with pytest.raises(ArgumentError, match=r"\[2, 3\] episodes"):
        rollout(idle_policy(env.task), env, starts=[1, 2], goals=[0, 1, 2])
    with pytest.raises(ArgumentError, match="rows of the task's"):
        rollout(idle_policy(env.task), env, goals=[10_000])


def test_policies_under_one_seed_meet_the_same_cells_and_the_environment_is_left_alone(
    task: Callable[..., CellTask],
) -> None:
    env = CellVecEnv(task(), 3, seed=0)
    env.reset()
    before = env.get_state()
    first = rollout(random_policy(env.task), env, episodes=20, seed=4)
    second = rollout(idle_policy(env.task), env, episodes=20, seed=4)
    np.testing.assert_array_equal(first.initial, second.initial)
    np.testing.assert_array_equal(first.goal, second.goal)
    after = env.get_state()
    assert after["rng"] == before["rng"]
    np.testing.assert_array_equal(after["arrays"]["z"], before["arrays"]["z"])


def test_agent_draws_or_decides(task: Callable[..., CellTask]) -> None:
    env = CellVecEnv(task(), 4)
    model = build_agent(env, optimizer="Adam", lr=1e-3, config=AgentConfig(net_arch=(8,), n_steps=32))
    decided = [rollout(model, env, episodes=5, seed=0).actions for _ in range(2)]
    drawn = [rollout(model, env, episodes=5, seed=0, deterministic=False).actions for _ in range(2)]
    np.testing.assert_array_equal(decided[0], decided[1])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(decided[0], drawn[0])


def test_doing_nothing_in_the_papers_environment_stays_near_the_original() -> None:
    cells = np.random.default_rng(0).standard_normal((50, 8))
    env = CellVecEnv(PaperTask(cells=cells, max_steps=20), 1)
    still = rollout(idle_policy(env.task), env, episodes=200, seed=0)
    moving = rollout(random_policy(env.task), env, episodes=200, seed=0)
    assert still.actions.shape == (200, 20, 8)
    np.testing.assert_array_equal(still.initial, cells.astype(np.float32)[still.start_index])
    moved = [((run.final - run.initial) ** 2).mean() for run in (still, moving)]
    assert moved[0] < moved[1]
