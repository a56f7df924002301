from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from analysis.cases import build, loss_of
from waddington import optim
from waddington.analysis import DiagnosticsRecorder, GradientNoise, StepQuality, as_curves, watch_diagnostics
from waddington.errors import ArgumentError


def steps(model: Any, optimizer: torch.optim.Optimizer, count: int) -> None:
    for _ in range(count):
        optimizer.zero_grad()
        loss_of("mlp")(model).backward()
        optimizer.step()


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (optim.ASGDAdam, {"statistic", "cosine", "noise_steps", "alarms", "mean_rate"}),
        (lambda p: optim.ASGDAdam(p, switch="relative"), {"statistic", "large_rate_fraction", "mean_rate", "energy"}),
        (optim.AMGT, {"momentum_factor", "grad_variance", "rate_factor"}),
        (optim.AlphaAdam, {"keep_rate", "alpha", "rate_multiplier"}),
        (optim.AMVT, {"penalty", "signal_to_noise"}),
        (lambda p: optim.Masked(torch.optim.Adam(p)), {"keep_rate", "alpha"}),
        (optim.MicroAdam, {"kept_energy", "moved_share"}),
    ],
)
def test_every_optimizer_shows_its_own_figures_step_by_step(make: Any, names: set[str]) -> None:
    model = build("mlp")
    optimizer = make(model.parameters())
    with watch_diagnostics(optimizer) as recorder:
        steps(model, optimizer, 4)
    curves = recorder.curves()
    assert names | {"base_rate", "update_ratio", "update_cosine"} <= curves.figures.keys()
    assert curves.steps.tolist() == [1, 2, 3, 4]
    assert curves.figures["update_ratio"][-1] == optimizer.diagnostics().get(
        "update_ratio", curves.figures["update_ratio"][-1]
    )
    assert all(np.isfinite(curves.figures[name]).any() for name in names)
    steps(model, optimizer, 1)
    assert "update_ratio" not in optimizer.diagnostics()  # recording is off again
    assert len(recorder.curves().steps) == 4  # and nobody listens


def test_recording_that_was_on_stays_on() -> None:
    model = build("mlp")
    optimizer = optim.ASGDAdam(model.parameters())
    optimizer.record()
    with watch_diagnostics(optimizer):
        steps(model, optimizer, 1)
    assert "update_ratio" in optimizer.diagnostics()


def test_other_optimizers_have_their_rate_and_nothing_is_changed_by_watching() -> None:
    ends = []
    for watched in (False, True):
        model = build("mlp")
        optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
        schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
        recorder = DiagnosticsRecorder(optimizer, every=2)
        for _ in range(5):
            steps(model, optimizer, 1)
            schedule.step()
            if watched:
                recorder.record()
        ends.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
    assert torch.equal(*ends)
    assert recorder.curves().steps.tolist() == [2, 4]
    np.testing.assert_allclose(recorder.curves().figures["base_rate"], [0.025, 0.00625])


def test_results_along_a_run_become_curves() -> None:
    steps_taken = [StepQuality(1.0, 0.5 * at, 1.0, 2.0, 0.1, 3.0, 2.0) for at in range(3)]
    curves = as_curves(steps_taken, [10, 20, 30])
    assert curves.steps.tolist() == [10, 20, 30]
    assert curves.figures["sharpness"].tolist() == [0.0, 0.5, 1.0]
    assert curves.figures["predicted"].tolist() == [1.0, 0.75, 0.5]
    noise = as_curves([GradientNoise(2.0, 4.0, 3, 8)])
    assert (noise.steps.tolist(), noise.figures["noise_scale"].tolist()) == ([1], [2.0])
    with pytest.raises(ArgumentError, match="curves of GradientNoise, StepQuality: accepted are results of one kind"):
        as_curves([steps_taken[0], GradientNoise(2.0, 4.0, 3, 8)])
    with pytest.raises(ArgumentError, match="curves of nothing"):
        as_curves([])
    with pytest.raises(ArgumentError, match="2 steps of 3 results"):
        as_curves(steps_taken, [1, 2])
    with pytest.raises(ArgumentError, match="curves of int: accepted are results"):
        as_curves([3])  # type: ignore[list-item]
    with pytest.raises(ArgumentError, match=r"steps=1.5: steps must be a whole number"):
        as_curves(steps_taken, [1, 1.5, 2])  # type: ignore[list-item]


def test_a_pause_of_no_steps_is_refused() -> None:
    with pytest.raises(ArgumentError, match="every=0"):
        DiagnosticsRecorder(torch.optim.SGD(build("mlp").parameters(), lr=0.1), every=0)
