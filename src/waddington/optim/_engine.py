"""The engine: the only ``step()`` that runs rules; its own mathematics is ``θ -= α d`` and no more.

A step goes through the parameters as slots (:mod:`waddington.optim._slots`):

1. *inspect*: are all gradients finite, over the whole model? (see `nonfinite`)
2. *advance*: each step count, and what depends on no coordinate, for all tensors of a group at once.
3. *measure*: each rule's first phase; new moments are written, partial statistics come out.
4. *settle and decide*: the partial statistics of all tensors of all groups are stacked, added over shards in one
   collective, and turned into what the second phase needs; the rate control, where there is one, chooses the rate.
5. *update*: each rule's second phase gives the direction; decay and step are applied.

The engine reads no value of a tensor on the host (``nonfinite="raise"`` is the documented exception), nor do the rules
of the four papers, so a step never waits for a GPU. How a phase goes over its slots is decided here alone: one after
the other today.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch._compile import _disable_dynamo

from waddington._errors import DataError, UnsupportedError
from waddington.optim._control import reduce_partials, run_control
from waddington.optim._noise import make_salt, round_stochastically, uniform
from waddington.optim._recording import common_sums
from waddington.optim._rule import Tensors
from waddington.optim._slots import (
    Kind,
    Slot,
    hand_out,
    local_real,
    minimized_gradient,
    real_size,
    stack,
    statistics_dtype,
    sum_over_shards,
)
from waddington.optim._state import SKIPPED, RuleState

__all__ = ["RuleOptimizer", "are_finite", "is_phantom", "refuse_transforms"]

RATE_FACTOR = "rate_factor"
_ROUNDING = 1  # the stream of random numbers that stochastic rounding draws from


class RuleOptimizer(RuleState):
    """A torch optimizer that runs a rule; subclasses name the rule, perhaps a rate control, and their arguments.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    defaults
        Settings of a group that does not say otherwise. Besides the rule's own these are ``lr`` (a number or a 0-d
        tensor), ``weight_decay``, ``decoupled_weight_decay`` (True: ``θ -= rate λ θ``; False: ``g += λ θ``),
        ``maximize``, ``nonfinite``, ``stochastic_rounding`` and ``compile``.

        ``nonfinite`` says what a NaN or infinite gradient anywhere in the model does. ``"skip"``: the step is not
        taken: parameters, moments, step count and switch stay, on every rank, and ``diagnostics()["skipped_steps"]``
        counts it. ``"raise"``: DataError before anything has changed; costs one wait for the device per step.
        ``"propagate"``: no check, as torch; saves one pass over the gradients.

        ``stochastic_rounding`` rounds new values of bfloat16 parameters up or down at random so that their expectation
        is exact: without it updates below half a unit in the last place, 0.2 % of the parameter, are lost. The random
        numbers depend on coordinate and step alone: replicas agree, shards too, and a resumed run repeats them.

        ``compile`` is ``"auto"`` or False; both run eagerly in this version.

    Notes
    -----
    State is kept in float32 under parameters of lower precision. A step with rate 0 and all gradients 0 on an optimizer
    without state is not counted: it is how ``torch.distributed.checkpoint`` asks for the state before loading.
    """

    _finite: torch.Tensor | None = None
    """Whether the last step was taken, 0-d and on the device; None where nobody asked."""

    @_disable_dynamo  # traced, it would be compiled anew whenever gradients are; inside torch.compile it is eager
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
        refuse_transforms(self)
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        without_state = not self.state
        slots = list(self._slots())
        if not slots:
            return loss
        model_state = self._model_state()
        if without_state and all(is_phantom(slot) for slot in slots):
            return loss
        finite, norm = self._inspect(slots)
        self._advance(slots, finite)
        self._measure(slots, norm, finite)
        self._settle(slots, finite)
        self._decide(slots, model_state, finite)
        self._update(slots, model_state, finite)
        self._finite = finite
        return loss

    def _slots(self) -> Iterator[Slot]:
        place = -1
        for group_index, group in enumerate(self.param_groups):
            for param in group["params"]:
                place += 1
                if param.grad is None:
                    continue
                value = local_real(param)
                coupled = 0.0 if group["decoupled_weight_decay"] else group["weight_decay"]
                grad = minimized_gradient(param, value, maximize=group["maximize"], coupled_decay=coupled)
                state = self._state_of(param, group)
                buffers = {name: local_real(state[name]) for name in self._rule.buffers(group)}
                size = real_size(param)
                yield Slot(param, group, group_index, place, state["step"], buffers, value, grad, size)

    def _inspect(self, slots: list[Slot]) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Tell, as 0-d tensors, whether all gradients are finite and how long they are; None where nobody asks."""
        policy = self.param_groups[0]["nonfinite"]
        prepares = self._rule.prepare is not None
        if policy == "propagate" and not prepares:
            return None, None
        norms = stack([[norm] for norm in torch._foreach_norm([slot.grad for slot in slots])])
        finite = None if policy == "propagate" else are_finite(norms, slots, raises=policy == "raise")
        return finite, sum_over_shards(norms.square(), slots).sum().sqrt() if prepares else None

    def _advance(self, slots: list[Slot], finite: torch.Tensor | None) -> None:
        """Count the step, and compute what depends on no coordinate: once for all tensors of a group."""
        for members in _alike(slots):
            group, device = members[0].group, members[0].value.device
            dtype = statistics_dtype(device)
            steps = [slot.step for slot in members]
            if finite is None:
                torch._foreach_add_(steps, 1)
            else:
                taken = finite.to(device=device, dtype=torch.float32)
                torch._foreach_add_(steps, [taken] * len(steps))
            scalars = {
                name: torch.stack([self.state[slot.param][name] for slot in members])
                for name in self._rule.scalars(group)
            }
            counts = torch.stack(steps).to(dtype)
            found = self._rule.coefficients(counts, scalars, group)
            if self._rule.rate_factor is not None:
                found[RATE_FACTOR] = self._rule.rate_factor(counts, group)
            self._remember(members, found, finite)
            hand_out(members, found, lambda slot: slot.coefficients)

    def _remember(self, slots: list[Slot], found: Tensors, finite: torch.Tensor | None) -> None:
        """Write the new values of the numbers that the rule keeps for each tensor."""
        for name in self._rule.scalars(slots[0].group):
            if name in found:
                for slot, new in zip(slots, found[name].unbind(), strict=True):
                    _write(self.state[slot.param][name], new, finite)

    def _measure(self, slots: list[Slot], norm: torch.Tensor | None, finite: torch.Tensor | None) -> None:
        rule = self._rule
        for slot in slots:
            if rule.prepare is not None and norm is not None:
                length = norm.to(device=slot.value.device, dtype=slot.grad.dtype)
                slot.grad = rule.prepare(slot.grad, slot.buffers, length, slot.step, slot.group)
            slot.measured = rule.measure(slot.grad, slot.value, slot.buffers, slot.coefficients, slot.group)
            for name, new in slot.measured.buffers.items():
                _write(slot.buffers[name], new, finite)
            # Written, they need not be held until all tensors have been through.
            slot.measured = slot.measured._replace(buffers={})

    def _settle(self, slots: list[Slot], finite: torch.Tensor | None) -> None:
        """Reduce the partial sums of the first phase, and draw the conclusions from them."""
        if self._rule.settle is None:
            return
        totals = reduce_partials(slots, lambda slot: slot.measured.partials)
        order = {slot.index: row for row, slot in enumerate(slots)}
        for members in _alike(slots):
            device = members[0].value.device
            dtype = statistics_dtype(device)
            rows = [order[slot.index] for slot in members]
            own = totals if len(members) == len(slots) else {name: column[rows] for name, column in totals.items()}
            own = {name: column.to(device=device, dtype=dtype) for name, column in own.items()}
            size = torch.tensor([float(slot.size) for slot in members], dtype=dtype).to(device, non_blocking=True)
            names = members[0].coefficients
            known = {name: torch.stack([slot.coefficients[name] for slot in members]) for name in names}
            found = self._rule.settle(own, size, known, members[0].group)
            self._remember(members, found, finite)
            hand_out(members, found, lambda slot: slot.coefficients)

    def _decide(self, slots: list[Slot], model_state: Tensors, finite: torch.Tensor | None) -> None:
        if finite is not None:
            model_state[SKIPPED].add_(finite.logical_not().to(model_state[SKIPPED].device))
        if self._control is not None:
            run_control(self._control, slots, model_state, self.param_groups[0], finite)

    def _update(self, slots: list[Slot], model_state: Tensors, finite: torch.Tensor | None) -> None:
        rates: dict[Kind, torch.Tensor] = {}
        sums: list[Tensors] = []
        for slot in slots:
            group = slot.group
            if slot.kind not in rates:
                rate = group["lr"] if self._control is None else self._control.rate(model_state, group)
                rates[slot.kind] = _scalar(rate, like=slot.grad)
            rate = rates[slot.kind]
            if RATE_FACTOR in slot.coefficients:
                rate = rate * slot.coefficients[RATE_FACTOR]
            direction = self._rule.update(slot.grad, slot.measured, slot.buffers, slot.coefficients, group)
            value = slot.value.to(slot.grad.dtype)
            observed = self._observe(slot, direction) if self._recording_on else {}
            if group["weight_decay"] and group["decoupled_weight_decay"]:
                if group.get("decoupled") == "literal":
                    new = torch.addcmul(value, direction, rate, value=-1.0).sub_(value, alpha=group["weight_decay"])
                else:
                    direction = direction.add(value, alpha=group["weight_decay"])
                    new = torch.addcmul(value, direction, rate, value=-1.0)
            else:
                new = torch.addcmul(value, direction, rate, value=-1.0)
            if self._recording_on:
                sums.append(common_sums(value - new, slot.grad, value) | observed)
            if group["stochastic_rounding"] and slot.value.dtype == torch.bfloat16:
                salt = make_salt(slot.step, slot.index, _ROUNDING)
                new = round_stochastically(new, uniform(slot.param, salt, torch.float32))
            _write(slot.value, new, finite)
        if self._recording_on:
            self._keep(slots, sums, self._reported(slots), finite, self._rule.ratios)

    def _observe(self, slot: Slot, direction: torch.Tensor) -> Tensors:
        if self._rule.observe is None:
            return {}
        return self._rule.observe(direction, slot.measured, slot.buffers, slot.coefficients, slot.group)

    def _reported(self, slots: list[Slot]) -> list[Tensors]:
        names = self._rule.reported
        return [{name: slot.coefficients[name] for name in names if name in slot.coefficients} for slot in slots]


def refuse_transforms(optimizer: torch.optim.Optimizer) -> None:
    """Refuse a step inside ``torch.func``'s transforms.

    Raises
    ------
    UnsupportedError
        Inside ``grad``, ``vmap``, ``jvp`` or another of them.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedError(
            f"cannot take a step of {type(optimizer).__name__} inside a torch.func transform: a step changes parameters"
            " and state in place, and a transform would lose or mix those changes; compute gradients inside, store them"
            " in .grad, and call step() outside"
        )


def are_finite(norms: torch.Tensor, slots: Sequence[Slot], *, raises: bool) -> torch.Tensor:
    """Tell, as a 0-d tensor, whether every gradient of the model is finite.

    Parameters
    ----------
    norms
        Norm of each local gradient, shape (tensors, 1). A norm is finite only where every square is, and it is squares
        that second moments keep.
    slots
        Where they come from.
    raises
        Read the answer and raise if it is no.

    Raises
    ------
    DataError
        With the shapes of the parameters.
    """
    broken = sum_over_shards(norms.isfinite().logical_not().to(norms.dtype), slots)
    finite = broken.sum() == 0
    if raises and not bool(finite):
        found = [str(tuple(slot.param.shape)) for slot, bad in zip(slots, broken.tolist(), strict=True) if bad[0]]
        raise DataError(
            f"cannot step: found NaN or infinity in the gradients of parameters of shape {', '.join(found)};"
            " accepted are finite gradients (nonfinite='skip' leaves such steps out)"
        )
    return finite


def is_phantom(slot: Slot) -> bool:
    """Tell whether a slot's step can change nothing: rate 0 and gradient 0.

    Only ever asked of an optimizer without state, so its wait for the device happens once in a life, if at all.
    """
    assert slot.param.grad is not None
    return float(slot.group["lr"]) == 0.0 and not bool(slot.param.grad.any())


def _alike(slots: list[Slot]) -> list[list[Slot]]:
    alike: dict[Kind, list[Slot]] = {}
    for slot in slots:
        alike.setdefault(slot.kind, []).append(slot)
    return list(alike.values())


def _scalar(value: float | torch.Tensor, *, like: torch.Tensor) -> torch.Tensor:
    # A number is filled in on the device; copying it there would make the host wait.
    if isinstance(value, torch.Tensor):
        return value.to(device=like.device, dtype=like.dtype)
    return torch.full((), value, device=like.device, dtype=like.dtype)


def _write(target: torch.Tensor, new: torch.Tensor, finite: torch.Tensor | None) -> None:
    """Write new values in place, unless the step is being skipped."""
    if finite is None:
        target.copy_(new)
    elif new.dtype == target.dtype:
        torch.where(finite.to(target.device), new, target, out=target)
    else:
        target.copy_(torch.where(finite.to(target.device), new, target))
