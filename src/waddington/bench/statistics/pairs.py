"""Two arms on one task, paired by seed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike

from waddington._checks import check_count, check_in_range
from waddington._text import counted
from waddington.bench.statistics._libraries import scipy_stats
from waddington.bench.statistics.intervals import Interval, bca_interval
from waddington.bench.statistics.power import detectable_wins, minimum_detectable_effect
from waddington.bench.statistics.values import Better, FloatArray, checked_values, differences

__all__ = ["Paired", "lost_runs", "paired"]

FEW = 8
"""Seeds below which a bootstrap interval is too narrow to be shown: it cannot leave the values that were seen."""

_ROUNDING = 32 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Paired:
    """What paired differences (first minus second) say.

    What cannot be known is None, and ``reasons`` says why.

    Attributes
    ----------
    n
        Number of seeds.
    better
        Direction of the metric.
    level
        Significance of the whole family of contrasts.
    n_contrasts
        Size of that family; ``mde``, ``mde_d_z`` and ``mde_wins`` are those of one test at ``level / n_contrasts``.
    n_diverged, n_raised
        Seeds in which the first and in which the second arm diverged, and in which their runs raised an error.
    mean, median
        Mean and median difference.
    mean_interval, median_interval
        Their BCa bootstrap intervals.
    t_interval
        Student's interval of the mean difference.
    p_t, p_wilcoxon, p_sign
        p of the paired t test, of Wilcoxon's signed ranks and of the sign test, all two-sided. Infinite differences
        have the highest ranks.
    d_z
        Cohen's d_z: mean over standard deviation of the differences.
    mde, mde_d_z
        Minimum detectable effect, in units of the metric and in standard deviations.
    mde_wins
        Seeds that one arm must win for a sign test to tell.
    power
        Chance at which the minimum detectable effect is found.
    rank_biserial
        Effect by ranks: share of the signed ranks' sum that is above zero minus the share below, in [-1, 1].
    wins, ties, losses
        Seeds in which the first arm is better, equal and worse.
    reasons
        Field to why it is None.
    """

    n: int
    better: Better
    level: float
    n_contrasts: int
    n_diverged: tuple[int, int]
    n_raised: tuple[int, int]
    mean: float | None
    median: float | None
    mean_interval: Interval | None
    median_interval: Interval | None
    t_interval: Interval | None
    p_t: float | None
    p_wilcoxon: float | None
    p_sign: float | None
    rank_biserial: float | None
    d_z: float | None
    mde: float | None
    mde_d_z: float | None
    mde_wins: int | None
    power: float
    wins: int
    ties: int
    losses: int
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_ranks(self) -> bool:
        """Whether runs diverged or raised, so that the comparison goes by ranks."""
        return any(self.n_diverged) or any(self.n_raised)

    @property
    def test(self) -> str:
        """The name of the test that ``p`` is of."""
        return "Wilcoxon signed-rank" if self.by_ranks else "paired t"

    @property
    def p(self) -> float | None:
        """The p-value that the verdict goes by: the t test's, or Wilcoxon's where runs diverged or raised."""
        return self.p_wilcoxon if self.by_ranks else self.p_t

    @property
    def interval(self) -> Interval | None:
        """The interval of the mean to show: BCa from 8 seeds on, Student's below."""
        return self.mean_interval if self.n >= FEW and self.mean_interval is not None else self.t_interval


def paired(
    first: ArrayLike,
    second: ArrayLike,
    *,
    better: Better = "lower",
    level: float = 0.05,
    n_contrasts: int = 1,
    n_raised: tuple[int, int] = (0, 0),
    power: float = 0.8,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Paired:
    """Compare two arms on one task, paired by seed.

    Parameters
    ----------
    first, second
        Values of the arms, shape (n_seeds,), the same seeds in the same order. A diverged run is infinite (minus
        infinity where higher is better): the worst rank, never left out. The comparison then goes by ranks and the
        mean difference is not measurable. Two runs that both diverged are a tie. A run that raised is infinite, too.
    better
        Direction of the metric.
    level
        Significance of the family, and chance that an interval misses.
    n_contrasts
        Number of contrasts of the family.
    n_raised
        How many of each arm's infinite values are those of runs that raised an error; the others diverged.
    power
        Chance at which the minimum detectable effect is found.
    n_resamples
        Resamples of the bootstrap.
    seed
        Seed of the bootstrap.

    Raises
    ------
    ArgumentError
        Values that are NaN, infinitely good or not paired, a level out of range, or more runs that raised than there
        are infinite values.

    Notes
    -----
    Tests are SciPy's, powers statsmodels'. Wilcoxon's test drops ties, and has no p where even a clean sweep, at
    ``2 / 2**n``, is not below ``level / n_contrasts``.
    """
    check_in_range("level", level, 0, 1, open_low=True, open_high=True)
    check_count("n_contrasts", n_contrasts, 1)
    a = checked_values("first", first, ndim=1, better=better)
    b = checked_values("second", second, ndim=1, better=better)
    d = differences(a, b)
    good = d < 0 if better == "lower" else d > 0
    wins, ties = int(good.sum()), int((d == 0).sum())
    losses = len(d) - wins - ties
    each = level / n_contrasts
    reasons: dict[str, str] = {}
    infinite = int(np.isinf(a).sum()), int(np.isinf(b).sum())
    for raised, most in zip(n_raised, infinite, strict=True):
        check_count("n_raised", raised, 0, most)
    diverged = infinite[0] - n_raised[0], infinite[1] - n_raised[1]
    moments = _Moments()
    if any(infinite):
        words = lost_runs(diverged, n_raised, ("the first", "the second"))
        reason = f"{words}: the mean difference is not measurable"
        reasons |= dict.fromkeys((*_OF_MOMENTS, "median_interval"), reason)
        middle = float(np.median(d)) if np.isfinite(_two_middle(d)).all() else None
        if middle is None:
            reasons["median"] = "half of the differences are infinite"
    else:
        size = max(float(np.abs(a).max()), float(np.abs(b).max()))
        moments = _moments(d, size, level, each, power, n_resamples, seed, reasons)
        middle = float(np.median(d))
    p_sign = float(scipy_stats().binomtest(wins, wins + losses).pvalue) if wins + losses else None
    ranked = _rankable(d)
    if p_sign is None:
        reasons |= dict.fromkeys(("p_sign", "rank_biserial"), "no seed differs")
    mde_wins = detectable_wins(len(d), level=each)
    if mde_wins is None:
        reasons["mde_wins"] = f"{counted(len(d), 'seed')}: even a clean sweep has p above {each:g}"
    return Paired(
        n=len(d),
        better=better,
        level=level,
        n_contrasts=n_contrasts,
        n_diverged=diverged,
        n_raised=n_raised,
        mean=moments.mean,
        median=middle,
        mean_interval=moments.mean_interval,
        median_interval=moments.median_interval,
        t_interval=moments.t_interval,
        p_t=moments.p_t,
        p_wilcoxon=_wilcoxon(ranked, each, reasons),
        p_sign=p_sign,
        rank_biserial=_rank_biserial(ranked),
        d_z=moments.d_z,
        mde=moments.mde,
        mde_d_z=moments.mde_d_z,
        mde_wins=mde_wins,
        power=power,
        wins=wins,
        ties=ties,
        losses=losses,
        reasons=reasons,
    )


def lost_runs(n_diverged: Iterable[int], n_raised: Iterable[int], names: Sequence[str]) -> str:
    """Say whose runs diverged and whose raised an error: ``"2 runs of A and 1 run of B diverged"``."""
    parts = []
    for counts, what in ((n_diverged, "diverged"), (n_raised, "raised an error")):
        whose = [f"{counted(n, 'run')} of {name}" for n, name in zip(counts, names, strict=True) if n]
        if whose:
            parts.append(f"{' and '.join(whose)} {what}")
    return ", and ".join(parts)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Moments:
    """What needs finite differences."""

    mean: float | None = None
    mean_interval: Interval | None = None
    median_interval: Interval | None = None
    t_interval: Interval | None = None
    p_t: float | None = None
    d_z: float | None = None
    mde: float | None = None
    mde_d_z: float | None = None


_OF_MOMENTS = tuple(_Moments.__dataclass_fields__)


def _moments(
    d: FloatArray,
    size: float,
    level: float,
    each: float,
    power: float,
    n_resamples: int,
    seed: int,
    reasons: dict[str, str],
) -> _Moments:
    """Compute what needs finite differences, in units of the largest: no square then over- or underflows."""
    unit = float(np.abs(d).max())
    mean = float(np.mean(d / unit)) * unit if unit > 0 else 0.0
    spread = float(np.std(d / unit, ddof=1)) * unit if len(d) > 1 and unit > 0 else 0.0
    if spread <= _ROUNDING * size:
        reason = "one seed" if len(d) == 1 else "no seed differs" if unit == 0 else "the differences do not vary"
        reasons |= dict.fromkeys([name for name in _OF_MOMENTS if name != "mean"], reason)
        return _Moments(mean=mean)
    scaled = d / unit
    tested = scipy_stats().ttest_1samp(scaled, 0.0)
    limits = tested.confidence_interval(1 - level)
    mean_interval = bca_interval(scaled, np.mean, level=level, n_resamples=n_resamples, seed=seed)
    median_interval = bca_interval(scaled, np.median, level=level, n_resamples=n_resamples, seed=seed)
    if median_interval is None:
        reasons["median_interval"] = "no single seed moves the median"
    mde_d_z = minimum_detectable_effect(len(d), level=each, power=power)
    if mde_d_z is None:
        reasons |= dict.fromkeys(("mde", "mde_d_z"), f"{counted(len(d), 'seed')}: too few to detect anything")
    return _Moments(
        mean=mean,
        mean_interval=mean_interval and mean_interval.scaled(unit),
        median_interval=median_interval and median_interval.scaled(unit),
        t_interval=Interval(float(limits.low) * unit, float(limits.high) * unit),
        p_t=float(tested.pvalue),
        d_z=mean / spread,
        mde=None if mde_d_z is None else mde_d_z * spread,
        mde_d_z=mde_d_z,
    )


def _rankable(d: FloatArray) -> FloatArray:
    """Give the differences that are not zero, the infinite ones made finite and larger than each other."""
    differing = d[d != 0]
    beyond = 2 * float(np.abs(differing[np.isfinite(differing)]).max(initial=1.0))
    found: FloatArray = np.where(np.isinf(differing), np.copysign(beyond, differing), differing)
    return found


def _wilcoxon(ranked: FloatArray, each: float, reasons: dict[str, str]) -> float | None:
    """Test the signed ranks of differences that are not zero."""
    least = 2.0 ** (1 - len(ranked))
    if len(ranked) == 0:
        reasons["p_wilcoxon"] = "no seed differs"
    elif least > each:
        verb = "differs" if len(ranked) == 1 else "differ"
        reasons["p_wilcoxon"] = f"p cannot be below {least:.2g} where {counted(len(ranked), 'seed')} {verb}"
    else:
        return _signed_rank_p(ranked)
    return None


def _signed_rank_p(ranked: FloatArray) -> float:
    """Give the exact two-sided p of signed ranks: SciPy's without ties, else counted, for SciPy counts ties slowly."""
    magnitudes = np.abs(ranked)
    if len(np.unique(magnitudes)) == len(magnitudes):
        return float(scipy_stats().wilcoxon(ranked).pvalue)
    halves = np.rint(2 * scipy_stats().rankdata(magnitudes)).astype(int)  # tied ranks are halves: twice them is whole
    chances = np.zeros(halves.sum() + 1)
    chances[0] = 1.0
    for rank in halves:  # each rank is added to the sum or not, with a chance of one half
        chances[rank:] = chances[rank:] + chances[: len(chances) - rank]
        chances /= 2
    low = int(min(halves[ranked > 0].sum(), halves[ranked < 0].sum()))
    return min(1.0, 2 * float(chances[: low + 1].sum()))


def _rank_biserial(ranked: FloatArray) -> float | None:
    """Weigh the ranks above zero against those below."""
    if len(ranked) == 0:
        return None
    ranks = scipy_stats().rankdata(np.abs(ranked))
    return float(np.sum(np.sign(ranked) * ranks) / np.sum(ranks))


def _two_middle(d: FloatArray) -> FloatArray:
    """Give the two middle values, whose mean is the median."""
    ordered = np.sort(d)
    return ordered[[(len(d) - 1) // 2, len(d) // 2]]
