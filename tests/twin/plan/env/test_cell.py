"""The held-out task: edits, goals and pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from waddington.errors import ArgumentError
from waddington.twin.plan.env import CellTask, CellVecEnv

Make = Callable[..., CellTask]
QUIET = {"disturbance_prob": 0.0, "noise_sd": np.zeros(5)}


def test_return_is_the_progress_to_the_goal_less_the_cost(cell_task: Make) -> None:
    task = cell_task(dynamics=QUIET, starts=np.zeros((1, 5)), cost=0.05, reward_scale=1.0)
    env = CellVecEnv(task, 4, seed=0)
    env.reset(goals=[0, 1, 2, 3])
    before = env.state["distance"].copy()
    total = np.zeros(4)
    for step in range(task.max_steps):
        _, reward, done, _ = env.step(np.arange(4) if step == 0 else np.full(4, task.wait))
        total += reward
    assert done.all()
    # Each cell was given the edit whose shift is its goal, so all of the way was covered, at the price of one edit.
    np.testing.assert_allclose(total, before - 0.05, atol=1e-5)


def test_reaching_a_typical_goal_is_worth_about_one(cell_task: Make) -> None:
    for stretch in (0.1, 1.0, 3.0):
        shifts = stretch * np.random.default_rng(5).standard_normal((4, 5)) / 3
        task = cell_task(dynamics=QUIET | {"effects": shifts}, goals=shifts, starts=np.zeros((1, 5)), cost=0.0)
        state = task.reset(4, np.random.default_rng(0), goals=np.arange(4))
        assert task.scale * state["distance"].mean() == pytest.approx(1.0)


def test_relative_goals_are_shifts_of_the_start(cell_task: Make) -> None:
    task = cell_task(relative_goals=True)
    state = task.reset(50, np.random.default_rng(0))
    expected = task.starts[state["start_index"]] + task.goals[state["goal_index"]]
    np.testing.assert_allclose(state["goal"], expected, rtol=1e-6)


def test_waiting_is_free_and_a_refused_edit_too(cell_task: Make) -> None:
    task = cell_task(dynamics=QUIET | {"max_perturbations": 1}, starts=np.zeros((1, 5)), cost=1.0)
    env = CellVecEnv(task, 1, seed=0)
    env.reset(goals=[0])
    first = env.step(np.array([0]))[1][0]
    env.step(np.array([task.wait]))
    # The first edit has unfolded; a second is refused, so nothing moves and nothing is paid.
    assert first < 0
    assert env.step(np.array([1]))[1][0] == 0.0


def test_observation_shows_state_way_edits_and_time(cell_task: Make) -> None:
    task = cell_task(dynamics=QUIET)
    env = CellVecEnv(task, 3, seed=0)
    env.reset()
    seen = env.step(np.array([2, 0, task.wait]))[0]
    state = env.state
    np.testing.assert_array_equal(seen[:, :5], state["z"])
    np.testing.assert_array_equal(seen[:, 5:10], state["goal"] - state["z"])
    np.testing.assert_allclose(seen[:, 10], 5 / 6)
    np.testing.assert_array_equal(seen[:, 11:15], [[0, 0, 0.5, 0], [0.5, 0, 0, 0], [0, 0, 0, 0]])
    assert cell_task(observe_gains=False).observation_space.shape == (15,)
    assert seen.shape == (3, 19)


def test_gains_are_what_an_edit_alone_would_bring(cell_task: Make) -> None:
    task = cell_task(dynamics=QUIET, cost=0.0)
    env = CellVecEnv(task, 4, seed=0)
    gains = env.reset()[:, -4:]
    unit = task.scale * (task.dynamics.effects**2).sum(axis=1).mean() / 5
    promised, paid = unit * np.diag(gains), np.zeros(4)
    for step in range(task.max_steps):
        seen, reward, _, _ = env.step(np.arange(4) if step == 0 else np.full(4, task.wait))
        paid += reward
        if step == 0:
            np.testing.assert_array_equal(np.diag(seen[:, -4:]), 0.0)
    np.testing.assert_allclose(paid, promised, atol=1e-5)


def test_continuous_push_is_scaled_clipped_and_priced(cell_task: Make) -> None:
    task = cell_task(dynamics=QUIET, actions="continuous", cost=0.5, reward_scale=1.0, starts=np.zeros((1, 5)))
    env = CellVecEnv(task, 1, seed=0)
    env.reset()
    before = env.state["distance"][0]
    push = np.array([[1.0, -1.0, 0.5, 0.0, 7.0]], np.float32)
    reward = env.step(push)[1][0]
    np.testing.assert_allclose(env.state["z"], 0.25 * np.clip(push, -1, 1))
    assert reward == pytest.approx(before - env.state["distance"][0] - 0.5 * 3.5 / 5, abs=1e-5)


def test_without_measured_edits_the_continuous_form_still_works(cell_task: Make) -> None:
    none = {"effects": np.empty((0, 5)), "perturbations": ()}
    task = cell_task(dynamics=none, actions="continuous", goals=np.ones((1, 5)))
    env = CellVecEnv(task, 2, seed=0)
    assert env.reset().shape == (2, 11)
    env.step(np.zeros((2, 5), np.float32))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"starts": np.zeros((3, 4))}, r"starts of shape \(3, 4\): accepted \(n, 5\)"),
        ({"goals": np.zeros((0, 5))}, "goals"),
        ({"goals": np.full((1, 5), np.nan)}, "NaN"),
        ({"actions": "both"}, "'discrete', 'continuous'"),
        ({"max_steps": 0}, "max_steps"),
        ({"cost": -1.0}, "cost"),
    ],
)
def test_refuses_impossible_tasks(cell_task: Make, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        cell_task(**changes)


STATES = np.concatenate([np.eye(5)[:3] * 3.0, np.zeros((1, 5))]).astype(np.float32)


def test_with_states_the_chance_of_being_in_the_goals_state_is_paid(cell_task: Make) -> None:
    task = cell_task(
        dynamics=QUIET | {"effects": np.vstack([STATES[:3], np.ones(5)])}, starts=np.zeros((1, 5)), goals=STATES[:3],
        states=STATES, cost=0.05,
    )  # fmt: skip
    env = CellVecEnv(task, 3, seed=0)
    env.reset(goals=[0, 1, 2])
    before = task.chance(env.state["z"], np.arange(3))
    total, given = np.zeros(3), np.array([0, 1, 1])  # the last cell goes elsewhere
    for step in range(task.max_steps - 1):
        _, reward, _, _ = env.step(given if step == 0 else np.full(3, task.wait))
        total += reward
    after = task.chance(env.state["z"], np.arange(3))
    np.testing.assert_allclose(total, after - before - 0.05, atol=1e-6)
    assert after[:2].min() > 0.9
    assert after[2] < 0.05
    assert before.max() < 0.1


def test_a_chance_is_a_half_in_the_middle_and_does_not_depend_on_the_scale(cell_task: Make) -> None:
    for stretch in (0.1, 1.0):
        task = cell_task(goals=stretch * STATES[:2], states=stretch * STATES[:2])
        middle = np.repeat(stretch * STATES[:2].mean(axis=0, keepdims=True), 2, axis=0)
        np.testing.assert_allclose(task.chance(middle, np.array([0, 1])), 0.5, atol=1e-6)
        np.testing.assert_allclose(task.chance(stretch * STATES[:2], np.array([0, 0])), [0.98, 0.02], atol=0.005)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"states": STATES[:1]}, r"states of shape \(1, 5\)"),
        ({"states": STATES[:, :4]}, r"states of shape \(4, 4\)"),
        ({"states": STATES[1:]}, "without every goal among them"),
        ({"states": STATES, "relative_goals": True}, "relative_goals=False"),
    ],
)
def test_states_without_the_goals_are_refused(cell_task: Make, changes: dict[str, Any], found: str) -> None:
    with pytest.raises(ArgumentError, match=found):
        cell_task(goals=STATES[:2], **changes)
