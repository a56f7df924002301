"""Schedules against the papers' formulas, step by step, and the betas that vary in time."""

from __future__ import annotations

import copy
import io
import itertools
import math
import pickle

import pytest
import torch
from torch.optim import lr_scheduler

from waddington.errors import ArgumentError
from waddington.optim import ASGDAdam, schedules

STEPS = 30


def restarts(t, base, first, factor, low, warmup=0):
    """SGDR, Eq. 5; each cycle counts from 0."""
    if t <= warmup:
        return base * t / warmup
    done, length = t - 1 - warmup, first
    while done >= length:
        done, length = done - length, length * factor
    return low + (base - low) * (1 + math.cos(math.pi * done / length)) / 2


def annealed(t, base, total, low=0.0, warmup=0):
    """Algorithm 3, Algorithm 2 before it, and the end held after it."""
    if t < warmup:
        return base * t / warmup
    return low + (base - low) * (1 + math.cos(math.pi * (min(t, total) - warmup) / (total - warmup))) / 2


# name: (scheduler of an optimizer, rate of step t = 1, 2, … for a group with this base rate)
TABLE = {
    "warmup": (lambda o: schedules.constant_with_warmup(o, 8), lambda t, a: a * min(1.0, t / 8)),
    "warmup-of-one": (lambda o: schedules.constant_with_warmup(o, 1), lambda t, a: a),
    "no-warmup": (lambda o: schedules.constant_with_warmup(o, 0), lambda t, a: a),
    "cosine": (lambda o: schedules.cosine(o, 20), lambda t, a: annealed(t, a, 20)),
    "cosine-min": (lambda o: schedules.cosine(o, 20, min_lr=1e-3), lambda t, a: annealed(t, a, 20, 1e-3)),
    "cosine-warmup": (
        lambda o: schedules.cosine(o, 20, min_lr=1e-3, warmup_steps=5),
        lambda t, a: annealed(t, a, 20, 1e-3, 5),
    ),
    "cosine-from-0": (
        lambda o: schedules.cosine(o, 20, min_lr=1e-3, first_step=0),
        lambda t, a: annealed(t - 1, a, 20, 1e-3),
    ),
    "restarts": (lambda o: schedules.cosine_with_restarts(o, 6), lambda t, a: restarts(t, a, 6, 1, 0.0)),
    "restarts-growing": (
        lambda o: schedules.cosine_with_restarts(o, 4, cycle_factor=2, min_lr=1e-3),
        lambda t, a: restarts(t, a, 4, 2, 1e-3),
    ),
    "restarts-warmup": (
        lambda o: schedules.cosine_with_restarts(o, 4, cycle_factor=2, min_lr=1e-3, warmup_steps=3),
        lambda t, a: restarts(t, a, 4, 2, 1e-3, 3),
    ),
    "restarts-warmup-of-one": (
        lambda o: schedules.cosine_with_restarts(o, 4, warmup_steps=1),
        lambda t, a: restarts(t, a, 4, 1, 0.0, 1),
    ),
    "step": (lambda o: schedules.step_decay(o, 7, gamma=0.5), lambda t, a: a * 0.5 ** (t // 7)),
    "step-of-one": (lambda o: schedules.step_decay(o, 1, gamma=0.9), lambda t, a: a * 0.9**t),
    "step-from-0": (lambda o: schedules.step_decay(o, 7, first_step=0), lambda t, a: a * 0.1 ** ((t - 1) // 7)),
    "inverse-time": (lambda o: schedules.inverse_time(o, 0.3), lambda t, a: a / (1 + 0.3 * t)),
    "inverse-time-from-0": (
        lambda o: schedules.inverse_time(o, 0.3, first_step=0),
        lambda t, a: a / (1 + 0.3 * (t - 1)),
    ),
    "strongly-convex": (lambda o: schedules.strongly_convex(o, 2.5), lambda t, a: a / (2.5 * t)),
    "inverse-sqrt": (lambda o: schedules.inverse_sqrt(o), lambda t, a: a / math.sqrt(t)),
}
every_schedule = pytest.mark.parametrize(("make", "formula"), TABLE.values(), ids=TABLE.keys())


def sgd(groups):
    return torch.optim.SGD(groups, momentum=0.9)


def asgd(groups):
    return ASGDAdam(groups, alpha_min=1e-3)


every_optimizer = pytest.mark.parametrize("optimizer_of", [sgd, asgd])


def build(optimizer_of=sgd, rates=(0.1,), tensor=None):
    generator = torch.Generator().manual_seed(0)
    groups = []
    for rate in rates:
        param = torch.randn(3, generator=generator, dtype=torch.float64).requires_grad_()
        groups.append({"params": [param], "lr": rate if tensor is None else torch.tensor(rate, dtype=tensor)})
    return optimizer_of(groups)


def rates(optimizer):
    return [float(group["lr"]) for group in optimizer.param_groups]


def advance(optimizer, scheduler, steps, first=0):
    """Step both; give the rates that each step was taken with."""
    taken = []
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        for group in optimizer.param_groups:
            for param in group["params"]:
                param.grad = torch.randn(param.shape, generator=generator, dtype=param.dtype)
        taken.append(rates(optimizer))
        optimizer.step()
        scheduler.step()
    return taken


@every_optimizer
@every_schedule
def test_every_step_is_taken_at_the_formulas_rate(make, formula, optimizer_of):
    bases = (0.1, 0.03)
    optimizer = build(optimizer_of, bases)
    taken = advance(optimizer, make(optimizer), STEPS)
    for t, found in enumerate(taken, start=1):
        assert found == pytest.approx([formula(t, base) for base in bases], rel=1e-12, abs=1e-17)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@every_schedule
def test_a_rate_that_is_a_tensor_is_written_in_place(make, formula, dtype, tolerance):
    optimizer = build(rates=(0.1,), tensor=dtype)
    handle = optimizer.param_groups[0]["lr"]
    taken = advance(optimizer, make(optimizer), STEPS)
    assert optimizer.param_groups[0]["lr"] is handle
    assert handle.dtype == dtype
    for t, found in enumerate(taken, start=1):
        assert found[0] == pytest.approx(formula(t, 0.1), rel=tolerance, abs=1e-8 if dtype == torch.float32 else 1e-17)


@every_schedule
def test_the_small_rate_of_the_switch_follows(make, formula):
    param = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = ASGDAdam([param], lr=0.1, alpha_min=0.02, switch="momentum")  # which as good as always takes the small
    scheduler = make(optimizer)
    for t in range(1, STEPS):
        param.grad = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
        optimizer.step()
        assert optimizer.diagnostics()["base_rate"] == pytest.approx(0.2 * formula(t, 0.1), rel=1e-12, abs=1e-17)
        scheduler.step()


@pytest.mark.parametrize("tensor", [None, torch.float32])
@every_optimizer
@every_schedule
def test_a_saved_run_goes_on_to_the_bit(make, formula, optimizer_of, tensor):
    bases = (0.1, 0.03)
    optimizer = build(optimizer_of, bases, tensor)
    scheduler = make(optimizer)
    advance(optimizer, scheduler, 11)
    file = io.BytesIO()
    torch.save([optimizer.state_dict(), scheduler.state_dict()], file)
    params = [group["params"][0].detach().clone() for group in optimizer.param_groups]
    expected = advance(optimizer, scheduler, STEPS - 11, first=11)

    file.seek(0)
    optimizer_state, scheduler_state = torch.load(file, weights_only=True)
    resumed = build(optimizer_of, bases, tensor)
    for group, param in zip(resumed.param_groups, params, strict=True):
        group["params"][0].data.copy_(param)
    fresh = make(resumed)
    resumed.load_state_dict(optimizer_state)
    fresh.load_state_dict(scheduler_state)
    assert advance(resumed, fresh, STEPS - 11, first=11) == expected
    for ours, theirs in zip(resumed.param_groups, optimizer.param_groups, strict=True):
        assert torch.equal(ours["params"][0], theirs["params"][0])


@every_schedule
def test_state_and_functions_can_be_pickled(make, formula):
    scheduler = make(build())
    state = scheduler.state_dict()
    assert pickle.loads(pickle.dumps(state)) == state
    for function in getattr(scheduler, "lr_lambdas", []):
        twin = pickle.loads(pickle.dumps(function))
        assert [twin(epoch) for epoch in range(STEPS)] == [function(epoch) for epoch in range(STEPS)]


def test_loading_brings_the_arguments_of_the_saved_schedule_back():
    optimizer, other = build(), build()
    saved = schedules.cosine(optimizer, 20, min_lr=1e-3, warmup_steps=4)
    fresh = schedules.cosine(other, 90)
    fresh.load_state_dict(saved.state_dict())
    assert advance(other, fresh, STEPS)[1:] == advance(optimizer, saved, STEPS)[1:]


def test_counted_from_0_the_schedules_are_torchs_own():
    pairs = [
        (schedules.cosine, {"total_steps": 20, "min_lr": 1e-3}, lr_scheduler.CosineAnnealingLR(build(), 20, 1e-3)),
        (schedules.step_decay, {"step_size": 7}, lr_scheduler.StepLR(build(), 7)),
    ]
    for function, kwargs, torchs in pairs:
        optimizer = build()
        ours = advance(optimizer, function(optimizer, first_step=0, **kwargs), 20)
        theirs = advance(torchs.optimizer, torchs, 20)
        torch.testing.assert_close(torch.tensor(ours), torch.tensor(theirs))


def test_cosine_ends_at_the_minimum_and_stays_there():
    optimizer = build()
    taken = advance(optimizer, schedules.cosine(optimizer, 10, min_lr=1e-3, warmup_steps=3), 25)
    assert max(taken) == taken[2] == [0.1]
    assert taken[9:] == [[pytest.approx(1e-3, rel=1e-14)]] * 16
    assert all(later < earlier for earlier, later in itertools.pairwise(taken[2:10]))


def test_a_base_rate_of_zero_stays_zero():
    optimizer = build(rates=(0.1, 0.0))
    taken = advance(optimizer, schedules.cosine(optimizer, 10, warmup_steps=3), 12)
    assert [second for _, second in taken] == [0.0] * 12


def test_a_second_schedule_starts_from_the_rate_that_was_given():
    optimizer = build()
    advance(optimizer, schedules.step_decay(optimizer, 1), 5)
    taken = advance(optimizer, schedules.cosine(optimizer, 10, min_lr=0.05), 10)
    assert [rate for (rate,) in taken] == pytest.approx([annealed(t, 0.1, 10, 0.05) for t in range(1, 11)], rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda o: schedules.constant_with_warmup(o, -1),
            r"warmup_steps=-1: warmup_steps must be a whole number from 0",
        ),
        (lambda o: schedules.constant_with_warmup(o, 2.0), r"warmup_steps=2.0: warmup_steps must be a whole number"),
        (lambda o: schedules.constant_with_warmup(o, True), r"warmup_steps=True: warmup_steps must be a whole number"),
        (lambda o: schedules.cosine(o, 0), r"total_steps=0: total_steps must be a whole number from 1"),
        (lambda o: schedules.cosine(o, 9, warmup_steps=9), r"warmup_steps=9: .* whole number in \[0, 8\]"),
        (lambda o: schedules.cosine(o, 9, first_step=2), r"first_step=2: .* whole number in \[0, 1\]"),
        (lambda o: schedules.cosine(o, 9, min_lr=-1.0), r"min_lr=-1.0: min_lr must be a number in \[0, inf\)"),
        (lambda o: schedules.cosine(o, 9, min_lr=0.2), r"min_lr=0.2 with lr=0.1: min_lr must be a number in \[0, lr\]"),
        (lambda o: schedules.cosine_with_restarts(o, 0), r"cycle_steps=0: .* whole number from 1"),
        (lambda o: schedules.cosine_with_restarts(o, 3, cycle_factor=0), r"cycle_factor=0: .* whole number from 1"),
        (lambda o: schedules.cosine_with_restarts(o, 3, min_lr=math.nan), r"min_lr=nan: .* in \[0, inf\)"),
        (lambda o: schedules.cosine_with_restarts(o, 3, warmup_steps=-2), r"warmup_steps=-2: .* whole number from 0"),
        (lambda o: schedules.step_decay(o, 0), r"step_size=0: .* whole number from 1"),
        (lambda o: schedules.step_decay(o, 3, gamma=0.0), r"gamma=0.0: gamma must be a number in \(0, 1\]"),
        (lambda o: schedules.step_decay(o, 3, first_step=-1), r"first_step=-1: .* whole number in \[0, 1\]"),
        (lambda o: schedules.inverse_time(o, -0.1), r"decay=-0.1: decay must be a number in \[0, inf\)"),
        (lambda o: schedules.inverse_time(o, 0.1, first_step=3), r"first_step=3: .* whole number in \[0, 1\]"),
        (lambda o: schedules.strongly_convex(o, 0.0), r"mu=0.0: mu must be a number in \(0, inf\)"),
    ],
)
def test_errors_name_the_argument_and_leave_the_optimizer_alone(call, message):
    optimizer = build()
    with pytest.raises(ArgumentError, match=rf"^cannot use {message}"):
        call(optimizer)
    assert rates(optimizer) == [0.1]
    assert "initial_lr" not in optimizer.param_groups[0]


def adam(betas=(0.8, 0.99)):
    param = torch.ones(3, dtype=torch.float64, requires_grad=True)
    return torch.optim.Adam([{"params": [param], "betas": betas}], lr=torch.tensor(0.1))


def betas(optimizer):
    return tuple(float(beta) for beta in optimizer.param_groups[0]["betas"])


def test_betas_are_those_of_their_step():
    optimizer = adam()
    scheduler = schedules.BetaScheduler(optimizer, lambda t: 0.9 * (1 - 1 / t), lambda t: 1 - 1 / (t + 1))
    for t in range(1, 10):
        assert betas(optimizer) == (0.9 * (1 - 1 / t), 1 - 1 / (t + 1))
        scheduler.step()


@pytest.mark.parametrize("index", [0, 1])
def test_a_beta_without_function_is_left_alone(index):
    optimizer = adam()
    functions = [None, None]
    functions[index] = lambda t: 0.5 / t
    schedules.BetaScheduler(optimizer, *functions).step()
    expected = [0.8, 0.99]
    expected[index] = 0.25
    assert betas(optimizer) == tuple(expected)


def test_more_than_two_betas_keep_the_rest():
    optimizer = adam()
    optimizer.param_groups[0]["betas"] = [0.9, 0.999, 0.99]
    schedules.BetaScheduler(optimizer, lambda t: 0.1, lambda t: 0.2)
    assert optimizer.param_groups[0]["betas"] == (0.1, 0.2, 0.99)


def test_betas_that_are_tensors_are_written_in_place():
    optimizer = adam(betas=(torch.tensor(0.8, dtype=torch.float64), torch.tensor(0.99, dtype=torch.float64)))
    handles = optimizer.param_groups[0]["betas"]
    schedules.BetaScheduler(optimizer, lambda t: 0.5, lambda t: 0.75).step()
    assert all(now is then for now, then in zip(optimizer.param_groups[0]["betas"], handles, strict=True))
    assert betas(optimizer) == (0.5, 0.75)


@pytest.mark.parametrize("optimizer_class", [torch.optim.Adam, ASGDAdam])
def test_varying_betas_enter_the_moments(optimizer_class):
    param = torch.ones(3, dtype=torch.float64, requires_grad=True)
    optimizer = optimizer_class([param], lr=0.1)
    scheduler = schedules.BetaScheduler(optimizer, lambda t: 1 - 1 / t, lambda t: 1 - 1 / t)
    grads = torch.randn(8, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for grad in grads:
        param.grad = grad.clone()
        optimizer.step()
        scheduler.step()
    # With β(t) = 1 - 1/t the averages are plain means of all gradients.
    torch.testing.assert_close(optimizer.state[param]["exp_avg"], grads.mean(0))
    torch.testing.assert_close(optimizer.state[param]["exp_avg_sq"], grads.square().mean(0))


def test_betas_go_on_after_loading_in_either_order():
    functions = (lambda t: 0.9 - 0.5 / t, lambda t: 1 - 0.5 / t)
    optimizer = adam()
    scheduler = schedules.BetaScheduler(optimizer, *functions)
    for _ in range(4):
        scheduler.step()
    states = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    for optimizer_first in (True, False):
        other = adam()
        if optimizer_first:
            other.load_state_dict(states[0])
        fresh = schedules.BetaScheduler(other, *functions)
        fresh.load_state_dict(states[1])
        if not optimizer_first:
            other.load_state_dict(states[0])
        assert betas(other) == betas(optimizer)
        fresh.step()
        assert betas(other) == (functions[0](6), functions[1](6))


@pytest.mark.parametrize("value", [1.0, -0.1, math.nan])
def test_a_beta_outside_its_range_changes_nothing(value):
    optimizer = adam()
    scheduler = schedules.BetaScheduler(optimizer, lambda t: 0.5, lambda t: 0.9 if t < 2 else value)
    with pytest.raises(
        ArgumentError, match=rf"^cannot use beta2\(2\)={value}: beta2\(2\) must be a number in \[0, 1\)"
    ):
        scheduler.step()
    assert betas(optimizer) == (0.5, 0.9)
    assert scheduler.state_dict() == {"last_step": 1}


def test_an_optimizer_without_betas_is_refused():
    with pytest.raises(ArgumentError, match=r"^cannot use optimizer=SGD: optimizer must have 'betas' in every"):
        schedules.BetaScheduler(build(), lambda t: 0.5)
