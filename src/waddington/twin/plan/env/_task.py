"""What an environment is made of: a frozen task, and states that are plain arrays with one row a cell.

A task holds no state and no generator, so one task serves any number of environments, one cell at a time
(:class:`~waddington.twin.plan.env.single.CellEnv`) or thousands
(:class:`~waddington.twin.plan.env.vector.CellVecEnv`), and a whole environment can be saved by saving arrays.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

__all__ = ["Float", "Index", "State", "Task", "mean_squared_distance"]

Float = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
State = dict[str, npt.NDArray[Any]]
"""Arrays with one row a cell. Every task keeps ``z``, ``initial``, ``goal`` (n, d), ``start_index``, ``goal_index``,
``steps`` and ``distance`` (n,) among them."""


class Task(Protocol):
    """A Markov decision process over n cells at once."""

    @property
    def observation_space(self) -> spaces.Box:
        """Space of one cell's observation."""

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Space of one cell's action."""

    @property
    def max_steps(self) -> int:
        """Steps after which an episode ends."""

    def reset(
        self, n: int, rng: np.random.Generator, *, starts: Index | None = None, goals: Index | None = None
    ) -> State:
        """Start n episodes, from the given start cells to the given goals or from random ones."""

    def step(
        self, state: State, actions: npt.NDArray[Any], rng: np.random.Generator
    ) -> tuple[Float, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Take one step in place; give rewards, terminations and truncations, each (n,)."""

    def observe(self, state: State) -> Float:
        """Give a fresh array of observations, (n, features)."""


def mean_squared_distance(z: Float, goal: Float) -> Float:
    """Give the mean squared difference of each row, shape (n,)."""
    difference = z - goal
    return np.asarray(np.einsum("nd,nd->n", difference, difference) / np.float32(z.shape[1]), dtype=np.float32)
