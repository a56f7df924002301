"""The decoders of an encoder: what to expect of each feature, linear in the embedding, and its noise."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from waddington.twin.embed.likelihoods import GAUSSIAN, LIKELIHOODS, gaussian_nll, moment_dispersion

__all__ = ["CountDecoder", "Decoder", "ValueDecoder", "make_decoder"]

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
