"""Environments in which an agent perturbs cells.

A task (:class:`CellTask`, :class:`PaperTask`) says what is to be done; :class:`CellEnv` runs it on one cell for
Gymnasium and :class:`CellVecEnv` on thousands at once for Stable-Baselines3.
"""

from __future__ import annotations

from waddington.twin.plan.env._task import State, Task, mean_squared_distance
from waddington.twin.plan.env.cell import CellTask
from waddington.twin.plan.env.paper import PaperTask, perturb_features
from waddington.twin.plan.env.single import CellEnv
from waddington.twin.plan.env.vector import CellVecEnv

__all__ = [
    "CellEnv",
    "CellTask",
    "CellVecEnv",
    "PaperTask",
    "State",
    "Task",
    "mean_squared_distance",
    "perturb_features",
]
