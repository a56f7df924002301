"""The rates of a wrapped optimizer, set for one step: what is known before a step need not be mended after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.moments import Number
from waddington.optim.wrappers.base import OptimizerWrapper

__all__ = ["are_settable", "rates_set", "scales_with_rate"]

_PROPORTIONAL = (
    torch.optim.Adadelta,
    torch.optim.Adagrad,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.Adamax,
    torch.optim.Muon,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.RMSprop,
    torch.optim.SGD,
)
"""Those of torch's optimizers that multiply all of a step by ``lr``, decay included, and use it for nothing else."""


def scales_with_rate(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether a step at another rate is known to be that step times the quotient of the rates, state included.

    Of a class that somebody has derived nothing is known.
    """
    while isinstance(optimizer, OptimizerWrapper):
        if not optimizer._scales_with_rate:
            return False
        optimizer = optimizer.optimizer
    return type(optimizer) in _PROPORTIONAL


def are_settable(groups: Sequence[Mapping[str, Any]], rates: Sequence[Number]) -> bool:
    """Tell whether groups can be given rates without waiting for a device.

    Groups that share one tensor as their rate can only be given the same.
    """
    shared: dict[int, Number] = {}
    for group, rate in zip(groups, rates, strict=True):
        if isinstance(group["lr"], torch.Tensor):
            known = shared.setdefault(id(group["lr"]), rate)
            if known is not rate and not (_is_free(known) and _is_free(rate) and float(known) == float(rate)):
                return False
        elif not _is_free(rate):
            return False
    return True


def _is_free(rate: Number) -> bool:
    return not isinstance(rate, torch.Tensor) or host_sync_is_free(rate.device)


@contextmanager
def rates_set(groups: Sequence[dict[str, Any]], rates: Sequence[Number]) -> Iterator[None]:
    """Have groups at other rates for a while; tensors are written in place, and back again."""
    before = [group["lr"] for group in groups]
    values = [rate.clone() if isinstance(rate, torch.Tensor) else rate for rate in before]
    try:
        for group, rate, held in zip(groups, rates, before, strict=True):
            if isinstance(held, torch.Tensor):
                held.copy_(rate) if isinstance(rate, torch.Tensor) else held.fill_(rate)
            else:
                group["lr"] = float(rate)
        yield
    finally:
        for group, held, value in zip(groups, before, values, strict=True):
            if isinstance(held, torch.Tensor):
                held.copy_(value)
            group["lr"] = held
