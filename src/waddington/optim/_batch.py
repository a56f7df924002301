"""The tensors of a family that are stepped by kernels, as these see them: addresses, lengths, rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

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
    """

    def __init__(self, family: Family, units: Sequence[Single]) -> None:
        self.family, self.units = family, list(units)
        buffers = [[unit.value, *unit.buffers.values()] for unit in self.units]
        self.written = [tensor for tensors in buffers for tensor in tensors]
        self._lengths = np.array([unit.value.numel() for unit in self.units], dtype=np.int64)
        self._addresses = np.array(
            [[value.data_ptr(), 0, *(buffer.data_ptr() for buffer in rest)] for value, *rest in buffers], dtype=np.int64
        )
        self._noise = np.zeros((len(self.units), 4), dtype=np.int64)
        table, sums = family.table, family.sums
        self._before = (len(self.units), self._lengths.ctypes.data, self._addresses.ctypes.data)
        self._between = (table.data_ptr(), table.stride(0), self._noise.ctypes.data)
        self._after = (sums.data_ptr(), sums.stride(0))

    def fetch(self) -> None:
        """Look up the gradients of this step."""
        self._addresses[:, 1] = [unit.grad.data_ptr() for unit in self.units]

    def arguments(self, salts: torch.Tensor | None) -> tuple[int, ...]:
        """Give what a kernel is called with."""
        if salts is not None:
            self._noise[:, 1:] = self.frames.numpy()
            self._noise[:, 0] = salts[: len(self.units)].numpy()
        return (*self._before, *self._between, *self._after)

    @cached_property
    def frames(self) -> torch.Tensor:
        """Where each tensor's local part lies in it, int64 of shape (tensors, 3)."""
        found = [frame_of(unit.member.param) for unit in self.units]
        return torch.tensor(found, dtype=torch.int64).to(self.family.device)
