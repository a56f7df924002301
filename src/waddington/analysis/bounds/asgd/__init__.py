"""The theory of ASGDAdam and ASGDAMSGrad as calculators.

Boabang & Gyamerah, "Enhanced Adaptive Stochastic Gradient Descent: Convergence Analysis and Its Application in
Single-Cell Perturbation Analysis". Theorem 1 is :func:`regret`, Theorem 2 :func:`ergodic`, Theorem 3
:func:`nonergodic`; section III.H and Table I are in :mod:`.comparison`, the switch of Algorithms 1 and 2 in
:mod:`.literal`. :func:`measure_run` and :func:`measure_regret` run an optimizer and keep what the theorems speak of.
"""

from __future__ import annotations

from waddington.analysis.bounds.asgd.comparison import (
    ORDERS,
    NetCondition,
    Order,
    best_rate,
    compare_orders,
    factored_difference,
    improvement_factor,
    mean_rate,
    net_condition,
    net_difference,
    squared_mean_rate,
    switched,
    variance_sum,
)
from waddington.analysis.bounds.asgd.literal import (
    literal_changes,
    literal_counts,
    literal_factors,
    literal_takes_large,
)
from waddington.analysis.bounds.asgd.online import MeasuredRegret, judge_regret, measure_regret
from waddington.analysis.bounds.asgd.runs import MeasuredRun, judge_runs, measure_run
from waddington.analysis.bounds.asgd.setting import (
    MEANINGS,
    EpsPlace,
    Form,
    GammaReading,
    Setting,
    gamma,
    i1,
    i2,
    r8,
    r9,
    r10,
)
from waddington.analysis.bounds.asgd.theorems import (
    ergodic,
    ergodic_thresholds,
    nonergodic,
    nonergodic_limit,
    regret,
)

__all__ = [
    "MEANINGS",
    "ORDERS",
    "EpsPlace",
    "Form",
    "GammaReading",
    "MeasuredRegret",
    "MeasuredRun",
    "NetCondition",
    "Order",
    "Setting",
    "best_rate",
    "compare_orders",
    "ergodic",
    "ergodic_thresholds",
    "factored_difference",
    "gamma",
    "i1",
    "i2",
    "improvement_factor",
    "judge_regret",
    "judge_runs",
    "literal_changes",
    "literal_counts",
    "literal_factors",
    "literal_takes_large",
    "mean_rate",
    "measure_regret",
    "measure_run",
    "net_condition",
    "net_difference",
    "nonergodic",
    "nonergodic_limit",
    "r8",
    "r9",
    "r10",
    "regret",
    "squared_mean_rate",
    "switched",
    "variance_sum",
]
