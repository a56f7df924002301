"""Every planner by name: one row each."""

from __future__ import annotations

from typing import Any

from waddington._checks import check_known
from waddington.twin.plan.env import CellVecEnv
from waddington.twin.plan.planners.base import Planner
from waddington.twin.plan.planners.idle import Idle
from waddington.twin.plan.planners.ppo import ProximalPolicy
from waddington.twin.plan.planners.to_mean import ToMean
from waddington.twin.plan.planners.uniform import Uniform
from waddington.twin.plan.planners.untrained import Untrained, UntrainedStochastic
from waddington.twin.plan.policy import Policy

__all__ = ["PLANNERS", "make_policy"]

PLANNERS: dict[str, Planner] = {
    planner.name: planner
    for planner in (ProximalPolicy(), Idle(), Uniform(), Untrained(), UntrainedStochastic(), ToMean())
}
"""Planners by name."""


def make_policy(name: str, env: CellVecEnv, *, seed: int = 0, **options: Any) -> Policy:
    """Make the policy of a planner for an environment.

    Parameters
    ----------
    name
        One of :data:`PLANNERS`.
    env
        Where it will act, and may learn.
    seed
        Of all that is random.
    **options
        What the planner takes besides, such as ``optimizer`` and ``total_timesteps`` of ``"agent"``.

    Raises
    ------
    UnknownNameError
        When there is no such planner; names the closest.
    """
    return PLANNERS[check_known("planner", name, PLANNERS)].policy(env, seed=seed, **options)
