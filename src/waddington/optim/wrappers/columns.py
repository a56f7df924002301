"""Slots in columns, so that what is done to each of them is done to all in one call (:mod:`..kernels.foreach`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from waddington.optim.engine.params import ParamSlot, stack, statistics_dtype, sum_over_shards
from waddington.optim.kernels.foreach import ForEach
from waddington.optim.moments import Number
from waddington.optim.rule import Tensors

__all__ = ["Passes", "Scratch", "alike", "column_of", "sizes_of", "square_sum"]

_SERIAL = 1 << 15
"""Coordinates of a tensor up to which torch sums in one thread."""


class Passes:
    """The passes over tensors that a component makes, kept with what was compiled for them."""

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], ForEach] = {}

    def __call__(
        self,
        function: Callable[..., Tensors],
        slots: Sequence[ParamSlot],
        columns: Mapping[str, Sequence[torch.Tensor]],
        scalars: Mapping[str, torch.Tensor] | None = None,
        flags: Iterable[str] = (),
        writes: Sequence[str] = (),
        noise: torch.Tensor | None = None,
        **constants: Any,
    ) -> Tensors:
        """Call a function of coordinates for every slot.

        Parameters
        ----------
        function, writes
            As for :class:`~waddington.optim.kernels.foreach.ForEach`.
        slots
            Of any groups, devices and dtypes.
        columns
            The function's tensors by name, local and real, one for each slot.
        scalars
            Its numbers by name, each of shape (slots,).
        flags
            Names of settings of a slot's group that it is called with, too.
        noise
            Of each slot, shape (slots, 4), as for :class:`~waddington.optim.kernels.foreach.ForEach`.
        **constants
            What else it is called with.

        Returns
        -------
        dict
            Its sums over each tensor, all shards included, each of shape (slots,).
        """
        given, flags = scalars or {}, tuple(flags)
        table: torch.Tensor | None = None
        names: tuple[str, ...] = ()
        for place, rows in alike(slots):
            group, are_all = slots[rows[0]].group, len(rows) == len(slots)
            said = {**constants, **{flag: group[flag] for flag in flags}}
            key = (function, place, tuple(columns), tuple(given), noise is None, *sorted(said.items()))
            if key not in self._known:
                self._known[key] = ForEach(partial(function, **said), tuple(given), writes, draws=noise is not None)
            sums = self._known[key](
                {name: [column[row] for row in rows] for name, column in columns.items()},
                given if are_all else {name: column[rows] for name, column in given.items()},
                noise=noise if noise is None or are_all else noise[rows],
                compiles=group.get("compile") is not False,
            )
            names = tuple(sums)
            if names:
                found = torch.stack(list(sums.values()), dim=1)
                if are_all:
                    table = found
                    break
                table = found.new_empty(len(slots), len(names)) if table is None else table
                table[rows] = found.to(table)
        return {} if table is None else dict(zip(names, sum_over_shards(table, slots).unbind(1), strict=True))

    def squares(self, slots: Sequence[ParamSlot]) -> torch.Tensor:
        """Give the squared norm of each slot's gradient, all shards included, shape (slots,)."""
        gradients = [slot.grad for slot in slots]
        # No pass of ours is faster; it is the sums over large tensors that would depend on the number of threads.
        if any(grad.device.type == "cpu" and grad.numel() > _SERIAL for grad in gradients):
            return self(square_sum, slots, {"x": gradients})["square"]
        norms = torch._foreach_norm(gradients)
        exact = statistics_dtype(norms[0].device)
        table = stack([[norm] for norm in norms]).to(exact).square()
        return sum_over_shards(table, slots)[:, 0]


def square_sum(x: torch.Tensor) -> Tensors:
    """Sum squares, for a pass."""
    return {"square": x.square().sum()}


class Scratch:
    """Memory that a component needs during each step, kept from one to the next where asking for it is slow.

    On a processor fresh memory costs more than what is done in it; GPUs' allocators keep it themselves. One tensor is
    kept for each name and place in the model, until another form is asked for there or the component goes.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], torch.Tensor] = {}

    def like(self, name: str, slot: ParamSlot, dtype: torch.dtype) -> torch.Tensor:
        """Give a tensor of the form of a slot's value, whatever is in it."""
        value, key = slot.value, (name, slot.index)
        kept, form = self._kept.get(key), (dtype, value.device, value.shape, value.stride())
        if kept is not None and (kept.dtype, kept.device, kept.shape, kept.stride()) == form:
            return kept
        found = torch.empty_like(value, dtype=dtype)
        self._kept.pop(key, None)
        if value.device.type == "cpu":
            self._kept[key] = found
        return found


def alike(slots: Sequence[ParamSlot]) -> list[tuple[tuple[Any, ...], list[int]]]:
    """Give the rows of slots of one group, device and dtype, and a name for each kind."""
    kinds: dict[tuple[Any, ...], list[int]] = {}
    for row, slot in enumerate(slots):
        kinds.setdefault((slot.group_index, slot.param.device, slot.param.dtype), []).append(row)
    return list(kinds.items())


def sizes_of(slots: Sequence[ParamSlot]) -> torch.Tensor:
    """Give the numbers of coordinates of the whole tensors, shape (slots,)."""
    device = slots[0].param.device
    return torch.tensor([float(slot.size) for slot in slots], dtype=statistics_dtype(device), device=device)


def column_of(values: Sequence[Number], like: torch.Tensor) -> torch.Tensor:
    """Make one column of numbers that may be 0-d tensors, in the dtype and on the device of another."""
    if any(isinstance(value, torch.Tensor) for value in values):
        return torch.stack([torch.as_tensor(value, dtype=like.dtype, device=like.device) for value in values])
    return torch.tensor(values, dtype=like.dtype, device=like.device)
