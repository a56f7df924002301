"""Forms of tensors, and the memory that is really behind them.

What a kernel is given are addresses; whether there is at each what the kernel takes to be there is found out here. A
form is everything that decides how an address is read: class, dtype, device, layout, sizes, strides, and whether values
are negated, conjugated or, in torch's zero tensors, not there at all. A storage can be resized or freed under a tensor
whose form stays; so its length is asked for by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

__all__ = ["Forms", "form_of", "has_memory", "is_plain", "overlapping", "span"]

try:  # what torch.compile asks before every call: all tensors in one call, at a tenth of the cost
    from torch._C._dynamo.guards import TensorGuards as _Guard
except ImportError:  # a torch that has it elsewhere
    _Guard = None  # type: ignore[assignment, misc]


def form_of(tensor: torch.Tensor) -> tuple[Any, ...]:
    """Give all that decides how a dense tensor's address is read."""
    flags = tensor.is_neg(), tensor.is_conj(), tensor._is_zerotensor()
    return (type(tensor), tensor.dtype, tensor.device, tensor.layout, tensor.size(), tensor.stride(), *flags)


class Forms:
    """The forms that tensors were found to have.

    Parameters
    ----------
    tensors
        Dense ones.
    """

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self.are: Callable[..., bool] = self._are_by_form
        """Tells whether tensors, as many, have these forms; False may also come of a mode that torch is in since."""
        if _Guard is not None and tensors:
            self.are = _Guard(*tensors, dynamic_dims_sizes=None, dynamic_dims_strides=None).check
        else:
            self._forms = list(map(form_of, tensors))

    def _are_by_form(self, *tensors: torch.Tensor) -> bool:
        return all(t.layout is torch.strided for t in tensors) and list(map(form_of, tensors)) == self._forms


def is_plain(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor's values are in the memory that it names: it is no wrapper, and not of the meta device."""
    return type(tensor) in (torch.Tensor, torch.nn.Parameter) and tensor.device.type != "meta"


def span(tensor: torch.Tensor) -> int:
    """Give the number of bytes from a dense tensor's first coordinate to behind its last."""
    if tensor.is_contiguous():
        return tensor.nbytes
    if tensor.numel() == 0:
        return 0
    last = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    return (last + 1) * tensor.element_size()


def has_memory(tensor: torch.Tensor) -> bool:
    """Tell whether the storage of a dense tensor reaches as far as the tensor; True where that cannot be known."""
    if tensor._is_zerotensor():  # even an empty one is not written to
        return False
    if not is_plain(tensor) or tensor.numel() == 0:
        return True
    end = tensor.storage_offset() * tensor.element_size() + span(tensor)
    return tensor.data_ptr() != 0 and tensor.untyped_storage().nbytes() >= end


def overlapping(tensors: Sequence[torch.Tensor]) -> tuple[int, int] | None:
    """Find two tensors that have a coordinate in one memory.

    Parameters
    ----------
    tensors
        Dense ones; those without memory of their own are passed over.

    Returns
    -------
    tuple of int or None
        Their places, twice the same for a tensor whose own coordinates share memory.
    """
    placed = sorted(
        (tensor.device.type, tensor.device.index or 0, tensor.data_ptr(), span(tensor), place)
        for place, tensor in enumerate(tensors)
        if tensor.layout is torch.strided and is_plain(tensor) and has_memory(tensor) and tensor.numel()
    )
    cluster: list[int] = []
    end: tuple[Any, ...] = ()
    for kind, index, begin, length, place in placed:
        if cluster and end[:2] == (kind, index) and begin < end[2]:
            cluster.append(place)
            end = (kind, index, max(end[2], begin + length))
        else:
            found = _within(tensors, cluster)
            if found is not None:
                return found
            cluster, end = [place], (kind, index, begin + length)
    return _within(tensors, cluster)


def _within(tensors: Sequence[torch.Tensor], places: Sequence[int]) -> tuple[int, int] | None:
    """Find two that overlap among tensors whose ranges of addresses do."""
    if not places or (len(places) == 1 and torch._debug_has_internal_overlap(tensors[places[0]]) == 0):
        return None
    first = min(tensors[place].data_ptr() for place in places)
    offsets = [tensors[place].data_ptr() - first for place in places]
    unit = math.gcd(*offsets, *(tensors[place].element_size() for place in places))
    owners: dict[int, torch.Tensor] = {}
    for place in places:
        mine = _units(tensors[place], first, unit)
        if torch.unique(mine).numel() < mine.numel():
            return place, place
        for other, theirs in owners.items():
            if torch.isin(mine, theirs, assume_unique=True).any():
                return other, place
        owners[place] = mine
    return None


def _units(tensor: torch.Tensor, first: int, unit: int) -> torch.Tensor:
    """Number the units of memory that a tensor's coordinates lie in, counted from an address."""
    width = tensor.element_size() // unit
    found = torch.arange(width) + (tensor.data_ptr() - first) // unit
    for size, stride in zip(tensor.shape, tensor.stride(), strict=True):
        found = (found + torch.arange(size).view(-1, *[1] * found.dim()) * (stride * width)).flatten()
    return found
