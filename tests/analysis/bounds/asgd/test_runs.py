"""Theorems 2 and 3 beside runs: what holds and says nothing, what is false as printed, and what is confirmed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from analysis.bounds.asgd.problems import PROBLEMS, Point, bowl, measured
from waddington.analysis import over_batches
from waddington.analysis.bounds import judge
from waddington.analysis.bounds.asgd import Setting, ergodic, judge_runs, measure_run, nonergodic
from waddington.errors import ArgumentError
from waddington.optim import ASGDAdam, ASGDAMSGrad

TELLING = {"betas": (0.0, 0.5), "eps": 1.0}
"""Settings at which Theorem 2 says something within tens of steps: a large ε, and no memory to speak of."""


def test_a_run_keeps_gradients_rates_and_how_often_an_effective_rate_rose() -> None:
    # x = 1, then 1 - 0.25 · 0.5/(0.5 + 0.5): h_1 = 0.25 · 1, n_1 = 0.5, and ½ beside the root
    run = measured(
        (Point(1.0), half_square, lambda model, step: half_square(model)), 2, lr=0.25, betas=(0.5, 0.75), eps=0.5
    )
    assert run.squares == pytest.approx([1.0, 0.875**2])
    assert run.rates == pytest.approx([0.25, 0.25])
    assert (run.widened, run.betas, run.eps) == (0, (0.5, 0.75), 0.5)
    assert run.constants.gap == pytest.approx(0.5 - 0.5 * 0.875**2)
    assert run.constants.smoothness == pytest.approx(1.0)


def test_a_loss_of_many_batches_is_their_mean() -> None:
    def loss(model: nn.Module, target: float) -> torch.Tensor:
        return 0.5 * (model.get_parameter("x") - target).square().sum()

    model = Point(1.0)
    optimizer = ASGDAMSGrad(model.parameters(), lr=1e-9, alpha_min=1e-9)
    run = measure_run(model, over_batches(loss, [0.0, 4.0]), lambda model, step: loss(model, 0.0), optimizer, 2)
    assert run.squares == pytest.approx([1.0, 1.0])  # the mean of 1 and -3, squared
    assert run.constants.first_loss == pytest.approx(0.5 * (0.5 + 4.5))


def half_square(model: nn.Module) -> torch.Tensor:
    return 0.5 * model.get_parameter("x").square().sum()


def test_effective_rates_rise_without_the_maximum_and_with_a_rate_that_does() -> None:
    assert measured(bowl(0), 30, ASGDAdam).widened > 0
    assert measured(bowl(0), 30, ASGDAMSGrad).widened == 0
    model, loss, batch_loss = bowl(0)
    rule = {"switch": "relative", "switch_interval": 1, "bias_correction": False}
    switching = ASGDAMSGrad(model.parameters(), lr=1e-2, **rule)  # type: ignore[arg-type]
    run = measure_run(model, loss, batch_loss, switching, 40)
    assert set(np.round(run.rates, 12)) == {1e-2, 1e-3}
    assert run.widened > 0
    violated = {one.name for one in judge_runs([run])["ergodic"].violated}
    assert {"one base rate", "effective rates that never rise"} <= violated


@pytest.mark.parametrize("name", PROBLEMS)
def test_bounds_hold_and_say_nothing_on_small_problems(name: str) -> None:
    runs = [measured(PROBLEMS[name](seed), 60) for seed in range(2)]
    for form in ("printed", "mended"):
        for judged in judge_runs(runs, form=form).values():  # type: ignore[arg-type]
            assert judged.holds
            assert judged.is_vacuous
            assert not judged.confirms
            assert judged.tightest > 1e6
    ergodic_, other = judge_runs(runs)["ergodic"], judge_runs(runs)["nonergodic"]
    assert [one.name for one in ergodic_.violated] == ["norms of gradients over the run"]
    assert ergodic_.violated[0].excess > 1.5  # type: ignore[operator]
    assert ergodic_.steps[0] == 2.0
    assert not other.violated
    assert not judge_runs(runs, growth=0.5)["ergodic"].violated


def test_the_norms_of_noisy_gradients_grow_like_the_root_of_the_steps() -> None:
    run = measured(bowl(0), 128)
    assert run.constants.column_growth == pytest.approx(0.5, abs=0.1)
    columns = next(one for one in judge_runs([run])["ergodic"].violated if one.name.startswith("norms"))
    assert f"grew like T^{run.constants.column_growth:.2f}" in columns.sentence
    still = measured(bowl(0, noise=0.0), 32, lr=0.5)
    assert still.constants.column_growth < 0.1


def amsgrad_on_a_line(
    steps: int, *, lr: float, beta2: float, eps: float, start: float, noise: float, seeds: int
) -> tuple[np.ndarray, float]:
    """Algorithm 2 without momentum on x²/2 with gradients x ± noise: gradients of every seed, and the largest noisy."""
    rng = np.random.default_rng(0)
    x, h, top = np.full(seeds, start), np.zeros(seeds), np.zeros(seeds)
    full, largest = [], 0.0
    for _ in range(steps):
        full.append(x)
        z = x + noise * rng.choice([-1.0, 1.0], seeds)
        largest = max(largest, float(np.abs(z).max()))
        h = beta2 * h + (1 - beta2) * z**2
        top = np.maximum(top, h)
        x = x - lr * z / (np.sqrt(top) + eps)
    return np.array(full), largest


def test_theorem_2_as_printed_is_false_for_gradients_with_noise() -> None:
    """Its summands all go to 0, and noise does not; with T^s in its place, s = 1/2, the theorem holds and says it."""
    full, z = amsgrad_on_a_line(3000, lr=0.05, beta2=0.5, eps=1.0, start=0.0, noise=1.0, seeds=64)
    setting = Setting(
        **{"dimension": 1, "gradient_bound": z, "smoothness": 1.0, "gap": 0.0, "rate": 0.05},
        **{"beta1": 0.0, "beta2": 0.5, "eps": 1.0, "eps_place": "outside"},
    )
    steps = np.arange(2, 3001)
    curve = (full[1:] ** 2).mean(1).cumsum() / (steps - 1)
    printed = judge(ergodic(setting), steps, curve)
    assert not printed.holds
    assert 500 < printed.first_violation < 2000  # type: ignore[operator]
    proper = judge(ergodic(setting, growth=0.5, form="mended"), steps, curve)
    assert proper.holds
    assert not proper.is_vacuous
    # Eq. 20: no gradient goes to 0. The last quarter is as far from it as the second.
    quarters = (full**2).mean(1).reshape(4, -1).mean(1)
    assert quarters[3] == pytest.approx(quarters[1], rel=0.2)
    assert quarters[3] > 5e-3


def test_theorem_2_as_printed_is_false_for_gradients_below_the_root_of_epsilon() -> None:
    """The proof bounds a denominator (Z² + ε)^½ by Z: with Z = 0.01 and ε = 1 it is a hundred times too small."""
    run = measured((Point(0.01), half_square, lambda model, step: half_square(model)), 50, lr=0.01, **TELLING)
    printed = judge_runs([run], growth=0.5)["ergodic"]
    assert not printed.holds
    assert not printed.violated
    assert printed.measured[-1] > 5 * printed.allowed[-1]
    assert judge_runs([run], growth=0.5, form="mended")["ergodic"].holds


def test_mended_theorems_are_confirmed_where_they_say_something() -> None:
    runs = [measured(bowl(seed), 80, lr=0.02, **TELLING) for seed in range(3)]
    judged = judge_runs(runs, growth=0.5, form="mended")
    assert judged["ergodic"].confirms
    assert judged["nonergodic"].confirms
    assert judged["ergodic"].tightest < 1e3


@pytest.mark.parametrize("beta2", [0.5, 0.9])
@pytest.mark.parametrize("lr", [0.05, 0.5])
def test_mended_theorems_hold_for_expectations(lr: float, beta2: float) -> None:
    full, z = amsgrad_on_a_line(400, lr=lr, beta2=beta2, eps=0.3, start=1.0, noise=1.0, seeds=64)
    setting = Setting(
        **{"dimension": 1, "gradient_bound": z, "smoothness": 1.0, "gap": 0.5, "rate": lr},
        **{"beta1": 0.0, "beta2": beta2, "eps": 0.3, "eps_place": "outside"},
    )
    squares, steps = (full**2).mean(1), np.arange(1, 401)
    assert judge(ergodic(setting, growth=0.5, form="mended"), steps[1:], squares[1:].cumsum() / (steps[1:] - 1)).holds
    assert judge(nonergodic(setting, form="mended"), steps, np.minimum.accumulate(squares)).holds


def test_what_cannot_be_measured_is_refused() -> None:
    model, loss, batch_loss = bowl(0)
    with pytest.raises(ArgumentError, match="steps=1"):
        measure_run(model, loss, batch_loss, ASGDAdam(model.parameters()), 1)
    with pytest.raises(ArgumentError, match="it has no betas"):
        measure_run(model, loss, batch_loss, torch.optim.SGD(model.parameters(), lr=0.1), 2)
    noisy = lambda model: loss(model) * (1 + torch.rand(()))  # noqa: E731
    with pytest.raises(ArgumentError, match="at the same parameters"):
        measure_run(model, noisy, batch_loss, ASGDAdam(model.parameters()), 2)
    with pytest.raises(ArgumentError, match="2 runs of 2 kinds"):
        judge_runs([measured(bowl(0), 2), measured(bowl(0), 3)])
    with pytest.raises(ArgumentError, match="0 runs"):
        judge_runs([])
    assert math.isfinite(loss(model).item())
