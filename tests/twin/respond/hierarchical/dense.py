"""The hierarchical additive model by brute force, one feature at a time, and screens to try it on.

All unknowns of a feature are written out: μ with a flat prior, θ of each perturbation, η of each combination, the one
that is asked for among them. What is measured and what is asked for are linear in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from waddington.twin.respond.hierarchical.design import Design, cut
from waddington.twin.respond.hierarchical.likelihood import Strengths

SINGLES = [(), ("A",), ("B",), ("C",), ("D",)]
MIXED = [*SINGLES, ("A", "B"), ("C", "D"), ("A", "C"), ("B", "E"), ("A", "B", "F"), ("G",), ("H", "I")]
"""E and F occur in combinations alone; G, and H with I, share nothing with the others."""


@dataclass(frozen=True)
class Screen:
    parts: list[tuple[str, ...]]
    n: np.ndarray
    y: np.ndarray
    strengths: Strengths
    never: tuple[str, ...] = ()
    """Perturbations that are asked for and occur nowhere; by name after all others."""

    @property
    def perturbations(self) -> list[str]:
        return sorted({part for one in self.parts for part in one} | set(self.never))

    def design(self, *, pairs_together: bool = False) -> Design:
        return cut(self.perturbations, self.parts, pairs_together=pairs_together)


def a_screen(
    parts: Sequence[tuple[str, ...]] = MIXED, *, features: int = 3, kappa: float = 0.0, seed: int = 0
) -> Screen:
    rng = np.random.default_rng(seed)
    n_edits = len({part for one in parts for part in one})
    unit = rng.standard_normal((n_edits, 4))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    responsiveness = rng.gamma(1.0, 1.0, features)
    strengths = Strengths(
        a=rng.gamma(2.0, 0.2, n_edits),
        l=responsiveness / responsiveness.mean(),
        c=0.8,
        w=0.3,
        kappa=kappa,
        similarity=unit @ unit.T,
    )
    n = rng.integers(3, 60, len(parts)).astype(float)
    return Screen(list(parts), n, 2.0 + rng.standard_normal((len(parts), features)), strengths)


def prior(screen: Screen, feature: int, combinations: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Covariance of all θ, then of the η of some combinations."""
    s, l = screen.strengths, screen.strengths.l[feature]  # noqa: E741
    place = {name: i for i, name in enumerate(screen.perturbations)}
    rho = s.similarity
    found = np.zeros((len(place) + len(combinations),) * 2)
    found[: len(place), : len(place)] = np.diag(l * s.a)
    for i, first in enumerate(combinations):
        for j, second in enumerate(combinations):
            e, f = (s.w * l * sum(s.a[place[part]] for part in one if part in place) for one in (first, second))
            shared = 0.0
            if i == j:
                shared = 1.0
            elif len(first) == len(second) == 2 and s.kappa and set(first) | set(second) <= set(place):
                (a, b), (c, d) = ([place[part] for part in one] for one in (first, second))
                top = rho[a, c] * rho[b, d] + rho[a, d] * rho[b, c]
                shared = s.kappa * top / np.sqrt((1 + rho[a, b] ** 2) * (1 + rho[c, d] ** 2))
            found[len(place) + i, len(place) + j] = shared * np.sqrt(e * f)
    return found


def rows(screen: Screen, conditions: Sequence[tuple[str, ...]], combinations: Sequence[tuple[str, ...]]) -> np.ndarray:
    """What each condition adds up of θ and η."""
    names = screen.perturbations
    found = np.zeros((len(conditions), len(names) + len(combinations)))
    for row, parts in enumerate(conditions):
        for part in parts:
            if part in names:
                found[row, names.index(part)] = screen.strengths.c if len(parts) > 1 else 1.0
        if len(parts) > 1:
            found[row, len(names) + combinations.index(parts)] = 1.0
    return found


def dense_effect(screen: Screen, asked: tuple[str, ...], feature: int) -> tuple[float, float]:
    """Posterior mean and variance of an effect, by the information matrix of μ, θ and η together."""
    combinations = [one for one in screen.parts if len(one) > 1]
    if len(asked) > 1 and asked not in combinations:
        combinations.append(asked)
    h = rows(screen, screen.parts, combinations)
    whole = np.hstack([np.ones((len(h), 1)), h])
    information = whole.T @ (screen.n[:, None] * whole)
    information[1:, 1:] += np.linalg.inv(prior(screen, feature, combinations))
    covariance = np.linalg.inv(information)
    mean = covariance @ (whole.T @ (screen.n * screen.y[:, feature]))
    wanted = np.concatenate([[0.0], rows(screen, [asked], combinations)[0]])
    return float(wanted @ mean), float(wanted @ covariance @ wanted)


def dense_negative_log_likelihood(screen: Screen) -> float:
    """Of contrasts between conditions, in which no μ is left."""
    combinations = [one for one in screen.parts if len(one) > 1]
    h = rows(screen, screen.parts, combinations)
    contrasts = np.linalg.svd(np.ones((1, len(h))))[2][1:]
    total = 0.0
    for feature in range(screen.y.shape[1]):
        covariance = h @ prior(screen, feature, combinations) @ h.T + np.diag(1.0 / screen.n)
        seen = contrasts @ screen.y[:, feature]
        inner = contrasts @ covariance @ contrasts.T
        total += 0.5 * (np.linalg.slogdet(inner)[1] + seen @ np.linalg.solve(inner, seen))
    return total
