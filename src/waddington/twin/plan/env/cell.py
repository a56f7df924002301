"""The held-out environment: bring a cell to a target state with a few perturbations.

State is the embedding, the goal another state, an action starts one of K measured perturbations or waits (or, in the
paper's form, pushes the embedding directly), and the reward is the progress to the goal less the cost of perturbations.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from gymnasium import spaces

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError
from waddington.twin._moved import renamed
from waddington.twin.dynamics.latent import Dynamics
from waddington.twin.plan.env._task import Float, Index, State, mean_squared_distance

__all__ = ["CellTask"]

_MOST_GAIN = 10.0
_SHARPNESS = 0.25
"""Of the choice between states; ``benchmarks/state_responses.py --only acting`` compares it with others."""


@renamed(begin="reset", advance="step")
@dataclass(frozen=True, kw_only=True, eq=False)
class CellTask:
    """Where cells start, where they shall go, what an agent may do, and what it is paid.

    Attributes
    ----------
    dynamics
        How cells move.
    starts
        Cells that episodes start from, shape (S, d).
    goals
        Target states, shape (G, d); with `relative_goals`, effects that are added to the episode's start.
    relative_goals
        Whether a goal is an effect on the starting cell (its own counterfactual) rather than one state for all.
    actions
        ``"discrete"``: perturbations 0 … K-1, and K to wait. ``"continuous"``: a box [-1, 1]^d, times `action_scale`,
        added to the state (the paper's agent).
    action_scale
        Largest push of one coordinate in one step (0.25 in the paper).
    max_steps
        Length of an episode. What a perturbation begun less than `duration` steps before the end still owes is lost,
        and when a cell carries all it can, nothing is left to decide: ``duration + max_perturbations + 1`` is enough,
        and much longer episodes learn much more slowly.
    cost
        Price of starting a perturbation (or of a full push of every coordinate), in units of scaled reward.
    states
        States that a cell may end in, shape (S, d), each goal among them. An episode is then paid for the chance that
        its cell is in the goal's state rather than in any other, so that cells on average pay the share of them that
        arrives; see :meth:`chance`. Default: the drop of the distance to the goal is paid, in which a cell that comes
        half the way counts half.
    reward_scale
        Factor on the drop of mean squared distance, or on the rise of the chance. None is 1 for a chance, and divides
        a distance by the mean initial distance of all pairs of start and goal, so that reaching the goal is worth about
        1 in every embedding.
    observe_gains
        Whether the agent is also shown, for each perturbation it has not begun, the drop of the distance that the
        response model predicts for it (discrete only). Which perturbations to combine, and when they pay, is still to
        be learned; which single one points to the goal is not.
    truncate
        Whether the last step is a time limit that learners bootstrap over. The default is a true end: the horizon
        belongs to the task, and the observation holds the time that is left.

    Raises
    ------
    ArgumentError
        When shapes disagree, a value is not finite, or a number lies outside its range.
    """

    dynamics: Dynamics
    starts: Float = field(repr=False)
    goals: Float = field(repr=False)
    relative_goals: bool = False
    actions: Literal["discrete", "continuous"] = "discrete"
    action_scale: float = 0.25
    max_steps: int = 6
    cost: float = 0.02
    states: Float | None = field(default=None, repr=False)
    reward_scale: float | None = None
    observe_gains: bool = True
    truncate: bool = False

    def __post_init__(self) -> None:
        d = self.dynamics.n_features
        for name in ("starts", "goals"):
            array = np.array(getattr(self, name), dtype=np.float32)
            if array.ndim != 2 or array.shape[1] != d or not len(array):
                raise ArgumentError(f"cannot use {name} of shape {array.shape}: accepted (n, {d}) with n >= 1")
            if not np.isfinite(array).all():
                raise ArgumentError(f"cannot use {name}: found NaN or infinity; accepted: finite numbers")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        if self.states is not None:
            self._check_states(self.states)
        check_choice("actions", self.actions, ("discrete", "continuous"))
        check_in_range("action_scale", self.action_scale, 0.0, open_low=True)
        check_in_range("max_steps", self.max_steps, 1)
        check_in_range("cost", self.cost, 0.0)
        if self.reward_scale is None:
            scale = 1.0 / max(self._mean_distance(), 1e-8) if self.states is None else 1.0
            object.__setattr__(self, "reward_scale", scale)
        check_in_range("reward_scale", self.scale, 0.0, open_low=True)

    @property
    def scale(self) -> float:
        """Factor on the drop of mean squared distance, as resolved."""
        return float(self.reward_scale or 0.0)

    @property
    def observation_space(self) -> spaces.Box:
        """State, way to the goal, share of time left; if discrete, progress and predicted gain of each perturbation."""
        clip, d = self.dynamics.clip, self.dynamics.n_features
        n_perturbations = self.dynamics.n_perturbations if self.actions == "discrete" else 0
        n_gains = n_perturbations if self.observe_gains else 0
        high = np.repeat([clip, 2 * clip, 1.0, _MOST_GAIN], [d, d, 1 + n_perturbations, n_gains]).astype(np.float32)
        low = -high
        low[2 * d : 2 * d + 1 + n_perturbations] = 0.0
        return spaces.Box(low, high, dtype=np.float32)

    @property
    def action_space(self) -> spaces.Space[Any]:
        """Discrete(K + 1), or the box [-1, 1]^d."""
        if self.actions == "discrete":
            return spaces.Discrete(self.dynamics.n_perturbations + 1)
        return spaces.Box(-1.0, 1.0, (self.dynamics.n_features,), np.float32)

    @property
    def action_names(self) -> tuple[str, ...]:
        """What each discrete action starts, in order, ``"wait"`` last; empty where actions are pushes."""
        return (*self.dynamics.perturbations, "wait") if self.actions == "discrete" else ()

    @property
    def wait(self) -> int:
        """The discrete action that starts nothing."""
        return self.dynamics.n_perturbations

    def reset(
        self, n: int, rng: np.random.Generator, *, starts: Index | None = None, goals: Index | None = None
    ) -> State:
        """Start n episodes; random starts and goals are drawn independently of each other."""
        start = rng.integers(len(self.starts), size=n) if starts is None else starts
        goal = rng.integers(len(self.goals), size=n) if goals is None else goals
        state: State = dict(self.dynamics.reset(self.starts[start]))
        target = self.goals[goal] + state["z"] if self.relative_goals else self.goals[goal]
        target = np.clip(target, -self.dynamics.clip, self.dynamics.clip)
        return state | {
            "initial": state["z"].copy(),
            "goal": target,
            "start_index": np.asarray(start, np.int64),
            "goal_index": np.asarray(goal, np.int64),
            "steps": np.zeros(n, np.int64),
            "distance": mean_squared_distance(state["z"], target),
            **({} if self.states is None else {"chance": self.chance(state["z"], goal)}),
        }

    def step(
        self, state: State, actions: npt.NDArray[Any], rng: np.random.Generator
    ) -> tuple[Float, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Start the chosen perturbations (or push), move all cells, and pay the progress to the goal."""
        if self.actions == "discrete":
            price = self.dynamics.apply(state, actions).astype(np.float32)
            self.dynamics.step(state, rng)
        else:
            push = np.clip(actions, -1.0, 1.0).astype(np.float32)
            price = np.abs(push).mean(axis=1)
            self.dynamics.step(state, rng, push=push * np.float32(self.action_scale))
        distance = mean_squared_distance(state["z"], state["goal"])
        gain = state["distance"] - distance
        if self.states is not None:
            chance = self.chance(state["z"], state["goal_index"])
            gain, state["chance"] = chance - state["chance"], chance
        reward = np.float32(self.scale) * gain - np.float32(self.cost) * price
        state["distance"] = distance
        state["steps"] = state["steps"] + 1
        over, never = state["steps"] >= self.max_steps, np.zeros(len(distance), np.bool_)
        return (reward, never, over) if self.truncate else (reward, over, never)

    def chance(self, z: Float, goals: Index) -> Float:
        """Give the chance that cells are in the state of their goal, shape (n,), where there are `states`.

        It falls off with the squared distance from each state, in units of a quarter of the mean squared distance
        between two states: 1 at a goal that lies apart, 1/2 in the middle between two.
        """
        assert self.states is not None
        apart = np.stack([mean_squared_distance(z, state) for state in self.states], axis=1)
        apart = (apart - apart.min(axis=1, keepdims=True)) / self._gap
        share = np.exp(-apart)
        chosen = self._state_of_goal[goals]
        return np.asarray(share[np.arange(len(z)), chosen] / share.sum(axis=1), dtype=np.float32)

    def observe(self, state: State) -> Float:
        """Concatenate state, way to the goal, time left, and progress and predicted gains of perturbations."""
        z = state["z"]
        parts = [z, state["goal"] - z, (1.0 - state["steps"] / self.max_steps).astype(np.float32)[:, None]]
        if self.actions == "discrete":
            parts.append(state["progress"])
            if self.observe_gains:
                parts.append(self._gains(parts[1], state["progress"]))
        return np.concatenate(parts, axis=1)

    def _gains(self, way: Float, progress: Float) -> Float:
        """Predict the drop of the squared distance by each perturbation alone, zero for those begun, shape (n, K).

        In units of the mean squared length of the effects, so that it is about 1 for a perturbation that leads to the
        goal and about -1 for one that leads astray, in every embedding.
        """
        effects = self.dynamics.effects
        squared = np.einsum("kd,kd->k", effects, effects)
        gain = way @ (2.0 * effects.T) - squared
        gain *= (progress == 0) / max(float(squared.mean()), 1e-8)
        return np.asarray(np.clip(gain, -_MOST_GAIN, _MOST_GAIN), dtype=np.float32)

    @cached_property
    def _state_of_goal(self) -> Index:
        assert self.states is not None
        return _rows_of(self.goals, self.states)

    @cached_property
    def _gap(self) -> np.float32:
        assert self.states is not None
        return np.float32(_SHARPNESS * max(_mean_gap(self.states), 1e-8))

    def _check_states(self, given: Float) -> None:
        states = np.array(given, dtype=np.float32)
        if states.ndim != 2 or states.shape[1] != self.dynamics.n_features or len(states) < 2:
            raise ArgumentError(
                f"cannot use states of shape {states.shape}: accepted (n, {self.dynamics.n_features}) with n >= 2"
            )
        if self.relative_goals or not np.isfinite(states).all() or (_rows_of(self.goals, states) < 0).any():
            raise ArgumentError(
                "cannot use states without every goal among them: accepted are finite ones, and goals that are states "
                "(relative_goals=False)"
            )
        states.setflags(write=False)
        object.__setattr__(self, "states", states)

    def _mean_distance(self) -> float:
        """Give the mean squared distance over all pairs of start and goal, without forming the pairs."""
        goals = self.goals.astype(np.float64)
        if self.relative_goals:
            return float((goals**2).mean())
        starts = self.starts.astype(np.float64)
        total = (starts**2).mean(axis=0) + (goals**2).mean(axis=0) - 2.0 * starts.mean(axis=0) * goals.mean(axis=0)
        return float(total.mean())


def _rows_of(goals: Float, states: Float) -> Index:
    """Find the state that each goal is, -1 where it is none, shape (G,)."""
    same = np.abs(goals[:, None] - states[None]).max(axis=2) < 1e-6
    return np.where(same.any(axis=1), same.argmax(axis=1), -1)


def _mean_gap(states: Float) -> float:
    """Give the mean squared distance between two states."""
    n = len(states)
    return float(sum(mean_squared_distance(states, one).sum() for one in states) / (n * (n - 1)))
