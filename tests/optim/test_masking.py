"""AlphaAdam's mask: in algebra, in AlphaAdam, and around other optimizers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.training import make_gradients, make_params, run
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AlphaAdam, ASGDAdam, CAdamW, Lookahead, Masked, registry
from waddington.optim.masking import aligned, mask_terms, strength

property_settings = settings(deadline=None, max_examples=50)
values = st.one_of(st.just(0.0), st.floats(-1e3, 1e3), st.floats(-1e-300, 1e-300))
pairs = st.lists(st.tuples(values, values), min_size=1, max_size=30).map(
    lambda rows: torch.tensor(rows, dtype=torch.float64).T
)
SETTINGS = {"compensation": "norm", "alpha_form": "root", "alpha_max": math.inf}


@property_settings
@given(pairs)
def test_only_aligned_coordinates_are_kept(pair):
    grad, momentum = pair
    signs = grad.sign() * momentum.sign()
    assert torch.equal(aligned(grad, momentum, strict=True), (signs > 0).double())
    assert torch.equal(aligned(grad, momentum, strict=False), (signs >= 0).double())


@pytest.mark.parametrize("strict", [False, True])
def test_a_gradient_that_is_no_number_is_kept_and_seen(strict):
    grad = torch.tensor([torch.nan, torch.nan, torch.nan])
    assert aligned(grad, torch.tensor([1.0, 0.0, -1.0]), strict=strict).tolist() == [1.0, 1.0, 1.0]
    param = torch.ones(2, requires_grad=True)
    optimizer = Masked(torch.optim.AdamW([param]), strict_mask=strict, nonfinite="propagate")
    param.grad = torch.tensor([1.0, torch.nan])
    optimizer.step()
    assert param[1].isnan()


def strength_of(update, mask, **changes):
    totals = {name: term.sum(dtype=update.dtype) for name, term in mask_terms(update, mask).items()}
    found = strength(totals, torch.tensor(float(update.numel()), dtype=update.dtype), {**SETTINGS, **changes})
    return {name: value.item() for name, value in found.items()}


@property_settings
@given(st.lists(st.tuples(st.just(0.0) | st.floats(1e-3, 1e3), st.booleans()), min_size=1, max_size=30))
def test_compensation_restores_what_it_says(rows):
    update = torch.tensor([value for value, _ in rows], dtype=torch.float64)
    mask = torch.tensor([float(kept) for _, kept in rows], dtype=torch.float64)
    kept = update * mask
    if kept.square().sum() == 0.0:
        assert strength_of(update, mask)["rate_multiplier"] == 1.0
        return
    length, left = update.norm().item(), kept.norm().item()
    root = strength_of(update, mask)
    assert root["rate_multiplier"] * left == pytest.approx(length, rel=1e-9)  # Eq. 9 restores the norm
    squared = strength_of(update, mask, alpha_form="squared")
    assert squared["rate_multiplier"] * left**2 == pytest.approx(length**2, rel=1e-9)  # Algorithm 1 its square
    count = strength_of(update, mask, compensation="count")["rate_multiplier"]
    assert count == pytest.approx(len(rows) / (mask.sum().item() + 1))
    full = strength_of(update, mask, compensation="full", alpha_form="squared")["rate_multiplier"]
    assert full == pytest.approx(count * squared["rate_multiplier"])
    assert 1.0 <= strength_of(update, mask, alpha_form="squared", alpha_max=2.0)["alpha"] <= 2.0
    assert strength_of(update, mask, compensation="none")["rate_multiplier"] == 1.0


def moved(optimizer, params, grads):
    before = [param.detach().clone() for param in params]
    run(optimizer, params, [grads])
    return [(a - b).detach() for a, b in zip(before, params, strict=True)]


@pytest.mark.parametrize("mask", ["asynchronous", "synchronous"])
def test_coordinates_that_disagree_stay_where_they_are(mask):
    params, gradients = make_params(), make_gradients(30)
    optimizer = AlphaAdam(params, lr=1e-2, mask=mask)
    for grads in gradients:
        momenta = [optimizer.state[p]["exp_avg"].clone() if p in optimizer.state else p.detach() * 0 for p in params]
        steps = moved(optimizer, params, grads)
        for param, momentum, step in zip(params, momenta, steps, strict=True):
            grad = param.grad
            judged = momentum if mask == "asynchronous" else optimizer.state[param]["exp_avg"]
            assert torch.equal(step != 0, (grad * judged >= 0) & (step != 0))
            assert (step[(grad * judged > 0)] != 0).all()


def test_norm_compensation_gives_adamws_step_its_length_back():
    params, twins, gradients = make_params(), make_params(), make_gradients(30)
    optimizer = AlphaAdam(params, compensation="norm", alpha_form="root", alpha_max=math.inf)
    adamw = torch.optim.AdamW(twins, lr=1e-3, weight_decay=0.0)
    for grads in gradients:
        for step, full in zip(moved(optimizer, params, grads), moved(adamw, twins, grads), strict=True):
            assert step.norm().item() == pytest.approx(full.norm().item(), rel=1e-9) or not step.any()


def test_the_strict_mask_of_the_first_step_is_empty_and_changes_nothing():
    params = make_params()
    steps = moved(AlphaAdam(params, strict_mask=True), params, make_gradients(1)[0])
    assert not any(step.any() for step in steps)


def test_figures_say_what_the_mask_did():
    param = torch.ones(4, dtype=torch.float64, requires_grad=True)
    optimizer = AlphaAdam([("weight", param)], lr=0.1, compensation="full")
    optimizer.record()
    run(optimizer, [param], [[[1.0, 1.0, 1.0, 1.0]], [[1.0, 1.0, -1.0, -1.0]]])
    figures = optimizer.tensor_diagnostics()["weight"]
    assert figures["keep_rate"] == 0.5
    assert 1.0 < figures["alpha"] <= 2.0
    assert figures["rate_multiplier"] == pytest.approx(figures["alpha"] * 4 / 3)
    assert optimizer.diagnostics()["alpha"] == figures["alpha"]


# -- the wrapper --

GRADIENTS = make_gradients(40)


@pytest.mark.parametrize(
    "settings_",
    [
        {},
        {"mask": "synchronous", "strict_mask": True, "compensation": "count"},
        {"compensation": "norm", "alpha_form": "root", "alpha_max": math.inf},
        {"strict_mask": True, "compensation": "none"},
        {"mask": "none"},
    ],
)
@pytest.mark.parametrize("maximize", [False, True])
def test_around_adamw_it_is_alphaadam(settings_, maximize):
    left, right = make_params(), make_params()
    run(AlphaAdam(left, lr=1e-2, weight_decay=0.1, maximize=maximize, **settings_), left, GRADIENTS)
    inner = torch.optim.AdamW(right, lr=1e-2, weight_decay=0.1, maximize=maximize)
    run(Masked(inner, **settings_), right, GRADIENTS)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_around_adam_the_mask_sees_the_coupled_decay():
    left, right = make_params(), make_params()
    run(AlphaAdam(left, lr=1e-2, weight_decay=0.5, decoupled_weight_decay=False), left, GRADIENTS)
    run(Masked(torch.optim.Adam(right, lr=1e-2, weight_decay=0.5)), right, GRADIENTS)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_cadamw_is_the_synchronous_mask():
    left, right = make_params(), make_params()
    run(CAdamW(left, lr=1e-2), left, GRADIENTS)
    settings_ = {"mask": "synchronous", "strict_mask": True, "compensation": "count"}
    run(Masked(torch.optim.AdamW(right, lr=1e-2), **settings_), right, GRADIENTS)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


INNER = {
    "SGD": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9),
    "Nesterov": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.1),
    "AMSGrad": lambda params: torch.optim.Adam(params, lr=1e-2, amsgrad=True),
    "RAdam": lambda params: torch.optim.RAdam(params, lr=1e-2),
    "NAdam": lambda params: torch.optim.NAdam(params, lr=1e-2),
    "Muon": lambda params: torch.optim.Muon(
        [p for p in params if p.dim() == 2 and p.numel()], lr=1e-2, weight_decay=0.0
    ),
    "Lion": lambda params: registry.build("Lion", params, lr=1e-2),
    "ASGDAdam": lambda params: ASGDAdam(
        params, lr=1e-2, alpha_min=1e-3, switch="relative", switch_interval=2, weight_decay=0.1
    ),
}


@pytest.mark.parametrize("name", INNER)
def test_around_others_it_keeps_aligned_coordinates_of_their_own_updates(name):
    if name == "Lion":
        pytest.importorskip("pytorch_optimizer")
    params, twins = make_params(), make_params()
    masked, plain = Masked(INNER[name](params), compensation="none"), INNER[name](twins)
    for grads in GRADIENTS[:15]:
        for param, twin in zip(params, twins, strict=True):
            twin.data.copy_(param.data)
        state = {p: dict(masked.state.get(p, {})) for p in params}
        before = [(state[p].get("exp_avg", state[p].get("momentum_buffer"))) for p in params]
        before = [torch.zeros_like(p) if m is None else m.clone() for p, m in zip(params, before, strict=True)]
        full = moved(plain, twins, grads)
        for param, momentum, kept, whole in zip(params, before, moved(masked, params, grads), full, strict=True):
            grad = param.grad
            if name == "Nesterov":
                grad = grad + 0.1 * (param.detach() + kept)
            agrees = aligned(grad, momentum, strict=False) > 0
            # Decay of the parameters themselves, which ASGDAdam has here, is not masked.
            rate = masked.diagnostics()["base_rate"] if name == "ASGDAdam" else 0.0
            decay = rate * 0.1 * (param.detach() + kept)
            expected = torch.where(agrees, whole - decay, 0.0) + decay
            torch.testing.assert_close(kept, expected, rtol=1e-6, atol=1e-10)


def test_groups_may_be_left_unmasked():
    params, twins = make_params(), make_params()
    groups = [{"params": params[:2]}, {"params": params[2:], "mask": "none"}]
    run(Masked(torch.optim.AdamW(groups, lr=1e-2)), params, GRADIENTS)
    run(torch.optim.AdamW(twins, lr=1e-2), twins, GRADIENTS)
    assert not torch.equal(params[0], twins[0])
    for a, b in zip(params[2:], twins[2:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_figures_of_the_wrapper_join_those_of_what_it_wraps():
    params = make_params()
    optimizer = Masked(ASGDAdam(params, lr=1e-2, alpha_min=1e-3))
    optimizer.record()
    run(optimizer, params, GRADIENTS[:5])
    figures = optimizer.diagnostics()
    assert {"base_rate", "statistic", "mean_rate", "keep_rate", "alpha", "update_ratio"} <= set(figures)
    assert 0.0 < figures["keep_rate"] <= 1.0
    optimizer.record(False)
    assert "keep_rate" not in optimizer.diagnostics()


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda p: Masked(AlphaAdam(p)), "has the setting 'mask' itself"),
        (lambda p: Masked(Masked(torch.optim.AdamW(p))), "has the setting 'mask' itself"),
        (lambda p: Masked(Lookahead(torch.optim.AdamW(p))), "put Lookahead around Masked instead"),
        (lambda p: Masked(torch.optim.LBFGS(p)), "calls its closure many times"),
    ],
)
def test_what_cannot_be_masked_is_refused_at_once(build, message):
    with pytest.raises(UnsupportedError, match=message):
        build(make_params())


@pytest.mark.parametrize("mask", ["asynchronous", "synchronous"])
def test_an_optimizer_without_momentum_is_refused_by_name_and_moves_nothing(mask):
    params = make_params()
    before = [param.detach().clone() for param in params]
    optimizer = Masked(torch.optim.SGD(params, lr=0.1), mask=mask)
    message = r"cannot mask the updates of SGD.*holds nothing;.*for SGD, momentum above 0"
    with pytest.raises(UnsupportedError, match=message):
        run(optimizer, params, GRADIENTS[:1])
    assert all(torch.equal(a, b) for a, b in zip(before, params, strict=True))


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"mask": "random"}, "'asynchronous', 'synchronous', 'none'"),
        ({"compensation": "half"}, "'full', 'norm', 'count', 'none'"),
        ({"alpha_form": "cubed"}, "'squared', 'root'"),
        ({"alpha_max": 0.5}, "cannot use alpha_max=0.5"),
        ({"strict_mask": "yes"}, "cannot use strict_mask='yes'"),
    ],
)
@pytest.mark.parametrize("build", [AlphaAdam, lambda p, **k: Masked(torch.optim.AdamW(p), **k)])
def test_argument_errors(build, kwargs, message):
    with pytest.raises(ArgumentError, match=message):
        build(make_params(), **kwargs)


def test_only_optimizers_can_be_wrapped():
    with pytest.raises(ArgumentError, match=r"must be a torch\.optim\.Optimizer, already built"):
        Masked(torch.optim.AdamW)
