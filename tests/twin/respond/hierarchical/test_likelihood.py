"""The marginal likelihood and a step of expectation maximization, against the equations themselves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.twin.respond.hierarchical.dense import MIXED, SINGLES, Screen, a_screen, dense_negative_log_likelihood

from waddington.twin.respond.hierarchical import likelihood
from waddington.twin.respond.hierarchical.likelihood import (
    Strengths,
    combination_variance,
    negative_log_likelihood,
    pair_kernel,
    posterior_of,
    update,
)

SCREENS = {
    "singles": a_screen(SINGLES),
    "mixed": a_screen(MIXED),
    "coupled pairs": a_screen(MIXED, kappa=0.9),
}


def likelihood_of(screen: Screen, *, pairs_together: bool = True) -> float:
    design = screen.design(pairs_together=pairs_together)
    return negative_log_likelihood(posterior_of(design, screen.n, screen.y, screen.strengths))


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_the_likelihood_is_that_of_contrasts_up_to_a_constant(screen: Screen) -> None:
    s = screen.strengths
    others = [
        replace(screen, strengths=replace(s, a=s.a * np.linspace(0.3, 2.0, len(s.a)), c=1.0)),
        replace(screen, strengths=replace(s, l=s.l[::-1].copy(), w=1.0)),
    ]
    for other in others:
        found = likelihood_of(other) - likelihood_of(screen)
        expected = dense_negative_log_likelihood(other) - dense_negative_log_likelihood(screen)
        assert found == pytest.approx(expected, rel=1e-9)


def transcribed_update(screen: Screen) -> tuple[Strengths, float]:
    """Take one step as the equations have it, of all conditions at once; give the mean l before it was made 1, too."""
    s, n, y, names = screen.strengths, screen.n, screen.y, screen.perturbations
    z = np.array([[float(name in one) for name in names] for one in screen.parts])
    combined = z.sum(axis=1) > 1
    x = z * np.where(combined, s.c, 1.0)[:, None]
    e = np.where(combined, s.w * (z @ s.a), 0.0)
    kernel = np.eye(len(n))
    pairs = np.flatnonzero(z.sum(axis=1) == 2)
    members = np.array([np.flatnonzero(z[row]) for row in pairs]).reshape(-1, 2)
    if s.kappa:
        coupled = s.kappa * pair_kernel(s.similarity, members, members)
        np.fill_diagonal(coupled, 1.0)
        kernel[np.ix_(pairs, pairs)] = coupled
    root = np.sqrt(n)[:, None]
    inner = x @ np.diag(s.a) @ x.T + np.sqrt(np.outer(e, e)) * kernel
    values, u = np.linalg.eigh(root * inner * root.T)
    b = u.T * np.sqrt(n)
    o, turned = b @ np.ones(len(n)), b @ y
    m = b @ x @ np.diag(s.a)
    second = np.empty((y.shape[1], len(names)))
    for g in range(y.shape[1]):
        d = 1.0 / (1.0 + s.l[g] * np.maximum(values, 0.0))
        mu = (d * o @ turned[:, g]) / (d @ o**2)
        r = turned[:, g] - mu * o
        mean = s.l[g] * (d * r @ m)
        variance = s.l[g] * s.a - s.l[g] ** 2 * (d @ m**2 - (d * o @ m) ** 2 / (d @ o**2))
        second[g] = mean**2 + np.maximum(variance, 0.0)
    l = np.maximum(((second / s.a).sum(axis=1) + 3.0) / (len(names) + 3.0), 1e-4)  # noqa: E741
    scale = float(l.mean())
    l /= scale  # noqa: E741
    return replace(s, a=np.maximum((second / l[:, None]).mean(axis=0), 1e-7), l=l), scale


@pytest.mark.parametrize("screen", SCREENS.values(), ids=SCREENS)
def test_a_step_is_what_the_equations_say(screen: Screen) -> None:
    design = screen.design(pairs_together=screen.strengths.kappa > 0)
    found = update(posterior_of(design, screen.n, screen.y, screen.strengths))
    expected, _ = transcribed_update(screen)
    np.testing.assert_allclose(found.a, expected.a, rtol=1e-9)
    np.testing.assert_allclose(found.l, expected.l, rtol=1e-9)
    assert (found.c, found.w, found.kappa) == (expected.c, expected.w, expected.kappa)


@pytest.mark.parametrize("parts", [SINGLES, MIXED], ids=["singles", "mixed"])
def test_blocks_and_slices_change_nothing(parts, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = a_screen(parts, features=5)

    def everything(*, pairs_together: bool) -> np.ndarray:
        design = screen.design(pairs_together=pairs_together)
        posterior = posterior_of(design, screen.n, screen.y, screen.strengths)
        new = update(posterior)
        return np.concatenate([posterior.mu, posterior.precision, [negative_log_likelihood(posterior)], new.a, new.l])

    whole = everything(pairs_together=False)
    np.testing.assert_allclose(everything(pairs_together=True), whole, rtol=1e-9)
    monkeypatch.setattr(likelihood, "_ELEMENTS", 2 * len(parts))
    np.testing.assert_allclose(everything(pairs_together=False), whole, rtol=1e-12)


def penalty(l: np.ndarray) -> float:  # noqa: E741
    """Minus the logarithm of the inverse gamma prior that the three responses of every feature stand for."""
    return float(1.5 * (np.log(l) + 1.0 / l).sum())


def test_a_step_with_singles_never_loses_likelihood_beyond_the_prior() -> None:
    """The prior is on l before its mean is made 1, which a makes up for."""
    for seed in range(5):
        screen = a_screen(SINGLES, features=6, seed=seed)
        for _ in range(8):
            new, scale = transcribed_update(screen)
            after = replace(screen, strengths=new)
            gain = likelihood_of(screen) + penalty(screen.strengths.l) - likelihood_of(after) - penalty(new.l * scale)
            assert gain >= -1e-9
            screen = after


def test_steps_with_combinations_raise_the_likelihood_on_the_whole() -> None:
    """A step passes over what the interaction tells of a and l, so no single one is bound to gain."""
    for seed in range(5):
        screen = a_screen(MIXED, features=30, seed=seed)
        design, strengths = screen.design(), replace(screen.strengths, a=np.ones(9), l=np.ones(30))
        before = negative_log_likelihood(posterior_of(design, screen.n, screen.y, strengths))
        for _ in range(10):
            strengths = update(posterior_of(design, screen.n, screen.y, strengths))
        assert negative_log_likelihood(posterior_of(design, screen.n, screen.y, strengths)) < before


def test_only_combinations_interact_in_proportion_to_their_strengths() -> None:
    screen = a_screen(MIXED)
    s = screen.strengths
    strength = dict(zip(screen.perturbations, s.a, strict=True))
    expected = [s.w * sum(strength[part] for part in one) if len(one) > 1 else 0.0 for one in screen.parts]
    np.testing.assert_allclose(combination_variance(screen.design(), s), expected, rtol=1e-12)


def test_the_kernel_over_pairs_is_one_with_itself_and_a_covariance() -> None:
    rho = a_screen(MIXED).strengths.similarity
    pairs = np.array([(i, j) for i in range(9) for j in range(i)])
    found = pair_kernel(rho, pairs, pairs)
    np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-12)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    np.testing.assert_allclose(pair_kernel(rho, pairs[:, ::-1], pairs), found, rtol=1e-12)
