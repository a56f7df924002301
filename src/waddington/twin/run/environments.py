"""The environments that agents act in, built from prepared cells and an encoder, and what their final states are worth.

Held-out: an environment learnt from training cells, its goals the changes that test cells show. Paper: the published
protocol, in which the goal is another cell's untrained embedding and the final state is compared with the original one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin.dynamics import Dynamics, build_dynamics, fit_flow
from waddington.twin.evaluate.heldout import Truth, observe, score_effect
from waddington.twin.plan.env import CellTask, PaperTask
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.latent import LatentResponse
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData

__all__ = [
    "HeldOutEnvironment",
    "PaperEnvironment",
    "build_heldout_environment",
    "build_paper_environment",
    "joined_state",
    "score_goals",
]

Float = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class HeldOutEnvironment:
    """One learnt environment with two tasks in it: to train in, and to be judged in."""

    train: CellTask
    test: CellTask
    labels: tuple[str, ...]
    """Condition behind each goal of the test task."""
    response: DecodedResponse
    """Reads latent changes out as changes of features."""
    truth: Truth
    contrast: bool
    """Whether change is measured against the same cells left alone (perturbations) or against their start (time)."""


@dataclass(frozen=True, kw_only=True)
class PaperEnvironment:
    """The published task on training cells and on test cells."""

    train: PaperTask
    test: PaperTask
    slices: dict[str, slice]
    """Columns of each modality in the concatenated state, and ``all``."""


def build_heldout_environment(prepared: RunData, latent: Float, config: RunConfig) -> HeldOutEnvironment:
    """Learn response, flow and read-out on training cells; the goals to be judged on come from test cells.

    Parameters
    ----------
    prepared
        The cells.
    latent
        Joint embedding of all cells, (cells, dimensions), standardized on training cells.
    config
        The run.
    """
    design = prepared.design
    train = design.train
    decoded = DecodedResponse(latent, prepared.inputs, design)
    flow = fit_flow(latent[train], prepared.pseudotime[train], seed=config.seed)
    edits = design.kind == "perturbation" and config.ppo.action_space != "continuous"
    if edits:
        response = LatentResponse.fit(latent[train], design.labels[train])
        dynamics = build_dynamics(response, flow=flow, max_perturbations=config.ppo.max_perturbations)
    else:
        landmarks, drift, bandwidth = flow
        dynamics = Dynamics(
            effects=np.empty((0, latent.shape[1]), np.float32),
            perturbations=(),
            landmarks=landmarks,
            drift=drift,
            bandwidth=bandwidth,
            noise_sd=(0.05 * latent[train].std(axis=0)).astype(np.float32),
            max_perturbations=config.ppo.max_perturbations,
        )
    control = latent[design.cells(design.control, train=False)].mean(axis=0)
    labels = tuple(design.split_of)
    observed = np.stack([latent[design.cells(label, train=False)].mean(axis=0) - control for label in labels])

    def task(starts: Float, goals: Float) -> CellTask:
        return CellTask(
            dynamics=dynamics,
            starts=starts,
            goals=goals.astype(np.float32),
            relative_goals=True,
            actions="discrete" if edits else "continuous",
            max_steps=config.ppo.horizon,
        )

    return HeldOutEnvironment(
        train=task(latent[design.cells(design.control, train=True)], np.stack(list(decoded.effects.values()))),
        test=task(latent[design.cells(design.control, train=False)], observed),
        labels=labels,
        response=decoded,
        truth=observe(prepared.inputs, prepared.names, design),
        contrast=edits,
    )


def score_goals(
    environment: HeldOutEnvironment, goals: npt.NDArray[np.int64], moved: Float, rested: Float
) -> pd.DataFrame:
    """Score where cells ended against what test cells show.

    Parameters
    ----------
    environment
        The environment they moved in.
    goals
        Index of each episode's goal, (episodes,).
    moved
        How far each cell moved, (episodes, dimensions).
    rested
        How far the same cells moved when left alone, (episodes, dimensions); used where the environment asks for a
        contrast.

    Returns
    -------
    DataFrame
        Columns condition, split, modality, metric, value.
    """
    change = moved - rested if environment.contrast else moved
    rows: list[dict[str, object]] = []
    for index, label in enumerate(environment.labels):
        episodes = goals == index
        if episodes.any():
            rows += score_effect(environment.truth, label, environment.response.decode(change[episodes].mean(axis=0)))
    return pd.DataFrame(rows, columns=["condition", "split", "modality", "metric", "value"])


def build_paper_environment(
    prepared: RunData, embeddings: dict[str, Float], config: RunConfig, *, max_perturb: int
) -> PaperEnvironment:
    """Concatenate untrained embeddings, order cells by row number and split them 80/20, as published.

    Parameters
    ----------
    prepared
        The cells.
    embeddings
        Embedding of all cells by modality, (cells, dimensions).
    config
        The run.
    max_perturb
        Most random perturbations at once: 1 for Table II, 2 for Table III.
    """
    train = prepared.design.train
    state, slices = joined_state(embeddings, list(prepared.inputs), train)
    rows = np.arange(len(state), dtype=np.float64)

    def task(cells: npt.NDArray[np.bool_]) -> PaperTask:
        return PaperTask(
            cells=state[cells], order=rows[cells], max_steps=config.ppo.paper_horizon, max_perturb=max_perturb
        )

    return PaperEnvironment(train=task(train), test=task(~train), slices=slices)


def joined_state(
    embeddings: Mapping[str, Float], modalities: Sequence[str], train: npt.NDArray[np.bool_]
) -> tuple[Float, dict[str, slice]]:
    """Put the embeddings of modalities side by side, each dimension standardized on training cells.

    Parameters
    ----------
    embeddings
        By modality, (cells, dimensions).
    modalities
        Which, in order.
    train
        Training mask, (cells,).

    Returns
    -------
    state
        (cells, dimensions of all); 0 where a cell lacks a modality.
    slices
        Columns of each modality, and ``all``.
    """
    widths = [embeddings[name].shape[1] for name in modalities]
    ends = np.cumsum(widths).tolist()
    slices = {name: slice(end - width, end) for name, width, end in zip(modalities, widths, ends, strict=True)}
    state = np.concatenate([embeddings[name] for name in modalities], axis=1)
    mean, sd = np.nanmean(state[train], axis=0), np.nanstd(state[train], axis=0)
    state = np.nan_to_num((state - mean) / (sd + 1e-8)).astype(np.float32)
    return state, slices | {"all": slice(0, ends[-1])}
