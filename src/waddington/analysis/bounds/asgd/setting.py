"""What the theorems of the paper are made of: a problem, an optimizer, and the readings that had to be chosen.

Three things are printed in more than one way.

γ, the ratio of the two memories
    Theorem 1 has ``β1²/√β2``, Theorem 2 (Eq. 15) ``β1/√β2``, its proof (Eqs. 50 and 56) ``β1/β2²``. The proof needs how
    fast a gradient leaves ``n_t / h_t^½``: by β1 a step above, by √β2 below, because ``h_t ≥ (1-β2) β2^(t-j) z_j²``. So
    it is ``β1/√β2``, which is used unless another is asked for. The third is above 1 where the theorem's own condition
    ``β1 < β2^(3/2)`` holds still (β1 = 0.9, β2 = 0.94): the bound is then negative.
ε, inside or outside the root
    The proofs have ``(h + ε)^½``, Algorithms 1 and 2, and torch, ``√h + ε``. What the proofs take from ε is the
    smallest denominator, ``√ε`` or ``ε``: with ε = 1e-8 the bounds of the algorithms are 10,000 times wider.
Z, of a coordinate or of a vector
    Theorems 1 and 2 have the largest coordinate of a stochastic gradient, Z_∞. Theorem 3 says so, too, but its proof
    (Eq. 63) needs the Euclidean norm.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, Self, get_args

from waddington._checks import check_choice, check_count, check_in_range
from waddington.analysis.bounds.constants import RunConstants

__all__ = ["MEANINGS", "EpsPlace", "Form", "GammaReading", "Setting", "gamma", "i1", "i2", "r8", "r9", "r10"]

EpsPlace = Literal["inside", "outside"]
"""Where ε stands: in the root, as the proofs have it, or beside it, as the algorithms and torch have it."""
GammaReading = Literal["theorem-1", "theorem-2", "appendix"]
"""``β1²/√β2``, ``β1/√β2`` (Eq. 15) or ``β1/β2²`` (Eqs. 50, 56)."""
Form = Literal["printed", "mended"]
"""A theorem to the letter, or as its proof gives it once the misprints are out."""

MEANINGS: Mapping[str, str] = MappingProxyType(
    {
        "R1": "Eqs. 34-35: distance that the regret pays for; in loss",
        "R2": "Eq. 36: momentum that the regret pays for; in loss",
        "R3": "Eq. 37: steps that the regret pays for; in loss",
        "R4": "Eqs. 42-45: descent along the gradient, and the change of the denominators; in loss",
        "R5": "Eq. 46: how far the gradient at q_t is from that at W_t; in loss",
        "R6": "Eq. 47: curvature over a step of q_t; in loss",
        "R7": "Eq. 60: what a step adds to Theorem 3 beside the descent; in loss",
        "R8": "Eq. 13: weight of 1/(T α); in squared gradient times parameter",
        "R9": "Eq. 14: weight of d/T; in squared gradient",
        "R10": "Eq. 15: weight of α d/√T; in squared gradient over parameter",
        "I1": "Eq. 18: what does not grow with the steps; in loss times gradient",
        "I2": "Eq. 19: weight of Σ α²; in squared gradient over parameter",
    }
)
"""The constants and remainders of the three proofs: equation, meaning and unit, with the rate α in parameters, for it
multiplies a direction without a unit. R4 to R7 are of one step of a run, the others of a problem."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A problem and an optimizer, as the bounds need them.

    Attributes
    ----------
    dimension
        Coordinates d.
    gradient_bound
        Z, the largest coordinate of a stochastic gradient, in loss over parameter. For Theorem 3 the largest Euclidean
        norm. Above 0.
    smoothness
        L, in loss over parameter². From 0.
    gap
        Δg, the first loss less the least one. From 0.
    rate
        α = u f(H) + C, the base rate, in parameters. Above 0.
    beta1, beta2
        Decays of the moments, in [0, 1) and (0, 1).
    eps
        ε, above 0: in squared gradients inside the root, in gradients outside.
    eps_place
        Where ε stands.

    Raises
    ------
    ArgumentError
        One of them is outside its range.
    """

    dimension: int
    gradient_bound: float
    smoothness: float
    gap: float
    rate: float
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    eps_place: EpsPlace = "inside"

    def __post_init__(self) -> None:
        check_count("dimension", self.dimension, 1)
        for name in ("gradient_bound", "rate", "eps"):
            check_in_range(name, getattr(self, name), 0.0, open_low=True, open_high=True)
        for name in ("smoothness", "gap"):
            check_in_range(name, getattr(self, name), 0.0, open_high=True)
        check_in_range("beta1", self.beta1, 0.0, 1.0, open_high=True)
        check_in_range("beta2", self.beta2, 0.0, 1.0, open_low=True, open_high=True)
        check_choice("eps_place", self.eps_place, get_args(EpsPlace))

    @classmethod
    def of_run(
        cls,
        measured: RunConstants,
        *,
        rate: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        eps_place: EpsPlace = "outside",
        norm: Literal["max", "euclidean"] = "max",
    ) -> Self:
        """Take the problem's constants from what a run met; each is a lower bound of the true one.

        Parameters
        ----------
        measured
            What was met, with its smoothness measured.
        rate, betas, eps, eps_place
            Of the optimizer.
        norm
            Which bound of the gradients: of coordinates (Theorems 1 and 2), or Euclidean (Theorem 3).

        Raises
        ------
        ArgumentError
            The smoothness was not measured, or all gradients were zero.
        """
        check_choice("norm", norm, ("max", "euclidean"))
        return cls(
            dimension=measured.dimension,
            gradient_bound=measured.gradient_bound if norm == "max" else measured.gradient_norm_bound,
            smoothness=measured.slope,
            gap=measured.gap,
            rate=rate,
            beta1=betas[0],
            beta2=betas[1],
            eps=eps,
            eps_place=eps_place,
        )

    @property
    def floor(self) -> float:
        """The smallest denominator of a step, that of no gradient."""
        return math.sqrt(self.eps) if self.eps_place == "inside" else self.eps

    @property
    def ceiling(self) -> float:
        """The largest denominator of a step, at h = Z²."""
        if self.eps_place == "inside":
            return math.sqrt(self.gradient_bound**2 + self.eps)
        return self.gradient_bound + self.eps


def gamma(beta1: float, beta2: float, reading: GammaReading = "theorem-2") -> float:
    """Give γ; see the module.

    Parameters
    ----------
    beta1, beta2
        In [0, 1) and (0, 1).
    reading
        Which of the paper's three.
    """
    check_in_range("beta1", beta1, 0.0, 1.0, open_high=True)
    check_in_range("beta2", beta2, 0.0, 1.0, open_low=True, open_high=True)
    check_choice("reading", reading, get_args(GammaReading))
    readings = {"theorem-1": beta1**2 / math.sqrt(beta2), "theorem-2": beta1 / math.sqrt(beta2)}
    return readings.get(reading, beta1 / beta2**2)


def r8(setting: Setting, form: Form = "printed") -> float:
    """Give R8 = 2 Z Δg (Eq. 13); mended, with the largest denominator in place of Z.

    The proof (Eq. 49) bounds a denominator by Z. It is ``(Z² + ε)^½``: for gradients below ``√ε`` that is not Z at all.
    """
    return 2.0 * _denominator(setting, form) * setting.gap


def r9(setting: Setting, form: Form = "printed") -> float:
    """Give R9 = 2 Z³ ε^-½ / (1-β1) + 2 Z² (Eq. 14).

    Mended, the first step ``|z| / √h_1`` is at most ``(1-β2)^-½``, not 1, which multiplies the second summand.
    """
    z = setting.gradient_bound
    first = z**2 / (setting.floor * (1.0 - setting.beta1))
    second = z if form == "printed" else z / math.sqrt(1.0 - setting.beta2)
    return 2.0 * _denominator(setting, form) * (first + second)


def r10(setting: Setting, form: Form = "printed", reading: GammaReading = "theorem-2") -> float:
    """Give R10 = 2 L Z² / (ε^½ (1-β2)^½ (1-γ)) · (1 + 2 β1²/(1-β1)) (Eq. 15; Eq. 56 with another γ).

    Infinite at γ = 1 and negative above, as the formula has it.
    """
    left = 1.0 - gamma(setting.beta1, setting.beta2, reading)
    if left == 0.0:
        return math.inf
    momentum = 1.0 + 2.0 * setting.beta1**2 / (1.0 - setting.beta1)
    top = 2.0 * setting.smoothness * setting.gradient_bound * _denominator(setting, form) * momentum
    return top / (setting.floor * math.sqrt(1.0 - setting.beta2) * left)


def i1(setting: Setting, last_rate: float, form: Form = "printed") -> float:
    """Give I1 (Eq. 18) for a first rate of ``setting.rate``.

    Mended, the coordinates count d-fold: the sum over them in Eq. 60 telescopes to ``d ε^-½``, of which Eq. 65 keeps
    ``√d``. ``g(W_t)`` of Eq. 18 is ``g(W_1)``, as Eq. 64 has it.

    Parameters
    ----------
    setting
        With a Euclidean bound of the gradients.
    last_rate
        α_T, from 0.
    form
        Printed or mended.
    """
    check_in_range("last_rate", last_rate, 0.0, open_high=True)
    coordinates = math.sqrt(setting.dimension) if form == "printed" else float(setting.dimension)
    steps = setting.rate * (coordinates + setting.beta1) + last_rate
    change = steps * setting.gradient_bound**2 / (setting.floor * (1.0 - setting.beta1))
    return setting.ceiling * (setting.gap + change)


def i2(setting: Setting) -> float:
    """Give I2 = (Z² + ε)^½ (1+β1)/(1-β1) · L Z²/(2 ε) (Eq. 19)."""
    momentum = (1.0 + setting.beta1) / (1.0 - setting.beta1)
    curvature = setting.smoothness * setting.gradient_bound**2 / (2.0 * setting.floor**2)
    return setting.ceiling * momentum * curvature


def _denominator(setting: Setting, form: Form) -> float:
    check_choice("form", form, get_args(Form))
    return setting.gradient_bound if form == "printed" else setting.ceiling
