"""Many cells at once, for Stable-Baselines3: one array step instead of one Python call a cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv

from waddington._checks import check_in_range
from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.twin.plan.env._task import Float, Index, State, Task

__all__ = ["CellVecEnv"]


class CellVecEnv(VecEnv):  # type: ignore[misc]
    """A task run on `n_envs` cells, with automatic restarts.

    Follows Stable-Baselines3: a finished cell's info holds ``terminal_observation``, ``TimeLimit.truncated`` and, as
    its Monitor writes it, ``episode`` with return ``r`` and length ``l``. With one cell and the same seed it makes the
    same trajectory as :class:`~waddington.twin.plan.env.single.CellEnv`.

    Parameters
    ----------
    task
        What to do, such as :class:`~waddington.twin.plan.env.cell.CellTask`.
    n_envs
        Number of cells.
    seed
        Of the one generator that draws starts, goals, noise and disturbances.
    """

    def __init__(self, task: Task, n_envs: int, *, seed: int | None = None) -> None:
        check_in_range("n_envs", n_envs, 1)
        self.task = task
        super().__init__(n_envs, task.observation_space, task.action_space)
        self._rng = np.random.default_rng(seed)
        self._state: State | None = None
        self._returns = np.zeros(n_envs, np.float64)
        self._actions: npt.NDArray[Any] | None = None
        self._discrete = int(task.action_space.n) if isinstance(task.action_space, spaces.Discrete) else 0

    @property
    def state(self) -> State:
        """Arrays of the running episodes, one row a cell (not copies: don't write to them)."""
        if self._state is None:
            raise UnsupportedError("cannot read the state of an environment before reset()")
        return self._state

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Restart the generator; the next reset draws from it."""
        self._rng = np.random.default_rng(seed)
        return [seed] * self.num_envs

    def reset(self, *, starts: npt.ArrayLike | None = None, goals: npt.ArrayLike | None = None) -> Float:
        """Start an episode in every cell.

        Parameters
        ----------
        starts, goals
            Index of each cell's start and goal in the task, shape (n_envs,). Default: drawn at random.
        """
        self._state = self.task.reset(
            self.num_envs, self._rng, starts=self._indices("starts", starts), goals=self._indices("goals", goals)
        )
        self._returns[:] = 0.0
        return self.task.observe(self._state)

    def step_async(self, actions: npt.NDArray[Any]) -> None:
        """Take one action a cell.

        Raises
        ------
        ArgumentError
            When the shape is wrong or a discrete action lies outside the space.
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs, *(self.action_space.shape or ())):
            raise ArgumentError(
                f"cannot act with an array of shape {actions.shape}: "
                f"accepted {(self.num_envs, *(self.action_space.shape or ()))}"
            )
        if self._discrete and (actions.min() < 0 or actions.max() >= self._discrete):
            raise ArgumentError(
                f"cannot take actions {actions.min()} to {actions.max()}: "
                f"accepted integers from 0 to {self._discrete - 1}"
            )
        self._actions = actions

    def step_wait(self) -> tuple[Float, Float, npt.NDArray[np.bool_], list[dict[str, Any]]]:
        """Move every cell; start anew those whose episode ended."""
        if self._actions is None:
            raise UnsupportedError("cannot finish a step that was not begun: call step(actions)")
        state, actions, self._actions = self.state, self._actions, None
        reward, terminated, truncated = self.task.step(state, actions, self._rng)
        self._returns += reward
        seen = self.task.observe(state)
        done = terminated | truncated
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        rows = np.flatnonzero(done)
        if len(rows):
            last, cut = seen[rows], truncated[rows] & ~terminated[rows]
            lengths, returns = state["steps"][rows].tolist(), self._returns[rows].tolist()
            for place, row in enumerate(rows.tolist()):
                infos[row] = {
                    "terminal_observation": last[place],
                    "TimeLimit.truncated": bool(cut[place]),
                    "episode": {"r": returns[place], "l": lengths[place]},
                }
            fresh = self.task.reset(len(rows), self._rng)
            for name, array in fresh.items():
                state[name][rows] = array
            self._returns[rows] = 0.0
            seen[rows] = self.task.observe(fresh)
        return seen, reward, done, infos

    def spawn(self, n_envs: int, *, seed: int | None = None) -> CellVecEnv:
        """Give a new environment of the same task, such as one to evaluate in."""
        return CellVecEnv(self.task, n_envs, seed=seed)

    def get_state(self) -> dict[str, Any]:
        """Give everything that the future depends on: copies of arrays, and the generator's state as a JSON string."""
        return {
            "arrays": {name: array.copy() for name, array in self.state.items()},
            "returns": self._returns.copy(),
            "rng": json.dumps(self._rng.bit_generator.state),
        }

    def set_state(self, saved: dict[str, Any]) -> None:
        """Continue from what :meth:`get_state` gave.

        Raises
        ------
        DataError
            When it was saved by an environment with another number of cells or other arrays.
        """
        arrays = {name: np.array(array) for name, array in saved["arrays"].items()}
        expected = {
            name: array.shape for name, array in self.task.reset(self.num_envs, np.random.default_rng(0)).items()
        }
        found = {name: array.shape for name, array in arrays.items()}
        if found != expected:
            raise DataError(f"cannot continue an environment from arrays of shapes {found}: accepted {expected}")
        self._rng.bit_generator.state = json.loads(saved["rng"])
        self._state, self._returns = arrays, np.array(saved["returns"], np.float64)

    def close(self) -> None:
        """Forget the running episodes."""
        self._state = None

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """Give an attribute of the task, once for each asked cell; the render mode is always None."""
        value = None if attr_name == "render_mode" else getattr(self.task, attr_name)
        return [value] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refuse: tasks are frozen.

        Raises
        ------
        UnsupportedError
            Always.
        """
        raise UnsupportedError(f"cannot set {attr_name!r}: tasks are frozen; make a new one with dataclasses.replace")

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        """Call a method of the task, once for each asked cell."""
        method = getattr(self.task, method_name)
        return [method(*method_args, **method_kwargs) for _ in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[Any], indices: Any = None) -> list[bool]:
        """Say that no cell is wrapped."""
        return [False] * len(list(self._get_indices(indices)))

    def _indices(self, name: str, values: npt.ArrayLike | None) -> Index | None:
        if values is None:
            return None
        array = np.asarray(values, np.int64)
        if array.shape != (self.num_envs,):
            raise ArgumentError(f"cannot use {name} of shape {array.shape}: accepted ({self.num_envs},)")
        return array
