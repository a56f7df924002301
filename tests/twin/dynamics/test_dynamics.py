"""Edits that unfold, drift, noise and disturbances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.twin.dynamics import Dynamics, build_dynamics, fit_flow
from waddington.twin.respond.latent import LatentResponse

SHIFTS = np.array([[1.0, 0.0, 0.5], [0.0, 2.0, 0.0], [-1.0, 1.0, 1.0]], np.float32)


def quiet(**changes: Any) -> Dynamics:
    """Make dynamics without noise, drift or disturbance."""
    settings_ = {"effects": SHIFTS, "perturbations": ("A", "B", "C"), "scale": 0.8, "disturbance_prob": 0.0}
    return Dynamics(**(settings_ | changes))


def run(dynamics: Dynamics, plan: list[list[int]], *, n: int = 1, seed: int = 0) -> tuple[dict[str, Any], np.ndarray]:
    """Give the edits of each step to n cells, and say how many were taken."""
    rng = np.random.default_rng(seed)
    state = dynamics.reset(np.zeros((n, dynamics.n_features), np.float32))
    taken = np.zeros(n, int)
    for edits in plan:
        taken += dynamics.apply(state, np.broadcast_to(edits, n))
        dynamics.step(state, rng)
    return state, taken


@given(duration=st.integers(1, 9), gap=st.integers(0, 4), scale=st.floats(0.0, 1.2), order=st.permutations([0, 1, 2]))
@settings(deadline=None, max_examples=30)
def test_a_finished_combination_arrives_at_its_prediction(
    duration: int, gap: int, scale: float, order: list[int]
) -> None:
    dynamics = quiet(duration=duration, scale=scale)
    plan = [[order[0]]] + [[3]] * gap + [[order[1]]] + [[3]] * duration
    state, taken = run(dynamics, plan)
    assert taken[0] == 2
    np.testing.assert_allclose(state["z"][0], scale * (SHIFTS[order[0]] + SHIFTS[order[1]]), atol=1e-5)


def test_an_edit_unfolds_evenly_and_stops() -> None:
    dynamics = quiet(duration=4)
    for steps, share in ((1, 0.25), (2, 0.5), (4, 1.0), (9, 1.0)):
        state, _ = run(dynamics, [[1], *([[3]] * (steps - 1))])
        np.testing.assert_allclose(state["z"][0], share * SHIFTS[1], atol=1e-6)
        assert state["progress"][0, 1] == pytest.approx(share)


def test_no_cell_carries_two_doses_of_a_drug_or_two_modes_of_a_gene() -> None:
    for second in ("Dex@10:drug", "Dex:knockout"):
        dynamics = quiet(perturbations=("Dex@1:drug", second, "Vit@1:drug"), duration=1, max_perturbations=3)
        state, taken = run(dynamics, [[0], [1], [2], [3]])
        assert taken[0] == 2
        assert (state["progress"][0] > 0).tolist() == [True, False, True]


def test_edits_are_permanent_and_bounded() -> None:
    state, taken = run(quiet(max_perturbations=1, duration=1), [[0], [0], [1]])
    assert taken[0] == 1
    np.testing.assert_allclose(state["z"][0], SHIFTS[0])
    _, taken = run(quiet(max_perturbations=3), [[0], [1], [2], [3], [0]])
    assert taken[0] == 3


def test_disturbances_come_at_their_rate_and_have_no_preferred_direction() -> None:
    n = 20_000
    dynamics = quiet(disturbance_prob=0.1, disturbance_scale=0.25)
    state, _ = run(dynamics, [[3]], n=n)
    moved = np.any(state["z"] != 0, axis=1)
    assert moved.mean() == pytest.approx(0.1, abs=0.01)
    assert np.abs(state["z"].mean(axis=0)).max() < 0.01
    sizes = np.unique(np.abs(state["z"][moved]).round(4), axis=0)
    np.testing.assert_allclose(sizes, np.unique(np.abs(0.25 * SHIFTS).round(4), axis=0))


def test_noise_has_the_asked_spread_and_states_stay_bounded() -> None:
    dynamics = quiet(noise_sd=np.array([0.1, 0.2, 0.0], np.float32))
    state, _ = run(dynamics, [[3]], n=20_000)
    np.testing.assert_allclose(state["z"].std(axis=0), [0.1, 0.2, 0.0], rtol=0.03)
    state, _ = run(quiet(noise_sd=np.full(3, 50.0, np.float32), clip=2.0), [[3]] * 3, n=50)
    assert np.abs(state["z"]).max() == 2.0


def test_flow_is_the_direction_of_differentiation() -> None:
    rng = np.random.default_rng(0)
    time = rng.uniform(0, 1, 3000)
    # Cells on a parabola, so the direction changes along the way.
    z = np.stack([4 * time, 4 * time**2, np.zeros(3000)], axis=1) + 0.02 * rng.standard_normal((3000, 3))
    landmarks, drift, bandwidth = fit_flow(z, time, seed=1)
    dynamics = quiet(landmarks=landmarks, drift=drift, bandwidth=bandwidth, drift_rate=0.01)
    where = np.array([0.2, 0.5, 0.8])
    found = dynamics.flow(np.stack([4 * where, 4 * where**2, 0 * where], axis=1).astype(np.float32))
    expected = np.stack([np.full(3, 4.0), 8 * where, np.zeros(3)], axis=1)
    speed, true_speed = np.linalg.norm(found, axis=1), np.linalg.norm(expected, axis=1)
    assert (np.sum(found * expected, axis=1) > 0.97 * speed * true_speed).all()
    # Neighbours are chosen by z, which narrows their spread along the way: the speed errs on the slow side.
    assert ((speed > 0.65 * true_speed) & (speed < 1.1 * true_speed)).all()
    state = dynamics.reset(np.zeros((1, 3), np.float32))
    for _ in range(50):
        dynamics.step(state, rng)
    x, y, side = state["z"][0]
    assert 1.2 < x < 2.2
    assert y == pytest.approx(x**2 / 4, abs=0.15)
    assert side == pytest.approx(0.0, abs=0.15)


def test_flow_leaves_out_cells_without_a_pseudotime_and_survives_equal_ages() -> None:
    z = np.random.default_rng(0).standard_normal((50, 4))
    time = np.where(np.arange(50) < 40, 0.5, np.nan)
    landmarks, drift, _ = fit_flow(z, time)
    assert len(landmarks) == 40
    assert np.isfinite(drift).all()
    np.testing.assert_allclose(drift, 0.0, atol=1e-3)
    with pytest.raises(ArgumentError, match="0 cells with a pseudotime"):
        fit_flow(z, np.full(50, np.nan))
    with pytest.raises(ArgumentError, match=r"accepted \(n, d\) and \(n,\)"):
        fit_flow(z, time[:-1])


def test_same_seed_same_bits() -> None:
    dynamics = quiet(noise_sd=np.ones(3, np.float32), disturbance_prob=0.5)
    first, second, other = (run(dynamics, [[0], [3]], n=9, seed=seed)[0]["z"] for seed in (4, 4, 5))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, other)


def test_arrays_are_frozen_copies() -> None:
    shifts = SHIFTS.copy()
    dynamics = quiet(effects=shifts)
    shifts[:] = 0
    np.testing.assert_array_equal(dynamics.effects, SHIFTS)
    with pytest.raises(ValueError, match="read-only"):
        dynamics.effects[0] = 1.0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"perturbations": ("A",)}, r"effects of shape \(3, 3\): accepted \(1, 3\)"),
        ({"noise_sd": np.ones(2)}, r"noise_sd of shape \(2,\)"),
        ({"landmarks": np.ones((4, 2)), "drift": np.ones((4, 2))}, "landmarks"),
        ({"landmarks": np.ones((4, 3))}, "drift"),
        ({"duration": 0}, "duration"),
        ({"disturbance_prob": 1.5}, "disturbance_prob"),
        ({"max_perturbations": 0}, "max_perturbations"),
    ],
)
def test_refuses_impossible_worlds(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        quiet(**changes)


def test_built_from_a_response() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(["control", "A:knockout", "B:knockout"], 50)
    z = rng.standard_normal((150, 4)) + (labels == "A:knockout")[:, None]
    response = LatentResponse.fit(z, labels)
    dynamics = build_dynamics(
        response, flow=fit_flow(z, rng.uniform(size=150)), noise_fraction=0.1, max_perturbations=1
    )
    assert dynamics.perturbations == ("A:knockout", "B:knockout")
    np.testing.assert_allclose(dynamics.effects, response.effects, rtol=1e-6)
    np.testing.assert_allclose(dynamics.noise_sd, 0.1 * response.residual_sd, rtol=1e-6)
    assert (dynamics.max_perturbations, len(dynamics.landmarks)) == (1, 64)
    assert not len(build_dynamics(response).landmarks)
