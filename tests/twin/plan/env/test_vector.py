"""One contract for every task: many cells at once, one cell, and both alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env as gymnasium_check
from stable_baselines3.common.env_checker import check_env as sb3_check

from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.twin.plan.env import CellEnv, CellVecEnv

Make = Callable[..., Any]


def random_actions(env: CellVecEnv, rng: np.random.Generator) -> np.ndarray:
    """Draw an action for every cell."""
    if env.action_space.shape:
        return rng.uniform(-1, 1, (env.num_envs, *env.action_space.shape)).astype(np.float32)
    return rng.integers(env.action_space.n, size=env.num_envs)


def test_single_environment_passes_both_checkers(make_task: Make) -> None:
    gymnasium_check(CellEnv(make_task()), skip_render_check=True)
    sb3_check(CellEnv(make_task()))


@pytest.mark.parametrize("truncate", [False, True])
def test_one_cell_moves_alike_in_both(make_task: Make, truncate: bool) -> None:
    task = make_task(truncate=truncate)
    single, many = CellEnv(task), CellVecEnv(task, 1, seed=3)
    seen, _ = single.reset(seed=3)
    np.testing.assert_array_equal(many.reset()[0], seen)
    rng = np.random.default_rng(0)
    for _ in range(3 * task.max_steps):
        action = random_actions(many, rng)
        seen, reward, terminated, truncated, info = single.step(action[0])
        seen_many, reward_many, done, infos = many.step(action)
        assert reward_many[0] == reward
        assert done[0] == (terminated or truncated)
        if done[0]:
            assert (terminated, truncated) == (not truncate, truncate)
            assert infos[0]["TimeLimit.truncated"] is truncate
            np.testing.assert_array_equal(infos[0]["terminal_observation"], seen)
            seen, info = single.reset()
        np.testing.assert_array_equal(seen_many[0], seen)
        assert many.state["distance"][0] == pytest.approx(info["distance"])


def test_finished_cells_start_anew_and_report_their_episode(make_task: Make) -> None:
    task = make_task()
    env = CellVecEnv(task, 5, seed=0)
    env.reset()
    rng, total = np.random.default_rng(1), np.zeros(5)
    for step in range(task.max_steps):
        seen, reward, done, infos = env.step(random_actions(env, rng))
        total += reward
        assert done.all() == (step == task.max_steps - 1)
        assert env.observation_space.contains(seen[0])
    assert [info["episode"]["l"] for info in infos] == [task.max_steps] * 5
    np.testing.assert_allclose([info["episode"]["r"] for info in infos], total, rtol=1e-5)
    assert (env.state["steps"] == 0).all()
    np.testing.assert_array_equal(task.observe(env.state), seen)


def test_returned_arrays_are_never_overwritten(make_task: Make) -> None:
    env = CellVecEnv(make_task(), 3, seed=0)
    first = env.reset()
    kept = first.copy()
    rng = np.random.default_rng(0)
    for _ in range(10):
        env.step(random_actions(env, rng))
    np.testing.assert_array_equal(first, kept)


def test_continues_bit_for_bit_from_a_saved_state(make_task: Make) -> None:
    task = make_task()
    env = CellVecEnv(task, 4, seed=0)
    env.reset()
    rng = np.random.default_rng(0)
    plan = [random_actions(env, rng) for _ in range(20)]
    for actions in plan[:9]:
        env.step(actions)
    other = CellVecEnv(task, 4, seed=99)
    other.set_state(env.get_state())
    for actions in plan[9:]:
        for one, two in zip(env.step(actions)[:3], other.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(one, two)
    with pytest.raises(DataError, match="cannot continue"):
        CellVecEnv(task, 5).set_state(env.get_state())


def test_seed_decides_everything(make_task: Make) -> None:
    runs = []
    for seed in (1, 1, 2):
        env = CellVecEnv(make_task(), 3)
        env.seed(seed)
        env.reset()
        rng = np.random.default_rng(0)
        runs.append(np.stack([env.step(random_actions(env, rng))[0] for _ in range(8)]))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_starts_and_goals_can_be_chosen(make_task: Make) -> None:
    env = CellVecEnv(make_task(), 3, seed=0)
    env.reset(starts=[3, 1, 2], goals=[0, 1, 3])
    np.testing.assert_array_equal(env.state["start_index"], [3, 1, 2])
    np.testing.assert_array_equal(env.state["goal_index"], [0, 1, 3])
    _, info = CellEnv(make_task()).reset(options={"start": 2, "goal": 1})
    assert (info["start"], info["goal"]) == (2, 1)
    with pytest.raises(ArgumentError, match=r"starts of shape \(2,\): accepted \(3,\)"):
        env.reset(starts=[0, 1])


def test_refuses_actions_outside_the_space(make_task: Make) -> None:
    env = CellVecEnv(make_task(), 3, seed=0)
    with pytest.raises(UnsupportedError, match="before reset"):
        env.step(random_actions(env, np.random.default_rng(0)))
    env.reset()
    with pytest.raises(ArgumentError, match="accepted"):
        env.step(np.zeros((2, 9)))
    if not env.action_space.shape:
        with pytest.raises(ArgumentError, match="accepted integers from 0 to 4"):
            env.step(np.array([0, 1, 5]))
    single = CellEnv(make_task())
    single.reset(seed=0)
    with pytest.raises(ArgumentError, match="cannot take action"):
        single.step(np.full(7, 9.0))
    with pytest.raises(ArgumentError, match="render_mode"):
        CellEnv(make_task(), render_mode="human")


def test_frozen_attributes(make_task: Make) -> None:
    env = CellVecEnv(make_task(), 2)
    assert env.get_attr("max_steps") == [env.task.max_steps] * 2
    assert env.render_mode is None
    with pytest.raises(UnsupportedError, match="frozen"):
        env.set_attr("max_steps", 3)
