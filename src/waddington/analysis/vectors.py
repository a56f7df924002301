"""All parameters of a model that require grad as one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from waddington.errors import ArgumentError, UnsupportedError

__all__ = [
    "joined",
    "load_parameter_vector",
    "parameter_vector",
    "parts_of",
    "real_points",
    "trainable",
    "widest",
]


def parameter_vector(model: nn.Module) -> torch.Tensor:
    """Give all parameters that require grad as one vector, a copy; a shared parameter counts once.

    Parameters
    ----------
    model
        A module.

    Returns
    -------
    torch.Tensor
        Of shape (n,), in the widest dtype of the parameters, at least float32, on the device of the first.

    Raises
    ------
    ArgumentError
        No parameter requires grad.
    UnsupportedError
        A parameter is complex or sharded.
    """
    params = [param for _, param in trainable(model)]
    return joined([param.detach() for param in params], widest(params), params[0].device)


def load_parameter_vector(model: nn.Module, vector: torch.Tensor) -> None:
    """Write what :func:`parameter_vector` gave into the parameters that require grad.

    Parameters
    ----------
    model
        Changed in place; every parameter keeps its dtype and device.
    vector
        Of shape (n,).

    Raises
    ------
    ArgumentError
        The vector has another length, or no parameter requires grad.
    UnsupportedError
        A parameter is complex or sharded.
    """
    params = [param for _, param in trainable(model)]
    for param, part in zip(params, parts_of(vector, params), strict=True):
        param.data.copy_(part)


def trainable(model: nn.Module, order: int = 0) -> list[tuple[str, nn.Parameter]]:
    """Give the parameters that require grad, by name, a shared one once.

    Parameters
    ----------
    model
        A module.
    order
        How many derivatives are wanted of them.

    Raises
    ------
    ArgumentError
        It is no module, or there is no coordinate that requires grad.
    UnsupportedError
        A parameter is complex or sharded; at order 2 also: in half precision.
    """
    if not isinstance(model, nn.Module):
        raise ArgumentError(f"cannot analyse model={type(model).__name__}: accepted is a torch.nn.Module")
    named = [(name, param) for name, param in model.named_parameters() if param.requires_grad]
    _check_params(named, order)
    return named


def _check_params(named: Sequence[tuple[str, nn.Parameter]], order: int) -> None:
    for name, param in named:
        if isinstance(param, nn.parameter.UninitializedParameter):
            raise ArgumentError(f"cannot analyse {name!r}: it has no shape yet; accepted is a model that has run once")
        if param.is_complex():
            raise UnsupportedError(f"cannot analyse {name!r}: it is complex; accepted are real parameters")
        if type(param.data) is not torch.Tensor:
            raise UnsupportedError(
                f"cannot analyse {name!r}: it is a {type(param.data).__name__}; accepted: plain tensors"
            )
        if order == 2 and param.dtype not in (torch.float32, torch.float64):
            raise UnsupportedError(
                f"cannot take second derivatives of {name!r}: it is {param.dtype}; accepted: model.float() or .double()"
            )
    if not any(param.numel() for _, param in named):
        what = "every parameter that requires grad is empty" if named else "no parameter requires grad"
        raise ArgumentError(f"cannot analyse a model of which {what}; accepted: at least one coordinate that does")


def parts_of(vector: torch.Tensor, params: Sequence[nn.Parameter]) -> list[torch.Tensor]:
    """Cut a vector of shape (n,) into parts that are shaped, typed and placed as the parameters."""
    size, given = sum(param.numel() for param in params), cast(Any, vector)
    if not isinstance(given, torch.Tensor) or given.is_complex():
        kind = given.dtype if isinstance(given, torch.Tensor) else type(given).__name__
        raise ArgumentError(f"cannot use a vector of {kind}: accepted is a real tensor of shape ({size},)")
    if vector.shape != (size,):
        raise ArgumentError(
            f"cannot use a vector of shape {tuple(vector.shape)}: the model has {size} coordinates that require grad;"
            f" accepted is the shape ({size},)"
        )
    parts = torch.split(vector.detach(), [param.numel() for param in params])
    return [part.view(param.shape).to(param) for part, param in zip(parts, params, strict=True)]


def real_points(name: str, points: Any, size: int | None = None) -> torch.Tensor:
    """Give finite points of shape (T, n) as a tensor of real numbers, in their precision, at least float32.

    Parameters
    ----------
    name
        Of the argument, for messages.
    points
        A tensor or an array.
    size
        What n must be.

    Raises
    ------
    ArgumentError
        Another shape, no real numbers, or points that are not finite.
    """
    wanted = f"points of shape (T, {'n' if size is None else size}), T from 1"
    try:
        found = points if isinstance(points, torch.Tensor) else torch.as_tensor(points, device="cpu")
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArgumentError(f"cannot use {name}={type(points).__name__}: accepted are {wanted}") from error
    if found.dim() != 2 or not found.numel() or (size is not None and found.shape[1] != size) or found.is_complex():
        raise ArgumentError(
            f"cannot use {name} of shape {tuple(found.shape)} and {found.dtype}: accepted are real {wanted}"
        )
    finite = found.isfinite().all(dim=1)
    if not bool(finite.all()):
        raise ArgumentError(
            f"cannot use {name}: {int((~finite).sum())} of {len(found)} points are not finite; accepted are finite"
            f" {wanted}"
        )
    return found.to(torch.promote_types(found.dtype, torch.float32)).detach()


def widest(params: Sequence[torch.Tensor]) -> torch.dtype:
    """Give the dtype that holds all of them, at least float32."""
    dtype = torch.float32
    for param in params:
        dtype = torch.promote_types(dtype, param.dtype)
    return dtype


def joined(parts: Sequence[torch.Tensor], dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    """Join parts that are shaped as the parameters into one vector of shape (n,), a copy."""
    return torch.cat([part.reshape(-1).to(dtype=dtype, device=device) for part in parts])
