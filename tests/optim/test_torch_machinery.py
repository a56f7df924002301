"""PyTorch's own test machinery for optimizers (OptimizerInfo), as far as it fits optimizers that are not its own."""

from __future__ import annotations

import unittest

import pytest
import torch

from optim.table import BRIEF, OWN, Row
from waddington.errors import ArgumentError
from waddington.optim import AMGT, AlphaAdam, ASGDAdam, ASGDAMSGrad, Padam

each_kind = pytest.mark.parametrize("row", BRIEF, ids=lambda row: row.name)
each_rule = pytest.mark.parametrize("row", OWN, ids=lambda row: row.name)

# What each of ours is to be told so that it is torch's.
ADAMS = {
    "ASGDAdam": (ASGDAdam, {"alpha_min": 0.0, "switch": "mean", "decoupled_weight_decay": False}),
    "ASGDAMSGrad": (ASGDAMSGrad, {"alpha_min": 0.0, "switch": "mean", "decoupled_weight_decay": False}),
    "Padam": (Padam, {"p": 0.5, "bias_correction": True, "decoupled_weight_decay": False}),
    "AMGT": (AMGT, {"gamma": 0.0, "decoupled_weight_decay": False}),
    "AlphaAdam": (AlphaAdam, {"mask": "none", "decoupled_weight_decay": False}),
}


@pytest.fixture(scope="module")
def machinery():
    """Import it where it is used: that takes seconds."""
    pytest.importorskip("expecttest")  # which torch.testing._internal needs
    from torch.testing._internal import common_optimizers

    return common_optimizers


def info_of(machinery, cls):
    return next(info for info in machinery.optim_db if info.optim_cls is cls)


def _problem():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Sigmoid(), torch.nn.Linear(3, 1), torch.nn.Sigmoid())
    return model.double(), torch.rand(4, 2, dtype=torch.float64)


@pytest.mark.parametrize("name", ADAMS)
@pytest.mark.parametrize("decoupled", [False, True], ids=["Adam", "AdamW"])
def test_every_adam_input_that_fits_steps_as_torchs_own(name, decoupled, machinery):
    """As torch compares foreach with the loop: parameters and moments at every step, aligned before the next."""
    case = unittest.TestCase()
    info = info_of(machinery, torch.optim.AdamW if decoupled else torch.optim.Adam)
    tried = 0
    for entry in info.optim_inputs_func("cpu"):
        cls, settings = ADAMS[name]
        kwargs = {"lr": 1e-3, "weight_decay": 1e-2 if decoupled else 0.0, **entry.kwargs}
        amsgrad = kwargs.pop("amsgrad", False)
        if set(kwargs) - {"lr", "weight_decay", "maximize", "betas", "eps"} or isinstance(kwargs["lr"], torch.Tensor):
            continue
        if amsgrad != (name == "ASGDAMSGrad") and name != "Padam":
            continue
        ours_only = {**settings, "decoupled_weight_decay": decoupled}
        if name == "Padam":
            ours_only["amsgrad"] = amsgrad
        tried += 1
        (left, x), (right, _) = _problem(), _problem()
        theirs = info.optim_cls(left.parameters(), amsgrad=amsgrad, foreach=False, **kwargs)
        ours = cls(right.parameters(), **kwargs, **ours_only)
        tracker = machinery.TensorTracker({})
        for _ in range(7):
            for model, optimizer in ((left, theirs), (right, ours)):
                optimizer.zero_grad()
                model(x).square().sum().backward()
                optimizer.step()
            for param in left.parameters():
                tracker.add(param)
                tracker.add(theirs.state[param]["exp_avg"])
                tracker.add(theirs.state[param]["exp_avg_sq"])
            close = _Close(case)
            for param in right.parameters():
                tracker.pop_check_set(param, close)
                tracker.pop_check_set(ours.state[param]["exp_avg"], close)
                tracker.pop_check_set(ours.state[param]["exp_avg_sq"], close)
        assert tracker.all_popped()
    assert tried >= 1


class _Close:
    """torch's test case compares tensors with tolerances; the standard library's does not."""

    def __init__(self, case):
        self.assertTrue, self.assertGreater = case.assertTrue, case.assertGreater

    def assertEqual(self, actual, expected):
        torch.testing.assert_close(actual, expected, rtol=1e-12, atol=1e-15)


@each_rule
def test_what_torch_refuses_of_all_optimizers_is_refused(row: Row, machinery):
    entries = machinery.get_error_inputs_for_all_optims("cpu", None)
    assert entries
    for entry in entries:
        given = entry.optimizer_error_input
        params = given.params or [torch.nn.Parameter(torch.randn(1, 1))]
        # What torch warns of it announces as an error to come: one parameter twice.
        error = ArgumentError if issubclass(entry.error_type, Warning) else entry.error_type
        with pytest.raises(error):
            row.build(params, **given.kwargs)


@each_kind
@pytest.mark.parametrize("turn", [0, *(pytest.param(turn, marks=pytest.mark.slow) for turn in (1, 2, 3))])
def test_it_goes_the_right_direction_under_torchs_schedulers(row: Row, turn, machinery):
    for make_each in info_of(machinery, torch.optim.Adam).scheduler_inputs[turn::4]:
        check_direction(row, make_each)


def check_direction(row: Row, make_each):
    torch.manual_seed(0)
    weight = torch.nn.Parameter(torch.randn(10, 5))
    bias = torch.nn.Parameter(torch.randn(10))
    x = torch.randn(5)
    optimizer = row.build([weight, bias])
    schedulers = [make(optimizer) for make in make_each]
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        loss = (weight.mv(x) + bias).square().sum()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        for scheduler in schedulers:
            if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
                scheduler.step(losses[-1])
            else:
                scheduler.step()
    assert losses[-1] < losses[0]
