"""The gradients of a step: looked up, checked, and kept apart from what is written."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from waddington.optim._forms import Forms, has_memory, is_plain, span
from waddington.optim._units import Member, Single

__all__ = ["Gradients"]


class Gradients:
    """The gradients of the tensors of a family.

    As a rule they are of the same forms at each step, and are then found to fit by one look; what has another form than
    it had before is checked.

    Parameters
    ----------
    members
        The tensors, those of `compiled` first.
    compiled
        Tensors that are stepped by a kernel.

    Attributes
    ----------
    written
        Addresses of the storages that the step writes to, this family's and the others'.
    """

    def __init__(self, members: Sequence[Member], compiled: Sequence[Single]) -> None:
        self._all, self._compiled = list(members), list(compiled)
        self._forms: list[Forms | None] = [None] * len(members)
        self._spans_of, self._is_as_read = [0] * len(members), [False] * len(members)
        self.written: frozenset[int] = frozenset()
        self.select(range(len(members)))

    def select(self, at: Sequence[int]) -> None:
        """Look up the gradients of these rows from now on."""
        self._at, self._members = at, [self._all[row] for row in at]
        self._params = [member.param for member in self._members]
        self._joint: Forms | None = None  # of all of them; made where they are looked up once more
        self._is_new = self._copies = True
        self._spans: list[int] = []
        self._are_plain = self._are_as_read = False

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
        grads: list[torch.Tensor] = [param.grad for param in self._params]  # type: ignore[misc]
        if self._joint is None or not self._joint.are(grads):
            self._check(grads)
        if not self._are_plain:
            return None
        storages = list(map(torch.Tensor.untyped_storage, grads))
        addresses = list(map(torch.Tensor.data_ptr, grads))
        bases = addresses
        lengths = list(map(torch.UntypedStorage.nbytes, storages))
        if lengths != self._spans or any(map(torch.Tensor.storage_offset, grads)):  # parts of something longer
            for member, grad in zip(self._members, grads, strict=True):
                if not has_memory(grad):
                    member.check_gradient()  # refuses it
            bases = list(map(torch.UntypedStorage.data_ptr, storages))
        if self._copies or not self.written.isdisjoint(bases):
            self._keep_apart(bases)
        return addresses if self._are_as_read and not self._copies else None

    def _check(self, grads: Sequence[torch.Tensor]) -> None:
        """Check those that have another form than they had before."""
        self._joint = None
        rows = list(zip(self._at, self._members, grads, strict=True))
        known = {row for row, _, grad in rows if self._has_its_form(row, grad)}
        for row, member, grad in rows:
            if row not in known:
                self._check_one(row, member, grad)
        self._are_plain = all(self._forms[row] is not None for row in self._at)
        if not self._are_plain:  # then no more is looked at than this
            for row, member, grad in rows:
                if row in known:
                    self._check_one(row, member, grad)
        self._spans = [self._spans_of[row] for row in self._at]
        self._are_as_read = all(self._is_as_read[row] for row in self._at if row < len(self._compiled))
        if self._are_plain and not self._is_new:
            self._joint = Forms(grads)
        self._is_new = False

    def _has_its_form(self, row: int, grad: torch.Tensor) -> bool:
        known = self._forms[row]
        return known is not None and known.are((grad,))

    def _check_one(self, row: int, member: Member, grad: torch.Tensor) -> None:
        self._forms[row] = None
        member.check_gradient()
        is_there = is_plain(grad) and not grad._is_zerotensor()
        member.copies = grad.untyped_storage().data_ptr() in self.written if is_there else grad._is_zerotensor()
        if row < len(self._compiled):
            self._is_as_read[row] = self._compiled[row].reads(grad)
        if is_there and is_plain(member.param):
            self._forms[row], self._spans_of[row] = Forms([grad]), span(grad)

    def _keep_apart(self, bases: Sequence[int]) -> None:
        """Have gradients copied that lie in a memory that this step writes to: all are read as they were before it."""
        for member, base in zip(self._members, bases, strict=True):
            member.copies = base in self.written
        self._copies = any(member.copies for member in self._members)
