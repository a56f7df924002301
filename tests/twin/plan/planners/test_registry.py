"""The contract of every planner of the registry: a new row is tested by being there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from waddington.errors import UnknownNameError
from waddington.twin.dynamics import Dynamics
from waddington.twin.evaluate.summary import POLICIES
from waddington.twin.plan.agent import AgentConfig, rollout
from waddington.twin.plan.env import CellTask, CellVecEnv
from waddington.twin.plan.planners import PLANNERS, make_policy
from waddington.twin.plan.policy import as_act

SMALL = AgentConfig(net_arch=(8,), n_steps=4, batch_size=8, n_epochs=1)
OPTIONS: dict[str, dict[str, Any]] = {
    "agent": {"optimizer": "Adam", "lr": 1e-3, "total_timesteps": 32, "config": SMALL},
    **{name: {"config": SMALL} for name, planner in PLANNERS.items() if planner.has_net and not planner.trains},
}
"""What a planner needs besides an environment, at its smallest; most need nothing."""


def environment(actions: str) -> CellVecEnv:
    dynamics = Dynamics(effects=np.eye(3), perturbations=("A", "B", "C"), noise_sd=np.full(3, 0.05))
    task = CellTask(dynamics=dynamics, starts=np.zeros((5, 3)), goals=np.eye(3), actions=actions, max_steps=4)
    return CellVecEnv(task, 8, seed=0)


@pytest.mark.parametrize(
    ("name", "actions"),
    [
        (name, actions)
        for name, planner in PLANNERS.items()
        for actions in ("discrete", "continuous")
        if planner.acts_in(environment(actions).task)
    ],
)
class TestEveryPlanner:
    def test_acts_within_the_space_of_actions(self, name: str, actions: str) -> None:
        env = environment(actions)
        act = as_act(make_policy(name, env, **OPTIONS.get(name, {})))
        space = env.task.action_space
        for action in act(np.random.default_rng(0).normal(size=(6, *env.task.observation_space.shape)).astype("f")):
            assert space.contains(action.astype(space.dtype))

    def test_one_seed_gives_one_course_of_events(self, name: str, actions: str) -> None:
        first, second = (
            rollout(make_policy(name, env, seed=3, **OPTIONS.get(name, {})), env, episodes=6, seed=1)
            for env in (environment(actions), environment(actions))
        )
        np.testing.assert_array_equal(first.actions, second.actions)
        np.testing.assert_array_equal(first.final, second.final)


@pytest.mark.parametrize("name", PLANNERS)
def test_a_planner_is_known_by_its_name(name: str) -> None:
    assert PLANNERS[name].name == name


def test_tables_know_every_planner_and_no_other() -> None:
    assert set(POLICIES) == set(PLANNERS)


def test_an_unknown_planner_is_refused_by_name() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown planner 'randon'. Did you mean 'random'\?"):
        make_policy("randon", environment("discrete"))


def test_an_option_that_a_planner_has_not_is_refused() -> None:
    with pytest.raises(TypeError, match="optimizer"):
        make_policy("random", environment("discrete"), optimizer="Adam")
