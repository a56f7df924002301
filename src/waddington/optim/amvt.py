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

from waddington._checks import check_choice, check_count, check_in_range
from waddington.errors import ArgumentError
from waddington.optim.adaptation import adaptive_denominator, variance_penalty
from waddington.optim.amvt_momentum import (
    REMEMBERED,
    curvature_terms,
    momentum_from_sums,
    momentum_scalars,
    remembered_after,
)
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
Momentum = Literal["constant", "curvature"]
"""Whether β1 stays, or follows the curvature."""
HISTORY = 10
"""Steps before the first outlier: a variance of less calls every second plain gradient one."""


def _buffers(settings: Settings) -> tuple[str, ...]:
    variance = ("exp_avg_var",) if settings["variance"] == "tracked" else ()
    previous = ("previous_grad",) if _follows_curvature(settings) else ()
    return ("exp_avg", "exp_avg_sq", *variance, *previous)


def _follows_curvature(settings: Settings) -> bool:
    return bool(settings["momentum"] == "curvature")


def _tensor_scalars(settings: Settings) -> tuple[str, ...]:
    return REMEMBERED if _follows_curvature(settings) else ()


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
        before = _before(scalars)
        mean, variance = buffers["exp_avg"] * before["correction1"], _corrected_variance(buffers, before, flags)
        filtered = filter_outliers(grad, mean, variance, scalars["outlier_threshold"])
        grad = torch.where(torch.as_tensor(scalars["has_history"], device=grad.device) > 0.5, filtered, grad)
    return grad


_CORRECTIONS = ("correction1", "correction2", "correction3")


def _before(scalars: Numbers) -> Numbers:
    """Give the corrections of the step before, and what else a direction is made of."""
    return {name: scalars[f"{name}_before"] for name in _CORRECTIONS} | {"eps": scalars["eps"]}


def _all_betas(settings: Settings) -> tuple[float, ...]:
    return (*settings["betas"], settings["beta3"])


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    betas = _all_betas(settings)
    found = decays(betas) | bias_corrections(step, betas) | {"eps": settings["eps"]}
    follows = _follows_curvature(settings)
    if settings["clip_update"] is not None:
        found["clip_update"] = settings["clip_update"]
    if settings["outlier_threshold"] is not None or follows:
        before = bias_corrections(step - 1.0 + (step == 1.0), betas)  # at the first step nothing is filtered
        found |= {f"{name}_before": value for name, value in before.items()}
    if settings["outlier_threshold"] is not None:
        found |= {"outlier_threshold": settings["outlier_threshold"], "has_history": 1.0 * (step > HISTORY)}
    return found | momentum_scalars(tensor_scalars, settings) if follows else found


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, flags: Settings) -> Measured:
    new = adam_moments(buffers, grad, scalars)
    if flags["variance"] == "tracked":
        distance = grad - new["exp_avg"]
        new["exp_avg_var"] = ema_of_square(buffers["exp_avg_var"], distance, scalars["beta3"], scalars["rest3"])
    if not _follows_curvature(flags):
        return Measured(new)
    before = _before(scalars)
    weight = scalars["rest1"]
    if flags["momentum_bias_correction"]:
        weight = weight * scalars["correction1_before"]
    terms = curvature_terms(
        grad - buffers["previous_grad"], _momentum(buffers, before, flags), _denominator(buffers, before, flags),
        weight, new["exp_avg"] * scalars["correction1"], scalars,
    )  # fmt: skip
    return Measured({**new, "previous_grad": grad}, terms)


def _from_sums(totals: Tensors, size: torch.Tensor, scalars: Numbers, flags: Settings) -> Tensors:
    return momentum_from_sums(totals, scalars) if _follows_curvature(flags) else {}


def _momentum(buffers: Tensors, scalars: Numbers, flags: Settings) -> torch.Tensor:
    return buffers["exp_avg"] * scalars["correction1"] if flags["momentum_bias_correction"] else buffers["exp_avg"]


def _denominator(buffers: Tensors, scalars: Numbers, flags: Settings) -> torch.Tensor:
    variance = _corrected_variance(buffers, scalars, flags)
    return adaptive_denominator(variance, buffers["exp_avg_sq"] * scalars["correction2"], scalars["eps"])


def _corrected_variance(buffers: Tensors, scalars: Numbers, flags: Settings) -> torch.Tensor:
    if flags["variance"] == "tracked":
        return buffers["exp_avg_var"] * scalars["correction3"]
    return gradient_variance(
        buffers["exp_avg"] * scalars["correction1"], buffers["exp_avg_sq"] * scalars["correction2"]
    )


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> torch.Tensor:
    direction = _momentum(buffers, scalars, flags) / _denominator(buffers, scalars, flags)
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


def _rate_factor(step: Number, settings: Settings) -> Number:
    """Give Algorithm 2's t / T_warmup, up to 1."""
    warm = max(float(settings["warmup_steps"]), 1.0)
    return (step / warm).clamp_max(1.0) if isinstance(step, torch.Tensor) else min(step / warm, 1.0)


AMVT_RULE = Rule(
    buffers=_buffers,
    tensor_scalars=_tensor_scalars,
    tensor_scalars_after=remembered_after,
    from_sums=_from_sums,
    needs_sums=_follows_curvature,
    sums_for_next_step=True,
    rate_factor=_rate_factor,
    reported=("momentum", "rate_factor"),
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
    momentum
        ``"constant"``: β1 stays. ``"curvature"``: β1 of each tensor follows the curvature along its steps, as far as
        the gradient can be seen in its noise (Module 3; :mod:`waddington.optim.amvt_momentum` has the formulas), at one
        buffer more. ``tensor_diagnostics()`` has ``momentum``.
    momentum_limits
        Limits of what the curvature asks for, 0 ≤ low ≤ high < 1.
    warmup_steps
        T_warmup of Algorithm 2: steps over which the rate rises to `lr`; 0 is none. Decay that goes by the rate rises
        with it. Decay schedules are torch's own and :mod:`waddington.optim.schedules`.
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
    _of_the_model = ("clip_grad_norm", "normalize_grad", "momentum")
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
        momentum: Momentum = "constant",
        momentum_limits: tuple[float, float] = (0.0, 0.99),
        warmup_steps: int = 0,
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
        betas = param_group.get("betas", self.defaults["betas"])
        if isinstance(betas, tuple | list) and len(betas) == 2:
            betas = (*betas, param_group.get("beta3", 0.99))
        if not isinstance(betas, tuple | list) or len(betas) != 3:
            raise ArgumentError(f"cannot use betas={betas!r}: betas must be two or three numbers in [0, 1)")
        super().add_param_group({**param_group, "betas": betas[:2], "beta3": betas[2]})

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        check_in_range("betas[2]", group["beta3"], 0.0, 1.0, open_high=True)
        check_choice("decoupled", group["decoupled"], get_args(Decoupled))
        check_choice("variance", group["variance"], get_args(VarianceFrom))
        check_choice("momentum", group["momentum"], get_args(Momentum))
        check_count("warmup_steps", group["warmup_steps"], 0)
        limits = group["momentum_limits"]
        if not isinstance(limits, tuple | list) or len(limits) != 2:
            raise ArgumentError(f"cannot use momentum_limits={limits!r}: momentum_limits must be two numbers in [0, 1)")
        check_in_range("momentum_limits[1]", limits[1], 0.0, 1.0, open_high=True)
        check_in_range("momentum_limits[0]", limits[0], 0.0, limits[1])
        for name in ("clip_grad_norm", "outlier_threshold", "clip_update"):
            if group[name] is not None:
                check_in_range(name, group[name], 0.0, open_low=True)
