"""The loss of an encoder as a function of its weights alone, for a picture of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from waddington.twin.embed.batches import evaluate, refresh
from waddington.twin.embed.dataset import CellDataset, Matrix, hold_out
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.reference import reference_rows, representations_of

__all__ = ["fixed_loss"]


def fixed_loss(
    encoder: TwinEncoder,
    inputs: Mapping[str, Matrix],
    counts: Mapping[str, Matrix],
    representations: Mapping[str, npt.NDArray[np.float32]] | None = None,
    *,
    train: npt.NDArray[np.bool_],
    validation: float,
    seed: int,
    n_cells: int = 512,
) -> Callable[[nn.Module], torch.Tensor]:
    """Give the training loss on some training cells, with masks that stay.

    The hidden states of the reference are computed anew for every weights. Modalities weigh the same, whatever they
    weighed in training.

    Parameters
    ----------
    encoder
        After ``fit`` on these cells; its reference is used.
    inputs, counts, representations, train, validation, seed
        As given to ``fit``.
    n_cells
        Training cells that are drawn.

    Returns
    -------
    Callable
        ``loss(encoder.module)``, without a graph.
    """
    cells = CellDataset(inputs, counts, n_features=encoder.config.modalities)
    sought = representations_of(cells, inputs, representations)
    rows, _ = hold_out(np.flatnonzero(train), validation, seed=seed)
    some = np.sort(np.random.default_rng((seed, 5)).permutation(rows)[:n_cells])
    reference = encoder._known_reference()
    kept = reference_rows(rows, encoder.config.max_reference, seed=seed)
    tables = reference.attach({name: x[some] for name, x in sought.items()})

    def loss(_: nn.Module) -> torch.Tensor:
        refresh(encoder.module, cells, kept, reference)
        terms = evaluate(encoder.module, cells, some, tables, reference, encoder.config, seed=seed)
        return torch.tensor(terms["total"], dtype=torch.float64)

    return loss
