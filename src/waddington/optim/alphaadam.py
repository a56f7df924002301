"""AlphaAdam: AdamW whose update is masked where gradient and past momentum disagree, and made longer elsewhere.

Chang, Li and Yuan (2025), "AlphaAdam: Asynchronous Masked Optimization with Dynamic Alpha for Selective Updates"
(arXiv 2501.18094), Algorithm 1, tensor by tensor (n coordinates)::

    φ_t = 1[g_t ⊙ m_{t-1} > 0]
    m_t, v_t as Adam;  u_t = m_t / (√v_t + ε)
    α_t = ‖u_t‖² / ‖φ_t ⊙ u_t‖²         η̂ = η n / (‖φ_t‖₀ + 1)
    θ_t = θ_{t-1} - η̂ α_t φ_t ⊙ u_t

The mask and its strength are the business of :mod:`waddington.optim.masking`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.settings import Compile, Nonfinite, StateDtype, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.masking import AlphaForm, Compensation, Mask, aligned, check_mask, mask_terms, strength
from waddington.optim.moments import (
    Number,
    Numbers,
    adam_moments,
    adaptive_direction,
    bias_corrections,
    corrections_of,
    decays,
)
from waddington.optim.rule import Measured, Rule, Settings, Tensors

__all__ = ["ALPHAADAM_RULE", "AlphaAdam", "CAdamW"]


def _buffers(settings: Settings) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq")


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    found = decays(settings["betas"]) | {"eps": settings["eps"], "alpha_max": settings["alpha_max"]}
    return found | (bias_corrections(step, settings["betas"]) if settings["bias_correction"] else {})


def _full_update(moments: Tensors, scalars: Numbers, flags: Settings) -> torch.Tensor:
    return adaptive_direction(
        moments["exp_avg"],
        moments["exp_avg_sq"],
        eps=scalars["eps"],
        corrections=corrections_of(scalars) if flags["bias_correction"] else None,
    )


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, flags: Settings) -> Measured:
    new = adam_moments(buffers, grad, scalars)
    if flags["mask"] == "none":
        return Measured(new)
    momentum = buffers["exp_avg"] if flags["mask"] == "asynchronous" else new["exp_avg"]
    mask = aligned(grad, momentum, strict=flags["strict_mask"])
    update = _full_update(new, scalars, flags)
    return Measured(new, mask_terms(update, mask), {"kept": update * mask})


def _from_sums(totals: Tensors, size: torch.Tensor, scalars: Numbers, flags: Settings) -> Tensors:
    if flags["mask"] == "none":
        return {name: torch.ones_like(size) for name in ("keep_rate", "alpha", "rate_multiplier")}
    return strength(totals, size, {**flags, "alpha_max": scalars["alpha_max"]})


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> torch.Tensor:
    if flags["mask"] == "none":
        return _full_update(buffers, scalars, flags)
    return measured.saved["kept"] * scalars["rate_multiplier"]


ALPHAADAM_RULE = Rule(
    buffers=_buffers,
    scalars=_scalars,
    update_moments=_update_moments,
    from_sums=_from_sums,
    update=_update,
    reported=("keep_rate", "alpha", "rate_multiplier"),
)


class AlphaAdam(RuleOptimizer):
    """AdamW with an asynchronous mask of dynamic strength (Chang et al., 2025).

    Algorithm 1 to the letter is ``strict_mask=True, compensation="full", alpha_form="squared", alpha_max=inf,
    bias_correction=False``; its first step, whose mask is empty, changes nothing. By default the mask is Eq. 6's, α is
    clamped to 2 as in the paper's experiments (F.4), and the moments are corrected. Algorithm 1 compensates twice:
    where half of the coordinates are masked, those kept move up to four times as far as AdamW's, and more where fewer
    are kept. Compare at tuned rates, or use ``compensation="norm", alpha_form="root"``, which restores the length of
    the update and no more.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        Rate η, and the handle that schedulers turn.
    betas
        Decay of the first and the second moment, each in [0, 1).
    eps
        Added to the denominator.
    weight_decay
        Decay λ, which no mask touches; the paper uses 0.1 for GPT-2 and 0.01 for GLUE. See `decoupled_weight_decay`.
    mask
        ``"asynchronous"``: gradient against the momentum before it, Algorithm 1. ``"synchronous"``: against the
        momentum that it is part of, Cautious Adam. ``"none"``: AdamW.
    strict_mask
        Leave out coordinates in which gradient or momentum is zero (Algorithm 1) instead of taking them (Eq. 6).
    compensation
        ``"full"``: α and n/(‖φ‖₀+1), as Algorithm 1; ``"norm"``: α alone; ``"count"``: n/(‖φ‖₀+1) alone; ``"none"``.
    alpha_form
        ``"squared"`` (Algorithm 1) or ``"root"`` (Eq. 9).
    alpha_max
        Upper bound of α, at least 1; may be infinite.
    bias_correction
        Divide both moments by their weight, as Adam does and Algorithm 1 does not.
    decoupled_weight_decay
        True: ``θ -= rate * λ * θ`` as AdamW; False: ``g += λ * θ`` as Adam, which the mask then sees.
    maximize, nonfinite, stochastic_rounding, state_dtype, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """

    _rule = ALPHAADAM_RULE

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        mask: Mask = "asynchronous",
        strict_mask: bool = False,
        compensation: Compensation = "full",
        alpha_form: AlphaForm = "squared",
        alpha_max: float = 2.0,
        bias_correction: bool = True,
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
        check_choice("bias_correction", group["bias_correction"], (False, True))
        check_mask(group)


class CAdamW(AlphaAdam):
    """Cautious AdamW (Liang et al., 2024, arXiv 2411.16085), which is AlphaAdam's synchronous mask.

    ``φ = 1[g_t ⊙ m_t > 0]`` and the rate times n/(‖φ‖₀+1), as its paper has it; widespread code divides by the mean of
    φ instead, which is bounded from below.

    Parameters
    ----------
    params, lr, betas, eps
        As for :class:`AlphaAdam`.
    weight_decay
        Decay λ; torch's AdamW has 0.01, too.
    maximize, nonfinite, stochastic_rounding, state_dtype, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """

    _fixed: ClassVar[dict[str, Any]] = {
        "mask": "synchronous",
        "strict_mask": True,
        "compensation": "count",
        "alpha_form": "squared",
        "alpha_max": 1.0,
        "bias_correction": True,
        "decoupled_weight_decay": True,
    }

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        maximize: bool = False,
        nonfinite: Nonfinite = "mask",
        stochastic_rounding: bool = False,
        state_dtype: StateDtype = "float32",
        compile: Compile = "auto",
        **torch_options: Unpack[TorchOptions],
    ) -> None:
        super().__init__(params, **settings_of(locals()))
