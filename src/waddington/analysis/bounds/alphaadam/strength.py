"""Theorem 3.6 (D.1): what the compensation α depends on, and how its effect lies to that of the rate η.

The proof takes the update u = -η α (β m + g). Its derivatives by η and by α are both multiples of β m + g, so their
cosine is 1 in every dimension; the theorem says that they are nearly orthogonal in many, by a bound for directions
that are independent. And α = √(‖u‖²/‖φ⊙u‖²) is a ratio of two lengths that η scales alike: within a step its
derivative by η is 0, while the theorem gives it the order of ‖D‖.

Algorithm 1 has α without the root. A masked update times that α has the length ‖u‖²/‖φ⊙u‖, which has no bound: where
the mask keeps only what hardly moves, it grows beyond any rate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

from waddington._checks import check_count, check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.assumption import stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays, Saved
from waddington.errors import ArgumentError
from waddington.optim.masking import AlphaForm, mask_terms, strength

__all__ = [
    "StrengthBand",
    "StrengthSlopes",
    "compensated_length",
    "mask_strength",
    "orthogonality_bound",
    "orthogonality_dimension",
    "strength_band",
    "strength_slope",
    "strength_slopes",
]


@dataclass(frozen=True)
class StrengthSlopes(Saved):
    """Derivatives of an update by its rate and by its strength.

    Attributes
    ----------
    by_rate, by_strength
        Of shape (n,).
    cosine
        Of the angle between them; NaN where one is zero.
    """

    by_rate: Arrays
    by_strength: Arrays
    cosine: float


def strength_slopes(
    grad: torch.Tensor, exp_avg: torch.Tensor, *, beta: float = 0.9, lr: float = 1e-3, alpha: float = 1.5
) -> StrengthSlopes:
    """Differentiate the proof's update -η α (β m + g) by η and by α.

    Parameters
    ----------
    grad, exp_avg
        g and m, of one shape.
    beta
        β.
    lr, alpha
        Where the derivatives are taken: η and α.
    """
    direction = (beta * exp_avg.detach().double() + grad.detach().double()).reshape(-1)

    def update(rate: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
        return -rate * strength * direction

    at = (torch.tensor(lr, dtype=torch.float64), torch.tensor(alpha, dtype=torch.float64))
    by_rate, by_strength = torch.func.jacfwd(update, argnums=(0, 1))(*at)  # two numbers in, n out
    lengths = float(by_rate.norm() * by_strength.norm())
    return StrengthSlopes(
        by_rate=by_rate.numpy(),
        by_strength=by_strength.numpy(),
        cosine=float(by_rate @ by_strength) / lengths if lengths else math.nan,
    )


def orthogonality_bound(failure: float = 0.05) -> Bound:
    """Give the theorem's bound of the cosine, √(2 log(2/δ) / d); here T is the number of coordinates d, not of steps.

    Parameters
    ----------
    failure
        δ, the chance at which the bound may fail, in (0, 1).
    """
    check_in_range("failure", failure, 0.0, 1.0, open_low=True, open_high=True)
    return Bound(
        name="cosine of the update's derivatives by rate and by strength",
        source="003, Theorem 3.6",
        at=lambda dimension: np.sqrt(2.0 * math.log(2.0 / failure) / dimension),
        trivial=1.0,
        constants={"delta": failure},
        assumptions=(
            stated(
                "independent directions",
                "the two derivatives are independent and uniform on a sphere",
                "003, D.1",
                holds=False,
                note="both are multiples of βm + g",
            ),
        ),
        note="T is the dimension d",
    )


def orthogonality_dimension(cosine: float, failure: float = 0.05) -> float:
    """Give the d above which the theorem promises a cosine of at most `cosine`: 2 log(2/δ) / ε².

    Parameters
    ----------
    cosine
        ε, above 0.
    failure
        δ, in (0, 1).
    """
    check_in_range("cosine", cosine, 0.0, open_low=True)
    check_in_range("failure", failure, 0.0, 1.0, open_low=True, open_high=True)
    return 2.0 * math.log(2.0 / failure) / cosine**2


def mask_strength(update: torch.Tensor, mask: torch.Tensor, *, form: AlphaForm = "squared") -> torch.Tensor:
    """Give α of one tensor before it is capped; 1 where the mask keeps nothing, as the optimizer has it.

    Parameters
    ----------
    update, mask
        u and φ, of one shape.
    form
        ``"squared"``: ‖u‖²/‖φ⊙u‖², Algorithm 1; ``"root"``: its root, Eq. 9.

    Returns
    -------
    torch.Tensor
        A number, which can be differentiated.
    """
    totals = {name: term.sum() for name, term in mask_terms(update, mask).items()}
    settings = {"compensation": "norm", "alpha_form": form, "alpha_max": math.inf}
    return strength(totals, torch.as_tensor(float(update.numel()), dtype=update.dtype), settings)["alpha"]


def strength_slope(update: torch.Tensor, mask: torch.Tensor, *, lr: float = 1e-3, form: AlphaForm = "root") -> float:
    """Differentiate α of the update η u by η, within a step: zero but for rounding.

    Parameters
    ----------
    update, mask, form
        As for :func:`mask_strength`.
    lr
        η.
    """
    fixed, kept = update.detach().double(), mask.detach().double()
    if not bool((fixed * kept).any()):
        return 0.0  # α is 1 there, by definition
    rate = torch.tensor(lr, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        return float(torch.autograd.grad(mask_strength(rate * fixed, kept, form=form), rate)[0])


def compensated_length(
    update: torch.Tensor, mask: torch.Tensor, *, form: AlphaForm = "squared", alpha_max: float = math.inf
) -> float:
    """Give ‖α φ⊙u‖, the length of the masked update times α, over ‖u‖.

    Parameters
    ----------
    update, mask, form
        As for :func:`mask_strength`.
    alpha_max
        Cap of α, at least 1.

    Returns
    -------
    float
        1 for ``"root"`` without a cap. For ``"squared"`` ‖u‖/‖φ⊙u‖, which has no bound; 0 where nothing is kept.
    """
    check_in_range("alpha_max", alpha_max, 1.0)
    whole = float(update.double().norm())
    if whole == 0.0:
        raise ArgumentError("cannot compare with an update of length 0; accepted: one that moves something")
    alpha = min(float(mask_strength(update.double(), mask.double(), form=form)), alpha_max)
    return alpha * float((update.double() * mask.double()).norm()) / whole


@dataclass(frozen=True)
class StrengthBand(Saved):
    """Where α lay, before it was capped.

    Attributes
    ----------
    low, median, high
        Its quantiles.
    above_cap
        Share above the cap.
    count
        Number of values.
    """

    low: float
    median: float
    high: float
    above_cap: float
    count: int

    def inside(self, low: float = 1.0, high: float = 2.0) -> bool:
        """Whether the band from the low to the high quantile lies in an interval."""
        return low <= self.low and self.high <= high


def strength_band(alphas: Arrays, sizes: Arrays | None = None, *, level: float = 0.9, cap: float = 2.0) -> StrengthBand:
    """Summarize α over tensors and steps (F.4: stable, with 2 as its maximum).

    Parameters
    ----------
    alphas
        Values **before** the cap (``alpha_max=inf``), of any shape: what is capped lies below the cap by construction.
    sizes
        Weight of each value, such as the number of coordinates of its tensor, in a shape that broadcasts; None weighs
        all alike. Small bias tensors have the largest α.
    level
        Share of the weight between the two quantiles, in (0, 1).
    cap
        α_max.

    Raises
    ------
    ArgumentError
        There is no value, one is not finite, or a weight is not above zero.
    """
    check_in_range("level", level, 0.0, 1.0, open_low=True, open_high=True)
    check_in_range("cap", cap, 0.0)
    values = as_numbers("alphas", alphas)
    given = as_numbers("sizes", 1.0 if sizes is None else sizes)
    try:
        weights = np.broadcast_to(given, values.shape)
    except ValueError as error:
        raise ArgumentError(
            f"cannot use sizes of shape {given.shape} with alphas of shape {values.shape}; accepted: the same shape,"
            " or one that broadcasts to it"
        ) from error
    check_count("number of values of alpha", values.size, 1)
    if not np.isfinite(values).all() or not (weights > 0.0).all():
        raise ArgumentError("cannot summarize α: accepted are finite values with weights above zero")
    order = np.argsort(values, axis=None)
    ordered, shares = values.reshape(-1)[order], np.cumsum(weights.reshape(-1)[order])
    at = np.array([0.5 * (1.0 - level), 0.5, 0.5 * (1.0 + level)]) * shares[-1]
    places = np.minimum(np.searchsorted(shares, at), len(ordered) - 1)
    low, median, high = (float(ordered[place]) for place in places)
    above = float(weights[values > cap].sum() / shares[-1])
    return StrengthBand(low=low, median=median, high=high, above_cap=above, count=int(values.size))
