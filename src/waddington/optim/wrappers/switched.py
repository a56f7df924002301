"""A base-rate switch (:mod:`waddington.optim.switching`) around any optimizer."""

from __future__ import annotations

from typing import Any

import torch

from waddington.errors import UnsupportedError
from waddington.optim._moved import renamed_arguments
from waddington.optim._switch_settings import check_is_read
from waddington.optim.alignment import Alignment
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, local_real
from waddington.optim.engine.settings import NonfiniteUnmasked, settings_of
from waddington.optim.engine.step import decide
from waddington.optim.moments import Number, Numbers, ema_weight
from waddington.optim.rule import Settings, Stage, Tensors
from waddington.optim.switching import (
    RENAMED,
    BaseRateSwitch,
    LargeRateIn,
    Switch,
    check_switch,
    chosen_fraction,
    small_rate,
)
from waddington.optim.wrappers.columns import column_of, sizes_of
from waddington.optim.wrappers.rates import are_settable, rates_set, scales_with_rate
from waddington.optim.wrappers.update import Observed, Pending, UpdateWrapper

__all__ = ["Switched"]


class Switched(UpdateWrapper):
    """Give any optimizer a switched base rate: ``Switched(AMVT(params, lr=1e-2))``.

    By the same rule it is :class:`~waddington.optim.ASGDAdam` around torch's Adam. It fits optimizers whose step is
    proportional to ``lr``: Adam and its kind, SGD with momentum, Lion, Muon. ``"relative"`` and ``"linear"`` read the
    gradient alone, so around torch's own optimizers of this kind (:mod:`.rates` names them) the rate is chosen first
    and ``lr`` is set to it for as long as the step takes. Elsewhere the wrapped optimizer steps at its own ``lr``, the
    large rate, and the step is shortened where the small one is chosen, as far as the precision of the parameters
    goes.

    Parameters
    ----------
    optimizer
        What is switched. The rules ``"mean"``, ``"coordinate"`` and ``"momentum"`` read its ``exp_avg_sq`` or
        ``exp_avg``, ``"alignment"`` both.
    alpha_min, switch, large_rate_in, count_ratio, switch_interval, hysteresis, memory, alignment, tau
        As for :class:`~waddington.optim.ASGDAdam`, but that the rule is ``"relative"`` unless `switch` or `alignment`
        is given: it needs no moments, which some optimizers do not have. `alignment` is ``"clock"`` where it is left
        out beside ``switch="alignment"``.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        An argument outside its range, an `alpha_min` above a group's ``lr``, or an argument that the chosen rule does
        not read (other than at its default).
    UnsupportedError
        The optimizer switches already, or lacks the moment that the rule reads.
    """

    _own = ("alpha_min", *BaseRateSwitch.settings)
    _of_the_model = BaseRateSwitch.settings
    _renamed = RENAMED
    _control = BaseRateSwitch()

    @renamed_arguments(**RENAMED)
    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        alpha_min: float | None = None,
        switch: Switch | None = None,
        large_rate_in: LargeRateIn = "sharp",
        count_ratio: float = 1.0,
        switch_interval: int = 10,
        hysteresis: float = 0.1,
        memory: int = 10,
        alignment: Alignment | None = None,
        tau: float = 50.0,
        nonfinite: NonfiniteUnmasked = "skip",
    ) -> None:
        switch = switch or ("relative" if alignment is None else "alignment")
        alignment = alignment or "clock"
        super().__init__(optimizer, settings_of(locals(), "optimizer", "nonfinite"), nonfinite=nonfinite)
        check_is_read(self.param_groups[0])

    def _completed(self, group: dict[str, Any], settings: Settings, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        found = {**settings, "base_lr": float(group["lr"]), **group}
        return found | {"alpha_min": small_rate(found)}

    def _check_own(self, settings: Settings) -> None:
        check_switch(settings)

    def _entries(self) -> dict[str, float]:
        return super()._entries() | self._control.initial(self.param_groups[0])

    def _switch_state(self) -> Tensors:
        return {name: value for name, value in self._model_state().items() if name.startswith("switch_")}

    def _around(self, slots: list[ParamSlot]) -> None:
        """Choose the rate before the step where that can be done, and after it where not."""
        first, *others = self._control.stages(self.param_groups[0])
        if others or not self._can_look_first(slots, first) or not scales_with_rate(self.optimizer):
            super()._around(slots)
            return
        state = self._switch_state()
        totals = self._sums_before(slots, first) if first.before else {"energy": self._squares_of(slots)}
        decided, row = self._decide(slots, state, totals, sizes_of(slots))
        rates = [self._control.rate(decided, group) for group in self.param_groups]
        if not are_settable(self.param_groups, rates):
            super()._around(slots)
            return
        pending = self._copies(slots) if self._recording_on else []
        with rates_set(self.param_groups, rates):
            self._inner_step()
        kept = list(state.values())
        if self._finite is not None:
            row = torch.where(self._finite.to(row.device), row, torch.stack(kept))
        torch._foreach_copy_(kept, list(row.unbind()))
        self._observe(slots, pending, Observed())

    def _decide(
        self, slots: list[ParamSlot], state: Tensors, totals: Tensors, sizes: torch.Tensor
    ) -> tuple[Numbers, torch.Tensor]:
        """Give the new entries of the switch, by name and as a row; they stay what they are if the step is left out."""
        settings, row = self.param_groups[0], torch.stack(list(state.values()))
        summary = self._control.summarize(totals, sizes, settings)
        on_host = host_sync_is_free(row.device)
        return decide(self._control, summary, list(state), row, settings, self._finite, on_host=on_host)

    def _before(self, slots: list[ParamSlot]) -> list[Any]:
        first = self._control.stages(self.param_groups[0])[0]
        return [self._sums_before(slots, first)] if first.before else super()._before(slots)

    def _sums_before(self, slots: list[ParamSlot], stage: Stage) -> Tensors:
        """Take the sums of a stage that looks at moments before the step; those not made yet are zero."""
        columns = {"grad": [slot.grad for slot in slots]}
        for name in stage.reads:
            columns[name] = [
                self._moment(slot, name) if self._has_moments(slot, stage) else torch.zeros_like(slot.grad)
                for slot in slots
            ]
        sizes = sizes_of(slots)
        numbers = [_numbers_before(slot) for slot in slots]
        named = {name: column_of([row[name] for row in numbers], sizes) for name in numbers[0]}
        return self._passes(_stage_sums, slots, columns, named, stage=stage)

    def _can_look_first(self, slots: list[ParamSlot], stage: Stage) -> bool:
        """Tell whether a stage's statistics may be taken before the step, and lead to a rate that may be set."""
        if not stage.reads:
            return True
        free = host_sync_is_free(slots[0].param.device)  # else the rate would have to wait
        return stage.before and free and all(self._has_moments(slot, stage) for slot in slots)

    def _has_moments(self, slot: ParamSlot, stage: Stage) -> bool:
        state = self.state.get(slot.param, {})
        return all(name in state for name in stage.reads)

    def _after(self, slots: list[ParamSlot], pending: list[Pending], before: list[Any]) -> Observed:
        stages, sizes = self._control.stages(self.param_groups[0]), sizes_of(slots)
        buffers = {name: [self._moment(slot, name) for slot in slots] for name in stages[0].reads}
        totals: Tensors = {"size": sizes}
        if stages[0].before:
            (totals,) = before
            stages = ()
        for stage in stages:
            columns = {"grad": [slot.grad for slot in slots], **buffers}
            totals |= self._passes(_stage_sums, slots, columns, totals, stage=stage)
        state = self._switch_state()
        _, row = self._decide(slots, state, totals, sizes)
        torch._foreach_copy_(list(state.values()), list(row.unbind()))
        factors = [chosen_fraction(state, group) for group in self.param_groups]
        self._passes(
            _shortened,
            slots,
            {"value": [change.target for change in pending], "old": [change.old for change in pending]},
            {"factor": torch.stack([factors[slot.group_index] for slot in slots])},
            writes=("value",),
        )
        return Observed()

    def _moment(self, slot: ParamSlot, name: str) -> torch.Tensor:
        state = self.state.get(slot.param, {})
        if not isinstance(state.get(name), torch.Tensor):
            raise UnsupportedError(
                f"cannot use switch={slot.group['switch']!r} around {type(self.innermost).__name__}: that rule reads"
                f" {name}, and the state holds {self._held(slot.param)}; accepted are"
                " 'relative' and 'linear', which read the gradient alone"
            )
        if self._control.stages(slot.group)[0].before and state[name].shape != slot.param.shape:
            raise UnsupportedError(
                f"cannot use switch={slot.group['switch']!r} around {type(self.innermost).__name__}: that rule holds"
                f" {name} against the gradient, and found the shape {tuple(state[name].shape)} for a parameter of shape"
                f" {tuple(slot.param.shape)}; accepted are 'relative' and 'linear', which read the gradient alone"
            )
        return local_real(state[name])

    def _decay_rate(self, param: torch.Tensor, group: Settings) -> float | torch.Tensor:
        factor = chosen_fraction(self._switch_state(), group)
        return factor.to(param.device) * super()._decay_rate(param, group)

    def _figures(self) -> dict[str, float]:
        values = {name: float(value) for name, value in self._switch_state().items()}
        return super()._figures() | self._control.describe(values)


def _numbers_before(slot: ParamSlot) -> dict[str, Number]:
    """Give what a stage that looks at moments before the step computes with: of Adam's kind, by torch's names."""
    beta = slot.group["betas"][1] if "betas" in slot.group else 0.0
    count = slot.state.get("step", 0.0)
    if isinstance(count, torch.Tensor) and host_sync_is_free(count.device):
        count = count.item()
    corrects = "betas" in slot.group and slot.group.get("bias_correction", True)
    correction = 1.0 / ema_weight(count + 1.0, beta) if corrects else 1.0
    return {"eps": slot.group.get("eps", 0.0), "beta2": beta, "rest2": 1.0 - beta, "correction2": correction}


def _shortened(value: torch.Tensor, old: torch.Tensor, factor: torch.Tensor) -> Tensors:
    """Write so many times the update; 0 and 1 are exact."""
    value.copy_(torch.lerp(old, value.to(old.dtype), factor.to(old.dtype)))
    return {}


def _stage_sums(grad: torch.Tensor, *, stage: Stage, **given: torch.Tensor) -> Tensors:
    """Sum a stage's terms over one tensor."""
    buffers = {name: given[name] for name in stage.reads}
    totals = {name: value for name, value in given.items() if name not in stage.reads}
    return {name: term.sum() for name, term in stage.terms(grad, buffers, totals).items()}
