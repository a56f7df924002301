"""What a planner is: it makes the policy that acts in an environment."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from waddington.twin.plan.env import CellVecEnv, Task
from waddington.twin.plan.policy import Policy

__all__ = ["Planner"]


class Planner(ABC):
    """Makes policies. A new one is a file of this folder and a row of the registry."""

    name: ClassVar[str]
    """As the registry and tables of a run spell it."""
    trains: ClassVar[bool] = False
    """Whether it learns from the environment, which takes time, or is there to be compared with."""
    has_net: ClassVar[bool] = False
    """Whether it acts by a policy net, whose size the option ``config`` says."""
    draws: ClassVar[bool] = False
    """Whether its actions are drawn, however agents are evaluated."""

    def acts_in(self, task: Task) -> bool:
        """Say whether the planner is defined for the actions of a task; most are for all."""
        return True

    @abstractmethod
    def policy(self, env: CellVecEnv, *, seed: int = 0, **options: Any) -> Policy:
        """Make the policy.

        Parameters
        ----------
        env
            Where it will act, and may learn.
        seed
            Of all that is random.
        **options
            What the planner takes besides, by name.
        """
