"""The alignment statistic: its algebra, its three readings, and that clipping does not silence it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from optim.training import make_gradients, make_params, run
from reference.alignment import AlignmentRule
from reference.asgd import asgd
from waddington.errors import UnsupportedError
from waddington.optim import AMVT, ASGDAdam, ASGDAMSGrad, LDAdam, Switched
from waddington.optim.alignment import ALARM, DEAD_ZONE, STATE, WINDOW, alignment_terms, cosine, follow
from waddington.optim.moments import DEVICE, HOST

LR, ALPHA_MIN = 1e-2, 1e-3
SHAPES = [(3, 2), (4,)]
READINGS = ["dual", "clock", "ratchet"]


def courses(seed=0, steps=400):
    """Cosines that agree at first, then scatter below zero, then agree again: a descent, noise, a change."""
    rng = np.random.default_rng(seed)
    means = np.repeat([0.3, -0.1, 0.5, -0.1], steps // 4)
    return np.clip(means + 0.1 * rng.standard_normal(steps), -1.0, 1.0).tolist()


def followed(cosines, reading, tau=50.0, device=False):
    """Give the entries after each step, on the host or as tensors."""
    state = dict.fromkeys((*STATE, "steps"), 0.0) | {"large": 1.0}
    arithmetic = HOST
    if device:
        state, arithmetic = {k: torch.tensor(v, dtype=torch.float64) for k, v in state.items()}, DEVICE
    found = []
    for c in cosines:
        given_c = torch.tensor(c, dtype=torch.float64) if device else c
        state |= follow(given_c, state, {"alignment": reading, "tau": tau}, arithmetic)
        state["steps"] = state["steps"] + 1.0
        found.append({name: float(value) for name, value in state.items()})
    return found


@pytest.mark.parametrize("device", [False, True], ids=["host", "device"])
@pytest.mark.parametrize("reading", READINGS)
def test_each_reading_is_what_its_equations_say(reading, device):
    rule = AlignmentRule(reading, 20.0)
    cosines = courses(steps=300 if device else 400)
    rates = []
    for c, found in zip(cosines, followed(cosines, reading, 20.0, device), strict=True):
        rates.append(rule(c))
        assert found["large"] == pytest.approx(rates[-1], rel=1e-12)
        assert (found["noise_steps"], found["alarms"]) == (rule.noise, rule.alarms)
        assert found["mean"] == pytest.approx(rule.mean, rel=1e-9, abs=1e-12)
    assert len(set(rates)) > 1  # it has something to say
    assert rule.alarms


def test_noise_turns_the_clock_down_and_a_change_turns_it_back():
    found = followed(courses(), "clock")
    assert found[99]["large"] == 1.0
    assert found[199]["large"] < 0.7
    alarms = [row["alarms"] for row in found]
    first = alarms.index(alarms[200] + 1.0)
    assert 200 <= first < 215  # soon after the change
    assert found[first]["large"] == 1.0


def test_two_rates_switch_with_the_sign_and_are_kept_in_between():
    large = [row["large"] for row in followed([0.3] * 5 + [-0.3] * 40, "dual")]
    assert (large[4], large[-1]) == (1.0, 0.0)
    steady = [row["large"] for row in followed([0.3] * 5 + [0.0] * 200, "dual")]
    assert set(steady) == {1.0}  # from above into the dead zone: it stays


def test_the_ratchet_halves_at_the_end_of_windows_that_grow_and_never_rises():
    large = [row["large"] for row in followed([-0.1] * (3 * WINDOW) + [0.5] * (20 * WINDOW), "ratchet")]
    assert [large.index(value) + 1 for value in (0.5, 0.25)] == [WINDOW, 3 * WINDOW]
    assert set(large[3 * WINDOW :]) == {0.25}


def test_an_alarm_waits_until_the_scatter_is_known():
    alarms = [row["alarms"] for row in followed([0.9, 0.8] * 20, "clock")]
    assert alarms[9] == 0.0
    assert alarms[-1] > 0.0
    assert all(row["cusum"] <= ALARM for row in followed([0.9, 0.8] * 20, "clock"))


# -- the cosine --

vectors = st.lists(st.tuples(*[st.floats(-1e3, 1e3)] * 2, st.floats(0.0, 1e4)), min_size=1, max_size=20)
property_settings = settings(deadline=None, max_examples=40)


def cosine_of(grad, first, second, eps=1e-8):
    terms = alignment_terms(grad, {"exp_avg": first, "exp_avg_sq": second}, {"eps": eps})
    return cosine(*(term.sum() for term in (terms["product"], terms["gradient"], terms["update"]))).item()


@property_settings
@given(vectors, st.floats(1e-6, 1e6))
def test_the_cosine_is_one_and_blind_to_a_positive_scale_of_the_gradient(rows, scale):
    grad, first, second = torch.tensor(rows, dtype=torch.float64).unbind(1)
    c = cosine_of(grad, first, second)
    assert -1.0 - 1e-9 <= c <= 1.0 + 1e-9
    assert cosine_of(grad * scale, first, second) == pytest.approx(c, rel=1e-9, abs=1e-12)
    assert cosine_of(-grad, first, second) == pytest.approx(-c, rel=1e-12)
    assert cosine_of(first, first, second) in (0.0, pytest.approx(1.0))  # 0 where there is no update


@pytest.mark.parametrize("zero", ["grad", "first", "all"])
@pytest.mark.parametrize("eps", [0.0, 1e-8])
def test_an_undefined_cosine_counts_as_zero(zero, eps):
    one, none = torch.ones(3), torch.zeros(3)
    grad, first = (none if zero in ("grad", "all") else one), (none if zero in ("first", "all") else one)
    assert cosine_of(grad, first, none if zero != "grad" else one, eps) == 0.0


def quadratic(steps, every=1, clip=None, scale=1.0, **kwargs):
    """Descend a noisy bowl whose bottom moves half-way; give the figures of every so many steps."""
    generator = torch.Generator().manual_seed(0)
    param = torch.full((40,), 2.0, requires_grad=True)
    curvatures = torch.logspace(-1, 1, 40)
    optimizer = ASGDAdam([param], lr=0.1, alpha_min=0.01, switch="alignment", **kwargs)
    rows = []
    for step in range(steps):
        bottom = 3.0 if step >= steps // 2 else 0.0
        noise = torch.randn(40, generator=generator)
        param.grad = scale * (curvatures * (param.detach() - bottom) + 2.0 * noise)
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([param], clip)
        optimizer.step()
        if step % every == 0:
            rows.append(optimizer.diagnostics())
    return rows


@pytest.mark.parametrize("clip", [None, 0.5], ids=["unclipped", "clipped"])
def test_it_sees_noise_and_change_also_where_every_gradient_is_clipped(clip):
    rows = quadratic(300, every=10, clip=clip, alignment="clock")
    assert rows[14]["base_rate"] < 0.9 * rows[0]["base_rate"]
    assert rows[20]["alarms"] > rows[14]["alarms"]


def test_it_does_not_see_the_scale_of_the_loss():
    plain, scaled = quadratic(60, eps=0.0), quadratic(60, eps=0.0, scale=2.0**12)
    assert [row["cosine"] for row in plain] == pytest.approx([row["cosine"] for row in scaled], abs=1e-5)


@pytest.mark.parametrize("reading", ["dual", "ratchet"])
def test_on_gradients_that_agree_and_scatter_it_is_its_reference(reading):
    """The contract's gradients turn no rate; these do."""
    rng = np.random.default_rng(0)
    drift = [*[0.5] * 20, *[-2.0, 2.0] * 30, *[0.7] * 10]
    gradients = [[d + rng.standard_normal(shape) for shape in SHAPES] for d in drift]
    params = make_params(shapes=SHAPES)
    kwargs = {"lr": LR, "alpha_min": ALPHA_MIN, "switch": "alignment", "alignment": reading}
    trajectory, rates = asgd([param.detach().numpy() for param in params], gradients, **kwargs)
    assert len(set(rates)) > 1
    optimizer = ASGDAdam(params, **kwargs)
    for grads, expected, rate in zip(gradients, trajectory, rates, strict=True):
        run(optimizer, params, [grads])
        assert optimizer.diagnostics()["base_rate"] == pytest.approx(rate, rel=1e-12)
        np.testing.assert_allclose(params[0].detach().numpy(), expected[0], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("beta2", [0.0, 0.999])
@pytest.mark.parametrize("cls", [ASGDAdam, ASGDAMSGrad])
def test_compiled_or_not_and_in_either_precision_it_decides_alike(cls, beta2):
    found = []
    for compiled, dtype in (("auto", torch.float64), (False, torch.float64), ("auto", torch.float32)):
        params = make_params(dtype, shapes=SHAPES)
        optimizer = cls(params, betas=(0.9, beta2), switch="alignment", alignment="clock", compile=compiled)
        run(optimizer, params, make_gradients(30, shapes=SHAPES))
        found.append(optimizer.diagnostics())
    assert found[1]["cosine"] == pytest.approx(found[0]["cosine"], rel=1e-10)
    assert found[2]["cosine"] == pytest.approx(found[0]["cosine"], rel=1e-3, abs=1e-5)
    assert found[0]["noise_steps"] == found[1]["noise_steps"] == found[2]["noise_steps"]


@pytest.mark.parametrize("reading", ["clock", "ratchet"])
def test_a_rate_that_falls_does_so_towards_a_small_one_that_is_given_and_else_towards_zero(reading):
    for told, small in ((None, 0.0), (ALPHA_MIN, ALPHA_MIN), (LR, LR)):
        optimizer = ASGDAdam(make_params(shapes=SHAPES), lr=LR, alpha_min=told, alignment=reading)
        assert optimizer.param_groups[0]["alpha_min"] == small
        run(optimizer, optimizer.param_groups[0]["params"], make_gradients(1, shapes=SHAPES))
        optimizer._model_state()["switch_large"].fill_(0.25)
        optimizer.param_groups[0]["lr"] = LR / 2  # a scheduler turns both
        rate = optimizer._control.rate(optimizer._model_state(), optimizer.param_groups[0])
        assert float(rate) == pytest.approx((small + 0.25 * (LR - small)) / 2, rel=1e-6)


def test_a_scheduler_turns_the_clocks_rate():
    params = make_params(shapes=SHAPES)
    optimizer = ASGDAdam(params, lr=LR, switch="alignment", alignment="clock")
    run(optimizer, params, make_gradients(30, shapes=SHAPES))
    before = optimizer.diagnostics()
    optimizer.param_groups[0]["lr"] = LR / 2
    run(optimizer, params, [[0.0 * g for g in grads] for grads in make_gradients(1, shapes=SHAPES)])
    after = optimizer.diagnostics()
    expected = LR / 2 / (1.0 + after["noise_steps"] / 50.0) ** 0.5
    assert after["base_rate"] == pytest.approx(expected, rel=1e-12)
    assert after["noise_steps"] - before["noise_steps"] in (0.0, 1.0)


def test_around_an_optimizer_that_cannot_be_set_it_shortens_the_step():
    """AMVT's step is scaled after it; the cosine is that of the moments before."""
    params, grads = make_params(shapes=SHAPES), make_gradients(40, shapes=SHAPES)
    optimizer = Switched(AMVT(params, lr=LR), alpha_min=ALPHA_MIN, switch="alignment", alignment="clock", tau=2.0)
    moments = [np.zeros(shape) for shape in SHAPES], [np.zeros(shape) for shape in SHAPES]
    rule = AlignmentRule("clock", 2.0)
    for t, given_grads in enumerate(grads):
        first, second = moments
        weight = 1 - 0.999**t if t else 1.0
        over = [1 / (np.sqrt(v / weight) + 1e-8) for v in second]
        sums = [
            sum((a * b * w).sum() for a, b, w in zip(x, y, over, strict=True))
            for x, y in ((given_grads, first), (given_grads, given_grads), (first, first))
        ]
        rate = rule(sums[0] / np.sqrt(sums[1] * sums[2]) if t else 0.0)
        run(optimizer, params, [given_grads])
        assert optimizer.diagnostics()["base_rate"] == pytest.approx(ALPHA_MIN + (LR - ALPHA_MIN) * rate, rel=1e-9)
        moments = (
            [0.9 * m + 0.1 * g for m, g in zip(first, given_grads, strict=True)],
            [0.999 * v + 0.001 * g**2 for v, g in zip(second, given_grads, strict=True)],
        )


@pytest.mark.parametrize("shape", [(4, 4), (5, 4)])
def test_moments_in_another_shape_than_the_gradients_have_no_cosine(shape):
    """Those of rank 1 would be stretched over a square matrix without a word."""
    params = make_params(shapes=[shape])
    before = params[0].detach().clone()
    optimizer = Switched(LDAdam(params, rank=1), switch="alignment")
    with pytest.raises(UnsupportedError, match=r"found the shape \(1, .\) for a parameter of shape"):
        run(optimizer, params, make_gradients(1, shapes=[shape]))
    assert torch.equal(before, params[0].detach())


def test_a_gradient_that_is_not_a_number_does_not_turn_the_clock():
    params = make_params(shapes=SHAPES)
    optimizer = ASGDAdam(params, nonfinite="propagate")
    run(optimizer, params, make_gradients(10, shapes=SHAPES))
    before = optimizer.diagnostics()
    for param in params:
        param.grad = torch.full_like(param, float("nan"))
    for _ in range(20):
        optimizer.step()
    after = optimizer.diagnostics()
    assert [after[name] for name in ("cosine", "noise_steps")] == [before[name] for name in ("cosine", "noise_steps")]


def test_coordinates_that_had_no_gradient_yet_outweigh_the_others():
    """New rows of an embedding: a gradient over ε alone, and nothing in the update that it could agree with."""
    seen = {"grad": torch.ones(1000), "exp_avg": torch.ones(1000), "exp_avg_sq": torch.ones(1000)}
    new = {"grad": torch.ones(1), "exp_avg": torch.zeros(1), "exp_avg_sq": torch.zeros(1)}

    def found(*parts):
        grad, *buffers = (torch.cat([part[name] for part in parts]) for name in seen)
        terms = alignment_terms(grad, dict(zip(("exp_avg", "exp_avg_sq"), buffers, strict=True)), {"eps": 1e-8})
        return cosine(*(terms[name].sum() for name in ("product", "gradient", "update"))).item()

    assert found(seen) == pytest.approx(1.0)
    assert 0.0 < found(seen, new) < DEAD_ZONE
