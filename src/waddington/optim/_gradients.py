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
    at the step before is checked one by one.

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
        self._members, self._compiled = list(members), list(compiled)
        self._params = [member.param for member in self._members]
        self._are_plain = all(map(is_plain, self._params))
        self._forms: Forms | None = None
        self._spans: list[int] = []
        self._are_as_read = self._copies = False
        self.written: frozenset[int] = frozenset()

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
        if self._forms is None or not self._forms.are(grads):
            self._check(grads)
        if self._forms is None:
            return None
        storages = list(map(torch.Tensor.untyped_storage, grads))
        addresses = list(map(torch.Tensor.data_ptr, grads))
        bases = addresses
        lengths = list(map(torch.UntypedStorage.nbytes, storages))
        if lengths != self._spans or any(map(torch.Tensor.storage_offset, grads)):  # parts of something longer
            if not all(map(has_memory, grads)):
                self._check(grads)  # says which
            bases = list(map(torch.UntypedStorage.data_ptr, storages))
        if self._copies or not self.written.isdisjoint(bases):
            self._keep_apart(bases)
        return addresses if self._are_as_read and not self._copies else None

    def _check(self, grads: Sequence[torch.Tensor]) -> None:
        for member, grad in zip(self._members, grads, strict=True):
            member.check_gradient()
            is_there = is_plain(grad) and not grad._is_zerotensor()
            member.copies = grad.untyped_storage().data_ptr() in self.written if is_there else grad._is_zerotensor()
        self._are_as_read = all(unit.reads(grad) for unit, grad in zip(self._compiled, grads, strict=False))
        self._forms = None
        if self._are_plain and all(is_plain(grad) and not grad._is_zerotensor() for grad in grads):
            self._forms, self._spans = Forms(grads), list(map(span, grads))

    def _keep_apart(self, bases: Sequence[int]) -> None:
        """Have gradients copied that lie in a memory that this step writes to: all are read as they were before it."""
        for member, base in zip(self._members, bases, strict=True):
            member.copies = base in self.written
        self._copies = any(member.copies for member in self._members)
