"""What is analysed: a loss of a model, of one batch or of the mean over many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from waddington.errors import ArgumentError

__all__ = ["WITHOUT_BATCHES", "BatchLoss", "Loss", "over_batches"]

Loss = Callable[[nn.Module], torch.Tensor]
"""Computes a scalar of a model: ``loss(model)``."""
WITHOUT_BATCHES = "cannot use batches without a batch; accepted: at least one"
"""Said of batches that turn out to be none."""


class BatchLoss:
    """The mean of a loss over batches, which all weigh the same; made by :func:`over_batches`.

    Parameters
    ----------
    loss
        ``loss(model, batch)``, a scalar tensor.
    batches
        What can be walked through again and again: a list, a DataLoader.

    Attributes
    ----------
    sizes
        Lengths of the first tensor in each batch, of the last walk; None where a batch has none.
    """

    def __init__(self, loss: Callable[[nn.Module, Any], torch.Tensor], batches: Iterable[Any]) -> None:
        if not callable(loss):
            raise ArgumentError(f"cannot use loss={type(loss).__name__}: accepted is a function, loss(model, batch)")
        reason = _why_no_batches(batches)
        if reason is not None:
            raise ArgumentError(
                f"cannot use batches={type(batches).__name__}: {reason}; accepted: a list or a DataLoader"
            )
        self._loss, self._batches = loss, batches
        self.sizes: list[int | None] = []

    def generators(self) -> list[torch.Generator]:
        """Give the random generators of a DataLoader's own, which walking through it moves."""
        loader: Any = self._batches
        places = [loader, getattr(loader, "sampler", None), getattr(loader, "batch_sampler", None)]
        places.append(getattr(places[-1], "sampler", None))
        found = [getattr(place, "generator", None) for place in places]
        return list({id(each): each for each in found if isinstance(each, torch.Generator)}.values())

    def pieces(self) -> Iterator[Loss]:
        """Give the loss of each batch, and keep its size where it can be seen."""
        self.sizes = []
        for batch in self._batches:
            self.sizes.append(_size_of(batch))
            yield lambda model, batch=batch: self._loss(model, batch)  # type: ignore[misc]

    def __call__(self, model: nn.Module) -> torch.Tensor:
        """Give the mean.

        Raises
        ------
        ArgumentError
            There is no batch.
        """
        values = [piece(model).reshape(()) for piece in self.pieces()]
        if not values:
            raise ArgumentError(WITHOUT_BATCHES)
        return torch.stack(values).mean()


def _size_of(batch: Any) -> int | None:
    """Give the length of the first tensor in a batch."""
    if isinstance(batch, torch.Tensor):
        return len(batch) if batch.dim() else None
    parts = batch.values() if isinstance(batch, Mapping) else batch if isinstance(batch, tuple | list) else ()
    return next((size for part in parts if (size := _size_of(part)) is not None), None)


def _why_no_batches(given: Any) -> str | None:
    """Say why something cannot be walked through again and again, batch by batch.

    Nothing is begun for it: a DataLoader that begins draws a random number and starts its workers.
    """
    if hasattr(given, "__next__"):
        return "it can be walked through once"
    if isinstance(given, str | bytes | Mapping) or not (hasattr(given, "__iter__") or hasattr(given, "__getitem__")):
        return "it does not hold batches one after the other"
    return None


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
        `batches` is a generator, or nothing that holds batches.
    """
    return BatchLoss(loss, batches)
