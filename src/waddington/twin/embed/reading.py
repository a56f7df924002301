"""What a trained encoder can be read for: the loadings of its joint read-out, and which cells it attends to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse

from waddington._checks import check_choice
from waddington.twin.embed.batches import make_batch, refresh
from waddington.twin.embed.dataset import CellDataset, Matrix
from waddington.twin.embed.decoders import Decoder
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.reference import Reference, representations_of

__all__ = ["attention_weights", "joint_loadings"]

FloatArray = npt.NDArray[np.float32]

_BLOCK = 1024


def joint_loadings(encoder: TwinEncoder, modality: str) -> FloatArray:
    """Give the weights of the linear decoder of the joint embedding.

    Parameters
    ----------
    encoder
        Trained or not.
    modality
        Whose features.

    Returns
    -------
    numpy.ndarray
        (features, joint_dim): change of the logarithm of each feature's expected share (under the Gaussian likelihood:
        of its expected value, in standard deviations) when one dimension of the network's own embedding rises by 1.

    Raises
    ------
    ArgumentError
        For an unknown modality.
    """
    check_choice("modality", modality, encoder.config.modalities)
    decoder = cast(Decoder, encoder.module.decoders[modality])
    weight = cast(torch.nn.ModuleDict, decoder.weights)["joint"].weight
    return np.asarray(cast(torch.Tensor, weight).detach().cpu().numpy(), dtype=np.float32)


@torch.no_grad()
def attention_weights(
    encoder: TwinEncoder, inputs: Mapping[str, Matrix], representations: Mapping[str, FloatArray] | None = None
) -> sparse.csr_matrix:
    """Say how much each cell's joint embedding attends to each of the other cells given.

    Neighbours are sought among the given cells, so that both ends of an edge are at hand.

    Parameters
    ----------
    encoder
        Trained or not; not changed.
    inputs, representations
        As in :meth:`TwinEncoder.embed <waddington.twin.embed.TwinEncoder.embed>`.

    Returns
    -------
    scipy.sparse.csr_matrix
        (cells, cells), mean over heads; rows sum to 1, to 0 for a cell without neighbours.

    Raises
    ------
    DataError
        When tables do not fit the encoder.
    """
    cells = CellDataset(inputs, None, n_features=encoder.config.modalities)
    sought = representations_of(cells, inputs, representations)
    everyone = np.arange(cells.n_cells)
    reference = Reference(sought, n_neighbors=encoder.config.n_neighbors, seed=encoder.config.seed)
    refresh(encoder.module, cells, everyone, reference)
    tables = reference.attach(sought)
    device = next(encoder.module.parameters()).device
    parts = []
    for start in range(0, cells.n_cells, _BLOCK):
        rows = everyone[start : start + _BLOCK]
        near = {name: table[rows] for name, table in tables.items()}
        found = encoder.module.joint_attention(make_batch(cells, rows, near, reference, device=device))
        mask = near["joint"] >= 0
        row = np.repeat(np.arange(rows.size), mask.sum(axis=1))
        parts.append(
            sparse.csr_matrix((found.cpu().numpy()[mask], (row, near["joint"][mask])), shape=(rows.size, cells.n_cells))
        )
    return sparse.csr_matrix(sparse.vstack(parts))
