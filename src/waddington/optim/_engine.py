"""The engine: the only ``step()`` in the package. It runs rules; it holds no mathematics of its own but ``θ -= α d``.

A step goes through the parameters as slots (:mod:`waddington.optim._slots`):

1. *inspect*: are all gradients finite, over the whole model? (see `nonfinite`)
2. *measure*: each rule's first phase; new moments are written, partial statistics come out.
3. *reduce and decide*: the partial statistics of all tensors of all groups are stacked, added over shards in one
   collective, and the rate control, where there is one, chooses the rate.
4. *update*: each rule's second phase gives the direction; decay and step are applied.

No value of a tensor is read on the host (``nonfinite="raise"`` is the documented exception), so a step never waits for a
GPU. Everything lives in torch's own places: settings in ``param_groups``, buffers and 0-d steps in ``state`` under
torch's names, the control's 0-d entries in the state of the first trainable parameter. That is where ``torch.save``,
``deepcopy``, pickling and ``torch.distributed.checkpoint`` (also flattened and resharded) keep them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice, check_in_range
from waddington._errors import ArgumentError, DataError, UnsupportedError
from waddington.optim._loading import restored_state
from waddington.optim._rule import RateControl, Rule, Settings, Stage, Tensors
from waddington.optim._slots import Slot, compute_dtype, gradient_of, local_real, statistics_dtype, sum_over_shards

__all__ = ["RuleOptimizer", "check_common"]

_SKIPPED = "skipped_steps"


def check_common(group: Settings) -> None:
    """Check the settings that every optimizer of the package has.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    UnsupportedError
        ``compile=True``.
    """
    check_in_range("lr", float(group["lr"]), 0.0, open_high=True)
    check_in_range("eps", group["eps"], 0.0, open_high=True)
    check_in_range("weight_decay", group["weight_decay"], 0.0, open_high=True)
    for index, beta in enumerate(group["betas"]):
        check_in_range(f"betas[{index}]", beta, 0.0, 1.0, open_high=True)
    check_choice("nonfinite", group["nonfinite"], ("skip", "raise", "propagate"))
    check_choice("compile", group["compile"], ("auto", False, True))
    if group["compile"] is True:
        raise UnsupportedError("cannot compile the step: this version runs rules eagerly; accepted: 'auto', False")


class RuleOptimizer(torch.optim.Optimizer):
    """A torch optimizer that runs a rule; subclasses name the rule, perhaps a rate control, and their arguments.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    defaults
        Settings of a group that does not say otherwise. Besides the rule's own these are ``lr`` (a number or a 0-d
        tensor), ``weight_decay``, ``decoupled_weight_decay`` (True: ``θ -= rate λ θ``; False: ``g += λ θ``),
        ``maximize``, ``nonfinite`` and ``compile``.

        ``nonfinite`` says what a NaN or infinite gradient anywhere in the model does. ``"skip"``: the step is not taken:
        parameters, moments, step count and switch stay, on every rank, and ``diagnostics()["skipped_steps"]`` counts
        it. ``"raise"``: DataError before anything has changed; costs one wait for the device per step.
        ``"propagate"``: no check, as torch; saves one pass over the gradients.

        ``compile`` is ``"auto"`` or False; both run eagerly in this version.

    Notes
    -----
    State is kept in float32 under parameters of lower precision. A step with rate 0 and all gradients 0 on an optimizer
    without state is not counted: it is how ``torch.distributed.checkpoint`` asks for the state before loading.
    """

    _rule: ClassVar[Rule]
    _control: ClassVar[RateControl | None] = None
    _fixed: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        """Check the settings of one group; raise before anything is kept."""
        check_common(group)

    # -- groups and state ------------------------------------------------------------------------------------------

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it takes part in the whole-model statistics from its first gradient on.

        Raises
        ------
        ArgumentError
            A setting outside its range, or one that holds for the whole model and differs from the other groups'.
        """
        settings = {**self.defaults, **param_group, **self._fixed}
        self._check_group(settings)
        for name in self._control.settings if self._control is not None else ():
            if self.param_groups and settings[name] != self.param_groups[0][name]:
                raise ArgumentError(
                    f"cannot use {name}={settings[name]!r} in one group and {self.param_groups[0][name]!r} in another:"
                    " it holds for the whole model"
                )
        super().add_param_group({**param_group, **self._fixed})
        self._state_base_rate(self.param_groups[-1])

    @staticmethod
    def _state_base_rate(group: dict[str, Any]) -> None:
        # Schedulers and Stable-Baselines3 overwrite lr; a rate stated relative to it needs the value it was stated at.
        # torch's initial_lr will not do, for some schedulers change it.
        group.setdefault("base_lr", float(group["lr"]))

    def init_state(self) -> None:
        """Make the state of every trainable parameter now instead of at its first gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.requires_grad:
                    self._state_of(param, group)
        self._model_state()

    def _state_of(self, param: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = self.state[param]
        if "step" not in state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=param.device)
        for name in self._rule.buffers(group):
            if name not in state:
                state[name] = torch.zeros_like(
                    param, dtype=compute_dtype(param), memory_format=torch.preserve_format, requires_grad=False
                )
        return state

    def _model_entries(self) -> dict[str, float]:
        control = {} if self._control is None else self._control.initial(self.param_groups[0])
        return {_SKIPPED: 0.0, **control}

    def _model_state(self) -> Tensors:
        """Give the 0-d entries that belong to the whole model, made at their first use."""
        entries = self._model_entries()
        for state in self.state.values():
            if _SKIPPED in state:
                return {name: state[name] for name in entries}
        # The first trainable parameter is the same before and after a restart, whichever gradients came first, and
        # torch.distributed.checkpoint loads the state of trainable parameters only.
        carrier = next(param for group in self.param_groups for param in group["params"] if param.requires_grad)
        dtype = statistics_dtype(carrier.device)
        for name, value in entries.items():
            self.state[carrier][name] = torch.full((), value, dtype=dtype, device=carrier.device)
        return {name: self.state[carrier][name] for name in entries}

    # -- the step --------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # type: ignore[override]
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
        fresh = not self.state
        slots = list(self._slots())
        if not slots:
            return loss
        model_state = self._model_state()
        if fresh and all(_is_phantom(slot) for slot in slots):
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
                grad = local_real(gradient_of(param))
                value = local_real(param)
                state = self._state_of(param, group)
                grad = grad.to(torch.float64 if value.dtype == torch.float64 else torch.float32)
                if group["maximize"]:
                    grad = -grad
                if group["weight_decay"] and not group["decoupled_weight_decay"]:
                    grad = grad.add(value, alpha=group["weight_decay"])
                size = param.numel() * (2 if param.is_complex() else 1)
                yield Slot(param, group, index, state, value, grad, size)

    def _inspect(self, slots: list[Slot]) -> torch.Tensor | None:
        """Tell, as a 0-d tensor, whether every gradient of the model is finite; None where nobody asked."""
        policy = self.param_groups[0]["nonfinite"]
        if policy == "propagate":
            return None
        # A norm is finite only where every square is, and it is squares that the second moment keeps.
        norms = torch._foreach_norm([slot.grad for slot in slots])
        broken = _stack([[(~norm.isfinite()).float()] for norm in norms])
        finite = sum_over_shards(broken, slots).sum() == 0
        if policy == "raise" and not bool(finite):
            names = [
                f"{tuple(slot.param.shape)}" for slot, norm in zip(slots, norms, strict=True) if not norm.isfinite()
            ]
            raise DataError(
                f"cannot step: found NaN or infinity in the gradients of parameters of shape {', '.join(names)};"
                " accepted are finite gradients (nonfinite='skip' leaves such steps out)"
            )
        return finite

    def _advance(self, slots: list[Slot], finite: torch.Tensor | None) -> None:
        """Count the step, and compute what depends on it: once for all tensors of a group, not once for each."""
        alike: dict[tuple[int, torch.device, torch.dtype], list[Slot]] = {}
        for slot in slots:
            alike.setdefault((slot.group_index, slot.value.device, slot.dtype), []).append(slot)
        for (_, device, dtype), members in alike.items():
            steps = [slot.state["step"] for slot in members]
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
            buffers = slot.buffers(self._rule.buffers(slot.group))
            slot.measured = self._rule.measure(slot.grad, slot.value, buffers, slot.coefficients, slot.group)
            for name, new in slot.measured.buffers.items():
                _write(buffers[name], new, finite)
        if self._rule.partials:
            self._reduce(slots, lambda slot: slot.measured.partials)

    def _reduce(self, slots: list[Slot], partials_of: Callable[[Slot], Tensors]) -> Tensors:
        """Add one stage of partial sums over shards; give each slot its own and return them stacked."""
        rows = [partials_of(slot) for slot in slots]
        names = list(rows[0])
        table = sum_over_shards(_stack([[row[name] for name in names] for row in rows]), slots)
        columns = dict(zip(names, table.unbind(1), strict=True))
        for name, column in columns.items():
            for slot, value in zip(slots, column.unbind(), strict=True):
                slot.totals[name] = value.to(device=slot.value.device, dtype=slot.dtype)
        return columns

    def _decide(self, slots: list[Slot], model_state: Tensors, finite: torch.Tensor | None) -> None:
        if finite is not None:
            model_state[_SKIPPED].add_(finite.logical_not().to(model_state[_SKIPPED].device))
        if self._control is None:
            return
        settings = self.param_groups[0]
        totals: Tensors = {}

        def partials_of(slot: Slot, stage: Stage) -> Tensors:
            return stage(slot.buffers(self._rule.buffers(slot.group)), slot.coefficients, slot.size, slot.totals)

        for stage in self._control.stages(settings):
            totals.update(self._reduce(slots, lambda slot, stage=stage: partials_of(slot, stage)))
        device = model_state[_SKIPPED].device
        totals = {name: column.to(device=device, dtype=statistics_dtype(device)) for name, column in totals.items()}
        new = self._control.decide(totals, sum(slot.size for slot in slots), model_state, settings)
        for name, value in new.items():
            _write(model_state[name], value, finite)

    def _update(self, slots: list[Slot], model_state: Tensors, finite: torch.Tensor | None) -> None:
        rates: dict[int, Any] = {}
        for slot in slots:
            if slot.group_index not in rates:
                control = self._control
                rates[slot.group_index] = slot.group["lr"] if control is None else control.rate(model_state, slot.group)
            rate = rates[slot.group_index]
            if isinstance(rate, torch.Tensor):
                rate = rate.to(device=slot.value.device, dtype=slot.dtype)
            buffers = slot.buffers(self._rule.buffers(slot.group))
            direction = self._rule.update(slot.grad, slot.measured, buffers, slot.coefficients, slot.group, slot.totals)
            value = slot.value.to(slot.dtype)
            if slot.group["weight_decay"] and slot.group["decoupled_weight_decay"]:
                direction = direction.add(value, alpha=slot.group["weight_decay"])
            _write(slot.value, value - rate * direction, finite)

    # -- reading and loading ---------------------------------------------------------------------------------------

    def diagnostics(self) -> dict[str, float]:
        """Read what the optimizer is doing; the only call that waits for the device.

        Returns
        -------
        dict
            ``skipped_steps`` (steps left out for a non-finite gradient), ``base_rate`` (the rate of the last step; of
            the first group, where groups differ) and, under a rate control, its own figures.
        """
        values = {name: float(value) for name, value in self._model_state().items()}
        skipped = values.pop(_SKIPPED)
        control = {"base_rate": float(self.param_groups[0]["lr"])}
        if self._control is not None:
            control = self._control.describe(values)
        return {**control, _SKIPPED: skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, also one of torch's Adam or AdamW; settings that it lacks keep their present value.

        Unlike torch's own this keeps the state's precision where the parameters have less, puts the steps on the
        device of their parameters, and copies, so that the loaded state shares no memory with `state_dict`.

        Raises
        ------
        ValueError
            From torch: the groups or their sizes do not match.
        """
        present = [dict(group) for group in self.param_groups]
        captured: list[dict[str, Any]] = []
        # Registered last, it sees what the user's own hooks have made of the state.
        handle = self.register_load_state_dict_pre_hook(lambda _, loaded: captured.append(loaded))
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()
        for group, before in zip(self.param_groups, present, strict=True):
            for name, value in before.items():
                group.setdefault(name, value)
            group.update(self._fixed)
        self.state = restored_state(self, captured[-1])


def _is_phantom(slot: Slot) -> bool:
    # Only ever asked of an optimizer without state, so its wait for the device happens once in a life, if at all.
    return float(slot.group["lr"]) == 0.0 and not bool(slot.grad.any())


def _stack(rows: list[list[torch.Tensor]]) -> torch.Tensor:
    """Stack 0-d tensors of perhaps several devices and dtypes into a table."""
    cells = [cell for row in rows for cell in row]
    dtype = torch.float64 if any(cell.dtype == torch.float64 for cell in cells) else torch.float32
    table = torch.stack([cell.to(device=cells[0].device, dtype=dtype) for cell in cells])
    return table.view(len(rows), -1)


def _write(target: torch.Tensor, new: torch.Tensor, finite: torch.Tensor | None) -> None:
    """Write new values in place, unless the step is being skipped."""
    if finite is not None:
        new = torch.where(finite.to(target.device), new, target)
    target.copy_(new)
