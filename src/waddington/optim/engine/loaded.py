"""What a loaded entry of a state may hold: no step count of -5, no moment of NaN, no square below zero.

A kernel computes with whatever it is given, and a spoilt model does not say when it was spoilt. So each entry is looked
at once, when it is loaded: one pass over its values, and one wait for its device.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from waddington.optim.engine.params import local_real
from waddington.optim.kernels.memory import has_memory

__all__ = ["why_not_loaded"]

_NEVER_NEGATIVE = ("_sq", "_var")
"""How names of averages of squares end: torch's own, and by :class:`~waddington.optim.rule.Rule` every rule's."""


def why_not_loaded(name: str, value: Any) -> str:
    """Say why an entry that an optimizer computes with cannot be loaded, or "" if it can.

    Parameters
    ----------
    name
        Of the entry; ``step`` is a count, and what ends in ``_sq`` or ``_var`` is never negative.
    value
        A tensor; a count may be a number, as older states have it.
    """
    if name == "step":
        return _why_no_count(value)
    if not isinstance(value, torch.Tensor):
        return ""  # what is no tensor is refused where the entry's form is held against its parameter
    local = local_real(value.detach())
    if local.is_meta or local.layout is not torch.strided or not local.numel() or not local.is_floating_point():
        return ""
    if not has_memory(local):
        return "" if local._is_zerotensor() else f"{name}: its storage was freed; accepted are tensors with memory"
    low, high = torch.stack(torch.aminmax(local if local.element_size() > 1 else local.float())).tolist()
    broken = next((end for end in (low, high) if not math.isfinite(end)), None)
    if broken is not None:
        return f"{name}, which holds {broken}: accepted are finite numbers"
    if low < 0.0 and name.endswith(_NEVER_NEGATIVE):
        return f"{name}, which holds {low:g}: it is an average of squares; accepted are numbers from 0"
    return ""


def _why_no_count(value: Any) -> str:
    found = value
    if isinstance(value, torch.Tensor):
        if value.is_meta:
            return ""
        local = local_real(value.detach())
        if local.dim() or value.is_complex() or not has_memory(local):
            return f"step of shape {tuple(value.shape)} and {value.dtype}: accepted is one whole number from 0"
        found = local.item()
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if is_number and math.isfinite(found) and found >= 0 and found == int(found):
        return ""
    return f"step={found!r}: accepted is one whole number from 0"
