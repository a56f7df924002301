"""Theorems 1, 2 and 3: regret (Eq. 9), mean square gradient (Eq. 12), smallest gradient (Eq. 17).

Each is given as printed and mended. Mended means: what the paper's own proof gives, for AMSGrad's denominators, when
every step of it is done; each difference is at the constant it concerns and in the bound's note.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import get_args

import numpy as np

from waddington._checks import check_choice, check_in_range
from waddington.analysis.bounds.asgd import conditions as asked
from waddington.analysis.bounds.asgd.series import power_sum, zeta
from waddington.analysis.bounds.asgd.setting import Form, GammaReading, Setting, gamma, i1, i2, r8, r9, r10
from waddington.analysis.bounds.assumption import Assumption
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.bounds.constants import RunConstants
from waddington.analysis.records import Arrays

__all__ = ["ergodic", "ergodic_thresholds", "nonergodic", "nonergodic_limit", "regret"]

Curve = Callable[[Arrays], Arrays]


def regret(
    setting: Setting,
    *,
    diameter: float,
    momentum_decay: float = 0.9,
    form: Form = "printed",
    denominators: Curve | None = None,
    columns: Curve | None = None,
    measured: RunConstants | None = None,
    rates: Sequence[float] | Arrays | None = None,
    widened: int | None = None,
    projected: bool | None = None,
    decays: bool | None = None,
) -> Bound:
    """Give Theorem 1 (Eq. 9): the mean regret R_T / T of projected steps on convex losses, at α_t = α/√t.

    Parameters
    ----------
    setting
        ``rate`` is α. L, Δg and ε play no part.
    diameter
        D_∞, the width of the box, in parameters. Above 0.
    momentum_decay
        λ of β_{1,t} = β1 λ^(t-1), in (0, 1).
    form
        ``"mended"`` leaves out the Z of the second summand, whose unit is then loss as that of the others, and has
        there ``1 / ((1-β1)² (1-γ))`` with γ = β1/√β2 (Eq. 37 without its Z, Reddi et al. 2018); and Eq. 36's half in
        the third.
    denominators, columns
        Σ_l h_{T,l}^½ and Σ_l ‖z_{1:T,l}‖₂ of a run as functions of T; None takes the most that they can be, d Z and
        d Z √T.
    measured, rates, widened, projected, decays
        A run's constants, its base rates in their order, how often an effective rate rose (:func:`measure_regret`
        counts it), whether its iterates were projected, and whether its momentum decayed. None is not measured.

    Returns
    -------
    Bound
        In loss a step. The trivial bound is d Z D, because a convex loss is above its tangents.

    Raises
    ------
    ArgumentError
        An argument is outside its range.
    """
    check_in_range("diameter", diameter, 0.0, open_low=True, open_high=True)
    check_in_range("momentum_decay", momentum_decay, 0.0, 1.0, open_low=True, open_high=True)
    check_choice("form", form, get_args(Form))
    d, z, rate, beta1 = setting.dimension, setting.gradient_bound, setting.rate, setting.beta1
    root = math.sqrt(1.0 - setting.beta2)
    first = diameter**2 / (2.0 * rate * (1.0 - beta1))
    third = d * diameter**2 * z * beta1 / (rate * (1.0 - beta1) * (1.0 - momentum_decay) ** 2)
    if form == "printed":
        left = 1.0 - gamma(beta1, setting.beta2, "theorem-1")
        second = rate * (beta1 + 1.0) * z / ((1.0 - beta1) * root * left**2)
    else:
        second = rate / ((1.0 - beta1) ** 2 * root * (1.0 - gamma(beta1, setting.beta2)))
        third /= 2.0
    widths = denominators or (lambda t: np.full_like(t, d * z))
    norms = columns or (lambda t: d * z * np.sqrt(t))
    return _summed(
        {
            "distance": lambda t: first * widths(t) / np.sqrt(t),
            "steps": lambda t: second * np.sqrt(1.0 + np.log(t)) * norms(t) / t,
            "momentum": lambda t: third / t,
        },
        name="mean regret",
        source=f"000, Theorem 1, {form}",
        trivial=d * z * diameter,
        constants={"D": diameter, "Z": z, "d": float(d), "alpha": rate, "beta1": beta1, "lambda": momentum_decay},
        assumptions=(
            asked.bounded_gradients(setting, measured, "000, Theorem 1"),
            *asked.in_a_box(diameter, measured, projected),
            asked.decaying_momentum(setting, decays),
            asked.rates_never_rise(rates, "000, Theorem 1"),
            asked.steps_never_widen(widened, "000, before Eq. 34"),
        ),
        note="uf(H) + C (β1+1) is read as (uf(H) + C)(β1+1), and the second sum as over coordinates; ε is 0",
    )


def ergodic(
    setting: Setting,
    *,
    growth: float = 0.0,
    form: Form = "printed",
    reading: GammaReading = "theorem-2",
    measured: RunConstants | None = None,
    rates: Sequence[float] | Arrays | None = None,
    widened: int | None = None,
) -> Bound:
    """Give Theorem 2 (Eq. 12): the mean of E‖∇g(W_t)‖² over t from 2 to T, for T from 2.

    Parameters
    ----------
    setting
        The problem and the optimizer.
    growth
        s of ``‖z_{1:T,i}‖₂ ≤ Z T^s``, in [0, 1/2]. The theorem is printed with 0 and proved with s (before Eq. 53); the
        third summand is ``α R10 d T^(s - 1/2)``. 1/2 holds always, and then that summand does not fall.
    form
        ``"mended"``: see :func:`r8` and :func:`r9`.
    reading
        Which γ; see :mod:`.setting`.
    measured, rates, widened
        A run's constants, its base rates in their order, and how often an effective rate rose
        (:func:`measure_run` counts it). None is not measured.

    Returns
    -------
    Bound
        In squared gradients. The trivial bound is d Z².

    Raises
    ------
    ArgumentError
        An argument is outside its range.
    """
    check_in_range("growth", growth, 0.0, 0.5)
    d, z, rate = setting.dimension, setting.gradient_bound, setting.rate
    found = {"R8": r8(setting, form), "R9": r9(setting, form), "R10": r10(setting, form, reading)}
    where = "ε in the root, as in the proof" if setting.eps_place == "inside" else "ε beside the root: √ε is ε"
    return _summed(
        {
            "R8 / (T α)": lambda t: found["R8"] / (t * rate),
            "R9 d / T": lambda t: found["R9"] * d / t,
            "α R10 d / √T": lambda t: rate * found["R10"] * d * t ** (growth - 0.5),
        },
        name="mean square gradient",
        source=f"000, Theorem 2, {form}",
        trivial=d * z**2,
        constants={**found, "alpha": rate, "d": float(d), "Z": z, "s": growth},
        assumptions=(
            asked.smooth(setting, measured),
            asked.start(setting, measured),
            asked.bounded_gradients(setting, measured, "000, Assumption 3"),
            asked.column_norms(setting, measured, growth),
            *asked.enough_memory(setting, reading),
            asked.one_rate(setting, rates),
            asked.steps_never_widen(widened, "000, Eqs. 43, 45"),
        ),
        note=f"γ is that of {reading}; {where}",
    )


def ergodic_thresholds(
    setting: Setting, *, growth: float = 0.0, form: Form = "printed", reading: GammaReading = "theorem-2"
) -> Mapping[str, float]:
    """Give the T from which each summand of Theorem 2 is by itself below the trivial bound d Z².

    ``R8 / (α d Z²)``, ``R9 / Z²`` and ``(α R10 / Z²)^(2/(1-2s))``. The bound says nothing before the largest of them.
    At s = 1/2 the third is 1 or never.
    """
    check_in_range("growth", growth, 0.0, 0.5)
    square = setting.gradient_bound**2
    third = setting.rate * r10(setting, form, reading) / square
    if growth == 0.5:
        last = 1.0 if third < 1.0 else math.inf
    else:
        with np.errstate(over="ignore"):
            last = float(np.power(max(third, 0.0), 2.0 / (1.0 - 2.0 * growth)))
    return {
        "R8": r8(setting, form) / (setting.rate * setting.dimension * square),
        "R9": r9(setting, form) / square,
        "R10": last,
    }


def nonergodic(
    setting: Setting,
    *,
    decay: float = 0.0,
    form: Form = "printed",
    measured: RunConstants | None = None,
    rates: Sequence[float] | Arrays | None = None,
    widened: int | None = None,
) -> Bound:
    """Give Theorem 3 (Eq. 17): the smallest of the gradients up to step T, at rates α t^-decay.

    Parameters
    ----------
    setting
        With Z a bound of the gradients' Euclidean norms, and the first rate.
    decay
        Power with which the rate falls, in [0, 1]: 0 is constant, 1/2 is α/√t.
    form
        ``"printed"`` divides by Σ α_t² and bounds E‖∇g‖. Eq. 64 gives Σ α_t and E‖∇g‖², in which the units agree:
        ``"mended"``, also with :func:`i1`'s d.
    measured, rates, widened
        As for :func:`ergodic`.

    Returns
    -------
    Bound
        Printed in gradients, with the trivial bound Z; mended in squared gradients, with Z².

    Raises
    ------
    ArgumentError
        An argument is outside its range.
    """
    check_in_range("decay", decay, 0.0, 1.0)
    check_choice("form", form, get_args(Form))
    rate, z = setting.rate, setting.gradient_bound
    second = i2(setting)
    fixed = i1(setting, 0.0, form)
    last = i1(setting, rate, form) - fixed
    power = 1.0 if form == "mended" else 2.0

    def divisor(t: Arrays) -> Arrays:
        return np.asarray(rate**power * power_sum(t, power * decay))

    return _summed(
        {
            "I1": lambda t: (fixed + last * t**-decay) / divisor(t),
            "I2 Σ α²": lambda t: second * rate**2 * (power_sum(t, 2.0 * decay) - t ** (-2.0 * decay)) / divisor(t),
        },
        name="smallest gradient" if form == "printed" else "smallest square gradient",
        source=f"000, Theorem 3, {form}",
        trivial=z if form == "printed" else z**2,
        constants={"I1": fixed + last, "I2": second, "alpha": rate, "d": float(setting.dimension), "Z": z},
        assumptions=(
            asked.smooth(setting, measured),
            asked.start(setting, measured),
            asked.bounded_norms(setting, measured),
            asked.rates_never_rise(rates, "000, Eqs. 60, 65"),
            asked.steps_never_widen(widened, "000, Eqs. 60, 65"),
        ),
        note="I1 is that of the first step, where α_T is α",
    )


def nonergodic_limit(setting: Setting, *, decay: float = 0.0, form: Form = "printed") -> float:
    """Give what Theorem 3's bound tends to as T grows.

    As printed it is I2, at least, for any rates: Eq. 17 has Σ α² above and below. So Eq. 20, a gradient that goes to 0,
    does not follow from it, though ``Σ α_t = ∞`` holds. Mended it is I2 α at a constant rate, so that it does not
    follow, either, and 0 for rates that fall like t^-decay, at a decay in (0, 1]. Rates out of [α_min, α_max] never
    fall.
    """
    check_in_range("decay", decay, 0.0, 1.0)
    check_choice("form", form, get_args(Form))
    if form == "mended":
        return i2(setting) * setting.rate if decay == 0.0 else 0.0
    if decay <= 0.5:
        return i2(setting)
    total = zeta(2.0 * decay)
    return i1(setting, 0.0) / (setting.rate**2 * total) + i2(setting)


def _summed(
    terms: Mapping[str, Curve],
    *,
    name: str,
    source: str,
    trivial: float,
    constants: Mapping[str, float],
    assumptions: tuple[Assumption, ...],
    note: str,
) -> Bound:
    def at(t: Arrays) -> Arrays:
        return np.asarray(sum(term(t) for term in terms.values()))

    return Bound(
        name=name,
        source=source,
        at=at,
        trivial=trivial,
        terms=terms,
        constants=constants,
        assumptions=assumptions,
        note=note,
    )
