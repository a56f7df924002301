"""Environments made of a user's cells, and agents trained in them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from stable_baselines3 import PPO

from waddington._checks import check_parameters
from waddington.errors import ArgumentError, DataError
from waddington.optim.registry import OptimizerLike
from waddington.twin.data.setup import UNTYPED, Cells, check_data, read_labels
from waddington.twin.data.splits import Split
from waddington.twin.embed.scaling import Standardization
from waddington.twin.models.learning import fit_dynamics
from waddington.twin.plan import agent as agents
from waddington.twin.plan.agent import AgentConfig
from waddington.twin.plan.env import CellEnv, CellTask, CellVecEnv
from waddington.twin.respond.latent import LatentResponse
from waddington.twin.tl._predicting import latent_of, split_of

__all__ = ["environment", "train_agent"]

World: TypeAlias = CellEnv[CellTask] | CellVecEnv | CellTask
Float: TypeAlias = npt.NDArray[np.float32]
_CHOSEN = {"dynamics", "starts", "relative_goals"}
"""Fields of a task that are the cells' own."""


def environment(
    data: Cells | None = None,
    *,
    goals: str | Sequence[str] | None = None,
    fates: str | Sequence[str] | None = None,
    start: str | None = None,
    use_rep: str = "X_twin",
    max_steps: int = 8,
    max_perturbations: int = 2,
    render_mode: str | None = None,
    **task: Any,
) -> CellEnv[CellTask]:
    """Make an environment in which an agent perturbs cells; ``gymnasium.make("waddington/Cell-v0", data=…)`` calls it.

    An episode starts at a control cell; the goal is what a condition does to it, or a cell type (`fates`). Actions are
    the measured perturbations, and to wait; where none was measured, a push in the embedding.

    Parameters
    ----------
    data
        AnnData or MuData after :func:`embed`; not changed. With ``obs["pseudotime"]`` cells drift along it.
    goals
        Conditions whose effect is to be reached, also combinations that were not measured; by default every measured
        condition.
    fates
        Instead, cell types that cells are to become: the goal is the mean of the unperturbed training cells of one.
        Episodes are paid for the chance of being of that type rather than of any other, because a mean between two
        fates is no cell of either; ``states=None`` pays the drop of the distance to the mean instead.
    start
        Start from unperturbed cells of this type alone.
    use_rep
        Key of ``obsm`` that states live in.
    max_steps
        Length of an episode.
    max_perturbations
        Most perturbations that a cell carries at once.
    render_mode
        Accepted is None.
    **task
        Further fields of :class:`~waddington.twin.plan.env.CellTask`: ``cost``, ``truncate``, …

    Returns
    -------
    CellEnv
        For Gymnasium; its ``task`` serves any number of environments.

    Raises
    ------
    ArgumentError
        Without cells, for a parameter that there is not, or for both goals and fates.
    DataError
        When the data have no embedding, neither perturbations nor times, or no unperturbed cells of a type.
    UnsupportedError
        For a goal of which a part was never measured, by name.
    """
    if data is None:
        raise ArgumentError(
            "cannot make an environment without cells: accepted is data=, an AnnData or MuData after twin.tl.embed"
        )
    check_data(data)
    fields = {field.name for field in dataclasses.fields(CellTask)} - _CHOSEN
    check_parameters("twin.tl.environment", environment, task, sorted(fields))
    latent, split = latent_of(data, use_rep), split_of(data)
    if use_rep != "X_twin":  # dynamics are bounded in standard deviations, which X_twin is in
        latent = Standardization.fit(latent, split.train).apply(latent)
    order = np.asarray(data.obs["pseudotime"], dtype=np.float64) if "pseudotime" in data.obs else None
    dynamics = fit_dynamics(latent, split, order, max_perturbations=max_perturbations)
    starts = latent[split.cells(split.control, train=True)]
    if not len(starts):
        raise DataError(f"cannot start episodes: found no training cell of {split.control!r}; accepted: at least one")
    types = _unperturbed_types(data, split) if fates is not None or start is not None else {}
    if start is not None:
        starts = latent[_cells_of(start, types, "start")]
    if fates is not None:
        if goals is not None:
            raise ArgumentError("cannot reach both goals and fates: accepted is one of goals= and fates=")
        names = [fates] if isinstance(fates, str) else list(fates)
        rows = [_cells_of(name, types, "fates") for name in names]
        means = np.stack([latent[cells].mean(axis=0) for cells in types.values()])
        chosen: dict[str, Any] = {
            "goals": np.stack([latent[cells].mean(axis=0) for cells in rows]),
            "states": means if len(means) > 1 else None,
        }
    else:
        chosen = {"goals": _effects(latent, split, goals), "relative_goals": True}
    actions = "discrete" if split.kind == "perturbation" else "continuous"
    settings = {"dynamics": dynamics, "starts": starts, "max_steps": max_steps, "actions": actions, **chosen, **task}
    return CellEnv(CellTask(**settings), render_mode=render_mode)


def _effects(latent: Float, split: Split, goals: str | Sequence[str] | None) -> Float:
    """Give the effects of conditions that are to be reached, (goals, dimensions)."""
    control = latent[split.cells(split.control, train=True)].mean(axis=0)
    known = {label: latent[split.cells(label, train=True)].mean(axis=0) - control for label in split.seen}
    wanted = list(known) if goals is None else [goals] if isinstance(goals, str) else list(goals)
    if split.kind == "perturbation":
        response = LatentResponse.fit(latent[split.train], split.labels[split.train])
        targets = [known[label] if label in known else response.predict(label) for label in wanted]
    else:
        if missing := [label for label in wanted if label not in known]:
            raise DataError(f"cannot use goals={missing[0]!r}: accepted are {', '.join(known)}")
        targets = [known[label] for label in wanted]
    return np.stack(targets).astype(np.float32)


def _unperturbed_types(data: Cells, split: Split) -> dict[str, npt.NDArray[np.intp]]:
    """Find the unperturbed training cells of each cell type."""
    types = read_labels(data).cell_type
    if types is None:
        raise DataError(
            "cannot tell fates: cells bear no types; accepted is a column of obs such as 'cell_type', or another that "
            "is registered as cell_type_key="
        )
    resting = split.cells(split.control, train=True)
    return {str(name): resting[types[resting] == name] for name in np.unique(types[resting]) if name != UNTYPED}


def _cells_of(name: str, types: Mapping[str, npt.NDArray[np.intp]], argument: str) -> npt.NDArray[np.intp]:
    if name not in types:
        raise DataError(
            f"cannot use {argument}={name!r}: found no unperturbed training cell of it; accepted are "
            f"{', '.join(types) or 'none'}"
        )
    return types[name]


def train_agent(
    world: World | Cells,
    *,
    optimizer: OptimizerLike = "Adam",
    lr: float = 1e-3,
    total_timesteps: int = 10_000,
    n_envs: int = 64,
    seed: int = 0,
    config: AgentConfig | None = None,
    optimizer_kwargs: Mapping[str, Any] | None = None,
    progress: agents.Progress | None = None,
    **environment_options: Any,
) -> PPO:
    """Train a PPO agent.

    Parameters
    ----------
    world
        An environment or its task, or an AnnData or MuData, of which :func:`environment` makes one.
    optimizer
        A registered name, a class or a factory.
    lr
        Learning rate; of the switching optimizers, the large base rate.
    total_timesteps
        Transitions, rounded up to whole rollouts.
    n_envs
        Cells that are moved at once.
    seed
        Of nets, cells, actions and mini-batches.
    config
        Settings of PPO; by default rollouts of three episodes.
    optimizer_kwargs
        Further arguments of the optimizer.
    progress
        Called after each rollout.
    **environment_options
        Of :func:`environment`, where `world` is an AnnData or MuData.

    Returns
    -------
    stable_baselines3.PPO
        The agent: ``agent.predict(observation)``.

    Raises
    ------
    ArgumentError
        For what is neither world nor cells, or what is no optimizer.
    """
    task, cells = _task(world, environment_options), world if isinstance(world, CellVecEnv) else None
    chosen = config or AgentConfig(n_steps=3 * task.max_steps)
    return agents.train_agent(
        cells or CellVecEnv(task, n_envs, seed=seed), optimizer=optimizer, lr=lr, total_timesteps=total_timesteps,
        optimizer_kwargs=optimizer_kwargs, seed=seed, config=chosen, progress=progress,
    )  # fmt: skip


def _task(world: World | Cells, options: dict[str, Any]) -> CellTask:
    if isinstance(world, CellTask | CellEnv | CellVecEnv):
        if options:
            raise ArgumentError(
                f"cannot use {', '.join(options)} with a {type(world).__name__}: accepted with an AnnData or MuData"
            )
        return world if isinstance(world, CellTask) else cast(CellTask, world.task)
    unwrapped = getattr(world, "unwrapped", None)
    if isinstance(unwrapped, CellEnv):  # what gymnasium.make gives
        return _task(unwrapped, options)
    return environment(world, **options).task
