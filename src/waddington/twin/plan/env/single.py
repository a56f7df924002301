"""One cell at a time, for Gymnasium."""

from __future__ import annotations

from typing import Any, ClassVar, Generic, TypeVar

import gymnasium
import numpy as np

from waddington.errors import ArgumentError, UnsupportedError
from waddington.twin._arrays import check_arrays
from waddington.twin.plan.env._task import Float, State, Task

__all__ = ["CellEnv"]


T = TypeVar("T", bound=Task)


class CellEnv(gymnasium.Env[Float, Any], Generic[T]):  # type: ignore[misc]
    """A task run on one cell, in Gymnasium's interface.

    Parameters
    ----------
    task
        What to do, such as :class:`~waddington.twin.plan.env.cell.CellTask`.
    render_mode
        Accepted is None: cells are drawn by :mod:`waddington.twin.plots`.

    Raises
    ------
    ArgumentError
        For any render mode.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": []}

    def __init__(self, task: T, *, render_mode: str | None = None) -> None:
        check_arrays(task, "act on", instead="waddington.twin.tl.environment")
        if render_mode is not None:
            raise ArgumentError(f"cannot use render_mode={render_mode!r}: accepted is None")
        self.task = task
        self.render_mode = render_mode
        self.observation_space = task.observation_space
        self.action_space = task.action_space
        self._state: State | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Float, dict[str, Any]]:
        """Start an episode.

        Parameters
        ----------
        seed
            Restarts the generator.
        options
            ``"start"`` and ``"goal"``: indices in the task. Default: drawn at random.
        """
        super().reset(seed=seed)
        chosen = {
            name: None if (options or {}).get(name) is None else int((options or {})[name])
            for name in ("start", "goal")
        }
        self._state = self.task.reset(
            1,
            self.np_random,
            starts=None if chosen["start"] is None else np.array([chosen["start"]]),
            goals=None if chosen["goal"] is None else np.array([chosen["goal"]]),
        )
        return self.task.observe(self._state)[0], self._info()

    def step(self, action: Any) -> tuple[Float, float, bool, bool, dict[str, Any]]:
        """Act, move, and be paid.

        Raises
        ------
        ArgumentError
            When the action lies outside the action space.
        UnsupportedError
            Before the first reset.
        """
        if self._state is None:
            raise UnsupportedError("cannot step before reset()")
        if not self.action_space.contains(action):
            raise ArgumentError(f"cannot take action {action!r}: accepted is a member of {self.action_space}")
        reward, terminated, truncated = self.task.step(self._state, np.asarray(action)[None], self.np_random)
        return (
            self.task.observe(self._state)[0],
            float(reward[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            self._info(),
        )

    def _info(self) -> dict[str, Any]:
        """Say which start and goal the episode has, and how far the cell is from its goal."""
        state = self._state or {}
        return {
            "start": int(state["start_index"][0]),
            "goal": int(state["goal_index"][0]),
            "distance": float(state["distance"][0]),
        }
