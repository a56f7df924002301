"""What the posterior says of any set of perturbations: mean and variance of its effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.hierarchical.likelihood import Posterior, pair_kernel, pairs_of

__all__ = ["predicted_effect", "predicted_mean", "predicted_variance"]

Array = npt.NDArray[np.float64]


Part = str | Mapping[str, float]
"""A perturbation, or the weights of those by which one is told; without any, nothing is known of it."""


def predicted_effect(posterior: Posterior, parts: Sequence[Part]) -> tuple[Array, Array]:
    """Predict the effect of a set of perturbations against μ, in units of the features' standard deviations.

    Parameters
    ----------
    posterior
        Of the training conditions.
    parts
        Perturbations, each by itself or by those that tell of it; one that never occurred has the prior's mean, 0, and
        its variance at the mean strength of those that did.

    Returns
    -------
    mean, variance
        (features,) each. The variance is that of the effect itself; no cell's noise is in it.
    """
    return predicted_mean(posterior, parts), predicted_variance(posterior, parts)


def predicted_mean(posterior: Posterior, parts: Sequence[Part]) -> Array:
    """Give the mean alone, as :func:`predicted_effect`."""
    found = np.zeros(len(posterior.mu))
    for at, place, b in _Asked(posterior, parts).covariances():
        found += b @ posterior.weights[at][place]
    return posterior.strengths.l * found


def predicted_variance(posterior: Posterior, parts: Sequence[Part]) -> Array:
    """Give the variance alone, as :func:`predicted_effect`."""
    asked, l = _Asked(posterior, parts), posterior.strengths.l  # noqa: E741
    first, second = np.zeros(len(l)), np.zeros(len(l))
    for at, place, b in asked.covariances():
        found = np.stack([np.square(b), b * posterior.blocks[at].ones[place]]) @ posterior.shrinkages[at][place]
        first += found[0]
        second += found[1]
    explained = first - np.square(second) / posterior.precision
    return np.maximum(l * asked.prior - np.square(l) * explained, 0.0)


class _Asked:
    """A set of perturbations that is asked for, and what it has in common with the conditions that were measured."""

    def __init__(self, posterior: Posterior, parts: Sequence[Part]) -> None:
        design, strengths = posterior.design, posterior.strengths
        self._posterior = posterior
        terms = [{part: 1.0} if isinstance(part, str) else part for part in parts]
        known = {name: weight for term in terms for name, weight in term.items() if name in design.column}
        unknown = sum(not term.keys() & known.keys() for term in terms)
        self._weights = np.zeros(len(design.perturbations))
        for name, weight in known.items():
            self._weights[design.column[name]] += weight
            if name in design.shared:
                self._weights[design.column[design.shared[name]]] += weight
        self._known = np.flatnonzero(self._weights)
        weights, a = self._weights[self._known], strengths.a[self._known]
        self._scale = strengths.c if len(parts) > 1 else 1.0
        strength = float(weights @ a)
        self._interaction = strengths.w * strength if len(parts) > 1 else 0.0
        whole = all(len(term) == 1 for term in terms)
        self._row = design.combinations.get(frozenset(name for term in terms for name in term), -1) if whole else -1
        self._pair = whole and len(parts) == len(self._known) == len(known) == 2
        unheard = unknown * float(strengths.a.mean())
        self.prior = self._scale**2 * (float(weights**2 @ a) + unheard)
        self.prior += strengths.w * (strength + unheard) if len(parts) > 1 else 0.0
        """Variance that it had before anything was measured, over l."""

    def covariances(self) -> list[tuple[int, int, Array]]:
        """Give stack, place in it and turned covariance with its conditions, of each block that tells of it."""
        posterior, found = self._posterior, []
        coupled = self._pair and posterior.strengths.kappa > 0
        places = {(int(at), int(place)) for at, place in posterior.design.block_of[self._known]}
        if coupled:
            places |= {
                (at, int(place))
                for at, stack in enumerate(posterior.design.stacks)
                for place in np.flatnonzero(posterior.design.combined[stack.conditions].any(axis=1))
            }
        for at, place in sorted(places):
            block = posterior.blocks[at]
            rows, columns = block.stack.conditions[place], block.stack.perturbations[place]
            k = self._scale * (block.x[place] @ (self._weights[columns] * posterior.strengths.a[columns]))
            k[rows == self._row] += self._interaction
            if coupled:
                self._couple(k, rows)
            found.append((at, place, block.basis[place] @ k))
        return found

    def _couple(self, k: Array, rows: npt.NDArray[np.intp]) -> None:
        """Add what its interaction shares with those of the other pairs among some conditions."""
        design, strengths = self._posterior.design, self._posterior.strengths
        assert strengths.similarity is not None
        where, members = pairs_of(design, rows)
        kernel = pair_kernel(strengths.similarity, members, self._known[None, :])[:, 0]
        kernel[rows[where] == self._row] = 0.0
        e = strengths.w * strengths.a[members].sum(axis=1)
        k[where] += strengths.kappa * kernel * np.sqrt(e * self._interaction)
