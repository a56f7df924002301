"""The course of a fit: expectation maximization, with c, w and κ from a small grid by marginal likelihood.

Bounds and number of steps are part of the model: with a wider grid of c, or more steps, doubles of the K562 slice whose
singles were measured are predicted worse (``benchmarks/responses.py k562 --ablate``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.hierarchical.design import Design, cut
from waddington.twin.respond.hierarchical.guessing import posterior_effects
from waddington.twin.respond.hierarchical.likelihood import (
    Posterior,
    Strengths,
    negative_log_likelihood,
    posterior_of,
    update,
)

__all__ = ["Course", "fit_strengths", "outweighing"]

Array = npt.NDArray[np.float64]

_MANY_FEATURES = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """Steps and grids of a fit."""

    first_steps: int = 6
    """Before the grids."""
    rounds: int = 2
    """Of the grids."""
    steps_a_round: int = 3
    last_steps: int = 15
    scales: tuple[float, ...] = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    """Grid of c."""
    interactions: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 0.6, 1.0)
    """Grid of w."""
    couplings: tuple[float, ...] = (0.0, 0.5, 0.9)
    """Grid of κ."""
    features_for_grids: int = 2000
    """Most features by whose likelihood c, w and κ are chosen: those that respond most."""
    pair_kernel: bool = True
    """Whether pairs may be coupled at all."""
    pairs_for_kernel: int = 20
    """Fewest combinations with which they are: with fewer nothing is gained, and on the K562 slice a little is lost."""
    translation: float = 2.0
    """Standard errors by which a measured effect may be shrunk; infinite for no limit."""


def fit_strengths(design: Design, n: Array, y: Array, course: Course) -> tuple[Design, Strengths]:
    """Fit strengths, responsiveness, c, w and κ.

    Parameters
    ----------
    design
        Of the conditions, the control first.
    n
        Cells of each condition.
    y
        Means in units of the features' standard deviations, (conditions, features).
    course
        Steps and grids.

    Returns
    -------
    design
        The same, with combinations in one block where the fit couples them.
    strengths
        What was fitted. A feature that responds more than all others together (:func:`outweighing`) has no part in
        it but its own responsiveness, from the mean of its squared effects.
    """
    aside = outweighing(n, y)
    if not aside.any():
        return _fitted(design, n, y, course)
    design, strengths = _fitted(design, n, y[:, ~aside], course)
    expected = (np.where(design.combined, strengths.c**2 + strengths.w, 1.0) * (design.member @ strengths.a))[1:]
    responses = np.empty(len(aside))
    responses[~aside] = strengths.l
    responses[aside] = _squares(n, y[:, aside]).mean(axis=0) / expected.mean()
    return design, replace(strengths, l=responses)


def outweighing(n: Array, y: Array) -> npt.NDArray[np.bool_]:
    """Find the feature whose squared effects outweigh those of all others together, as wrong counts make it.

    Parameters
    ----------
    n, y
        As :func:`fit_strengths`.

    Returns
    -------
    ndarray
        (features,), at most one True; none among fewer than 10 features, where a true response may do that.
    """
    squares = np.maximum(_squares(n, y).mean(axis=0), 0.0)
    return np.asarray((squares > 0.5 * squares.sum()) & (len(squares) >= _MANY_FEATURES))


def _fitted(design: Design, n: Array, y: Array, course: Course) -> tuple[Design, Strengths]:
    combined = bool(design.combined.any())
    strengths = _start(design, n, y, combined=combined)
    strengths = _steps(design, n, y, strengths, course.first_steps)
    if combined:
        coupled = course.pair_kernel and int(design.combined.sum()) >= course.pairs_for_kernel
        together = (
            cut(design.perturbations, design.parts, pairs_together=True, shared=design.shared) if coupled else design
        )
        if coupled:
            strengths = replace(strengths, similarity=_similarity(posterior_of(design, n, y, strengths)))
        for _ in range(course.rounds):
            strengths = _on_grids(design, together, n, y, strengths, course, coupled=coupled)
            design = together if strengths.kappa else design
            strengths = _steps(design, n, y, strengths, course.steps_a_round)
    return design, _steps(design, n, y, strengths, course.last_steps)


def _start(design: Design, n: Array, y: Array, *, combined: bool) -> Strengths:
    """Guess from squared effects, less what sampling noise alone would give."""
    squares = _squares(n, y)
    response = np.maximum(squares.mean(axis=0), 1e-4)
    strength = np.maximum(squares.mean(axis=1), 1e-4)
    member = design.member[1:]
    a = (member.T @ (strength / np.diff(design.member.indptr)[1:])) / np.asarray(member.sum(axis=0))
    return Strengths(a=a, l=response / response.mean(), c=0.8 if combined else 1.0, w=0.3)


def _squares(n: Array, y: Array) -> Array:
    """Give squared effects less what sampling noise alone would give, (conditions without the control, features)."""
    return np.asarray((y[1:] - y[0]) ** 2 - (1.0 / n[1:] + 1.0 / n[0])[:, None])


def _steps(design: Design, n: Array, y: Array, strengths: Strengths, steps: int) -> Strengths:
    for _ in range(steps):
        strengths = update(posterior_of(design, n, y, strengths))
    return strengths


def _on_grids(
    design: Design, together: Design, n: Array, y: Array, strengths: Strengths, course: Course, *, coupled: bool
) -> Strengths:
    """Choose c, then w, then κ by marginal likelihood."""
    chosen = np.sort(np.argsort(-strengths.l, kind="stable")[: course.features_for_grids])
    y, found = y[:, chosen], replace(strengths, l=strengths.l[chosen])
    here = together if strengths.kappa else design
    found, value = _best(here, n, y, {c: replace(found, c=c) for c in course.scales}, {})
    found, value = _best(here, n, y, {w: replace(found, w=w) for w in course.interactions}, {found.w: value})
    if coupled:
        kappas = {kappa: replace(found, kappa=kappa) for kappa in course.couplings}
        found, _ = _best(together, n, y, kappas, {found.kappa: value})
    return replace(strengths, c=found.c, w=found.w, kappa=found.kappa)


def _best(
    design: Design, n: Array, y: Array, candidates: Mapping[float, Strengths], known: Mapping[float, float]
) -> tuple[Strengths, float]:
    """Give the candidate of the largest likelihood, and its negative logarithm; some are `known`."""
    values = {
        one: known[one] if one in known else negative_log_likelihood(posterior_of(design, n, y, candidate))
        for one, candidate in candidates.items()
    }
    best = min(values, key=lambda one: values[one])
    return candidates[best], values[best]


def _similarity(posterior: Posterior) -> Array:
    """Give the cosines between posterior mean effects, over features, (perturbations, perturbations)."""
    theta = posterior_effects(posterior)
    unit = theta / np.maximum(np.linalg.norm(theta, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T)
