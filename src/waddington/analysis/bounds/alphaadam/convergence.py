"""Theorem 3.8: full-batch steps with a rate η1/√t bring ‖∇L‖_φ down like log T / √T.

‖∇L_t‖_φ is the sum of |∂_i L| over the coordinates that the mask keeps, an L1 norm; where the mask is empty it is 0.
Slips of the proof that ``form="mended"`` mends:

- The factor η1 is lost on the left of the sum, so that the printed bound lacks 1/η1, and in M_1.
- Σ_{t0}^T 1/t ≤ log((T+1)/t0) and Σ_{t0}^T 1/√t ≥ 2(√T-√(t0-1)) are the wrong way round; mended to log(T/(t0-1)) and
  2(√(T+1)-√t0).
- Lemma E.4 holds for t > log_{β1}(1/4) only, so the sum begins there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from waddington._checks import check_choice, check_count, check_in_range
from waddington.analysis._numbers import as_numbers
from waddington.analysis.bounds.alphaadam.lemmas import Descent, decays_allowed, infinite_before, without_multiplier
from waddington.analysis.bounds.alphaadam.states import adam_states
from waddington.analysis.bounds.assumption import Assumption, at_most, not_measured, stated
from waddington.analysis.bounds.bound import Bound
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError
from waddington.optim.masking import aligned

__all__ = ["MaskedNorm", "convergence_bound", "fitted_bound", "masked_gradient_norm"]


def convergence_bound(
    descent: Descent,
    first_loss: float,
    *,
    least_loss: float = 0.0,
    start: int | None = None,
    full_batch: bool | None = None,
    exact_smoothness: bool = False,
    eps: float | None = None,
    form: Literal["mended", "printed"] = "mended",
) -> Bound:
    """Bound the least ‖∇L_t‖_φ over t from t0 to T (Theorem 3.8, E.5).

    Parameters
    ----------
    descent
        The theorem's numbers.
    first_loss
        L(θ_{t0}).
    least_loss
        What the loss never goes below.
    start
        t0, at least 2; None is :attr:`Descent.start`.
    full_batch
        Whether gradients are of all data; None is not known.
    exact_smoothness
        Whether `smoothness` is the L of all points; what a run measured is a lower bound of it.
    eps
        ε of the optimizer, which the proof drops; None is not known. The assumption's note says what it costs.
    form
        ``"mended"``: √10 [(η1 c M_1 + M_2) log(T/(t0-1)) + L(θ_{t0}) - L*] / (2 η1 c' (√(T+1)-√t0)), with the largest
        multiplier c and the least c'. ``"printed"``: without η1, c and c', and with the paper's two sums.

    Returns
    -------
    Bound
        Infinite below t0. What holds by smoothness and L ≥ 0 alone is √(2 d L L(θ_{t0})).

    Raises
    ------
    ArgumentError
        A number lies outside its range, or the first loss is below the least.
    """
    check_choice("form", form, ("mended", "printed"))
    check_in_range("first_loss", first_loss, least_loss, math.inf, open_high=True)
    begin = descent.start if start is None else start
    check_count("start", begin, 2)
    drift, gap = descent.slack + descent.bend, first_loss - least_loss
    low, high = descent.multiplier
    mended = form == "mended"
    parts = {
        "drift of the gradient": descent.lr * high * descent.slack if mended else descent.slack,
        "length of the steps": descent.bend,
    }
    scale = math.sqrt(10.0) / (2.0 * descent.lr * low) if mended else math.sqrt(10.0) / 2.0

    def steps_taken(steps: Arrays) -> Arrays:
        return np.sqrt(steps + 1.0) - math.sqrt(begin) if mended else np.sqrt(steps) - math.sqrt(begin - 1.0)

    def harmonic(steps: Arrays) -> Arrays:
        return np.log(steps / (begin - 1.0)) if mended else np.log((steps + 1.0) / begin)

    def growing(weight: float) -> Callable[[Arrays], Arrays]:
        return infinite_before(begin, lambda steps: scale * weight * harmonic(steps) / steps_taken(steps))

    terms = {name: growing(weight) for name, weight in parts.items()}
    terms["loss at the start"] = infinite_before(begin, lambda steps: scale * gap / steps_taken(steps))
    return Bound(
        name="least masked gradient norm",
        source="003, Theorem 3.8",
        at=lambda steps: np.sum([term(steps) for term in terms.values()], axis=0),
        trivial=math.sqrt(2.0 * descent.dimension * descent.smoothness * max(first_loss, 0.0)),
        terms=terms,
        constants={"M1": descent.slack, "M2": descent.bend, "M1 + M2": drift, "gap": gap, "start": float(begin)},
        assumptions=(
            decays_allowed(descent.betas),
            without_multiplier(descent.multiplier),
            _known("full batch", "g_t = ∇L(θ_t)", full_batch),
            _known("smoothness", "‖∇L(x)-∇L(y)‖ ≤ L‖x-y‖", exact_smoothness or None, "L was measured, a lower bound"),
            at_most("non-negative loss", "L ≥ 0", "003, Assumption 3.7", max(0.0, -least_loss), 0.0),
            _without_eps(descent, eps),
            at_most("late start", "t0 > log_{β1}(1/4)", "003, Lemma E.4", float(descent.start), float(begin)),
        ),
        note="as printed: 1/η1 is missing, and two sums are bounded the wrong way" if not mended else "mended",
    )


class MaskedNorm(NamedTuple):
    """A gradient seen through the asynchronous mask.

    Attributes
    ----------
    masked
        ‖∇L‖_φ, the sum of |∂_i L| over the coordinates that are kept.
    whole
        The sum over all.
    kept
        Share of coordinates that are kept.
    """

    masked: float
    whole: float
    kept: float


def masked_gradient_norm(model: nn.Module, optimizer: torch.optim.Optimizer, *, strict: bool = True) -> MaskedNorm:
    """Measure ‖∇L‖_φ of the gradients that the parameters have now: after ``backward()``, before the step.

    Parameters
    ----------
    model
        Its parameters that require grad; one without a gradient has a gradient of zero.
    optimizer
        One that keeps Adam's moments and has taken a step: before that the mask is empty, and the theorem's minimum
        leaves the first step out.
    strict
        A mask with > (Algorithm 1) instead of ≥.

    Raises
    ------
    ArgumentError, UnsupportedError
        The optimizer has no moments of a parameter.
    """
    params = [param for param in model.parameters() if param.requires_grad]
    masked, whole, kept = 0.0, 0.0, 0.0
    for param, state in zip(params, adam_states(model, optimizer), strict=True):
        grad = torch.zeros_like(param) if param.grad is None else param.grad.detach().to_dense()
        mask = aligned(grad, state.exp_avg, strict=strict)
        masked += float((grad.abs() * mask).double().sum())
        whole += float(grad.abs().double().sum())
        kept += float(mask.double().sum())
    return MaskedNorm(masked=masked, whole=whole, kept=kept / sum(param.numel() for param in params))


def fitted_bound(steps: Sequence[float] | Arrays, curve: Sequence[float] | Arrays, *, until: float) -> Bound:
    """Fit C of C log T/√T to the first part of a measured curve, to be judged on all of it.

    Parameters
    ----------
    steps
        Numbers of steps, at least 2 (log 1 is 0), of shape (n,).
    curve
        Least ‖∇L‖_φ up to each, of shape (n,).
    until
        Last step that counts for C, such as the first decade's.

    Returns
    -------
    Bound
        With the smallest C that holds up to `until`.

    Raises
    ------
    ArgumentError
        No step counts, a step is below 2, or the shapes differ.
    """
    at, values = as_numbers("steps", steps), as_numbers("curve", curve)
    if at.shape != values.shape or at.ndim != 1 or not (at >= 2.0).all() or not (at <= until).any():
        raise ArgumentError(
            f"cannot fit steps of shape {at.shape} and a curve of shape {values.shape} up to {until:g}; accepted: one"
            " shape (n,), steps from 2 on, at least one of them up to there"
        )
    early = at <= until
    constant = float((values[early] * np.sqrt(at[early]) / np.log(at[early])).max())
    return Bound(
        name="C log T / √T, fitted",
        source="003, Theorem 3.8",
        at=lambda steps: constant * np.log(np.maximum(steps, 1.0)) / np.sqrt(steps),
        constants={"C": constant, "until": float(until)},
        note="fitted to the curve itself: it can show another rate, not the theorem's constants",
    )


def _without_eps(descent: Descent, eps: float | None) -> Assumption:
    """Say what ε costs: where |∂_i L| is above the threshold, m/(√v+ε) is m/√v over 1 + ε/(√(5/2) |∂_i L|) at least."""
    name, statement = "an ε of zero", "the step is m/√v"
    if eps is None:
        return _known(name, statement, None)
    cost = eps / (math.sqrt(2.5) * float(descent.descent_threshold(1.0)))
    note = f"it costs a factor of at most 1 + {cost:.2g} √T" if eps else ""
    return stated(name, statement, "003, Lemma E.4", eps == 0.0, note=note)


def _known(name: str, statement: str, holds: bool | None, note: str = "") -> Assumption:
    if holds is None:
        return not_measured(name, statement, "003, Theorem 3.8", note=note)
    return stated(name, statement, "003, Theorem 3.8", holds)
