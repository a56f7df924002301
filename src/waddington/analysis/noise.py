"""How noisy the gradients of batches are, and the batch size that noise asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count
from waddington.analysis.batches import BatchLoss
from waddington.analysis.objective import Mode, evaluating
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError

__all__ = ["GradientNoise", "gradient_noise", "noise_from_norms", "pooled_noise_scale"]


@dataclass(frozen=True)
class GradientNoise(Saved):
    """How noisy gradients of batches are (McCandlish, Kaplan, Amodei et al. 2018, arXiv:1812.06162, appendix A.1).

    Attributes
    ----------
    squared_norm
        |G|², unbiased: the squared norm of the true gradient; noise can make it negative.
    variance
        tr Σ, unbiased: the variance of one example's gradient, summed over coordinates.
    batches, batch_size
        What it was measured on.
    """

    squared_norm: float
    variance: float
    batches: int
    batch_size: int

    @property
    def noise_scale(self) -> float:
        """B_simple = tr Σ / |G|², in examples: the batch size at which noise and signal are equal.

        NaN where `squared_norm` is not positive: the batches are too few to tell the gradient from 0. A number is no
        proof that they are enough: of pure noise every second estimate of |G|² is positive. A ratio of two unbiased
        numbers is biased; over several steps use :func:`pooled_noise_scale`.
        """
        return self.variance / self.squared_norm if self.squared_norm > 0 else float("nan")


def gradient_noise(
    model: nn.Module, loss: BatchLoss, batch_size: int, *, mode: Mode = "eval", seed: int = 0
) -> GradientNoise:
    """Measure the variance of gradients, and the gradient noise scale, from the gradients of several batches.

    Parameters
    ----------
    model, mode, seed
        As for :func:`hessian_vector_product`.
    loss
        From :func:`over_batches`, with at least two batches.
    batch_size
        Examples in each batch, which must all be of that size.

    Returns
    -------
    GradientNoise
        Unbiased estimates.

    Raises
    ------
    ArgumentError
        The loss is not one of several batches, or they differ in size.
    """
    check_count("batch_size", batch_size, 1)
    if not isinstance(loss, BatchLoss):
        raise ArgumentError("cannot measure noise with one loss; accepted is over_batches(loss, batches)")
    squares: list[float] = []
    with evaluating(model, loss, mode=mode, seed=seed, order=1) as objective:
        total = torch.zeros(objective.size, dtype=torch.float64, device=objective.device)
        for grad in objective.piece_gradients():
            squares.append(float(grad.double().square().sum()))
            total += grad
    sizes = {size for size in loss.sizes if size is not None}
    if len(sizes) > 1:
        raise ArgumentError(
            f"cannot measure noise with batches of {', '.join(map(str, sorted(sizes)))} examples; accepted are batches"
            " of one size (of a DataLoader, drop_last=True)"
        )
    mean = float((total / len(squares)).square().sum())
    return noise_from_norms(squares, mean, batch_size)


def noise_from_norms(squares: Sequence[float] | Arrays, mean_square: float, batch_size: int) -> GradientNoise:
    """Turn norms of gradients into the noise that they tell of.

    ``|G|² = (B |G_B|² - b |G_b|²) / (B - b)`` and ``tr Σ = (|G_b|² - |G_B|²) / (1/b - 1/B)``, with b examples in one
    batch and B in all of them together.

    Parameters
    ----------
    squares
        Squared norm of each batch's gradient, of shape (batches,), at least two: gradients of accumulated microbatches
        or of the ranks of a distributed run.
    mean_square
        Squared norm of the mean of these gradients.
    batch_size
        Examples in each batch.

    Returns
    -------
    GradientNoise
        Unbiased estimates.

    Raises
    ------
    ArgumentError
        There are fewer than two batches, or the numbers are no squared norms: below zero, or the mean's above the mean
        of theirs, which it never is.
    """
    check_count("batch_size", batch_size, 1)
    count = len(squares)
    if count < 2:
        raise ArgumentError(f"cannot measure noise with {count} batches; accepted: at least 2")
    small_square = float(np.mean(squares))
    if min(*squares, mean_square) < 0.0 or mean_square > small_square * (1.0 + 1e-3):
        raise ArgumentError(
            f"cannot use squares with the mean {small_square:.6g} and mean_square={mean_square:.6g}: accepted are"
            " squared norms, of gradients and of the mean of the same gradients, which is never the larger"
        )
    small, big = batch_size, batch_size * count
    return GradientNoise(
        squared_norm=(big * mean_square - small * small_square) / (big - small),
        variance=(small_square - mean_square) / (1.0 / small - 1.0 / big),
        batches=count,
        batch_size=batch_size,
    )


def pooled_noise_scale(measurements: Sequence[GradientNoise]) -> float:
    """Give the noise scale of several steps: the ratio of the means, which is less biased than the mean of ratios.

    NaN where the mean squared norm is not positive.
    """
    if not measurements:
        raise ArgumentError("cannot pool no measurements; accepted: at least one")
    norm = float(np.mean([each.squared_norm for each in measurements]))
    return float(np.mean([each.variance for each in measurements])) / norm if norm > 0 else float("nan")
