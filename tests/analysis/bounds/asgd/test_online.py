"""Theorem 1 beside regrets: by hand, where it holds, and where it is false."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from analysis.bounds.asgd.problems import Point
from waddington.analysis.bounds.asgd import MeasuredRegret, Setting, judge_regret, measure_regret, regret
from waddington.errors import ArgumentError
from waddington.optim import ASGDAdam, ASGDAMSGrad


def linear(model: nn.Module, slope: float) -> torch.Tensor:
    return (slope * model.get_parameter("x")).sum()


def on_a_line(
    slopes: list[float],
    *,
    lr: float,
    beta2: float,
    start: float = 0.0,
    kind: type[ASGDAdam] = ASGDAMSGrad,
    **more: object,
) -> MeasuredRegret:
    """Steps without momentum on linear losses over [-1, 1]."""
    model = Point(start)
    optimizer = kind(model.parameters(), lr, (0.0, beta2), 1e-16, alpha_min=lr, switch="mean", bias_correction=False)
    return measure_regret(model, linear, slopes, optimizer, low=-1.0, high=1.0, **more)  # type: ignore[arg-type]


def test_regret_by_hand() -> None:
    # 3 x at 0; then x = -0.2 · 3/√(0.36·9) = -1/3, where -x loses 1/3; best of 3x - x is -1, at -2
    found = on_a_line([3.0, -1.0], lr=0.2, beta2=0.64, at=[1, 2])
    assert found.regret == pytest.approx([3.0, 1 / 3 + 2.0])
    assert found.rates == pytest.approx([0.2, 0.2 / math.sqrt(2.0)])
    assert found.columns == pytest.approx([3.0, math.sqrt(10.0)])
    assert found.denominators == pytest.approx([1.8, 1.8])  # h_2 = 0.64 · 3.24 + 0.36 is below 3.24
    assert found.slack == pytest.approx([0.0, 0.0], abs=1e-9)
    assert (found.diameter, found.rate, found.momentum_decay) == (2.0, 0.2, None)


def test_the_best_point_is_found_inside_and_at_the_edge_of_the_box() -> None:
    def square(model: nn.Module, target: torch.Tensor) -> torch.Tensor:
        return 0.5 * (model.get_parameter("x") - target).square().sum()

    targets = [torch.tensor([0.1, 5.0]).double(), torch.tensor([0.5, 3.0]).double()]
    model = Point(0.0, 0.0)
    optimizer = ASGDAMSGrad(model.parameters(), lr=1e-9, alpha_min=1e-9, betas=(0.0, 0.9))
    found = measure_regret(model, square, targets, optimizer, low=-1.0, high=1.0, tolerance=1e-9)
    # from (0, 0): 0.5 (0.01 + 25 + 0.25 + 9); at (0.3, 1): 0.5 (0.04 + 16 + 0.04 + 4)
    assert found.regret == pytest.approx([0.5 * 34.26 - 0.5 * 20.08], abs=1e-6)
    assert found.slack[0] < 1e-7


def test_theorem_1_as_printed_is_false_for_small_gradients() -> None:
    """Its second summand has a Z too much. The steps jump from end to end, always to the wrong one.

    After one step, at α = 20: a regret of 1e-3 against 4 √(1e-3 · 1e-6)/40 + 20 · 1e-3 · 1e-3/√1e-3 = 6.4e-4.
    """
    slopes = [1e-3 * (-1.0) ** step for step in range(100)]
    found = on_a_line(slopes, lr=20.0, beta2=0.999, at=[1, 10, 100])
    printed = judge_regret(found)
    assert printed.allowed[0] == pytest.approx(6.356e-4, rel=1e-3)
    assert printed.first_violation == 1.0
    assert not printed.violated
    assert found.regret[-1] == pytest.approx(0.099)
    assert judge_regret(found, form="mended").holds


def test_theorem_1_is_false_for_algorithm_1() -> None:
    """The example of Reddi et al. 2018: two small steps the wrong way for a large one the right way."""
    slopes = [10.0 if step % 3 == 0 else -1.0 for step in range(150)]
    common = {"lr": 0.115, "beta2": 1 / 101, "start": 1.0, "at": [3, 30, 150]}
    adam, amsgrad = (on_a_line(slopes, kind=kind, **common) for kind in (ASGDAdam, ASGDAMSGrad))  # type: ignore[arg-type]
    assert adam.regret[-1] > 0.9 * 8.0 / 3.0 * 2 * 150 * 0.9
    for form in ("printed", "mended"):
        judged = judge_regret(adam, form=form)  # type: ignore[arg-type]
        assert not judged.holds
        assert [one.name for one in judged.violated] == ["effective rates that never rise"]
        assert judge_regret(amsgrad, form=form).holds  # type: ignore[arg-type]
    assert not judge_regret(amsgrad).violated


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10_000),
    beta1=st.sampled_from([0.0, 0.5, 0.9]),
    beta2=st.sampled_from([0.9, 0.99]),
    rate=st.floats(1e-3, 1e3),
    scale=st.floats(1e-4, 1e4),
)
def test_theorem_1_mended_holds_for_any_linear_losses(
    seed: int, beta1: float, beta2: float, rate: float, scale: float
) -> None:
    """AMSGrad in plain arrays, with everything that the theorem asks for, on losses of all kinds."""
    rng = np.random.default_rng(seed)
    slopes = scale * rng.choice([-1.0, 1.0, 0.0], (60, 3)) * rng.exponential(size=(60, 3)) ** rng.uniform(0, 3)
    slopes += scale * rng.normal(size=3) * rng.uniform(0, 2)
    x, n, h, top, lost, largest = (np.zeros(3) for _ in range(6))
    for t, z in enumerate(slopes, start=1):
        lost = lost + z * x
        largest = np.maximum(largest, np.abs(z))
        b = beta1 * 0.9 ** (t - 1)
        n, h = b * n + (1 - b) * z, beta2 * h + (1 - beta2) * z**2
        top = np.maximum(top, h)
        x = np.clip(x - rate / math.sqrt(t) * n / np.sqrt(np.maximum(top, 1e-300)), -1.0, 1.0)
        setting = Setting(
            **{"dimension": 3, "gradient_bound": float(largest.max()), "smoothness": 0.0, "gap": 0.0},
            **{"rate": rate, "beta1": beta1, "beta2": beta2},
        )
        bound = regret(
            setting,
            diameter=2.0,
            momentum_decay=0.9,
            form="mended",
            denominators=lambda t, top=top: np.sqrt(top).sum() + 0.0 * t,
            columns=lambda t, last=t: np.sqrt((slopes[:last] ** 2).sum(0)).sum() + 0.0 * t,
        )
        best = -np.abs(slopes[:t].sum(0)).sum()
        assert lost.sum() - best <= t * float(bound(t)) * (1 + 1e-9)


def test_a_logistic_regression_in_a_box_is_below_a_bound_that_says_nothing() -> None:
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(60, 6, generator=draw) < 0.3).double()
    y = (x[:, :2].sum(1) > 0).double()
    model = nn.Linear(6, 1).double()
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)

    def loss(model: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return nn.functional.binary_cross_entropy_with_logits(model(batch[0])[:, 0], batch[1])

    batches = list(zip(x.split(2), y.split(2), strict=True))
    optimizer = ASGDAMSGrad(model.parameters(), lr=0.1, alpha_min=0.1, switch="mean", bias_correction=False)
    found = measure_regret(
        model, loss, batches, optimizer, low=-0.5, high=0.5, at=[10, 30], momentum_decay=0.9, tolerance=1e-2
    )
    for form in ("printed", "mended"):
        judged = judge_regret(found, form=form)  # type: ignore[arg-type]
        assert judged.holds
        assert judged.is_vacuous
        assert not judged.violated
    assert (found.slack <= 1e-2 * judged.bound.trivial * found.steps).all()
    assert max(float(param.detach().abs().max()) for param in model.parameters()) <= 0.5
    kept = ASGDAMSGrad(model.parameters(), lr=0.1, alpha_min=0.1, switch="mean", bias_correction=False)
    same = measure_regret(model, loss, batches[:2], kept, low=-0.5, high=0.5, tolerance=1.0)
    assert "momentum that decays" in [one.name for one in judge_regret(same).violated]


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"start": 2.0}, "outside the box"),
        ({"at": [3]}, r"\[3\] of 2 batches"),
        ({"at": []}, "of 2 batches"),
        ({"momentum_decay": 1.0}, "momentum_decay"),
        ({"tolerance": 0.0}, "tolerance"),
    ],
)
def test_arguments_out_of_range_are_refused(more: dict[str, object], match: str) -> None:
    with pytest.raises(ArgumentError, match=match):
        on_a_line([1.0, 1.0], lr=0.1, beta2=0.9, **more)  # type: ignore[arg-type]


def test_boxes_and_optimizers_that_do_not_serve_are_refused() -> None:
    model = Point(0.0)
    with pytest.raises(ArgumentError, match="high"):
        measure_regret(model, linear, [1.0], ASGDAdam(model.parameters()), low=1.0, high=0.0)
    with pytest.raises(ArgumentError, match="it has no betas"):
        measure_regret(model, linear, [1.0], torch.optim.SGD(model.parameters(), lr=0.1), low=-1.0, high=1.0)
