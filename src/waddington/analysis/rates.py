"""Learning rates that the curvature allows.

On a quadratic with eigenvalues up to λ, gradient descent with momentum is stable below a rate that is known exactly;
training with a constant rate comes to lie at that edge (Cohen et al. 2021, arXiv:2103.00065; for adaptive optimizers:
2022, arXiv:2207.14484, with λ of ``P^-1 H``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from waddington.analysis.batches import Loss
from waddington.analysis.curvature import operator, probe
from waddington.analysis.lanczos import extreme_eigenpairs
from waddington.analysis.objective import Mode, Objective, evaluating
from waddington.analysis.preconditioner import (
    Momentum,
    guess_of,
    innermost_of,
    inverse_roots,
    is_adaptive,
    momentum_of,
    reference_group,
    reference_rate,
)
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import Averaged

__all__ = ["SuggestedRate", "stability_factor", "suggest_lr"]

_ON_TOP: dict[str, tuple[object, ...]] = {
    "mask": ("none",),
    "gamma": (0.0,),
    "threshold": (0.0,),
    "correction": (0.0,),
    "schedule": ("constant",),
    "warmup_steps": (0,),
    "clip_grad_norm": (None,),
    "normalize_grad": (False,),
    "outlier_threshold": (None,),
    "clip_update": (None,),
    "momentum": ("constant",),
}
"""Settings of optimizers of this package that change a step besides rate, momentum and denominator, with the values at
which they do not. Where there are `betas`, `momentum` is AMVT's."""
_FLAT = 1e-6
"""Eigenvalues below this share of the largest are not told from zero."""


@dataclass(frozen=True)
class SuggestedRate:
    """Rates that the curvature at these parameters allows; None is what cannot be said, and `notes` say why.

    Attributes
    ----------
    stable
        Above this rate steps along the sharpest direction grow: ``factor / largest``. The optimizer's present momentum
        is counted.
    fastest
        ``2 / (smallest + largest)``, the best rate of plain gradient descent on a quadratic with these eigenvalues.
    largest, smallest
        Eigenvalues of the Hessian, of ``P^-1/2 H P^-1/2`` for an adaptive optimizer.
    condition
        ``largest / smallest``; None where that is no positive number.
    factor
        2 without momentum; see :func:`stability_factor`.
    preconditioned
        Whether the optimizer's denominator is counted.
    present
        The optimizer's rate, of its first group that has one. Suggestions are of that group; the others keep their
        ratio to it.
    notes
        What was guessed, left out, or cannot be measured.
    """

    stable: float | None
    fastest: float | None
    largest: float
    smallest: float
    condition: float | None
    factor: float
    preconditioned: bool
    present: float | None
    notes: tuple[str, ...]


def stability_factor(momentum: Momentum) -> float:
    """Give c of the largest stable rate c/λ on a quadratic, ``(2 + 2β) / (a (1 + β) + b (1 - β))``.

    There a step turns around without becoming shorter: -1 is an eigenvalue of the recursion. It is

    ======================================================  ============================
    without momentum                                        2
    heavy ball ``u ← μu + (1 - τ)g``                        (2 + 2μ) / (1 - τ)
    Nesterov                                                (2 + 2μ) / (1 + 2μ)
    average ``m ← βm + (1 - β)g``, as Adam's                (2 + 2β) / (1 - β)
    ======================================================  ============================

    Parameters
    ----------
    momentum
        β, a and b.
    """
    beta, gradient, average = momentum
    return (2.0 + 2.0 * beta) / (gradient * (1.0 + beta) + average * (1.0 - beta))


def suggest_lr(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    max_products: int = 300,
    mode: Mode = "eval",
    seed: int = 0,
) -> SuggestedRate:
    """Say which learning rates the curvature at these parameters allows.

    It is a statement about a quadratic that fits the loss here: with noise, or where curvature changes from step to
    step, a good rate is lower. At the start of training curvature often grows, so measure again later.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`.
    optimizer
        Its momentum, the ratios of its groups' rates, and the denominator that it has by now. None is gradient descent.
    max_products
        Hessian-vector products at most.

    Returns
    -------
    SuggestedRate
        Rates, and in words what cannot be said.

    Raises
    ------
    ArgumentError
        The loss is no function of the parameters; an adaptive optimizer has not stepped.
    UnsupportedError
        The loss has no second derivatives, or steps of the optimizer are no linear function of the gradient.
    """
    momentum, adaptive, present = Momentum(0.0, 1.0, 0.0), False, None
    notes: list[str] = []
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        scale = None
        if optimizer is not None:
            adaptive = _is_preconditioned(optimizer)
            present = reference_rate(optimizer)
            parts = inverse_roots(optimizer, objective.params, preconditioned=adaptive, relative_rates=True)
            scale = objective.flat(parts)
            momentum = momentum_of(optimizer, reference_group(optimizer))
            notes += _notes_on(optimizer, objective, scale)
        matvec, size = operator(objective, scale)
        found = extreme_eigenpairs(
            matvec,
            probe(objective, size, seed, gaussian=True),
            largest=1,
            smallest=min(1, size - 1),
            max_products=max_products,
        )
    largest = float(found.largest[0])
    smallest = float(found.smallest[0]) if len(found.smallest) else largest
    if not found.converged:
        notes.append(
            f"eigenvalues have not settled after {found.products} products: they may be off by"
            f" {max(found.residuals):.2g}"
        )
    factor = stability_factor(momentum)
    is_bowl = largest > _FLAT * abs(smallest)
    stable = factor / largest if is_bowl else None
    if stable is None:
        zero = ", zero to the accuracy of the measurement" if largest > 0 else ""
        notes.append(
            f"no stable rate: the largest eigenvalue is {largest:.3g}{zero}, so the loss bends upwards nowhere"
        )
    fastest = condition = None
    if not is_bowl or smallest < -_FLAT * largest:
        notes.append(
            f"no fastest rate: the smallest eigenvalue is {smallest:.3g}, so there is no minimum of a quadratic nearby"
        )
    elif smallest <= _FLAT * largest:
        notes.append(
            "no fastest rate: the smallest eigenvalue is zero to the accuracy of the measurement, so there is no single"
            " minimum"
        )
    else:
        condition = largest / smallest
        if not momentum.average:
            fastest = 2.0 / (smallest + largest)
        else:
            notes.append("no fastest rate: 2/(smallest + largest) is for steps without momentum")
    return SuggestedRate(stable, fastest, largest, smallest, condition, factor, adaptive, present, tuple(notes))


def _is_preconditioned(optimizer: torch.optim.Optimizer) -> bool:
    """Tell an adaptive optimizer from plain descent; refuse what is neither."""
    inner = innermost_of(optimizer)
    if any(group.get("maximize") for group in optimizer.param_groups):
        raise UnsupportedError(
            f"cannot suggest a rate for {type(optimizer).__name__}: with maximize=True it goes up the loss, and"
            " curvature bounds the rates of going down; accepted is maximize=False and the negated loss"
        )
    if is_adaptive(optimizer):
        return True
    if isinstance(inner, torch.optim.SGD):
        return False
    held = sorted({name for state in optimizer.state.values() for name in state})
    if not held:
        raise ArgumentError(
            f"cannot use {type(optimizer).__name__}: it has no state; accepted is one that has taken a step"
        )
    raise UnsupportedError(
        f"cannot suggest a rate for {type(optimizer).__name__}: it keeps {', '.join(held)}, so how far it steps does"
        " not follow from the curvature; accepted are SGD and optimizers with a second moment"
    )


def _notes_on(optimizer: torch.optim.Optimizer, objective: Objective, scale: torch.Tensor) -> list[str]:
    """Say what of an optimizer is guessed, and what is not counted."""
    groups = optimizer.param_groups
    guess = guess_of(optimizer) if is_adaptive(optimizer) else None
    notes = [] if guess is None else [guess]
    decays = sorted({float(group.get("weight_decay", 0.0)) for group in groups} - {0.0})
    if decays:
        notes.append(f"weight_decay={', '.join(map(str, decays))} is not counted, as it is not in the loss")
    if len({momentum_of(optimizer, group) for group in groups}) > 1:
        notes.append("groups differ in momentum; that of the first with a rate is counted")
    still = int((scale == 0).sum())
    if still:
        notes.append(f"{still} of {objective.size} coordinates are left out: the optimizer does not move them")
    for name, neutral in _ON_TOP.items():
        found = sorted({str(group[name]) for group in groups if name in group and group[name] not in neutral})
        if found and not (name == "momentum" and "betas" not in groups[0]):
            notes.append(f"{name}={', '.join(found)} is not counted: it changes the step besides")
    if any("switch" in group for group in groups):
        notes.append("the present rate is lr, the largest that its switch may choose")
    notes += [f"what {name} does to a step is not counted" for name in _components(optimizer)]
    return notes


def _components(optimizer: Any) -> list[str]:
    """Name what is around an optimizer and changes its steps; an average of the weights does not."""
    inner = getattr(optimizer, "optimizer", None)
    if not isinstance(inner, torch.optim.Optimizer):
        return []
    name = type(optimizer).__name__
    return [*([] if isinstance(optimizer, Averaged) else [name]), *_components(inner)]
