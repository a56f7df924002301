"""What the three theorems assume, each beside what a run met."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.asgd.setting import GammaReading, Setting, gamma
from waddington.analysis.bounds.assumption import Assumption, at_most, not_measured, stated
from waddington.analysis.bounds.constants import RunConstants
from waddington.analysis.records import Arrays

__all__ = [
    "bounded_gradients",
    "bounded_norms",
    "column_norms",
    "decaying_momentum",
    "enough_memory",
    "in_a_box",
    "one_rate",
    "rates_never_rise",
    "smooth",
    "start",
    "steps_never_widen",
]

_LOWER = "a maximum over a run is a lower bound of that over all points"


def smooth(setting: Setting, measured: RunConstants | None) -> Assumption:
    """Check Assumption 2: the gradient's slope is at most L."""
    name, says, source = "smoothness", "‖∇g(x) - ∇g(y)‖ ≤ L ‖x - y‖", "000, Assumption 2"
    found = math.nan if measured is None else measured.slope
    return at_most(name, says, source, found, setting.smoothness, note=_LOWER)


def start(setting: Setting, measured: RunConstants | None) -> Assumption:
    """Check Eq. 16: the run fell by no more than Δg, which only says that Δg is not too small."""
    found = math.nan if measured is None else measured.gap
    return at_most("distance of the first loss", "g(W_1) - inf g = Δg", "000, Eq. 16", found, setting.gap, note=_LOWER)


def bounded_gradients(setting: Setting, measured: RunConstants | None, source: str) -> Assumption:
    """Check Assumption 3: no coordinate of a stochastic gradient is above Z."""
    found = math.nan if measured is None else measured.gradient_bound
    note = f"{_LOWER}; the paper prints g where it means its gradient"
    return at_most("bounded gradients", "‖z_t‖_∞ ≤ Z", source, found, setting.gradient_bound, note=note)


def bounded_norms(setting: Setting, measured: RunConstants | None) -> Assumption:
    """Check what Eq. 63 needs: the Euclidean norm of no stochastic gradient is above Z."""
    found = math.nan if measured is None else measured.gradient_norm_bound
    note = f"{_LOWER}; Assumption 3 asks it of coordinates, with which Eq. 63 lacks a factor d"
    return at_most("bounded gradient norms", "‖z_t‖₂ ≤ Z", "000, Eqs. 62-63", found, setting.gradient_bound, note=note)


def column_norms(setting: Setting, measured: RunConstants | None, growth: float) -> Assumption:
    """Check Theorem 2's condition: one coordinate's gradients over the whole run have a norm of at most Z T^s."""
    name = "norms of gradients over the run"
    says = "‖z_{1:T,i}‖₂ ≤ Z" if growth == 0.0 else f"‖z_{{1:T,i}}‖₂ ≤ Z T^{growth:g}"
    if measured is None:
        return not_measured(name, says, "000, Theorem 2")
    note = f"after {measured.steps} steps"
    if not math.isnan(measured.column_growth):
        note += f", when it grew like T^{measured.column_growth:.2f}; noise makes it T^0.5, and then no Z is enough"
    limit = setting.gradient_bound * float(measured.steps) ** growth
    return at_most(name, says, "000, Theorem 2", measured.column_norm, limit, note=note)


def enough_memory(setting: Setting, reading: GammaReading) -> tuple[Assumption, ...]:
    """Check β1 < β2^(3/2), which the theorem asks for, and γ < 1, which its formula needs."""
    limit = setting.beta2**1.5
    ratio = gamma(setting.beta1, setting.beta2, reading)
    return (
        at_most("momentum shorter than memory", "β1 < β2^(3/2)", "000, Theorem 2", setting.beta1, limit, strict=True),
        at_most("ratio of memories", "γ < 1", "000, Eqs. 15, 56", ratio, 1.0, strict=True),
    )


def one_rate(setting: Setting, rates: Sequence[float] | Arrays | None) -> Assumption:
    """Check that the base rate was the bound's all along."""
    name, says, source = "one base rate", "α_t = u f(H) + C is one number", "000, Eqs. 50-52"
    if rates is None:
        return not_measured(name, says, source)
    off = float(np.abs(as_numbers("rates", rates) / setting.rate - 1.0).max())
    return at_most(name, says, source, off, 1e-6, note="largest deviation, as a share of the rate")


def rates_never_rise(rates: Sequence[float] | Arrays | None, source: str) -> Assumption:
    """Check that no base rate is above the one before."""
    name, says = "rates that never rise", "α_t ≤ α_{t-1}"
    if rates is None:
        return not_measured(name, says, source)
    given = as_numbers("rates", rates)
    rise = float((given[1:] / given[:-1] - 1.0).max()) if given.size > 1 else 0.0
    return at_most(name, says, source, rise, 1e-6, note="largest rise, as a share of the rate before")


def steps_never_widen(widened: int | None, source: str) -> Assumption:
    """Check that no coordinate's effective rate α_t / h_t^½ ever rises: the condition Γ_t ≥ 0, by coordinates.

    It is what a running maximum of h is for (AMSGrad, Algorithm 2). Without one (Algorithm 1) h falls whenever
    gradients do; and a base rate that switches up raises all of them at once.
    """
    name, says = "effective rates that never rise", "h_t^½ / α_t ≥ h_{t-1}^½ / α_{t-1}, each coordinate"
    if widened is None:
        return not_measured(name, says, source)
    return at_most(name, says, source, float(widened), 0.0, note="counted over coordinates and steps")


def in_a_box(diameter: float, measured: RunConstants | None, projected: bool | None) -> tuple[Assumption, ...]:
    """Check that iterates were projected, and stayed within the diameter."""
    says, source = "W_t in a set of ‖·‖_∞-diameter D, by projection", "000, Theorem 1"
    found = math.nan if measured is None else measured.diameter
    put = (
        not_measured("projection", says, source) if projected is None else stated("projection", says, source, projected)
    )
    return put, at_most("bounded set", "‖W_t - W_1‖_∞ ≤ D", source, found, diameter, note=_LOWER)


def decaying_momentum(setting: Setting, decays: bool | None) -> Assumption:
    """Check β_{1,t} = β1 λ^(t-1), which neither algorithm has; without momentum it holds by itself."""
    name, says, source = "momentum that decays", "β_{1,t} = β1 λ^(t-1)", "000, Theorem 1"
    if setting.beta1 == 0.0:
        return stated(name, says, source, True, note="there is none")
    if decays is None:
        return not_measured(name, says, source, note="Algorithms 1 and 2 keep β1")
    return stated(name, says, source, decays, note="Algorithms 1 and 2 keep β1")
