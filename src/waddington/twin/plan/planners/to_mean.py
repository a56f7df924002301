"""The planner that goes to the mean of the cells, whatever the goal: the best guess of one that does not see it."""

from __future__ import annotations

import numpy as np
from gymnasium import spaces

from waddington.errors import UnsupportedError
from waddington.twin.plan.env import CellTask, CellVecEnv, PaperTask, Task
from waddington.twin.plan.planners.base import Planner
from waddington.twin.plan.policy import Act

__all__ = ["ToMean"]


class ToMean(Planner):
    """Pushes each coordinate to its mean over the cells of the environment, as far as one step reaches."""

    name = "go to the mean"

    def acts_in(self, task: Task) -> bool:
        """Say whether actions push the state; a choice between perturbations has no mean to go to."""
        return isinstance(task, PaperTask | CellTask) and isinstance(task.action_space, spaces.Box)

    def policy(self, env: CellVecEnv, *, seed: int = 0) -> Act:  # type: ignore[override]
        """Give the policy; there is nothing to draw.

        Raises
        ------
        UnsupportedError
            When actions are a choice between perturbations.
        """
        task = env.task
        if not self.acts_in(task) or not isinstance(task, PaperTask | CellTask):
            raise UnsupportedError(
                f"cannot go to the mean by actions of {task.action_space}: accepted are tasks whose actions push the "
                "state"
            )
        cells = task.cells if isinstance(task, PaperTask) else task.starts
        mean, scale = cells.mean(axis=0), np.float32(task.action_scale)
        return lambda seen: np.clip((mean - seen[:, : len(mean)]) / scale, -1.0, 1.0).astype(np.float32)
