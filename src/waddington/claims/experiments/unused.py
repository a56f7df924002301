"""AMVT that tracks the variance and does not use it: what *variance tracking alone* can mean in an ablation."""

from __future__ import annotations

from dataclasses import replace

import torch

from waddington.optim.amvt import AMVT, AMVT_RULE
from waddington.optim.moments import Numbers
from waddington.optim.rule import Measured, Settings, Tensors

__all__ = ["UnusedVariance"]


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> torch.Tensor:
    second = buffers["exp_avg_sq"] * scalars["correction2"]
    return buffers["exp_avg"] * scalars["correction1"] / (second + scalars["eps"]).sqrt()


class UnusedVariance(AMVT, rule=replace(AMVT_RULE, update=_update)):
    """Adam with AMVT's third buffer: ``θ -= α0 m̂ / √(v̂ + ε)``, while s is tracked all the same."""
