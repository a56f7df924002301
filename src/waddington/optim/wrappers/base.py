"""Optimizers around optimizers: any ``torch.optim.Optimizer``, ours or not, can carry a component.

A wrapper is a proper optimizer (:mod:`.state` has its books). What it adds is done around the
inner ``step()``; :mod:`.update` has the most common way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch._compile import _disable_dynamo

from waddington.errors import UnsupportedError
from waddington.optim.engine.dispatch import Execution
from waddington.optim.engine.fit import refuse_nonfinite
from waddington.optim.engine.optimizer import RuleOptimizer, is_noop_step, loss_before
from waddington.optim.engine.params import ParamSlot, gradient_of, minimized_gradient
from waddington.optim.engine.state import SKIPPED
from waddington.optim.rule import Settings
from waddington.optim.wrappers.columns import Passes, Scratch
from waddington.optim.wrappers.state import WrapperState

__all__ = ["OptimizerWrapper", "is_decoupled"]

_EXACT = (torch.float32, torch.float64)
"""Dtypes that are computed with as they are."""
_ALWAYS_DECOUPLED = (torch.optim.Muon, torch.optim.Adafactor)


class OptimizerWrapper(WrapperState):
    """An optimizer that has another one take its steps; arguments as for :class:`WrapperState`."""

    _finite: torch.Tensor | None = None
    """Whether the last step was taken, 0-d and on the device; None where nobody asked."""
    _was_asked: bool = False
    _squares: torch.Tensor | None = None
    """Squared norms of the gradients of the slots of this step, over all shards, if somebody has asked for them."""
    _scales_with_rate: ClassVar[bool] = False
    """Whether what the component makes of a step is proportional to it."""

    @cached_property
    def _passes(self) -> Passes:
        """The component's passes over tensors; no part of its state."""
        return Passes()

    @cached_property
    def _scratch(self) -> Scratch:
        """What the component keeps between steps for speed alone."""
        return Scratch()

    @_disable_dynamo  # as in the engine
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure
            Computes the loss anew and calls ``backward``; called once, with gradients on.

        Returns
        -------
        object
            What the closure gave, or None.

        Raises
        ------
        DataError
            A gradient is not finite and ``nonfinite="raise"``.
        UnsupportedError
            A gradient is sparse, or the call stands inside a transform of ``torch.func``.
        """
        loss = loss_before(self, closure)
        slots = list(self._slots())
        if not slots:
            return loss
        self._finite = None
        if not self._was_asked:
            self._forget_squares()
        if not any(self.state.values()) and all(is_noop_step(slot) for slot in slots):
            self._noop_step(slots)
        elif self._may_step(slots):
            self._around(slots)
            self._model_state()
            self._settle_down(slots)
        if not self._was_asked:
            self._forget_squares()
        return loss

    def _around(self, slots: list[ParamSlot]) -> None:
        """Take the wrapped optimizer's step, and do what the wrapper is for."""
        self._inner_step()

    def _inner_step(self) -> None:
        inner = self.optimizer
        if isinstance(inner, OptimizerWrapper):
            inner._was_asked = True
        try:
            inner.step()
        finally:
            if isinstance(inner, OptimizerWrapper):
                inner._was_asked = False
        self._finite = getattr(inner, "_finite", None)

    def _may_step(self, slots: list[ParamSlot]) -> bool:
        """Ask, from the outermost wrapper downwards, whether all gradients are finite.

        The question comes before anything is done, for a wrapped optimizer of torch must not be found with a state that
        it has not made itself.
        """
        if self._was_asked:
            return True
        if isinstance(self.optimizer, OptimizerWrapper):
            allowed = self.optimizer._may_step(slots)
            self._finite = self.optimizer._finite
            return allowed
        if self._nonfinite == "propagate" or isinstance(self.optimizer, RuleOptimizer) or slots[0].param.is_meta:
            return True
        squares = self._squares_of(slots)
        if math.isfinite(squares.sum().item()):  # one wait; a sum that overflows says nothing yet
            return True
        fine = squares.isfinite()
        finite = fine.all()
        if bool(finite):
            return True
        if self._nonfinite == "raise":
            refuse_nonfinite(slot.param for slot, is_fine in zip(slots, fine.tolist(), strict=True) if not is_fine)
        self._model_state()[f"{type(self).__name__.lower()}_{SKIPPED}"].add_(1.0)
        self._finite = finite
        return False

    def _squares_of(self, slots: list[ParamSlot]) -> torch.Tensor:
        """Give the squared norms of the slots' gradients, over all shards, taken once in a step."""
        if self._squares is None:
            inner = self.optimizer
            if isinstance(inner, OptimizerWrapper):
                self._squares = inner._squares_of(slots)
            else:
                self._squares = self._passes.squares(slots)
        return self._squares

    def _forget_squares(self) -> None:
        wrapper: Any = self
        while isinstance(wrapper, OptimizerWrapper):
            wrapper._squares, wrapper = None, wrapper.optimizer

    def _noop_step(self, slots: list[ParamSlot]) -> None:
        """Let state be made, and nothing else happen, for ``torch.distributed.checkpoint``."""
        decays = [(group, group["weight_decay"]) for group in self.param_groups if "weight_decay" in group]
        for group, _ in decays:
            group["weight_decay"] = 0.0
        try:
            self.optimizer.step()
        finally:
            for group, decay in decays:
                group["weight_decay"] = decay
        for slot in slots:
            count = self.state[slot.param].get("step")
            if isinstance(count, torch.Tensor):
                count.zero_()
            elif count is not None:
                self.state[slot.param]["step"] = 0
            for name in self._buffer_names():
                self._buffer(slot, name)
        self._model_state()
        self._settle_down(slots)

    def _slots(self) -> Iterator[ParamSlot]:
        place, innermost = -1, self.innermost
        for group_index, group in enumerate(self.param_groups):
            coupled = 0.0 if is_decoupled(innermost, group) else group.get("weight_decay", 0.0)
            masks, maximize = group.get("nonfinite") == "mask", bool(group.get("maximize"))
            as_it_is = not (coupled or masks or maximize)
            for param in group["params"]:
                place += 1
                grad = param.grad
                if grad is None:
                    continue
                slot = ParamSlot(param, group, group_index, place, self.state.get(param, {}))
                if as_it_is and slot.is_plain and grad.dtype in _EXACT and grad.dtype == param.dtype:
                    slot.grad = gradient_of(param)
                else:
                    slot.grad = minimized_gradient(
                        param, slot.value, maximize=maximize, coupled_decay=coupled, masks=masks
                    )
                yield slot

    def _decay_rate(self, param: torch.Tensor, group: Settings) -> float | torch.Tensor:
        """Give what decay that the wrapped optimizer applies to a parameter itself is multiplied by."""
        inner = self.optimizer
        if isinstance(inner, OptimizerWrapper | RuleOptimizer):
            return inner._decay_rate(param, group)
        rate: float | torch.Tensor = group["lr"]
        return rate

    def execution(self) -> list[Execution]:
        """Say how the wrapped optimizer steps its tensors: its own :meth:`~RuleOptimizer.execution`.

        Raises
        ------
        UnsupportedError
            What is wrapped is no optimizer of this package and does not say.
        """
        inner = self.innermost
        if isinstance(inner, RuleOptimizer):
            return inner.execution()
        name = type(inner).__name__
        raise UnsupportedError(
            f"cannot say how {name} steps: it is not of this package; accepted are components around optimizers of "
            "waddington.optim"
        )

    def init_state(self) -> None:
        """Make the state of every trainable parameter now instead of at its first gradient."""
        if any(self.state.values()):
            return
        params = [param for group in self.param_groups for param in group["params"] if param.requires_grad]
        gradients, rates = [param.grad for param in params], [group["lr"] for group in self.param_groups]
        for param in params:
            param.grad = torch.zeros_like(param)
        for group in self.param_groups:
            group["lr"] = torch.zeros_like(group["lr"]) if isinstance(group["lr"], torch.Tensor) else 0.0
        try:
            with torch.no_grad():
                self._noop_step(list(self._slots()))
        finally:
            for param, grad in zip(params, gradients, strict=True):
                param.grad = grad
            for group, rate in zip(self.param_groups, rates, strict=True):
                group["lr"] = rate


def is_decoupled(optimizer: torch.optim.Optimizer, group: Settings) -> bool:
    """Tell whether an optimizer applies decay to the parameters themselves instead of the gradients."""
    named = group.get("decoupled_weight_decay", group.get("weight_decouple"))
    return isinstance(optimizer, _ALWAYS_DECOUPLED) if named is None else bool(named)
