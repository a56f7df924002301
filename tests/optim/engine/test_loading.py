"""What is loaded is held against the optimizer before anything is changed."""

from __future__ import annotations

import copy
import math

import pytest
import torch

from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMGT, AMVT, ASGDAdam, LDAdam, Lookahead, MicroAdam, Padam


def _stepped(make, *, without: int = 0):
    """Build an optimizer of two parameters; the first ones never have gradients."""
    params = [torch.nn.Parameter(torch.ones(70, 70)), torch.nn.Parameter(torch.ones(7))]
    optimizer = make(params)
    for param in params[without:]:
        param.grad = torch.ones_like(param)
    optimizer.step()
    return optimizer


def _refused(optimizer, state, match: str, error=ArgumentError) -> None:
    before = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(error, match=match):
        optimizer.load_state_dict(state)
    assert repr(optimizer.state_dict()) == repr(before)


@pytest.mark.parametrize("ours", [AMVT, Padam])
@pytest.mark.parametrize("theirs", [torch.optim.RMSprop, torch.optim.Adamax])
def test_steps_without_both_moments_are_of_no_use(ours, theirs):
    # RMSprop's momentum is a number, AMVT's a choice: that is said first.
    said = "it lacks .*exp_avg_sq|momentum must be one of 'constant', 'curvature'"
    _refused(_stepped(ours), _stepped(theirs).state_dict(), said)


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


def _spoilt(name, entry):
    state = copy.deepcopy(_stepped(lambda params: Padam(params, amsgrad=True)).state_dict())
    state["state"][1][name] = entry
    return state


def _moment(value):
    return torch.tensor([0.5] * 6 + [value])


@pytest.mark.parametrize(
    ("name", "entry", "match"),
    [
        ("step", torch.tensor(-5.0), r"parameter 1 of group 0: step=-5.0: accepted is one whole number from 0"),
        ("step", torch.tensor(math.nan), "step=nan"),
        ("step", math.inf, "step=inf"),
        ("step", 2.5, "step=2.5"),
        ("step", "7", "step='7'"),
        ("step", torch.ones(2), r"step of shape \(2,\)"),
        ("exp_avg", _moment(math.nan), "parameter 1 of group 0: exp_avg, which holds nan: accepted are finite numbers"),
        ("exp_avg", _moment(-math.inf), "exp_avg, which holds -inf"),
        ("exp_avg_sq", _moment(math.inf), "exp_avg_sq, which holds inf"),
        ("exp_avg_sq", _moment(-0.5), "exp_avg_sq, which holds -0.5: it is an average of squares.*from 0"),
        ("max_exp_avg_sq", _moment(-0.5), "max_exp_avg_sq, which holds -0.5"),
        ("skipped_steps", torch.tensor(math.nan), "skipped_steps, which holds nan"),
    ],
)
def test_what_no_step_leaves_behind_is_refused_by_name(name, entry, match):
    _refused(_stepped(lambda params: Padam(params, amsgrad=True)), _spoilt(name, entry), match)


@pytest.mark.parametrize(
    ("name", "entry"), [("step", 7), ("step", 7.0), ("exp_avg", _moment(-0.5)), ("exp_avg_sq", _moment(-0.0))]
)
def test_what_steps_do_leave_behind_is_loaded(name, entry):
    optimizer = _stepped(lambda params: Padam(params, amsgrad=True))
    optimizer.load_state_dict(_spoilt(name, entry))
    loaded = optimizer.state[optimizer.param_groups[0]["params"][1]][name]
    assert torch.equal(loaded, torch.as_tensor(entry, dtype=torch.float32))


def test_a_state_of_torchs_adam_that_overflowed_is_refused():
    theirs = _stepped(torch.optim.Adam)
    theirs.state[theirs.param_groups[0]["params"][0]]["exp_avg_sq"][3, 4] = math.inf
    for ours in (ASGDAdam, AMGT, AMVT):
        _refused(_stepped(ours), theirs.state_dict(), "parameter 0 of group 0: exp_avg_sq, which holds inf")


def test_entries_are_held_against_the_settings_that_are_loaded_with_them():
    saved = _stepped(lambda params: LDAdam(params, rank=4))
    other = _stepped(lambda params: LDAdam(params, rank=8))
    other.load_state_dict(saved.state_dict())
    assert repr(other.state_dict()) == repr(saved.state_dict())


def test_a_dtype_that_a_parameter_cannot_have_is_refused_before_anything_is_changed():
    param = torch.nn.Parameter(torch.ones(7, dtype=torch.complex64))
    optimizer = AMVT([param])
    param.grad = torch.ones_like(param)
    optimizer.step()
    state = copy.deepcopy(optimizer.state_dict())
    state["param_groups"][0]["state_dtype"] = "bfloat16"
    _refused(optimizer, state, "state_dtype='bfloat16' for a complex parameter", UnsupportedError)


def test_a_wrappers_own_entries_are_looked_at():
    def build(params):
        return Lookahead(torch.optim.SGD(params, lr=0.1))

    state = copy.deepcopy(_stepped(build).state_dict())
    state["state"][1]["slow_param"] = _moment(math.nan)
    _refused(_stepped(build), state, "parameter 1 of group 0: slow_param, which holds nan")
