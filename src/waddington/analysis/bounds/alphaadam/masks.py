"""Theorem 3.5 (C.1): the asynchronous mask is said to have the higher gradient correlation and the lower sharpness.

Both masks are applied to the **same** gradient g, moments m and v. With u = m_t/(√v_t+ε), the update that is masked
and subtracted, the gradient correlation of a mask is GC = Σ u_i g_i over the coordinates that it keeps. The
asynchronous mask keeps S2, where g m_{t-1} ≥ 0; the synchronous one S1, where g m_t ≥ 0. From g m_t = β1 g m_{t-1} +
(1-β1) g² follows that S2 lies in S1, and therefore::

    GC_sync - GC_async = Σ over S1 without S2 of g_i m_{t,i} / (√v_{t,i} + ε)  ≥ 0

at every step, of every gradient. The theorem says the contrary. Its proof takes the terms of that sum for negative,
against the definition of S1: where -(1-β1)/β1 < ρ < 0 it writes β1 ρ + 1 - β1 < 0 (:func:`expected_agreement`).

What the identity does not decide is measured by :func:`compare_masks`: the correlation with the full gradient, both
per length of the update, and the directional sharpness uᵀHu.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from waddington._checks import check_in_range, check_number
from waddington.errors import ArgumentError
from waddington.optim.masking import aligned
from waddington.optim.moments import adam_moments, adaptive_direction, bias_corrections, corrections_of, decays

__all__ = ["MaskedUpdates", "correlation_gap", "expected_agreement", "masked_updates"]


class MaskedUpdates(NamedTuple):
    """An update and both of its masks.

    Attributes
    ----------
    update
        u, of any shape; θ moves by minus the rate times what a mask leaves of it.
    synchronous, asynchronous
        1 where the mask keeps a coordinate, else 0, shaped as `update`.
    """

    update: torch.Tensor
    synchronous: torch.Tensor
    asynchronous: torch.Tensor


def masked_updates(
    grad: torch.Tensor,
    exp_avg: torch.Tensor,
    exp_avg_sq: torch.Tensor,
    *,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    step: int | None = None,
    strict: bool = False,
) -> MaskedUpdates:
    """Take an update of Adam and its two masks, with the functions that the optimizer itself uses.

    Parameters
    ----------
    grad
        g_t, of any shape.
    exp_avg, exp_avg_sq
        m_{t-1} and v_{t-1}, before the gradient entered them, of that shape.
    betas, eps
        Of the optimizer.
    step
        t, for bias-corrected moments; None leaves them as they are, as Algorithm 1 does.
    strict
        Masks with > (Algorithm 1) instead of ≥ (Eqs. 5 and 6).
    """
    scalars = decays(betas)
    new = adam_moments({"exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq}, grad, scalars)
    corrections = None if step is None else corrections_of(bias_corrections(step, betas))
    return MaskedUpdates(
        update=adaptive_direction(new["exp_avg"], new["exp_avg_sq"], eps=eps, corrections=corrections),
        synchronous=aligned(grad, new["exp_avg"], strict=strict),
        asynchronous=aligned(grad, exp_avg, strict=strict),
    )


def correlation_gap(grad: torch.Tensor, updates: MaskedUpdates) -> torch.Tensor:
    """Give the terms of GC_sync - GC_async, u_i g_i in S1 without S2, and 0 elsewhere; none of them is negative.

    Parameters
    ----------
    grad
        The gradient that the masks were made of.
    updates
        What :func:`masked_updates` gave for it.

    Returns
    -------
    torch.Tensor
        Shaped as `grad`.

    Raises
    ------
    ArgumentError
        The asynchronous mask keeps a coordinate that the synchronous one does not: the two are not of this gradient.
    """
    outside = int(((updates.asynchronous > 0) & ~(updates.synchronous > 0)).sum())
    if outside:
        raise ArgumentError(
            f"cannot compare masks: {outside} coordinates are kept by the asynchronous one alone; accepted: masks of"
            " one gradient and one momentum, as masked_updates gives them"
        )
    return grad * updates.update * (updates.synchronous - updates.asynchronous)


def expected_agreement(beta1: float, correlation: float) -> float:
    """Give E[g m_t] / E[g²] = β1 ρ + 1 - β1 for E[g m_{t-1}] = ρ E[g²].

    The proof (App. C) asks for -(1-β1)/β1 < ρ < 0 in S1 without S2, and calls this number negative there. It is
    positive for every ρ > -(1-β1)/β1.

    Parameters
    ----------
    beta1
        Decay, in (0, 1).
    correlation
        ρ.
    """
    check_in_range("beta1", beta1, 0.0, 1.0, open_low=True, open_high=True)
    check_number("correlation", correlation)
    return beta1 * correlation + (1.0 - beta1)
