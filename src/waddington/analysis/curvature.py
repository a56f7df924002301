"""Curvature of a loss: products with its Hessian, eigenvalues, trace. No matrix is ever made.

A product costs about as much as two gradients (Pearlmutter 1994, Neural Computation 6). Every function takes the model
and ``loss(model)``, and leaves the model as it was (see :mod:`waddington.analysis.objective`).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington._checks import check_count, check_in_range
from waddington.analysis.batches import Loss
from waddington.analysis.lanczos import Matvec, extreme_eigenpairs
from waddington.analysis.objective import Mode, Objective, evaluating
from waddington.analysis.preconditioner import guess_of, inverse_roots
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError, UnsupportedError

__all__ = [
    "Eigenvalues",
    "Trace",
    "eigenvalues",
    "hessian_trace",
    "hessian_vector_product",
    "operator",
    "probe",
    "scale_of",
    "sharpness",
]


@dataclass(frozen=True)
class Eigenvalues(Saved):
    """Eigenvalues at the ends of a Hessian's spectrum.

    Attributes
    ----------
    largest
        Descending.
    smallest
        Ascending; those below zero are directions in which the loss bends downwards.
    residuals
        How far each may be off, the largest first: an eigenvalue lies within that distance.
    products
        How many Hessian-vector products it took.
    converged
        Whether every residual is below the tolerance.
    parameter_norm
        ‖θ‖. ``largest[0] * parameter_norm**2`` does not change when a layer's scale is moved into the next, as λ alone
        does.
    preconditioned
        Whether they are those of ``P^-1/2 H P^-1/2``.
    """

    largest: Arrays
    smallest: Arrays
    residuals: Arrays
    products: int
    converged: bool
    parameter_norm: float
    preconditioned: bool


@dataclass(frozen=True)
class Trace(Saved):
    """An estimated trace.

    Attributes
    ----------
    mean, standard_error
        Of the estimate.
    samples
        How many random vectors it is made of.
    """

    mean: float
    standard_error: float
    samples: int


def hessian_vector_product(
    model: nn.Module, loss: Loss, vector: torch.Tensor, *, mode: Mode = "eval", seed: int = 0
) -> torch.Tensor:
    """Multiply the Hessian of the loss with a vector.

    Parameters
    ----------
    model
        Its parameters that require grad count, in their order, a shared one once.
    loss
        ``loss(model)``, a scalar tensor, or what :func:`over_batches` gave.
    vector
        Of shape (n,).
    mode
        Mode of the model meanwhile: ``"eval"``, ``"train"``, or ``"as-is"``.
    seed
        Of dropout and other random numbers, which are the same in every evaluation.

    Returns
    -------
    torch.Tensor
        Of shape (n,).

    Raises
    ------
    ArgumentError
        The vector has another shape, or the loss is no function of the parameters.
    UnsupportedError
        The loss has no second derivatives: half precision, or an operation without one.
    """
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        return objective.hvp(vector)


def eigenvalues(
    model: nn.Module,
    loss: Loss,
    *,
    largest: int = 1,
    smallest: int = 0,
    optimizer: torch.optim.Optimizer | None = None,
    tolerance: float = 1e-4,
    max_products: int = 500,
    mode: Mode = "eval",
    seed: int = 0,
) -> Eigenvalues:
    """Find the largest and smallest eigenvalues of the Hessian by Lanczos' method.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`; the seed is also that of the first vector.
    largest, smallest
        How many of each end.
    optimizer
        With one that keeps a second moment, the Hessian is taken between two roots of its denominator,
        ``P^-1/2 H P^-1/2`` (Cohen et al. 2022): the curvature that its steps meet. Parameters that are in none of its
        groups are left out. Of one that is neither torch's nor this package's P is guessed, with a warning.
    tolerance
        Largest residual, relative to the largest absolute eigenvalue. Errors of the values are far smaller: they fall
        with its square.
    max_products
        After so many Hessian-vector products what was found is given, with ``converged=False``.

    Returns
    -------
    Eigenvalues
        With how far each may be off.

    Raises
    ------
    ArgumentError
        More are wanted than there are coordinates; the optimizer has not stepped.
    UnsupportedError
        The loss has no second derivatives, or none that are finite; or the optimizer keeps no second moment.
    """
    check_count("largest", largest, 0)
    check_count("smallest", smallest, 0)
    check_count("max_products", max_products, 1)
    check_in_range("tolerance", tolerance, 0.0, 1.0, open_low=True)
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        matvec, size = operator(objective, scale_of(objective, optimizer))
        if not 1 <= largest + smallest <= size:
            raise ArgumentError(
                f"cannot find largest={largest} and smallest={smallest}: accepted are 1 to {size} together"
            )
        found = extreme_eigenpairs(
            matvec,
            probe(objective, size, seed, gaussian=True),
            largest=largest,
            smallest=smallest,
            tolerance=tolerance,
            max_products=max_products,
        )
        norm = float(objective.flat(objective.params).norm())
    return Eigenvalues(
        largest=found.largest,
        smallest=found.smallest,
        residuals=found.residuals,
        products=found.products,
        converged=found.converged,
        parameter_norm=norm,
        preconditioned=optimizer is not None,
    )


def sharpness(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    max_products: int = 500,
    mode: Mode = "eval",
    seed: int = 0,
) -> float:
    """Give the largest eigenvalue of the Hessian, or of ``P^-1/2 H P^-1/2`` with an adaptive optimizer.

    For SGD, with momentum or without, leave `optimizer` out. Warns where it has not settled; then it is a lower bound.
    :func:`eigenvalues` has more to say, its arguments and errors are the same.
    """
    found = eigenvalues(model, loss, optimizer=optimizer, max_products=max_products, mode=mode, seed=seed)
    if not found.converged:
        warnings.warn(
            f"the largest eigenvalue has not settled after {found.products} products: it is at least"
            f" {found.largest[0]:.6g}, give or take {found.residuals[0]:.1g}",
            stacklevel=2,
        )
    return float(found.largest[0])


def hessian_trace(model: nn.Module, loss: Loss, *, samples: int = 30, mode: Mode = "eval", seed: int = 0) -> Trace:
    """Estimate the trace of the Hessian (Hutchinson 1990), the sum of all eigenvalues.

    The mean of zᵀHz over random signs z; its error is that of the off-diagonal entries alone.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`; the seed is also that of the vectors.
    samples
        How many vectors, at least 2; the error falls with the root.

    Returns
    -------
    Trace
        Mean and standard error.
    """
    check_count("samples", samples, 2)
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        signs = (probe(objective, objective.size, seed + at) for at in range(samples))
        found = np.array([float(torch.dot(z.double(), objective.hvp(z).double())) for z in signs])
    return Trace(float(found.mean()), float(found.std(ddof=1) / np.sqrt(samples)), samples)


def scale_of(objective: Objective, optimizer: torch.optim.Optimizer | None) -> torch.Tensor | None:
    """Give ``P^-1/2`` of an optimizer, of shape (n,); None without one. Warns of what is guessed."""
    if optimizer is None:
        return None
    roots = objective.flat(inverse_roots(optimizer, objective.params))
    guess = guess_of(optimizer)
    if guess is not None:
        warnings.warn(guess, stacklevel=3)
    return roots


def operator(objective: Objective, scale: torch.Tensor | None = None) -> tuple[Matvec, int]:
    """Give the Hessian as a function of vectors, and its size.

    Parameters
    ----------
    objective
        The loss, of n coordinates.
    scale
        A diagonal matrix on both sides, of shape (n,); coordinates where it is zero are left out.

    Raises
    ------
    ArgumentError
        All coordinates are left out.
    UnsupportedError
        From a product: it is not finite.
    """
    if scale is None:
        return lambda vector: _finite(objective, objective.hvp(vector)), objective.size
    at = scale.nonzero()[:, 0]
    if not len(at):
        raise ArgumentError(
            "cannot measure curvature as an optimizer meets it: the optimizer moves no parameter of this model;"
            " accepted is one with parameters of the model in its groups"
        )
    held = scale[at]

    def product(vector: torch.Tensor) -> torch.Tensor:
        whole = torch.zeros_like(scale).index_copy_(0, at, held * vector)
        return _finite(objective, held * objective.hvp(whole)[at])

    return product, len(at)


def _finite(objective: Objective, image: torch.Tensor) -> torch.Tensor:
    """Refuse a product that is not finite: no eigenvalue follows from it."""
    if not bool(image.isfinite().all()):
        raise UnsupportedError(
            f"cannot measure curvature: the loss is {objective.value():.6g} here and a product with its Hessian is not"
            " finite; accepted are parameters where the loss has finite second derivatives in the model's precision"
        )
    return image


def probe(objective: Objective, size: int, seed: int, *, gaussian: bool = False) -> torch.Tensor:
    """Draw a random vector of shape (size,), of signs or of normal numbers, the same on every device."""
    generator = torch.Generator("cpu").manual_seed(int(seed))
    if gaussian:
        vector = torch.randn(size, generator=generator, dtype=torch.float64, device="cpu")
    else:
        vector = torch.randint(0, 2, (size,), generator=generator, device="cpu").double() * 2.0 - 1.0
    return vector.to(dtype=objective.dtype, device=objective.device)
