"""The loss that makes the modalities of a cell agree; that of the reconstruction is the likelihood's.

References
----------
van den Oord, Li and Vinyals, *Representation learning with contrastive predictive coding*, 2018.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["contrastive_loss"]


def contrastive_loss(a: Tensor, b: Tensor, both: Tensor, *, temperature: float) -> Tensor:
    """Symmetric InfoNCE: each cell's view should find its own other view among those of the batch.

    Parameters
    ----------
    a, b
        Unit vectors of the same cells in two modalities, (pairs of modalities, cells, dimensions).
    both
        1 where a cell has both, else 0, (pairs, cells); the other cells neither ask nor answer.
    temperature
        Softness of the choice.

    Returns
    -------
    Scalar in nats, divided by log(cells that have both) so that guessing costs 1 whatever the batch; a pair that fewer
    than two cells have counts 0.
    """
    absent = both == 0
    logits = (a @ b.transpose(1, 2) / temperature).masked_fill(absent[:, :, None] | absent[:, None, :], -1e9)
    own = torch.diagonal(logits, dim1=1, dim2=2)
    cost = 0.5 * (torch.logsumexp(logits, dim=1) + torch.logsumexp(logits, dim=2)) - own
    cells = both.sum(dim=1)
    chance = torch.log(cells.clamp_min(2.0))
    return ((cost * both).sum(dim=1) / (cells.clamp_min(1.0) * chance) * (cells >= 2)).mean()
