"""The tensors of a tensor group that take part in a step: made for a set of them, and kept for when it comes again."""

from __future__ import annotations

from typing import NamedTuple

import torch

from waddington.optim.engine.buckets import FlatBucket
from waddington.optim.engine.gradients import Looked
from waddington.optim.engine.guards import Found
from waddington.optim.engine.launch import Call
from waddington.optim.engine.params import ParamSlot
from waddington.optim.engine.units import Unit

__all__ = ["Selection"]


class Selection(NamedTuple):
    """Some tensors of a tensor group, and what is known of steps of these alone."""

    rows: torch.Tensor | None
    """Theirs among all; None where these are all."""
    slots: list[ParamSlot]
    sizes: torch.Tensor
    units: list[Unit]
    buckets: list[tuple[FlatBucket, int, list[int]]]
    """Those of the units, where they begin among the rows of a step, and which of their tensors take part."""
    found: Found
    looked: Looked
    call: Call | None
    """What a kernel is called with, where one steps the tensor group."""
