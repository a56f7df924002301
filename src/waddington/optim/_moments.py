"""The pieces that two or more rules share: averages of gradients, their weight, the running maximum.

Every function takes and gives tensors, of any shape, and reads no value on the host.
"""

from __future__ import annotations

import math

import torch

__all__ = ["ema", "ema_of_square", "ema_weight", "running_maximum"]


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
