"""Gradients along a run: how well a step goes downhill, how large each group's share is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from waddington.analysis.batches import Loss
from waddington.analysis.objective import Mode, evaluating
from waddington.analysis.records import Arrays, Saved
from waddington.analysis.vectors import parameter_vector

__all__ = [
    "GroupNorms",
    "StepQuality",
    "generalization_gap",
    "group_norms",
    "measure_step",
]


@dataclass(frozen=True)
class StepQuality(Saved):
    """How a step fits the loss: its gradient correlation and directional sharpness.

    With the step ``u = θ_before - θ_after``, so that a positive GC goes downhill, and gradient g and Hessian H at
    θ_before: ``L(θ_after) ≈ L - GC + DS / 2``.

    Attributes
    ----------
    correlation
        GC = uᵀg.
    sharpness
        DS = uᵀHu.
    cosine
        GC / (‖u‖ ‖g‖), in [-1, 1].
    curvature
        DS / ‖u‖²: curvature of the loss along the step, whatever its length.
    length
        ‖u‖.
    before, after
        The loss at both ends.
    """

    correlation: float
    sharpness: float
    cosine: float
    curvature: float
    length: float
    before: float
    after: float

    @property
    def predicted(self) -> float:
        """Decrease that gradient and curvature foretell: GC - DS / 2."""
        return self.correlation - 0.5 * self.sharpness

    @property
    def actual(self) -> float:
        """Decrease of the loss."""
        return self.before - self.after


@dataclass(frozen=True)
class GroupNorms(Saved):
    """Norms of parameters and gradients, by parameter group or by tensor.

    Attributes
    ----------
    names
        Of the groups.
    parameter, gradient
        Norms, of shape (groups,).
    sizes
        Numbers of coordinates, of shape (groups,).
    """

    names: tuple[str, ...]
    parameter: Arrays
    gradient: Arrays
    sizes: Arrays


def measure_step(
    model: nn.Module, loss: Loss, step: Callable[[], object], *, mode: Mode = "eval", seed: int = 0
) -> StepQuality:
    """Let a step be taken and measure its gradient correlation and directional sharpness.

    The paper of AlphaAdam judges masks by both. Whether they are of a batch or of all data is the loss's choice.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`.
    step
        Changes the parameters: ``optimizer.step``. Called once, before anything else is computed.

    Returns
    -------
    StepQuality
        Of that step.

    Raises
    ------
    ArgumentError, UnsupportedError
        As for :func:`hessian_vector_product`; the step has been taken then.
    """
    before = parameter_vector(model)
    step()
    after = parameter_vector(model)
    with evaluating(model, loss, mode=mode, seed=seed, order=2) as objective:
        there = objective.value()
        objective.place(before)
        here = objective.value()
        grad = objective.gradient()
        update = before - after
        image = objective.hvp(update)
    u, g = update.double(), grad.double()
    correlation, sharp = float(u @ g), float(u @ image.double())
    length, slope = float(u.norm()), float(g.norm())
    return StepQuality(
        correlation=correlation,
        sharpness=sharp,
        cosine=correlation / (length * slope) if length * slope else float("nan"),
        curvature=sharp / length**2 if length else float("nan"),
        length=length,
        before=here,
        after=there,
    )


def group_norms(
    model: nn.Module,
    loss: Loss,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    mode: Mode = "eval",
    seed: int = 0,
) -> GroupNorms:
    """Give the norms of parameters and gradients.

    Parameters
    ----------
    model, loss, mode, seed
        As for :func:`hessian_vector_product`.
    optimizer
        Its groups; None gives every tensor by its name.

    Returns
    -------
    GroupNorms
        A row for each group; one named ``not in the optimizer`` for what is in none.
    """
    with evaluating(model, loss, mode=mode, seed=seed, order=1) as objective:
        grads = objective.split(objective.gradient())
        named = list(zip(objective.names, objective.params, strict=True))
    if optimizer is None:
        members = {name: [at] for at, (name, _) in enumerate(named)}
    else:
        owner = {id(p): f"group {at}" for at, group in enumerate(optimizer.param_groups) for p in group["params"]}
        members = {}
        for at, (_, param) in enumerate(named):
            members.setdefault(owner.get(id(param), "not in the optimizer"), []).append(at)
    return GroupNorms(
        names=tuple(members),
        parameter=np.array([_norm([named[at][1].detach() for at in places]) for places in members.values()]),
        gradient=np.array([_norm([grads[at] for at in places]) for places in members.values()]),
        sizes=np.array([sum(named[at][1].numel() for at in places) for places in members.values()]),
    )


def generalization_gap(
    model: nn.Module, train_loss: Loss, test_loss: Loss, *, mode: Mode = "eval", seed: int = 0
) -> float:
    """Give the loss on held-out data minus that on the training data, both measured alike.

    Parameters
    ----------
    model, mode, seed
        As for :func:`hessian_vector_product`; by default dropout is off on both sides.
    train_loss, test_loss
        Two losses of the model.
    """
    found = []
    for loss in (train_loss, test_loss):
        with evaluating(model, loss, mode=mode, seed=seed) as objective:
            found.append(objective.value())
    return found[1] - found[0]


def _norm(parts: Sequence[torch.Tensor]) -> float:
    return math.sqrt(sum(float(part.double().square().sum()) for part in parts))
