"""What an adaptive optimizer divides its steps by, read from its state.

The curvature that such an optimizer meets is that of the Hessian between two roots of it, ``P^-1/2 H P^-1/2`` (Cohen et
al. 2022, *Adaptive gradient methods at the edge of stability*, arXiv:2207.14484).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from waddington.errors import ArgumentError, UnsupportedError

__all__ = [
    "Momentum",
    "denominators",
    "group_of",
    "guess_of",
    "innermost_of",
    "inverse_roots",
    "is_adaptive",
    "momentum_of",
    "reference_group",
    "reference_rate",
]


class Momentum(NamedTuple):
    """How a step follows from gradients: along ``a g + b m``, with the average ``m ← βm + (1 - β)g``.

    Attributes
    ----------
    decay
        β, in [0, 1).
    gradient, average
        a and b. Plain descent has 1 and 0; a heavy ball ``u ← μu + (1 - τ)g`` has 0 and ``(1 - τ)/(1 - μ)``,
        Nesterov's has 1 and ``μ/(1 - μ)``, both with β = μ; Adam's kind has 0 and 1.
    """

    decay: float
    gradient: float
    average: float


_SECOND = ("max_exp_avg_sq", "exp_avg_sq", "square_avg", "sum")
"""Buffers with a second moment, by torch's names: Adam's kind, RMSprop, Adagrad."""


def is_adaptive(optimizer: torch.optim.Optimizer) -> bool:
    """Say whether an optimizer keeps a second moment of some parameter."""
    return any(_second(state) is not None for state in optimizer.state.values())


def innermost_of(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Give the optimizer at the bottom of all wrappers.

    Raises
    ------
    ArgumentError
        It is no optimizer.
    """
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ArgumentError(f"cannot use optimizer={type(optimizer).__name__}: accepted is a torch.optim.Optimizer")
    inner: Any = getattr(optimizer, "optimizer", None)
    return innermost_of(inner) if isinstance(inner, torch.optim.Optimizer) else optimizer


def guess_of(optimizer: torch.optim.Optimizer) -> str | None:
    """Say what is guessed of an optimizer that is neither torch's nor this package's; None of one that is.

    A class that inherits its rule, or its ``step``, from one of these is one of these.
    """
    inner = innermost_of(optimizer)
    kinds = type(inner).__mro__
    owner = next((kind for kind in kinds if "_rule" in vars(kind)), None) or next(
        kind for kind in kinds if "step" in vars(kind)
    )
    if owner.__module__.startswith(("torch.optim.", "waddington.optim.")):
        return None
    return (
        f"{type(inner).__name__} is neither torch's nor this package's: that it divides by the root of its second"
        " moment as Adam does is guessed from the names of its buffers"
    )


def denominators(optimizer: torch.optim.Optimizer, params: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """Give what the optimizer divides the step of each coordinate by: Adam's ``√v̂ + ε``.

    The power of Padam, the variance that AMVT adds, the maximum of AMSGrad, the rectification of RAdam, the growing
    divisor of Adagrad and the bias correction are those of the optimizer. A wrapper is looked through, and so is a
    component of this package: what it does to a step on top is not counted.

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
    innermost_of(optimizer)  # refuses what is none
    reference = reference_rate(optimizer) if relative_rates else 1.0
    found = []
    for param in params:
        group = group_of(optimizer, param)
        factor = 0.0 if group is None else float(group["lr"]) / reference if relative_rates else 1.0
        divisor = torch.ones_like(param) if group is None or not preconditioned else _denominator(optimizer, param)
        found.append((factor / divisor.detach()).sqrt())
    return found


def reference_group(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """Give the first group that has a rate above zero.

    Raises
    ------
    ArgumentError
        Every rate is zero.
    """
    found = next((group for group in optimizer.param_groups if float(group["lr"]) > 0), None)
    if found is None:
        rates = [float(group["lr"]) for group in optimizer.param_groups]
        raise ArgumentError(f"cannot compare rates {rates}: accepted is at least one above zero")
    return found


def reference_rate(optimizer: torch.optim.Optimizer) -> float:
    """Give the rate of :func:`reference_group`."""
    return float(reference_group(optimizer)["lr"])


def group_of(optimizer: torch.optim.Optimizer, param: nn.Parameter) -> dict[str, Any] | None:
    """Find the group of a parameter; None if it is in none."""
    return next((g for g in optimizer.param_groups if any(other is param for other in g["params"])), None)


def momentum_of(optimizer: torch.optim.Optimizer, group: Mapping[str, Any]) -> Momentum:
    """Give the momentum of a group; NAdam's weight of the gradient is that of its next step."""
    if "betas" in group:
        beta = float(group["betas"][0])
        if "momentum_decay" not in group:
            return Momentum(beta, 0.0, 1.0) if beta else Momentum(0.0, 1.0, 0.0)
        steps = max((float(optimizer.state.get(param, {}).get("step", 0.0)) for param in group["params"]), default=0.0)
        share = beta * (1.0 - 0.5 * 0.96 ** ((steps + 1.0) * float(group["momentum_decay"])))  # torch's NAdam
        return Momentum(beta, 1.0 - share, share)
    factor = float(group.get("momentum", 0.0))
    if not factor:
        return Momentum(0.0, 1.0, 0.0)
    if group.get("nesterov"):
        return Momentum(factor, 1.0, factor / (1.0 - factor))
    return Momentum(factor, 0.0, (1.0 - float(group.get("dampening", 0.0))) / (1.0 - factor))


def _denominator(optimizer: torch.optim.Optimizer, param: nn.Parameter) -> torch.Tensor:
    group, shape = group_of(optimizer, param), tuple(param.shape)
    name, inner = type(optimizer).__name__, innermost_of(optimizer)
    if group is None:
        raise ArgumentError(f"cannot use {name}: a parameter of shape {shape} is in none of its groups")
    if isinstance(inner, torch.optim.SGD):
        raise UnsupportedError(
            f"cannot use {name}: SGD divides its steps by nothing, so the curvature that they meet is that of the"
            f" Hessian itself; accepted are no optimizer, and those that keep one of {', '.join(_SECOND)}"
        )
    state = optimizer.state.get(param, {})
    if not state or float(state.get("step", 1.0)) == 0.0:
        raise ArgumentError(
            f"cannot use {name}: it has not stepped with a parameter of shape {shape}; accepted is one that has"
        )
    second = _second(state)
    if second is None or second.shape != param.shape:
        raise UnsupportedError(
            f"cannot use {name}: it keeps {', '.join(sorted(state))}, of which none is a second moment in the shape"
            f" {shape}; accepted are optimizers that keep one of {', '.join(_SECOND)}"
        )
    second = second.detach().to(param)
    if isinstance(inner, torch.optim.RAdam):
        return _radam(state, group, second)
    if "betas" in group and group.get("bias_correction", True) and "step" in state:
        second = second / _weight(state, group["betas"][1])
    if "beta3" in group:
        return _amvt(state, group, second)
    if state.get("acc_delta") is not None:  # Adadelta
        eps = float(group["eps"])
        steps: torch.Tensor = state["acc_delta"].detach().to(param)
        return ((second + eps) / (steps + eps)).sqrt()
    if state.get("grad_avg") is not None:  # RMSprop, centered
        second = second - state["grad_avg"].detach().to(param).square()
    if group.get("eps_inside_root"):
        return (second.clamp_min(0.0) + float(group["eps"])).sqrt()
    power = group.get("p", 0.5)
    root = second.clamp_min(0.0).sqrt() if power == 0.5 else second.clamp_min(0.0).pow(float(power))
    found = (root + float(group.get("eps", 0.0))).clamp_min(torch.finfo(root.dtype).tiny)
    if isinstance(inner, torch.optim.Adagrad):
        return found * (1.0 + (float(state["step"]) - 1.0) * float(group["lr_decay"]))
    return found


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


def _radam(state: Mapping[str, Any], group: Mapping[str, Any], second: torch.Tensor) -> torch.Tensor:
    """Give RAdam's ``(√v + ε) / (√(1 - β2^t) r)``, which is 1 for as long as its variance cannot be rectified."""
    beta, steps = float(group["betas"][1]), float(state["step"])
    weight = _weight(state, beta)
    longest = 2.0 / (1.0 - beta) - 1.0
    length = longest - 2.0 * steps * (1.0 - weight) / weight
    if length <= 5.0:
        return torch.ones_like(second)
    rectified = math.sqrt((length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length))
    return (second.sqrt() + float(group["eps"])) / (math.sqrt(weight) * rectified)
