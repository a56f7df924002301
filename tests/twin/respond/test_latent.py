"""The additive response with a shrunken interaction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.conditions import parse_label
from waddington.twin.respond.latent import LatentResponse, fit_scale

A, B, C = "A:knockout", "B:activation", "C:knockout"
AB = f"{A}+{B}"


def cells(
    *, scale: float = 0.7, noise: float = 0.1, n: int = 200, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
    """Make control, two singles and their double around known shifts."""
    rng = np.random.default_rng(seed)
    shifts = {"control": np.zeros(5), A: rng.standard_normal(5), B: rng.standard_normal(5)}
    shifts[AB] = scale * (shifts[A] + shifts[B])
    labels = np.repeat(list(shifts), n)
    z = np.concatenate([np.tile(shift, (n, 1)) for shift in shifts.values()]) + 3.0
    return z + noise * rng.standard_normal(z.shape), labels, shifts


def test_recovers_shifts_scale_and_spread() -> None:
    z, labels, shifts = cells()
    response = LatentResponse.fit(z, labels)
    assert response.perturbations == [A, B]
    assert response.n_doubles == 1
    np.testing.assert_allclose(response.predict(A), shifts[A], atol=0.05)
    np.testing.assert_allclose(response.predict(AB), shifts[AB], atol=0.05)
    assert response.scale == pytest.approx(0.7, abs=0.03)
    np.testing.assert_allclose(response.residual_sd, 0.1, rtol=0.1)
    np.testing.assert_allclose(response.control_mean, 3.0, atol=0.05)


def test_conditions_may_be_labels_or_tuples_and_control_does_nothing() -> None:
    z, labels, _ = cells()
    response = LatentResponse.fit(z, labels)
    np.testing.assert_array_equal(response.predict(parse_label(AB)), response.predict(AB))
    np.testing.assert_array_equal(response.predict("control"), np.zeros(5))
    np.testing.assert_array_equal(response.predict(()), np.zeros(5))


def test_an_edit_without_cells_of_its_own_is_refused_by_name() -> None:
    z, labels, _ = cells()
    response = LatentResponse.fit(z, labels)
    assert response.unsupported(f"{A}+{C}") == [C]
    assert response.unsupported(AB) == []
    with pytest.raises(UnsupportedError, match=r"C:knockout alone; accepted.*A:knockout, B:activation"):
        response.predict(f"{A}+{C}")
    # An edit seen only within a double has no shift of its own.
    keep = labels != B
    with pytest.raises(UnsupportedError, match="B:activation"):
        LatentResponse.fit(z[keep], labels[keep]).predict(AB)


def test_without_doubles_the_model_is_additive() -> None:
    z, labels, _ = cells()
    keep = labels != AB
    response = LatentResponse.fit(z[keep], labels[keep])
    assert response.scale == 1.0
    np.testing.assert_allclose(response.predict(AB), response.predict(A) + response.predict(B))


def test_standard_error_is_the_spread_of_repeated_fits() -> None:
    fits = [LatentResponse.fit(*cells(n=40, noise=0.5, seed=0)[:2])]
    truth = cells(n=40, noise=0.0)[0]
    rng = np.random.default_rng(1)
    labels = cells(n=40)[1]
    fits = [LatentResponse.fit(truth + 0.5 * rng.standard_normal(truth.shape), labels) for _ in range(200)]
    observed = np.std([fit.predict(A) for fit in fits], axis=0)
    claimed = np.mean([fit.standard_error(A) for fit in fits], axis=0)
    np.testing.assert_allclose(claimed, observed, rtol=0.2)
    sums = np.std([fit.predict(A) + fit.predict(B) for fit in fits], axis=0)
    together = np.mean([fit.standard_error(AB) / fit.scale for fit in fits], axis=0)
    np.testing.assert_allclose(together, sums, rtol=0.15)
    record = fits[0].support[0]
    assert (record.label, record.n_cells) == (A, 40)
    assert record.noise_norm == pytest.approx(np.linalg.norm(fits[0].standard_error(A)))


@given(st.floats(0.0, 1.2), st.integers(1, 5), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_scale_is_found_whatever_the_weights(scale: float, pairs: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    sums = rng.standard_normal((pairs, 4))
    assert fit_scale(scale * sums, sums, weights=rng.uniform(1, 9, pairs)) == pytest.approx(scale, abs=1e-9)


@pytest.mark.parametrize(("factor", "expected"), [(-2.0, 0.0), (5.0, 1.2)])
def test_scale_is_clipped(factor: float, expected: float) -> None:
    sums = np.ones((2, 3))
    assert fit_scale(factor * sums, sums) == expected
    assert fit_scale(sums, np.zeros((2, 3))) == 1.0


def test_refuses_what_it_cannot_fit() -> None:
    z, labels, _ = cells(n=3)
    with pytest.raises(DataError, match="no cell labelled 'control'"):
        LatentResponse.fit(z[3:], labels[3:])
    with pytest.raises(DataError, match=r"shape \(12, 5\) and 11 labels"):
        LatentResponse.fit(z, labels[:-1])
    z[0, 0] = np.nan
    with pytest.raises(DataError, match="1 of 12 cells"):
        LatentResponse.fit(z, labels)
