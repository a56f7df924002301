"""The tensors of a family that are stepped by kernels, as these see them: addresses, lengths, rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from waddington._errors import DataError
from waddington.optim._noise import frame_of

if TYPE_CHECKING:
    from waddington.optim._layout import Family
    from waddington.optim._units import Single

__all__ = ["Batch"]


class Batch:
    """Tensors that a kernel goes through in one call.

    Parameters
    ----------
    family
        Theirs, of which they are the first.
    units
        The tensors.

    Attributes
    ----------
    units, grads
        The tensors, and their gradients during a step.
    written
        What a kernel may write to.
    """

    def __init__(self, family: Family, units: Sequence[Single]) -> None:
        self.family, self.units = family, list(units)
        self.grads: list[torch.Tensor] = []
        self._params = [unit.member.param for unit in self.units]
        self._is_plain = all(unit.is_plain for unit in self.units)
        value = self.units[0].value
        self._kinds = {(torch.Tensor, value.dtype, torch.strided, value.device)}
        buffers = [[unit.value, *unit.buffers.values()] for unit in self.units]
        self.written = [tensor for tensors in buffers for tensor in tensors]
        self._sizes = [unit.value.numel() for unit in self.units]
        self._lengths = np.array(self._sizes, dtype=np.int64)
        self._addresses = np.array(
            [[value.data_ptr(), 0, *(buffer.data_ptr() for buffer in rest)] for value, *rest in buffers], dtype=np.int64
        )
        self._noise = np.zeros((len(self.units), 4), dtype=np.int64)
        table, sums = family.table, family.sums
        self._arguments = (
            *(len(self.units), self._lengths.ctypes.data, self._addresses.ctypes.data),
            *(table.data_ptr(), table.stride(0), self._noise.ctypes.data),
            *(sums.data_ptr(), sums.stride(0)),
        )

    def fetch(self) -> None:
        """Look up the gradients of this step.

        Raises
        ------
        DataError
            A gradient has not as many coordinates as its parameter, or lies on another device.
        """
        self.grads = [param.grad for param in self._params if param.grad is not None]
        if not self._are_as_read():
            for unit in self.units:
                unit.fetch()
            self.grads = [unit.grad for unit in self.units]
            self._check()
        self._addresses[:, 1] = list(map(torch.Tensor.data_ptr, self.grads))

    def _are_as_read(self) -> bool:
        """Tell whether all gradients lie in memory as a kernel reads them, which no one checks after this."""
        return (
            self._is_plain
            and {(type(grad), grad.dtype, grad.layout, grad.device) for grad in self.grads} == self._kinds
            and list(map(torch.Tensor.numel, self.grads)) == self._sizes
            and all(map(torch.Tensor.is_contiguous, self.grads))
            and not any(map(torch.Tensor.is_neg, self.grads))
        )

    def _check(self) -> None:
        for unit, grad in zip(self.units, self.grads, strict=True):
            if grad.numel() != unit.value.numel() or grad.device != unit.value.device:
                raise DataError(
                    f"cannot step: found a gradient of {grad.numel():,} coordinates on {grad.device} for a parameter of"
                    f" shape {tuple(unit.member.param.shape)} on {unit.value.device}; accepted are gradients that fit"
                )

    def release(self) -> None:
        """Hold nothing of this step any more."""
        self.grads = []
        for unit in self.units:
            unit.release()

    def arguments(self, salts: torch.Tensor | None) -> tuple[int, ...]:
        """Give what ``waddington_step`` (``_step.c``) is called with, but for the number of threads."""
        if salts is not None:
            self._noise[:, 1:] = self.frames.numpy()
            self._noise[:, 0] = salts[: len(self.units)].numpy()
        return self._arguments

    @property
    def is_cut(self) -> bool:
        """Whether coordinates that are neighbours here need not be so in the whole tensor."""
        return bool((self.frames[:, 0] < torch.as_tensor(self._lengths, device=self.family.device)).any())

    @cached_property
    def frames(self) -> torch.Tensor:
        """Where each tensor's local part lies in it, int64 of shape (tensors, 3)."""
        found = [frame_of(unit.member.param) for unit in self.units]
        return torch.tensor(found, dtype=torch.int64, device=self.family.device)
