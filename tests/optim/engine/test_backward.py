"""Steps inside backward: the same as steps after it, with one gradient at a time."""

from __future__ import annotations

import copy

import pytest
import torch

from optim.training import make_model
from waddington.errors import UnsupportedError
from waddington.optim import AMGT, AMVT, AlphaAdam, ASGDAdam, CAdamW, LDAdam, MicroAdam, Padam

PLAIN = [AMGT, AMVT, AlphaAdam, CAdamW, LDAdam, MicroAdam, Padam]


def follow(optimizer, model, x, y, steps=5):
    for step in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(x[step : step + 8]), y[step : step + 8]).backward()
        optimizer.step()


@pytest.mark.parametrize("cls", PLAIN)
def test_they_equal_steps_after_backward(cls):
    model, x, y = make_model(dtype=torch.float64)
    twin = copy.deepcopy(model)
    after, inside = (cls(m.parameters(), lr=1e-2, nonfinite="propagate") for m in (model, twin))
    inside.step_in_backward()
    for optimizer, trained in ((after, model), (inside, twin)):
        follow(optimizer, trained, x, y)
    for one, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-14)
    steps = [float(state["step"]) for state in inside.state.values()]
    assert steps == [5.0] * len(steps)


def test_gradients_are_freed_one_by_one():
    model, x, y = make_model()
    optimizer = AMVT(model.parameters(), nonfinite="propagate")
    optimizer.step_in_backward()
    params, alive = list(model.parameters()), []
    for param in params:
        param.register_post_accumulate_grad_hook(lambda _: alive.append(sum(p.grad is not None for p in params)))
    follow(optimizer, model, x, y, steps=1)
    assert alive == [0, 0, 0, 0]  # these hooks run after the optimizer's


def test_a_state_can_be_loaded_and_the_mode_switched_off():
    model, x, y = make_model(dtype=torch.float64)
    twin = copy.deepcopy(model)
    one, other = (AMGT(m.parameters(), lr=1e-2, nonfinite="propagate") for m in (model, twin))
    other.step_in_backward()
    follow(one, model, x, y)
    follow(other, twin, x, y)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    twin.load_state_dict(model.state_dict())
    follow(one, model, x, y)
    follow(other, twin, x, y, steps=3)
    other.step_in_backward(False)
    twin(x).sum().backward()
    assert all(param.grad is not None for param in twin.parameters())
    other.zero_grad()
    for step in (3, 4):
        torch.nn.functional.mse_loss(twin(x[step : step + 8]), y[step : step + 8]).backward()
        other.step()
        other.zero_grad()
    for left, right in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-12, atol=1e-14)


def test_accumulation_is_refused_at_the_second_backward():
    model, x, y = make_model()
    optimizer = AMVT(model.parameters(), nonfinite="propagate")
    optimizer.step_in_backward()
    follow(optimizer, model, x, y, steps=2)
    model(x).sum().backward()
    with pytest.raises(UnsupportedError, match="one backward"):
        model(x).sum().backward()
    optimizer.step()
    model(x).sum().backward()


@pytest.mark.parametrize(
    ("cls", "kwargs", "reason"),
    [
        (ASGDAdam, {"nonfinite": "propagate"}, "rate is chosen"),
        (AMVT, {"nonfinite": "skip"}, "nonfinite='skip'"),
        (AMVT, {"nonfinite": "raise"}, "use 'mask' or 'propagate'"),
        (AMVT, {"nonfinite": "propagate", "clip_grad_norm": 1.0}, "norm of all gradients"),
    ],
)
def test_what_needs_all_gradients_is_refused_and_says_why(cls, kwargs, reason):
    model, x, y = make_model()
    optimizer = cls(model.parameters(), **kwargs)
    with pytest.raises(UnsupportedError, match=reason):
        optimizer.step_in_backward()
    follow(optimizer, model, x, y, steps=1)
    assert all(param.grad is not None for param in model.parameters())


def test_recording_and_stepping_inside_backward_exclude_each_other():
    model, _, _ = make_model()
    optimizer = AMVT(model.parameters(), nonfinite="propagate")
    optimizer.record()
    with pytest.raises(UnsupportedError, match="being recorded"):
        optimizer.step_in_backward()
    optimizer.record(False)
    optimizer.step_in_backward()
    with pytest.raises(UnsupportedError, match="inside backward"):
        optimizer.record()


def test_a_policy_that_needs_all_gradients_is_refused_also_when_it_comes_later():
    param = torch.nn.Parameter(torch.ones(60))
    optimizer = AMVT([param])
    optimizer.step_in_backward()
    param.sum().backward()
    optimizer.step()
    before = param.detach().clone()
    optimizer.param_groups[0]["nonfinite"] = "raise"
    with pytest.raises(UnsupportedError, match="nonfinite='raise'"):
        param.sum().backward()
    assert torch.equal(param, before)


def test_what_was_moved_or_taken_out_is_refused():
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(2)]
    optimizer = Padam([{"params": [params[0]], "lr": 0.0}, {"params": [params[1]]}], compile=False)
    optimizer.step_in_backward()
    lists = [group["params"] for group in optimizer.param_groups]
    for changed in (lists[::-1], [lists[0] + lists[1], []], [lists[0], []]):
        for group, its in zip(optimizer.param_groups, changed, strict=True):
            group["params"] = its
        with pytest.raises(UnsupportedError, match=r"it was parameter 0 of group 1 and is not any more"):
            params[1].sum().backward()
        assert torch.equal(params[1], torch.ones(20))
    for group, its in zip(optimizer.param_groups, lists[::-1], strict=True):
        group["params"] = its
    optimizer.step_in_backward()
    params[0].grad = params[1].grad = None
    (params[0] + params[1]).sum().backward()
    assert (params[0] < 1.0).all()
    assert torch.equal(params[1], torch.ones(20))
