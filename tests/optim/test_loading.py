"""What is loaded is held against the optimizer before anything is changed."""

from __future__ import annotations

import copy

import pytest
import torch

from waddington._errors import ArgumentError
from waddington.optim import AMGT, AMVT, ASGDAdam, MicroAdam, Padam


def _stepped(make, *, without: int = 0):
    """Build an optimizer of two parameters; the first ones never have gradients."""
    params = [torch.nn.Parameter(torch.ones(70, 70)), torch.nn.Parameter(torch.ones(7))]
    optimizer = make(params)
    for param in params[without:]:
        param.grad = torch.ones_like(param)
    optimizer.step()
    return optimizer


def _refused(optimizer, state, match: str) -> None:
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ArgumentError, match=match):
        optimizer.load_state_dict(state)
    assert repr(optimizer.state_dict()) == repr(before)


@pytest.mark.parametrize("ours", [AMVT, Padam])
@pytest.mark.parametrize("theirs", [torch.optim.RMSprop, torch.optim.Adamax])
def test_steps_without_both_moments_are_of_no_use(ours, theirs):
    _refused(_stepped(ours), _stepped(theirs).state_dict(), "it lacks .*exp_avg_sq")


def test_a_setting_that_means_something_else_elsewhere_is_refused():
    _refused(_stepped(AMGT), _stepped(AMVT).state_dict(), "variance='tracked'")


@pytest.mark.parametrize(("name", "value"), [("switch", "none"), ("lr", "1e-3"), ("betas", (2.0, 0.9))])
def test_a_damaged_setting_is_refused(name, value):
    optimizer = _stepped(ASGDAdam)
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0][name] = value
    _refused(optimizer, state, name)


def test_a_model_whose_first_parameter_was_never_stepped_is_resumed():
    optimizer = _stepped(MicroAdam, without=1)
    fresh = _stepped(MicroAdam, without=2)
    fresh.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert repr(fresh.state_dict()) == repr(optimizer.state_dict())


@pytest.mark.parametrize("arguments", [{"eps": "1e-8"}, {"lr": None}, {"betas": 0.9}, {"maximize": "no"}])
def test_what_is_no_number_or_no_switch_is_refused_by_name(arguments):
    with pytest.raises(ArgumentError, match=next(iter(arguments))):
        ASGDAdam([torch.nn.Parameter(torch.ones(3))], **arguments)


def test_a_model_without_memory_is_stepped():
    optimizer = _stepped(lambda params: Padam([torch.nn.Parameter(param.to("meta")) for param in params]))
    for group in optimizer.param_groups:
        for param in group["params"]:
            param.grad = torch.empty_like(param)
    optimizer.step()
    assert optimizer.state[optimizer.param_groups[0]["params"][1]]["exp_avg"].is_meta
