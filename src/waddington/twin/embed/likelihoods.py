"""What a count, or a value taken as given, is worth under its noise, and the decoders that say what to expect.

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
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "DEFAULT_LIKELIHOOD",
    "GAUSSIAN",
    "LIKELIHOODS",
    "CountDecoder",
    "Decoder",
    "ValueDecoder",
    "bernoulli_nll",
    "gaussian_nll",
    "make_decoder",
    "moment_dispersion",
    "negative_binomial_nll",
    "poisson_nll",
]


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


_LEAST_LOG_NOISE = -7.0
"""Logarithm of the least noise variance, a thousandth of a feature's own."""


class Decoder(nn.Module, ABC):
    """What every decoder does: start from moments, say what to expect, and weigh what was observed."""

    @abstractmethod
    def start(self, mean: Tensor, variance: Tensor) -> None:
        """Set what the moments of training cells fix, each (features,)."""

    @abstractmethod
    def expect(self, embedding: Tensor, source: str) -> Tensor:
        """Give what is expected of each feature, (cells, features): shares of counts, or values."""

    @abstractmethod
    def forward(self, embeddings: Mapping[str, Tensor], observed: Tensor) -> Tensor:
        """Give the negative log-likelihood under each embedding, (sources, cells, features), in nats."""


class CountDecoder(Decoder):
    """Embedding -> expected share of each feature, log-linear, with the modality's likelihood.

    Parameters
    ----------
    n_features
        Features to reconstruct.
    dims
        Width of each embedding that is decoded, by name. They share the baseline and the dispersion.
    likelihood
        A name in `LIKELIHOODS`.
    """

    def __init__(self, n_features: int, *, dims: Mapping[str, int], likelihood: str) -> None:
        super().__init__()
        self.nll = LIKELIHOODS[likelihood]
        self.weights = nn.ModuleDict({name: nn.Linear(dim, n_features, bias=False) for name, dim in dims.items()})
        self.baseline = nn.Parameter(torch.zeros(n_features))
        self.log_dispersion = nn.Parameter(
            torch.full((n_features,), 2.0), requires_grad=likelihood == "negative_binomial"
        )

    @torch.no_grad()
    def start(self, mean: Tensor, variance: Tensor) -> None:
        """Set the baseline to the logarithm of the mean shares, and the dispersion to that of the moments."""
        self.baseline.copy_((mean / mean.sum().clamp_min(1e-8)).clamp_min(1e-8).log())
        self.log_dispersion.copy_(moment_dispersion(mean, variance).log())

    def log_share(self, embedding: Tensor, source: str) -> Tensor:
        """Logarithm of the expected share of each feature, (cells, features); shares sum to 1."""
        return F.log_softmax(self.baseline + self.weights[source](embedding), dim=1)

    def expect(self, embedding: Tensor, source: str) -> Tensor:
        """Expected share of each feature, (cells, features)."""
        return self.log_share(embedding, source).exp()

    def forward(self, embeddings: Mapping[str, Tensor], counts: Tensor) -> Tensor:
        """Negative log-likelihood of the same counts under each embedding.

        Parameters
        ----------
        embeddings
            By source, (cells, dims[source]).
        counts
            (cells, features); the expected counts of a cell have the same total.

        Returns
        -------
        (sources, cells, features), in nats.
        """
        log_total = counts.sum(dim=1, keepdim=True).clamp_min(1.0).log()
        # Stacked, so that what depends on the counts alone (the gamma functions) is computed once for all sources.
        log_mean = torch.stack([self.log_share(value, source) for source, value in embeddings.items()]) + log_total
        return self.nll(counts, log_mean, self.log_dispersion)


class ValueDecoder(Decoder):
    """Embedding -> expected value of each feature, linear, with Gaussian noise of each feature's own size.

    Parameters
    ----------
    n_features
        Features to reconstruct.
    dims
        Width of each embedding that is decoded, by name. They share the baseline and the noise.
    """

    def __init__(self, n_features: int, *, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.weights = nn.ModuleDict({name: nn.Linear(dim, n_features, bias=False) for name, dim in dims.items()})
        self.baseline = nn.Parameter(torch.zeros(n_features))
        self.log_noise = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("scale", torch.ones(n_features))
        self.scale: Tensor

    @torch.no_grad()
    def start(self, mean: Tensor, variance: Tensor) -> None:
        """Set the baseline to the means; everything else is in units of each feature's standard deviation."""
        self.baseline.copy_(mean)
        self.scale.copy_(torch.where(variance > 1e-12, variance.sqrt(), 1.0))
        self.log_noise.zero_()

    def expect(self, embedding: Tensor, source: str) -> Tensor:
        """Expected value of each feature, (cells, features)."""
        expected: Tensor = self.baseline + self.scale * self.weights[source](embedding)
        return expected

    def forward(self, embeddings: Mapping[str, Tensor], values: Tensor) -> Tensor:
        """Negative log-density of the same values under each embedding, (sources, cells, features), in nats."""
        mean = torch.stack([self.expect(value, source) for source, value in embeddings.items()])
        # A floor under the noise keeps one feature that is predicted exactly from deciding the loss alone.
        log_variance = self.log_noise.clamp_min(_LEAST_LOG_NOISE) + 2.0 * self.scale.log()
        return gaussian_nll(values, mean, log_variance)


def make_decoder(n_features: int, *, dims: Mapping[str, int], likelihood: str) -> Decoder:
    """Make the decoder of a likelihood: a name in `LIKELIHOODS`, or `GAUSSIAN`."""
    if likelihood == GAUSSIAN:
        return ValueDecoder(n_features, dims=dims)
    return CountDecoder(n_features, dims=dims, likelihood=likelihood)
