"""What a count, or a value taken as given, is worth under its noise.

The likelihoods are free functions of tensors. All return the negative log-likelihood of every entry, constants
included, so that figures can be compared between models.

References
----------
Lopez et al., *Deep generative modeling for single-cell transcriptomics*, Nature Methods 15 (2018): the negative
binomial. Martens et al., *Modeling fragment counts improves single-cell ATAC-seq analysis*, Nature Methods 21 (2024):
the Poisson.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from waddington.twin._moved import names_moved_from

__all__ = [
    "DEFAULT_LIKELIHOOD",
    "GAUSSIAN",
    "LIKELIHOODS",
    "bernoulli_nll",
    "gaussian_nll",
    "moment_dispersion",
    "negative_binomial_nll",
    "poisson_nll",
]

__getattr__ = names_moved_from(__name__)


def negative_binomial_nll(counts: Tensor, log_mean: Tensor, log_dispersion: Tensor) -> Tensor:
    """Negative binomial: variance = mean + mean² / dispersion.

    Parameters
    ----------
    counts
        Observed counts, (cells, features).
    log_mean
        Logarithm of the expected counts, (..., cells, features).
    log_dispersion
        Logarithm of the inverse dispersion, (features,).

    Returns
    -------
    Negative log-likelihood, (cells, features), in nats.
    """
    dispersion = log_dispersion.exp()
    normalizer = torch.log(log_mean.exp() + dispersion)
    constant = _log_choose(counts, dispersion) + dispersion * log_dispersion
    return (counts + dispersion) * normalizer - counts * log_mean - constant


def poisson_nll(counts: Tensor, log_mean: Tensor, log_dispersion: Tensor | None = None) -> Tensor:
    """Poisson: variance = mean. The third argument is there for a common signature, and ignored.

    Parameters
    ----------
    counts
        Observed counts, (cells, features).
    log_mean
        Logarithm of the expected counts, (cells, features).
    log_dispersion
        Not used.

    Returns
    -------
    Negative log-likelihood, (cells, features), in nats.
    """
    return log_mean.exp() - counts * log_mean + _log_factorial(counts)


def bernoulli_nll(counts: Tensor, log_mean: Tensor, log_dispersion: Tensor | None = None) -> Tensor:
    """Bernoulli on open or closed, open with the probability 1 - exp(-mean) that a Poisson count is not zero.

    Parameters
    ----------
    counts
        Observed counts, (cells, features); only zero against positive matters.
    log_mean
        Logarithm of the expected counts, (cells, features).
    log_dispersion
        Not used.

    Returns
    -------
    Negative log-likelihood, (cells, features), in nats.
    """
    mean = log_mean.clamp(-15.0, 15.0).exp()
    return torch.where(counts > 0, -torch.log(-torch.expm1(-mean)), mean)


def moment_dispersion(mean: Tensor, variance: Tensor) -> Tensor:
    """Start the inverse dispersion where the moments of the counts put it.

    Parameters
    ----------
    mean
        Mean count of each feature, (features,).
    variance
        Variance of the counts, (features,).

    Returns
    -------
    mean² / (variance - mean), (features,), kept within [0.1, 100].
    """
    return (mean**2 / F.relu(variance - mean).clamp_min(1e-8)).clamp(0.1, 100.0)


def _log_choose(counts: Tensor, dispersion: Tensor) -> Tensor:
    """Log Γ(y + θ) - log Γ(θ) - log y!, computed only where y > 0: it is 0 elsewhere, and most counts are 0."""
    cell, feature = (counts > 0).nonzero(as_tuple=True)
    y = counts[cell, feature]
    value = torch.lgamma(y + dispersion[feature]) - torch.lgamma(dispersion)[feature] - torch.lgamma(y + 1.0)
    return torch.zeros_like(counts).index_put((cell, feature), value)


def _log_factorial(counts: Tensor) -> Tensor:
    """Log y!, computed only where y > 1."""
    cell, feature = (counts > 1).nonzero(as_tuple=True)
    return torch.zeros_like(counts).index_put((cell, feature), torch.lgamma(counts[cell, feature] + 1.0))


def gaussian_nll(values: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Gaussian, for values that are no counts: log-normalized expression, mass cytometry, qPCR.

    Parameters
    ----------
    values
        Observed values, (cells, features).
    mean
        Expected values, (..., cells, features).
    log_variance
        Logarithm of the variance, (features,).

    Returns
    -------
    Negative log-density, (..., cells, features), in nats.
    """
    return 0.5 * ((values - mean) ** 2 * torch.exp(-log_variance) + log_variance + math.log(2.0 * math.pi))


LIKELIHOODS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "bernoulli": bernoulli_nll,
    "negative_binomial": negative_binomial_nll,
    "poisson": poisson_nll,
}
"""Likelihoods of counts by name."""

GAUSSIAN = "gaussian"
"""Name of the likelihood of values that are taken as given."""

DEFAULT_LIKELIHOOD: dict[str, str] = {"atac": "poisson", "protein": "negative_binomial", "rna": "negative_binomial"}
"""Likelihood of each modality that the package knows; any other gets the negative binomial."""
