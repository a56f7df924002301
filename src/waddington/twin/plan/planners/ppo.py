"""The planner that learns by proximal policy optimization (Schulman et al. 2017), with any optimizer."""

from __future__ import annotations

from typing import Any

from stable_baselines3 import PPO

from waddington.twin.plan.agent.train import train_agent
from waddington.twin.plan.env import CellVecEnv
from waddington.twin.plan.planners.base import Planner

__all__ = ["ProximalPolicy"]


class ProximalPolicy(Planner):
    """Trains an agent."""

    name = "agent"
    trains = True
    has_net = True

    def policy(self, env: CellVecEnv, *, seed: int = 0, **options: Any) -> PPO:
        """Train; the options are those of :func:`~waddington.twin.plan.agent.train_agent`."""
        return train_agent(env, seed=seed, **options)
