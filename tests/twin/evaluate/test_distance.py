"""E-distance and energy test, against their definitions and what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from waddington.errors import ArgumentError, DataError
from waddington.twin.evaluate.distance import e_distance, energy_test

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(7, 3)), RNG.normal(loc=0.5, size=(5, 3))


def by_definition(x: np.ndarray, y: np.ndarray, *, squared: bool, unbiased: bool) -> float:
    def mean(a: np.ndarray, b: np.ndarray, *, same: bool) -> float:
        power = 1 if squared else 0.5
        pairs = [
            float(np.square(one - other).sum()) ** power
            for i, one in enumerate(a)
            for j, other in enumerate(b)
            if not (same and unbiased and i == j)
        ]
        return sum(pairs) / len(pairs)

    return 2 * mean(x, y, same=False) - mean(x, x, same=True) - mean(y, y, same=True)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("unbiased", [False, True])
def test_it_is_the_definition(*, squared: bool, unbiased: bool) -> None:
    expected = by_definition(X, Y, squared=squared, unbiased=unbiased)
    assert e_distance(X, Y, squared=squared, unbiased=unbiased) == pytest.approx(expected, rel=1e-12)


def test_on_a_line_it_is_the_square_of_scipys() -> None:
    x, y = X[:, :1], Y[:, :1]
    assert e_distance(x, y, unbiased=False) == pytest.approx(stats.energy_distance(x[:, 0], y[:, 0]) ** 2, rel=1e-12)


def test_two_points_lie_twice_their_distance_apart() -> None:
    x, y = np.zeros((3, 2)), np.tile([3.0, 4.0], (4, 1))
    assert e_distance(x, y) == pytest.approx(10.0)
    assert e_distance(x, y, squared=True) == pytest.approx(50.0)


def test_squared_distances_see_means_alone_and_plain_ones_more() -> None:
    wide = np.array([[-2.0], [2.0]] * 20)
    narrow = wide / 4
    assert e_distance(wide, narrow, squared=True, unbiased=False) == pytest.approx(0.0, abs=1e-9)
    assert e_distance(wide, narrow, unbiased=False) > 0.5


finite = st.floats(-1e3, 1e3, allow_subnormal=False)
cells = st.integers(2, 6).flatmap(lambda n: arrays(np.float64, (n, 2), elements=finite))


@settings(max_examples=25, deadline=None)
@given(cells, cells, st.tuples(finite, finite))
def test_it_is_symmetric_blind_to_translation_and_zero_beside_itself(
    x: np.ndarray, y: np.ndarray, shift: tuple[float, float]
) -> None:
    found = e_distance(x, y, unbiased=False)
    assert found >= -1e-3
    assert e_distance(y, x, unbiased=False) == pytest.approx(found, abs=1e-3)
    assert e_distance(x + shift, y + shift, unbiased=False) == pytest.approx(found, abs=1e-3)
    assert e_distance(x, x, unbiased=False) == pytest.approx(0.0, abs=1e-3)


def test_unbiased_estimates_of_nothing_have_the_mean_zero() -> None:
    rng = np.random.default_rng(1)
    found = [e_distance(*rng.normal(size=(2, 6, 2))) for _ in range(200)]
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(200)


def test_blocks_give_what_one_piece_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = energy_test(X, Y, n_permutations=20)
    monkeypatch.setattr("waddington.twin._energy._ELEMENTS", 13)
    parts = energy_test(X, Y, n_permutations=20)
    assert parts.distance == pytest.approx(whole.distance, rel=1e-12)
    assert parts.p_value == whole.p_value


def test_p_values_of_noise_are_uniform() -> None:
    rng = np.random.default_rng(2)
    found = [energy_test(*rng.normal(size=(2, 8, 3)), n_permutations=39, seed=i).p_value for i in range(200)]
    # Uniform on 1/40, 2/40, …, 1.
    assert stats.kstest(np.array(found) - rng.uniform(0, 1 / 40, 200), "uniform").pvalue > 0.01


def test_populations_that_differ_have_the_smallest_p() -> None:
    found = energy_test(X, X + 5.0, n_permutations=99)
    assert found.p_value == 0.01
    assert (found.n_x, found.n_y, found.n_left_out, found.n_permutations) == (7, 7, 0, 99)


def test_equal_cells_have_the_largest_p() -> None:
    assert energy_test(np.ones((4, 2)), np.ones((3, 2)), n_permutations=19).p_value == 1.0


def test_of_many_cells_some_are_drawn_and_the_rest_counted() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(300, 2)), rng.normal(loc=1.0, size=(40, 2))
    found = energy_test(x, y, n_permutations=9, max_cells=50, seed=4)
    assert (found.n_x, found.n_y, found.n_left_out) == (50, 40, 250)
    assert found == energy_test(x, y, n_permutations=9, max_cells=50, seed=4)
    assert found.distance != e_distance(x, y, max_cells=50, seed=5)
    assert e_distance(x, y, max_cells=50, seed=4) == pytest.approx(found.distance, rel=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "error", "says"),
    [
        (X[:, 0], Y, ArgumentError, r"shape \(7,\) with cells of shape \(5, 3\)"),
        (X[:, :2], Y, ArgumentError, r"shape \(7, 2\)"),
        (X[:1], Y, DataError, "1 cell and 5 cells: accepted is at least 2"),
        (np.where(X > 0, np.nan, X), Y, DataError, "not finite"),
    ],
)
def test_what_cannot_be_compared_is_refused(x: np.ndarray, y: np.ndarray, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        e_distance(x, y)


def test_numbers_are_refused_by_name() -> None:
    with pytest.raises(ArgumentError, match="n_permutations=0"):
        energy_test(X, Y, n_permutations=0)
    with pytest.raises(ArgumentError, match="max_cells=1"):
        e_distance(X, Y, max_cells=1)
