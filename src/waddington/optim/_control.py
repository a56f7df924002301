"""How a rate control is run over the slots of a step, for the engine and for wrappers alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch

from waddington.optim._rule import RateControl, Settings, Stage, Tensors
from waddington.optim._slots import Slot, hand_out, stack, sum_over_shards

__all__ = ["reduce_partials", "run_control"]


def reduce_partials(slots: Sequence[Slot], partials_of: Callable[[Slot], Tensors]) -> Tensors:
    """Add one stage of partial sums over shards; each of the results has one entry per slot."""
    rows = [partials_of(slot) for slot in slots]
    table = sum_over_shards(stack([list(row.values()) for row in rows]), slots)
    return dict(zip(rows[0], table.unbind(1), strict=True))


def run_control(
    control: RateControl, slots: Sequence[Slot], state: Tensors, settings: Settings, finite: torch.Tensor | None
) -> None:
    """Take the control's statistics, have it decide, and write its new state in place.

    Parameters
    ----------
    control
        What sets the rate.
    slots
        All tensors that take part in the step, their moments already those of this step.
    state
        The control's entries, 0-d.
    settings
        Settings of the whole model.
    finite
        False (0-d) leaves the state as it is.
    """
    device, dtype = next(iter(state.values())).device, next(iter(state.values())).dtype
    totals: Tensors = {}
    for stage in control.stages(settings):
        hand_out(slots, totals, lambda slot: slot.totals)
        totals = totals | reduce_partials(slots, partial(_staged, stage))
    totals = {name: column.to(device=device, dtype=dtype) for name, column in totals.items()}
    new = control.decide(totals, sum(slot.size for slot in slots), state, settings)
    # Stacked, because there are a dozen of them and each costs a launch.
    targets = [state[name] for name in new]
    stacked = torch.stack(list(new.values()))
    if finite is not None:
        stacked = torch.where(finite.to(device), stacked, torch.stack(targets))
    torch._foreach_copy_(targets, list(stacked.unbind()))


def _staged(stage: Stage, slot: Slot) -> Tensors:
    return stage(slot.grad, slot.buffers, slot.size, slot.totals)
