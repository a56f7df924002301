"""The tensors of a tensor group that are stepped by kernels, as these see them: addresses, lengths, rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from waddington.optim.engine.noise import frame_of

if TYPE_CHECKING:
    from waddington.optim.engine.groups import TensorGroup
    from waddington.optim.engine.units import SingleTensor

__all__ = ["Batch", "Call"]


class Call(NamedTuple):
    """What a kernel is called with for some rows, and the memory that it is in."""

    at: tuple[int, ...]
    units: list[SingleTensor]
    written: list[torch.Tensor]
    lengths: npt.NDArray[np.int64]
    addresses: npt.NDArray[np.int64]
    noise: npt.NDArray[np.int64]
    arguments: tuple[int, ...]


class Batch:
    """Tensors that a kernel goes through in one call.

    Parameters
    ----------
    tensor_group
        Theirs, of which they are the first.
    units
        The tensors.

    Attributes
    ----------
    units
        Those that take part in a step.
    written
        What a kernel may write to.
    is_begun
        Whether this step has.
    """

    def __init__(self, tensor_group: TensorGroup, units: Sequence[SingleTensor]) -> None:
        self.tensor_group, self.all_units = tensor_group, list(units)
        self.is_begun = self._are_fetched = False
        self._tensors = [[unit.value, *unit.buffers.values()] for unit in units]
        self._all_lengths = np.array([unit.value.numel() for unit in units], dtype=np.int64)
        self._all_addresses = np.array(
            [[value.data_ptr(), 0, *(buffer.data_ptr() for buffer in rest)] for value, *rest in self._tensors],
            dtype=np.int64,
        )
        self.select(self.of(tuple(range(len(units)))))

    def select(self, call: Call) -> None:
        """Have some tensors take part in the steps to come."""
        self._now, self.units, self.written = call, call.units, call.written

    def of(self, at: tuple[int, ...]) -> Call:
        """Give what a kernel is called with for these rows."""
        rows = np.array(at, dtype=np.intp)
        lengths, addresses = self._all_lengths[rows], self._all_addresses[rows]
        noise = np.zeros((len(at), 4), dtype=np.int64)
        table, sums = self.tensor_group.table, self.tensor_group.sums
        arguments = (
            *(len(at), lengths.ctypes.data, addresses.ctypes.data),
            *(table.data_ptr(), table.stride(0), noise.ctypes.data),
            *(sums.data_ptr(), sums.stride(0)),
        )
        units = [self.all_units[row] for row in at]
        written = [tensor for row in at for tensor in self._tensors[row]]
        return Call(at, units, written, lengths, addresses, noise, arguments)

    def fetch(self, addresses: Sequence[int] | None) -> None:
        """Look up the gradients of this step.

        Parameters
        ----------
        addresses
            Of gradients that lie in memory as a kernel reads them; None where some do not.
        """
        self._are_fetched = addresses is None
        if addresses is None:
            for unit in self.units:
                unit.fetch()
            addresses = [unit.grad.data_ptr() for unit in self.units]
        self._now.addresses[:, 1] = addresses[: len(self.units)]

    @property
    def grads(self) -> list[torch.Tensor]:
        """The gradients during a step, as a kernel reads them."""
        if not self._are_fetched:
            for unit in self.units:
                unit.fetch()
            self._are_fetched = True
        return [unit.grad for unit in self.units]

    def release(self) -> None:
        """Hold nothing of this step any more."""
        self.is_begun = False
        for unit in self.units:
            unit.release()

    def arguments(self, salts: torch.Tensor | None) -> tuple[int, ...]:
        """Give what ``waddington_step`` (``step.c``) is called with, but for the number of threads."""
        if salts is not None:
            self._now.noise[:, 1:] = self.frames.numpy()
            self._now.noise[:, 0] = salts[: len(self.units)].numpy()
        return self._now.arguments

    @cached_property
    def is_cut(self) -> bool:
        """Whether coordinates that are neighbours here need not be so in the whole tensor; asked of all tensors."""
        return bool(
            (self._all_frames[:, 0] < torch.as_tensor(self._all_lengths, device=self.tensor_group.device)).any()
        )

    @property
    def frames(self) -> torch.Tensor:
        """Where each tensor's local part lies in it, int64 of shape (tensors, 3)."""
        at = self._now.at
        return self._all_frames[list(at)] if len(at) < len(self.all_units) else self._all_frames

    @cached_property
    def _all_frames(self) -> torch.Tensor:
        found = [frame_of(unit.slot.param) for unit in self.all_units]
        return torch.tensor(found, dtype=torch.int64, device=self.tensor_group.device)
