"""The hierarchical additive model: its likelihood, its posterior, and one step of expectation maximization.

For the mean y of condition p and feature g, in units of the feature's standard deviation within conditions::

    y_pg = μ_g + c^[|p| > 1] · Σ_{A in p} θ_Ag + η_pg + ε_pg      ε_pg ~ N(0, 1/n_p)
    θ_Ag ~ N(0, a_A l_g)              a: strength of a perturbation;  l: responsiveness of a feature, of mean 1
    η_pg ~ N(0, w l_g Σ_{A in p} a_A)  of combinations alone, coupled by a kernel over pairs with weight κ

As l only scales the covariance of a feature, one eigendecomposition serves all features (:class:`Spectrum`). μ has a
flat prior and is integrated out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.hierarchical.design import Design, Stack

__all__ = [
    "Posterior",
    "Strengths",
    "combination_variance",
    "effects_of",
    "negative_log_likelihood",
    "pair_kernel",
    "pairs_of",
    "posterior_of",
    "update",
]

Array = npt.NDArray[np.float64]

_ELEMENTS = 1 << 23
"""Numbers in a table of conditions and features that is held at once: 64 MiB."""

_LEAST_RESPONSE, _LEAST_STRENGTH = 1e-4, 1e-7
_PRIOR_RESPONSES = 3.0
"""How many perturbations of responsiveness 1 every feature is taken to have shown beside those measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Strengths:
    """Everything that is fitted beside the posterior."""

    a: Array
    """Strength of each perturbation, (perturbations,)."""
    l: Array  # noqa: E741  (the equations' name)
    """Responsiveness of each feature, (features,)."""
    c: float
    """Factor on the sum of effects in a combination."""
    w: float
    """Size of what combinations do beside that."""
    kappa: float = 0.0
    """Share of it that similar pairs have in common."""
    similarity: Array | None = None
    """Cosines between perturbations, (perturbations, perturbations), where pairs are coupled."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Block:
    """A stack's eigenvectors."""

    stack: Stack
    x: Array
    """Design, rows of combinations times c, (blocks, conditions, perturbations)."""
    eigenvalues: Array
    """(blocks, conditions)."""
    basis: Array
    """Rows are eigenvectors, times the root of the number of cells, (blocks, conditions, conditions)."""
    ones: Array
    """What the basis makes of a constant, (blocks, conditions)."""
    interaction: Array
    """Variance of η over l, (blocks, conditions)."""


def combination_variance(design: Design, strengths: Strengths) -> Array:
    """Give the variance of η, over l, of every condition; zero for a single one, (conditions,)."""
    column = {name: i for i, name in enumerate(design.perturbations)}
    total = np.array([sum(strengths.a[column[name]] for name in one) for one in design.parts])
    return np.asarray(np.where(design.combined, strengths.w * total, 0.0))


def pair_kernel(similarity: Array, first: npt.NDArray[np.intp], second: npt.NDArray[np.intp]) -> Array:
    """Couple pairs by the similarity of their members.

    Parameters
    ----------
    similarity
        Cosines between perturbations.
    first, second
        Columns of the members of pairs, (pairs, 2).

    Returns
    -------
    ndarray
        (pairs of the first, pairs of the second).
    """
    a, b = (first[:, k] for k in (0, 1))
    c, d = (second[:, k] for k in (0, 1))
    rho = similarity
    top = rho[np.ix_(a, c)] * rho[np.ix_(b, d)] + rho[np.ix_(a, d)] * rho[np.ix_(b, c)]
    norms = (1.0 + rho[a, b] ** 2)[:, None] * (1.0 + rho[c, d] ** 2)[None, :]
    return np.asarray(top / np.sqrt(norms))


def pairs_of(design: Design, conditions: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Give the places of pairs among some conditions, and the columns of their members, (pairs, 2)."""
    column = {name: i for i, name in enumerate(design.perturbations)}
    where = np.array([at for at, one in enumerate(conditions.tolist()) if design.size[one] == 2], dtype=np.intp)
    members = [[column[name] for name in design.parts[conditions[at]]] for at in where]
    return where, np.array(members, dtype=np.intp).reshape(-1, 2)


def _decompose(design: Design, n: Array, strengths: Strengths) -> list[_Block]:
    """Diagonalize the covariance of each block, in units of sampling noise."""
    variance, found = combination_variance(design, strengths), []
    scale = np.where(design.combined, strengths.c, 1.0)
    for stack in design.stacks:
        rows = stack.conditions
        x = stack.member * scale[rows][:, :, None]
        a, root = strengths.a[stack.perturbations], np.sqrt(n[rows])
        covariance = (x * a[:, None, :]) @ x.transpose(0, 2, 1)
        e = variance[rows]
        diagonal = np.arange(rows.shape[1])
        covariance[:, diagonal, diagonal] += e
        if strengths.kappa and strengths.similarity is not None:
            for at, conditions in enumerate(rows):
                where, members = pairs_of(design, conditions)
                if len(where) > 1:
                    kernel = pair_kernel(strengths.similarity, members, members)
                    np.fill_diagonal(kernel, 1.0)
                    outer = np.sqrt(np.outer(e[at, where], e[at, where]))
                    change = strengths.kappa * (kernel - np.eye(len(where))) * outer
                    covariance[at][np.ix_(where, where)] += change
        values, vectors = np.linalg.eigh(root[:, :, None] * covariance * root[:, None, :])
        basis = vectors.transpose(0, 2, 1) * root[:, None, :]
        found.append(
            _Block(
                stack=stack,
                x=x,
                eigenvalues=np.maximum(values, 0.0),
                basis=basis,
                ones=basis.sum(axis=2),
                interaction=e,
            )
        )
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """What is known of μ, θ and η, given the strengths."""

    design: Design
    strengths: Strengths
    mu: Array
    """(features,)."""
    precision: Array
    """Of μ, (features,)."""
    blocks: list[_Block]
    y: Array
    """Means in units of the features' standard deviations, (conditions, features)."""

    def residuals(self, block: _Block, part: slice) -> tuple[Array, Array]:
        """Give d and r of some features, both (blocks, conditions, features)."""
        return _rotated(block, self.y, self.strengths.l, part, self.mu)


def _rotated(block: _Block, y: Array, l: Array, part: slice, mu: Array | None) -> tuple[Array, Array]:  # noqa: E741
    d = 1.0 / (1.0 + block.eigenvalues[:, :, None] * l[part])
    r = block.basis @ y[block.stack.conditions, part]
    if mu is not None:
        r -= block.ones[:, :, None] * mu[part]
    return d, r


def _slices(n_conditions: int, n_features: int) -> Iterator[slice]:
    step = max(1, _ELEMENTS // max(n_conditions, 1))
    for start in range(0, n_features, step):
        yield slice(start, min(start + step, n_features))


def posterior_of(design: Design, n: Array, y: Array, strengths: Strengths) -> Posterior:
    """Integrate over μ, and keep what predictions need.

    Parameters
    ----------
    design
        Of the conditions.
    n
        Cells of each condition, (conditions,).
    y
        Means in units of the features' standard deviations, (conditions, features).
    strengths
        What was fitted.
    """
    blocks = _decompose(design, n, strengths)
    weighted, precision = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for part in _slices(*y.shape):
        for block in blocks:
            d, rotated = _rotated(block, y, strengths.l, part, None)
            weighted[part] += np.einsum("bp,bpg,bpg->g", block.ones, d, rotated, optimize=True)
            precision[part] += np.einsum("bp,bpg->g", block.ones**2, d, optimize=True)
    return Posterior(
        design=design, strengths=strengths, mu=weighted / precision, precision=precision, blocks=blocks, y=y
    )


def negative_log_likelihood(posterior: Posterior) -> float:
    """Give the negative logarithm of the marginal likelihood, without its constants."""
    total = float(np.log(posterior.precision).sum())
    for part in _slices(*posterior.y.shape):
        for block in posterior.blocks:
            d, r = posterior.residuals(block, part)
            total += float(np.einsum("bpg,bpg,bpg->", d, r, r, optimize=True)) - float(np.log(d).sum())
    return 0.5 * total


def update(posterior: Posterior) -> Strengths:
    """Take one step of expectation maximization for the strengths a and the responsiveness l."""
    strengths = posterior.strengths
    a, l = strengths.a, strengths.l  # noqa: E741
    by_feature, by_perturbation = np.zeros(len(l)), np.zeros(len(a))
    squares: list[tuple[npt.NDArray[np.intp], Array]] = []
    for part in _slices(*posterior.y.shape):
        for block in posterior.blocks:
            columns = block.stack.perturbations
            if not columns.shape[1]:
                continue
            mean, variance = effects_of(posterior, block, part)
            squares.append((columns, mean**2 + np.maximum(variance, 0.0)))
            by_feature[part] += (squares[-1][1] / a[columns][:, :, None]).sum(axis=(0, 1))
        # The strengths need the new l of all features: means over features are taken after it is known.
        new = np.maximum((by_feature[part] + _PRIOR_RESPONSES) / (len(a) + _PRIOR_RESPONSES), _LEAST_RESPONSE)
        by_feature[part] = new
        for columns, square in squares:
            by_perturbation[columns] += (square / new).sum(axis=2)
        squares.clear()
    mean_response = by_feature.mean()
    return Strengths(
        a=np.maximum(by_perturbation * mean_response / len(l), _LEAST_STRENGTH),
        l=by_feature / mean_response,
        c=strengths.c,
        w=strengths.w,
        kappa=strengths.kappa,
        similarity=strengths.similarity,
    )


def effects_of(posterior: Posterior, block: _Block, part: slice) -> tuple[Array, Array]:
    """Give posterior mean and variance of θ for the perturbations of a stack, (blocks, perturbations, features)."""
    a, l = posterior.strengths.a[block.stack.perturbations], posterior.strengths.l[part]  # noqa: E741
    d, r = posterior.residuals(block, part)
    m = (block.basis @ block.x) * a[:, None, :]
    turned = m.transpose(0, 2, 1)
    mean = l * (turned @ (d * r))
    explained = turned**2 @ d - (turned * block.ones[:, None, :] @ d) ** 2 / posterior.precision[part]
    return mean, l * a[:, :, None] - l**2 * explained
