"""Averaged weights for evaluation, around any optimizer.

While the wrapped optimizer trains x, an average of its weights is kept for evaluation::

    x̄ += max(1 - ema_decay, min(1, (η + 1)/(N + 1 + η))) (x - x̄)

With ``ema_decay=1`` this is polynomial averaging (Shamir & Zhang 2013, "Stochastic Gradient Descent for Non-smooth
Optimization"): weights that grow as N^η, so that the beginning is forgotten; with η = 0 it is the plain mean of Polyak
& Juditsky (1992). An `ema_decay` below 1 is an exponential moving average that begins as the polynomial one, and so has
no bias from where it started.

N counts the steps before this one: since the start; or since the last alarm of an optimizer that is switched by its
gradients' alignment; or, of these, only those at which noise prevailed, which the switch counts itself
(:mod:`waddington.optim.alignment`). An alarm so begins the average anew. All of it is elementwise on local shards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import torch
from torch._compile import _disable_dynamo

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim.engine.params import ParamSlot, compute_dtype, local_real, moves_at
from waddington.optim.engine.settings import NonfiniteUnmasked
from waddington.optim.rule import Settings, Tensors
from waddington.optim.wrappers.base import OptimizerWrapper

__all__ = ["Averaged"]

Since = Literal["start", "alarm", "noise"]
"""What N counts."""


class Averaged(OptimizerWrapper):
    """Evaluate averaged weights: ``Averaged(torch.optim.AdamW(params, lr=1e-3))``.

    ``eval()`` puts the average into the parameters, ``train()`` puts the trained weights back, as schedule-free
    optimizers have it: call ``eval()`` before the model is evaluated or saved, and ``train()`` before it is trained on.
    It is built in training mode, and a step in evaluation mode is refused. One buffer is added, which holds whichever
    weights the parameters do not.

    Parameters
    ----------
    optimizer
        What trains.
    eta
        η, from 0: with 0 all steps have the same weight, with larger ones the last count more.
    ema_decay
        In [0, 1): the average remembers about ``1/(1 - ema_decay)`` steps; 1: all.
    since
        What N counts: ``"start"``, all steps; ``"alarm"``, those since the last alarm; ``"noise"``, those since the
        last alarm at which noise prevailed. The latter two need an optimizer with ``switch="alignment"``.
    nonfinite
        See :class:`~.state.WrapperState`.

    Raises
    ------
    ArgumentError
        An argument outside its range, or a `since` that the optimizer has no alarm for.
    UnsupportedError
        Around another Averaged. And where another component is put around this one: it would hide the two modes.

    Notes
    -----
    The mode is saved with the state, as ``train_mode`` in its groups: save model and optimizer in the same mode. Steps
    at rate 0, and steps that are left out, do not count. A parameter without a gradient keeps its average in that step;
    its first gradient begins the average of the model anew if it comes late. Under parameters of lower precision the
    average is in float32, and an evaluation rounds it to theirs; the trained weights come back to the last bit.
    """

    _own = ("eta", "ema_decay", "since", "train_mode")
    _of_the_model = _own
    _is_outermost = True

    def __init__(
        self,
        optimizer: torch.optim.Optimizer,
        *,
        eta: float = 1.0,
        ema_decay: float = 1.0,
        since: Since = "start",
        nonfinite: NonfiniteUnmasked = "skip",
    ) -> None:
        settings = {"eta": eta, "ema_decay": ema_decay, "since": since, "train_mode": True}
        super().__init__(optimizer, settings, nonfinite=nonfinite)

    def _completed(self, group: dict[str, Any], settings: Settings, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        found = super()._completed(group, settings, optimizer)
        check_choice("since", found["since"], get_args(Since))
        _check_alarm(found["since"], optimizer.param_groups[0].get("switch"))
        return found

    def _check_own(self, settings: Settings) -> None:
        check_in_range("eta", settings["eta"], 0.0, open_high=True)
        check_in_range("ema_decay", settings["ema_decay"], 0.0, 1.0)

    def _buffer_names(self) -> tuple[str, ...]:
        return ("averaged_param",)

    def _initial(self, param: torch.Tensor) -> torch.Tensor:
        return param.detach().to(compute_dtype(param), copy=True)

    def _entries(self) -> dict[str, float]:
        return super()._entries() | {"averaged_steps": 0.0, "averaged_alarms": 0.0, "averaged_weight": 0.0}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, which may override the wrapper's settings.

        Raises
        ------
        UnsupportedError
            In evaluation mode: the group's parameters would be in training mode.
        """
        self._refuse_evaluation("add a group to Averaged", "the other parameters hold the averaged weights")
        super().add_param_group(param_group)

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state; see :meth:`~.state.WrapperState.load_state_dict`.

        Raises
        ------
        ArgumentError
            Settings of the state count from an alarm that its switch does not have.
        """
        first = {**self.param_groups[0], **(state_dict["param_groups"] or [{}])[0]}
        _check_alarm(first["since"], first.get("switch"))
        super().load_state_dict(state_dict)

    def _refuse_evaluation(self, what: str, why: str) -> None:
        if not self.param_groups[0]["train_mode"]:
            raise UnsupportedError(f"cannot {what} in evaluation mode: {why}; call train() first")

    @_disable_dynamo  # as in the engine
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; see :meth:`~.base.OptimizerWrapper.step`.

        Raises
        ------
        UnsupportedError
            In evaluation mode: the parameters are not those that are trained.
        """
        self._refuse_evaluation("take a step of Averaged", "the parameters hold the averaged weights")
        return super().step(closure)

    def eval(self) -> None:
        """Put the averaged weights into the parameters; in evaluation mode already, do nothing.

        Raises
        ------
        UnsupportedError
            A parameter has another shape than at its last step; nothing has changed then.
        """
        self._change_to(train_mode=False)

    def train(self) -> None:
        """Put the trained weights back into the parameters; in training mode already, do nothing.

        Raises
        ------
        UnsupportedError
            As for :meth:`eval`.
        """
        self._change_to(train_mode=True)

    @torch.no_grad()
    def _change_to(self, *, train_mode: bool) -> None:
        if self.param_groups[0]["train_mode"] == train_mode:
            return
        params = [param for group in self.param_groups for param in group["params"]]
        pairs = [
            (local_real(param.detach()), local_real(state["averaged_param"]))
            for param in params
            if "averaged_param" in (state := self.state.get(param, {}))
        ]
        for value, other in pairs:
            if value.shape != other.shape:
                raise UnsupportedError(
                    f"cannot change the mode of Averaged: a parameter has the shape {tuple(value.shape)} and its other"
                    f" weights have {tuple(other.shape)}; accepted are parameters as they were at their last step"
                )
        _exchange(pairs)
        for group in self.param_groups:
            group["train_mode"] = train_mode

    def _around(self, slots: list[ParamSlot]) -> None:
        fresh = [slot for slot in slots if "averaged_param" not in self.state.get(slot.param, {})]
        self._inner_step()
        for slot in fresh:
            self.state[slot.param]["averaged_param"] = self._initial(slot.param)
        self._model_state()
        self._settle_down(slots)
        weights = self._weights(bool(fresh)).unbind()
        self._passes(
            _averaged,
            slots,
            {"value": [slot.value for slot in slots], "mean": [self._buffer(slot, "averaged_param") for slot in slots]},
            {"weight": torch.stack([weights[slot.group_index] for slot in slots])},
            writes=("mean",),
        )

    def _weights(self, starts_anew: bool) -> torch.Tensor:
        """Count the step, and give the weight of the new weights in each group's average: 0 where nothing moved."""
        entries, settings = self._model_state(), self.param_groups[0]
        steps, alarms, weight = (entries[f"averaged_{name}"] for name in ("steps", "alarms", "weight"))
        moves = torch.stack([moves_at(group["lr"], steps.device) for group in self.param_groups])
        taken = moves.any()
        if self._finite is not None:
            taken = taken & self._finite.to(steps.device)
        # 0: the average begins anew at the next step that is taken, if this one is not.
        counted = torch.zeros_like(steps) if starts_anew else steps
        count = counted
        if settings["since"] != "start":
            state = next(state for state in self.state.values() if "switch_alarms" in state)
            seen = state["switch_alarms"].to(steps)
            count = counted = torch.where(seen == alarms, counted, 0.0)
            if settings["since"] == "noise":
                count = torch.where(counted > 0.0, state["switch_noise_steps"].to(steps), 0.0)
            alarms.copy_(seen)
        polynomial = ((settings["eta"] + 1.0) / (count + 1.0 + settings["eta"])).clamp_max(1.0)
        weight.copy_(torch.where(taken, polynomial.clamp_min(1.0 - settings["ema_decay"]), weight))
        steps.copy_(torch.where(taken, count + 1.0, counted))
        return torch.where(taken & moves, weight, 0.0)

    def averaged_weights(self) -> dict[torch.Tensor, Any]:
        """Give the averaged weights by parameter, in training mode; parameters that were never stepped are missing."""
        self._refuse_evaluation("give the averaged weights", "the parameters hold them")
        return {param: state["averaged_param"] for param, state in self.state.items() if "averaged_param" in state}

    def _figures(self) -> dict[str, float]:
        entries = self._model_state()
        return super()._figures() | {name: float(entries[name]) for name in ("averaged_steps", "averaged_weight")}


def _averaged(value: torch.Tensor, mean: torch.Tensor, weight: torch.Tensor) -> Tensors:
    """Move the average towards the weights; 0 and 1 are exact."""
    mean.copy_(torch.lerp(mean, value.to(mean.dtype), weight.to(mean.dtype)))
    return {}


def _check_alarm(since: str, switch: str | None) -> None:
    if since != "start" and switch != "alignment":
        raise ArgumentError(
            f"cannot use since={since!r} around an optimizer without an alarm: accepted are 'start', and optimizers"
            " with switch='alignment'"
        )


def _exchange(pairs: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
    """Exchange the values of tensors, pair by pair; all of them or, after an error, none."""
    done = []
    try:
        for value, other in pairs:
            held = value.clone()
            value.copy_(other)
            other.copy_(held)
            done.append((value, other))
    except BaseException:
        for value, other in done:
            held = value.clone()
            value.copy_(other)
            other.copy_(held)
        raise
