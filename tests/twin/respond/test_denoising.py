"""Effects freed of noise, against the mixture's own integrals, and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from waddington.twin.respond.denoising import denoised, posterior_means
from waddington.twin.respond.measured import Measured, Table

SIZES = np.concatenate([[0.0], np.geomspace(0.02, 4.0, 14)])


def transcribed(effect: np.ndarray, variance: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Fit the mixture as its equations have it, one feature at a time."""
    share = np.full(15, 1 / 15)
    for _ in range(60):
        counts = np.eye(15)[0] * 5.0
        for x, v, s in zip(effect, variance, sd, strict=True):
            density = share * stats.norm.pdf(x, scale=np.sqrt((SIZES * s) ** 2 + v))
            counts += density / density.sum()
        share = counts / counts.sum()
    found = []
    for x, v, s in zip(effect, variance, sd, strict=True):
        density = share * stats.norm.pdf(x, scale=np.sqrt((SIZES * s) ** 2 + v))
        found.append(x * (density / density.sum()) @ ((SIZES * s) ** 2 / ((SIZES * s) ** 2 + v)))
    return np.array(found)


def test_is_the_posterior_mean_of_the_mixture() -> None:
    rng = np.random.default_rng(0)
    sd = rng.uniform(0.2, 1.0, 12)
    variance = sd**2 / 30
    effect = rng.standard_normal(12) * np.repeat([0.0, 0.5], 6) + np.sqrt(variance) * rng.standard_normal(12)
    np.testing.assert_allclose(posterior_means(effect, variance, sd), transcribed(effect, variance, sd), rtol=1e-8)


def test_noise_goes_and_effects_stay() -> None:
    rng = np.random.default_rng(1)
    truth = np.repeat([0.0, 2.0], [180, 20])
    variance = np.full(200, 0.04)
    found = posterior_means(truth + 0.2 * rng.standard_normal(200), variance, np.ones(200))
    assert np.square(found[:180]).mean() < 0.1 * 0.04
    assert found[180:].mean() == pytest.approx(2.0, rel=0.1)


def test_effects_shrink_and_keep_their_sign() -> None:
    rng = np.random.default_rng(2)
    effect = rng.standard_normal(50)
    found = posterior_means(effect, np.full(50, 0.1), np.ones(50))
    assert (np.abs(found) <= np.abs(effect)).all()
    assert (found * effect >= 0).all()


def test_features_without_variance_and_the_control_stay_at_nothing() -> None:
    mean = np.array([[1.0, 2.0], [2.0, 2.0]])
    variance = np.array([[0.5, 0.0], [0.5, 0.0]])
    measured = Measured(
        kind="perturbation",
        labels=("control", "A:knockout"),
        n=np.array([20.0, 20.0]),
        tables={"rna": Table(mean=mean, variance=variance)},
        names={},
    )
    found = denoised(measured, "rna")
    assert not found[0].any()
    assert found[1, 1] == 0.0
    assert 0.0 < found[1, 0] < 1.0
