"""The pieces that two or more rules share: averages of gradients, their weight, the running maximum, and arithmetic.

Every function takes and gives tensors, of any shape, and reads no value on the host. :class:`Arithmetic` is for
formulas of single numbers that are stated once and computed on the host or on a device. Sixty operations on 0-d tensors
cost a third of a millisecond, on Python numbers a hundredth of that. Where the host may read values the second is
right, elsewhere the first.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, overload

import torch

__all__ = [
    "DEVICE",
    "HOST",
    "Arithmetic",
    "Number",
    "Numbers",
    "adam_moments",
    "adaptive_direction",
    "bias_corrections",
    "corrections_of",
    "decays",
    "ema",
    "ema_of_square",
    "ema_weight",
    "gradient_variance",
    "running_maximum",
]

Number = float | torch.Tensor
"""A number, or a 0-d tensor (or one for each coordinate) in the dtype of what it is used with."""

Numbers = Mapping[str, Number]
"""Numbers by name."""


def decays(betas: Sequence[float]) -> dict[str, Number]:
    """Give the decays of averages by name: ``beta1``, ``beta2``, ... and ``rest1``, ``rest2``, ..., their complements.

    ``1 - beta`` is taken here, in double precision: of a float32 0.999 it would keep four digits of seven.
    """
    found: dict[str, Number] = {}
    for index, beta in enumerate(betas, start=1):
        found |= {f"beta{index}": beta, f"rest{index}": 1.0 - beta}
    return found


def ema(average: torch.Tensor, value: torch.Tensor, beta: Number, rest: Number | None = None) -> torch.Tensor:
    """Exponential moving average: ``beta * average + (1 - beta) * value``.

    Parameters
    ----------
    average, value
        Of one shape.
    beta
        Decay.
    rest
        ``1 - beta``, where it is known to more digits than `beta` tells; see :func:`decays`.
    """
    rest = 1.0 - beta if rest is None else rest
    if isinstance(rest, torch.Tensor):  # lerp has two cases to choose from, and a kernel would compute both
        return average * beta + value * rest
    return torch.lerp(average, value, rest)


def ema_of_square(average: torch.Tensor, value: torch.Tensor, beta: Number, rest: Number | None = None) -> torch.Tensor:
    """Exponential moving average of squares: ``beta * average + (1 - beta) * value ** 2``; arguments as :func:`ema`."""
    rest = 1.0 - beta if rest is None else rest
    if isinstance(rest, torch.Tensor):
        return average * beta + value.square() * rest
    return (average * beta).addcmul_(value, value, value=rest)


@overload
def ema_weight(step: torch.Tensor, beta: float) -> torch.Tensor: ...
@overload
def ema_weight(step: float, beta: float) -> float: ...
@overload
def ema_weight(step: Number, beta: float) -> Number: ...
def ema_weight(step: Number, beta: float) -> Number:
    """Total weight ``1 - beta ** step`` that an average started at zero has given to the values it saw.

    Dividing by it is the bias correction of Kingma & Ba (2015). ``expm1`` keeps every digit that float32 has where
    ``1 - beta ** step`` would cancel: at the first step with beta 0.999 that would cost four of the seven.
    """
    if not beta > 0.0:  # the last value has all the weight, from the first step on; 0 · log 0 would be NaN
        return step.clamp(0.0, 1.0) if isinstance(step, torch.Tensor) else min(step, 1.0)
    rate = math.log(beta)
    return -torch.expm1(step * rate) if isinstance(step, torch.Tensor) else -math.expm1(step * rate)


def bias_corrections(step: Number, betas: Sequence[float]) -> dict[str, Number]:
    """Give what averages are multiplied by to be free of bias, ``correction1``, ``correction2``, ...

    They are the reciprocals of :func:`ema_weight`.
    """
    return {f"correction{index}": 1.0 / ema_weight(step, beta) for index, beta in enumerate(betas, start=1)}


def corrections_of(scalars: Numbers) -> tuple[Number, Number]:
    """Pick Adam's two out of :func:`bias_corrections`."""
    return scalars["correction1"], scalars["correction2"]


def adam_moments(buffers: dict[str, torch.Tensor], grad: torch.Tensor, scalars: Numbers) -> dict[str, torch.Tensor]:
    """Give the two moments of Adam, ``exp_avg`` and ``exp_avg_sq``, as they are after `grad`; see :func:`decays`."""
    return {
        "exp_avg": ema(buffers["exp_avg"], grad, scalars["beta1"], scalars["rest1"]),
        "exp_avg_sq": ema_of_square(buffers["exp_avg_sq"], grad, scalars["beta2"], scalars["rest2"]),
    }


def gradient_variance(exp_avg: torch.Tensor, exp_avg_sq: torch.Tensor) -> torch.Tensor:
    """Variance of each coordinate's gradients from its two moments, ``max(v̂ - m̂², 0)``.

    Parameters
    ----------
    exp_avg, exp_avg_sq
        First and second moment, bias-corrected, same shape. Where the decays differ, as Adam's do, this is the variance
        over the longer horizon plus the squared drift of the mean.
    """
    return (exp_avg_sq - exp_avg.square()).clamp_min(0.0)


def running_maximum(maximum: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Largest value so far, coordinate by coordinate (AMSGrad's long memory)."""
    return torch.maximum(maximum, value)


def adaptive_direction(
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    *,
    eps: Number,
    power: Number | None = None,
    roots: int = 1,
    eps_inside: bool = False,
    corrections: tuple[Number, Number] | None = None,
) -> torch.Tensor:
    """Direction ``m / (v ** power + eps)``, of which Adam's ``m / (√v + eps)`` is the most common case.

    Parameters
    ----------
    exp_avg, exp_avg_sq
        First and second moment, of one shape.
    eps
        Added outside the power, as torch does, or inside.
    power
        Exponent p of the second moment; None takes square roots, which are exact where ``pow(0.5)`` is not, and cost a
        fraction of it.
    roots
        How many of them, one after the other: p is ``1 / 2 ** roots``.
    eps_inside
        Where `eps` is added.
    corrections
        What the two averages are multiplied by to be free of bias: the reciprocals of their weights (see
        :func:`ema_weight`), for a division costs as much as a pass over memory. None leaves them.
    """
    if corrections is not None:
        exp_avg = exp_avg * corrections[0]
        exp_avg_sq = exp_avg_sq * corrections[1]
    if eps_inside:
        exp_avg_sq = exp_avg_sq + eps
    denominator = exp_avg_sq
    if power is None:
        for _ in range(roots):
            denominator = denominator.sqrt()
    else:
        denominator = denominator.pow(power)
    return exp_avg / (denominator if eps_inside else denominator + eps)


class Arithmetic(Protocol):
    """What is done to numbers besides arithmetic; of Python numbers, or of 0-d tensors."""

    def where(self, condition: Any, yes: Any, no: Any) -> Any:
        """Choose."""
        ...

    def log(self, x: Any) -> Any:
        """Natural logarithm of a positive number."""
        ...

    def sqrt(self, x: Any) -> Any:
        """Square root of a number that is not negative."""
        ...

    def sigmoid(self, x: Any) -> Any:
        """Logistic function."""
        ...

    def at_least(self, x: Any, bound: float) -> Any:
        """The larger one; NaN stays."""
        ...

    def number(self, condition: Any) -> Any:
        """1 where a condition holds, else 0."""
        ...

    def tiny(self, x: Any) -> float:
        """The smallest normal number of x's precision."""
        ...


class _Host:
    def where(self, condition: bool, yes: float, no: float) -> float:
        return yes if condition else no

    def log(self, x: float) -> float:
        return math.log(x)

    def sqrt(self, x: float) -> float:
        return math.sqrt(x)

    def sigmoid(self, x: float) -> float:
        return 0.5 * (1.0 + math.tanh(0.5 * x))

    def at_least(self, x: float, bound: float) -> float:
        return bound if x < bound else x

    def number(self, condition: bool) -> float:
        return 1.0 if condition else 0.0

    def tiny(self, x: float) -> float:
        return sys.float_info.min


class _Device:
    def where(self, condition: torch.Tensor, yes: Any, no: Any) -> torch.Tensor:
        return torch.where(condition, yes, no)

    def log(self, x: torch.Tensor) -> torch.Tensor:
        return torch.log(x)

    def sqrt(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sqrt(x)

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x)

    def at_least(self, x: torch.Tensor, bound: float) -> torch.Tensor:
        return x.clamp_min(bound)

    def number(self, condition: torch.Tensor) -> torch.Tensor:
        return condition.to(torch.float32)  # is what it stands beside as soon as it does

    def tiny(self, x: torch.Tensor) -> float:
        return torch.finfo(x.dtype).tiny


HOST: Arithmetic = _Host()
"""Arithmetic of Python numbers."""
DEVICE: Arithmetic = _Device()
"""Arithmetic of tensors, where they are."""
