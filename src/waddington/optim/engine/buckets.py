"""Small tensors laid end to end, whose cost is that of calls and not of bytes, and stepped as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
import torch
from torch._utils import _flatten_dense_tensors

from waddington.optim.engine.dispatch import Execution
from waddington.optim.engine.noise import Words, places_of, random_words
from waddington.optim.engine.params import ParamSlot, like_its_parameter, local_real, state_dtype
from waddington.optim.engine.phases import BoundRule, UpdateSpec
from waddington.optim.engine.units import Unit
from waddington.optim.moments import Number
from waddington.optim.rule import Measured, Tensors

__all__ = ["FlatBucket"]


class FlatBucket(Unit):
    """Small tensors end to end: their buffers are views of one long buffer, parameters and gradients are copied."""

    def __init__(self, slots: Sequence[ParamSlot], names: Sequence[str], reason: str) -> None:
        super().__init__(slots)
        values = [slot.value for slot in slots]
        self.execution = Execution("together", reason, len(values), sum(map(torch.Tensor.numel, values)))
        dtype = state_dtype(slots[0].param, slots[0].group)
        self.whole: Tensors = {}
        self._entries: dict[str, list[torch.Tensor]] = {}
        for name in names:
            self.whole[name] = torch.cat([local_real(m.state[name]).reshape(-1).to(dtype) for m in slots])
            self._entries[name] = _shaped(self.whole[name], values)
            for slot, part in zip(slots, self._entries[name], strict=True):
                slot.state[name] = like_its_parameter(part, slot.param)
                self.placed[id(slot.state), name] = slot.state, slot.state[name]

    def select(self, start: int, which: Sequence[int]) -> None:
        """Have some tensors take part; where they are not all, their buffers are copied out, and back again.

        Parameters
        ----------
        start
            The first row that is theirs in the columns of the steps to come.
        which
            Their places among the bucket's.
        """
        self.slots = [self.all_slots[place] for place in which]
        self.rows = self.at = slice(start, start + len(which))
        values = [slot.value for slot in self.slots]
        self._alone = len(values) == 1
        lengths = [value.numel() for value in values]
        self._starts, self._lengths = np.cumsum([0, *lengths[:-1]]), np.array(lengths)
        self.value = values[0].new_empty(sum(lengths))
        self._values, self._parts = values, _shaped(self.value, values)
        self._flats = [value.view(-1) for value in values] if all(v.is_contiguous() for v in values) else None
        self._chosen: dict[str, list[torch.Tensor]] = {}
        self.buffers = self.whole
        if len(which) < len(self.all_slots):
            self._chosen = {name: [parts[place] for place in which] for name, parts in self._entries.items()}
            self.buffers = {name: self.value.new_empty(0) for name in self.whole}
        self.__dict__.pop("_tensor", None)
        self.__dict__.pop("_places", None)

    @cached_property
    def _tensor(self) -> torch.Tensor:
        """The tensor that each coordinate is of."""
        each = torch.from_numpy(self._lengths).to(self.value.device)
        tensors = torch.arange(len(self.slots), device=self.value.device)
        return tensors.repeat_interleave(each, output_size=len(self.value))

    def fetch(self) -> None:
        """Copy the gradients, and the parameters, which others may have changed."""
        gradients = [slot.gradient() for slot in self.slots]
        self.grad = _flatten_dense_tensors(gradients)  # type: ignore[no-untyped-call]
        if self._flats is None:
            torch._foreach_copy_(self._parts, self._values)
        else:
            torch.cat(self._flats, out=self.value)
        for name, parts in self._chosen.items():
            self.buffers[name] = _flatten_dense_tensors(parts)  # type: ignore[no-untyped-call]

    def total(self, term: torch.Tensor) -> torch.Tensor:
        """Sum a term over each of the tensors."""
        term = term if term.dtype == self.columns.dtype else term.to(self.columns.dtype)
        if self._alone:
            return term.sum().view(1)
        if self.columns.is_on_host:
            return torch.from_numpy(np.add.reduceat(term.numpy(), self._starts))  # ten times as fast
        return term.new_zeros(len(self.slots)).index_add_(0, self._tensor, term)

    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """Repeat each tensor's number for all of its coordinates."""
        if self._alone:
            return found
        if self.columns.is_on_host:
            return torch.from_numpy(np.repeat(found.numpy(), self._lengths))  # faster
        return found.index_select(0, self._tensor)

    def scalars(self) -> Mapping[str, Number]:
        """Give the numbers of this step, one for each coordinate where the tensors' differ."""
        return _Spread(self)

    def words(self, salts: torch.Tensor) -> Words:
        """Draw 64 random bits for each coordinate."""
        return random_words(self._places, salts[self.rows][self._tensor])

    @cached_property
    def _places(self) -> torch.Tensor:
        return torch.cat([places_of(slot.param).reshape(-1) for slot in self.slots])

    def _keep(self, measured: Measured | None) -> None:
        self.measured = measured

    def apply_update(self, bound: BoundRule, update: UpdateSpec, salts: torch.Tensor | None) -> tuple[str, ...]:
        """Write new values."""
        names = super().apply_update(bound, update, salts)
        torch._foreach_copy_(self._values, self._parts)
        for name, parts in self._chosen.items():
            torch._foreach_copy_(parts, _shaped(self.buffers[name], parts))
        return names


def _shaped(flat: torch.Tensor, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    parts = torch.split(flat, [value.numel() for value in values])
    return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]


class _Spread(Mapping[str, Number]):
    """The numbers of a tensor group as a flat bucket sees them, spread over its coordinates when they are asked for."""

    def __init__(self, bucket: FlatBucket) -> None:
        self._bucket, self._columns = bucket, bucket.columns
        self._found: dict[str, Number] = {}

    def __getitem__(self, name: str) -> Number:
        if name not in self._found:
            self._found[name] = self._spread(name, self._columns.scalars[name])
        return self._found[name]

    def _spread(self, name: str, value: Number) -> Number:
        if not isinstance(value, torch.Tensor):
            return value
        column = self._columns.column(name)[self._bucket.rows]
        return column[0] if value.dim() == 0 else self._bucket.spread(column)

    def __contains__(self, name: object) -> bool:
        return name in self._columns.scalars

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns.scalars)

    def __len__(self) -> int:
        return len(self._columns.scalars)
