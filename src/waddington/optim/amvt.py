"""AMVT: Adam whose rate falls, coordinate by coordinate, with the variance of the gradient.

Saravana Ram, "Deep Learning Optimization Using Adaptive Gradient Methods: A Mathematical Framework for Enhanced
Convergence" (Adaptive Momentum with Variance Tracking), Section 3.2 and Algorithm 1::

    m_t = β1 m_{t-1} + (1-β1) g_t
    v_t = β2 v_{t-1} + (1-β2) g_t²
    s_t = β3 s_{t-1} + (1-β3) (g_t - m_t)²
    m̂, v̂, ŝ  = each divided by 1 - β^t
    α_t = α0 (1 + ŝ/(v̂+ε))^(-1/2) / √(v̂+ε)
    θ_t = θ_{t-1} - α_t ⊙ m̂_t

The two factors of α_t are one: ``α_t = α0 / √(v̂ + ŝ + ε)``. Where ŝ does not exceed v̂ the penalty is between 1/√2 and
1, and AMVT is close to Adam at a somewhat lower rate: comparisons that do not tune the rate show little else.

The paper's four modules, each usable alone: :mod:`waddington.optim.preprocessing` (clipping, normalization, outliers,
noise), :mod:`waddington.optim.moments`, :mod:`waddington.optim.adaptation` (penalty, signal-to-noise ratio, momentum by
curvature) with :mod:`waddington.optim.schedules`, and :mod:`waddington.optim.updating` (decay, clipping).
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Unpack, get_args

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice, check_in_range
from waddington._errors import ArgumentError
from waddington.optim.adaptation import adaptive_denominator, variance_penalty
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.settings import Compile, Nonfinite, StateDtype, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.moments import (
    Number,
    Numbers,
    adam_moments,
    bias_corrections,
    decays,
    ema_of_square,
    gradient_variance,
)
from waddington.optim.preprocessing import clip_factor, filter_outliers, normalize
from waddington.optim.rule import Measured, Rule, Settings, Tensors
from waddington.optim.updating import clip_update

__all__ = ["AMVT", "AMVT_RULE", "HISTORY"]

Decoupled = Literal["lr", "literal"]
"""Whether decay is multiplied by the rate."""
VarianceFrom = Literal["tracked", "moments"]
"""A buffer of its own, or the two moments."""
HISTORY = 10
"""Steps before the first outlier: a variance of less calls every second plain gradient one."""


def _buffers(settings: Settings) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", "exp_avg_var") if settings["variance"] == "tracked" else ("exp_avg", "exp_avg_sq")


def _needs_norm(settings: Settings) -> str:
    clips = f"clip_grad_norm={settings['clip_grad_norm']!r}" if settings["clip_grad_norm"] is not None else ""
    return ", ".join(filter(None, [clips, "normalize_grad=True" if settings["normalize_grad"] else ""]))


def _from_norm(norm: torch.Tensor, settings: Settings) -> Tensors:
    """Give the number that all gradients are multiplied by (Algorithm 1, line c)."""
    factor = torch.ones_like(norm)
    if settings["clip_grad_norm"] is not None:
        factor = clip_factor(norm, settings["clip_grad_norm"])
    return {"grad_scale": normalize(factor, norm) if settings["normalize_grad"] else factor}


def _prepare(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, flags: Settings) -> torch.Tensor:
    if "grad_scale" in scalars:
        grad = grad * scalars["grad_scale"]
    if "outlier_threshold" in scalars:
        before: Numbers = {name: scalars[f"{name}_before"] for name in _CORRECTIONS}
        mean, variance = buffers["exp_avg"] * before["correction1"], _corrected_variance(buffers, before, flags)
        filtered = filter_outliers(grad, mean, variance, scalars["outlier_threshold"])
        grad = torch.where(torch.as_tensor(scalars["has_history"], device=grad.device) > 0.5, filtered, grad)
    return grad


_CORRECTIONS = ("correction1", "correction2", "correction3")


def _all_betas(settings: Settings) -> tuple[float, ...]:
    return (*settings["betas"], settings["beta3"])


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    betas = _all_betas(settings)
    found = decays(betas) | bias_corrections(step, betas) | {"eps": settings["eps"]}
    if settings["clip_update"] is not None:
        found["clip_update"] = settings["clip_update"]
    if settings["outlier_threshold"] is not None:
        before = bias_corrections(step - 1.0 + (step == 1.0), betas)  # at the first step nothing is filtered
        found |= {f"{name}_before": value for name, value in before.items()}
        found |= {"outlier_threshold": settings["outlier_threshold"], "has_history": 1.0 * (step > HISTORY)}
    return found


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, flags: Settings) -> Measured:
    new = adam_moments(buffers, grad, scalars)
    if flags["variance"] == "tracked":
        distance = grad - new["exp_avg"]
        new["exp_avg_var"] = ema_of_square(buffers["exp_avg_var"], distance, scalars["beta3"], scalars["rest3"])
    return Measured(new)


def _corrected_variance(buffers: Tensors, scalars: Numbers, flags: Settings) -> torch.Tensor:
    if flags["variance"] == "tracked":
        return buffers["exp_avg_var"] * scalars["correction3"]
    return gradient_variance(
        buffers["exp_avg"] * scalars["correction1"], buffers["exp_avg_sq"] * scalars["correction2"]
    )


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> torch.Tensor:
    exp_avg = buffers["exp_avg"]
    if flags["momentum_bias_correction"]:
        exp_avg = exp_avg * scalars["correction1"]
    second = buffers["exp_avg_sq"] * scalars["correction2"]
    variance = _corrected_variance(buffers, scalars, flags)
    direction = exp_avg / adaptive_denominator(variance, second, scalars["eps"])
    return clip_update(direction, scalars["clip_update"]) if "clip_update" in scalars else direction


def _observe(
    direction: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> Tensors:
    variance = _corrected_variance(buffers, scalars, flags)
    second = buffers["exp_avg_sq"] * scalars["correction2"]
    return {
        "penalty": variance_penalty(variance, second, scalars["eps"]),
        "signal": (buffers["exp_avg"] * scalars["correction1"]).square(),
        "noise": variance + scalars["eps"],
    }


def _init_missing(buffers: Tensors, step: torch.Tensor, settings: Settings) -> Tensors:
    """Begin the tracked variance of a state that comes from Adam where the moments say that it is."""
    dtype = buffers["exp_avg"].dtype
    found = bias_corrections(step.clamp_min(1.0), _all_betas(settings))
    corrections: Numbers = {
        name: torch.as_tensor(value, dtype=dtype, device=step.device) for name, value in found.items()
    }
    variance = _corrected_variance(buffers, corrections, {**settings, "variance": "moments"})
    return {"exp_avg_var": variance / corrections["correction3"]}


AMVT_RULE = Rule(
    buffers=_buffers,
    init_missing=_init_missing,
    decays_by_rate=lambda settings: settings["decoupled"] != "literal",
    scalars=_scalars,
    needs_norm=_needs_norm,
    from_norm=_from_norm,
    prepare=_prepare,
    update_moments=_update_moments,
    update=_update,
    observe=_observe,
    # Of sums: a mean of ratios would be the one coordinate's that has no noise.
    ratios={"signal_to_noise": ("signal", "noise")},
)


class AMVT(RuleOptimizer):
    """Adam with a rate that each coordinate's gradient variance lowers (Algorithm 1 of its paper).

    Algorithm 1 to the letter is ``momentum_bias_correction=False, decoupled="literal"``: line i steps along m_t where
    Step 7 has m̂_t, and line j decays by λθ without the rate. The defaults are Step 7 and torch's decay.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        Rate α0, and the handle that schedulers turn.
    betas
        Decay of the first moment, the second moment and the variance, each in [0, 1); a pair leaves the last at 0.99.
        Groups hold the last as ``beta3``, so that ``betas`` is a pair as in Adam, and states of each fit the other.
    eps
        Added to v̂, inside the root.
    weight_decay
        Decay λ, of the parameters themselves.
    decoupled
        ``"lr"``: ``θ -= rate * λ * θ`` as AdamW. ``"literal"``: ``θ_t -= λ θ_{t-1}`` (Algorithm 1, line j).
    variance
        ``"tracked"``: ŝ from a third buffer, as the paper; as m_t has g_t in it, ŝ settles some 15 % below the variance
        at β1 = 0.9. ``"moments"``: ŝ = v̂ - m̂², not below 0, from the two that Adam has, at no memory.
    clip_grad_norm
        Scale gradients so that their norm over the whole model is at most this; None leaves them (Algorithm 1, line c).
    normalize_grad
        Divide gradients by their norm over the whole model, after clipping.
    outlier_threshold
        Pull coordinates further than so many standard deviations from their mean back to that distance, judged by the
        moments of the step before, once there have been ten; None leaves them.
    clip_update
        Bound of every coordinate of the direction, in units of the rate; None leaves it.
    momentum_bias_correction
        Step along m̂ instead of m.
    maximize, nonfinite, stochastic_rounding, state_dtype, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """

    _rule = AMVT_RULE
    _fixed: ClassVar[dict[str, Any]] = {"decoupled_weight_decay": True}
    _of_the_model = ("clip_grad_norm", "normalize_grad")
    _extra_keys = ("beta3",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, ...] = (0.9, 0.999, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        decoupled: Decoupled = "lr",
        variance: VarianceFrom = "tracked",
        clip_grad_norm: float | None = None,
        normalize_grad: bool = False,
        outlier_threshold: float | None = None,
        clip_update: float | None = None,
        momentum_bias_correction: bool = True,
        maximize: bool = False,
        nonfinite: Nonfinite = "mask",
        stochastic_rounding: bool = False,
        state_dtype: StateDtype = "float32",
        compile: Compile = "auto",
        **torch_options: Unpack[TorchOptions],
    ) -> None:
        super().__init__(params, settings_of(locals()))

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; see :class:`~waddington.optim.engine.optimizer.RuleOptimizer`."""
        betas = tuple(param_group.get("betas", self.defaults["betas"]))
        if len(betas) == 2:
            betas = (*betas, param_group.get("beta3", 0.99))
        if len(betas) != 3:
            raise ArgumentError(f"cannot use betas={betas!r}: betas must be two or three numbers in [0, 1)")
        super().add_param_group({**param_group, "betas": betas[:2], "beta3": betas[2]})

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        check_in_range("betas[2]", group["beta3"], 0.0, 1.0, open_high=True)
        check_choice("decoupled", group["decoupled"], get_args(Decoupled))
        check_choice("variance", group["variance"], get_args(VarianceFrom))
        for name in ("clip_grad_norm", "outlier_threshold", "clip_update"):
            if group[name] is not None:
                check_in_range(name, group[name], 0.0, open_low=True)
