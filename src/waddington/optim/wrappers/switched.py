"""A base-rate switch (:mod:`waddington.optim.switching`) around any optimizer."""

from __future__ import annotations

from typing import Any

import torch

from waddington._errors import UnsupportedError
from waddington.optim._moved import renamed_arguments
from waddington.optim.engine.control import run_control_on_slots
from waddington.optim.engine.params import ParamSlot, local_real
from waddington.optim.engine.state import settings_of
from waddington.optim.rule import Settings, Tensors
from waddington.optim.switching import RENAMED, BaseRateSwitch, check_switch, chosen_fraction, small_rate
from waddington.optim.wrappers.update import Observed, Pending, UpdateWrapper

__all__ = ["Switched"]


class Switched(UpdateWrapper):
    """Give any optimizer a switched base rate: ``Switched(AMVT(params, lr=1e-2))``.

    The wrapped optimizer steps at its own ``lr``, the large rate, and the step is shortened where the small one is
    chosen; around torch's Adam it is :class:`~waddington.optim.ASGDAdam`, as far as the precision of the parameters
    goes. It fits optimizers whose step is proportional to ``lr``: Adam and its kind, SGD with momentum, Lion, Muon.

    Parameters
    ----------
    optimizer
        What is switched. The rules ``"mean"``, ``"coordinate"`` and ``"momentum"`` read its ``exp_avg_sq`` or
        ``exp_avg``.
    alpha_min, switch, large_rate_in, count_ratio, switch_interval, hysteresis, memory
        As for :class:`~waddington.optim.ASGDAdam`.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        An argument outside its range, or an `alpha_min` above a group's ``lr``.
    UnsupportedError
        The optimizer switches already, or lacks the moment that the rule reads.
    """

    _own = ("alpha_min", "switch", "large_rate_in", "count_ratio", "switch_interval", "hysteresis", "memory")
    _of_the_model = BaseRateSwitch.settings
    _renamed = RENAMED
    _control = BaseRateSwitch()

    @renamed_arguments(**RENAMED)
    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        alpha_min: float | None = None,
        switch: str = "relative",
        large_rate_in: str = "sharp",
        count_ratio: float = 1.0,
        switch_interval: int = 10,
        hysteresis: float = 0.1,
        memory: int = 10,
        nonfinite: str = "skip",
    ) -> None:
        super().__init__(optimizer, settings_of(locals(), "optimizer", "nonfinite"), nonfinite=nonfinite)

    def _completed(self, group: dict[str, Any], settings: Settings, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        found = {**settings, "base_lr": float(group["lr"]), **group}
        return found | {"alpha_min": small_rate(found)}

    def _check_own(self, settings: Settings) -> None:
        check_switch(settings)

    def _entries(self) -> dict[str, float]:
        return super()._entries() | self._control.initial(self.param_groups[0])

    def _switch_state(self) -> Tensors:
        names = self._control.initial(self.param_groups[0])
        return {name: value for name, value in self._model_state().items() if name in names}

    def _after(self, slots: list[ParamSlot], pending: list[Pending], before: list[Any]) -> Observed:
        settings = self.param_groups[0]
        for slot in slots:
            slot.buffers = {name: self._moment(slot, name) for name in self._control.stages(settings)[0].reads}
        run_control_on_slots(self._control, slots, self._switch_state(), settings, self._finite)
        state = self._switch_state()
        for slot, change in zip(slots, pending, strict=True):
            factor = chosen_fraction(state, slot.group)
            change.write(change.scaled(factor.to(slot.value.device)))
        return Observed()

    def _moment(self, slot: ParamSlot, name: str) -> torch.Tensor:
        state = self.state.get(slot.param, {})
        if not isinstance(state.get(name), torch.Tensor):
            raise UnsupportedError(
                f"cannot use switch={slot.group['switch']!r} around {type(self.innermost).__name__}: that rule reads"
                f" {name}, and the state holds {self._held(slot.param)}; accepted are"
                " 'relative' and 'linear', which read the gradient alone"
            )
        return local_real(state[name])

    def _decay_rate(self, param: torch.Tensor, group: Settings) -> float | torch.Tensor:
        factor = chosen_fraction(self._switch_state(), group)
        return factor.to(param.device) * super()._decay_rate(param, group)

    def _figures(self) -> dict[str, float]:
        values = {name: float(value) for name, value in self._switch_state().items()}
        return super()._figures() | self._control.describe(values)
