"""What a step goes through: a large tensor, or several small ones laid end to end (:mod:`.buckets`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from waddington.optim.engine.dispatch import Way, memory_order
from waddington.optim.engine.fit import check_gradient, named
from waddington.optim.engine.host import reads_are_free
from waddington.optim.engine.noise import Words, places_of, random_words
from waddington.optim.engine.params import (
    gradient_of,
    is_sharded,
    largest_gradient,
    like_its_parameter,
    local_real,
    real_size,
    state_dtype,
)
from waddington.optim.engine.phases import DROPPED, Take, Want, look, take
from waddington.optim.kernels.memory import has_memory, is_plain
from waddington.optim.moments import Number
from waddington.optim.rule import Measured, Tensors

if TYPE_CHECKING:
    from waddington.optim.engine.groups import Family

__all__ = ["Member", "Single", "Unit", "can_be_compiled", "may_leave"]


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
    copies
        Whether this step's gradient is to be copied: it lies in memory that the step writes to, or in none.
    """

    __slots__ = (
        "_sharded",
        "copies",
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
        self._sharded, self.copies = is_sharded(param), False
        self.is_plain = not self._sharded and not param.is_complex()

    def gradient(self) -> torch.Tensor:
        """Give the local real gradient, with values in memory of its own."""
        grad = self.param.grad
        if self.is_plain and not self.copies and grad is not None and grad.layout is torch.strided:
            return grad
        grad = gradient_of(self.param)
        if self._sharded:
            return local_real(grad)
        if self.copies:
            grad = grad.clone()
        return local_real(grad.resolve_conj() if grad.is_complex() else grad)

    def check_gradient(self) -> None:
        """Check that the gradient fits (:func:`.fit.check_gradient`)."""
        gradient_of(self.param)
        check_gradient(self.param, self.group, self.group_index)

    @property
    def name(self) -> str:
        """The parameter's place in its group, and its name if it has one."""
        return named(self.param, self.group, self.group_index)


def may_leave(entry: torch.Tensor) -> bool:
    """Tell whether an entry of a state is part of something longer, which would be kept for its sake."""
    return not is_sharded(entry) and has_memory(entry) and entry.untyped_storage().nbytes() > entry.nbytes


class Unit(ABC):
    """Tensors that are stepped by one call.

    Attributes
    ----------
    members, all_members
        Those that take part in a step, and all.
    rows, at
        Theirs in the columns of a step, and how they are picked there: a single tensor's entries are 0-d.
    compiled
        Whether a kernel does it.
    way
        Where it does, or does not, and why.
    is_begun
        Whether this step has written to it.
    placed
        Entries that it has put into states, and these, by the state's identity and the name.
    """

    compiled: bool = False
    is_begun: bool = False
    way: Way
    value: torch.Tensor
    buffers: Tensors
    grad: torch.Tensor
    measured: Measured | None = None
    _known_finite: bool | None = None

    family: Family
    rows: slice
    at: int | slice

    def __init__(self, members: Sequence[Member]) -> None:
        self.members, self.all_members = list(members), list(members)
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
            begin=self._begin,
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
            self.family.sums[self.at, : len(sums)] = torch.stack(list(sums.values()), dim=-1)
        return tuple(sums)


class Single(Unit):
    """One tensor, seen as one dimension wherever its memory allows it."""

    def __init__(self, member: Member, names: Sequence[str], way: Way, whole: bool) -> None:
        super().__init__([member])
        self.member, self.way = member, way
        self.compiled = can_be_compiled(member, way)
        order = None if whole else memory_order(member.value)
        self._order, self._is_flat = order or (), order is not None
        if not whole:
            for name in names:
                _align(member, name)
        self.value = self._flat(member.value)
        self.buffers = {name: self._flat(local_real(member.state[name])) for name in names}

    def _flat(self, tensor: torch.Tensor) -> torch.Tensor:
        if not self._is_flat:
            return tensor
        return tensor.permute(self._order).reshape(-1) if self._order else tensor.reshape(-1)

    def reads(self, grad: torch.Tensor) -> bool:
        """Tell whether a gradient that fits lies in memory as a kernel reads it."""
        return (
            self.member.is_plain
            and (type(grad), grad.dtype) == (torch.Tensor, self.value.dtype)
            and (grad.is_contiguous() if not self._order else grad.stride() == self.member.value.stride())
            and not grad.is_neg()
            and not grad._is_zerotensor()
        )

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
        places, entries = self.family.places, self.family.numbers_at(self.rows.start)
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
    as_read = not is_plain(value) or (is_plain(buffer) and not buffer.is_neg())
    if as_read and buffer.stride() == value.stride() and buffer.dtype == dtype:
        return
    aligned = torch.empty_like(value, dtype=dtype).copy_(buffer)
    member.state[name] = like_its_parameter(aligned, member.param)
