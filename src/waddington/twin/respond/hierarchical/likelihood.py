"""The hierarchical additive model: its likelihood, its posterior, and one step of expectation maximization.

For the mean y of condition p and feature g, in units of the feature's standard deviation within conditions::

    y_pg = μ_g + c^[|p| > 1] · Σ_{A in p} θ_Ag + η_pg + ε_pg      ε_pg ~ N(0, 1/n_p)
    θ_Ag ~ N(0, a_A l_g)              a: strength of a perturbation;  l: responsiveness of a feature, of mean 1
    η_pg ~ N(0, w l_g Σ_{A in p} a_A)  of combinations alone, coupled by a kernel over pairs with weight κ

Of a drug that was given at several doses, θ of a dose is a part of its own and one that all doses share, each with a
strength: a dose of few cells leans on the others as far as they are alike.

As l only scales the covariance of a feature, one eigendecomposition serves all features (:class:`Block`). μ has a
flat prior and is integrated out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from waddington.twin.respond.hierarchical.design import Design, Stack

__all__ = [
    "Block",
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
class Block:
    """A stack's eigenvectors, and the means that they turn."""

    stack: Stack
    x: Array
    """Design, rows of combinations times c, (blocks, conditions, perturbations)."""
    eigenvalues: Array
    """(blocks, conditions)."""
    basis: Array
    """Rows are eigenvectors, times the root of the number of cells, (blocks, conditions, conditions)."""
    ones: Array
    """What the basis makes of a constant, (blocks, conditions)."""
    turned: Array
    """What the basis makes of the means, (blocks, conditions, features)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """What is known of μ, θ and η, given the strengths."""

    design: Design
    strengths: Strengths
    mu: Array
    """(features,)."""
    precision: Array
    """Of μ, (features,)."""
    blocks: tuple[Block, ...]

    def shrunk(self, block: Block, part: slice = slice(None)) -> tuple[Array, Array]:
        """Give d and r of some features, both (blocks, conditions, features)."""
        r = block.turned[:, :, part] - block.ones[:, :, None] * self.mu[part]
        return _shrinkage(block, self.strengths, part), r

    @cached_property
    def shrinkages(self) -> tuple[Array, ...]:
        """What every variance weighs, d, by block, (blocks, conditions, features)."""
        return tuple(_shrinkage(block, self.strengths) for block in self.blocks)

    @cached_property
    def weights(self) -> tuple[Array, ...]:
        """What every mean weighs, d·r, by block, (blocks, conditions, features)."""
        return tuple(np.multiply(*self.shrunk(block)) for block in self.blocks)


def combination_variance(design: Design, strengths: Strengths) -> Array:
    """Give the variance of η, over l, of every condition; zero for a single one, (conditions,)."""
    return np.asarray(np.where(design.combined, strengths.w * (design.member @ strengths.a), 0.0))


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
    """Give the places of pairs among some conditions, and the columns of their members, (pairs, 2).

    Pairs of drugs at one of several doses are none: what doses share has no similarity of its own.
    """
    columns = np.diff(design.member.indptr)
    where = np.flatnonzero((design.size[conditions] == 2) & (columns[conditions] == 2))
    first = design.member.indptr[conditions[where]]
    return where, design.member.indices[first[:, None] + np.arange(2)].astype(np.intp)


def _shrinkage(block: Block, strengths: Strengths, part: slice = slice(None)) -> Array:
    found = block.eigenvalues[:, :, None] * strengths.l[part]
    found += 1.0
    return np.reciprocal(found, out=found)


def _covariance(design: Design, stack: Stack, x: Array, variance: Array, strengths: Strengths) -> Array:
    """Give the covariance of θ's sums and η among the conditions of each block, over l."""
    found = np.asarray((x * strengths.a[stack.perturbations][:, None, :]) @ x.transpose(0, 2, 1))
    diagonal = np.arange(found.shape[1])
    found[:, diagonal, diagonal] += variance[stack.conditions]
    if strengths.kappa and strengths.similarity is not None:
        for at, conditions in enumerate(stack.conditions):
            where, members = pairs_of(design, conditions)
            root = np.sqrt(variance[conditions[where]])
            shared = strengths.kappa * pair_kernel(strengths.similarity, members, members) * np.outer(root, root)
            np.fill_diagonal(shared, 0.0)
            found[at][np.ix_(where, where)] += shared
    return found


def _decompose(design: Design, n: Array, y: Array, strengths: Strengths) -> tuple[Block, ...]:
    """Diagonalize the covariance of each block, in units of sampling noise."""
    variance, found = combination_variance(design, strengths), []
    scale = np.where(design.combined, strengths.c, 1.0)
    for stack in design.stacks:
        rows = stack.conditions
        x, root = stack.member * scale[rows][:, :, None], np.sqrt(n[rows])
        covariance = _covariance(design, stack, x, variance, strengths)
        values, vectors = np.linalg.eigh(root[:, :, None] * covariance * root[:, None, :])
        basis = vectors.transpose(0, 2, 1) * root[:, None, :]
        found.append(
            Block(
                stack=stack,
                x=x,
                eigenvalues=np.maximum(values, 0.0),
                basis=basis,
                ones=basis.sum(axis=2),
                turned=basis @ y[rows],
            )
        )
    return tuple(found)


def _slices(blocks: tuple[Block, ...]) -> Iterator[tuple[Block, slice]]:
    """Give blocks by some features at a time, so that tables made of them stay small."""
    for block in blocks:
        n_features = block.turned.shape[2]
        step = max(1, _ELEMENTS // max(block.ones.size, 1))
        for start in range(0, n_features, step):
            yield block, slice(start, min(start + step, n_features))


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
    blocks = _decompose(design, n, y, strengths)
    weighted, precision = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for block, part in _slices(blocks):
        d, ones = _shrinkage(block, strengths, part), block.ones.ravel()
        precision[part] += np.square(ones) @ d.reshape(len(ones), -1)
        d *= block.turned[:, :, part]
        weighted[part] += ones @ d.reshape(len(ones), -1)
    return Posterior(design=design, strengths=strengths, mu=weighted / precision, precision=precision, blocks=blocks)


def negative_log_likelihood(posterior: Posterior) -> float:
    """Give the negative logarithm of the marginal likelihood, without its constants."""
    total = float(np.log(posterior.precision).sum())
    for block, part in _slices(posterior.blocks):
        d, r = posterior.shrunk(block, part)
        total -= float(np.log(d).sum())
        total += float(np.vdot(d, np.square(r, out=r)))
    return 0.5 * total


def update(posterior: Posterior) -> Strengths:
    """Take one step of expectation maximization for the strengths a and the responsiveness l.

    Without combinations the step raises the marginal likelihood with the prior on l, an inverse gamma. With them it is
    approximate: what η tells of a and l is passed over.
    """
    strengths = posterior.strengths
    a, l = strengths.a, strengths.l  # noqa: E741
    by_feature, by_perturbation = np.zeros(len(l)), np.zeros(len(a))
    squares: list[tuple[Block, slice, Array]] = []
    for block, part in _slices(posterior.blocks):
        columns = block.stack.perturbations
        if columns.shape[1]:
            mean, variance = effects_of(posterior, block, part)
            square = np.square(mean, out=mean)
            square += np.maximum(variance, 0.0, out=variance)
            squares.append((block, part, square))
            by_feature[part] += (1.0 / a[columns].ravel()) @ square.reshape(columns.size, -1)
    responses = np.maximum((by_feature + _PRIOR_RESPONSES) / (len(a) + _PRIOR_RESPONSES), _LEAST_RESPONSE)
    responses /= responses.mean()
    for block, part, square in squares:
        by_perturbation[block.stack.perturbations] += square @ (1.0 / responses[part])
    return replace(strengths, a=np.maximum(by_perturbation / len(l), _LEAST_STRENGTH), l=responses)


def effects_of(posterior: Posterior, block: Block, part: slice = slice(None)) -> tuple[Array, Array]:
    """Give posterior mean and variance of θ for the perturbations of a stack, (blocks, perturbations, features)."""
    a, l = posterior.strengths.a[block.stack.perturbations], posterior.strengths.l[part]  # noqa: E741
    d, r = posterior.shrunk(block, part)
    m = ((block.basis @ block.x) * a[:, None, :]).transpose(0, 2, 1)
    explained = np.square((m * block.ones[:, None, :]) @ d)
    explained /= -posterior.precision[part]
    explained += np.square(m) @ d
    explained *= -np.square(l)
    explained += l * a[:, :, None]
    d *= r
    mean = m @ d
    mean *= l
    return mean, explained
