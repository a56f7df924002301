"""Functions of single numbers, for formulas that are stated once and computed on the host or on a device.

Sixty operations on 0-d tensors cost a third of a millisecond, on Python numbers a hundredth of that. Where the host may
read values (:mod:`waddington.optim.engine.host`) the second is right, elsewhere the first.
"""

from __future__ import annotations

import math
import sys
from typing import Any, Protocol

import torch

__all__ = ["DEVICE", "HOST", "Arithmetic"]


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
DEVICE: Arithmetic = _Device()
