"""A function of coordinates for each of many tensors: one call of a kernel, or torch's operations tensor by tensor.

For components around other optimizers, whose state is not laid out for a kernel. What a function does is traced
(:mod:`.trace`), written as C (:mod:`.c_source`) and kept like any other kernel (:mod:`.cache`). Where there is no
compiler, on other devices, for tensors that no kernel reads and where what is written shares memory, the function is
called as it stands.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from waddington.errors import DataError, UnsupportedError
from waddington.optim.kernels.cache import compile, failures, why_unavailable
from waddington.optim.kernels.memory import Forms, is_plain
from waddington.optim.kernels.spec import SCALARS, SUMS, Kernel, KernelSpec, Launch

__all__ = ["COMPILE_FROM", "Columns", "ForEach", "Sums", "lies_densely"]

COMPILE_FROM = 1 << 12
"""Coordinates, of all tensors of a call, from which a kernel is made."""

Columns = Mapping[str, Sequence[torch.Tensor]]
"""Tensors by the name of the function's argument, in each column one for every call of the function."""

Sums = dict[str, torch.Tensor]
"""Sums by name, with one entry for every call."""


class ForEach:
    """A function of coordinates over many tensors.

    Parameters
    ----------
    function
        Called with tensors and 0-d numbers by name; computes coordinate by coordinate, may write to tensors by
        ``copy_``, and gives sums by name, each 0-d.
    scalars
        Names of the numbers.
    writes
        Names of the tensors that it writes to, as far as anybody else has them.
    draws
        Whether it is also called with ``noise``: a salt and the three numbers of a frame, 0-d and int64. Its
        coordinates are those of contiguous tensors.

    Notes
    -----
    Sums of a kernel are taken over chunks of a fixed length, which are added up in one order, so that they do not
    depend on the number of threads.
    """

    def __init__(
        self,
        function: Callable[..., Mapping[str, torch.Tensor]],
        scalars: Sequence[str] = (),
        writes: Sequence[str] = (),
        *,
        draws: bool = False,
    ) -> None:
        self._function, self._scalars, self._writes, self._draws = function, tuple(scalars), tuple(writes), draws
        self._made: dict[tuple[torch.dtype, ...], Kernel | None] = {}
        self._known: Forms | None = None
        self._count, self._rows = 0, list[int]()
        self._lengths = np.zeros(0, dtype=np.int64)

    def __call__(
        self,
        tensors: Columns,
        scalars: Mapping[str, torch.Tensor] | None = None,
        *,
        noise: torch.Tensor | None = None,
        compiles: bool = True,
    ) -> Sums:
        """Call the function for every row of the columns.

        Parameters
        ----------
        tensors
            Columns of one length; tensors of a row have one shape, and tensors of a column one dtype and device.
        scalars
            Numbers of each row, shape (rows,), for each of the function's names.
        noise
            Where the function draws: the salt of each row and the three numbers of its frame, int64, shape (rows, 4).
        compiles
            Whether a kernel may be made.

        Returns
        -------
        dict
            Sums of each row, shape (rows,), float64 where the device has it; empty where the function gives none.

        Raises
        ------
        DataError
            The storage of a tensor was freed or is too short.
        """
        columns = {name: list(column) for name, column in tensors.items()}
        made = self._kernel(columns) if compiles else None
        given = dict(scalars or {}) if noise is None else {**(scalars or {}), "noise": noise}
        count = len(next(iter(columns.values())))
        rows = self._readable(columns, count) if made is not None else []
        if made is None or not rows:
            return self._eagerly(columns, given)
        if len(rows) == count:
            return self._run(made, columns, given)
        others = sorted(set(range(count)) - set(rows))
        found = self._eagerly(*_picked(columns, given, others))
        for name, sums in self._run(made, *_picked(columns, given, rows)).items():
            whole = sums.new_empty(count)
            whole[rows], whole[others] = sums, found[name].to(sums)
            found[name] = whole
        return found

    def _eagerly(self, columns: Mapping[str, list[torch.Tensor]], scalars: Mapping[str, torch.Tensor]) -> Sums:
        rows: list[Mapping[str, torch.Tensor]] = []
        like = next(iter(columns.values()))[0]
        dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
        numbers = {name: scalars[name].to(device=like.device, dtype=dtype).unbind() for name in self._scalars}
        for row in range(len(next(iter(columns.values())))):
            given: dict[str, Any] = {name: column[row] for name, column in columns.items()}
            given |= {name: entries[row] for name, entries in numbers.items()}
            if self._draws:
                given["noise"] = scalars["noise"][row].to(like.device).unbind()
            rows.append(self._function(**given))
        exact = torch.float32 if like.device.type == "mps" else torch.float64
        return {name: torch.stack([row[name] for row in rows]).to(exact) for name in rows[0]}

    # -- by a kernel --

    def _kernel(self, columns: Mapping[str, list[torch.Tensor]]) -> Kernel | None:
        """Give the kernel for tensors of these dtypes; None where there is none."""
        first = next(iter(columns.values()))
        if first[0].device.type != "cpu" or sum(map(torch.Tensor.numel, first)) < COMPILE_FROM:
            return None
        dtypes = tuple(column[0].dtype for column in columns.values())
        if dtypes not in self._made:
            self._made[dtypes] = self._make(list(columns), dtypes)
        return self._made[dtypes]

    def _make(self, names: Sequence[str], dtypes: tuple[torch.dtype, ...]) -> Kernel | None:
        if why_unavailable("cpu") or failures.get("cpu"):
            return None

        def function(
            value: torch.Tensor,
            grad: torch.Tensor,
            buffers: Sequence[torch.Tensor],
            scalars: Sequence[torch.Tensor] | torch.Tensor,
            noise: Sequence[torch.Tensor],
        ) -> Mapping[str, torch.Tensor]:
            given: dict[str, Any] = dict(zip(names, (value, *buffers), strict=True))
            given |= dict(zip(self._scalars, scalars, strict=False))
            return self._function(**given, **({"noise": noise} if self._draws else {}))

        try:
            return compile(KernelSpec(function, "cpu", dtypes[0], dtypes[1:], _of_numbers(dtypes), self._draws))
        except UnsupportedError as error:
            warnings.warn(f"{error}; the step goes on eagerly, and more slowly", RuntimeWarning, stacklevel=5)
            return None

    def _readable(self, columns: Mapping[str, list[torch.Tensor]], count: int) -> list[int]:
        """Give the rows that a kernel can read: its tensors are of one form, without gaps, in plain memory."""
        flat = [tensor for column in columns.values() for tensor in column]
        if self._known is None or len(flat) != self._count or not self._known.are(*flat):
            self._known, self._count = None, len(flat)
            first = next(iter(columns.values()))
            self._rows = [
                row
                for row, like in enumerate(first)
                if all(
                    (t := column[row]).stride() == like.stride()
                    and (t.shape, t.dtype) == (like.shape, column[0].dtype)
                    and lies_densely(t)
                    for column in columns.values()
                )
                and (not self._draws or like.is_contiguous())
            ]
            self._lengths = np.array([first[row].numel() for row in self._rows], dtype=np.int64)
            if all(tensor.layout is torch.strided and is_plain(tensor) for tensor in flat):
                self._known = Forms(flat)
        return self._rows

    def _run(
        self, kernel: Kernel, columns: Mapping[str, list[torch.Tensor]], scalars: Mapping[str, torch.Tensor]
    ) -> Sums:
        addresses = [_addresses(column, self._lengths) for column in columns.values()]
        # Threads would read what others have written already.
        if self._writes and _meet(addresses, self._lengths, [column[0].itemsize for column in columns.values()]):
            return self._eagerly(columns, scalars)
        values, *others = columns.values()
        dtype = _of_numbers([column[0].dtype for column in columns.values()])
        table = torch.ones((len(values), SCALARS), dtype=dtype, device="cpu")  # whatever the default device is
        for place, name in enumerate(self._scalars):
            table[:, place] = scalars[name]
        sums = torch.empty((len(values), SUMS), dtype=torch.float64, device="cpu")
        buffers = list(zip(*others, strict=True)) if others else [()] * len(values)
        at = np.stack([addresses[0], *addresses], axis=1)  # of gradients there are none; values stand for them
        launch = Launch(values, buffers, table, sums, at, self._lengths)
        if self._draws:
            noise = scalars["noise"].cpu()
            launch.set_noise(noise[:, 0], noise[:, 1:])
        kernel.run(launch)
        for name in self._writes:  # autograd cannot see that a kernel writes
            torch.autograd.graph.increment_version(columns[name])
        return dict(zip(kernel.names, sums[:, : len(kernel.names)].unbind(1), strict=True))


def _picked(
    columns: Mapping[str, list[torch.Tensor]], scalars: Mapping[str, torch.Tensor], rows: list[int]
) -> tuple[dict[str, list[torch.Tensor]], dict[str, torch.Tensor]]:
    """Give some rows of columns and of numbers."""
    picked = {name: [column[row] for row in rows] for name, column in columns.items()}
    return picked, {name: column[rows] for name, column in scalars.items()}


def _addresses(column: Sequence[torch.Tensor], lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Give where tensors of one dtype without gaps lie, after a look at whether their memory reaches as far as they."""
    found = np.array(list(map(torch.Tensor.data_ptr, column)), dtype=np.int64)
    storages = list(map(torch.Tensor.untyped_storage, column))
    ends = np.array(list(map(torch.UntypedStorage.data_ptr, storages)), dtype=np.int64)
    ends += np.array(list(map(torch.UntypedStorage.nbytes, storages)), dtype=np.int64)
    short = found + lengths * column[0].itemsize > ends
    if short.any():
        at = int(short.argmax())
        raise DataError(
            f"cannot step on a tensor of shape {tuple(column[at].shape)}: its storage has {storages[at].nbytes():,}"
            " bytes, too few for it; accepted are tensors with memory of their own"
        )
    return found


def _meet(addresses: Sequence[npt.NDArray[np.int64]], lengths: npt.NDArray[np.int64], widths: Sequence[int]) -> bool:
    """Tell whether any two tensors share memory, of columns by their addresses and the widths of a coordinate."""
    begins = np.concatenate(addresses)
    ends = begins + np.concatenate([lengths * width for width in widths])
    order = begins.argsort()
    return bool((np.maximum.accumulate(ends[order])[:-1] > begins[order][1:]).any())


def _of_numbers(dtypes: Sequence[torch.dtype]) -> torch.dtype:
    return torch.float64 if torch.float64 in dtypes else torch.float32


def lies_densely(tensor: torch.Tensor) -> bool:
    """Tell whether a kernel can read a tensor: plain, of a processor, without gaps, as its memory says."""
    if not is_plain(tensor) or tensor.device.type != "cpu" or tensor.layout is not torch.strided:
        return False
    if tensor.is_neg() or tensor.is_conj() or tensor._is_zerotensor() or tensor.is_complex():
        return False
    order = sorted(range(tensor.dim()), key=lambda dim: (tensor.stride(dim), tensor.shape[dim]), reverse=True)
    return tensor.permute(order).is_contiguous()
