"""What the posterior says of any set of perturbations: mean and variance of its effect."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.hierarchical.likelihood import (
    Posterior,
    combination_variance,
    pair_kernel,
    pairs_of,
)

__all__ = ["predicted_effect"]

Array = npt.NDArray[np.float64]


def predicted_effect(posterior: Posterior, parts: Sequence[str]) -> tuple[Array, Array]:
    """Predict the effect of a set of perturbations against μ, in units of the features' standard deviations.

    Parameters
    ----------
    posterior
        Of the training conditions.
    parts
        Perturbations; one that never occurred has the prior's mean 0 and no part in the variance.

    Returns
    -------
    mean, variance
        (features,) each. The variance is that of the effect itself; no cell's noise is in it.
    """
    strengths, design = posterior.strengths, posterior.design
    column = {name: i for i, name in enumerate(design.perturbations)}
    known = [column[part] for part in parts if part in column]
    combined = len(parts) > 1
    x = np.zeros(len(column))
    x[known] = strengths.c if combined else 1.0
    e_q = strengths.w * float(strengths.a[known].sum()) if combined else 0.0
    same = {tuple(sorted(one)): row for row, one in enumerate(design.parts) if len(one) > 1}.get(tuple(sorted(parts)))
    variance_of = combination_variance(design, strengths)
    n_features = posterior.y.shape[1]
    mean, first, second = np.zeros(n_features), np.zeros(n_features), np.zeros(n_features)
    for block in posterior.blocks:
        stack = block.stack
        a = strengths.a[stack.perturbations]
        touched = np.flatnonzero(
            (x[stack.perturbations] != 0).any(axis=1)
            | (False if same is None else (stack.conditions == same).any(axis=1))
            | (strengths.kappa > 0)
        )
        if not len(touched) or not stack.perturbations.shape[1]:
            continue
        k = np.einsum("bpe,be,be->bp", block.x[touched], a[touched], x[stack.perturbations[touched]], optimize=True)
        if combined:
            k = k + _shared(posterior, stack.conditions[touched], known, len(parts), same, e_q, variance_of)
        b = (block.basis[touched] @ k[:, :, None])[:, :, 0]
        ones = block.ones[touched]
        d = 1.0 / (1.0 + block.eigenvalues[touched][:, :, None] * strengths.l)
        r = block.basis[touched] @ posterior.y[stack.conditions[touched]] - ones[:, :, None] * posterior.mu
        mean += np.einsum("bp,bpg,bpg->g", b, d, r, optimize=True)
        first += np.einsum("bp,bpg->g", b**2, d, optimize=True)
        second += np.einsum("bp,bpg->g", b * ones, d, optimize=True)
    prior = float(strengths.a @ x**2) + e_q
    explained = first - second**2 / posterior.precision
    return strengths.l * mean, np.maximum(strengths.l * prior - strengths.l**2 * explained, 0.0)


def _shared(
    posterior: Posterior,
    conditions: npt.NDArray[np.intp],
    known: Sequence[int],
    size: int,
    same: int | None,
    e_q: float,
    variance_of: Array,
) -> Array:
    """Give the covariance of a set's own interaction with those of measured conditions, (blocks, conditions)."""
    strengths, design = posterior.strengths, posterior.design
    found = np.zeros(conditions.shape)
    if same is not None:
        found[conditions == same] = e_q
    if strengths.kappa and strengths.similarity is not None and size == 2 and len(known) == 2:
        pair = np.array([known], dtype=np.intp)
        for at, rows in enumerate(conditions):
            where, members = pairs_of(design, rows)
            if len(where):
                others = rows[where] != (-1 if same is None else same)
                kernel = pair_kernel(strengths.similarity, members, pair)[:, 0] * others
                found[at, where] += strengths.kappa * kernel * np.sqrt(variance_of[rows[where]] * e_q)
    return found
