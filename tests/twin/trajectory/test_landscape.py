from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError, DataError
from waddington.twin.trajectory.landscape import QuasiPotential, quasi_potential


def _fork(n: int = 1500, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    times, side = rng.uniform(size=n), rng.choice([-1, 1], n)
    plane = np.column_stack([2.5 * side * np.clip(times - 0.3, 0, None), -4 * times])
    return plane + rng.normal(scale=0.12, size=plane.shape), times, side


def _ground() -> tuple[QuasiPotential, np.ndarray, np.ndarray, np.ndarray]:
    plane, times, side = _fork()
    return quasi_potential(plane, times), plane, times, side


def test_ground_falls_from_progenitors_to_fates() -> None:
    ground, plane, times, _ = _ground()
    heights = [ground.at(plane[(times >= a) & (times < a + 0.2)]).mean() for a in (0.0, 0.2, 0.4, 0.6, 0.8)]
    assert np.all(np.diff(heights) < 0)
    assert ground.height.min() == 0.0


def test_a_ridge_parts_the_fates() -> None:
    ground, plane, times, side = _ground()
    fates = [plane[(times > 0.9) & (side == s)].mean(axis=0) for s in (-1, 1)]
    between = np.mean(fates, axis=0)
    assert ground.at(between) > max(float(ground.at(fate)) for fate in fates) + 1.0


def test_a_pile_of_progenitors_is_no_attractor() -> None:
    plane, times, _ = _fork()
    early = times < 0.15
    piled = np.concatenate([plane, *[plane[early] + 0.01 * k for k in range(6)]])
    clock = np.concatenate([times, *[times[early]] * 6])
    ground = quasi_potential(piled, clock)
    assert ground.at(plane[early]).mean() > ground.at(plane[times > 0.9]).mean()


def test_height_reads_the_grid_back() -> None:
    ground, _, _, _ = _ground()
    rows, columns = [3, 40, 90], [5, 30, 60]
    places = np.column_stack([ground.x[columns], ground.y[rows]])
    assert np.allclose(ground.at(places), ground.height[rows, columns])
    assert np.allclose(ground.pseudotime_at(places), ground.pseudotime[rows, columns])


def test_no_tilt_leaves_density_alone() -> None:
    plane, times, _ = _fork()
    flat = quasi_potential(plane, times, tilt=0.0, floor=0.05)
    expected = -np.log(flat.support + 0.05)
    assert np.allclose(flat.height, expected - expected.min())


@settings(deadline=None, max_examples=10)
@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_moving_and_scaling_the_plane_changes_nothing(shift: float, scale: float) -> None:
    plane, times, _ = _fork(300)
    here = quasi_potential(plane, times)
    there = quasi_potential(plane * scale + shift, times)
    assert np.allclose(here.at(plane), there.at(plane * scale + shift), atol=0.05)


def test_cells_without_pseudotime_are_left_out() -> None:
    plane, times, _ = _fork(300)
    more = quasi_potential(np.concatenate([plane, [[900.0, 900.0]]]), np.append(times, np.nan))
    assert np.array_equal(more.height, quasi_potential(plane, times).height)


def test_bad_input_is_refused() -> None:
    plane, times, _ = _fork(50)
    with pytest.raises(DataError, match="49 pseudotimes"):
        quasi_potential(plane, times[:49])
    with pytest.raises(DataError, match="found 5 cells with finite values"):
        quasi_potential(plane[:5], times[:5])
    with pytest.raises(DataError, match="one point"):
        quasi_potential(np.zeros((50, 2)), times)
    with pytest.raises(ArgumentError, match="floor"):
        quasi_potential(plane, times, floor=0.0)
