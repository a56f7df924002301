"""Averaged weights: the average is its equation, and the trained weights come back."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from optim.training import assert_same, make_gradients, make_params, run, values
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMGT, ASGDAdam, Averaged, Lookahead, Masked, Projected, Switched, registry
from waddington.optim.projection import Ball


def adamw(params, **kwargs):
    return torch.optim.AdamW(params, **{"lr": 1e-2, **kwargs})


def averages_of(optimizer, params):
    optimizer.eval()
    found = values(params)
    optimizer.train()
    return found


@pytest.mark.parametrize(
    ("eta", "ema_decay"), [(1.0, 1.0), (0.0, 1.0), (3.0, 1.0), (0.0, 0.8)], ids=["linear", "mean", "cubic", "ema"]
)
@pytest.mark.parametrize("inner", [adamw, AMGT], ids=["torch", "ours"])
def test_the_average_is_its_equation_and_training_does_not_notice(inner, eta, ema_decay):
    params, twins = make_params(), make_params()
    optimizer, alone = Averaged(inner(params), eta=eta, ema_decay=ema_decay), inner(twins)
    expected = [param.detach().numpy().copy() for param in params]
    for n, grads in enumerate(make_gradients(12)):
        run(optimizer, params, [grads])
        run(alone, twins, [grads])
        weight = max(1 - ema_decay, min(1, (eta + 1) / (n + 1 + eta)))
        expected = [e + weight * (twin.detach().numpy() - e) for e, twin in zip(expected, twins, strict=True)]
        assert_same(params, twins)
        for average, reference in zip(averages_of(optimizer, params), expected, strict=True):
            np.testing.assert_allclose(average.numpy(), reference, rtol=1e-12, atol=1e-14)
        assert_same(params, twins)  # back to the bit
        assert optimizer.diagnostics()["averaged_weight"] == pytest.approx(weight)


def test_the_plain_mean_is_the_mean_of_all_iterates():
    params, seen = make_params(), []
    optimizer = Averaged(adamw(params), eta=0.0)
    for grads in make_gradients(9):
        run(optimizer, params, [grads])
        seen.append(values(params))
    for average, course in zip(averages_of(optimizer, params), zip(*seen, strict=True), strict=True):
        torch.testing.assert_close(average, torch.stack(course).mean(0), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_saved_in_either_mode_it_goes_on_alike(mode):
    params, gradients = make_params(), make_gradients(12)
    optimizer = Averaged(adamw(params))
    run(optimizer, params, gradients[:6])
    getattr(optimizer, mode)()
    state, weights = copy.deepcopy(optimizer.state_dict()), values(params)
    others = [weight.requires_grad_() for weight in weights]
    resumed = Averaged(adamw(others))
    resumed.load_state_dict(state)
    for each in (optimizer, resumed):
        each.train()
    assert_same(params, others)
    run(optimizer, params, gradients[6:])
    run(resumed, others, gradients[6:])
    assert_same(params, others)
    assert_same(averages_of(optimizer, params), averages_of(resumed, others))


def test_a_step_in_evaluation_mode_is_refused_and_changes_nothing():
    params = make_params()
    optimizer = Averaged(adamw(params))
    run(optimizer, params, make_gradients(3))
    optimizer.eval()
    optimizer.eval()  # twice is once
    before, called = values(params), []
    with pytest.raises(UnsupportedError, match=r"in evaluation mode: .* call train\(\) first"):
        optimizer.step(lambda: called.append(1))
    with pytest.raises(UnsupportedError, match=r"averaged weights in evaluation mode"):
        optimizer.averaged_weights()
    assert not called
    assert_same(before, params)
    optimizer.train()
    run(optimizer, params, make_gradients(1))


def test_trained_weights_of_lower_precision_come_back_to_the_bit():
    params = make_params(torch.bfloat16)
    optimizer = Averaged(adamw(params, lr=0.1))
    run(optimizer, params, make_gradients(8))
    before, average = values(params), optimizer.averaged_weights()[params[0]].clone()
    assert average.dtype == torch.float32
    optimizer.eval()
    assert torch.equal(params[0].detach(), average.to(torch.bfloat16))
    optimizer.train()
    assert_same(before, params)


def drifting(steps):
    rng = np.random.default_rng(0)
    drift = np.repeat([1.0, 0.0, 1.5, 0.0], steps // 4)
    return [[0.5 * d + rng.standard_normal((6,))] for d in drift]


@pytest.mark.parametrize(("since", "around"), [("start", "built in"), ("alarm", "switched"), ("noise", "built in")])
def test_the_alarm_begins_the_average_anew(since, around):
    params = make_params(shapes=[(6,)])
    how = {"switch": "alignment", "alignment": "clock"}
    inner = ASGDAdam(params, lr=1e-2, **how) if around == "built in" else Switched(adamw(params), **how)
    optimizer = Averaged(inner, since=since)
    count, alarms, expected = 0.0, 0.0, params[0].detach().clone()
    for n, grads in enumerate(drifting(100)):
        run(optimizer, params, [grads])
        figures = optimizer.diagnostics()
        if since == "noise":
            count = figures["noise_steps"] if n else 0.0
        elif since == "alarm" and figures["alarms"] != alarms:
            count = 0.0
        alarms = figures["alarms"]
        expected = expected + min(1.0, 2.0 / (count + 2.0)) * (params[0].detach() - expected)
        count += 1.0
        torch.testing.assert_close(optimizer.averaged_weights()[params[0]], expected, rtol=1e-10, atol=1e-12)
    assert alarms > 0.0


def test_a_late_parameter_begins_the_average_anew_and_steps_at_rate_0_do_not_count():
    params = make_params(shapes=[(3,), (2,)])
    optimizer = Averaged(torch.optim.SGD([{"params": params[:1]}, {"params": params[1:]}], lr=0.1))
    for _ in range(5):
        params[0].grad = torch.ones(3, dtype=torch.float64)
        optimizer.step()
    assert optimizer.diagnostics()["averaged_steps"] == 5.0
    params[0].grad, params[1].grad = torch.ones(3, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    optimizer.step()
    assert optimizer.diagnostics()["averaged_steps"] == 1.0
    assert_same(averages_of(optimizer, params), values(params))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = averages_of(optimizer, params)
    optimizer.step()
    assert optimizer.diagnostics()["averaged_steps"] == 1.0
    assert_same(averages_of(optimizer, params), before)


def test_a_step_that_is_left_out_does_not_count():
    params = make_params(shapes=[(3,)])
    optimizer = Averaged(ASGDAdam(params, nonfinite="skip"))
    run(optimizer, params, [[np.ones(3)]] * 3)
    before = averages_of(optimizer, params)
    run(optimizer, params, [[np.full(3, np.nan)]])
    assert optimizer.diagnostics()["averaged_steps"] == 3.0
    assert_same(averages_of(optimizer, params), before)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda p: Averaged(adamw(p), eta=-1.0), ArgumentError, r"cannot use eta=-1.0"),
        (lambda p: Averaged(adamw(p), ema_decay=1.5), ArgumentError, r"cannot use ema_decay=1.5"),
        (lambda p: Averaged(adamw(p), since="now"), ArgumentError, r"'start', 'alarm', 'noise'"),
        (lambda p: Averaged(adamw(p), since="alarm"), ArgumentError, r"without an alarm: accepted are 'start'"),
        (lambda p: Averaged(ASGDAdam(p, switch="relative"), since="noise"), ArgumentError, r"with switch='alignment'"),
        (lambda p: Averaged(Averaged(adamw(p))), UnsupportedError, r"has the setting 'eta' itself"),
        (lambda p: Lookahead(Averaged(adamw(p))), UnsupportedError, r"put Averaged around Lookahead instead"),
        (lambda p: Projected(Averaged(adamw(p)), Ball(1.0)), UnsupportedError, r"put Averaged around Projected"),
        (lambda p: Masked(Averaged(adamw(p))), UnsupportedError, r"put Averaged around Masked instead"),
    ],
)
def test_what_cannot_be_averaged_is_refused(build, error, message):
    params = make_params()
    with pytest.raises(error, match=message):
        build(params)


def test_by_name_they_are_the_components_they_stand_for():
    gradients = make_gradients(8)
    for name, build in (
        ("AveragedAdamW", lambda p: Averaged(torch.optim.AdamW(p, lr=1e-3))),
        (
            "AveragedASGDAdam",
            lambda p: Averaged(ASGDAdam(p, switch="alignment", alignment="clock"), since="noise"),
        ),
    ):
        left, right = make_params(), make_params()
        named, built = registry.build(name, left), build(right)
        run(named, left, gradients)
        run(built, right, gradients)
        assert registry.get(name).modes
        assert_same(left, right)
        assert_same(averages_of(named, left), averages_of(built, right))


@pytest.mark.parametrize("why", ["skip", "mask", "rate 0"])
@pytest.mark.parametrize("since", ["start", "alarm", "noise"])
def test_a_late_parameter_begins_the_average_anew_also_where_its_first_step_is_left_out(since, why):
    """Else where it stood before it was trained would stay in its average."""
    params = make_params(shapes=[(3,), (2,)])
    inner = ASGDAdam(params, nonfinite="mask" if why == "mask" else "skip", switch="alignment", alignment="clock")
    optimizer = Averaged(inner, since=since, eta=0.0)
    for grads in make_gradients(20, shapes=[(3,)]):
        run(optimizer, params[:1], [grads])
    lost = 1.0 if why == "rate 0" else np.nan
    optimizer.param_groups[0]["lr"] = 0.0 if why == "rate 0" else 1e-2
    run(optimizer, params, [[np.full(3, lost), np.full(2, lost)]])
    optimizer.param_groups[0]["lr"] = 1e-2
    run(optimizer, params, [[np.ones(3), np.ones(2)]])
    assert optimizer.diagnostics()["averaged_steps"] == 1.0
    assert_same(averages_of(optimizer, params), values(params))


def test_a_group_is_added_in_training_mode_alone():
    params = make_params(shapes=[(3,)])
    optimizer = Averaged(adamw(params))
    run(optimizer, params, [[np.ones(3)]])
    optimizer.eval()
    with pytest.raises(UnsupportedError, match=r"add a group to Averaged in evaluation mode: .* call train\(\) first"):
        optimizer.add_param_group({"params": make_params(shapes=[(2,)])})
    optimizer.train()
    optimizer.add_param_group({"params": make_params(shapes=[(2,)])})
    assert [group["train_mode"] for group in optimizer.param_groups] == [True, True]


def test_a_mode_is_changed_whole_or_not_at_all(monkeypatch):
    params = make_params(shapes=[(3,), (2, 2)])
    optimizer = Averaged(adamw(params))
    run(optimizer, params, make_gradients(3, shapes=[(3,), (2, 2)]))
    before = values(params)
    params[1].data = torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(UnsupportedError, match=r"shape \(2, 3\) and its other weights have \(2, 2\)"):
        optimizer.eval()
    params[1].data = before[1].clone()
    copy_, calls = torch.Tensor.copy_, []

    def failing(tensor, *args, **kwargs):
        calls.append(tensor)
        if len(calls) == 3:
            raise MemoryError
        return copy_(tensor, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, "copy_", failing)
    with pytest.raises(MemoryError):
        optimizer.eval()
    monkeypatch.undo()
    assert_same(before, params)
    average = averages_of(optimizer, params)
    assert not torch.equal(average[0], before[0])
    assert_same(before, params)


def test_a_state_that_counts_from_an_alarm_it_lacks_is_refused_and_changes_nothing():
    params, others = make_params(), make_params()
    relative, optimizer = ASGDAdam(params, switch="relative"), Averaged(ASGDAdam(others), since="alarm")
    for each, of in ((relative, params), (optimizer, others)):
        run(each, of, make_gradients(3))
    state = copy.deepcopy(optimizer.state_dict())
    with pytest.raises(ArgumentError, match="since='alarm' around an optimizer without an alarm"):
        optimizer.load_state_dict(relative.state_dict())
    assert str(optimizer.state_dict()) == str(state)
    run(optimizer, others, make_gradients(2))
