"""Every optimizer of the package keeps the whole contract; a wrapper keeps it around one of torch's."""

from __future__ import annotations

import inspect

import pytest
import torch

import waddington.optim
from waddington.optim import ASGDAdam, Projected
from waddington.optim.projection import Box
from waddington.optim.testing import check_optimizer

OURS = [
    cls
    for name in waddington.optim.__all__
    if inspect.isclass(cls := getattr(waddington.optim, name)) and issubclass(cls, torch.optim.Optimizer)
    if cls is not waddington.optim.RuleOptimizer  # what optimizers derive from
]
# A wrapper is built around an optimizer.
WRAPPERS = [cls for cls in OURS if next(iter(inspect.signature(cls).parameters)) != "params"]
# Of all, test_contract.py asks most of the contract at once.
AT_ONCE = (ASGDAdam,)


def _in_turn(classes):
    return [pytest.param(cls, marks=[] if cls in AT_ONCE else pytest.mark.slow, id=cls.__name__) for cls in classes]


@pytest.mark.parametrize("cls", _in_turn(cls for cls in OURS if cls not in WRAPPERS))
def test_the_contract_is_kept(cls):
    check_optimizer(cls).raise_if_failed()


def adamw(params, lr=1e-3, **kwargs):
    return torch.optim.AdamW(params, lr, **kwargs)


def sgd(params, lr=1e-2, **kwargs):
    return torch.optim.SGD(params, lr, momentum=0.9, **kwargs)


@pytest.mark.parametrize(
    "inner", [adamw, pytest.param(sgd, marks=pytest.mark.slow)], ids=lambda function: function.__name__
)
@pytest.mark.parametrize("cls", _in_turn(WRAPPERS))
def test_a_wrapper_keeps_it_around_torchs(cls, inner):
    needed = {"onto": Box(-1e3, 1e3)} if cls is Projected else {}

    def make(params, **kwargs):
        return cls(inner(params, **kwargs), **needed)

    # Which arguments are refused is the inner optimizer's affair.
    check_optimizer(make, skip=["arguments"]).raise_if_failed()
