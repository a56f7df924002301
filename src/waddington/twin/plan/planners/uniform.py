"""The planner that acts at random: what any other has to beat."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from waddington.twin.plan.env import CellVecEnv, Task
from waddington.twin.plan.planners.base import Planner
from waddington.twin.plan.policy import Act

__all__ = ["Uniform", "random_policy"]


def random_policy(task: Task, *, seed: int = 0) -> Act:
    """Act uniformly at random, whatever is seen."""
    rng = np.random.default_rng(seed)
    space = task.action_space
    if isinstance(space, spaces.Discrete):
        return lambda seen: rng.integers(int(space.n), size=len(seen))
    return lambda seen: rng.uniform(-1.0, 1.0, (len(seen), *(space.shape or ()))).astype(np.float32)


class Uniform(Planner):
    """Acts at random."""

    name = "random"
    draws = True

    def policy(self, env: CellVecEnv, *, seed: int = 0) -> Act:  # type: ignore[override]
        """Give :func:`random_policy`."""
        return random_policy(env.task, seed=seed)
