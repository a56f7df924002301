"""The theory of AMGT as calculators (Laisin, Osu, Duruojinkeya and Chibuisi, 2025; paper 002).

:class:`Quadratic` has gradient descent in rational numbers, and the paper's two applications are such functions. A
theorem is a function that gives a :class:`~waddington.analysis.bounds.Bound`: as it is printed, and under a name with
``derived`` as its own steps give it. Iterates are counted from the start x_1, as in the paper.
"""

from __future__ import annotations

from waddington.analysis.bounds.amgt.applications import APPLICATION_1, APPLICATION_2, Application
from waddington.analysis.bounds.amgt.general import (
    FarStart,
    best_mu,
    convex_rate,
    far_start,
    nonconvex_rate,
    nonconvex_rate_as_printed,
    quartic_floor,
)
from waddington.analysis.bounds.amgt.inexact import (
    derived_global_convergence,
    global_convergence,
    printed_contraction,
    threshold_error,
    threshold_errors,
    threshold_holds,
)
from waddington.analysis.bounds.amgt.measured import Decay, measure_decay
from waddington.analysis.bounds.amgt.quadratic import Behaviour, Quadratic
from waddington.analysis.bounds.amgt.sequences import lemma_sequence, recursion_bound, robbins_monro
from waddington.analysis.bounds.amgt.strongly_convex import (
    claimed_exponent,
    decay_factor,
    decay_product,
    derived_convergence,
    linear_convergence,
    power_law,
    refuting_scale,
    vanishes_after,
)

__all__ = [
    "APPLICATION_1",
    "APPLICATION_2",
    "Application",
    "Behaviour",
    "Decay",
    "FarStart",
    "Quadratic",
    "best_mu",
    "claimed_exponent",
    "convex_rate",
    "decay_factor",
    "decay_product",
    "derived_convergence",
    "derived_global_convergence",
    "far_start",
    "global_convergence",
    "lemma_sequence",
    "linear_convergence",
    "measure_decay",
    "nonconvex_rate",
    "nonconvex_rate_as_printed",
    "power_law",
    "printed_contraction",
    "quartic_floor",
    "recursion_bound",
    "refuting_scale",
    "robbins_monro",
    "threshold_error",
    "threshold_errors",
    "threshold_holds",
    "vanishes_after",
]
