"""What a step goes through: a large tensor, or several small ones laid end to end (:mod:`.buckets`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from waddington.optim.engine.columns import Columns
from waddington.optim.engine.dispatch import Execution, memory_order
from waddington.optim.engine.noise import Words, places_of, random_words
from waddington.optim.engine.params import (
    ParamSlot,
    is_sharded,
    largest_gradient,
    like_its_parameter,
    local_real,
    state_dtype,
)
from waddington.optim.engine.phases import DROPPED, BoundRule, StatsSpec, UpdateSpec, apply_update, collect_stats
from waddington.optim.kernels.memory import has_memory, is_plain
from waddington.optim.moments import Number
from waddington.optim.rule import Measured, Tensors

__all__ = ["SingleTensor", "Unit", "can_be_compiled", "may_leave"]


def may_leave(entry: torch.Tensor) -> bool:
    """Tell whether an entry of a state is part of something longer, which would be kept for its sake."""
    return not is_sharded(entry) and has_memory(entry) and entry.untyped_storage().nbytes() > entry.nbytes


class Unit(ABC):
    """Tensors that are stepped by one call.

    Attributes
    ----------
    slots, all_slots
        Those that take part in a step, and all.
    columns
        What is known of each tensor of their group.
    rows, at
        Theirs in the columns of a step, and how they are picked there: a single tensor's entries are 0-d.
    compiled
        Whether a kernel does it.
    execution
        How it is stepped, and why.
    is_begun
        Whether this step has written to it.
    placed
        Entries that it has put into states, and these, by the state's identity and the name.
    """

    compiled: bool = False
    is_begun: bool = False
    execution: Execution
    value: torch.Tensor
    buffers: Tensors
    grad: torch.Tensor
    measured: Measured | None = None
    _known_finite: bool | None = None

    columns: Columns
    rows: slice
    at: int | slice

    def __init__(self, slots: Sequence[ParamSlot]) -> None:
        self.slots, self.all_slots = list(slots), list(slots)
        self.placed: dict[tuple[int, str], tuple[dict[str, Any], torch.Tensor]] = {}

    @abstractmethod
    def fetch(self) -> None:
        """Look up the gradients of this step."""

    def release(self) -> None:
        """Hold nothing of this step any more: gradients that a user sets to None are to be freed."""
        self.__dict__.pop("grad", None)
        self.measured = self._known_finite = None
        self.is_begun = False

    def _begin(self) -> None:
        self.is_begun = True

    @abstractmethod
    def total(self, term: torch.Tensor) -> torch.Tensor:
        """Sum a term over each of the tensors."""

    @abstractmethod
    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """Bring one number per tensor to the coordinates."""

    @abstractmethod
    def scalars(self) -> Mapping[str, Number]:
        """Give the numbers of this step as the rule computes with them."""

    @abstractmethod
    def words(self, salts: torch.Tensor) -> Words:
        """Draw 64 random bits for each coordinate."""

    def collect_stats(self, bound: BoundRule, stats: StatsSpec) -> tuple[str, ...]:
        """Take sums, and change nothing."""
        plain = replace(stats, masks=False) if stats.masks and self.is_finite() else stats
        sums, measured = collect_stats(bound, plain, self.value, self.grad, self.buffers, self.scalars(), self.total)
        self._keep(measured)
        return self.columns.note(sums if plain is stats else self._none_dropped() | sums, self.at)

    def _keep(self, measured: Measured | None) -> None:  # noqa: B027  (what most units do)
        """Keep what the first phase gave, where that costs no memory to speak of."""

    def apply_update(self, bound: BoundRule, update: UpdateSpec, salts: torch.Tensor | None) -> tuple[str, ...]:
        """Write new values."""
        plain = replace(update, masks=False) if update.masks and self.is_finite() else update
        sums = apply_update(
            bound,
            plain,
            self.value,
            self.grad,
            self.buffers,
            self.scalars(),
            self.total,
            self.spread,
            size=self.columns.sizes_at(self.at),
            measured=self.measured,
            words=None if salts is None else self.words(salts),
            begin=self._begin,
        )
        self.measured = None
        return self.columns.note(sums if plain is update else self._none_dropped() | sums, self.at)

    def is_finite(self) -> bool:
        """Tell whether all gradients are known to be finite, so that there is nothing to mask."""
        if self._known_finite is None:
            largest = largest_gradient(self.columns.dtype)
            free = self.columns.is_on_host
            self._known_finite = free and torch.linalg.vector_norm(self.grad).item() < largest / 2  # as rounded
        return self._known_finite

    def _none_dropped(self) -> Tensors:
        return {DROPPED: torch.zeros_like(self.columns.sizes_at(self.at))}


class SingleTensor(Unit):
    """One tensor, seen as one dimension wherever its memory allows it."""

    def __init__(self, slot: ParamSlot, execution: Execution, names: Sequence[str], whole: bool) -> None:
        super().__init__([slot])
        self.slot, self.execution = slot, execution
        self.compiled = can_be_compiled(slot, execution)
        order = None if whole else memory_order(slot.value)
        self._order, self._is_flat = order or (), order is not None
        if not whole:
            for name in names:
                _align(slot, name)
        self.value = self._flat(slot.value)
        self.buffers = {name: self._flat(local_real(slot.state[name])) for name in names}

    def _flat(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self._is_flat:
            return tensor
        return tensor.permute(self._order).reshape(-1) if self._order else tensor.reshape(-1)

    def reads(self, grad: torch.Tensor) -> bool:
        """Tell whether a gradient that fits lies in memory as a kernel reads it."""
        return (
            self.slot.is_plain
            and (type(grad), grad.dtype) == (torch.Tensor, self.value.dtype)
            and (grad.is_contiguous() if not self._order else grad.stride() == self.slot.value.stride())
            and not grad.is_neg()
            and not grad._is_zerotensor()
        )

    def fetch(self) -> None:
        """Look up the gradient of this step."""
        grad = self.slot.gradient()
        if grad.dtype != self.value.dtype:
            grad = grad.to(self.value.dtype if self.compiled else self.columns.dtype)
        grad = self._flat(grad)
        if self.compiled:  # a kernel goes by memory alone
            grad = grad.resolve_neg().contiguous()
            grad = grad if type(grad) is torch.Tensor else torch.empty_like(self.value).copy_(grad)
        self.grad = grad

    def total(self, term: torch.Tensor) -> torch.Tensor:
        """Sum a term."""
        return term.sum(dtype=self.columns.dtype)

    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """Leave a number as it is."""
        return found

    def scalars(self) -> Mapping[str, Number]:
        """Give the numbers of this step."""
        places, entries = self.columns.places, self.columns.scalars_at(self.rows.start)
        return {
            name: entries[places[name]] if isinstance(value, torch.Tensor) else value
            for name, value in self.columns.scalars.items()
        }

    def words(self, salts: torch.Tensor) -> Words:
        """Draw 64 random bits for each coordinate."""
        return random_words(self._flat(places_of(self.slot.param)), salts[self.rows.start])


def can_be_compiled(slot: ParamSlot, execution: Execution) -> bool:
    """Tell whether a kernel is to step a tensor: it may be empty, for which none is made."""
    return execution.path == "compiled" and slot.value.numel() > 0


def _align(slot: ParamSlot, name: str) -> None:
    """Lay a buffer out as the parameter is and in its own dtype, which a loaded one need not be."""
    value, buffer, dtype = slot.value, local_real(slot.state[name]), state_dtype(slot.param, slot.group)
    as_read = not is_plain(value) or (is_plain(buffer) and not buffer.is_neg())
    if as_read and buffer.stride() == value.stride() and buffer.dtype == dtype:
        return
    aligned = torch.empty_like(value, dtype=dtype).copy_(buffer)
    slot.state[name] = like_its_parameter(aligned, slot.param)
