"""How a rate control is run, for the engine and for wrappers alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from waddington.optim.arithmetic import DEVICE, HOST
from waddington.optim.engine.host import host_sync_is_free
from waddington.optim.engine.params import ParamSlot, scatter_scalars, stack, statistics_dtype, sum_over_shards
from waddington.optim.moments import Number, Numbers
from waddington.optim.rule import RateControl, Settings, Stage, Tensors

__all__ = ["decide", "read", "run_control_on_slots", "sum_terms"]


def sum_terms(slots: Sequence[ParamSlot], terms_of: Callable[[ParamSlot], Tensors]) -> Tensors:
    """Sum terms over each slot's tensor, all its shards included; each of the results has one entry per slot."""
    rows = [terms_of(slot) for slot in slots]
    table = sum_over_shards(stack([[term.sum() for term in row.values()] for row in rows]), slots)
    return dict(zip(rows[0], table.unbind(1), strict=True))


def decide(
    control: RateControl,
    totals: Tensors,
    sizes: torch.Tensor,
    state: Tensors,
    settings: Settings,
    finite: torch.Tensor | None,
    row: torch.Tensor | None = None,
    known: Numbers | None = None,
) -> Numbers:
    """Have the control decide, write its new state in place, and give it.

    Parameters
    ----------
    control
        What sets the rate.
    totals, sizes
        Its statistics and the numbers of coordinates, one entry per tensor.
    state
        The control's entries, 0-d.
    settings
        Settings of the whole model.
    finite
        False (0-d) leaves the state as it is; so do statistics that are not finite.
    row
        The entries in one piece, of which those in `state` are views, if they are.
    known
        Their values, if they have been read at this step.
    """
    names, entries = list(state), list(state.values())
    device, dtype = entries[0].device, entries[0].dtype
    summary = control.summarize(totals, sizes, settings).to(device=device, dtype=dtype)
    if host_sync_is_free(device):
        scalars: dict[str, Number] = dict(known or read(state, row))
        number = summary.item()
        if math.isfinite(number) and (finite is None or bool(finite)):
            scalars |= control.decide(number, scalars, settings, HOST)
            written = [float(scalars[name]) for name in names]
            _write(entries, torch.tensor(written, dtype=dtype, device=device), row)
        return scalars
    found = control.decide(summary, dict(state), settings, DEVICE)
    # Stacked, because there are a dozen of them and each costs a launch.
    values = [torch.as_tensor(found.get(name, state[name]), dtype=dtype, device=device) for name in names]
    goes = summary.isfinite() if finite is None else finite.to(device) & summary.isfinite()
    new = torch.where(goes, torch.stack(values), torch.stack(entries) if row is None else row)
    _write(entries, new, row)
    return dict(state)


def _write(entries: Sequence[torch.Tensor], values: torch.Tensor, row: torch.Tensor | None) -> None:
    if row is None:
        torch._foreach_copy_(list(entries), list(values.unbind()))
    else:
        row.copy_(values)


def read(state: Tensors, row: torch.Tensor | None = None) -> dict[str, float]:
    """Read a control's entries on the host."""
    values = torch.stack(list(state.values())) if row is None else row
    return dict(zip(state, values.tolist(), strict=True))


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
    decide(control, totals, sizes, state, settings, finite)


def _terms_of(stage: Stage) -> Callable[[ParamSlot], Tensors]:
    return lambda slot: stage.terms(slot.grad, slot.buffers, slot.totals)
