"""Training problems of the twin for whoever compares optimizers: the encoder's, and PPO's in the cell environment.

Each is a plain mapping of what a benchmark needs to know, whose ``make(seed, **parameters)`` gives a plain mapping of
model, batches, loss and measures. So `waddington.bench` finds them as entry points of the group ``waddington.tasks``,
and neither side imports the other. The single-cell stack is loaded when a problem is made, not when it is listed.

Cells are simulated, and the same for every seed: the seed sets initial weights, order, masks and actions.
"""

from __future__ import annotations

from typing import Any, Literal

from waddington._checks import check_choice, check_count, check_in_range, require_extra

__all__ = ["TWIN_ENCODER", "TWIN_PPO", "twin_encoder", "twin_ppo"]


def twin_encoder(
    seed: int,
    *,
    cells: int = 1200,
    batch_size: int = 64,
    embedding_dim: int = 32,
    hidden: int = 64,
    start: Literal["components", "random"] = "random",
    balanced: bool = False,
    mask_fraction: float = 0.3,
    modality_dropout: float = 0.2,
) -> dict[str, Any]:
    """Make the training of the graph encoder on simulated cells of three modalities.

    Two defaults are not the encoder's own. Weights start at random, because at components (``start="components"``)
    training has little left to do, and optimizers can hardly be told apart. Modalities are not balanced, because
    ``balanced=True`` weighs them by what a run has gained so far: every optimizer would then minimize another function.

    Parameters
    ----------
    seed
        Of the initial weights.
    cells
        Simulated cells; 70% of them are trained on, 15% each are for validation and test.
    batch_size
        Cells of a step.
    embedding_dim, hidden
        Width of the embeddings, of each modality and joint, and of the hidden states (a multiple of 4).
    start, balanced, mask_fraction, modality_dropout
        As in :class:`~waddington.twin.embed.EncoderConfig`.
    """
    check_count("cells", cells, 200)
    check_count("batch_size", batch_size, 2, cells // 2)
    require_extra("mudata", "twin")
    from waddington.twin.objectives.embedding import encoder_problem

    return encoder_problem(
        seed,
        cells=cells,
        batch_size=batch_size,
        embedding_dim=embedding_dim,
        joint_dim=embedding_dim,
        hidden=hidden,
        start=start,
        balanced=balanced,
        mask_fraction=mask_fraction,
        modality_dropout=modality_dropout,
    )


def twin_ppo(
    seed: int,
    *,
    config: Literal["small", "paper"] = "small",
    cells: int = 1200,
    n_envs: int = 64,
    batch_size: int | None = None,
    ent_coef: float = 0.0,
) -> dict[str, Any]:
    """Make PPO's training in the cell environment: reach the effect of a condition with measured perturbations.

    Parameters
    ----------
    seed
        Of the initial nets.
    config
        ``"small"``: one tanh layer of 64, rollouts of four episodes of each cell, 5 passes in mini-batches of at most
        256. ``"paper"``: the published code's six tanh layers of 256, about 2048 transitions, 10 passes in mini-batches
        of at most 64.
    cells
        Simulated cells that the environment is learned from; episodes start at 70% of the unperturbed ones in training,
        at 15% each in validation and test.
    n_envs
        Cells that act at once.
    batch_size
        Most transitions of a mini-batch; None is the configuration's.
    ent_coef
        Weight of the entropy bonus.
    """
    check_choice("config", config, ("small", "paper"))
    check_count("cells", cells, 200)
    check_count("n_envs", n_envs, 1)
    check_in_range("ent_coef", ent_coef, 0.0)
    require_extra("mudata", "twin")
    require_extra("stable_baselines3", "twin")
    from waddington.twin.objectives.acting import ppo_problem

    return ppo_problem(seed, config=config, cells=cells, n_envs=n_envs, batch_size=batch_size, ent_coef=ent_coef)


TWIN_ENCODER: dict[str, Any] = {
    "make": twin_encoder,
    "steps": 400,
    "tier": "minutes",
    "tiny": {"steps": 3, "cells": 240, "batch_size": 64, "embedding_dim": 8, "hidden": 16},
    "about": "The twin's graph encoder on 1,200 simulated cells of RNA, ATAC and protein.",
}
"""The encoder's training; the measure is the loss of hidden and seen counts in nats per entry, summed over terms."""

TWIN_PPO: dict[str, Any] = {
    "make": twin_ppo,
    "steps": 600,
    "metric": "return",
    "larger_is_better": True,
    "tier": "seconds",
    "tiny": {"steps": 3, "cells": 240, "n_envs": 8},
    "about": "PPO (Stable-Baselines3) in the twin's cell environment, learned from 1,200 simulated cells.",
}
"""PPO's training; the measure is the mean return of deterministic episodes from cells that are not trained on."""
