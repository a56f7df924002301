"""How a rate control is run around another optimizer, on the slots of its parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, scatter_scalars, stack, statistics_dtype, sum_over_shards
from waddington.optim.engine.step import decide
from waddington.optim.rule import RateControl, Settings, Stage, Tensors

__all__ = ["run_control_on_slots", "sum_terms"]


def sum_terms(slots: Sequence[ParamSlot], terms_of: Callable[[ParamSlot], Tensors]) -> Tensors:
    """Sum terms over each slot's tensor, all its shards included; each of the results has one entry per slot."""
    rows = [terms_of(slot) for slot in slots]
    table = sum_over_shards(stack([[term.sum() for term in row.values()] for row in rows]), slots)
    return dict(zip(rows[0], table.unbind(1), strict=True))


def run_control_on_slots(
    control: RateControl, slots: Sequence[ParamSlot], state: Tensors, settings: Settings, finite: torch.Tensor | None
) -> None:
    """Take the control's statistics of slots, their moments already those of this step, and have it decide."""
    device = slots[0].value.device
    sizes = torch.tensor([float(slot.size) for slot in slots], dtype=statistics_dtype(device), device=device)
    totals: Tensors = {"size": sizes}
    for stage in control.stages(settings):
        scatter_scalars(slots, totals, lambda slot: slot.totals)
        totals |= sum_terms(slots, _terms_of(stage))
    entries = list(state.values())
    row, summary = torch.stack(entries), control.summarize(totals, sizes, settings)
    on_host = host_sync_is_free(row.device)
    _, new = decide(control, summary, list(state), row, settings, finite, on_host=on_host)
    torch._foreach_copy_(entries, list(new.unbind()))


def _terms_of(stage: Stage) -> Callable[[ParamSlot], Tensors]:
    return lambda slot: stage.terms(slot.grad, slot.buffers, slot.totals)
