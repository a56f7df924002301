"""The gradients of a step: looked up, checked, and kept apart from what is written."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from waddington.optim.engine.fit import check_gradient
from waddington.optim.engine.params import ParamSlot
from waddington.optim.engine.units import SingleTensor
from waddington.optim.kernels.memory import Forms, Memory, has_memory, is_plain, span

__all__ = ["Gradients", "Looked"]


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


class Gradients:
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
        self.written = Memory()

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
        if now.joint is None or not now.joint.are(grads):
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
            for slot, address, length in zip(now.slots, addresses, now.spans, strict=True):
                slot.copies = self.written.meets(address, length)  # all are read as they were before the step
            now.copies = any(slot.copies for slot in now.slots)
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
        return known is not None and known.are((grad,))

    def _check_one(self, row: int, slot: ParamSlot, grad: torch.Tensor) -> None:
        self._forms[row] = None
        check_gradient(slot.param, slot.group, slot.group_index)
        is_there = is_plain(grad) and not grad._is_zerotensor()
        slot.copies = self.written.meets(grad.data_ptr(), span(grad)) if is_there else grad._is_zerotensor()
        if row < len(self._compiled):
            self._is_as_read[row] = self._compiled[row].reads(grad)
        if is_there and is_plain(slot.param):
            self._forms[row], self._spans_of[row] = Forms([grad]), span(grad)
