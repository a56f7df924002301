"""Statistics of comparisons: pure functions of arrays, seeds first; SciPy and statsmodels do the arithmetic.

A run that diverged or raised an error is infinite on the bad side of its metric. It is the worst rank, never left out.
"""

from __future__ import annotations

from waddington.bench.statistics.anytime import anytime_loss
from waddington.bench.statistics.blocks import MOST_CONTRASTS, Contrast, Several, several
from waddington.bench.statistics.budget import Attempts, BestOf, attempts_to_success, expected_best
from waddington.bench.statistics.corrections import corrected
from waddington.bench.statistics.intervals import Interval
from waddington.bench.statistics.pairs import Paired, paired
from waddington.bench.statistics.performance import Profiles, profiles
from waddington.bench.statistics.pooling import Pooled, pooled
from waddington.bench.statistics.power import detectable_wins, minimum_detectable_effect
from waddington.bench.statistics.regret import Regret, regrets
from waddington.bench.statistics.targets import best_configuration, cost_at, first_reach, target_of
from waddington.bench.statistics.values import worst
from waddington.bench.statistics.verdicts import Verdict, beside_one, number, pooled_verdict, verdict

__all__ = [
    "MOST_CONTRASTS",
    "Attempts",
    "BestOf",
    "Contrast",
    "Interval",
    "Paired",
    "Pooled",
    "Profiles",
    "Regret",
    "Several",
    "Verdict",
    "anytime_loss",
    "attempts_to_success",
    "beside_one",
    "best_configuration",
    "corrected",
    "cost_at",
    "detectable_wins",
    "expected_best",
    "first_reach",
    "minimum_detectable_effect",
    "number",
    "paired",
    "pooled",
    "pooled_verdict",
    "profiles",
    "regrets",
    "several",
    "target_of",
    "verdict",
    "worst",
]
