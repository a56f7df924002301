"""The environment of the paper's Section IV, as its published notebook runs it.

A cell is a vector of embedding features. The agent pushes all features at once (box [-1, 1]^d times 0.25); with
probability 0.1 a step, one to `max_perturb` random features are knocked out (set to 0) or over-expressed (doubled);
the state is clipped to [-5, 5]; the reward is the drop of the mean squared distance to another cell's state. The agent
sees its own state and not the target, so it can learn no more than the mean way from a cell to a later one: that is a
property of the protocol, kept here on purpose. The first perturbation strikes at the start.

One difference: the notebook clips before the random perturbation, so a doubled feature could stand outside the bounds
for a step; here the state is clipped after it, too.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from waddington._checks import check_in_range
from waddington.errors import ArgumentError
from waddington.twin._moved import renamed
from waddington.twin.plan.env._task import Float, Index, State, mean_squared_distance

__all__ = ["PaperTask", "perturb_features"]


def perturb_features(z: Float, rows: Index, rng: np.random.Generator, *, max_perturb: int) -> None:
    """Knock out or over-express 1 to `max_perturb` random features of some cells, in place.

    Parameters
    ----------
    z
        States, shape (n, d).
    rows
        Cells that are struck.
    rng
        Source of the number of features, which ones, and whether each is set to 0 or doubled.
    max_perturb
        Most features of one cell; one feature may be struck twice, as in the published code.
    """
    k, d = len(rows), z.shape[1]
    count = rng.integers(1, max_perturb + 1, size=k)
    features = rng.integers(d, size=(k, max_perturb))
    factor = np.where(rng.random((k, max_perturb)) < 0.5, np.float32(0.0), np.float32(2.0))
    for strike in range(max_perturb):
        struck = count > strike
        z[rows[struck], features[struck, strike]] *= factor[struck, strike]


@renamed(begin="reset", advance="step")
@dataclass(frozen=True, kw_only=True, eq=False)
class PaperTask:
    """Protocol of Tables II (`max_perturb` 1) and III (`max_perturb` 2).

    Attributes
    ----------
    cells
        Concatenated embeddings of the modalities, standardized, shape (n, d), n >= 2.
    order
        Position of each cell in time, shape (n,): the target is a random later cell (the last one is its own). The
        published code uses the row number. None: any other cell.
    max_steps, perturb_prob, max_perturb, action_scale, clip
        As published: 1000, 0.1, 1 or 2, 0.25, 5.
    truncate
        Whether the last step is a time limit to bootstrap over; the published code ends the episode for good.

    Raises
    ------
    ArgumentError
        When shapes disagree, a value is not finite, or a number lies outside its range.
    """

    cells: Float
    order: npt.NDArray[np.float64] | None = None
    max_steps: int = 1000
    perturb_prob: float = 0.1
    max_perturb: int = 1
    action_scale: float = 0.25
    clip: float = 5.0
    truncate: bool = False
    _by_rank: Index = field(init=False, repr=False)
    _rank: Index = field(init=False, repr=False)

    def __post_init__(self) -> None:
        cells = np.array(self.cells, dtype=np.float32)
        if cells.ndim != 2 or len(cells) < 2 or not np.isfinite(cells).all():
            raise ArgumentError(f"cannot use cells of shape {cells.shape}: accepted (n, d) with n >= 2, all finite")
        cells.setflags(write=False)
        object.__setattr__(self, "cells", cells)
        if self.order is not None:
            order = np.array(self.order, dtype=np.float64)
            if order.shape != (len(cells),) or np.isnan(order).any():
                raise ArgumentError(f"cannot use order of shape {order.shape}: accepted ({len(cells)},), without NaN")
            order.setflags(write=False)
            object.__setattr__(self, "order", order)
        check_in_range("max_steps", self.max_steps, 1)
        check_in_range("perturb_prob", self.perturb_prob, 0.0, 1.0)
        check_in_range("max_perturb", self.max_perturb, 1)
        check_in_range("action_scale", self.action_scale, 0.0, open_low=True)
        check_in_range("clip", self.clip, 0.0, open_low=True)
        rank = np.arange(len(cells)) if self.order is None else np.argsort(self.order, kind="stable")
        object.__setattr__(self, "_by_rank", rank)
        object.__setattr__(self, "_rank", np.argsort(rank, kind="stable"))

    @property
    def observation_space(self) -> spaces.Box:
        """The state alone."""
        return spaces.Box(-self.clip, self.clip, (self.cells.shape[1],), np.float32)

    @property
    def action_space(self) -> spaces.Box:
        """The box [-1, 1]^d."""
        return spaces.Box(-1.0, 1.0, (self.cells.shape[1],), np.float32)

    def reset(
        self, n: int, rng: np.random.Generator, *, starts: Index | None = None, goals: Index | None = None
    ) -> State:
        """Start n episodes; a goal index is the number of the target cell."""
        start = rng.integers(len(self.cells), size=n) if starts is None else np.asarray(starts, np.int64)
        goal = self._draw_targets(start, rng) if goals is None else np.asarray(goals, np.int64)
        initial = np.clip(self.cells[start], -self.clip, self.clip)
        z = initial.copy()
        perturb_features(z, np.arange(n), rng, max_perturb=self.max_perturb)
        np.clip(z, -self.clip, self.clip, out=z)
        target = self.cells[goal]
        return {
            "z": z,
            "initial": initial,
            "goal": target,
            "start_index": start,
            "goal_index": goal,
            "steps": np.zeros(n, np.int64),
            "distance": mean_squared_distance(z, target),
        }

    def step(
        self, state: State, actions: npt.NDArray[np.float32], rng: np.random.Generator
    ) -> tuple[Float, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Push, clip, perturb at random, clip, and pay the drop of the distance."""
        z = state["z"] + np.float32(self.action_scale) * np.clip(actions, -1.0, 1.0).astype(np.float32)
        np.clip(z, -self.clip, self.clip, out=z)
        struck = np.flatnonzero(rng.random(len(z)) < self.perturb_prob)
        perturb_features(z, struck, rng, max_perturb=self.max_perturb)
        np.clip(z, -self.clip, self.clip, out=z)
        distance = mean_squared_distance(z, state["goal"])
        reward = state["distance"] - distance
        state["z"], state["distance"], state["steps"] = z, distance, state["steps"] + 1
        over, never = state["steps"] >= self.max_steps, np.zeros(len(z), np.bool_)
        return (reward, never, over) if self.truncate else (reward, over, never)

    def observe(self, state: State) -> Float:
        """Give a copy of the states."""
        return state["z"].copy()

    def _draw_targets(self, start: Index, rng: np.random.Generator) -> Index:
        """Draw another cell, or a later one where there is an order."""
        n = len(self.cells)
        if self.order is None:
            return np.asarray((start + rng.integers(1, n, size=len(start))) % n)
        rank: Index = self._rank[start]
        later = rank + 1 + rng.integers(np.maximum(n - 1 - rank, 1))
        return np.asarray(self._by_rank[np.minimum(later, n - 1)])
