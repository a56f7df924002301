"""Padam: Adam's second moment under a power p between 0 (SGD with momentum) and 1/2 (AMSGrad).

Chen, Zhou, Tang, Yang, Cao and Gu (2020), "Closing the Generalization Gap of Adaptive Gradient Methods in Training Deep
Neural Networks", IJCAI, Algorithm 1::

    m_t = β1 m_{t-1} + (1-β1) g_t
    v_t = β2 v_{t-1} + (1-β2) g_t²
    v̂_t = max(v̂_{t-1}, v_t)
    θ_t = θ_{t-1} - α m_t / (v̂_t^p + ε)

The maximum belongs to the method: the class of the same name in a popular collection leaves it out. With p = 1/2 the
rule is AMSGrad, or Adam where ``amsgrad=False``; with p in (1/2, 1] and ``amsgrad=False`` it is :class:`ASGD2`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice, check_in_range
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.settings import Compile, Nonfinite, StateDtype, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.moments import (
    Number,
    Numbers,
    adam_moments,
    adaptive_direction,
    bias_corrections,
    corrections_of,
    decays,
    running_maximum,
)
from waddington.optim.rule import Measured, Rule, Settings, Tensors

__all__ = ["ASGD2", "PADAM_RULE", "Padam"]


_ROOTS = {"fourth_root": 2, "eighth_root": 3, "sixteenth_root": 4}
"""Powers that are square roots of square roots, by the name of the number that says so, and how many roots."""
_NAMES = {0.5**count: name for name, count in _ROOTS.items()}


def _buffers(settings: Settings) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if settings["amsgrad"] else ("exp_avg", "exp_avg_sq")


def _scalars(step: Number, tensor_scalars: Tensors, settings: Settings) -> dict[str, Number]:
    found = decays(settings["betas"]) | {"eps": settings["eps"]}
    if settings["p"] != 0.5:
        found[_NAMES.get(settings["p"], "p")] = settings["p"]
    if settings["bias_correction"]:
        found |= bias_corrections(step, settings["betas"])
    return found


def _update_moments(grad: torch.Tensor, buffers: Tensors, scalars: Numbers, flags: Settings) -> Measured:
    new = adam_moments(buffers, grad, scalars)
    if flags["amsgrad"]:
        new["max_exp_avg_sq"] = running_maximum(buffers["max_exp_avg_sq"], new["exp_avg_sq"])
    return Measured(new)


def _update(
    grad: torch.Tensor, measured: Measured, buffers: Tensors, scalars: Numbers, flags: Settings
) -> torch.Tensor:
    return adaptive_direction(
        buffers["exp_avg"],
        buffers["max_exp_avg_sq" if flags["amsgrad"] else "exp_avg_sq"],
        power=scalars.get("p"),
        roots=next((count for name, count in _ROOTS.items() if name in scalars), 1),
        eps=scalars["eps"],
        corrections=corrections_of(scalars) if flags["bias_correction"] else None,
    )


PADAM_RULE = Rule(buffers=_buffers, scalars=_scalars, update_moments=_update_moments, update=_update)


class Padam(RuleOptimizer):
    """Padam (Chen et al., 2020): AMSGrad with a partially adaptive second moment.

    The defaults are the paper's own: they are its faithful form, to the letter.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        Base rate α; the handle that schedulers turn. Far larger than Adam's, because v^p is far closer to 1 than √v.
    p
        Power of the second moment, in [0, 1]; the paper searches 1/4, 1/8 and 1/16.
    betas
        Decay of the first and the second moment, each in [0, 1).
    eps
        Added to the denominator.
    weight_decay
        Decay λ; see `decoupled_weight_decay`.
    amsgrad
        Keep the maximum of the second moment, as the paper does.
    bias_correction
        Divide both moments by their weight, as Adam does and the paper does not. The maximum is taken before.
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

    _rule = PADAM_RULE

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        p: float = 0.125,
        amsgrad: bool = True,
        bias_correction: bool = False,
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
        for name in ("amsgrad", "bias_correction"):
            check_choice(name, group[name], (False, True))
        check_in_range("p", group["p"], 0.0, 1.0)


class ASGD2(Padam):
    """ASGD2, a baseline of the ASGDAdam paper: Padam's form without the maximum and with a power above Adam's.

    ``θ_t = θ_{t-1} - α m_t / (v_t^p + δ)``, p in (1/2, 1] and δ = 1e-8. As v^p is far smaller than √v where gradients
    are small, it wants a rate far below Adam's.

    Parameters
    ----------
    params, lr, betas, eps, weight_decay, bias_correction, decoupled_weight_decay
        As for :class:`Padam`; `eps` is δ.
    p
        Power of the second moment, in (1/2, 1].
    maximize, nonfinite, stochastic_rounding, state_dtype, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range.
    """

    _fixed: ClassVar[dict[str, Any]] = {"amsgrad": False}

    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        p: float = 0.75,
        bias_correction: bool = False,
        decoupled_weight_decay: bool = True,
        maximize: bool = False,
        nonfinite: Nonfinite = "mask",
        stochastic_rounding: bool = False,
        state_dtype: StateDtype = "float32",
        compile: Compile = "auto",
        **torch_options: Unpack[TorchOptions],
    ) -> None:
        super().__init__(params, **settings_of(locals()))

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        for name in ("amsgrad", "bias_correction"):
            check_choice(name, group[name], (False, True))
        check_in_range("p", group["p"], 0.5, 1.0, open_low=True)
