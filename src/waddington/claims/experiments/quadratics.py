"""Rates 1/(μk) on a quadratic: which power of k the distance falls with, by gradient descent and by AMGT itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from waddington import jobs
from waddington.analysis.bounds import amgt as theory
from waddington.analysis.bounds.powers import fit_power
from waddington.claims import pictures
from waddington.claims.experiments.comparing import Estimate, mean_of
from waddington.claims.finding import Finding
from waddington.claims.measurement import experiment, results_of

__all__ = ["converges", "decay", "draw_decay", "falls_as_claimed", "falls_like_1_over_k", "is_linear", "keeps_its_word"]

_RATIOS = (Fraction(3, 2), Fraction(27, 10))
"""Eigenvalues over μ; whole ones would end after so many steps."""
Rows = list[dict[str, Any]]


@experiment()
def decay(
    seed: int,
    *,
    rule: str,
    mu: float,
    noise: float = 0.0,
    threshold: float = 0.0,
    gamma: float | None = None,
    steps: int = 4000,
) -> Mapping[str, Any]:
    """Run a rule with 1/(μk) in two dimensions from a start of the seed; fit powers to the last two decades.

    Distances are the root mean square over each twelfth of a decade, so that all decades weigh alike.
    The error is that of the moment with λ = 1, which is AMGT's own at a `gamma` of 0; None leaves AMGT its default.
    """
    scale = Fraction(str(mu))
    function = theory.Quadratic(((_RATIOS[0] * scale, 0), (0, _RATIOS[1] * scale)))
    settings = {"threshold": threshold} if threshold else {}
    settings |= {} if gamma is None else {"gamma": gamma}
    found = theory.measure_decay(
        function,
        mu,
        rule="amgt" if rule == "AMGT" else "descent",
        start=[float(x) for x in np.random.default_rng(seed).uniform(0.5, 1.5, 2)],
        steps=steps,
        first=steps / 10,
        noise=noise,
        seed=seed,
        **settings,
    )
    at, curve = _binned(found.steps, found.distances)
    fit = fit_power(at, curve, first=steps / 100)
    errors = theory.threshold_errors(found.gradients, threshold=threshold)
    return {
        "rule": rule,
        "mu": mu,
        "noise": noise,
        "threshold": threshold,
        "steps": at.tolist(),
        "distances": curve.tolist(),
        "slope": fit.slope,
        "late_slope": fit_power(at, curve, first=steps / 10).slope,
        "power": fit.r2_power,
        "exponential": fit.r2_exponential,
        "claimed": found.claimed,
        "error": float(errors.max()),
    }


def is_linear(records: Sequence[jobs.Record]) -> Finding:
    """Say whether an exponential of k explains every run better than a power does."""
    groups = _groups(results_of(records))
    shares = {key: min(row["exponential"] - row["power"] for row in rows) for key, rows in groups.items()}
    is_geometric = all(row["exponential"] > row["power"] for rows in groups.values() for row in rows)
    worst = min(shares, key=lambda key: shares[key])
    slopes = {key: mean_of([row["slope"] for row in rows]) for key, rows in groups.items()}
    words = {
        key: f"{_named(key)} falls like k^{slopes[key].words()}, where a power explains"
        f" {np.mean([row['power'] for row in rows]):.3f} of its logarithm's variance and an exponential"
        f" {np.mean([row['exponential'] for row in rows]):.3f}"
        for key, rows in groups.items()
    }
    return Finding(
        holds=is_geometric,
        words="; ".join(words.values()),
        short=words[worst],
        figures={f"exponent, {_named(key)}": one.middle for key, one in slopes.items()},
        interval=slopes[worst].interval,
        detectable=slopes[worst].detectable,
    )


def falls_as_claimed(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the distance falls at least with the power μ/2, for every μ: the interval of its slope is below."""
    groups = _groups(results_of(records))
    slopes = {key: mean_of([row["slope"] for row in rows]) for key, rows in groups.items()}
    excess = {key: slopes[key].high + rows[0]["claimed"] for key, rows in groups.items()}
    worst = max(excess, key=lambda key: excess[key])
    words = "; ".join(
        f"{_named(key)}: k^{slopes[key].words()}, claimed k^-{rows[0]['claimed']:g}" for key, rows in groups.items()
    )
    return _finding(all(one <= 0.0 for one in excess.values()), words, slopes, worst)


def keeps_its_word(records: Sequence[jobs.Record]) -> Finding:
    """Say whether Eq. 27's error is at most τ0/k at every step of every run."""
    rows = results_of(records)
    shares = {_named(key): [row["error"] / row["threshold"] for row in few] for key, few in _groups(rows).items()}
    words = "; ".join(
        f"{name}: k ‖m̂_k - ∇f(x_k)‖ is up to {np.max(found):.3g} times τ0, the lag of the momentum with it"
        for name, found in shares.items()
    )
    figures = {f"largest error over τ0, {name}": float(np.max(found)) for name, found in shares.items()}
    return Finding(holds=all(one <= 1.0 for found in shares.values() for one in found), words=words, figures=figures)


def converges(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the distance falls over the last decade, for every μ and noise: its slope's interval is below 0."""
    groups = _groups(results_of(records))
    slopes = {key: mean_of([row["late_slope"] for row in rows]) for key, rows in groups.items()}
    worst = max(slopes, key=lambda key: slopes[key].high)
    words = "over the last decade " + "; ".join(f"{_named(key)} has k^{one.words()}" for key, one in slopes.items())
    return _finding(all(one.high < 0.0 for one in slopes.values()), words, slopes, worst)


def falls_like_1_over_k(records: Sequence[jobs.Record]) -> Finding:
    """Say whether the squared distance falls at least like 1/k: the upper end of its slope is -0.9 at most."""
    groups = _groups(results_of(records))
    slopes = {key: mean_of([2.0 * row["slope"] for row in rows]) for key, rows in groups.items()}
    worst = max(slopes, key=lambda key: slopes[key].high)
    words = "the squared distance: " + "; ".join(f"{_named(key)} k^{one.words()}" for key, one in slopes.items())
    return _finding(all(one.high <= -0.9 for one in slopes.values()), words, slopes, worst)


def draw_decay(records: Sequence[jobs.Record]) -> Any:
    """Draw the first run of every setting."""
    lines = {
        _named(key): (rows[0]["steps"], rows[0]["distances"]) for key, rows in _groups(results_of(records)).items()
    }
    return pictures.curves(lines, x="step k", y="distance to the minimum", logs="xy", slopes=(-0.5, -1.0), least=1e-9)


Key = tuple[str, float, float, float]


def _groups(rows: Rows) -> dict[Key, Rows]:
    found: dict[Key, Rows] = {}
    for row in rows:
        found.setdefault((row["rule"], row["mu"], row["noise"], row["threshold"]), []).append(row)
    return found


def _named(key: Key) -> str:
    rule, mu, noise, _ = key
    return f"{rule}, μ = {mu:g}, {f'noise {noise:g}' if noise else 'no noise'}"


def _finding(holds: bool, words: str, slopes: Mapping[Key, Estimate], worst: Key) -> Finding:
    return Finding(
        holds=holds,
        words=words,
        figures={f"exponent, {_named(key)}": one.middle for key, one in slopes.items()},
        interval=slopes[worst].interval,
        detectable=slopes[worst].detectable,
    )


def _binned(steps: np.ndarray, distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the root mean square over stretches of a twelfth of a decade, at their geometric middles."""
    edges = np.unique(np.round(10.0 ** np.arange(0.0, np.log10(steps[-1]) + 1.0 / 12, 1.0 / 12)))
    at, curve = [], []
    for low, high in itertools.pairwise(edges):
        inside = (steps >= low) & (steps < high)
        at.append(float(np.exp(np.log(steps[inside]).mean())))
        curve.append(float(np.sqrt((distances[inside] ** 2).mean())))
    return np.array(at), np.array(curve)
