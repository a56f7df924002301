"""A trained agent as a model keeps it: the weights of its nets, and the task they were made for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO

from waddington.twin.dynamics.latent import Dynamics
from waddington.twin.plan.agent import AgentConfig, rebuild_agent
from waddington.twin.plan.env import CellTask, CellVecEnv

__all__ = ["SavedAgent"]


@dataclass(frozen=True, kw_only=True, eq=False)
class SavedAgent:
    """A policy for a :class:`~waddington.twin.plan.env.CellTask`."""

    weights: dict[str, torch.Tensor]
    """State of Stable-Baselines3's policy: nets of policy and value."""
    config: AgentConfig
    """Says how large the nets are."""
    task: CellTask
    """Where it acts."""

    @classmethod
    def of(cls, agent: PPO, config: AgentConfig) -> SavedAgent:
        """Keep what a trained agent has learned."""
        weights = {name: value.detach().clone() for name, value in agent.policy.state_dict().items()}
        return cls(weights=weights, config=config, task=agent.get_env().task)

    def agent(self) -> PPO:
        """Build the agent again; it acts as it did when it was kept."""
        return rebuild_agent(CellVecEnv(self.task, 1), self.weights, config=self.config)

    def state_dict(self) -> dict[str, Any]:
        """Give everything but the dynamics as tensors, numbers and strings."""
        task = {field.name: getattr(self.task, field.name) for field in dataclasses.fields(self.task)}
        del task["dynamics"]
        arrays = {name: torch.from_numpy(x.copy()) for name, x in task.items() if isinstance(x, np.ndarray)}
        config = dataclasses.asdict(self.config)
        return {
            "weights": self.weights,
            "config": {**config, "net_arch": list(config["net_arch"])},
            "task": {**task, **arrays},
        }

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Any], dynamics: Dynamics) -> SavedAgent:
        """Make a policy from what :meth:`state_dict` gave, in the dynamics that were saved beside it."""
        task: dict[str, Any] = {
            key: value.numpy() if isinstance(value, torch.Tensor) else value for key, value in state["task"].items()
        }
        config = {**state["config"], "net_arch": tuple(state["config"]["net_arch"])}
        return cls(
            weights=dict(state["weights"]), config=AgentConfig(**config), task=CellTask(dynamics=dynamics, **task)
        )
