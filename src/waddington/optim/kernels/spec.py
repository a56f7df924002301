"""What a kernel is: its spec, what it is called with (a launch), and what may be asked of it.

A kernel is a function of tensors that was written down and compiled. It goes through many tensors of any length in one
call. All that changes from call to call enters as numbers, so nothing is compiled anew when one of them changes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from waddington.optim.kernels.trace import Program, trace

__all__ = ["SCALARS", "SUMS", "Function", "Kernel", "KernelSpec", "Launch", "examples", "programs_of"]

SCALARS = 48
"""Length of the row of numbers that a kernel is given for each tensor; what it does not use it does not read."""

SUMS = 24
"""Length of the row that a kernel writes its sums to; a whole number of 16 bytes, which GPUs want."""

Tensors = Sequence[torch.Tensor]
Function = Callable[[torch.Tensor, torch.Tensor, Tensors, Tensors | torch.Tensor, Tensors], Mapping[str, torch.Tensor]]
"""``(value, gradient, buffers, scalars, noise) -> sums``: what a kernel does to one tensor, which it sees as one
dimension. It writes to value and buffers, and its sums are 0-d. `scalars` is the tensor's row; `noise` has the salt of
its random numbers and the three numbers of its :class:`Launch.frames`, 0-d and int64, or nothing."""


@dataclass(frozen=True)
class KernelSpec:
    """What a kernel is.

    Attributes
    ----------
    function
        What is done, by torch's operations.
    device
        Type of the device.
    dtype
        Of values and gradients.
    buffers
        Dtypes of the buffers.
    scalars
        Dtype of the row of numbers.
    draws
        Whether the function is given noise.
    """

    function: Function
    device: str
    dtype: torch.dtype
    buffers: tuple[torch.dtype, ...]
    scalars: torch.dtype
    draws: bool = False


class Kernel(Protocol):
    """A compiled function.

    Attributes
    ----------
    names
        Names of the sums, in the order in which it writes them.
    reads_tensors
        Whether a launch needs the gradients themselves; otherwise their addresses will do.
    """

    names: tuple[str, ...]
    reads_tensors: bool

    def run(self, launch: Launch) -> None:
        """Go through all tensors of a launch; write to values, buffers and sums."""


class Launch:
    """The tensors that a kernel goes through in one call, and the memory that they are in.

    Whoever makes one has checked that each tensor is dense, of the spec's dtype, and has memory as far as it reaches: a
    kernel goes by addresses alone.

    Parameters
    ----------
    values, buffers
        The tensors, of one dimension each, and the buffers of each; held for as long as the launch is.
    scalars, sums
        Tables with a row for each tensor, of :data:`SCALARS` and :data:`SUMS` columns; they may have more rows.
    addresses
        Where value, gradient and buffers lie, a row for each tensor; looked up where they are not given.
    lengths
        Coordinates of each tensor; counted where they are not given.

    Attributes
    ----------
    written
        All that a kernel may write to, but for the sums.
    addresses
        Of value, gradient and buffers, a row for each tensor. Those of the gradients, the second column, are to be set
        before each call.
    gradients
        The gradients of the coming call; only for kernels that read tensors.
    salts, frames
        What random numbers are made of in the coming call, if there are any (:meth:`set_noise`).
    arguments
        What ``waddington_step`` (``step.c``) is called with, but for the number of threads.
    """

    def __init__(
        self,
        values: Sequence[torch.Tensor],
        buffers: Sequence[Tensors],
        scalars: torch.Tensor,
        sums: torch.Tensor,
        addresses: npt.NDArray[np.int64] | None = None,
        lengths: npt.NDArray[np.int64] | None = None,
    ) -> None:
        if addresses is None:
            rows = [
                [value.data_ptr(), 0, *(tensor.data_ptr() for tensor in own)]
                for value, own in zip(values, buffers, strict=True)
            ]
            addresses = np.array(rows, dtype=np.int64)
        if lengths is None:
            lengths = np.array([value.numel() for value in values], dtype=np.int64)
        self._begin(values, buffers, scalars, sums, addresses, lengths)

    def part(self, rows: Sequence[int]) -> Launch:
        """Give a launch of some of the tensors; their rows in the tables are the first ones."""
        found, at = Launch.__new__(Launch), np.array(rows, dtype=np.intp)
        values, buffers = [self.values[row] for row in rows], [self.buffers[row] for row in rows]
        found._begin(values, buffers, self.scalars, self.sums, self.addresses[at], self._lengths[at])
        return found

    def _begin(
        self,
        values: Sequence[torch.Tensor],
        buffers: Sequence[Tensors],
        scalars: torch.Tensor,
        sums: torch.Tensor,
        addresses: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
    ) -> None:
        self.values, self.buffers, self.scalars, self.sums = list(values), list(buffers), scalars, sums
        self.written = [tensor for value, own in zip(values, buffers, strict=True) for tensor in (value, *own)]
        self.gradients: Sequence[torch.Tensor] = ()
        self.salts: torch.Tensor | None = None
        self.frames: torch.Tensor | None = None
        self.addresses, self._lengths = addresses, lengths
        self._noise = np.zeros((len(addresses), 4), dtype=np.int64)
        self.arguments = (
            *(len(addresses), _address(self._lengths), _address(self.addresses)),
            *(scalars.data_ptr(), scalars.stride(0), _address(self._noise)),
            *(sums.data_ptr(), sums.stride(0)),
        )

    def set_noise(self, salts: torch.Tensor, frames: torch.Tensor) -> None:
        """Set salts of shape (tensors,) and where each local part lies in its tensor, (tensors, 3); both int64."""
        self.salts, self.frames = salts, frames
        if salts.device.type == "cpu":
            self._noise[:, 0], self._noise[:, 1:] = salts.numpy(), frames.numpy()


def programs_of(spec: KernelSpec) -> tuple[Program, Program]:
    """Write down what a kernel does, for tensors of two lengths.

    The inputs are ``value``, ``grad``, ``buffer_0`` and so on, ``number_`` with the place in the row, and with noise
    ``salt``, ``local``, ``whole`` and ``start``. The programs differ where the function computes with the length of a
    tensor.

    Raises
    ------
    UnsupportedError
        The function does what cannot be written down.
    """
    one, other = (_traced(spec, length) for length in (7, 11))
    return one, other


def _traced(spec: KernelSpec, length: int) -> Program:
    value, grad, buffers, row, noise = examples(spec, length)
    vectors = {"value": value, "grad": grad} | {f"buffer_{place}": buffer for place, buffer in enumerate(buffers)}
    numbers = {f"number_{place}": number for place, number in enumerate(row.unbind())}
    drawn = dict(zip(("salt", "local", "whole", "start"), noise, strict=False))

    def function(**given: torch.Tensor) -> Mapping[str, torch.Tensor]:
        held = [given[f"buffer_{place}"] for place in range(len(buffers))]
        row, noise = ([given[name] for name in names] for names in (numbers, drawn))
        return spec.function(given["value"], given["grad"], held, row, noise)

    return trace(function, vectors | numbers | drawn)


def examples(
    spec: KernelSpec, length: int, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
    """Give what a spec's function can be called with: zeros, and a row of ones."""

    def fresh(dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(length, dtype=dtype, device=device)

    row = torch.ones(SCALARS, dtype=spec.scalars, device=device)
    noise = [torch.tensor(number, device=device) for number in (0, length, length, 0)] if spec.draws else []
    return fresh(spec.dtype), fresh(spec.dtype), [fresh(dtype) for dtype in spec.buffers], row, noise


def _address(array: npt.NDArray[np.int64]) -> int:
    """Give where an array lies; ``ctypes.data`` says the same in ten times as long."""
    found: int = array.__array_interface__["data"][0]
    return found
