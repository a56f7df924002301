"""What a count is worth under each modality's own noise, and the decoder that says what to expect.

The likelihoods are free functions of tensors. All return the negative log-likelihood of every entry, constants
included, so that figures can be compared between models.

References
----------
Lopez et al., *Deep generative modeling for single-cell transcriptomics*, Nature Methods 15 (2018): the negative
binomial. Martens et al., *Modeling fragment counts improves single-cell ATAC-seq analysis*, Nature Methods 21 (2024):
the Poisson.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "DEFAULT_LIKELIHOOD",
    "LIKELIHOODS",
    "CountDecoder",
    "bernoulli_nll",
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


LIKELIHOODS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "bernoulli": bernoulli_nll,
    "negative_binomial": negative_binomial_nll,
    "poisson": poisson_nll,
}
"""Likelihoods by name."""

DEFAULT_LIKELIHOOD: dict[str, str] = {"atac": "poisson", "protein": "negative_binomial", "rna": "negative_binomial"}
"""Likelihood of each modality that the package knows; any other gets the negative binomial."""


class CountDecoder(nn.Module):
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
    def start(self, mean_share: Tensor, dispersion: Tensor) -> None:
        """Set the baseline to the logarithm of the mean shares, (features,), and the dispersion, (features,)."""
        self.baseline.copy_(mean_share.clamp_min(1e-8).log())
        self.log_dispersion.copy_(dispersion.log())

    def log_share(self, embedding: Tensor, source: str) -> Tensor:
        """Logarithm of the expected share of each feature, (cells, features); shares sum to 1."""
        return F.log_softmax(self.baseline + self.weights[source](embedding), dim=1)

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
