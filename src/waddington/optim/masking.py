"""AlphaAdam's masks with dynamic strength: which coordinates of an update are taken, and how much longer they are made.

Chang, Li and Yuan (2025), "AlphaAdam: Asynchronous Masked Optimization with Dynamic Alpha for Selective Updates"
(arXiv 2501.18094), Section 3.2 and Algorithm 1. With update u (to be subtracted), gradient g and first moment m::

    φ = 1[g ⊙ m_{t-1} ≥ 0]  asynchronous (Eq. 6; Algorithm 1 has >)
    φ = 1[g ⊙ m_t ≥ 0]      synchronous (Cautious Adam has >)
    α = ‖u‖² / ‖φ⊙u‖²       (Algorithm 1; Eq. 9 has its root)
    η̂ = η n / (‖φ‖₀ + 1)    (Algorithm 1; n coordinates in the tensor)
    θ -= η̂ α φ⊙u

α and η̂/η both make up for what the mask takes away, and Algorithm 1 applies both: with half of the coordinates masked
that is four times the step of each that remains. `compensation` chooses. Eq. 9's root restores ‖u‖ exactly.

The functions serve :class:`~waddington.optim.AlphaAdam`; :class:`~waddington.optim.Masked` puts the same mask on any
optimizer that has a first moment.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch

from waddington._checks import check_choice, check_in_range
from waddington.optim._moved import moved
from waddington.optim.rule import Settings, Tensors

__all__ = ["AlphaForm", "Compensation", "Mask", "aligned", "check_mask", "mask_terms", "strength"]

Mask = Literal["asynchronous", "synchronous", "none"]
"""Which moment the gradient must agree with."""
Compensation = Literal["full", "norm", "count", "none"]
"""What makes up for what the mask takes away."""
AlphaForm = Literal["squared", "root"]
"""α as Algorithm 1 has it, or as Eq. 9."""


def check_mask(settings: Settings) -> None:
    """Check the settings of a mask.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    """
    check_choice("mask", settings["mask"], get_args(Mask))
    check_choice("strict_mask", settings["strict_mask"], (False, True))
    check_choice("compensation", settings["compensation"], get_args(Compensation))
    check_choice("alpha_form", settings["alpha_form"], get_args(AlphaForm))
    check_in_range("alpha_max", settings["alpha_max"], 1.0)


def aligned(grad: torch.Tensor, exp_avg: torch.Tensor, *, strict: bool) -> torch.Tensor:
    """Mask of the coordinates in which gradient and momentum agree: 1, and elsewhere 0, in their dtype.

    Parameters
    ----------
    grad, exp_avg
        Gradient and first moment, of one shape.
    strict
        Leave out the coordinates in which one of them is zero (Algorithm 1), instead of taking them (Eq. 6).
    """
    # Not the product, which underflows to zero; and asked of what is left out, so that NaN is kept, and seen.
    agreement = grad * torch.sign(exp_avg)
    compare = torch.le if strict else torch.lt
    if torch.compiler.is_exporting():
        return 1.0 - compare(agreement, 0.0).to(agreement.dtype)
    return 1.0 - compare(agreement, 0.0, out=torch.empty_like(agreement))  # operations on booleans are slow


def mask_terms(update: torch.Tensor, mask: torch.Tensor) -> Tensors:
    """Give the terms, coordinate by coordinate, of the sums that :func:`strength` needs: ‖u‖², ‖φ⊙u‖², ‖φ‖₀.

    NaN of a masked coordinate stays, so that it is seen.
    """
    squares = update.square()
    return {"update_square": squares, "kept_square": squares * mask, "kept": mask}


def strength(totals: Tensors, size: torch.Tensor, settings: Settings) -> Tensors:
    """Give what the masked update is multiplied by, elementwise over tensors.

    Parameters
    ----------
    totals
        Sums of the terms of :func:`mask_terms` over whole tensors.
    size
        Their numbers of coordinates n.
    settings
        ``compensation``, ``alpha_form``, ``alpha_max``.

    Returns
    -------
    dict
        ``keep_rate`` ‖φ‖₀/n; ``alpha``, at most ``alpha_max``, and 1 where nothing was kept; ``rate_multiplier``, by
        which the rate of the kept coordinates is multiplied.
    """
    ratio = totals["update_square"] / totals["kept_square"]
    alpha = torch.clamp(ratio.sqrt() if settings["alpha_form"] == "root" else ratio, max=settings["alpha_max"])
    alpha = torch.where(totals["kept_square"] > 0.0, alpha, 1.0)
    multiplier = alpha if settings["compensation"] in ("full", "norm") else torch.ones_like(alpha)
    if settings["compensation"] in ("full", "count"):
        multiplier = multiplier * (size / (totals["kept"] + 1.0))
    return {"keep_rate": totals["kept"] / size.clamp_min(1.0), "alpha": alpha, "rate_multiplier": multiplier}


__getattr__ = moved(__name__, {"Masked": "waddington.optim.wrappers.masked"})
