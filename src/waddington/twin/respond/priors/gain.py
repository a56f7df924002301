"""Whether a prior on genes helps: beside the mean of the other responses, and beside itself with genes permuted.

Each single perturbation is predicted from the others. Half of the control cells go with the others, half with the
perturbation that is predicted, so that nothing is shared; that is repeated over several halvings. A graph smooths
responses whatever its labels are, and smoothing alone can help, so only what a permuted graph does not gain is
knowledge.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington._checks import check_count, check_known
from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.respond.base import Training
from waddington.twin.respond.denoising import denoised
from waddington.twin.respond.measured import Measured
from waddington.twin.respond.priors.graph import GenePrior
from waddington.twin.respond.priors.kriging import left_out_predictions
from waddington.twin.respond.priors.model import directions, genes_of, signed, single_genes

__all__ = ["PriorGain", "prior_gain"]

Array = npt.NDArray[np.float64]

_LEVEL = 0.05
_MOST = 300
"""Perturbations that predict one another; of more, as many are drawn."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PriorGain:
    """What a prior gains when each single perturbation is predicted from the others."""

    prior: str
    """What the prior is called."""
    table: pd.DataFrame
    """A row for each condition: ``condition``, ``linked``, and Pearson r of the ``mean``, the ``graph`` and, averaged
    over them, ``permuted`` graphs."""
    permuted: npt.NDArray[np.float64]
    """Mean r of each permuted graph, (permutations,)."""

    @property
    def r_mean(self) -> float:
        """Mean r of the mean of the other responses."""
        return float(self.table["mean"].mean())

    @property
    def r_graph(self) -> float:
        """Mean r with the prior."""
        return float(self.table["graph"].mean())

    @property
    def p_value(self) -> float:
        """Share of graphs, the given one among them, with at least its r."""
        return float((1 + (self.permuted >= self.r_graph - 1e-12).sum()) / (1 + len(self.permuted)))

    @property
    def helps(self) -> bool:
        """Whether the prior is better than the mean, and than 19 in 20 permuted ones."""
        return self.r_graph > self.r_mean and self.p_value <= _LEVEL

    def __str__(self) -> str:
        low, high = np.quantile(self.permuted, [0.025, 0.975])
        verdict = "it helps" if self.helps else "no gain over a permuted graph"
        return (
            f"{self.prior}: leave-one-out r {self.r_graph:.3f}, {self.r_mean:.3f} with the mean response (gain"
            f" {self.r_graph - self.r_mean:+.3f}); {len(self.permuted)} permuted graphs {self.permuted.mean():.3f}"
            f" [{low:.3f}, {high:.3f}] (gain {self.permuted.mean() - self.r_mean:+.3f}, p {self.p_value:.2f}); "
            f"{counted(len(self.table), 'perturbation')}, {int(self.table['linked'].sum())} with links: {verdict}"
        )


def prior_gain(
    data: Training,
    prior: GenePrior,
    *,
    modality: str = "rna",
    conditions: Collection[str] | None = None,
    n_permutations: int = 39,
    n_halvings: int = 3,
    seed: int = 0,
) -> PriorGain:
    """Measure what a prior gains.

    Parameters
    ----------
    data
        Training cells.
    prior
        Links between genes.
    modality
        Whose features are predicted; the perturbed gene itself is left out.
    conditions
        Single perturbations that are scored; all are learned from, or 300 drawn of more. Default: all.
    n_permutations
        Graphs whose perturbed genes are permuted among themselves, so that degrees stay.
    n_halvings
        Of the control cells.
    seed
        Of permutations and halvings.

    Raises
    ------
    ArgumentError
        When a number is too small, or the modality is not there (UnknownNameError).
    DataError
        When fewer than 3 single perturbations of genes are scored, or there are fewer than 2 control cells.
    """
    check_count("n_permutations", n_permutations, 1)
    check_count("n_halvings", n_halvings, 1)
    modality = check_known("modality", modality, data.values)
    rng = np.random.default_rng(seed)
    labels = single_genes(data.measured)
    if len(labels) > _MOST:
        labels = tuple(sorted(rng.choice(labels, _MOST, replace=False).tolist()))
    scored = np.array([conditions is None or label in conditions for label in labels], dtype=bool)
    if scored.sum() < 3:
        raise DataError(
            f"cannot measure what {prior.name} gains: found {int(scored.sum())} single perturbations of genes to score;"
            " accepted is at least 3"
        )
    names = list(map(str, data.names.get(modality, ())))
    similarity = signed(prior.similarity(genes_of(labels)), labels)
    signs = prior.targets(genes_of(labels), names) if names else np.zeros((len(labels), data.values[modality].shape[1]))
    way = directions(labels)
    orders = [np.arange(len(labels)), *(rng.permutation(len(labels)) for _ in range(n_permutations))]
    unlike = np.outer(way, way)
    r = np.zeros((2 + n_permutations, len(labels)))
    kept = np.array([[name != gene for name in names] or [True] * signs.shape[1] for gene in genes_of(labels)])
    for _ in range(n_halvings):
        learned, judged = _halves(data, rng)
        rows = [learned.row[label] for label in labels]
        effects, seen = denoised(learned, modality)[rows], judged.effects(modality)[[judged.row[one] for one in labels]]
        sd = np.sqrt(learned.pooled_variance(modality))
        mean = (effects.sum(axis=0) - effects) / (len(labels) - 1)
        predicted = [mean]
        for order in orders:
            # Signs of modes stay where they are: only which gene is which is permuted.
            alike = (similarity * unlike)[np.ix_(order, order)] * unlike
            predicted.append(left_out_predictions(effects, alike, way[:, None] * signs[order] * sd))
        for k, made in enumerate(predicted):
            r[k] += [_correlation(one[keep], true[keep]) for one, true, keep in zip(made, seen, kept, strict=True)]
    r = r[:, scored] / n_halvings
    table = pd.DataFrame({
        "condition": np.array(labels)[scored],
        "linked": prior.holds(genes_of(labels))[scored],
        "mean": r[0],
        "graph": r[1],
        "permuted": r[2:].mean(axis=0),
    })  # fmt: skip
    return PriorGain(prior=prior.name, table=table, permuted=r[2:].mean(axis=1))


def _halves(data: Training, rng: np.random.Generator) -> tuple[Measured, Measured]:
    """Sum up all conditions twice, each time with its own half of the control cells."""
    split = data.split
    control = rng.permutation(np.flatnonzero(split.train & (split.labels == split.control)))
    if len(control) < 2:
        raise DataError(f"cannot halve {counted(len(control), 'control cell')}: accepted is at least 2")
    found = []
    for other in (control[: len(control) // 2], control[len(control) // 2 :]):
        train = split.train.copy()
        train[other] = False
        found.append(replace(data, split=replace(split, train=train)).measured)
    return found[0], found[1]


def _correlation(one: Array, other: Array) -> float:
    """Give Pearson's r; 0 where a vector is constant."""
    a, b = one - one.mean(), other - other.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b / size) if size > 0 else 0.0
