"""Lemmas E.2 to E.4: how long a step can be, how far v is behind the gradient, how much of the descent is missed.

What is analysed, θ -= η_t φ_t ⊙ m_t/√v_t with η_t = η1/√t, has neither α_t nor η̂ of Algorithm 1, nor ε. The product of
α_t, of n/(‖φ‖₀+1) and of bias corrections is called the multiplier here, and is 1 in the paper; with a range of it the
lemmas' constants are those of what the optimizer does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from waddington._checks import check_count, check_in_range
from waddington.analysis._numbers import as_numbers, as_pair
from waddington.analysis.bounds.assumption import Assumption, at_most
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

__all__ = [
    "Descent",
    "attained_step_factor",
    "decays_allowed",
    "descent_bound",
    "infinite_before",
    "second_moment_bound",
    "step_bound",
    "step_factor",
    "without_multiplier",
]


def step_factor(betas: tuple[float, float] = (0.9, 0.999)) -> float:
    """Give κ = (1-β1) / (√(1-β2) (1-β1/√β2)), Lemma E.2's bound of |m_t|/√v_t; infinite where β1 ≥ √β2."""
    beta1, beta2 = _checked(betas)
    if beta1 >= math.sqrt(beta2):
        return math.inf
    return (1.0 - beta1) / (math.sqrt(1.0 - beta2) * (1.0 - beta1 / math.sqrt(beta2)))


def attained_step_factor(betas: tuple[float, float] = (0.9, 0.999), *, step: int | None = None) -> float:
    """Give the largest |m_t|/√v_t that gradients can bring about, (1-β1)/√(1-β2) · √(Σ_{s<t} (β1²/β2)^s).

    It is the inequality of Cauchy and Schwarz, and gradients with g_{t-s} ∝ (β1/β2)^s attain it. The lemma names the
    inequality but bounds the sum term by term, which gives 4.4 times as much for decays of 0.9 and 0.999.

    Parameters
    ----------
    betas
        Decays.
    step
        t; None is the limit, infinite where β1² ≥ β2.
    """
    beta1, beta2 = _checked(betas)
    ratio = beta1**2 / beta2
    if step is None:
        weight = 1.0 / (1.0 - ratio) if ratio < 1.0 else math.inf
    else:
        check_count("step", step, 1)
        weight = float(step) if ratio == 1.0 else (1.0 - ratio**step) / (1.0 - ratio)
    return (1.0 - beta1) / math.sqrt(1.0 - beta2) * math.sqrt(weight)


@dataclass(frozen=True, kw_only=True)
class Descent:
    """What the theorem is given, and the constants that its lemmas make of it.

    Attributes
    ----------
    dimension
        Coordinates d.
    smoothness
        L of a Lipschitz gradient.
    lr
        η1 of the rates η1/√t.
    betas
        Decays.
    multiplier
        Least and largest factor on m/(√v+ε) besides the rate, over all tensors and steps; the paper's is (1, 1).

    Raises
    ------
    ArgumentError
        A number lies outside its range.
    """

    dimension: int
    smoothness: float
    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    multiplier: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        check_count("dimension", self.dimension, 1)
        check_in_range("smoothness", self.smoothness, 0.0, math.inf, open_low=True, open_high=True)
        check_in_range("lr", self.lr, 0.0, math.inf, open_low=True, open_high=True)
        _checked(self.betas)
        low, high = as_pair("multiplier", self.multiplier)
        if not 0.0 < low <= high < math.inf:
            raise ArgumentError(f"cannot use multiplier={self.multiplier}; accepted: 0 < least <= largest, finite")

    def drift(self, step: float | Arrays) -> Arrays:
        """Give Ω_t, by how much the gradient can change in step t: η1 L √d κ / √t."""
        first = self.lr * self.multiplier[1] * self.smoothness * math.sqrt(self.dimension) * step_factor(self.betas)
        return first / np.sqrt(as_numbers("step", step))

    def second_moment_threshold(self, step: float | Arrays) -> Arrays:
        """Give the |∂_i L_t| from which Lemma E.3 holds: 4√2 Ω_t / (1-β2)."""
        return 4.0 * math.sqrt(2.0) * self.drift(step) / (1.0 - self.betas[1])

    def descent_threshold(self, step: float | Arrays) -> Arrays:
        """Give the |∂_i L_t| above which a coordinate of Lemma E.4 descends: 4√2 Ω_t (1/(1-β2) + 2β1/(1-β1))."""
        beta1, beta2 = self.betas
        weight = 1.0 / (1.0 - beta2) + 2.0 * beta1 / (1.0 - beta1)
        return 4.0 * math.sqrt(2.0) * self.drift(step) * weight

    @property
    def start(self) -> int:
        """Give t0, the first step above log_{β1}(1/4) and 1, from which Lemma E.4 holds."""
        beta1 = self.betas[0]
        return 2 if beta1 == 0.0 else max(2, math.floor(math.log(0.25) / math.log(beta1)) + 1)

    @property
    def slack(self) -> float:
        """Give M_1 as printed: d · :meth:`descent_threshold` at t = 1 · (1/√10 + κ)."""
        return self.dimension * float(self.descent_threshold(1.0)) * (1.0 / math.sqrt(10.0) + step_factor(self.betas))

    @property
    def bend(self) -> float:
        """Give M_2: η1² L d κ² / 2, with the largest multiplier squared."""
        reach = self.lr * self.multiplier[1] * step_factor(self.betas)
        return 0.5 * reach**2 * self.smoothness * self.dimension


def step_bound(
    lr: float, betas: tuple[float, float] = (0.9, 0.999), *, multiplier: tuple[float, float] = (1.0, 1.0)
) -> Bound:
    """Bound the largest |θ_{i,t+1} - θ_{i,t}| of step t by κ η1/√t (Lemma E.2).

    Parameters
    ----------
    lr
        η1.
    betas
        Decays.
    multiplier
        As :class:`Descent` has it, but for what is said of it: the lemma's bound does not grow with it.

    Returns
    -------
    Bound
        Its T is the step t; its trivial bound is infinite. ``constants["attained"]`` is what gradients can attain.
    """
    check_in_range("lr", lr, 0.0, math.inf, open_low=True, open_high=True)
    factor = step_factor(betas)
    return Bound(
        name="largest step of a coordinate",
        source="003, Lemma E.2",
        at=lambda step: lr * factor / np.sqrt(step),
        constants={"kappa": factor, "attained": attained_step_factor(betas), "lr": lr},
        assumptions=(decays_allowed(betas), without_multiplier(multiplier)),
        note="T is the step t",
    )


def second_moment_bound(descent: Descent) -> Bound:
    """Bound v_{i,t-1} / |∂_i L_t|² by 5/2, over coordinates above :meth:`Descent.second_moment_threshold` (E.3).

    Parameters
    ----------
    descent
        The theorem's numbers.

    Returns
    -------
    Bound
        Its T is the step t. Where no coordinate is above the threshold there is nothing that it bounds.
    """
    return Bound(
        name="second moment over squared gradient",
        source="003, Lemma E.3",
        at=lambda step: np.full_like(step, 2.5),
        terms={},
        constants={"threshold at t = 1": float(descent.second_moment_threshold(1.0))},
        assumptions=(decays_allowed(descent.betas), without_multiplier(descent.multiplier)),
        note="T is the step t; full batch; coordinates with |∂_i L_t| ≥ 4√2 Ω_t/(1-β2)",
    )


def descent_bound(descent: Descent) -> Bound:
    """Bound η_t ‖∇L_t‖_φ/√10 - ⟨∇L_t, η_t φ_t⊙m_t/√v_t⟩, what a step may miss of its descent (Lemma E.4).

    Parameters
    ----------
    descent
        The theorem's numbers.

    Returns
    -------
    Bound
        η1 M_1/t; its T is the step t. The paper states it for t > 1, its proof for t ≥ :attr:`Descent.start`; earlier
        the bound is infinite.
    """
    slack = descent.lr * descent.slack
    return Bound(
        name="descent that a step misses",
        source="003, Lemma E.4",
        at=infinite_before(descent.start, lambda step: slack / step),
        constants={"M1": descent.slack, "start": float(descent.start)},
        assumptions=(decays_allowed(descent.betas), without_multiplier(descent.multiplier)),
        note="T is the step t; the printed proof puts the fewest kept coordinates for d, the wrong way round",
    )


def infinite_before(begin: int, formula: Callable[[Arrays], Arrays]) -> Callable[[Arrays], Arrays]:
    """Make a formula infinite below its first step."""

    def at(steps: Arrays) -> Arrays:
        return np.where(steps < begin, math.inf, formula(np.maximum(steps, float(begin))))

    return at


def decays_allowed(betas: tuple[float, float]) -> Assumption:
    """Check that the first moment forgets faster than the second's root."""
    beta1, beta2 = as_pair("betas", betas)
    return at_most("decays", "β1 < √β2 < 1", "003, Theorem 3.8", beta1, math.sqrt(beta2), strict=True)


def without_multiplier(multiplier: tuple[float, float]) -> Assumption:
    """Check that nothing makes steps longer than the paper's analysis has them."""
    return at_most(
        "a bare update",
        "θ -= η_t φ⊙m/√v, with neither α nor η̂",
        "003, App. E",
        as_pair("multiplier", multiplier)[1],
        1.0,
        note="Algorithm 1 multiplies by α_t n/(‖φ‖₀+1)",
    )


def _checked(betas: tuple[float, float]) -> tuple[float, float]:
    beta1, beta2 = as_pair("betas", betas)
    check_in_range("beta1", beta1, 0.0, 1.0, open_high=True)
    check_in_range("beta2", beta2, 0.0, 1.0, open_low=True, open_high=True)
    return float(beta1), float(beta2)
