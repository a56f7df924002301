"""The pieces that two or more rules share: averages of gradients, their weight, the running maximum.

Every function takes and gives tensors, of any shape, and reads no value on the host.
"""

from __future__ import annotations

import math

import torch

__all__ = ["adaptive_direction", "ema", "ema_of_square", "ema_weight", "running_maximum"]


def ema(average: torch.Tensor, value: torch.Tensor, beta: float) -> torch.Tensor:
    """Exponential moving average: ``beta * average + (1 - beta) * value``."""
    return torch.lerp(average, value, 1.0 - beta)


def ema_of_square(average: torch.Tensor, value: torch.Tensor, beta: float) -> torch.Tensor:
    """Exponential moving average of squares: ``beta * average + (1 - beta) * value ** 2``."""
    return (average * beta).addcmul_(value, value, value=1.0 - beta)


def ema_weight(step: torch.Tensor, beta: float) -> torch.Tensor:
    """Total weight ``1 - beta ** step`` that an average started at zero has given to the values it saw.

    Dividing by it is the bias correction of Kingma & Ba (2015). ``expm1`` keeps every digit that float32 has where
    ``1 - beta ** step`` would cancel: at the first step with beta 0.999 that would cost four of the seven.
    """
    return -torch.expm1(step * (math.log(beta) if beta > 0.0 else -math.inf))


def running_maximum(maximum: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Largest value so far, coordinate by coordinate (AMSGrad's long memory)."""
    return torch.maximum(maximum, value)


def adaptive_direction(
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    *,
    power: float,
    eps: float,
    eps_inside: bool = False,
    weights: tuple[torch.Tensor, torch.Tensor] | None = None,
) -> torch.Tensor:
    """Direction ``m / (v ** power + eps)``, of which Adam is the case of power 1/2.

    Parameters
    ----------
    exp_avg, exp_avg_sq
        First and second moment, of one shape.
    power
        Exponent p of the second moment.
    eps
        Added outside the power, as torch does, or inside.
    eps_inside
        Where `eps` is added.
    weights
        What the two averages have to be divided by to be free of bias (0-d, see :func:`ema_weight`); None leaves them.
    """
    if weights is not None:
        exp_avg = exp_avg / weights[0]
        exp_avg_sq = exp_avg_sq / weights[1]
    if eps_inside:
        exp_avg_sq = exp_avg_sq + eps
    # sqrt is exact where pow(0.5) is not; the exponent is a setting and not data, so this is no branch on values.
    denominator = exp_avg_sq.sqrt() if power == 0.5 else exp_avg_sq.pow(power)
    return exp_avg / (denominator if eps_inside else denominator.add_(eps))
