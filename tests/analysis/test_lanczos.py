from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cases import rotated
from waddington.analysis.lanczos import extreme_eigenpairs, quadrature

SPREAD = [5.0, 5.0, 3.0, *np.linspace(-0.4, 1.0, 77).tolist()]


def start(size: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(size, generator=torch.Generator().manual_seed(7), dtype=dtype)


@pytest.mark.parametrize(("largest", "smallest"), [(1, 0), (0, 1), (1, 1), (3, 2), (5, 0), (80, 0), (40, 40)])
def test_both_ends_are_found_and_so_is_an_eigenvalue_that_occurs_twice(largest: int, smallest: int) -> None:
    matrix = rotated(SPREAD)
    found = extreme_eigenpairs(lambda v: matrix @ v, start(80), largest=largest, smallest=smallest)
    wanted = np.sort(SPREAD)
    np.testing.assert_allclose(found.largest, wanted[::-1][:largest], atol=1e-5)
    np.testing.assert_allclose(found.smallest, wanted[:smallest], atol=1e-5)
    assert found.converged
    values = torch.as_tensor(np.r_[found.largest, found.smallest])
    residual = (found.vectors @ matrix - values[:, None] * found.vectors).norm(dim=1)
    assert (residual <= 1.01e-4 * 5.0).all()


def test_a_full_basis_is_restarted_and_memory_stays() -> None:
    values = np.linspace(0.0, 1.0, 2000)
    diagonal = torch.as_tensor(values)
    found = extreme_eigenpairs(lambda v: diagonal * v, start(2000), largest=1, smallest=1, tolerance=1e-5)
    assert found.products > 48
    assert found.converged
    np.testing.assert_allclose([found.largest[0], found.smallest[0]], [1.0, 0.0], atol=1e-6)


def test_what_has_not_settled_says_so_and_its_residual_bounds_the_error() -> None:
    matrix = rotated(np.linspace(0.0, 1.0, 60).tolist())
    found = extreme_eigenpairs(lambda v: matrix @ v, start(60), max_products=6)
    assert (found.products, found.converged) == (6, False)
    nearest = np.abs(np.linspace(0.0, 1.0, 60) - found.largest[0]).min()
    assert nearest <= found.residuals[0]


@pytest.mark.parametrize("value", [2.0, 0.0])
def test_a_multiple_of_the_identity(value: float) -> None:
    found = extreme_eigenpairs(lambda v: value * v, start(9), largest=2, smallest=2)
    np.testing.assert_allclose([*found.largest, *found.smallest], value)
    assert found.converged


def test_a_single_coordinate() -> None:
    found = extreme_eigenpairs(lambda v: -3.0 * v, start(1))
    assert found.largest.tolist() == [-3.0]


def test_single_precision() -> None:
    matrix = rotated(SPREAD).float()
    found = extreme_eigenpairs(lambda v: matrix @ v, start(80, torch.float32), largest=2, smallest=1)
    np.testing.assert_allclose([*found.largest, *found.smallest], [5.0, 5.0, -0.4], rtol=1e-5)


@settings(max_examples=25)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12), st.integers(0, 1000))
def test_any_spectrum(values: list[float], seed: int) -> None:
    matrix = rotated(values, seed)
    found = extreme_eigenpairs(lambda v: matrix @ v, start(len(values)), largest=1, smallest=1)
    np.testing.assert_allclose([found.largest[0], found.smallest[0]], [max(values), min(values)], atol=1e-3)


def test_quadrature_is_exact_for_polynomials_below_twice_its_steps() -> None:
    matrix = rotated(np.linspace(-1.0, 2.0, 30).tolist())
    vector = start(30)
    nodes, weights = quadrature(lambda v: matrix @ v, vector, 5)
    assert len(nodes) == 5
    image = vector / vector.norm()
    for power in range(10):
        direct = float(vector @ image) / float(vector.norm())
        assert weights @ nodes**power == pytest.approx(direct, rel=1e-9)
        image = matrix @ image


def test_quadrature_ends_where_the_space_of_its_vector_does() -> None:
    nodes, weights = quadrature(lambda v: 3.0 * v, start(20), 10)
    np.testing.assert_allclose(nodes, [3.0])
    np.testing.assert_allclose(weights, [1.0])


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e30])
def test_eigenvalues_scale_with_the_matrix_as_far_as_single_precision_goes(scale: float) -> None:
    values = torch.tensor([4.0, 2.0, 1.0, 0.5, -0.25])
    basis = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))[0]
    matrix = scale * (basis @ torch.diag(values) @ basis.T)
    start = torch.randn(5, generator=torch.Generator().manual_seed(1))
    found = extreme_eigenpairs(lambda vector: matrix @ vector, start, largest=2, smallest=1)
    np.testing.assert_allclose(np.r_[found.largest, found.smallest] / scale, [4.0, 2.0, -0.25], rtol=1e-4)
    nodes, weights = quadrature(lambda vector: matrix @ vector, start, 5)
    assert weights @ nodes / scale == pytest.approx(float(start @ (matrix / scale) @ start / start.square().sum()))


@pytest.mark.parametrize("end", [1, -1])
def test_a_single_direction_is_seen_among_a_hundred_thousand_others(end: int) -> None:
    """One product has a residual below the tolerance there, and has seen nothing of it."""
    matrix = torch.ones(100_000, dtype=torch.float64)
    matrix[7] = 1.02
    start = torch.randn(100_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = extreme_eigenpairs(lambda vector: end * matrix * vector, start, largest=end == 1, smallest=end == -1)
    assert abs(np.r_[found.largest, found.smallest][0]) == pytest.approx(1.02)
    assert found.converged
    hasty = extreme_eigenpairs(lambda vector: matrix * vector, start, max_products=1)
    assert (hasty.largest[0], hasty.converged) == (pytest.approx(1.0, abs=1e-6), False)
