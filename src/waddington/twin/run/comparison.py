"""Two contestants on one metric, paired by seed, split and modality: a gain with its interval over seeds.

An error (MSE, RMSE, MAE) is compared as the logarithm of the ratio, so that no modality's units decide; any other
metric as the difference. The mean over splits and modalities, each weighted by its number of conditions, is one value a
seed. The first contestant *is better* when the 95 % interval of Student's t over seeds lies on its side of zero,
*worse* in the mirror case; otherwise, and always with a single seed, they are not told apart. A gain within rounding is
none, and a seed in which a value is undefined or infinite leaves the comparison open.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from waddington._text import counted
from waddington.twin.evaluate.metrics import get_metric

__all__ = ["Comparison", "compare"]

_PAIRED = ["seed", "split", "modality", "n"]
"""What two values must share to be compared; the number of conditions too, as each is a mean over conditions."""

_ROUNDING = 1e-6
"""Gains below this are no gains: float32 keeps seven digits."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One contestant against another on one metric, oriented so that positive is better."""

    gain: float
    """Mean over seeds: difference of the metric, or natural logarithm of the ratio of errors."""
    low: float
    high: float
    """Ends of the 95 % interval; infinite with a single seed."""
    seeds: int
    conditions: Mapping[str, int]
    """Conditions by split that the gain is a mean over; the most of any modality."""
    relative: bool
    """Whether the metric is an error, compared as a ratio."""
    undefined: tuple[int, ...] = ()
    """Seeds in which a value of either is undefined or infinite; any leaves the comparison open."""

    @property
    def better(self) -> bool:
        """Whether the first contestant is better."""
        return self.low > 0

    @property
    def worse(self) -> bool:
        """Whether the second contestant is better."""
        return self.high < 0

    @property
    def text(self) -> str:
        """The gain with its interval, an error's as the change in per cent."""
        if self.undefined:
            return f"left open, as values of {counted(len(self.undefined), 'seed')} are undefined or infinite"
        ends = (self.low, self.high) if not self.relative else (self.high, self.low)
        interval = f"{self._shown(ends[0])}, {self._shown(ends[1])}" if self.seeds > 1 else "one seed: no interval"
        return f"{self._shown(self.gain)} [{interval}]"

    def _shown(self, gain: float) -> str:
        return f"{100 * math.expm1(-gain):+.1f} %" if self.relative else f"{gain:+.3f}"


def compare(metrics: pd.DataFrame, first: dict[str, str], second: dict[str, str], metric: str) -> Comparison | None:
    """Compare two contestants on one metric, over seeds; splits and modalities count by their conditions.

    Parameters
    ----------
    metrics
        Tidy metrics of one protocol; without a column ``n``, every value counts alike.
    first, second
        Values of columns that pick a contestant, such as ``{"predictor": "agent", "optimizer": "Adam"}``.
    metric
        Name of the metric.

    Returns
    -------
    Comparison or None
        None where there is no pair of defined values.
    """
    row = get_metric(metric)
    weighed = metrics if "n" in metrics.columns else metrics.assign(n=1)
    sides = []
    for chosen in (first, second):
        rows = weighed[weighed["metric"] == metric]
        for column, value in chosen.items():
            rows = rows[rows[column] == value]
        side = rows.groupby(_PAIRED)["value"].agg(lambda values: values.mean(skipna=False))
        sides.append(side.clip(lower=1e-300).map(lambda error: -math.log(error)) if row.is_error else row.sign * side)
    pairs = pd.concat(sides, axis=1, join="inner", keys=["first", "second"]).reset_index()
    pairs = pairs[(pairs["n"] > 0) & ~(pairs["first"].isna() & pairs["second"].isna())]
    if pairs.empty:
        return None
    pairs["gain"] = pairs["first"] - pairs["second"]
    weighted = (pairs["gain"] * pairs["n"]).groupby(pairs["seed"]).sum(min_count=1) / pairs.groupby("seed")["n"].sum()
    undefined = tuple(sorted(set(pairs.loc[~np.isfinite(pairs["gain"]), "seed"])))
    by_seed = weighted.to_numpy(dtype=np.float64)
    by_seed = np.where(np.abs(by_seed) < _ROUNDING, 0.0, by_seed)
    gain, low, high = float(by_seed.mean()), -math.inf, math.inf
    if len(by_seed) > 1 and not undefined:
        half = float(stats.t.ppf(0.975, len(by_seed) - 1) * by_seed.std(ddof=1) / math.sqrt(len(by_seed)))
        low, high = gain - half, gain + half
    conditions = {str(split): int(n) for split, n in pairs.groupby("split", sort=False)["n"].max().items()}
    return Comparison(
        gain=gain,
        low=low,
        high=high,
        seeds=len(by_seed),
        conditions=conditions,
        relative=row.is_error,
        undefined=undefined,
    )
