"""Whether a condition's change can be measured at all: do two halves of the experiment agree on it?

All cells of a condition, and all controls, are halved at random; each half of the condition is compared with its own
half of the controls, so nothing is shared, and the two changes are correlated over features. A condition is measurable
when three things hold.

1. *Replicates agree.* The mean half-r over 20 halvings says, by Spearman and Brown, that all cells together agree with
   a full repeat at R = 2r / (1 + r) > 0.5. Halves have half the depth, so r understates a repeat; R corrects for it.
2. *Labels matter.* The mean half-r lies above the 95 % quantile of what relabelling gives: the cells of the condition
   and the controls are mixed, and labels are drawn anew 40 times, 3 halvings each. Where cells vary along one axis,
   halves agree by chance, and only this shows it.
3. *Chance does not explain the table.* One in twenty conditions without effect passes the second rule, and as all share
   the same controls, many pass together when these happen to be odd. So the labels of the whole table are drawn anew
   60 times. Its overlaps (scalar products of the two halves' changes, in units of their sampling error) must stand out
   from what these give: the largest (a few strong conditions) or the mean (many moderate ones), each at a level of
   0.001 by Gumbel's law. Otherwise nothing in the table is measurable. Unlike a correlation, an overlap has a size, so
   a strong effect stands out although relabelling mixes it into the controls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse, stats

__all__ = [
    "MAX_CELLS",
    "MIN_CELLS",
    "MIN_FEATURES",
    "MIN_RELIABILITY",
    "Agreement",
    "chance_explains",
    "measure_agreement",
    "reliability",
]

Array = npt.NDArray[np.floating]

MIN_RELIABILITY = 0.5
"""R that a measurable condition exceeds."""

MIN_CELLS = 4
"""Fewest cells of a condition, and of its controls, that can be halved to any purpose."""

MIN_FEATURES = 3
"""Fewest features between which a correlation means anything."""

MAX_CELLS = 2000
"""Most cells of a condition, and most controls, that are halved; of more, as many are drawn."""

_HALVINGS = 20
_RELABELLINGS = 40
_HALVINGS_EACH = 3
_QUANTILE = 0.95
_TABLES = 60
_TABLE_LEVEL = 0.001
_TABLE_CELLS = 20_000


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How well two halves of the experiment agree on the change of one condition."""

    half_r: float
    """Mean Pearson correlation of the two halves' changes; 0 where a change is constant."""
    bound: float
    """95 % quantile of the same under relabelling; NaN where the reliability alone decides."""
    too_few: str = ""
    """What there was too little of to halve anything."""

    @property
    def reliability(self) -> float:
        """What a full repeat would agree with: Spearman and Brown's R."""
        return reliability(self.half_r)

    @property
    def agrees(self) -> bool:
        """Whether replicates agree on this condition, seen alone."""
        return not self.reason

    @property
    def reason(self) -> str:
        """Why replicates don't agree; empty where they do."""
        if self.too_few:
            return self.too_few
        if not self.reliability > MIN_RELIABILITY:
            return "replicates do not agree"
        return "" if self.half_r > self.bound else "agreement within chance"


def reliability(half_r: float) -> float:
    """Give Spearman and Brown's correlation of two whole experiments from that of two halves: 2r / (1 + r)."""
    return 2.0 * half_r / (1.0 + half_r) if half_r > -1.0 else -np.inf


def measure_agreement(target: Array, control: Array, *, rng: np.random.Generator) -> Agreement:
    """Halve a condition and its controls, and say how well the halves agree.

    Parameters
    ----------
    target
        Profiles of all cells of the condition, (cells, features), only features that are scored.
    control
        Profiles of all control cells, (controls, features).
    rng
        Draws halves and labels.

    Returns
    -------
    Agreement
        Relabellings are drawn only where the reliability is high enough to need them. With fewer than
        :data:`MIN_CELLS` cells on a side, or fewer than :data:`MIN_FEATURES` features, nothing agrees.
    """
    target, control = _at_most(target, rng), _at_most(control, rng)
    n = len(target)
    if min(n, len(control)) < MIN_CELLS or target.shape[1] < MIN_FEATURES:
        few = (
            f"fewer than {MIN_CELLS} cells"
            if min(n, len(control)) < MIN_CELLS
            else f"fewer than {MIN_FEATURES} features"
        )
        return Agreement(half_r=0.0, bound=float("nan"), too_few=few)
    pool = _centred(np.concatenate([target, control]))
    labels = np.tile(np.arange(len(pool)), (_HALVINGS, 1))
    half_r = float(_half_correlations(pool, labels, n, rng).mean())
    if reliability(half_r) <= MIN_RELIABILITY:
        return Agreement(half_r=half_r, bound=float("nan"))
    drawn = rng.permuted(np.tile(np.arange(len(pool)), (_RELABELLINGS, 1)), axis=1)
    repeated = np.repeat(drawn, _HALVINGS_EACH, axis=0)
    chance = _half_correlations(pool, repeated, n, rng).reshape(_RELABELLINGS, _HALVINGS_EACH).mean(axis=1)
    return Agreement(half_r=half_r, bound=float(np.quantile(chance, _QUANTILE)))


def chance_explains(
    values: Array,
    groups: npt.NDArray[np.integer],
    *,
    rng: np.random.Generator,
    level: float = _TABLE_LEVEL,
) -> bool:
    """Say whether a whole table of conditions shows no more than drawing its labels at random would.

    Parameters
    ----------
    values
        Profiles of all cells of the table, (cells, features), without features that any condition edits itself.
    groups
        Condition of each cell, (cells,): 0 is the control, others count from 1.
    rng
        Draws labels and halves. Of more than 20,000 cells, the same share of every condition is drawn.
    level
        Largest chance at which the largest overlap, or the mean overlap, stands out.

    Returns
    -------
    bool
        True too where fewer than :data:`MIN_FEATURES` features are left.
    """
    if values.shape[1] < MIN_FEATURES:
        return True
    kept = _share(groups, _TABLE_CELLS, rng)
    groups, pool = groups[kept], _centred(values[kept])
    found = _summary(_overlaps(pool, groups, rng, halvings=_HALVINGS))
    drawn = np.array([
        _summary(_overlaps(pool, rng.permutation(groups), rng, halvings=_HALVINGS_EACH)) for _ in range(_TABLES)
    ])  # fmt: skip
    scale = np.maximum(drawn.std(axis=0, ddof=1), 1e-30) * np.sqrt(6.0) / np.pi
    tails = stats.gumbel_r.sf(found, loc=drawn.mean(axis=0) - np.euler_gamma * scale, scale=scale)
    return bool(tails.min() > level)


def _summary(overlaps: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.array([overlaps.max(), overlaps.mean()])


def _overlaps(
    pool: npt.NDArray[np.float32], groups: npt.NDArray[np.integer], rng: np.random.Generator, *, halvings: int
) -> npt.NDArray[np.float64]:
    """Multiply the two halves' changes, for every condition of a table, a mean over halvings.

    Returns
    -------
    ndarray
        (conditions,): scalar product over centred features, over the sampling variance 1/n + 1/controls.
    """
    sizes = np.bincount(groups)
    place = np.arange(len(groups)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    second = place >= np.repeat(sizes // 2, sizes)
    counts = np.maximum(np.stack([sizes // 2, sizes - sizes // 2], axis=1).ravel(), 1)
    found = []
    for _ in range(halvings):
        shuffled = np.lexsort((rng.random(len(groups)), groups))
        half = 2 * groups[shuffled] + second
        sums = sparse.csr_matrix((np.ones(len(half), np.float32), (half, shuffled)), shape=(len(counts), len(half)))
        means = (sums @ pool) / counts[:, None]
        first, other = (
            change - change.mean(axis=1, keepdims=True) for change in (means[2::2] - means[0], means[3::2] - means[1])
        )
        found.append((first * other).sum(axis=1))
    return np.asarray(np.mean(found, axis=0) / (1.0 / sizes[1:] + 1.0 / sizes[0]))


def _centred(cells: Array) -> npt.NDArray[np.float32]:
    """Take the mean of all cells away; float32 is enough for what is left, the size of the cells' own spread."""
    exact = cells.astype(np.float64)
    return np.asarray(exact - exact.mean(axis=0), dtype=np.float32)


def _share(groups: npt.NDArray[np.integer], most: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Draw the same share of every group, of each at least as many cells as can be halved."""
    if len(groups) <= most:
        return np.arange(len(groups))
    sizes = np.bincount(groups)
    wanted = np.maximum(sizes * most // len(groups), np.minimum(sizes, MIN_CELLS))
    return np.sort(
        np.concatenate([rng.permutation(np.flatnonzero(groups == g))[:n] for g, n in enumerate(wanted)])
    )  # fmt: skip


def _row_correlations(first: Array, second: Array) -> npt.NDArray[np.float64]:
    """Correlate each row with the same row of another matrix; 0 where one does not vary."""
    x = first - first.mean(axis=1, keepdims=True, dtype=np.float64)
    y = second - second.mean(axis=1, keepdims=True, dtype=np.float64)
    norm = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    return np.where(norm > 1e-12, (x * y).sum(axis=1) / np.maximum(norm, 1e-12), 0.0)


def _half_correlations(
    pool: npt.NDArray[np.float32], cells: npt.NDArray[np.intp], n: int, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Correlate the changes of two random halves, for every row of a table of labellings.

    Parameters
    ----------
    pool
        Profiles of all cells, (cells, features).
    cells
        One labelling a row, (draws, cells): the first `n` of it are the condition, the others controls.
    n
        Cells of the condition.
    rng
        Draws the halves.
    """
    condition, control = rng.permuted(cells[:, :n], axis=1), rng.permuted(cells[:, n:], axis=1)
    a, b = n // 2, control.shape[1] // 2
    first = _mean_differences(pool, condition[:, :a], control[:, :b])
    second = _mean_differences(pool, condition[:, a:], control[:, b:])
    return _row_correlations(first, second)


def _mean_differences(
    pool: npt.NDArray[np.float32], condition: npt.NDArray[np.intp], control: npt.NDArray[np.intp]
) -> npt.NDArray[np.float32]:
    """Subtract means of the cells in one table from those in another, row by row: one matrix product for all rows."""
    weights = np.zeros((len(condition), len(pool)), dtype=np.float32)
    np.put_along_axis(weights, condition, np.float32(1.0 / condition.shape[1]), axis=1)
    np.put_along_axis(weights, control, np.float32(-1.0 / control.shape[1]), axis=1)
    return np.asarray(weights @ pool)


def _at_most(cells: Array, rng: np.random.Generator) -> Array:
    """Draw as many cells as are halved at most."""
    if len(cells) <= MAX_CELLS:
        return cells
    return cells[np.sort(rng.choice(len(cells), MAX_CELLS, replace=False))]
