"""Adam's bound beside that of switched rates, as section III.H compares them (Eqs. 21-28), and Table I.

A run that takes the large rate M for a share p of its steps and the small one m for the rest has the mean rate
``ᾱ = p M + (1-p) m``. Everything the paper concludes hangs on where ᾱ goes. The section reads ``R8 / (T ᾱ)`` as what
shrinks: it grows, because ᾱ is below M. And it puts ᾱ for the rate of the third summand, where the proof (Eqs. 50-52)
has ``Σ α_t² / Σ α_t``, which is ᾱ for one rate alone and else larger.

The functions of rates alone take numbers of any kind, fractions too: then they are exact.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Literal, TypeVar

import numpy as np

from waddington._checks import check_in_range, check_known
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.asgd.setting import Form, GammaReading, Setting, r8, r10
from waddington.analysis.bounds.asgd.theorems import ergodic
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = [
    "ORDERS",
    "NetCondition",
    "Order",
    "best_rate",
    "compare_orders",
    "factored_difference",
    "improvement_factor",
    "mean_rate",
    "net_condition",
    "net_difference",
    "squared_mean_rate",
    "switched",
    "variance_sum",
]

Number = TypeVar("Number", float, Fraction)


def mean_rate(small: Number, large: Number, share: Number) -> Number:
    """Give ᾱ = p M + (1-p) m (Eq. 27).

    Parameters
    ----------
    small, large
        m and M, in parameters, with 0 < m ≤ M.
    share
        p in [0, 1], of the steps at the large rate. Eq. 27 calls it α_T.
    """
    _check_rates(small, large, share)
    return share * large + (1 - share) * small


def squared_mean_rate(small: Number, large: Number, share: Number) -> Number:
    """Give Σ α² / Σ α = (p M² + (1-p) m²) / ᾱ: the rate of the third summand of Theorem 2, by its proof."""
    return (share * large**2 + (1 - share) * small**2) / mean_rate(small, large, share)


def improvement_factor(fixed: Number, mean: Number) -> Number:
    """Give the ratio of the leading terms of Eq. 22 and Eq. 23, α_adam / ᾱ (Eqs. 24 and 28).

    The new term over the old one: above 1 it has grown. The paper's 1.67 is 66.6 % more; its "40 % reduction" is
    ``1 - 1/1.67``, the ratio turned over.
    """
    check_in_range("fixed", float(fixed), 0.0, open_low=True, open_high=True)
    check_in_range("mean", float(mean), 0.0, open_low=True, open_high=True)
    return fixed / mean


def switched(
    setting: Setting, *, small: float, share: float, form: Form = "printed", reading: GammaReading = "theorem-2"
) -> Bound:
    """Give Eq. 22, the bound of a switched rate; Eq. 23, Adam's, is :func:`ergodic` of the same setting.

    Parameters
    ----------
    setting
        ``rate`` is the large one.
    small, share
        The small rate, and the share of steps at the large one.
    form
        ``"printed"`` has ᾱ in the third summand, ``"mended"`` :func:`squared_mean_rate`. Neither is proved: Eqs. 43
        and 45 need effective rates that never rise, and a rate that switches up raises them all.
    reading
        Which γ.
    """
    mean = mean_rate(small, setting.rate, share)
    one = ergodic(replace(setting, rate=mean), form=form, reading=reading)
    weight = 1.0 if form == "printed" else squared_mean_rate(small, setting.rate, share) / mean
    terms = dict(one.terms)
    third = terms.pop("α R10 d / √T")
    terms["α R10 d / √T"] = lambda t: weight * third(t)
    return replace(
        one,
        name="mean square gradient, switched",
        source=f"000, Eq. 22, {form}",
        at=lambda t: np.asarray(sum(term(t) for term in terms.values())),
        terms=terms,
        constants={**one.constants, "alpha": mean, "alpha min": small, "alpha max": setting.rate, "share": share},
        note=f"{one.note}; not proved: the rate must not rise (Eqs. 43, 45)",
    )


def variance_sum(
    flat_share: Number, *, flat_rate: Number, sharp_rate: Number, flat_curvature: Number, sharp_curvature: Number
) -> Number:
    """Give the right side of Eq. 25: what switching is said to keep small.

    ``|F|/T α_F / c_F² + |S|/T α_S / c_S²``, with the larger rate in flat regions. It is no summand of Eq. 22. And the
    paper's assignment makes it larger than the other one, wherever ``|F|/c_F² > |S|/c_S²``: a large rate stands beside
    a small divisor.

    Parameters
    ----------
    flat_share
        |F|/T in [0, 1].
    flat_rate, sharp_rate
        α_max and α_min in Eq. 25.
    flat_curvature, sharp_curvature
        c_F and c_S, the least √H + ε in either region. Above 0.
    """
    check_in_range("flat_share", float(flat_share), 0.0, 1.0)
    for name, value in (("flat_rate", flat_rate), ("sharp_rate", sharp_rate)):
        check_in_range(name, float(value), 0.0, open_high=True)
    for name, value in (("flat_curvature", flat_curvature), ("sharp_curvature", sharp_curvature)):
        check_in_range(name, float(value), 0.0, open_low=True, open_high=True)
    return flat_share * flat_rate / flat_curvature**2 + (1 - flat_share) * sharp_rate / sharp_curvature**2


def net_difference(
    steps: Arrays | float, setting: Setting, *, mean: float, weight: float | None = None, form: Form = "printed"
) -> Arrays:
    """Give Δ(T) (Eq. 26), the bound of a mean rate less that of a fixed one; below 0 the former is tighter.

    Parameters
    ----------
    steps
        T, from 1, of any shape.
    setting
        ``rate`` is the fixed one.
    mean
        ᾱ.
    weight
        Rate of the third summand; None is ᾱ, as printed. :func:`squared_mean_rate` gives the proof's.
    form
        Of R8 and R10.
    """
    at = _counted(steps)
    check_in_range("mean", mean, 0.0, open_low=True, open_high=True)
    leading = r8(setting, form) / at * (1.0 / mean - 1.0 / setting.rate)
    third = r10(setting, form) * setting.dimension / np.sqrt(at)
    return np.asarray(leading + third * ((mean if weight is None else weight) - setting.rate))


def _counted(steps: Arrays | float) -> Arrays:
    at = as_numbers("steps", steps)
    if not (at >= 1.0).all():
        raise ArgumentError(f"cannot compare bounds after {at.min():.6g} steps; accepted: 1 or more")
    return at


def factored_difference(
    root: Fraction, *, fixed: Fraction, mean: Fraction, leading: Fraction, third: Fraction
) -> tuple[Fraction, Fraction]:
    """Give Δ(T) as Eq. 26 has it and as a product, exactly: they are one number.

    ``(a - ᾱ) (R8 / (T ᾱ a) - R10 d / √T)``: its sign is that of two differences.

    Parameters
    ----------
    root
        √T.
    fixed, mean
        a and ᾱ.
    leading, third
        R8 and R10 d.
    """
    steps = root**2
    printed = leading / steps * (1 / mean - 1 / fixed) + third / root * (mean - fixed)
    return printed, (fixed - mean) * (leading / (steps * mean * fixed) - third / root)


@dataclass(frozen=True, kw_only=True)
class NetCondition:
    """When the bound of a mean rate is below that of a fixed one.

    Attributes
    ----------
    threshold
        T*, where the two are equal; infinite where they never are.
    tighter
        On which side of it the mean rate's bound is the smaller: ``"after"``, ``"before"`` or ``"never"``.
    """

    threshold: float
    tighter: Literal["after", "before", "never"]

    def holds(self, steps: Arrays | float) -> Arrays:
        """Say of each T whether Δ(T) < 0."""
        at = as_numbers("steps", steps)
        if self.tighter == "never":
            return np.zeros_like(at, dtype=bool)
        return np.asarray(at > self.threshold if self.tighter == "after" else at < self.threshold)


def net_condition(
    setting: Setting, *, mean: float, weight: float | None = None, form: Form = "printed"
) -> NetCondition:
    """Give T* = (R8 / (R10 d ᾱ a))² and the side of it on which Δ(T) < 0.

    For ᾱ < a it is the side after T*, for ᾱ > a that before it: the bound prefers the smaller rate in the end, whatever
    it is. With `weight` w in the third summand it is ``(R8 (1/ᾱ - 1/a) / (R10 d (a - w)))²``.

    Parameters
    ----------
    setting, mean, weight, form
        As for :func:`net_difference`.
    """
    check_in_range("mean", mean, 0.0, open_low=True, open_high=True)
    fixed = setting.rate
    gain = 1.0 / mean - 1.0 / fixed
    loss = fixed - (mean if weight is None else weight)
    leading, third = r8(setting, form) * gain, r10(setting, form) * setting.dimension * loss
    if leading <= 0.0 and third >= 0.0:  # neither summand is larger than before
        if leading == third == 0.0:
            return NetCondition(threshold=math.inf, tighter="never")
        return NetCondition(threshold=0.0, tighter="after")
    if leading >= 0.0 and third <= 0.0:
        return NetCondition(threshold=math.inf, tighter="never")
    root = leading / third
    return NetCondition(threshold=root * root, tighter="after" if third > 0.0 else "before")


def best_rate(
    steps: Arrays | float, setting: Setting, *, growth: float = 0.0, form: Form = "printed"
) -> tuple[Arrays, Arrays]:
    """Give the constant rate at which Theorem 2's bound is least after T steps, and that bound.

    ``α = √(R8 / (R10 d)) T^(-1/4 - s/2)``, at which the bound is ``2 √(R8 R10 d) T^(s/2 - 3/4) + R9 d/T``. So the bound
    knows of no region in which a rate should be larger.

    Parameters
    ----------
    steps
        T, from 1, of any shape.
    setting
        ``rate`` plays no part. L and Δg must be above 0.
    growth
        s of the gradients' norms over the run.
    form
        Of the constants.

    Raises
    ------
    ArgumentError
        L or Δg is 0: then the least is at an infinite rate or at none. Or T is below 1.
    """
    if not (setting.smoothness > 0.0 and setting.gap > 0.0):
        raise ArgumentError(
            f"cannot give the best rate at smoothness={setting.smoothness:g} and gap={setting.gap:g}: accepted are"
            " numbers above 0"
        )
    at = _counted(steps)
    leading, third = r8(setting, form), r10(setting, form) * setting.dimension
    rates = math.sqrt(leading / third) * at ** (-0.25 - growth / 2.0)
    fixed = ergodic(setting, growth=growth, form=form).terms["R9 d / T"]
    return rates, leading / (at * rates) + third * rates * at ** (growth - 0.5) + fixed(at)


@dataclass(frozen=True, kw_only=True)
class Order:
    """An order of convergence, O(value).

    Attributes
    ----------
    source
        Where it stands, or what gives it.
    value
        ``value(T, d, s, Ψ)``.
    """

    source: str
    value: Callable[[float, float, float, float], float]


def _adam(steps: float, d: float, s: float, psi: float) -> float:
    return math.sqrt(d / steps) + d / steps


ORDERS: Mapping[str, Order] = MappingProxyType(
    {
        "ASGD2": Order(source="Table I", value=lambda t, d, s, psi: (math.log(t) + d**2) / math.sqrt(t)),
        "Adam": Order(source="Table I", value=_adam),
        "Padam": Order(source="Table I", value=lambda t, d, s, psi: math.sqrt(d) / t ** (0.75 - s / 2.0) + d / t),
        "AMSGrad": Order(source="Table I", value=_adam),
        "ASGDAdam": Order(source="Table I", value=lambda t, d, s, psi: _adam(t, d, s, psi) + psi),
        "ASGDAMSGrad": Order(source="Table I", value=lambda t, d, s, psi: _adam(t, d, s, psi) + psi),
        "Theorem 2, constant rate": Order(
            source="Eq. 12 with T^s (Eq. 53)", value=lambda t, d, s, psi: 1.0 / t + d / t + d * t ** (s - 0.5)
        ),
        "Theorem 2, best rate": Order(
            source="Eq. 12 at best_rate", value=lambda t, d, s, psi: math.sqrt(d) * t ** (s / 2.0 - 0.75) + d / t
        ),
    }
)
"""The last row of Table I, and the orders that Theorem 2 has. Padam's row is Theorem 2 at its best rate; Adam's is that
with s = 1/2; the proposed methods' is Adam's and a further Ψ. At a constant rate, as in Algorithms 1 and 2, Eq. 12
gives d/√T where the table has √(d/T)."""


def compare_orders(
    name: str, other: str, *, steps: float, dimension: float, growth: float = 0.5, psi: float = 0.0
) -> float:
    """Give the ratio of two orders of :data:`ORDERS`: above 1, `name` is the slower.

    With Ψ ≥ 0 it is never below 1 for a proposed method against Adam, AMSGrad or Padam.

    Parameters
    ----------
    name, other
        Rows.
    steps, dimension
        T and d, from 1.
    growth
        s in [0, 1/2].
    psi
        Ψ, from 0; the table says that it "characterizes the gradient growth rate", and no more.
    """
    check_in_range("steps", steps, 1.0, open_high=True)
    check_in_range("dimension", dimension, 1.0, open_high=True)
    check_in_range("growth", growth, 0.0, 0.5)
    check_in_range("psi", psi, 0.0, open_high=True)
    first, second = (ORDERS[check_known("order", each, ORDERS)] for each in (name, other))
    return first.value(steps, dimension, growth, psi) / second.value(steps, dimension, growth, psi)


def _check_rates(small: float | Fraction, large: float | Fraction, share: float | Fraction) -> None:
    check_in_range("small", float(small), 0.0, open_low=True, open_high=True)
    check_in_range("large", float(large), float(small), open_high=True)
    check_in_range("share", float(share), 0.0, 1.0)
