"""AMVT's momentum by curvature: the mathematics of Module 3 inside the optimizer.

The paper asks for a "momentum scheduling that adjusts to loss landscape curvature" and writes none out; this is the
project's reading. The step before went along d = n / √(v̂ + ŝ + ε), n the momentum: with P the diagonal of the
denominators it is preconditioned by P⁻¹, and in the coordinates √P θ the rate times the curvature along it is::

    a = ⟨-d, Δg⟩ / ⟨d, n⟩        Δg = g_t - g_{t-1}

No rate and no length of the step stands in it, for both cancel. The noise of g_{t-1} is in d, with the weight
w = 1 - β1 that n gives it, and in Δg: it adds ``w ⟨σ², 1/√(v̂ + ŝ + ε)⟩`` to the numerator, which is taken off.
σ² = Δg²/2 is the noise as successive gradients tell it; ŝ would take a gradient that falls for a noisy one. Numerator
and denominator are averaged with β3, and the decay is that of critical damping, ``μ = ((1-a)/(1+a))²``
(:func:`~waddington.optim.adaptation.damped_decay`). It is followed as far as the gradient can be seen in its noise: of
Σ m̂² the share (1-β1)/(1+β1) of Σ σ² is noise, and what remains is the signal::

    S = max(Σ m̂² - (1-β1)/(1+β1) Σ σ², 0) / (Σ σ² + ε)
    β1_{t+1} = β1 + (μ - β1) S/(1+S)

All of it is per tensor. What a state needs besides is the last gradient.
"""

from __future__ import annotations

import torch

from waddington.optim.adaptation import damped_decay
from waddington.optim.moments import Number, Numbers, ema_weight
from waddington.optim.rule import Settings, Tensors

__all__ = ["REMEMBERED", "curvature_terms", "momentum_from_sums", "momentum_scalars", "remembered_after"]

REMEMBERED = ("momentum", "exp_avg_weight", "curvature_up", "curvature_down", "has_previous_grad")
"""What is remembered of each tensor."""


def remembered_after(step: torch.Tensor, settings: Settings) -> Tensors:
    """Give these numbers as they are after so many steps of a plain Adam."""
    beta1, zero = settings["betas"][0], torch.zeros_like(step)
    values = (torch.full_like(step, beta1), ema_weight(step, beta1), zero, zero, zero)
    return dict(zip(REMEMBERED, values, strict=True))


def momentum_scalars(tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    """Give the decay of this step with what follows from it, and the averages before."""
    beta1, before = tensor_scalars["momentum"], tensor_scalars["exp_avg_weight"]
    weight = beta1 * before + (1.0 - beta1)
    low, high = settings["momentum_limits"]
    return {
        "beta1": beta1,
        "rest1": 1.0 - beta1,
        "exp_avg_weight": weight,
        "correction1": weight.reciprocal(),
        "correction1_before": (before + (before == 0.0)).reciprocal(),
        "has_previous_grad": torch.ones_like(before),
        "had_previous_grad": tensor_scalars["has_previous_grad"],
        "up_before": tensor_scalars["curvature_up"],
        "down_before": tensor_scalars["curvature_down"],
        "base_beta1": settings["betas"][0],
        "momentum_low": low,
        "momentum_high": high,
    }


def curvature_terms(
    change: torch.Tensor, momentum: torch.Tensor, denominator: torch.Tensor, weight: Number, mean: torch.Tensor,
    scalars: Numbers,
) -> Tensors:  # fmt: skip
    """Give the terms of the sums that the curvature is read off.

    Parameters
    ----------
    change
        Δg.
    momentum, denominator, weight
        n and √(v̂ + ŝ + ε) of the step before, and w.
    mean
        m̂ of this step.
    scalars
        Of this step.
    """
    noise = change.square() * 0.5
    known = scalars["had_previous_grad"]
    up = -(momentum * change + noise * weight) / denominator
    down = momentum.square() / denominator
    return {"up": up * known, "down": down * known, "visible": mean.square(), "noisy": noise + scalars["eps"]}


def momentum_from_sums(totals: Tensors, scalars: Numbers) -> Tensors:
    """Give the decay of the next step, and the averages that it follows from."""
    up = scalars["up_before"] * scalars["beta3"] + totals["up"] * scalars["rest3"]
    down = scalars["down_before"] * scalars["beta3"] + totals["down"] * scalars["rest3"]
    tiny = torch.finfo(down.dtype).tiny
    curvature = up.clamp_min(0.0) / down.clamp_min(tiny)
    damped = damped_decay(curvature, scalars["momentum_low"], scalars["momentum_high"])
    noise = totals["noisy"].clamp_min(tiny)
    signal = (totals["visible"] - noise * scalars["rest1"] / (1.0 + scalars["beta1"])).clamp_min(0.0)
    trust = torch.where(down > 0.0, signal / (signal + noise), torch.zeros_like(noise))
    momentum = (damped - scalars["base_beta1"]) * trust + scalars["base_beta1"]
    return {"momentum": momentum, "curvature_up": up, "curvature_down": down}
