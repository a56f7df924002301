"""Suggested rates: on quadratics the edge is exact, and runs on both sides of it show so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from analysis.cases import Quadratic, build, loss_of, quadratic, rotated, value
from waddington import optim
from waddington.analysis import suggest_lr
from waddington.analysis.preconditioner import Momentum
from waddington.analysis.rates import stability_factor
from waddington.errors import ArgumentError, UnsupportedError

SPECTRUM = [4.0, 2.0, 1.0, 0.5]


def after(optimizer: torch.optim.Optimizer, model: Quadratic, steps: int = 300) -> float:
    for _ in range(steps):
        optimizer.zero_grad()
        model().backward()
        optimizer.step()
    return float(model().detach())


def test_plain_descent_on_a_quadratic() -> None:
    found = suggest_lr(quadratic(SPECTRUM), value)
    assert found.stable == pytest.approx(2.0 / 4.0)
    assert found.fastest == pytest.approx(2.0 / 4.5)
    assert found.condition == pytest.approx(8.0)
    assert (found.largest, found.smallest) == (pytest.approx(4.0), pytest.approx(0.5))
    assert (found.factor, found.preconditioned, found.present, found.notes) == (2.0, False, None, ())


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"momentum": 0.8},
        {"momentum": 0.8, "dampening": 0.5},
        {"momentum": 0.8, "dampening": -1.0},
        {"momentum": 0.8, "nesterov": True},
    ],
)
def test_runs_below_the_stable_rate_converge_and_above_it_do_not(settings: dict[str, Any]) -> None:
    start = torch.optim.SGD(quadratic(SPECTRUM).parameters(), lr=1.0, **settings)
    model = quadratic(SPECTRUM)
    stable = suggest_lr(model, value, torch.optim.SGD(model.parameters(), lr=1.0, **settings)).stable
    assert stable is not None
    ends = []
    for share in (0.97, 1.03):
        model = quadratic(SPECTRUM)
        ends.append(after(torch.optim.SGD(model.parameters(), lr=share * stable, **settings), model))
    assert ends[0] < 1e-2 < 1e3 < ends[1]
    assert start.param_groups[0]["lr"] == 1.0


def test_the_fastest_rate_is_faster_than_its_neighbours() -> None:
    fastest = suggest_lr(quadratic(SPECTRUM), value).fastest
    assert fastest is not None
    ends = {}
    for share in (0.9, 1.0, 1.1):
        model = quadratic(SPECTRUM)
        ends[share] = after(torch.optim.SGD(model.parameters(), lr=share * fastest), model, steps=60)
    assert ends[1.0] == min(ends.values())


def test_an_adaptive_optimizer_with_a_frozen_denominator_is_stable_up_to_the_rate() -> None:
    """β2 = 1 - 1e-12 keeps v̂ where it is while the run shrinks or grows."""
    ends = {}
    for share in (0.95, 1.05):
        model = quadratic(SPECTRUM)
        optimizer = torch.optim.Adam(model.parameters(), lr=1.0, betas=(0.5, 0.999), eps=0.0)
        model().backward()
        optimizer.step()
        for state in optimizer.state.values():
            state["exp_avg"].zero_()
            state["exp_avg_sq"].fill_(4.0)
            state["step"].fill_(1e6)
        for group in optimizer.param_groups:
            group["betas"] = (0.5, 1.0 - 1e-15)
        for state in optimizer.state.values():
            state["exp_avg_sq"].mul_(1.0 - (1.0 - 1e-15) ** 1e6)
        found = suggest_lr(model, value, optimizer)
        assert found.stable == pytest.approx((2 + 2 * 0.5) / 0.5 / (4.0 / 2.0), rel=1e-3)
        optimizer.param_groups[0]["lr"] = share * found.stable
        ends[share] = after(optimizer, model, steps=200)
    assert ends[0.95] < 1e-2 < 1e2 < ends[1.05]


@pytest.mark.parametrize(
    ("make", "decay"), [(torch.optim.Adam, None), (torch.optim.NAdam, 1e-9), (torch.optim.NAdam, 1e3)]
)
def test_both_averages_of_momentum_have_their_edge(make: Any, decay: float | None) -> None:
    """With β2 = 0 and a large ε the denominator is ε; NAdam counts the gradient itself, first more and then less."""
    ends = {}
    for share in (0.97, 1.03):
        model = quadratic(SPECTRUM, start=1e-6)
        settings = {} if decay is None else {"momentum_decay": decay}
        optimizer = make(model.parameters(), lr=1.0, betas=(0.8, 0.0), eps=1e3, **settings)
        model().backward()
        optimizer.step()
        stable = suggest_lr(model, value, optimizer).stable
        assert stable is not None
        start = float(model().detach())
        optimizer.param_groups[0]["lr"] = share * stable
        ends[share] = after(optimizer, model) / start
    assert ends[0.97] < 1e-2 < 1e2 < ends[1.03]


def test_groups_keep_their_ratio_to_the_first() -> None:
    model = Quadratic(torch.diag(torch.tensor([1.0, 1.0, 8.0]).double()), torch.ones(3).double())
    optimizer = torch.optim.SGD([{"params": [model.first], "lr": 0.1}, {"params": [model.second], "lr": 0.2}])
    found = suggest_lr(model, value, optimizer)
    assert found.stable == pytest.approx(2.0 / 16.0)
    assert found.present == 0.1


@pytest.mark.parametrize(
    ("eigenvalues", "stable", "said"),
    [
        ([2.0, 1.0, -0.5], 1.0, "the smallest eigenvalue is -0.5, so there is no minimum of a quadratic nearby"),
        ([2.0, 1.0, 0.0], 1.0, "the smallest eigenvalue is zero to the accuracy of the measurement"),
        ([-1.0, -2.0, -3.0], None, "no stable rate: the largest eigenvalue is -1"),
        ([0.0, -1.0, -2.0], None, "so the loss bends upwards nowhere"),
    ],
)
def test_what_is_not_measurable_is_said(eigenvalues: list[float], stable: float | None, said: str) -> None:
    found = suggest_lr(Quadratic(rotated(eigenvalues), torch.ones(3).double()), value)
    assert found.stable == (None if stable is None else pytest.approx(stable))
    assert (found.fastest, found.condition) == (None, None)
    assert any(said in note for note in found.notes)


def test_what_is_not_counted_is_said() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    params = list(model.parameters())
    groups = [{"params": params[:2], "momentum": 0.5}, {"params": params[2:3], "weight_decay": 0.1}]
    notes = " ".join(suggest_lr(model, loss, torch.optim.SGD(groups, lr=0.1, momentum=0.9), max_products=5).notes)
    for said in (
        "weight_decay=0.1 is not counted",
        "groups differ in momentum",
        "3 of 43 coordinates are left out",
        "have not settled after 5 products",
    ):
        assert said in notes
    wrapped = optim.Masked(torch.optim.Adam(params))
    loss(model).backward()
    wrapped.step()
    assert any("what Masked does to a step is not counted" in note for note in suggest_lr(model, loss, wrapped).notes)


def test_optimizers_whose_step_does_not_follow_from_curvature_are_refused() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    with pytest.raises(ArgumentError, match="Adam: it has no state; accepted is one that has taken a step"):
        suggest_lr(model, loss, torch.optim.Adam(model.parameters()))
    loss(model).backward()
    for optimizer in (optim.MicroAdam(model.parameters()), torch.optim.Adamax(model.parameters())):
        optimizer.step()
        with pytest.raises(UnsupportedError, match="so how far it steps does not follow from the curvature"):
            suggest_lr(model, loss, optimizer)


def test_the_momentum_that_counts_is_that_of_the_first_group_with_a_rate() -> None:
    model = Quadratic(torch.diag(torch.tensor([1.0, 1.0, 8.0]).double()), torch.ones(3).double())
    groups = [{"params": [model.first], "lr": 0.0, "momentum": 0.9}, {"params": [model.second], "lr": 0.2}]
    found = suggest_lr(model, value, torch.optim.SGD(groups, lr=0.1))
    assert (found.stable, found.factor, found.present) == (pytest.approx(2.0 / 8.0), 2.0, 0.2)


def test_what_goes_up_the_loss_has_no_stable_rate() -> None:
    model = quadratic(SPECTRUM)
    with pytest.raises(UnsupportedError, match="with maximize=True it goes up the loss"):
        suggest_lr(model, value, torch.optim.SGD(model.parameters(), lr=0.1, maximize=True))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: optim.AlphaAdam(p), ["mask=asynchronous is not counted"]),
        (lambda p: optim.AlphaAdam(p, mask="none"), []),
        (lambda p: optim.AMGT(p, threshold=0.1), ["gamma=1.0 is not", "threshold=0.1 is not"]),
        (lambda p: optim.AMVT(p, clip_grad_norm=1.0), ["clip_grad_norm=1.0 is not counted"]),
        (lambda p: optim.AMVT(p), []),
        (lambda p: optim.ASGDAdam(p), ["the present rate is lr, the largest that its switch may choose"]),
        (lambda p: optim.Averaged(torch.optim.Adam(p)), []),
        (lambda p: optim.Lookahead(torch.optim.Adam(p)), ["what Lookahead does to a step"]),
    ],
)
def test_what_an_optimizer_does_besides_is_said(make: Any, said: list[str]) -> None:
    model, loss = build("mlp"), loss_of("mlp")
    optimizer = make(model.parameters())
    loss(model).backward()
    optimizer.step()
    notes = [
        note
        for note in suggest_lr(model, loss, optimizer, max_products=3).notes
        if "rate is" in note or "count" in note
    ]
    assert len(notes) == len(said), notes
    assert all(any(part in note for note in notes) for part in said)


def test_factors() -> None:
    assert stability_factor(Momentum(0.0, 1.0, 0.0)) == 2.0
    assert stability_factor(Momentum(0.9, 0.0, 1.0)) == pytest.approx(38.0)
    assert stability_factor(Momentum(0.5, 0.0, 2.0)) == pytest.approx(3.0)  # heavy ball
    assert stability_factor(Momentum(0.5, 1.0, 1.0)) == pytest.approx(1.5)  # Nesterov
