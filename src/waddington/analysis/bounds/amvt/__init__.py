"""The theory of AMVT as calculators, and the arithmetic of its tables (Saravana Ram; paper 004).

Theorems are printed without their roots, so each says how it is read: a function of :data:`Reading`, or with ``root``.
Under names with ``derived`` stands what can be proved for plain SGD.
"""

from __future__ import annotations

from waddington.analysis.bounds.amvt.conditions import check_assumptions, rate_limits
from waddington.analysis.bounds.amvt.derived import derived_convex, derived_mean, derived_nonconvex
from waddington.analysis.bounds.amvt.measured import (
    LogisticRun,
    Optimum,
    Regret,
    logistic_optimum,
    measure_logistic,
    measure_regret,
)
from waddington.analysis.bounds.amvt.memory import activation_bytes, memory_share, state_bytes
from waddington.analysis.bounds.amvt.tables import (
    ACCURACY,
    EPOCHS,
    GAPS,
    HOURS,
    OVERHEAD,
    Figure,
    figures,
    more,
    saved,
    time_per_epoch,
)
from waddington.analysis.bounds.amvt.theorems import Reading, property_1, property_2, property_3, theorem_1, theorem_2

__all__ = [
    "ACCURACY",
    "EPOCHS",
    "GAPS",
    "HOURS",
    "OVERHEAD",
    "Figure",
    "LogisticRun",
    "Optimum",
    "Reading",
    "Regret",
    "activation_bytes",
    "check_assumptions",
    "derived_convex",
    "derived_mean",
    "derived_nonconvex",
    "figures",
    "logistic_optimum",
    "measure_logistic",
    "measure_regret",
    "memory_share",
    "more",
    "property_1",
    "property_2",
    "property_3",
    "rate_limits",
    "saved",
    "state_bytes",
    "theorem_1",
    "theorem_2",
    "time_per_epoch",
]
