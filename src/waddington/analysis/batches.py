"""What is analysed: a loss of a model, of one batch or of the mean over many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import nn

from waddington.errors import ArgumentError

__all__ = ["BatchLoss", "Loss", "over_batches"]

Loss = Callable[[nn.Module], torch.Tensor]
"""Computes a scalar of a model: ``loss(model)``."""


class BatchLoss:
    """The mean of a loss over batches, which all weigh the same; made by :func:`over_batches`.

    Parameters
    ----------
    loss
        ``loss(model, batch)``, a scalar tensor.
    batches
        What can be walked through again and again: a list, a DataLoader.
    """

    def __init__(self, loss: Callable[[nn.Module, Any], torch.Tensor], batches: Iterable[Any]) -> None:
        if iter(batches) is batches:
            raise ArgumentError(
                f"cannot use batches={type(batches).__name__}: it can be walked through once; accepted: a list or a"
                " DataLoader"
            )
        self._loss, self._batches = loss, batches

    def pieces(self) -> Iterator[Loss]:
        """Give the loss of each batch."""
        for batch in self._batches:
            yield lambda model, batch=batch: self._loss(model, batch)  # type: ignore[misc]

    def __call__(self, model: nn.Module) -> torch.Tensor:
        """Give the mean."""
        values = [piece(model) for piece in self.pieces()]
        return torch.stack(values).mean()


def over_batches(loss: Callable[[nn.Module, Any], torch.Tensor], batches: Iterable[Any]) -> BatchLoss:
    """Make one loss of many batches: their mean, whose derivatives are taken batch by batch.

    Only the graph of one batch is held at a time. All batches weigh the same, so they should be of one size.

    Parameters
    ----------
    loss
        ``loss(model, batch)``, a scalar tensor: a mean over the batch.
    batches
        A list, a DataLoader: what can be walked through again and again.

    Returns
    -------
    BatchLoss
        Takes the place of ``loss(model)`` in every function here.

    Raises
    ------
    ArgumentError
        `batches` is a generator.
    """
    return BatchLoss(loss, batches)
