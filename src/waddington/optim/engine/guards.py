"""Whether tensors, states and gradients are what a step takes them to be: asked before every step, of all at once.

A layout is used as long as it holds. Between steps a user may move a model, load a state, replace an entry, write to
``.data``, resize a tensor or free its storage: all of it changes an address, a form, the length of a storage, or which
object an entry is, so these are what is compared (:class:`LayoutGuard`).

Gradients are others at every step. They are looked up, checked, and kept apart from what is written
(:class:`GradientGuard`).
"""

from __future__ import annotations

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch

from waddington.optim.engine.fit import check_gradient
from waddington.optim.engine.params import ParamSlot, is_sharded, local_real
from waddington.optim.engine.units import SingleTensor
from waddington.optim.kernels.memory import Forms, has_memory, is_plain, span

__all__ = ["Found", "GradientGuard", "LayoutGuard", "Looked", "WrittenMemory"]


@dataclass
class Found:
    """What was found of some rows; a row is a parameter, and then the entries of its state."""

    states: list[dict[str, Any]]
    rows: list[tuple[torch.Tensor, ...]]
    entries: list[torch.Tensor]
    tensors: list[torch.Tensor]
    addresses: list[int]
    storages: list[torch.UntypedStorage]
    lengths: list[int]
    formed: list[torch.Tensor]
    forms: Forms | None
    forms_of_rows: list[tuple[Forms, tuple[torch.Tensor, ...]]]
    is_known: bool = False

    def have_forms(self) -> bool:
        """Tell whether forms are as they were; of a set of rows that comes again, in one look."""
        if self.forms is not None:
            return self.forms.are(*self.formed)
        same = all(forms.are(*tensors) for forms, tensors in self.forms_of_rows)
        if same and self.is_known:
            self.forms = Forms(self.formed)
        self.is_known = True
        return same


class LayoutGuard:
    """How tensors and the entries of their states were found.

    Parameters
    ----------
    params, states
        Parameters, and the state of each.
    names
        The entries of the states that belong to the layout, one or more.
    formed
        How many of these, the first ones, are read as they are; the others are entries of columns.
    """

    def __init__(
        self, params: Sequence[torch.Tensor], states: Sequence[dict[str, Any]], names: Sequence[str], formed: int
    ) -> None:
        pick = operator.itemgetter(*names)
        self._pick = pick if len(names) > 1 else lambda state: (pick(state),)  # of one name it gives no tuple
        self._is_sharded = any(map(is_sharded, params))
        self._rows = [(param, *entries) for param, entries in zip(params, map(self._pick, states), strict=True)]
        tensors = list(chain.from_iterable(self._rows))
        real = list(map(local_real, tensors)) if self._is_sharded else tensors
        self._states = list(states)
        self._addresses = _addresses(real)
        self._storages = list(map(torch.Tensor.untyped_storage, real))  # held, so that no other can come to lie there
        self._lengths = _lengths(self._storages)
        self._formed = [row[: 1 + formed] for row in self._rows]
        self._forms_of_rows: list[tuple[Forms, tuple[torch.Tensor, ...]]] = []
        self._all = self._now = self._found(range(len(self._rows)))
        once = {storage._cdata: storage for storage in self._storages}  # one may serve many
        self._all.storages = list(once.values())
        self._all.lengths = _lengths(self._all.storages)
        self._all.forms = Forms(self._all.formed)

    def _found(self, at: Sequence[int]) -> Found:
        rows, width = [self._rows[row] for row in at], len(self._rows[0])
        wide = [place for row in at for place in range(row * width, (row + 1) * width)]
        return Found(
            states=[self._states[row] for row in at],
            rows=rows,
            entries=[entry for row in rows for entry in row[1:]],
            tensors=list(chain.from_iterable(rows)),
            addresses=[self._addresses[place] for place in wide],
            storages=[self._storages[place] for place in wide],
            lengths=[self._lengths[place] for place in wide],
            formed=[tensor for row in at for tensor in self._formed[row]],
            forms=None,
            forms_of_rows=[self._forms_of_rows[row] for row in at] if self._forms_of_rows else [],
        )

    def of(self, at: tuple[int, ...]) -> Found | None:
        """Give what was found of these rows; None where a tensor, of these or not, has another form by now."""
        if len(at) == len(self._rows):
            return self._all
        if not self._forms_of_rows:  # made where they are first needed, of what is known to be as it was
            if not self._all.have_forms():
                return None
            self._forms_of_rows = [(Forms(tensors), tensors) for tensors in self._formed]
        return self._found(at)

    def select(self, found: Found) -> None:
        """Look at some rows from now on."""
        self._now = found

    def holds(self, state: Mapping[torch.Tensor, Any] | None = None) -> bool:
        """Tell whether parameters and entries are still those, and where they were.

        Parameters
        ----------
        state
            The optimizer's; None where it is known to hold the same states.
        """
        return self._has_entries() and (state is None or self._has_states(state)) and self._is_whole()

    def _has_entries(self) -> bool:
        """Tell whether the states hold the entries that were found."""
        try:
            return all(map(operator.is_, chain.from_iterable(map(self._pick, self._now.states)), self._now.entries))
        except KeyError:
            return False

    def _has_states(self, state: Mapping[torch.Tensor, Any]) -> bool:
        """Tell whether an optimizer's state holds the states that were found."""
        return all(state.get(row[0]) is held for row, held in zip(self._now.rows, self._now.states, strict=True))

    def _is_whole(self) -> bool:
        """Tell whether the tensors are where and what they were."""
        now = self._now
        real = list(map(local_real, now.tensors)) if self._is_sharded else now.tensors
        return now.have_forms() and _addresses(real) == now.addresses and _lengths(now.storages) == now.lengths


def _addresses(tensors: Sequence[torch.Tensor]) -> list[int]:
    return list(map(torch.Tensor.data_ptr, tensors))


def _lengths(storages: Sequence[torch.UntypedStorage]) -> list[int]:
    return list(map(torch.UntypedStorage.nbytes, storages))


class WrittenMemory:
    """The memory that a step writes to, by address: one piece of it may be named by several storages.

    ``torch.from_numpy(param.detach().numpy())`` shares the memory of a parameter, but not its storage.

    Parameters
    ----------
    storages
        Perhaps one several times.
    """

    def __init__(self, storages: Iterable[torch.UntypedStorage] = ()) -> None:
        self._edges: list[int] = []  # where a piece begins, where it ends, where the next one begins, …
        for begin, end in sorted((storage.data_ptr(), storage.data_ptr() + storage.nbytes()) for storage in storages):
            if self._edges and begin <= self._edges[-1]:
                self._edges[-1] = max(end, self._edges[-1])
            elif begin < end:
                self._edges += begin, end

    def meets(self, addresses: Sequence[int], lengths: Sequence[int]) -> list[bool]:
        """Tell, of each of some pieces of memory by address and number of bytes, whether some of it is written to."""
        edges = self._edges
        places = [bisect_right(edges, address) for address in addresses]
        return [
            place % 2 == 1 or bisect_left(edges, address + length, place) > place
            for place, address, length in zip(places, addresses, lengths, strict=True)
        ]


class Looked:
    """What is known of the gradients of some rows."""

    def __init__(self, at: tuple[int, ...], slots: list[ParamSlot]) -> None:
        self.at, self.slots = at, slots
        self.params = [slot.param for slot in slots]
        self.joint: Forms | None = None  # of all of them; made where they are looked up once more
        self.is_new = self.copies = True
        self.spans: list[int] = []
        self.addresses: list[int] = []
        self.are_plain = self.are_as_read = False


class GradientGuard:
    """The gradients of a tensor group.

    As a rule they are of the same forms at each step, and are then found to fit by one look; what has another form than
    it had before is checked.

    Parameters
    ----------
    slots
        The tensors, those of `compiled` first.
    compiled
        Tensors that are stepped by a kernel.

    Attributes
    ----------
    written
        The memory that the step writes to, of this group and the others.
    """

    def __init__(self, slots: Sequence[ParamSlot], compiled: Sequence[SingleTensor]) -> None:
        self._all, self._compiled = list(slots), list(compiled)
        self._forms: list[Forms | None] = [None] * len(slots)
        self._spans_of, self._is_as_read = [0] * len(slots), [False] * len(slots)
        self.written = WrittenMemory()

    def of(self, at: tuple[int, ...]) -> Looked:
        """Give what is known of the gradients of these rows: nothing yet."""
        return Looked(at, [self._all[row] for row in at])

    def select(self, looked: Looked) -> None:
        """Look up the gradients of some rows from now on."""
        self._now = looked

    def look_up(self) -> list[int] | None:
        """Look up the gradients of this step, and check that they fit.

        Returns
        -------
        list of int or None
            Their addresses, where those that a kernel is to read lie in memory as it reads them.

        Raises
        ------
        DataError
            One has another shape, device or kind of number than its parameter, or has no memory.
        UnsupportedError
            One is sparse.
        """
        now = self._now
        grads: list[torch.Tensor] = [param.grad for param in now.params]  # type: ignore[misc]
        if now.joint is None or not now.joint.are(*grads):
            self._check(now, grads)
        if not now.are_plain:
            return None
        addresses = list(map(torch.Tensor.data_ptr, grads))
        lengths = list(map(torch.UntypedStorage.nbytes, map(torch.Tensor.untyped_storage, grads)))
        if lengths != now.spans or any(map(torch.Tensor.storage_offset, grads)):  # parts of something longer
            for slot, grad in zip(now.slots, grads, strict=True):
                if not has_memory(grad):
                    check_gradient(slot.param, slot.group, slot.group_index)  # refuses it
        if now.copies or addresses != now.addresses:
            now.addresses = addresses
            copies = self.written.meets(addresses, now.spans)
            for slot, is_written in zip(now.slots, copies, strict=True):
                slot.copies = is_written  # all are read as they were before the step
            now.copies = any(copies)
        return addresses if now.are_as_read and not now.copies else None

    def _check(self, now: Looked, grads: Sequence[torch.Tensor]) -> None:
        """Check those that have another form than they had before."""
        now.joint, now.addresses = None, []
        rows = list(zip(now.at, now.slots, grads, strict=True))
        known = {row for row, _, grad in rows if self._has_its_form(row, grad)}
        for row, slot, grad in rows:
            if row not in known:
                self._check_one(row, slot, grad)
        now.are_plain = all(self._forms[row] is not None for row in now.at)
        if not now.are_plain:  # then no more is looked at than this
            for row, slot, grad in rows:
                if row in known:
                    self._check_one(row, slot, grad)
        now.spans = [self._spans_of[row] for row in now.at]
        now.are_as_read = all(self._is_as_read[row] for row in now.at if row < len(self._compiled))
        if now.are_plain and not now.is_new:
            now.joint = Forms(grads)
        now.is_new = False

    def _has_its_form(self, row: int, grad: torch.Tensor) -> bool:
        known = self._forms[row]
        return known is not None and known.are(grad)

    def _check_one(self, row: int, slot: ParamSlot, grad: torch.Tensor) -> None:
        self._forms[row] = None
        check_gradient(slot.param, slot.group, slot.group_index)
        is_there = is_plain(grad) and not grad._is_zerotensor()
        slot.copies = self.written.meets([grad.data_ptr()], [span(grad)])[0] if is_there else grad._is_zerotensor()
        if row < len(self._compiled):
            self._is_as_read[row] = self._compiled[row].reads(grad)
        if is_there and is_plain(slot.param):
            self._forms[row], self._spans_of[row] = Forms([grad]), span(grad)
