"""The spectral density of a Hessian, by stochastic Lanczos quadrature.

From a few random vectors v, Lanczos' method gives the nodes and weights of vᵀf(H)v; their mean, each node widened to a
normal distribution, is the density (Ubaru, Chen & Saad 2017, SIAM J. Matrix Anal. Appl. 38; for networks: Ghorbani,
Krishnan & Xiao 2019, arXiv:1901.10159; Papyan 2019, arXiv:1811.07062).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count, check_in_range
from waddington.analysis.batches import Loss
from waddington.analysis.curvature import operator, probe, scale_of
from waddington.analysis.lanczos import quadrature
from waddington.analysis.objective import Mode, evaluating
from waddington.analysis.records import Arrays, Saved

__all__ = ["Spectrum", "broadened", "spectral_density"]


@dataclass(frozen=True)
class Spectrum(Saved):
    """The density of a Hessian's eigenvalues.

    Attributes
    ----------
    grid, density
        Eigenvalues and their density there, of shape (points,); the density's integral is 1.
    nodes, weights
        What the density is made of, of shape (nodes,), all probes together; the weights sum to 1.
    width
        Standard deviation by which each node is widened.
    size
        Number n of eigenvalues: n times an integral of the density is a count.
    probes, steps
        Random vectors, and products taken with each.
    """

    grid: Arrays
    density: Arrays
    nodes: Arrays
    weights: Arrays
    width: float
    size: int
    probes: int
    steps: int

    @property
    def mean(self) -> float:
        """Mean eigenvalue, the trace over n."""
        return float(self.weights @ self.nodes)

    @property
    def negative_share(self) -> float:
        """Share of eigenvalues that are below zero by more than the width."""
        return float(self.weights[self.nodes < -self.width].sum())


def spectral_density(
    model: nn.Module,
    loss: Loss,
    *,
    steps: int = 64,
    probes: int = 8,
    points: int = 1000,
    width: float = 0.01,
    optimizer: torch.optim.Optimizer | None = None,
    mode: Mode = "eval",
    seed: int = 0,
) -> Spectrum:
    """Estimate the density of the Hessian's eigenvalues.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`; the seed is also that of the probes.
    steps
        Products with each probe; so many vectors of n coordinates are held.
    probes
        Random vectors; the error falls with the root.
    points
        Of the grid.
    width
        Standard deviation of each node's normal distribution, as a share of the spectrum's range.
    optimizer
        As for :func:`eigenvalues`: the density of ``P^-1/2 H P^-1/2``.

    Returns
    -------
    Spectrum
        Grid and density, and what they are made of.

    Raises
    ------
    ArgumentError, UnsupportedError
        As for :func:`eigenvalues`.
    """
    check_count("steps", steps, 2)
    check_count("probes", probes, 1)
    check_count("points", points, 2)
    check_in_range("width", width, 0.0, 1.0, open_low=True)
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        matvec, size = operator(objective, scale_of(objective, optimizer))
        found = [quadrature(matvec, probe(objective, size, seed + at, gaussian=True), steps) for at in range(probes)]
    nodes = np.concatenate([nodes for nodes, _ in found])
    weights = np.concatenate([weights for _, weights in found]) / probes
    spread = float(np.ptp(nodes)) or max(abs(float(nodes[0])), 1.0)
    sigma = width * spread
    grid = np.linspace(nodes.min() - 4.0 * sigma, nodes.max() + 4.0 * sigma, points)
    return Spectrum(grid, broadened(nodes, weights, grid, sigma), nodes, weights, sigma, size, probes, steps)


def broadened(nodes: Arrays, weights: Arrays, grid: Arrays, sigma: float) -> Arrays:
    """Widen weighted nodes to normal distributions and add them up.

    Parameters
    ----------
    nodes, weights
        Of shape (nodes,).
    grid
        Where the density is wanted, of shape (points,).
    sigma
        Standard deviation.

    Returns
    -------
    numpy.ndarray
        Of shape (points,).
    """
    distance = (grid[:, None] - nodes[None, :]) / sigma
    return np.asarray(np.exp(-0.5 * distance**2) @ weights / (sigma * np.sqrt(2.0 * np.pi)))
