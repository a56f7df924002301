"""Parameters as plain real tensors, how components see one during a step, and the one place where shards are added up.

The rules are written for plain dense real tensors. Here complex tensors become pairs of reals, sharded ones
(``DTensor``) their local part, and half precision is raised to float32 for as long as a rule works on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from waddington.errors import UnsupportedError
from waddington.optim.rule import Tensors

__all__ = [
    "HasGroup",
    "HasParam",
    "ParamSlot",
    "compute_dtype",
    "gradient_of",
    "is_sharded",
    "largest_gradient",
    "like_its_parameter",
    "local_part",
    "local_real",
    "mask_nonfinite",
    "minimized_gradient",
    "moves_at",
    "named",
    "named_at",
    "real_dtype",
    "real_size",
    "stack",
    "state_dtype",
    "statistics_dtype",
    "sum_over_shards",
]


class HasParam(Protocol):
    """Whatever stands for one parameter in a step."""

    @property
    def param(self) -> torch.Tensor:
        """The parameter as the user holds it."""
        ...


class HasGroup(HasParam, Protocol):
    """The same, with the parameter's group."""

    @property
    def group(self) -> dict[str, Any]:
        """The group."""
        ...


class ParamSlot:
    """One parameter that takes part in a step, of the engine or of a component around another optimizer.

    Attributes
    ----------
    param, group, group_index, state
        The parameter, its group, and its state, as the user holds them.
    index
        Its place among all parameters of the optimizer.
    is_plain
        Whether the parameter is neither complex nor a shard.
    copies
        Whether this step's gradient is to be copied: it lies in memory that the step writes to, or in none.
    grad, buffers
        Set by components alone: the gradient of what is minimized, local, real and in the dtype of the computation;
        local real parts of what is read of the state.
    """

    __slots__ = (
        "_sharded",
        "_size",
        "_value",
        "buffers",
        "copies",
        "grad",
        "group",
        "group_index",
        "index",
        "is_plain",
        "param",
        "state",
    )
    grad: torch.Tensor
    buffers: Tensors

    def __init__(
        self, param: torch.Tensor, group: dict[str, Any], group_index: int, index: int, state: dict[str, Any]
    ) -> None:
        self.param, self.group, self.group_index, self.index, self.state = param, group, group_index, index, state
        self._sharded, self.copies = is_sharded(param), False
        self.is_plain = not self._sharded and not param.is_complex()
        self._value: torch.Tensor | None = None
        self._size: int | None = None

    @property
    def value(self) -> torch.Tensor:
        """The parameter's local real part, made when it is first asked for: many components read gradients alone."""
        if self._value is None:
            value = self.param.detach()
            self._value = value if self.is_plain else local_real(value)
        return self._value

    @property
    def size(self) -> int:
        """Number of real coordinates of the whole parameter, over all its shards."""
        if self._size is None:
            self._size = real_size(self.param)
        return self._size

    def gradient(self) -> torch.Tensor:
        """Give the local real gradient, with values in memory of its own."""
        grad = self.param.grad
        if self.is_plain and not self.copies and grad is not None and grad.layout is torch.strided:
            return grad
        grad = gradient_of(self.param)
        if self._sharded:
            return local_real(grad)
        if self.copies:
            grad = grad.clone()
        return local_real(grad.resolve_conj() if grad.is_complex() else grad)

    @property
    def name(self) -> str:
        """The parameter's place in its group, and its name if it has one."""
        return named(self.param, self.group, self.group_index)


def named(param: torch.Tensor, group: dict[str, Any], group_index: int) -> str:
    """Name a parameter as the user knows it: by its place in its group, and its name where groups have names."""
    at = next((at for at, other in enumerate(group["params"]) if other is param), None)
    return f"parameter ? of group {group_index}" if at is None else named_at(at, group, group_index)


def named_at(at: int, group: dict[str, Any], group_index: int) -> str:
    """Name the parameter at a place of a group; a user may have appended one that is there already."""
    names = group.get("param_names") or ()
    name = f" ({names[at]!r})" if at < len(names) else ""
    return f"parameter {at}{name} of group {group_index}"


def compute_dtype(param: torch.Tensor) -> torch.dtype:
    """Dtype of state and computation: the parameter's own, but never below float32."""
    if param.is_complex():
        return torch.complex128 if param.dtype == torch.complex128 else torch.complex64
    return torch.float64 if param.dtype == torch.float64 else torch.float32


def real_dtype(dtype: torch.dtype) -> torch.dtype:
    """Give the dtype of real and imaginary part."""
    return {torch.complex64: torch.float32, torch.complex128: torch.float64}.get(dtype, dtype)


def state_dtype(param: torch.Tensor, group: Mapping[str, Any]) -> torch.dtype:
    """Dtype of the real parts of a parameter's buffers under a group's settings."""
    return torch.bfloat16 if group.get("state_dtype") == "bfloat16" else real_dtype(compute_dtype(param))


def like_its_parameter(local: torch.Tensor, param: torch.Tensor) -> torch.Tensor:
    """Turn the local real part of a buffer into what its parameter is: complex, sharded, or neither."""
    found = torch.view_as_complex(local) if param.is_complex() else local
    if not is_sharded(param):
        return found
    from torch.distributed.tensor import DTensor

    mesh, placements = param.device_mesh, param.placements  # type: ignore[attr-defined]
    return DTensor.from_local(found, mesh, placements, run_check=False, shape=param.shape, stride=param.stride())


def statistics_dtype(device: torch.device) -> torch.dtype:
    """Dtype of whole-model statistics: float64 wherever the hardware has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def local_part(tensor: torch.Tensor) -> torch.Tensor:
    """Give a tensor's local shard; the tensor itself where it is none."""
    return tensor.to_local() if is_sharded(tensor) else tensor  # type: ignore[attr-defined]


def local_real(tensor: torch.Tensor) -> torch.Tensor:
    """View a tensor's local shard as a dense real tensor."""
    tensor = local_part(tensor)
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def gradient_of(param: torch.Tensor) -> torch.Tensor:
    """Give the parameter's gradient, laid out as the parameter is.

    Raises
    ------
    UnsupportedError
        The gradient is sparse, or the parameter is one of FSDP1's, which do not show how they are sharded.
    """
    grad = param.grad
    assert grad is not None
    if hasattr(param, "_fsdp_flattened"):
        raise UnsupportedError(
            "cannot step on a parameter of FullyShardedDataParallel: statistics over a whole tensor or model would be"
            " those of one process's shards; accepted are parameters of torch.distributed.fsdp.fully_shard (FSDP2),"
            " which are DTensors"
        )
    if grad.layout != torch.strided:
        raise UnsupportedError(
            f"cannot step on a gradient of layout {grad.layout}: found one for a parameter of shape"
            f" {tuple(param.shape)}; accepted are dense gradients (for an embedding, sparse=False)"
        )
    if is_sharded(param) and grad.placements != param.placements:  # type: ignore[attr-defined]
        grad = grad.redistribute(param.device_mesh, param.placements)  # type: ignore[attr-defined]
    return grad


def largest_gradient(dtype: torch.dtype) -> float:
    """Give the power of two below the root of the largest number: gradients up to it have finite squares."""
    return 2.0 ** (math.frexp(torch.finfo(dtype).max)[1] // 2 - 1)


def mask_nonfinite(grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Give a gradient with zeros where it or its square is not finite, and the mask of where they are."""
    keep = grad.abs() <= largest_gradient(grad.dtype)  # what is no number is not
    return torch.where(keep, grad, 0.0), keep


def minimized_gradient(
    param: torch.Tensor, value: torch.Tensor, *, maximize: bool, coupled_decay: float, masks: bool = False
) -> torch.Tensor:
    """Give the local real gradient of what is minimized, in the dtype of the computation.

    Parameters
    ----------
    param, value
        The parameter, which has a gradient, and its local real part.
    maximize
        Turn the sign.
    coupled_decay
        λ of ``g += λ θ``, after that.
    masks
        Take what is not finite for zero, before that.

    Raises
    ------
    UnsupportedError
        See :func:`gradient_of`.
    """
    grad, dtype = gradient_of(param), compute_dtype(param)
    grad = local_real(grad if grad.dtype == dtype else grad.to(dtype))
    if masks:
        grad, _ = mask_nonfinite(grad)
    if maximize:
        grad = -grad
    return grad.add(value, alpha=coupled_decay) if coupled_decay else grad


def sum_over_shards(partials: torch.Tensor, slots: Sequence[HasParam]) -> torch.Tensor:
    """Add partial sums over the shards of their tensors: the only communication that the package does.

    Parameters
    ----------
    partials
        Shape (number of slots, number of statistics), each row from one slot's local shard.
    slots
        Where the rows come from; the order is the same on every rank.

    Returns
    -------
    Tensor
        Same shape; every rank holds the sums over all shards. Rows of tensors that are not sharded come back as they
        are. Each mesh is reduced once, over those of its dimensions along which its tensors are sharded.
    """
    layouts: dict[tuple[Any, Any], list[int]] = {}
    for row, slot in enumerate(slots):
        if is_sharded(slot.param):
            mesh, placements = slot.param.device_mesh, slot.param.placements  # type: ignore[attr-defined]
            split = tuple(not placement.is_replicate() for placement in placements)
            layouts.setdefault((mesh, split), []).append(row)
    if not layouts:
        return partials
    from torch.distributed.tensor import DTensor, Partial, Replicate

    total = partials
    for (mesh, split), rows in layouts.items():
        placements = [Partial("sum") if dim_is_split else Replicate() for dim_is_split in split]
        if len(rows) == len(slots):  # as a rule all are alike, and no rows need to be picked
            return DTensor.from_local(partials, mesh, placements).full_tensor()
        added = DTensor.from_local(partials[rows], mesh, placements).full_tensor()
        total = total.index_copy(0, torch.tensor(rows, device=total.device), added)
    return total


def is_sharded(tensor: torch.Tensor) -> bool:
    """Tell whether a tensor is a ``DTensor``."""
    # Asking for the attribute spares the import of torch.distributed to those who have no shards.
    return hasattr(tensor, "to_local")


def moves_at(rate: float | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Tell, as a 0-d tensor that the host does not wait for, whether a rate moves anything."""
    if isinstance(rate, torch.Tensor):
        return (rate != 0.0).reshape(()).to(device)
    return torch.full((), rate != 0.0, dtype=torch.bool, device=device)


def real_size(param: torch.Tensor) -> int:
    """Count the real coordinates of a whole parameter, over all its shards."""
    return param.numel() * (2 if param.is_complex() else 1)


def stack(rows: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
    """Stack 0-d tensors of perhaps several devices and dtypes into a table, shape (rows, entries of a row)."""
    cells = [cell for row in rows for cell in row]
    if len({(cell.device, cell.dtype) for cell in cells}) == 1 and cells[0].dtype in (torch.float32, torch.float64):
        return torch.stack(cells).view(len(rows), -1)
    dtype = torch.float64 if any(cell.dtype == torch.float64 for cell in cells) else torch.float32
    table = torch.stack([cell.to(device=cells[0].device, dtype=dtype) for cell in cells])
    return table.view(len(rows), -1)
