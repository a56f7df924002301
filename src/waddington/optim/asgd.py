"""ASGDAdam and ASGDAMSGrad: Adam and AMSGrad with one switched base rate for the whole model.

Boabang & Gyamerah, "Enhanced Adaptive Stochastic Gradient Descent: Convergence Analysis and Its Application in
Single-Cell Perturbation Analysis", Algorithms 1 and 2::

    m_t = β1 m_{t-1} + (1-β1) g_t
    v_t = β2 v_{t-1} + (1-β2) g_t²
    v̂_t = v_t                       (ASGDAdam)
    v̂_t = max(v̂_{t-1}, v_t)         (ASGDAMSGrad)
    α_t ∈ {α_min, α_max}            (Eqs. 3-5: one choice for the model, from statistics of v)
    θ_t = θ_{t-1} - α_t m_t / (√v̂_t + ε)

How α_t is chosen is the business of :mod:`waddington.optim.switching`; the rest is the rule of
:mod:`waddington.optim.padam` with power 1/2, and is not written twice.
"""

from __future__ import annotations

from typing import Any, ClassVar, Unpack

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice
from waddington.optim._moved import renamed_arguments
from waddington.optim._switch_settings import check_is_read
from waddington.optim.alignment import Alignment
from waddington.optim.engine.optimizer import RuleOptimizer
from waddington.optim.engine.settings import Compile, Nonfinite, StateDtype, check_common, settings_of
from waddington.optim.engine.torch_options import TorchOptions
from waddington.optim.padam import PADAM_RULE
from waddington.optim.rule import Settings
from waddington.optim.switching import RENAMED, BaseRateSwitch, LargeRateIn, Switch, check_switch, small_rate

__all__ = ["ASGDAMSGrad", "ASGDAdam"]


class ASGDAdam(RuleOptimizer):
    """Adam with a base rate that switches between `alpha_min` and `lr` for the whole model (Algorithm 1).

    The paper's own lines, to the letter, are ``switch="mean", bias_correction=False``. They are not the default,
    because that rule cannot switch (v is never negative, so both of its statistics are one number), and because without
    the bias correction the first steps are √(1-β2)⁻¹(1-β1), about three, times too long.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    lr
        The large base rate α_max, and the handle that schedulers turn. May begin at 0, for a warm-up.
    alpha_min
        The small base rate, given at the initial value of `lr`: a scheduler's factor scales both. In [0, lr]. None is 0
        for the clock and the ratchet, which fall towards it, and ``lr / 10``, of each group's own `lr`, for the rules
        that choose one of two rates. Of an `lr` that begins at 0 that is a tenth at any later value (the group then
        holds None), and a given 0 stays 0.
    betas
        Decay of the first and the second moment, each in [0, 1).
    eps
        Added to the denominator.
    weight_decay
        Decay λ; see `decoupled_weight_decay`.
    switch
        What chooses the rate: ``"alignment"`` (this project's, by the cosine of gradient and previous update),
        ``"relative"`` (this project's, by the curvature), ``"linear"`` (its limit without jumps), or the readings of
        the paper, ``"mean"``, ``"coordinate"`` and ``"momentum"``. See :mod:`waddington.optim.switching`.
    large_rate_in
        Which region gets the large rate under ``"relative"`` and ``"linear"``: ``"sharp"`` or ``"flat"``. The paper
        says both. All other rules have their direction built in.
    count_ratio
        Of ``"coordinate"``: the rate is small where fewer coordinates lie above their mean than `count_ratio` times
        those below. The author's code has 1 and 0.5.
    switch_interval
        ``"relative"`` and ``"linear"`` look at the statistic every so many steps; the paper's rules at every step.
    hysteresis
        Deviation of the curvature, in units of its own scatter, that ``"relative"`` switches at in either direction,
        and width of the logistic function of ``"linear"``. Above 0.
    memory
        Looks that the slow reference of ``"relative"`` and ``"linear"`` remembers.
    alignment
        How ``"alignment"`` sets the rate: ``"clock"``, lower while noise prevails and at `lr` again after an alarm;
        ``"ratchet"``, halved and never raised; ``"dual"``, at `lr` or at `alpha_min`. See
        :mod:`waddington.optim.alignment`.
    tau
        τ of ``"clock"``: after so many steps of noise the rate has fallen to ``lr/√2``. Above 0.
    bias_correction
        Divide both moments by their weight, as Adam does and Algorithm 1 does not.
    decoupled_weight_decay
        True: ``θ -= α_t λ θ`` as AdamW; False: ``g += λ θ`` as Adam, which then also enters the switch's statistic.
    maximize, nonfinite, stochastic_rounding, state_dtype, compile
        See :class:`~waddington.optim.engine.optimizer.RuleOptimizer`.
    **torch_options
        ``foreach``, ``fused``, ``capturable`` and ``differentiable``, False or None, as torch's optimizers take them.

    Raises
    ------
    ArgumentError
        An argument outside its range, an `alpha_min` above `lr`, or an argument that the chosen rule does not read
        (other than at its default), such as `tau` beside ``"relative"``.
    """

    _rule = PADAM_RULE
    _renamed = RENAMED
    _control = BaseRateSwitch()
    _fixed: ClassVar[dict[str, Any]] = {"p": 0.5, "amsgrad": False}

    @renamed_arguments(**RENAMED)
    def __init__(
        self,
        params: ParamsT,
        lr: float | torch.Tensor = 1e-2,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        alpha_min: float | None = None,
        switch: Switch = "alignment",
        large_rate_in: LargeRateIn = "sharp",
        count_ratio: float = 1.0,
        switch_interval: int = 10,
        hysteresis: float = 0.1,
        memory: int = 10,
        alignment: Alignment = "clock",
        tau: float = 50.0,
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
        check_is_read(self.param_groups[0])

    @classmethod
    def _completed(cls, settings: Settings) -> dict[str, Any]:
        found = super()._completed(settings)
        return found | {"alpha_min": small_rate({**settings, **found})}

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        check_common(group)
        check_choice("bias_correction", group["bias_correction"], (False, True))
        check_switch(group)


class ASGDAMSGrad(ASGDAdam):
    """AMSGrad with a base rate that switches between `alpha_min` and `lr` for the whole model (Algorithm 2).

    As :class:`ASGDAdam`, with the running maximum of the second moment in the denominator. The paper's rules read the
    second moment itself (lines 9 and 10 of Algorithm 2), which unlike its maximum can fall; ``"alignment"`` reads the
    maximum, by which the update was divided.
    """

    _fixed: ClassVar[dict[str, Any]] = {"p": 0.5, "amsgrad": True}
