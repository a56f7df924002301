"""What an adaptive optimizer divides its steps by, read from its state.

The curvature that such an optimizer meets is that of the Hessian between two roots of it, ``P^-1/2 H P^-1/2`` (Cohen et
al. 2022, *Adaptive gradient methods at the edge of stability*, arXiv:2207.14484).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from waddington.errors import ArgumentError, UnsupportedError

__all__ = ["denominators", "group_of", "inverse_roots", "is_adaptive", "momentum_of", "reference_rate"]

_SECOND = ("max_exp_avg_sq", "exp_avg_sq", "square_avg", "sum")
"""Buffers with a second moment, by torch's names: Adam's kind, RMSprop, Adagrad."""


def is_adaptive(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether an optimizer keeps a second moment of some parameter."""
    return any(_second(state) is not None for state in optimizer.state.values())


def denominators(optimizer: torch.optim.Optimizer, params: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """Give what the optimizer divides the step of each coordinate by: Adam's ``√v̂ + ε``.

    The power of Padam, the variance that AMVT adds, the maximum of AMSGrad and the bias correction are those of the
    optimizer. A wrapper is looked through, and so is a component of this package: what it does to a step on top is not
    counted.

    Parameters
    ----------
    optimizer
        One with a second moment, that has taken a step.
    params
        Parameters of its groups.

    Returns
    -------
    list of torch.Tensor
        Shaped as the parameters, positive.

    Raises
    ------
    ArgumentError
        A parameter is in no group, or the optimizer has not stepped with it.
    UnsupportedError
        The optimizer keeps no second moment in the parameters' shape.
    """
    return [_denominator(optimizer, param) for param in params]


def inverse_roots(
    optimizer: torch.optim.Optimizer,
    params: Sequence[nn.Parameter],
    *,
    preconditioned: bool = True,
    relative_rates: bool = False,
) -> list[torch.Tensor]:
    """Give what stands on both sides of the Hessian: ``P^-1/2`` for each coordinate.

    Parameters
    ----------
    optimizer
        Says P; parameters that it does not move, for they are in no group, get 0.
    params
        All parameters.
    preconditioned
        Whether P is the optimizer's denominator; else it is 1.
    relative_rates
        Whether P is divided by each group's rate over :func:`reference_rate`, so that one number moves all groups.

    Returns
    -------
    list of torch.Tensor
        Shaped as the parameters.
    """
    reference = reference_rate(optimizer) if relative_rates else 1.0
    found = []
    for param in params:
        group = group_of(optimizer, param)
        factor = 0.0 if group is None else float(group["lr"]) / reference if relative_rates else 1.0
        divisor = torch.ones_like(param) if group is None or not preconditioned else _denominator(optimizer, param)
        found.append((factor / divisor.detach()).sqrt())
    return found


def reference_rate(optimizer: torch.optim.Optimizer) -> float:
    """Give the rate of the first group that has one above zero.

    Raises
    ------
    ArgumentError
        Every rate is zero.
    """
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    found = next((rate for rate in rates if rate > 0), None)
    if found is None:
        raise ArgumentError(f"cannot compare rates {rates}: accepted is at least one above zero")
    return found


def group_of(optimizer: torch.optim.Optimizer, param: nn.Parameter) -> dict[str, Any] | None:
    """Find the group of a parameter; None if it is in none."""
    return next((g for g in optimizer.param_groups if any(other is param for other in g["params"])), None)


def momentum_of(group: Mapping[str, Any]) -> tuple[str, float]:
    """Give the kind of momentum and its factor: ``average``, ``heavy-ball``, ``nesterov`` or ``none``."""
    if "betas" in group:
        return "average", float(group["betas"][0])
    factor = float(group.get("momentum", 0.0))
    if not factor:
        return "none", 0.0
    return ("nesterov" if group.get("nesterov") else "heavy-ball"), factor


def _denominator(optimizer: torch.optim.Optimizer, param: nn.Parameter) -> torch.Tensor:
    group, shape = group_of(optimizer, param), tuple(param.shape)
    name = type(optimizer).__name__
    if group is None:
        raise ArgumentError(f"cannot use {name}: a parameter of shape {shape} is in none of its groups")
    state = optimizer.state.get(param, {})
    if not state:
        raise ArgumentError(
            f"cannot use {name}: it has no state of a parameter of shape {shape}; accepted is one that has taken a step"
        )
    second = _second(state)
    if second is None or second.shape != param.shape:
        raise UnsupportedError(
            f"cannot use {name}: it keeps {', '.join(sorted(state))}, of which none is a second moment in the shape"
            f" {shape}; accepted are optimizers that keep one of {', '.join(_SECOND)}"
        )
    second = second.detach().to(param)
    if "betas" in group and group.get("bias_correction", True) and "step" in state:
        second = second / _weight(state, group["betas"][1])
    if "beta3" in group:
        return _amvt(state, group, second)
    if state.get("grad_avg") is not None:  # RMSprop, centered
        second = second - state["grad_avg"].detach().to(param).square()
    if group.get("eps_inside_root"):
        return (second.clamp_min(0.0) + float(group["eps"])).sqrt()
    power = group.get("p", 0.5)
    root = second.clamp_min(0.0).sqrt() if power == 0.5 else second.clamp_min(0.0).pow(float(power))
    return (root + float(group.get("eps", 0.0))).clamp_min(torch.finfo(root.dtype).tiny)


def _second(state: Mapping[str, Any]) -> torch.Tensor | None:
    return next((state[name] for name in _SECOND if isinstance(state.get(name), torch.Tensor)), None)


def _weight(state: Mapping[str, Any], beta: float) -> float:
    weight: float = 1.0 - float(beta) ** float(state["step"])
    return weight


def _amvt(state: Mapping[str, Any], group: Mapping[str, Any], second: torch.Tensor) -> torch.Tensor:
    """Give AMVT's ``√(v̂ + ŝ + ε)``."""
    if "exp_avg_var" in state:
        variance = state["exp_avg_var"].detach().to(second) / _weight(state, group["beta3"])
    else:
        mean = state["exp_avg"].detach().to(second) / _weight(state, group["betas"][0])
        variance = (second - mean.square()).clamp_min(0.0)
    found: torch.Tensor = (second + variance + float(group["eps"])).sqrt()
    return found
