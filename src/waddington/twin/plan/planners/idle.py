"""The planner that does nothing: what any other has to beat."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from waddington.twin.plan.env import CellVecEnv, Task
from waddington.twin.plan.planners.base import Planner
from waddington.twin.plan.policy import Act

__all__ = ["Idle", "idle_policy"]


def idle_policy(task: Task) -> Act:
    """Do nothing: wait (the last discrete action), or push by zero."""
    space = task.action_space
    if isinstance(space, spaces.Discrete):
        return lambda seen: np.full(len(seen), int(space.n) - 1)
    return lambda seen: np.zeros((len(seen), *(space.shape or ())), np.float32)


class Idle(Planner):
    """Does nothing."""

    name = "do nothing"

    def policy(self, env: CellVecEnv, *, seed: int = 0) -> Act:  # type: ignore[override]
        """Give :func:`idle_policy`; there is nothing to draw."""
        return idle_policy(env.task)
