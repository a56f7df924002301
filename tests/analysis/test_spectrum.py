from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from analysis.cases import build, dense, loss_of, quadratic, value
from waddington.analysis import spectral_density
from waddington.analysis.spectrum import broadened


def trapezoid(values: np.ndarray, grid: np.ndarray) -> float:
    return float(0.5 * (values[1:] + values[:-1]) @ np.diff(grid))


def test_the_density_is_that_of_the_dense_hessian() -> None:
    model, loss = build("mlp"), loss_of("mlp")
    values = torch.linalg.eigvalsh(dense(model, loss)[1]).numpy()
    found = spectral_density(model, loss, steps=20, probes=80, width=0.05)
    exact = broadened(values, np.full(len(values), 1.0 / len(values)), found.grid, found.width)
    assert trapezoid(found.density, found.grid) == pytest.approx(1.0, abs=1e-3)
    assert trapezoid(np.abs(found.density - exact), found.grid) < 0.15
    assert found.mean == pytest.approx(values.mean(), abs=0.01)
    assert (found.grid[0] < values[0], found.grid[-1] > values[-1]) == (True, True)


def test_two_steps_of_every_probe_already_have_mean_and_mean_square() -> None:
    spectrum = [4.0, 2.0, 1.0, 0.5, -0.25]
    found = spectral_density(quadratic(spectrum), value, steps=2, probes=400)
    assert found.mean == pytest.approx(np.mean(spectrum), abs=0.15)
    assert found.weights @ found.nodes**2 == pytest.approx(np.mean(np.square(spectrum)), rel=0.15)
    assert found.weights.sum() == pytest.approx(1.0)


def test_negative_curvature_has_its_share() -> None:
    found = spectral_density(quadratic([-1.0] * 5 + [1.0] * 15), value, steps=4, probes=100)
    assert found.negative_share == pytest.approx(0.25, abs=0.04)
    assert found.size == 20


def test_a_flat_loss_has_one_peak_at_zero() -> None:
    found = spectral_density(build("linear"), lambda model: model.weight.sum(), probes=2)
    assert found.nodes.tolist() == [0.0, 0.0]
    assert found.grid[found.density.argmax()] == pytest.approx(0.0, abs=0.01)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=8), st.floats(0.1, 10.0))
def test_a_broadened_density_integrates_to_its_weights(nodes: list[float], sigma: float) -> None:
    grid = np.linspace(min(nodes) - 8 * sigma, max(nodes) + 8 * sigma, 8001)
    density = broadened(np.array(nodes), np.full(len(nodes), 1.0 / len(nodes)), grid, sigma)
    assert trapezoid(density, grid) == pytest.approx(1.0, abs=1e-3)
