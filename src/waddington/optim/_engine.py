"""The engine: the only ``step()`` in the package. It runs rules; its own mathematics is ``θ -= α d`` and no more.

A step goes through the parameters as slots (:mod:`waddington.optim._slots`):

1. *inspect*: are all gradients finite, over the whole model? (see `nonfinite`)
2. *measure*: each rule's first phase; new moments are written, partial statistics come out.
3. *reduce and decide*: the partial statistics of all tensors of all groups are stacked, added over shards in one
   collective, and the rate control, where there is one, chooses the rate.
4. *update*: each rule's second phase gives the direction; decay and step are applied.

No value of a tensor is read on the host (``nonfinite="raise"`` is the documented exception), so a step never waits for
a GPU. How a phase goes over its slots is decided here alone, in `_measure` and `_update`: one after the other today.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch

from waddington._errors import DataError
from waddington.optim._rule import Stage, Tensors
from waddington.optim._slots import Kind, Slot, compute_dtype, gradient_of, local_real, sum_over_shards
from waddington.optim._state import SKIPPED, RuleState

__all__ = ["RuleOptimizer"]


class RuleOptimizer(RuleState):
    """A torch optimizer that runs a rule; subclasses name the rule, perhaps a rate control, and their arguments.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    defaults
        Settings of a group that does not say otherwise. Besides the rule's own these are ``lr`` (a number or a 0-d
        tensor), ``weight_decay``, ``decoupled_weight_decay`` (True: ``θ -= rate λ θ``; False: ``g += λ θ``),
        ``maximize``, ``nonfinite`` and ``compile``.

        ``nonfinite`` says what a NaN or infinite gradient anywhere in the model does. ``"skip"``: the step is not
        taken: parameters, moments, step count and switch stay, on every rank, and ``diagnostics()["skipped_steps"]``
        counts it. ``"raise"``: DataError before anything has changed; costs one wait for the device per step.
        ``"propagate"``: no check, as torch; saves one pass over the gradients.

        ``compile`` is ``"auto"`` or False; both run eagerly in this version.

    Notes
    -----
    State is kept in float32 under parameters of lower precision. A step with rate 0 and all gradients 0 on an optimizer
    without state is not counted: it is how ``torch.distributed.checkpoint`` asks for the state before loading.
    """

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
            A gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        without_state = not self.state
        slots = list(self._slots())
        if not slots:
            return loss
        model_state = self._model_state()
        if without_state and all(_is_phantom(slot) for slot in slots):
            return loss
        finite = self._inspect(slots)
        self._advance(slots, finite)
        self._measure(slots, finite)
        self._decide(slots, model_state, finite)
        self._update(slots, model_state, finite)
        return loss

    def _slots(self) -> Iterator[Slot]:
        for index, group in enumerate(self.param_groups):
            for param in group["params"]:
                if param.grad is None:
                    continue
                grad = local_real(gradient_of(param).to(compute_dtype(param)))
                value = local_real(param)
                if group["maximize"]:
                    grad = -grad
                if group["weight_decay"] and not group["decoupled_weight_decay"]:
                    grad = grad.add(value, alpha=group["weight_decay"])
                size = param.numel() * (2 if param.is_complex() else 1)
                state = self._state_of(param, group)
                buffers = {name: local_real(state[name]) for name in self._rule.buffers(group)}
                yield Slot(param, group, index, state["step"], buffers, value, grad, size)

    def _inspect(self, slots: list[Slot]) -> torch.Tensor | None:
        """Tell, as a 0-d tensor, whether every gradient of the model is finite; None where nobody asked."""
        policy = self.param_groups[0]["nonfinite"]
        if policy == "propagate":
            return None
        # A norm is finite only where every square is, and it is squares that the second moment keeps.
        norms = _stack([[norm] for norm in torch._foreach_norm([slot.grad for slot in slots])])
        broken = sum_over_shards(norms.isfinite().logical_not().to(norms.dtype), slots)
        finite = broken.sum() == 0
        if policy == "raise" and not bool(finite):
            found = [str(tuple(slot.param.shape)) for slot, bad in zip(slots, broken.tolist(), strict=True) if bad[0]]
            raise DataError(
                f"cannot step: found NaN or infinity in the gradients of parameters of shape {', '.join(found)};"
                " accepted are finite gradients (nonfinite='skip' leaves such steps out)"
            )
        return finite

    def _advance(self, slots: list[Slot], finite: torch.Tensor | None) -> None:
        """Count the step, and compute what depends on it: once for all tensors of a group, not once for each."""
        alike: dict[Kind, list[Slot]] = {}
        for slot in slots:
            alike.setdefault(slot.kind, []).append(slot)
        for (_, device, dtype), members in alike.items():
            steps = [slot.step for slot in members]
            if finite is None:
                torch._foreach_add_(steps, 1)
            else:
                torch._foreach_add_(steps, finite.to(device=device, dtype=torch.float32))
            coefficients = self._rule.coefficients(torch.stack(steps).to(dtype), members[0].group)
            for name, values in coefficients.items():
                for slot, value in zip(members, values.unbind(), strict=True):
                    slot.coefficients[name] = value

    def _measure(self, slots: list[Slot], finite: torch.Tensor | None) -> None:
        for slot in slots:
            slot.measured = self._rule.measure(slot.grad, slot.value, slot.buffers, slot.coefficients, slot.group)
            for name, new in slot.measured.buffers.items():
                _write(slot.buffers[name], new, finite)
        if self._rule.partials:
            _hand_out(slots, self._reduce(slots, lambda slot: slot.measured.partials))

    def _reduce(self, slots: list[Slot], partials_of: Callable[[Slot], Tensors]) -> Tensors:
        """Add one stage of partial sums over shards; each of the results has one entry per slot."""
        rows = [partials_of(slot) for slot in slots]
        table = sum_over_shards(_stack([list(row.values()) for row in rows]), slots)
        return dict(zip(rows[0], table.unbind(1), strict=True))

    def _decide(self, slots: list[Slot], model_state: Tensors, finite: torch.Tensor | None) -> None:
        device, dtype = model_state[SKIPPED].device, model_state[SKIPPED].dtype
        if finite is not None:
            model_state[SKIPPED].add_(finite.logical_not().to(device=device))
        if self._control is None:
            return
        totals: Tensors = {}
        for stage in self._control.stages(self.param_groups[0]):
            _hand_out(slots, totals)
            totals = totals | self._reduce(slots, partial(_staged, stage))
        totals = {name: column.to(device=device, dtype=dtype) for name, column in totals.items()}
        count = sum(slot.size for slot in slots)
        new = self._control.decide(totals, count, model_state, self.param_groups[0])
        # Stacked, because there are a dozen of them and each costs a launch.
        targets = [model_state[name] for name in new]
        stacked = torch.stack(list(new.values()))
        if finite is not None:
            stacked = torch.where(finite.to(device), stacked, torch.stack(targets))
        torch._foreach_copy_(targets, list(stacked.unbind()))

    def _update(self, slots: list[Slot], model_state: Tensors, finite: torch.Tensor | None) -> None:
        rates: dict[Kind, torch.Tensor] = {}
        for slot in slots:
            if slot.kind not in rates:
                rate = slot.group["lr"] if self._control is None else self._control.rate(model_state, slot.group)
                rates[slot.kind] = _scalar(rate, like=slot.grad)
            direction = self._rule.update(
                slot.grad, slot.measured, slot.buffers, slot.coefficients, slot.group, slot.totals
            )
            value = slot.value.to(slot.grad.dtype)
            if slot.group["weight_decay"] and slot.group["decoupled_weight_decay"]:
                direction = direction.add(value, alpha=slot.group["weight_decay"])
            _write(slot.value, torch.addcmul(value, direction, rates[slot.kind], value=-1.0), finite)


def _is_phantom(slot: Slot) -> bool:
    # Only ever asked of an optimizer without state, so its wait for the device happens once in a life, if at all.
    assert slot.param.grad is not None
    return float(slot.group["lr"]) == 0.0 and not bool(slot.param.grad.any())


def _hand_out(slots: list[Slot], totals: Tensors) -> None:
    """Give every slot its own entry of each statistic."""
    for name, column in totals.items():
        for slot, value in zip(slots, column.unbind(), strict=True):
            slot.totals[name] = value.to(device=slot.value.device, dtype=slot.grad.dtype)


def _scalar(value: float | torch.Tensor, *, like: torch.Tensor) -> torch.Tensor:
    # A number is filled in on the device; copying it there would make the host wait.
    if isinstance(value, torch.Tensor):
        return value.to(device=like.device, dtype=like.dtype)
    return torch.full((), value, device=like.device, dtype=like.dtype)


def _staged(stage: Stage, slot: Slot) -> Tensors:
    return stage(slot.grad, slot.buffers, slot.size, slot.totals)


def _stack(rows: list[list[torch.Tensor]]) -> torch.Tensor:
    """Stack 0-d tensors of perhaps several devices and dtypes into a table."""
    cells = [cell for row in rows for cell in row]
    dtype = torch.float64 if any(cell.dtype == torch.float64 for cell in cells) else torch.float32
    table = torch.stack([cell.to(device=cells[0].device, dtype=dtype) for cell in cells])
    return table.view(len(rows), -1)


def _write(target: torch.Tensor, new: torch.Tensor, finite: torch.Tensor | None) -> None:
    """Write new values in place, unless the step is being skipped."""
    if finite is None:
        target.copy_(new)
    elif new.dtype == target.dtype:
        torch.where(finite.to(target.device), new, target, out=target)
    else:
        target.copy_(torch.where(finite.to(target.device), new, target))
