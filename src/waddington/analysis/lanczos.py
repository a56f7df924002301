"""Lanczos' method for a symmetric matrix of which only products with vectors are known.

Every new vector is made orthogonal to all before it, twice, so no false copies of eigenvalues appear; a basis that is
full is restarted from its best vectors (thick restart: Wu & Simon 2000, SIAM J. Matrix Anal. Appl. 22).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from waddington.analysis.records import Arrays

__all__ = ["EigenPairs", "Matvec", "extreme_eigenpairs", "quadrature"]

Matvec = Callable[[torch.Tensor], torch.Tensor]
"""The product of a symmetric matrix with a vector of shape (n,)."""

_LEAST = 8
"""Products before which nothing has settled: in many dimensions a random vector holds so little of a single direction
that a first residual cannot tell it."""
_BASIS = 48
"""Vectors held at most, unless more eigenvalues are wanted: memory is so many times the parameters'."""


@dataclass(frozen=True)
class EigenPairs:
    """Eigenvalues at both ends of a spectrum.

    Attributes
    ----------
    largest, smallest
        From the outside in: descending, and ascending.
    residuals
        ‖A x - λ x‖ of each, the largest first; an eigenvalue lies within that distance of each λ.
    vectors
        Their vectors of length 1, of shape (largest + smallest, n).
    products
        How many products it took.
    converged
        Whether every residual is below the tolerance.
    """

    largest: Arrays
    smallest: Arrays
    residuals: Arrays
    vectors: torch.Tensor
    products: int
    converged: bool


class _Basis:
    """Orthonormal vectors Q, and the matrix QᵀAQ."""

    def __init__(self, matvec: Matvec, capacity: int, start: torch.Tensor) -> None:
        self._matvec = matvec
        self.vectors = start.new_empty((capacity, start.numel()))
        self.matrix = np.zeros((capacity, capacity))
        self.count, self.products = 0, 0
        self.rest, self.beta = start, _length(start)

    def extend(self) -> None:
        """Take the direction of the rest as the next vector; find the new rest, orthogonal to all."""
        at = self.count
        self.vectors[at] = self.rest / self.beta
        image = self._matvec(self.vectors[at])
        self.products += 1
        self.count += 1
        image, column = self._orthogonal(image)
        self.matrix[: at + 1, at] = self.matrix[at, : at + 1] = column
        self.rest, self.beta = image, _length(image)

    def begin_anew(self, vector: torch.Tensor) -> None:
        """Take another direction as the rest."""
        self.rest, _ = self._orthogonal(vector)
        self.beta = _length(self.rest)

    def keep(self, weights: Arrays, values: Arrays) -> None:
        """Replace the vectors by combinations of them, (count, kept), on which the matrix is diagonal."""
        kept = len(values)
        mixed = torch.as_tensor(weights, dtype=self.vectors.dtype, device=self.vectors.device)
        self.vectors[:kept] = mixed.T @ self.vectors[: self.count]
        self.matrix[:] = 0.0
        self.matrix[:kept, :kept] = np.diag(values)
        self.count = kept

    def _orthogonal(self, vector: torch.Tensor) -> tuple[torch.Tensor, Arrays]:
        held = self.vectors[: self.count]
        column = np.zeros(self.count)
        for _ in range(2):  # once leaves rounding errors that grow
            share = held @ vector
            vector = vector - held.T @ share
            column += share.double().cpu().numpy()
        return vector, column


def extreme_eigenpairs(
    matvec: Matvec,
    start: torch.Tensor,
    *,
    largest: int = 1,
    smallest: int = 0,
    tolerance: float = 1e-4,
    max_products: int = 500,
) -> EigenPairs:
    """Find eigenvalues at the ends of the spectrum of a symmetric matrix.

    Where two or more of one end are wanted, the search is repeated from a new direction, with as many products again,
    until that changes nothing: Lanczos' method by itself finds an eigenvalue once that occurs several times.

    Parameters
    ----------
    matvec
        The matrix, by its products.
    start
        A random vector of shape (n,); says dtype and device.
    largest, smallest
        How many of each end; not more than n together.
    tolerance
        Largest residual, relative to the largest absolute eigenvalue.
    max_products
        After so many products what has been found is given with ``converged=False``.
    """
    size, wanted = start.numel(), largest + smallest
    basis = _Basis(matvec, min(size, max(_BASIS, 3 * wanted + 2)), start)
    before: Arrays | None = None
    while True:
        ritz = _settle(basis, largest, smallest, tolerance, max_products, at_least=2 * basis.products)
        found = ritz.values[ritz.at]
        same = before is not None and bool(np.abs(found - before).max() <= tolerance * ritz.scale)
        if same or max(largest, smallest) == 1 or not ritz.converged or basis.count == size:
            break
        before = found
        basis.keep(ritz.weights[:, ritz.at], found)
        basis.begin_anew(_random_like(start, basis.products))
    mixed = torch.as_tensor(ritz.weights[:, ritz.at], dtype=start.dtype, device=start.device)
    vectors = mixed.T @ basis.vectors[: basis.count]
    return EigenPairs(found[:largest], found[largest:], ritz.residuals, vectors, basis.products, ritz.converged)


@dataclass
class _Ritz:
    """Approximate eigenvalues of a basis, ascending, their vectors in it, and those that are wanted."""

    values: Arrays
    weights: Arrays
    at: Arrays
    residuals: Arrays
    scale: float
    converged: bool


def _settle(basis: _Basis, largest: int, smallest: int, tolerance: float, max_products: int, *, at_least: int) -> _Ritz:
    """Extend a basis until the wanted values have settled, but by `at_least` products in all."""
    size, wanted = basis.vectors.shape[1], largest + smallest
    while True:
        basis.extend()
        values, weights = np.linalg.eigh(basis.matrix[: basis.count, : basis.count])
        scale = max(float(np.abs(values).max()), np.finfo(float).tiny)
        is_exact = basis.count == size or basis.beta <= _rounding(basis.vectors, scale)
        if basis.count >= wanted:
            at = np.r_[np.arange(len(values) - 1, len(values) - 1 - largest, -1), np.arange(smallest)]
            residuals = np.zeros(wanted) if is_exact else basis.beta * np.abs(weights[-1, at])
            has_looked = basis.products >= _LEAST or basis.count == size
            converged = has_looked and bool((residuals <= tolerance * scale).all())
            is_done = converged and (basis.products >= at_least or basis.count == size)
            if is_done or basis.products >= max_products:
                return _Ritz(values, weights, at, residuals, scale, converged)
        if basis.count == len(basis.vectors):
            kept = _near_the_ends(len(values), largest, smallest)
            basis.keep(weights[:, kept], values[kept])
        if is_exact:  # the space of this direction has ended
            basis.begin_anew(_random_like(basis.vectors[0], basis.products))


def _length(vector: torch.Tensor) -> float:
    """Give the norm in float64: in float32 the squares of numbers below 1e-19 or above 1e19 are out of range."""
    return float(torch.linalg.vector_norm(vector, dtype=torch.float64))


def _rounding(vectors: torch.Tensor, scale: float) -> float:
    """Give the length below which the rest of a product is rounding error."""
    return float(torch.finfo(vectors.dtype).eps * scale * np.sqrt(vectors.shape[1]))


def _near_the_ends(count: int, largest: int, smallest: int) -> Arrays:
    """Name the wanted Ritz values and some next to them, which speed the next round up."""
    spare = count // 4
    low = np.arange(smallest + spare if smallest else 0)
    high = np.arange(count - (largest + spare if largest else 0), count)
    return np.unique(np.r_[low, high])


def _random_like(vector: torch.Tensor, seed: int) -> torch.Tensor:
    generator = torch.Generator("cpu").manual_seed(seed)
    return torch.randn(vector.shape, generator=generator, dtype=torch.float64, device="cpu").to(vector)


def quadrature(matvec: Matvec, start: torch.Tensor, steps: int) -> tuple[Arrays, Arrays]:
    """Give Gauss' quadrature of a spectrum as a vector sees it.

    For every polynomial f of degree below ``2 * steps``: ``startᵀ f(A) start / ‖start‖² = Σ weights * f(nodes)``
    (Golub & Welsch 1969).

    Parameters
    ----------
    matvec
        The matrix, by its products.
    start
        Vector of shape (n,).
    steps
        Products taken; fewer where the vector's space ends earlier.

    Returns
    -------
    nodes, weights
        Arrays of one length; the weights are positive and sum to 1.
    """
    basis = _Basis(matvec, min(steps, start.numel()), start)
    for _ in range(len(basis.vectors)):
        basis.extend()
        if basis.beta <= _rounding(basis.vectors, float(np.abs(basis.matrix).max())):
            break
    nodes, vectors = np.linalg.eigh(basis.matrix[: basis.count, : basis.count])
    return nodes, vectors[0] ** 2
