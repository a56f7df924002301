"""What a step goes through: a large tensor, or several small ones laid end to end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch._utils import _flatten_dense_tensors

from waddington.optim._execution import Way, memory_order
from waddington.optim._host import reads_are_free
from waddington.optim._noise import Words, places_of, random_words
from waddington.optim._phases import DROPPED, Take, Want, look, take
from waddington.optim._rule import Measured, Tensors
from waddington.optim._slots import (
    gradient_of,
    is_sharded,
    largest_gradient,
    like_its_parameter,
    local_real,
    real_size,
    state_dtype,
)
from waddington.optim.moments import Number

if TYPE_CHECKING:
    from waddington.optim._layout import Family

__all__ = ["Bucket", "Member", "Single", "Unit", "can_be_compiled"]


class Member:
    """One parameter that takes part in a step.

    Attributes
    ----------
    param, group, group_index, state
        The parameter, its group, and its state, as the user holds them.
    index
        Its place among all parameters of the optimizer.
    value
        Its local real part.
    size
        Number of real coordinates of the whole parameter, over all its shards.
    is_plain
        Whether the parameter is neither complex nor a shard.
    """

    __slots__ = (
        "_sharded",
        "group",
        "group_index",
        "index",
        "is_plain",
        "param",
        "size",
        "state",
        "value",
    )

    def __init__(
        self, param: torch.Tensor, group: dict[str, Any], group_index: int, index: int, state: dict[str, Any]
    ) -> None:
        self.param, self.group, self.group_index, self.index, self.state = param, group, group_index, index, state
        self.value, self.size = local_real(param.detach()), real_size(param)
        self._sharded = is_sharded(param)
        self.is_plain = not self._sharded and not param.is_complex()

    def gradient(self) -> torch.Tensor:
        """Give the local real gradient."""
        grad = self.param.grad
        if self.is_plain and grad is not None and grad.layout is torch.strided:
            return grad
        return local_real(gradient_of(self.param))

    def leave(self, names: Sequence[str]) -> None:
        """Take entries that are part of something longer out of it, which would otherwise be kept for their sake."""
        for name in names:
            entry = self.state.get(name)
            if not self._sharded and entry is not None and entry.untyped_storage().nbytes() > entry.nbytes:
                self.state[name] = entry.clone()


class Unit(ABC):
    """Tensors that are stepped by one call.

    Attributes
    ----------
    rows, at
        Theirs in the columns of the family, and how they are picked there: a single tensor's entries are 0-d.
    compiled
        Whether a kernel does it.
    way
        Where it does, or does not, and why.
    """

    compiled: bool = False
    way: Way
    value: torch.Tensor
    buffers: Tensors
    grad: torch.Tensor
    measured: Measured | None = None
    _known_finite: bool | None = None

    def __init__(self, rows: slice, members: Sequence[Member]) -> None:
        self.rows, self.members = rows, list(members)
        self.at: int | slice = rows

    def join(self, family: Family) -> None:
        """Take the place in a family."""
        self.family = family
        self._sums = family.sums[self.rows]

    @abstractmethod
    def fetch(self) -> None:
        """Look up the gradients of this step."""

    def release(self) -> None:
        """Hold nothing of this step any more: gradients that a user sets to None are to be freed."""
        self.__dict__.pop("grad", None)
        self.measured = self._known_finite = None

    @abstractmethod
    def total(self, term: torch.Tensor) -> torch.Tensor:
        """Sum a term over each of the tensors."""

    @abstractmethod
    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """Bring one number per tensor to the coordinates."""

    @abstractmethod
    def numbers(self) -> Mapping[str, Number]:
        """Give the numbers of this step as the rule computes with them."""

    @abstractmethod
    def words(self, salts: torch.Tensor) -> Words:
        """Draw 64 random bits for each coordinate."""

    def look(self, want: Want) -> tuple[str, ...]:
        """Take sums, and change nothing."""
        plain = replace(want, masks=False) if want.masks and self.is_finite() else want
        sums, measured = look(self.family.work, plain, self.value, self.grad, self.buffers, self.numbers(), self.total)
        self._keep(measured)
        return self._note(sums if plain is want else self._none_dropped() | sums)

    def _keep(self, measured: Measured | None) -> None:  # noqa: B027  (what most units do)
        """Keep what the first phase gave, where that costs no memory to speak of."""

    def take(self, wanted: Take, salts: torch.Tensor | None) -> tuple[str, ...]:
        """Write new values."""
        plain = replace(wanted, masks=False) if wanted.masks and self.is_finite() else wanted
        sums = take(
            self.family.work,
            plain,
            self.value,
            self.grad,
            self.buffers,
            self.numbers(),
            self.total,
            self.spread,
            size=self.family.sizes_of(self),
            measured=self.measured,
            words=None if salts is None else self.words(salts),
        )
        self.measured = None
        return self._note(sums if plain is wanted else self._none_dropped() | sums)

    def is_finite(self) -> bool:
        """Tell whether all gradients are known to be finite, so that there is nothing to mask."""
        if self._known_finite is None:
            largest = largest_gradient(self.family.dtype)
            free = reads_are_free(self.grad.device)
            self._known_finite = free and torch.linalg.vector_norm(self.grad).item() < largest / 2  # as rounded
        return self._known_finite

    def _none_dropped(self) -> Tensors:
        return {DROPPED: torch.zeros_like(self.family.sizes_of(self))}

    def _note(self, sums: Tensors) -> tuple[str, ...]:
        if self.family.is_one_bucket:
            self.family.direct = sums
        elif sums:
            self._sums[..., : len(sums)].copy_(torch.stack(list(sums.values()), dim=-1))
        return tuple(sums)


class Single(Unit):
    """One tensor, seen as one dimension wherever its memory allows it."""

    def __init__(self, rows: slice, member: Member, names: Sequence[str], way: Way, whole: bool) -> None:
        super().__init__(rows, [member])
        self.member, self.at, self.way = member, rows.start, way
        self.compiled = can_be_compiled(member, way)
        order = None if whole else memory_order(member.value)
        self._order, self._is_flat = order or (), order is not None
        if not whole:
            for name in names:
                _align(member, name)
        self.is_plain = member.is_plain and order == ()
        self.value = self._flat(member.value)
        self.buffers = {name: self._flat(local_real(member.state[name])) for name in names}

    def _flat(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self._is_flat:
            return tensor
        return tensor.permute(self._order).reshape(-1) if self._order else tensor.reshape(-1)

    def join(self, family: Family) -> None:
        """Take the place in a family."""
        super().join(family)
        self._entries = family.table[self.rows.start].unbind()
        self._sums = family.sums[self.rows.start]

    def fetch(self) -> None:
        """Look up the gradient of this step."""
        grad = self.member.gradient()
        if grad.dtype != self.value.dtype:
            grad = grad.to(self.value.dtype if self.compiled else self.family.dtype)
        grad = self._flat(grad)
        if self.compiled:  # a kernel goes by memory alone
            grad = grad.resolve_neg().contiguous()
            grad = grad if type(grad) is torch.Tensor else torch.empty_like(self.value).copy_(grad)
        self.grad = grad

    def total(self, term: torch.Tensor) -> torch.Tensor:
        """Sum a term."""
        return term.sum(dtype=self.family.dtype)

    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """Leave a number as it is."""
        return found

    def numbers(self) -> Mapping[str, Number]:
        """Give the numbers of this step."""
        places, entries = self.family.places, self._entries
        return {
            name: entries[places[name]] if isinstance(value, torch.Tensor) else value
            for name, value in self.family.numbers.items()
        }

    def words(self, salts: torch.Tensor) -> Words:
        """Draw 64 random bits for each coordinate."""
        return random_words(self._flat(places_of(self.member.param)), salts[self.rows.start])


def can_be_compiled(member: Member, way: Way) -> bool:
    """Tell whether a kernel is to step a tensor: it may be empty, for which none is made."""
    return way.how == "compiled" and member.value.numel() > 0


def _align(member: Member, name: str) -> None:
    """Lay a buffer out as the parameter is and in its own dtype, which a loaded one need not be."""
    value, buffer, dtype = member.value, local_real(member.state[name]), state_dtype(member.param, member.group)
    if buffer.stride() == value.stride() and buffer.dtype == dtype:
        return
    aligned = torch.empty_like(value, dtype=dtype).copy_(buffer)
    member.state[name] = like_its_parameter(aligned, member.param)


class Bucket(Unit):
    """Small tensors end to end: their buffers are views of one long buffer, parameters and gradients are copied."""

    def __init__(self, rows: slice, members: Sequence[Member], names: Sequence[str], way: Way) -> None:
        super().__init__(rows, members)
        self.way = way
        values = [member.value for member in members]
        lengths = [value.numel() for value in values]
        self._alone = len(values) == 1
        self._starts, self._lengths = np.cumsum([0, *lengths[:-1]]), np.array(lengths)
        self.value = torch.cat([value.reshape(-1) for value in values])
        self._values, self._parts = values, _shaped(self.value, values)
        self._flats = [value.view(-1) for value in values] if all(v.is_contiguous() for v in values) else None
        tensors = torch.arange(len(values), device=self.value.device)
        self._tensor = tensors.repeat_interleave(torch.tensor(lengths, device=self.value.device))
        self.buffers = {}
        for name in names:
            dtype = state_dtype(members[0].param, members[0].group)
            self.buffers[name] = torch.cat([local_real(m.state[name]).reshape(-1).to(dtype) for m in members])
            for member, part in zip(members, _shaped(self.buffers[name], values), strict=True):
                member.state[name] = like_its_parameter(part, member.param)

    def fetch(self) -> None:
        """Copy the gradients, and the parameters, which others may have changed."""
        gradients = [member.gradient() for member in self.members]
        self.grad = _flatten_dense_tensors(gradients)  # type: ignore[no-untyped-call]
        if self._flats is None:
            torch._foreach_copy_(self._parts, self._values)
        else:
            torch.cat(self._flats, out=self.value)

    def total(self, term: torch.Tensor) -> torch.Tensor:
        """Sum a term over each of the tensors."""
        term = term if term.dtype == self.family.dtype else term.to(self.family.dtype)
        if self._alone:
            return term.sum().view(1)
        if reads_are_free(term.device):
            return torch.from_numpy(np.add.reduceat(term.numpy(), self._starts))  # ten times as fast
        return term.new_zeros(len(self.members)).index_add_(0, self._tensor, term)

    def spread(self, found: torch.Tensor) -> torch.Tensor:
        """Repeat each tensor's number for all of its coordinates."""
        if self._alone:
            return found
        if reads_are_free(found.device):
            return torch.from_numpy(np.repeat(found.numpy(), self._lengths))  # faster
        return found.index_select(0, self._tensor)

    def numbers(self) -> Mapping[str, Number]:
        """Give the numbers of this step, one for each coordinate where the tensors' differ."""
        return _Spread(self)

    def words(self, salts: torch.Tensor) -> Words:
        """Draw 64 random bits for each coordinate."""
        return random_words(self._places, salts[self.rows][self._tensor])

    @cached_property
    def _places(self) -> torch.Tensor:
        return torch.cat([places_of(member.param).reshape(-1) for member in self.members])

    def _keep(self, measured: Measured | None) -> None:
        self.measured = measured

    def take(self, wanted: Take, salts: torch.Tensor | None) -> tuple[str, ...]:
        """Write new values."""
        names = super().take(wanted, salts)
        torch._foreach_copy_(self._values, self._parts)
        return names


def _shaped(flat: torch.Tensor, values: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    parts = torch.split(flat, [value.numel() for value in values])
    return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]


class _Spread(Mapping[str, Number]):
    """The numbers of a family as a bucket sees them, spread over its coordinates when they are asked for."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket, self._family = bucket, bucket.family
        self._found: dict[str, Number] = {}

    def __getitem__(self, name: str) -> Number:
        if name not in self._found:
            self._found[name] = self._spread(name, self._family.numbers[name])
        return self._found[name]

    def _spread(self, name: str, value: Number) -> Number:
        if not isinstance(value, torch.Tensor):
            return value
        column = self._family.column(name)[self._bucket.rows]
        return column[0] if value.dim() == 0 else self._bucket.spread(column)

    def __contains__(self, name: object) -> bool:
        return name in self._family.numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._family.numbers)

    def __len__(self) -> int:
        return len(self._family.numbers)
