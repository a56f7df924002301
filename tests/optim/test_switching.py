"""The base-rate switch: each rule's own property, in algebra and in training."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.training import make_gradients, make_params, run
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMVT, ASGDAdam, ASGDAMSGrad, Masked, Padam, Switched
from waddington.optim.padam import PADAM_RULE
from waddington.optim.switching import BaseRateSwitch, count_vote, relative_deviation, sign_vote

LR, ALPHA_MIN = 1e-2, 1e-3


@pytest.fixture(scope="module", params=["clusters", "digits"])
def digits(request):
    """Ten noisy clusters in 64 dimensions, and scikit-learn's digits where that is installed."""
    generator = torch.Generator().manual_seed(0)
    if request.param == "digits":
        found = pytest.importorskip("sklearn.datasets").load_digits()
        inputs = torch.as_tensor(found.data[:1200], dtype=torch.float32) / 16.0
        labels = torch.as_tensor(found.target[:1200])
    else:
        centres = torch.randn(10, 64, generator=generator)
        labels = torch.randint(10, (1200,), generator=generator)
        inputs = 0.5 * centres[labels] + torch.randn(1200, 64, generator=generator)
    noisy = torch.where(
        torch.rand(1200, generator=generator) < 0.2, torch.randint(10, (1200,), generator=generator), labels
    )
    return inputs, labels, noisy


def train(data, *, noisy=False, steps=300, schedule=None, scale=1.0, **kwargs):
    inputs, labels, noisy_labels = data
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
    optimizer = ASGDAdam(model.parameters(), **{"lr": LR, "alpha_min": ALPHA_MIN, "switch": "relative", **kwargs})
    generator = torch.Generator().manual_seed(1)
    rates = []
    for step in range(steps):
        if schedule is not None:
            optimizer.param_groups[0]["lr"] = LR * schedule(step)
        batch = torch.randint(1200, (64,), generator=generator)
        optimizer.zero_grad()
        target = (noisy_labels if noisy else labels)[batch]
        (scale * torch.nn.functional.cross_entropy(model(inputs[batch]), target)).backward()
        optimizer.step()
        rates.append(optimizer.diagnostics()["base_rate"])
    return rates, optimizer.diagnostics()


@pytest.mark.parametrize(("direction", "noisy"), [("sharp", False), ("sharp", True), ("flat", True)])
def test_relative_spends_time_at_both_rates(digits, direction, noisy):
    rates, figures = train(digits, noisy=noisy, large_rate_in=direction)
    assert {round(rate, 12) for rate in rates} == {LR, ALPHA_MIN}
    assert 0.05 <= figures["large_rate_fraction"] <= 0.95
    late = rates[len(rates) // 2 :]
    assert 0.05 <= sum(rate == LR for rate in late) / len(late) <= 0.95
    assert figures["mean_rate"] == pytest.approx(sum(rates) / len(rates))
    assert figures["large_rate_fraction"] == pytest.approx(sum(rate == LR for rate in rates) / len(rates))


def test_relative_changes_its_mind_only_when_it_looks(digits):
    rates, _ = train(digits, steps=120, switch_interval=7)
    changes = [t for t, (a, b) in enumerate(itertools.pairwise(rates), start=1) if a != b]
    assert changes
    assert all(t % 7 == 0 for t in changes)


def test_relative_does_not_see_the_scale_of_the_loss(digits):
    plain, _ = train(digits, steps=100, eps=0.0)
    scaled, _ = train(digits, steps=100, eps=0.0, scale=2.0**12)
    assert plain == scaled


def test_linear_is_between_the_rates_and_tends_to_the_dual_rate(digits):
    rates, _ = train(digits, steps=100, switch="linear", hysteresis=1.0)
    assert all(ALPHA_MIN <= rate <= LR for rate in rates)
    assert len(set(rates)) > 5
    sharp, _ = train(digits, steps=100, switch="linear", hysteresis=1e-9)
    assert all(min(abs(rate - LR), abs(rate - ALPHA_MIN)) < 1e-9 for rate in sharp)


@pytest.mark.parametrize(
    ("switch", "rate"), [("mean", LR), ("coordinate", ALPHA_MIN), ("momentum", ALPHA_MIN)], ids=lambda value: str(value)
)
@pytest.mark.parametrize("noisy", [False, True])
def test_the_papers_own_rules_never_switch(digits, switch, rate, noisy):
    rates, figures = train(digits, steps=60, switch=switch, noisy=noisy)
    assert rates == pytest.approx([rate] * len(rates), rel=1e-12)
    assert figures["large_rate_fraction"] == float(rate == LR)


def test_alpha_min_follows_the_schedulers_factor(digits):
    plain, _ = train(digits, steps=200)
    scheduled, _ = train(digits, steps=200, schedule=lambda step: 0.5)
    assert {round(rate, 12) for rate in scheduled} <= {0.5 * LR, 0.5 * ALPHA_MIN}
    assert len(set(plain)) == len(set(scheduled)) == 2


@pytest.mark.parametrize("lr", [1e-7, 2e-5, 1e-3, 1e-2, 3.0])
@pytest.mark.parametrize(
    "build",
    [
        lambda params, lr: ASGDAdam(params, lr, switch="relative"),
        lambda params, lr: ASGDAMSGrad(params, lr, alignment="dual"),
        lambda params, lr: Switched(torch.optim.AdamW(params, lr=lr)),
    ],
    ids=lambda _: "",
)
def test_the_small_rate_is_a_tenth_of_whatever_the_large_one_is_at_first(build, lr):
    param, other = (torch.ones(2, requires_grad=True) for _ in range(2))
    optimizer = build([{"params": [param]}, {"params": [other], "lr": lr / 4}], lr)
    optimizer.add_param_group({"params": [torch.ones(1, requires_grad=True)], "lr": torch.tensor(lr * 2)})
    assert [group["alpha_min"] for group in optimizer.param_groups] == pytest.approx([lr / 10, lr / 40, lr / 5])


@pytest.mark.parametrize("zero", [0, 0.0, torch.tensor(0.0)], ids=["whole", "real", "tensor"])
@pytest.mark.parametrize(
    "build",
    [
        lambda params, lr: ASGDAdam(params, lr, switch="relative"),
        lambda params, lr: ASGDAMSGrad(params, lr, switch="relative"),
        lambda params, lr: Switched(torch.optim.Adam(params, lr=lr)),
    ],
    ids=lambda _: "",
)
def test_a_warm_up_may_begin_at_zero_and_keeps_the_ratio(build, zero):
    params = [torch.ones(2, requires_grad=True) for _ in range(2)]
    optimizer = build([{"params": [params[0]]}, {"params": [params[1]], "lr": 1.0}], zero)
    moved = []
    for rate, large in ((0.0, 0.0), (0.2, 1.0), (0.2, 0.0)):
        optimizer.param_groups[0]["lr"] = rate
        for param in params:
            param.grad = torch.ones(2)
        if optimizer.state:
            optimizer._model_state()["switch_large"].fill_(large)
        before = params[0].detach().clone()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        moved.append((before - params[0].detach())[0].item())
    assert moved[0] == 0.0
    assert moved[1] == pytest.approx(0.2, rel=1e-4)
    assert moved[2] == pytest.approx(0.02, rel=1e-4)


def test_beside_a_rate_of_zero_a_given_small_rate_can_only_be_zero_and_stays_it():
    optimizer = ASGDAdam([torch.ones(2, requires_grad=True)], lr=0.0, alpha_min=0.0, switch="momentum")
    optimizer.param_groups[0]["lr"] = 0.1
    (param,) = optimizer.param_groups[0]["params"]
    param.grad = torch.tensor([1.0, -1.0])  # the small rate
    optimizer.step()
    assert torch.equal(param.detach(), torch.ones(2))
    for build in (ASGDAdam, lambda params, lr, alpha_min: Switched(torch.optim.Adam(params, lr), alpha_min=alpha_min)):
        with pytest.raises(ArgumentError, match=r"alpha_min=0.001 with lr=0.0: lr is the large base rate"):
            build([torch.ones(2, requires_grad=True)], lr=0.0, alpha_min=1e-3)


def test_a_given_small_rate_is_what_it_is_in_every_group():
    params = [torch.ones(2, requires_grad=True) for _ in range(3)]
    groups = [{"params": params[:1]}, {"params": params[1:2], "lr": 1.0}, {"params": params[2:], "alpha_min": 0.0}]
    optimizer = ASGDAdam(groups, lr=0.1, alpha_min=0.02)
    assert [group["alpha_min"] for group in optimizer.param_groups] == [0.02, 0.02, 0.0]
    with pytest.raises(ArgumentError, match=r"alpha_min=0.02 with lr=0.001: lr is the large base rate"):
        optimizer.add_param_group({"params": [torch.ones(1, requires_grad=True)], "lr": 1e-3})


def test_a_saved_small_rate_comes_back_whatever_the_new_ones_is():
    def stepped(**kwargs):
        param = torch.ones(4, requires_grad=True)
        optimizer = ASGDAdam([param], switch="momentum", **kwargs)  # which takes the small rate
        param.grad = torch.tensor([1.0, -1.0, 2.0, -3.0])
        return param, optimizer

    first, saved = stepped(lr=1e-2, alpha_min=1e-4)
    second, resumed = stepped(lr=0.5)
    resumed.load_state_dict(saved.state_dict())
    for optimizer in (saved, resumed):
        optimizer.step()
    assert torch.equal(first, second)
    assert resumed.diagnostics()["base_rate"] == pytest.approx(1e-4)


def test_with_adams_state_the_ratio_stays():
    param = torch.ones(4, requires_grad=True)
    adam = torch.optim.Adam([param], lr=1e-5)
    param.grad = torch.tensor([1.0, -1.0, 2.0, -3.0])
    adam.step()
    optimizer = ASGDAdam([param], lr=1e-2, switch="momentum")
    optimizer.load_state_dict(adam.state_dict())
    optimizer.step()
    assert optimizer.diagnostics()["base_rate"] == pytest.approx(1e-6)


def test_the_switch_is_carried_by_any_rule_with_moments():
    class SwitchedPadam(Padam):
        _control = BaseRateSwitch()

    class Adaptive(SwitchedPadam):
        _fixed = {  # noqa: RUF012
            "alpha_min": 1e-3,
            "switch": "coordinate",
            "large_rate_in": "sharp",
            "count_ratio": 1.0,
            "switch_interval": 1,
            "hysteresis": 0.1,
            "memory": 10,
            "alignment": "dual",
            "tau": 50.0,
        }

    assert Adaptive._rule is PADAM_RULE
    param = torch.ones(8, requires_grad=True)
    optimizer = Adaptive([param], lr=0.1)
    param.grad = torch.tensor([1.0] * 7 + [100.0])
    optimizer.step()
    assert optimizer.diagnostics()["base_rate"] == pytest.approx(1e-3)


def test_zero_gradients_leave_the_switch_where_it_was():
    param = torch.ones(3, requires_grad=True)
    optimizer = ASGDAdam([param], lr=LR, alpha_min=ALPHA_MIN, switch="relative", switch_interval=1)
    for _ in range(5):
        param.grad = torch.zeros(3)
        optimizer.step()
    assert optimizer.diagnostics()["base_rate"] == LR
    assert torch.equal(param.detach(), torch.ones(3))


# -- the free functions --

scalars = st.lists(st.floats(1e-12, 1e6), min_size=1, max_size=30)
property_settings = settings(deadline=None, max_examples=30)


@property_settings
@given(scalars)
def test_sign_vote_ties_on_anything_not_negative(values):
    means = torch.tensor(values, dtype=torch.float64)
    assert sign_vote(means, means) == 0


@property_settings
@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30))
def test_sign_vote_never_favours_the_large_rate(values):
    x = torch.tensor(values, dtype=torch.float64)
    assert sign_vote(x.abs().mean()[None], x.mean()[None]) <= 0


def test_count_vote_weighs_those_below():
    above, below = torch.tensor([3.0, 1.0]), torch.tensor([5.0, 3.0])
    assert count_vote(above, below, 1.0) == -4
    assert count_vote(above, below, 0.5) == 0


def looks(levels, memory=10):
    state = {name: torch.zeros((), dtype=torch.float64) for name in ("looks", "reference", "trend", "variance")}
    found = []
    for level in levels:
        z, state = relative_deviation(torch.tensor(level, dtype=torch.float64), state, memory)
        found.append(z.item())
    return found


@property_settings
@given(st.lists(st.floats(-20, 20), min_size=1, max_size=40), st.floats(-50, 50))
def test_look_is_blind_to_a_shift_of_the_level_and_bounded(levels, shift):
    plain = looks(levels)
    assert plain[0] == 0.0
    assert all(abs(z) <= 40**0.5 for z in plain)
    assert looks([level + shift for level in levels]) == pytest.approx(plain, rel=1e-6, abs=1e-6)


@property_settings
@given(st.floats(-0.5, 0.5))
def test_look_expects_a_steady_trend_to_go_on(slope):
    assert abs(looks([slope * t for t in range(200)])[-1]) < 0.1


def test_look_sees_a_jump_and_its_direction():
    quiet = [0.01 * (-1) ** t for t in range(40)]
    assert looks([*quiet, 1.0])[-1] > 1
    assert looks([*quiet, -1.0])[-1] < -1


# -- around any optimizer --


@pytest.mark.parametrize("switch", ["relative", "linear", "mean", "coordinate", "momentum", "alignment"])
@pytest.mark.parametrize(
    ("amsgrad", "decoupled"),
    [
        (False, False),
        (True, True),
        pytest.param(False, True, marks=pytest.mark.slow),
        pytest.param(True, False, marks=pytest.mark.slow),
    ],
)
def test_around_adam_it_is_asgdadam(switch, amsgrad, decoupled):
    left, right, gradients = make_params(), make_params(), make_gradients(30)
    rule = {"alpha_min": ALPHA_MIN, "switch": switch}
    rule |= {"switch_interval": 3} if switch in ("relative", "linear") else {}
    cls = ASGDAMSGrad if amsgrad else ASGDAdam
    ours = cls(left, lr=LR, weight_decay=0.1, decoupled_weight_decay=decoupled, **rule)
    theirs = (torch.optim.AdamW if decoupled else torch.optim.Adam)(right, lr=LR, weight_decay=0.1, amsgrad=amsgrad)
    switched = Switched(theirs, **rule)
    for grads in gradients:
        run(ours, left, [grads])
        run(switched, right, [grads])
        assert switched.diagnostics()["base_rate"] == pytest.approx(ours.diagnostics()["base_rate"], rel=1e-12)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_it_alternates_around_others_too_and_a_scheduler_turns_both_rates():
    for build in (
        lambda p: torch.optim.SGD(p, lr=LR, momentum=0.9),
        lambda p: AMVT(p, lr=LR),
        lambda p: Masked(torch.optim.AdamW(p, lr=LR)),
        lambda p: torch.optim.Muon(p, lr=LR),
    ):
        params = make_params(shapes=[(4, 3), (2, 5)])
        optimizer = Switched(build(params), alpha_min=ALPHA_MIN, switch_interval=2)
        scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 30, 0.5)
        rates = set()
        for grads in make_gradients(60, shapes=[(4, 3), (2, 5)]):
            run(optimizer, params, [grads])
            rates.add(round(optimizer.diagnostics()["base_rate"], 12))
            scheduler.step()
        assert rates == {LR, ALPHA_MIN, LR / 2, ALPHA_MIN / 2}


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda p: Switched(ASGDAdam(p), alpha_min=1e-4), UnsupportedError, "has the setting 'alpha_min' itself"),
        (
            lambda p: Switched(torch.optim.SGD(p, lr=1e-3), alpha_min=1e-2),
            ArgumentError,
            r"alpha_min=0.01 with lr=0.001",
        ),
        (lambda p: Switched(torch.optim.SGD(p), alpha_min=1e-4, switch="up"), ArgumentError, "'relative', 'linear'"),
    ],
)
def test_what_cannot_be_switched_is_refused_at_once(build, error, message):
    with pytest.raises(error, match=message):
        build(make_params())


def test_a_rule_that_reads_moments_refuses_an_optimizer_without():
    params = make_params()
    optimizer = Switched(torch.optim.SGD(params, lr=0.1, momentum=0.9), alpha_min=0.01, switch="coordinate")
    with pytest.raises(
        UnsupportedError,
        match=r"cannot use switch='coordinate' around SGD: that rule reads exp_avg_sq,.*holds momentum_buffer;",
    ):
        run(optimizer, params, make_gradients(1))
