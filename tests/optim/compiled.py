"""Small trainings whose steps are compiled, for tests of kernels: one kernel of test_compiled.py serves them all."""

from __future__ import annotations

import torch

from waddington.optim import AMGT

SETTINGS = {"threshold": 0.5, "gamma": 0.1, "correction": 0.05}


def make(params, compile=True, **kwargs):
    return AMGT(params, **{"lr": 1e-2, "weight_decay": 0.1, **SETTINGS, **kwargs}, compile=compile)


def some_params(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes or [(5, 3), (7,), ()]]


def ways(optimizer):
    """Give the numbers of coordinates that are stepped in each way."""
    found = {}
    for record in optimizer.execution():
        found[record.path] = found.get(record.path, 0) + record.coordinates
    return found
