"""AMGT: Adam with a variance-driven momentum, a thresholded first moment and diminishing rates.

Laisin, Osu, Duruojinkeya and Chibuisi (2025), "Improved convergence in deep neural networks using a modified adaptive
moment gradient thresholding algorithm", FNAS Journal of Computing and Applications 2(4). With k the step from 1::

    λ_k = 1 / (1 + γ Var(g))                                     (Eq. 9)
    m_k = λ_k β1 m_{k-1} + (1-β1) g_k                            (Eq. 8, whose λ was lost in print)
    w_k = λ_k β1 w_{k-1} + (1-β1)        m̂_k = m_k / w_k         (the same recursion on 1)
    v_k = β2 v_{k-1} + (1-β2) g_k²       v̂_k = v_k / (1-β2^k)    (Eq. 7)
    η_k = η,  η / (1 + αk)  or  η / (μk)                         (constant, Eq. 10, Eq. 13)
    θ_k = θ_{k-1} - η_k (T_k(m̂_k) + c/k) / (√v̂_k + ε)            (Eqs. 2, 25 and 27)

What the paper leaves open, and our reading. **Var(g)** is the variance of recent gradients: v̂ - m̂², not below 0, as
the moments of the step before tell it (those of this step need λ already), so λ_1 = 1; or, with
``variance_window=n``, the variance of the last n gradients before this one. It is averaged over the tensor, which
leaves λ and w two numbers for each, or kept for each coordinate. **T_k** thresholds at τ_k = τ0/k: "hard" zeroes
what lies below, so that no coordinate is wrong by more than τ0/k, which is Eq. 27's assumption; "soft" shrinks towards
zero by it, with the same bound; "clip" bounds from above. **c** is Eq. 2's additive correction α_t, whose only stated
purpose is stability; it fades like the errors that Eq. 27 allows. **β1(t), β2(t)** (Eq. 3): the settings are read at
every step and both weights follow the recursion, so a scheduler may turn ``betas``. Quantized and sparsified updates,
which the discussion claims, are :class:`waddington.optim.Compressed` around this optimizer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Unpack, get_args

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice, check_count, check_in_range
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.settings import Compile, Nonfinite, StateDtype, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.moments import (
    Number,
    Numbers,
    adaptive_direction,
    decays,
    ema,
    ema_of_square,
    ema_weight,
    gradient_variance,
)
from waddington.optim.rule import Measured, Rule, Settings, Tensors

__all__ = ["AMGT", "AMGT_RULE", "momentum_factor", "threshold_moment", "window_variance"]

VarianceOver = Literal["tensor", "coordinate"]
"""What shares one λ."""
Schedule = Literal["constant", "inverse_time", "strongly_convex"]
"""How the rate falls: not, as Eq. 10, or as Eq. 13."""
ThresholdMode = Literal["hard", "soft", "clip"]
"""What becomes of a first moment below the threshold, or above it."""


def momentum_factor(variance: torch.Tensor, gamma: Number) -> torch.Tensor:
    """Factor λ = 1 / (1 + γ Var(g)) of Eq. 9, in (0, 1]."""
    return 1.0 / (1.0 + gamma * variance)


def threshold_moment(exp_avg: torch.Tensor, threshold: Number, mode: ThresholdMode) -> torch.Tensor:
    """Threshold a first moment.

    Parameters
    ----------
    exp_avg
        Bias-corrected first moment.
    threshold
        τ_k, a number or 0-d.
    mode
        ``"hard"``: zero where the magnitude is below τ_k. ``"soft"``: every magnitude smaller by τ_k, not below zero.
        ``"clip"``: every magnitude at most τ_k.
    """
    if mode == "hard":
        return torch.where(exp_avg.abs() < threshold, 0.0, exp_avg)
    if mode == "soft":
        return exp_avg - _clipped(exp_avg, threshold)
    return _clipped(exp_avg, threshold)


def _clipped(exp_avg: torch.Tensor, threshold: Number) -> torch.Tensor:
    bound = torch.as_tensor(threshold, dtype=exp_avg.dtype, device=exp_avg.device)
    return torch.clamp(exp_avg, -bound, bound)


def window_variance(gradients: Sequence[torch.Tensor], count: Number) -> torch.Tensor:
    """Variance of each coordinate over a window of gradients, not below 0.

    Parameters
    ----------
    gradients
        The last ones; those that are still to come are zero.
    count
        How many there are, from 1.
    """
    total, square = gradients[0], gradients[0].square()
    for grad in gradients[1:]:
        total, square = total + grad, square + grad.square()
    return gradient_variance(total / count, square / count)


def _buffers(settings: Settings) -> tuple[str, ...]:
    # How far w_k lies below Adam's weight: zero at first and zero for a state that comes from Adam.
    deficit = ("exp_avg_deficit",) if settings["variance"] == "coordinate" else ()
    window = tuple(f"grad_{age}" for age in range(settings["variance_window"] or 0))
    return ("exp_avg", "exp_avg_sq", *deficit, *window)


def _window(buffers: Tensors) -> list[torch.Tensor]:
    """Give the last gradients, the latest first; none where Var(g) is taken from the moments."""
    return [buffer for name, buffer in buffers.items() if name.startswith("grad_")]


def _shifted(window: Sequence[torch.Tensor], grad: torch.Tensor) -> Tensors:
    return {f"grad_{age}": each for age, each in enumerate([grad, *window][: len(window)])}


def _tensor_scalars(settings: Settings) -> tuple[str, ...]:
    weights = ("exp_avg_weight", "exp_avg_sq_weight")
    window = ("window_count",) if settings["variance_window"] else ()
    return (*weights, *window) if settings["variance"] == "coordinate" else (*weights, *window, "grad_variance")


def _tensor_scalars_after(step: torch.Tensor, settings: Settings) -> Tensors:
    beta1, beta2 = settings["betas"]
    return {
        "exp_avg_weight": ema_weight(step, beta1),
        "exp_avg_sq_weight": ema_weight(step, beta2),
        "grad_variance": torch.zeros_like(step),
        "window_count": torch.zeros_like(step),
    }


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    beta1, beta2 = settings["betas"]
    before, before_sq = tensor_scalars["exp_avg_weight"], tensor_scalars["exp_avg_sq_weight"]
    weight_sq = beta2 * before_sq + (1.0 - beta2)
    found = decays(settings["betas"]) | {"eps": settings["eps"], "gamma": settings["gamma"]}
    found |= {"exp_avg_sq_weight": weight_sq, "correction2": weight_sq.reciprocal()}
    if settings["variance_window"]:
        count = tensor_scalars["window_count"]
        found |= {"window_count": (count + 1.0).clamp_max(float(settings["variance_window"])),
                  "window_before": count.clamp_min(1.0)}  # fmt: skip
    if settings["threshold"]:
        found["threshold"] = settings["threshold"] / step
    if settings["correction"]:
        found["added"] = settings["correction"] / step
    if settings["variance"] == "coordinate":
        found |= {"exp_avg_weight": beta1 * before + (1.0 - beta1), "weight_before": before, "sq_before": before_sq}
    else:
        factor = momentum_factor(tensor_scalars["grad_variance"], settings["gamma"])
        weight = factor * beta1 * before + (1.0 - beta1)
        found |= {"exp_avg_weight": weight, "correction1": weight.reciprocal(), "momentum_factor": factor}
    return found


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, flags: Settings) -> Measured:
    exp_avg_sq = ema_of_square(buffers["exp_avg_sq"], grad, scalars["beta2"], scalars["rest2"])
    recent = _shifted(_window(buffers), grad)
    if flags["variance"] == "tensor":
        exp_avg = _weighted(buffers["exp_avg"], grad, scalars["momentum_factor"], scalars)
        mean, square = exp_avg * scalars["correction1"], exp_avg_sq * scalars["correction2"]
        new = {"exp_avg": exp_avg, "exp_avg_sq": exp_avg_sq} | recent
        spread = (
            window_variance(list(recent.values()), scalars["window_count"])
            if recent
            else gradient_variance(mean, square)
        )
        return Measured(new, {"variance": spread}, {"mean": mean, "square": square})
    tiny = torch.finfo(grad.dtype).tiny
    before, before_sq = (torch.as_tensor(scalars[name], device=grad.device) for name in ("weight_before", "sq_before"))
    deficit = buffers["exp_avg_deficit"]
    old_mean = buffers["exp_avg"] / (before - deficit).clamp_min(tiny)
    if recent:
        spread = window_variance(_window(buffers), scalars["window_before"])
    else:
        spread = gradient_variance(old_mean, buffers["exp_avg_sq"] / before_sq.clamp_min(tiny))
    factor = momentum_factor(spread, scalars["gamma"])
    new = {
        "exp_avg": _weighted(buffers["exp_avg"], grad, factor, scalars),
        "exp_avg_sq": exp_avg_sq,
        "exp_avg_deficit": scalars["beta1"] * torch.lerp(before, deficit, factor),
        **recent,
    }
    mean = new["exp_avg"] / (scalars["exp_avg_weight"] - new["exp_avg_deficit"])
    return Measured(new, saved={"mean": mean, "square": exp_avg_sq * scalars["correction2"], "momentum_factor": factor})


def _weighted(exp_avg: torch.Tensor, grad: torch.Tensor, factor: Number, scalars: Numbers) -> torch.Tensor:
    # Written as torch writes Adam's, so that a factor of 1 is Adam to the bit.
    return ema(exp_avg * factor, grad, scalars["beta1"], scalars["rest1"])


def _from_sums(totals: Tensors, size: torch.Tensor, scalars: Numbers, flags: Settings) -> Tensors:
    return {} if flags["variance"] == "coordinate" else {"grad_variance": totals["variance"] / size.clamp_min(1.0)}


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> torch.Tensor:
    exp_avg = measured.saved["mean"]
    if "threshold" in scalars:
        exp_avg = threshold_moment(exp_avg, scalars["threshold"], flags["threshold_mode"])
    if "added" in scalars:
        exp_avg = exp_avg + scalars["added"]
    return adaptive_direction(
        exp_avg,
        measured.saved["square"],
        eps=scalars["eps"],
        eps_inside=flags["eps_inside_root"],
    )


def _rate_factor(step: Number, settings: Settings) -> Number:
    if settings["schedule"] == "inverse_time":
        return 1.0 / (1.0 + step * float(settings["decay"]))
    if settings["schedule"] == "strongly_convex":
        return 1.0 / (step * float(settings["mu"]))
    return 1.0


def _observe(
    direction: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> Tensors:
    magnitude = measured.saved["mean"].abs()
    if "threshold" not in scalars:
        hit = torch.zeros_like(magnitude)
    elif flags["threshold_mode"] == "clip":
        hit = magnitude > scalars["threshold"]
    else:
        hit = magnitude < scalars["threshold"]
    factor = measured.saved.get("momentum_factor")
    return {"threshold_hit_rate": hit} | ({} if factor is None else {"momentum_factor": factor})


AMGT_RULE = Rule(
    buffers=_buffers,
    tensor_scalars=_tensor_scalars,
    tensor_scalars_after=_tensor_scalars_after,
    scalars=_scalars,
    update_moments=_update_moments,
    from_sums=_from_sums,
    sums_for_next_step=True,
    update=_update,
    rate_factor=_rate_factor,
    observe=_observe,
    reported=("momentum_factor", "grad_variance", "rate_factor"),
)


class AMGT(RuleOptimizer):
    """Adam with variance-driven momentum, thresholding and diminishing rates (Laisin et al., 2025).

    The paper's own lines are ``eps_inside_root=True`` with ``schedule="strongly_convex"`` (Eq. 13; ``lr=1`` is its
    1/(μk)) or ``"inverse_time"`` (Eq. 10), a `gamma` (Eq. 9) and a `threshold` (Eq. 27), for none of which it gives a
    value. By default the rate is constant, thresholding is off and ε stands outside the root, as in torch's Adam: what
    remains is Eq. 9's momentum. With ``gamma=0`` too it is Adam.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        Rate η0, and the handle that schedulers turn; `schedule` multiplies it.
    betas
        Decay of the first and the second moment, each in [0, 1). May be turned while training (Eq. 3).
    eps
        Added to the denominator; see `eps_inside_root`.
    weight_decay
        Decay λ; see `decoupled_weight_decay`.
    gamma
        γ of Eq. 9, at least 0. Variance has the square of the gradient's unit, so what is large depends on the loss.
    variance
        ``"tensor"``: one λ for each tensor. ``"coordinate"``: one for each coordinate, at the price of a third buffer,
        and of less effect: where λ is small, m̂ is little more than the last gradient, and v̂ - m̂² sees no variance
        wherever that was a large one.
    variance_window
        None: Var(g) is v̂ - m̂², averaged as the moments are. A whole number from 2: the variance of so many last
        gradients, which takes that many buffers of the parameter's size.
    schedule
        ``"constant"``, ``"inverse_time"`` (1/(1 + `decay` k)) or ``"strongly_convex"`` (1/(`mu` k)).
    decay
        α of Eq. 10, at least 0.
    mu
        μ of Eq. 13, above 0.
    threshold
        τ0, at least 0, in the gradient's unit; step k thresholds at τ0/k. 0 is off, in every mode.
    threshold_mode
        ``"hard"``, ``"soft"`` or ``"clip"``, see :func:`threshold_moment`.
    correction
        Numerator c of Eq. 2's correction c/k, in the gradient's unit, added to every coordinate of m̂.
    eps_inside_root
        √(v̂ + ε) as Eq. 7, instead of torch's √v̂ + ε.
    decoupled_weight_decay
        True: ``θ -= rate * λ * θ`` as AdamW; False: ``g += λ * θ`` as Adam.
    maximize, nonfinite, stochastic_rounding, state_dtype, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """

    _rule = AMGT_RULE

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        gamma: float = 1.0,
        variance: VarianceOver = "tensor",
        variance_window: int | None = None,
        schedule: Schedule = "constant",
        decay: float = 0.0,
        mu: float = 1.0,
        threshold: float = 0.0,
        threshold_mode: ThresholdMode = "hard",
        correction: float = 0.0,
        eps_inside_root: bool = False,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        nonfinite: Nonfinite = "mask",
        stochastic_rounding: bool = False,
        state_dtype: StateDtype = "float32",
        compile: Compile = "auto",
        **torch_options: Unpack[TorchOptions],
    ) -> None:
        super().__init__(params, settings_of(locals()))

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        for name in ("gamma", "decay", "threshold"):
            check_in_range(name, group[name], 0.0, open_high=True)
        check_in_range("mu", group["mu"], 0.0, open_low=True, open_high=True)
        check_in_range("correction", group["correction"], open_low=True, open_high=True)
        check_choice("variance", group["variance"], get_args(VarianceOver))
        if group["variance_window"] is not None:
            check_count("variance_window", group["variance_window"], 2)
        check_choice("schedule", group["schedule"], get_args(Schedule))
        check_choice("threshold_mode", group["threshold_mode"], get_args(ThresholdMode))
