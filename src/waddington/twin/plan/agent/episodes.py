"""Letting a policy act, and writing down what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from waddington._checks import check_in_range
from waddington.errors import ArgumentError
from waddington.twin.plan.agent._randomness import seeded
from waddington.twin.plan.env import CellVecEnv
from waddington.twin.plan.policy import Policy, as_act

__all__ = ["Rollout", "rollout"]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rollout:
    """What happened in E episodes of at most T steps.

    Attributes
    ----------
    start_index, goal_index
        Row of each episode's start and goal in the task, shape (E,).
    initial, final, goal
        States at the start (before any disturbance), at the end, and asked for, shape (E, d).
    returns, lengths
        Summed reward and number of steps, shape (E,).
    initial_distance, final_distance
        Mean squared distance to the goal at the start and at the end, shape (E,).
    actions
        What was done, shape (E, T) or (E, T, d).
    trajectories
        States from first to last, shape (E, T + 1, d), where they were asked for; an episode that ended early stays
        where it was.
    """

    start_index: npt.NDArray[np.int64]
    goal_index: npt.NDArray[np.int64]
    initial: npt.NDArray[np.float32]
    final: npt.NDArray[np.float32]
    goal: npt.NDArray[np.float32]
    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    initial_distance: npt.NDArray[np.float32]
    final_distance: npt.NDArray[np.float32]
    actions: npt.NDArray[Any]
    trajectories: npt.NDArray[np.float32] | None


def rollout(
    policy: Policy,
    vec_env: CellVecEnv,
    *,
    episodes: int | None = None,
    starts: npt.ArrayLike | None = None,
    goals: npt.ArrayLike | None = None,
    deterministic: bool = True,
    seed: int = 0,
    keep_trajectories: bool = False,
) -> Rollout:
    """Run whole episodes, all at once, in a fresh copy of an environment.

    Parameters
    ----------
    policy
        An agent of Stable-Baselines3, or a function of observations.
    vec_env
        Gives the task; its own episodes and generator are not touched.
    episodes
        Number of episodes. Default: the length of `starts` or `goals`, else one for each cell of `vec_env`.
    starts, goals
        Rows of the task's starts and goals, shape (episodes,). Default: drawn at random.
    deterministic
        Whether an agent takes its most likely action rather than drawing one.
    seed
        Of starts, goals, noise, disturbances and drawn actions: two policies under one seed meet the same cells.
    keep_trajectories
        Whether to keep the state of every step.

    Raises
    ------
    ArgumentError
        When the numbers of episodes, starts and goals disagree, or an index is out of range.
    """
    begin, aim = _indices(starts), _indices(goals)
    sizes = {len(rows) for rows in (begin, aim) if rows is not None} | ({episodes} if episodes is not None else set())
    if len(sizes) > 1:
        raise ArgumentError(
            f"cannot run episodes: found {sorted(sizes)} episodes, starts or goals; accepted: one number"
        )
    n = sizes.pop() if sizes else vec_env.num_envs
    check_in_range("episodes", n, 1)
    task, rng = vec_env.task, np.random.default_rng(seed)
    try:
        state = task.reset(n, rng, starts=begin, goals=aim)
    except IndexError as error:
        raise ArgumentError(f"cannot run episodes: {error}; accepted: rows of the task's starts and goals") from error
    act = as_act(policy, deterministic=deterministic)
    first = {name: state[name].copy() for name in ("start_index", "goal_index", "initial", "goal", "distance")}
    alive = np.ones(n, np.bool_)
    returns, lengths = np.zeros(n), np.zeros(n, np.int64)
    final, final_distance = state["z"].copy(), state["distance"].copy()
    states, actions = [final.copy()], []
    with seeded(seed):
        while alive.any():
            action = act(task.observe(state))
            reward, terminated, truncated = task.step(state, action, rng)
            returns += np.where(alive, reward, 0.0)
            lengths += alive
            final = np.where(alive[:, None], state["z"], final)
            final_distance = np.where(alive, state["distance"], final_distance)
            alive &= ~(terminated | truncated)
            actions.append(action)
            if keep_trajectories:
                states.append(final)
    return Rollout(
        start_index=first["start_index"],
        goal_index=first["goal_index"],
        initial=first["initial"],
        final=final,
        goal=first["goal"],
        returns=returns,
        lengths=lengths,
        initial_distance=first["distance"],
        final_distance=final_distance,
        actions=np.stack(actions, axis=1),
        trajectories=np.stack(states, axis=1) if keep_trajectories else None,
    )


def _indices(rows: npt.ArrayLike | None) -> npt.NDArray[np.int64] | None:
    return None if rows is None else np.asarray(rows, np.int64)
