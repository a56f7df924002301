"""Constants of a run are those of its gradients, by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from waddington.analysis.bounds import ConstantsRecorder, RunConstants
from waddington.errors import ArgumentError


class Bowl(nn.Module):
    """f = (x² + 4 y²) / 2, with Hessian diag(1, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.point = nn.Parameter(torch.tensor([3.0, 1.0], dtype=torch.float64))

    def forward(self) -> torch.Tensor:
        return 0.5 * (self.point.square() * torch.tensor([1.0, 4.0], dtype=torch.float64)).sum()


def run(steps: int = 2, lr: float = 0.25, **options: int) -> RunConstants:
    model = Bowl()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    recorder = ConstantsRecorder(model, lambda model: model(), **options)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model()
        loss.backward()
        recorder.record(loss)
        optimizer.step()
    return recorder.constants()


def test_constants_of_two_steps_in_a_bowl() -> None:
    # (3, 1), gradient (3, 4), loss 6.5; then (2.25, 0), gradient (2.25, 0), loss 2.53125
    found = run(every=1)
    assert found.dimension == 2
    assert found.steps == 2
    assert found.smoothness == pytest.approx(4.0)
    assert found.secant == pytest.approx(math.hypot(0.75, 4.0) / math.hypot(0.75, 1.0))
    assert found.gradient_bound == 4.0
    assert found.gradient_norm_bound == 5.0
    assert found.mean_square_norm == pytest.approx((25.0 + 2.25**2) / 2)
    assert found.column_norm == pytest.approx(4.0)
    assert found.column_norm_sum == pytest.approx(4.0 + math.hypot(3.0, 2.25))
    assert found.noise_variance == 0.0
    assert found.gap == pytest.approx(6.5 - 2.53125)
    assert found.distance == pytest.approx(math.hypot(0.75, 1.0))
    assert found.diameter == 1.0


def test_the_growth_of_a_coordinate_s_gradients_is_a_power_of_the_steps() -> None:
    # four steps at rate 0 keep the gradient (3, 4): 4 √4 after four, 4 √2 after two
    assert run(4, lr=0.0).column_growth == pytest.approx(0.5)
    # (3, 4), (2.25, 0) at rate 0.25: 4 after one step and after two
    assert run(2).column_growth == pytest.approx(0.0)
    assert math.isnan(run(1).column_growth)


def test_several_runs_are_as_wide_as_their_widest_and_begin_at_their_mean() -> None:
    one = run(2)
    other = replace(one, gradient_bound=9.0, first_loss=8.5, least_loss=1.0, smoothness=math.nan, secant=math.nan)
    found = RunConstants.widest([one, other])
    assert (found.gradient_bound, found.first_loss, found.least_loss) == (9.0, 7.5, 1.0)
    assert found.smoothness == one.smoothness == found.slope
    assert math.isnan(other.slope)
    with pytest.raises(ArgumentError, match="in dimensions none"):
        RunConstants.widest([])
    with pytest.raises(ArgumentError, match="in dimensions 2, 3"):
        RunConstants.widest([one, replace(one, dimension=3)])


def test_without_the_full_loss_smoothness_and_noise_are_not_measured() -> None:
    model = Bowl()
    recorder = ConstantsRecorder(model)
    model().backward()
    recorder.record(6.5)
    found = recorder.constants()
    assert math.isnan(found.smoothness)
    assert math.isnan(found.noise_variance)
    assert math.isnan(found.secant)


def test_the_variance_of_noise_is_that_from_the_full_gradient() -> None:
    model = Bowl()
    recorder = ConstantsRecorder(model, lambda model: model())
    model().backward()
    assert model.point.grad is not None
    model.point.grad += torch.tensor([0.0, 2.0])
    recorder.record(6.5)
    assert recorder.constants().noise_variance == pytest.approx(4.0)


def test_what_has_no_gradient_is_refused() -> None:
    recorder = ConstantsRecorder(Bowl())
    with pytest.raises(ArgumentError, match="no parameter has a gradient"):
        recorder.record(1.0)
    with pytest.raises(ArgumentError, match="at least one record"):
        recorder.constants()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_run_that_diverges_has_no_constants_from_there_on(bad: float) -> None:
    model = Bowl()
    recorder = ConstantsRecorder(model)
    model().backward()
    recorder.record(6.5)
    before = recorder.constants()
    assert model.point.grad is not None
    model.point.grad[0] = bad
    with pytest.raises(ArgumentError, match="step 2: the gradient is not finite"):
        recorder.record(6.5)
    assert recorder.constants().gradient_bound == before.gradient_bound
    with pytest.raises(ArgumentError, match="every=0"):
        ConstantsRecorder(model, every=0)
