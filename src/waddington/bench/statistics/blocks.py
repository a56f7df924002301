"""Several arms on one task: analysis of variance with seeds as blocks, and pre-chosen contrasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from waddington._checks import check_known
from waddington.bench.statistics._libraries import scipy_stats, statsmodels_anova
from waddington.bench.statistics.corrections import corrected
from waddington.bench.statistics.pairs import Paired, lost_runs, paired
from waddington.bench.statistics.values import Better, FloatArray, checked_values
from waddington.errors import ArgumentError

__all__ = ["MOST_CONTRASTS", "Contrast", "Several", "several"]

MOST_CONTRASTS = 4
"""How many contrasts a comparison may choose beforehand: each one more makes every other harder to show."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One pre-chosen contrast.

    Attributes
    ----------
    first, second
        Names of the arms; the difference is first minus second.
    paired
        What the pairs say.
    p_holm, p_bonferroni
        p of ``paired.test``, corrected for the family; None where the test has none.
    """

    first: str
    second: str
    paired: Paired
    p_holm: float | None
    p_bonferroni: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Several:
    """Whether several arms differ at all, and the contrasts.

    Attributes
    ----------
    test
        "repeated-measures ANOVA", or "Friedman" where runs diverged or raised.
    statistic
        F or Friedman's chi-square.
    degrees
        Degrees of freedom: two of F, one of chi-square.
    p
        p of the test, as if all pairs of arms varied alike (sphericity).
    epsilon
        Greenhouse and Geisser's: 1 where they do, 1/(n_arms - 1) at worst. None for Friedman's test.
    p_corrected
        p of F with both degrees times ``epsilon``; the one to trust. None for Friedman's test.
    reason
        Why there is no test, else "".
    contrasts
        The pre-chosen contrasts.
    """

    test: str
    statistic: float | None
    degrees: tuple[float, ...]
    p: float | None
    epsilon: float | None
    p_corrected: float | None
    reason: str
    contrasts: tuple[Contrast, ...]


def several(
    values: ArrayLike,
    arms: Sequence[str],
    contrasts: Sequence[tuple[str, str]] = (),
    *,
    better: Better = "lower",
    level: float = 0.05,
    raised: ArrayLike | None = None,
    n_resamples: int = 10_000,
    seed: int = 0,
) -> Several:
    """Compare several arms on one task.

    Parameters
    ----------
    values
        Shape (n_seeds, n_arms); a diverged run is infinite on the bad side.
    arms
        Names of the columns.
    contrasts
        At most four pairs of names, chosen before the runs.
    better
        Direction of the metric.
    level
        Significance of the family of contrasts.
    raised
        Which of the infinite values are those of runs that raised an error, shape (n_seeds, n_arms), truth values; the
        others diverged. None: all diverged.
    n_resamples, seed
        Of the bootstrap intervals.

    Raises
    ------
    ArgumentError
        More than four contrasts, one that is named twice or compares an arm with itself, names that are not those of
        the columns, values that :func:`paired` refuses, or `raised` of another shape, or true where a value is finite.
    UnknownNameError
        A contrast names no arm.

    Notes
    -----
    Seeds are the blocks of ``statsmodels.stats.anova.AnovaRM``; Friedman's test is SciPy's. Epsilon: Greenhouse and
    Geisser, "On methods in the analysis of profile data", Psychometrika 24 (1959).
    """
    array = checked_values("values", values, ndim=2, better=better)
    names = list(arms)
    if len(names) != array.shape[1] or len(set(names)) != len(names):
        raise ArgumentError(
            f"cannot use arms={names!r}: there must be {array.shape[1]} different names, one for each column"
        )
    lost = _checked_raised(raised, array)
    pairs = _checked_contrasts(contrasts, names)
    compared = [
        paired(
            array[:, names.index(first)],
            array[:, names.index(second)],
            better=better,
            level=level,
            n_contrasts=len(pairs),
            n_raised=(int(lost[:, names.index(first)].sum()), int(lost[:, names.index(second)].sum())),
            n_resamples=n_resamples,
            seed=seed,
        )
        for first, second in pairs
    ]
    raw = [result.p for result in compared]
    rows = zip(pairs, compared, corrected(raw), corrected(raw, method="bonferroni"), strict=True)
    found = tuple(
        Contrast(first=first, second=second, paired=result, p_holm=holm, p_bonferroni=bonferroni)
        for (first, second), result, holm, bonferroni in rows
    )
    if not np.isinf(array).any():
        return _anova(array, found)
    return _friedman(array, lost_runs((np.isinf(array) & ~lost).sum(0), lost.sum(0), names), found)


def _checked_raised(raised: ArrayLike | None, array: FloatArray) -> NDArray[np.bool_]:
    """Give which values are those of runs that raised."""
    found = np.zeros(array.shape, dtype=bool) if raised is None else np.asarray(raised)
    if found.shape != array.shape or found.dtype != np.bool_:
        raise ArgumentError(
            f"cannot use raised of shape {found.shape} and type {found.dtype}: accepted are truth values of shape"
            f" {array.shape}"
        )
    if (found & np.isfinite(array)).any():
        raise ArgumentError("cannot use raised: it is true where a value is finite; a run that raised is infinite")
    return found


def _checked_contrasts(contrasts: Sequence[tuple[str, str]], names: list[str]) -> list[tuple[str, str]]:
    """Refuse contrasts that are too many, twice the same, or about nothing."""
    if len(contrasts) > MOST_CONTRASTS:
        listed = ", ".join(f"{first} and {second}" for first, second in contrasts)
        raise ArgumentError(
            f"cannot test {len(contrasts)} contrasts ({listed}): at most {MOST_CONTRASTS} are chosen before the runs"
        )
    pairs = [(check_known("arm", first, names), check_known("arm", second, names)) for first, second in contrasts]
    for at, pair in enumerate(pairs):
        if pair[0] == pair[1] or pair in pairs[:at] or pair[::-1] in pairs[:at]:
            raise ArgumentError(f"cannot use contrast {pair!r}: a contrast is two different arms, and stands once")
    return pairs


def _anova(array: FloatArray, contrasts: tuple[Contrast, ...]) -> Several:
    """Analyse the variance of finite values with seeds as blocks."""
    n_seeds, n_arms = array.shape
    unit = float(np.abs(array).max()) or 1.0
    scaled = array / unit
    residual = scaled - scaled.mean(0) - scaled.mean(1, keepdims=True) + scaled.mean()
    reason = ""
    if n_seeds < 2 or n_arms < 2:
        reason = f"{n_seeds} x {n_arms} values: an analysis needs two seeds and two arms"
    elif np.abs(residual).max() <= 1e-13:
        reason = "the arms' differences do not vary over seeds"
    if reason:
        return _without("repeated-measures ANOVA", reason, contrasts)
    import pandas as pd  # the form in which AnovaRM reads values

    seeds, columns = np.indices(array.shape)
    frame = pd.DataFrame({"value": scaled.ravel(), "seed": seeds.ravel(), "arm": columns.ravel()})
    row = statsmodels_anova().AnovaRM(frame, "value", "seed", within=["arm"]).fit().anova_table.iloc[0]
    statistic, first, second, p = (float(row[name]) for name in ("F Value", "Num DF", "Den DF", "Pr > F"))
    epsilon = _greenhouse_geisser(residual)
    return Several(
        test="repeated-measures ANOVA",
        statistic=statistic,
        degrees=(first, second),
        p=p,
        epsilon=epsilon,
        p_corrected=float(scipy_stats().f.sf(statistic, epsilon * first, epsilon * second)),
        reason="",
        contrasts=contrasts,
    )


def _greenhouse_geisser(residual: FloatArray) -> float:
    """Estimate how far the arms' pairs are from varying alike, from doubly centred values."""
    covariance = residual.T @ residual
    freedom = residual.shape[1] - 1
    found = np.trace(covariance) ** 2 / (freedom * np.sum(covariance**2))
    return float(np.clip(found, 1 / freedom, 1.0))  # rounding may pass either end


def _friedman(array: FloatArray, lost: str, contrasts: tuple[Contrast, ...]) -> Several:
    """Test ranks within seeds; diverged runs, and those that raised, share the worst one."""
    n_seeds, n_arms = array.shape
    if n_seeds < 2 or n_arms < 3:
        reason = f"{n_seeds} x {n_arms} values, {lost}: Friedman's test needs two seeds and three arms"
        return _without("Friedman", reason, contrasts)
    if (array == array[:, :1]).all():
        return _without("Friedman", "no arm differs from another", contrasts)
    tested = scipy_stats().friedmanchisquare(*array.T)
    return Several(
        test="Friedman",
        statistic=float(tested.statistic),
        degrees=(float(n_arms - 1),),
        p=float(tested.pvalue),
        epsilon=None,
        p_corrected=None,
        reason="",
        contrasts=contrasts,
    )


def _without(test: str, reason: str, contrasts: tuple[Contrast, ...]) -> Several:
    return Several(
        test=test,
        statistic=None,
        degrees=(),
        p=None,
        epsilon=None,
        p_corrected=None,
        reason=reason,
        contrasts=contrasts,
    )
