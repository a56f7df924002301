"""Theorems 1 and 2 and Properties 1 to 3, as printed and as they can be read.

The text of Theorem 1 gives its bound twice in a row, without fraction bars: ``D² 2αT + αG²T²`` and ``2αT D² + 2αG²T``.
These are two flattenings of one formula, the first with numerators first and the second with denominators first::

    D²/(2αT) + αG²T/2         or, if roots were lost too,         D²/(2α√T) + αG²√T/2

Both rise with T in the end, and by the means' inequality neither is ever below DG, which f(θ_0) - f* obeys with
convexity alone. Only ``D²/(2α√T) + αG²/(2√T)``, the second term divided by T as the first, is a rate; it is proved for
the constant step α/√T, without a denominator, and for the mean of the iterates.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

import numpy as np

from waddington._checks import check_choice, check_in_range
from waddington.analysis.bounds.amvt.conditions import check_constants
from waddington.analysis.bounds.assumption import Assumption, stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays

__all__ = ["Reading", "property_1", "property_2", "property_3", "theorem_1", "theorem_2"]

Reading = Literal["first copy", "second copy", "fractions", "roots", "mended"]
"""How the printed bound is read: its two copies as products, the fractions that they flatten, the same with the roots
that α/√t asks for, and with the second term divided by T."""


def theorem_1(
    alpha: float,
    distance: float,
    gradient_norm_bound: float,
    *,
    reading: Reading = "roots",
    beta1: float = 0.9,
    is_adaptive: bool = True,
    is_convex: bool = True,
    held: tuple[Assumption, ...] = (),
) -> Bound:
    """Give Theorem 1, a bound of ``E f(θ_T) - f*`` for convex f and α_t = α/√t.

    Parameters
    ----------
    alpha
        α.
    distance
        D = ‖θ_0 - θ*‖.
    gradient_norm_bound
        G.
    reading
        How the printed formula is read; see :data:`Reading`.
    beta1, is_adaptive
        Of the rule: its momentum, and whether it has a rate for each coordinate. AMVT has; plain SGD has neither.
    is_convex
        Whether f is.
    held
        What :func:`check_assumptions` found.

    Returns
    -------
    Bound
        Trivial is DG: a convex function that falls by more on the way to θ* has a longer gradient.
    """
    return _printed(
        "distance of the loss from the least one",
        "004, Theorem 1",
        (alpha, distance, gradient_norm_bound),
        reading,
        (*held, stated("convexity", "f is convex", "004, Theorem 1", is_convex), *_steps(beta1, is_adaptive)),
        "",
    )


def theorem_2(
    alpha: float,
    distance: float,
    gradient_norm_bound: float,
    *,
    reading: Reading = "roots",
    beta1: float = 0.9,
    is_adaptive: bool = True,
    held: tuple[Assumption, ...] = (),
) -> Bound:
    """Give Theorem 2 as printed: Theorem 1's bound of ``E f(θ_T) - f*``, for f that is not convex.

    Its proof sketch speaks of the gradient norm, so the bound is taken over from Theorem 1. As a rate it is false: what
    begins in a minimum that is not the least one stays there. :func:`derived_nonconvex` is what the sketch gives.

    Parameters
    ----------
    alpha, distance, gradient_norm_bound, reading, beta1, is_adaptive, held
        As for :func:`theorem_1`.
    """
    return _printed(
        "distance of the loss from the least one, not convex",
        "004, Theorem 2",
        (alpha, distance, gradient_norm_bound),
        reading,
        (*held, *_steps(beta1, is_adaptive)),
        "printed is the bound of Theorem 1",
    )


def property_1(constant: float, distance: float, gradient_norm_bound: float, *, root: bool = False) -> Bound:
    """Give Property 1: ``E f(mean θ) - f* <= C/T`` as printed, or ``C/√T`` as Section 6 has it.

    With noise no method that asks for gradients does better than order 1/√T on all convex functions (Nemirovski and
    Yudin 1983; Agarwal et al. 2012), so that a root was lost in print.

    Parameters
    ----------
    constant
        C, which the paper does not give.
    distance, gradient_norm_bound
        D and G; trivial is DG.
    root
        Whether the lost root is put back.
    """
    trivial = _product(distance=distance, gradient_norm_bound=gradient_norm_bound)
    return _rate("distance of the loss at the mean", "004, Property 1", constant, trivial, root)


def property_2(constant: float, gradient_norm_bound: float, *, root: bool = False) -> Bound:
    """Give Property 2: ``min E‖∇f(θ_t)‖² <= C/T`` as printed, or ``C/√T``.

    Parameters
    ----------
    constant
        C, which the paper does not give.
    gradient_norm_bound
        G; trivial is G².
    root
        Whether the lost root is put back.
    """
    trivial = _product(gradient_norm_bound=gradient_norm_bound) ** 2
    return _rate("least squared gradient norm", "004, Property 2", constant, trivial, root)


def property_3(constant: float, diameter: float, gradient_norm_bound: float, *, root: bool = False) -> Bound:
    """Give Property 3 of the regret over T: ``C`` as printed (regret O(T)), or ``C/√T``, which is optimal.

    A regret of order T says nothing: over a set of that diameter every method has at most T times diameter times G.

    Parameters
    ----------
    constant
        C, which the paper does not give.
    diameter, gradient_norm_bound
        Of the set of points, and G; trivial is their product.
    root
        Whether the lost root is put back.

    Returns
    -------
    Bound
        Of the mean regret ``Σ (f_t(θ_t) - f_t(θ*)) / T``.
    """
    check_in_range("constant", constant, 0.0, open_high=True)
    return Bound(
        name="mean regret",
        source="004, Property 3",
        at=(lambda t: constant / np.sqrt(t)) if root else (lambda t: constant + 0.0 * t),
        trivial=_product(diameter=diameter, gradient_norm_bound=gradient_norm_bound),
        constants={"C": constant},
        note="the root is put back" if root else "as printed: linear regret",
    )


def _printed(
    name: str,
    source: str,
    given: tuple[float, float, float],
    reading: Reading,
    asked: tuple[Assumption, ...],
    note: str,
) -> Bound:
    check_choice("reading", reading, get_args(Reading))
    alpha, distance, bound = check_constants(*given)
    start, noise = distance**2 / (2.0 * alpha), 0.5 * alpha * bound**2
    terms: dict[Reading, tuple[Callable[[Arrays], Arrays], Callable[[Arrays], Arrays]]] = {
        "first copy": (lambda t: 2.0 * alpha * distance**2 * t, lambda t: alpha * (bound * t) ** 2),
        "second copy": (lambda t: 2.0 * alpha * distance**2 * t, lambda t: 2.0 * alpha * bound**2 * t),
        "fractions": (lambda t: start / t, lambda t: noise * t),
        "roots": (lambda t: start / np.sqrt(t), lambda t: noise * np.sqrt(t)),
        "mended": (lambda t: start / np.sqrt(t), lambda t: noise / np.sqrt(t)),
    }
    first, second = terms[reading]
    if reading == "mended":
        note = "; ".join(filter(None, [note, "proved for the constant step α/√T and the mean of the iterates"]))
    return Bound(
        name=name,
        source=f"{source}, {reading}",
        at=lambda t: first(t) + second(t),
        trivial=distance * bound,
        terms={"start": first, "noise": second},
        constants={"alpha": alpha, "D": distance, "G": bound},
        assumptions=asked,
        note=note,
    )


def _steps(beta1: float, is_adaptive: bool) -> tuple[Assumption, Assumption]:
    check_in_range("beta1", beta1, 0.0, 1.0, open_high=True)
    return (
        stated("one rate", "‖θ_{t+1} - θ*‖² telescopes with one α_t for all coordinates", "004, 4.2", not is_adaptive),
        stated("unbiased momentum", "E[m̂_t] = ∇f(θ_t)", "004, 4.2", beta1 == 0.0, note="it lags behind the gradient"),
    )


def _product(**given: float) -> float:
    for name, value in given.items():
        check_in_range(name, value, 0.0, open_high=True)
    return math.prod(given.values())


def _rate(name: str, source: str, constant: float, trivial: float, root: bool) -> Bound:
    check_in_range("constant", constant, 0.0, open_high=True)
    return Bound(
        name=name,
        source=source,
        at=(lambda t: constant / np.sqrt(t)) if root else (lambda t: constant / t),
        trivial=trivial,
        constants={"C": constant},
        note="the root is put back" if root else "as printed",
    )
