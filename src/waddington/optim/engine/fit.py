"""What has to fit before a step is begun: a parameter, its gradient and its state; misfits are refused by name.

A user may swap ``.data``, resize, tie, free and replace between two steps, and a kernel reads and writes wherever it is
told to. So all is held against each other when a layout is made, which it is anew whenever anything was replaced, and
gradients, which are new at every step, whenever they are of another form than before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import torch

from waddington.errors import DataError
from waddington.optim.engine.params import ParamSlot, gradient_of, local_part, named
from waddington.optim.kernels.memory import has_memory, is_plain
from waddington.optim.rule import Layouts, Rule

__all__ = ["check_gradient", "check_parameter", "check_state", "may_be_cast", "refuse_nonfinite"]

_COMPUTED_WITH = (
    torch.float32,
    torch.float64,
    torch.bfloat16,
    torch.float16,
    torch.complex64,
    torch.complex128,
    torch.complex32,
)
"""Dtypes of parameters and gradients; those of fewer bits, as float8, are for storing."""


def check_parameter(param: torch.Tensor, group: dict[str, Any], group_index: int) -> None:
    """Check that a parameter can be written to.

    Raises
    ------
    DataError
        Its storage was freed or is too short, or its coordinates share memory with one another, or are kept negated, or
        are of a dtype that cannot be computed with.
    """
    local = local_part(param)
    reason = _why_not_computed_with(param.dtype)
    if reason:
        reason = f"it {reason}"
    elif local.layout is not torch.strided:
        reason = f"it is of layout {local.layout}; accepted are dense parameters"
    elif not has_memory(local):
        reason = _freed(local) + "; give it memory again (parameter.data = ...) before step()"
    elif is_plain(local) and (local.is_neg() or local.is_conj()):
        reason = (
            "its memory holds its values negated or conjugated; accepted are values as they are"
            " (parameter.data = parameter.data.resolve_neg().resolve_conj())"
        )
    if reason:
        raise DataError(f"cannot step {named(param, group, group_index)}, of shape {tuple(param.shape)}: {reason}")


def _why_not_computed_with(dtype: torch.dtype) -> str:
    if dtype in _COMPUTED_WITH:
        return ""
    return f"is of {dtype}, which cannot be computed with; accepted are {', '.join(map(str, _COMPUTED_WITH))}"


def check_gradient(param: torch.Tensor, group: dict[str, Any], group_index: int) -> None:
    """Check that a gradient is its parameter's.

    Raises
    ------
    DataError
        It has another shape, device or kind of number, or a dtype that cannot be computed with, or its storage was
        freed or is too short.
    UnsupportedError
        It is sparse, or the parameter one of FSDP1's.
    """
    gradient_of(param)
    grad = param.grad
    assert grad is not None
    mine, local = local_part(param), local_part(grad)
    if grad.shape != param.shape:
        reason = f"its gradient has shape {tuple(grad.shape)}"
    elif grad.device != param.device:
        reason = f"its gradient is on {grad.device}, and the parameter on {param.device}"
    elif grad.is_complex() != param.is_complex() or not (grad.is_floating_point() or grad.is_complex()):
        reason = f"its gradient is of {grad.dtype}, and the parameter of {param.dtype}"
    elif _why_not_computed_with(grad.dtype):
        reason = f"its gradient {_why_not_computed_with(grad.dtype)}"
    elif not has_memory(local) and not local._is_zerotensor():
        reason = f"its gradient has no memory: {_freed(local)}"
    elif local.shape != mine.shape and type(grad) is type(param):
        reason = f"its gradient has local shape {tuple(local.shape)}, and the parameter {tuple(mine.shape)}"
    else:
        return
    raise DataError(
        f"cannot step {named(param, group, group_index)}, of shape {tuple(param.shape)}: {reason}; accepted are"
        " gradients that fit: set .grad to None and call backward() anew after a parameter was replaced"
    )


def check_state(slot: ParamSlot, layouts: Layouts, rule: Rule) -> None:
    """Check that the entries of a state are its parameter's.

    Parameters
    ----------
    slot
        Whose state.
    layouts
        Shape and dtype of entries that are not like their parameter.
    rule
        Names the entries.

    Raises
    ------
    DataError
        One is no tensor, has another shape, device or kind of number, or its storage was freed or is too short.
    """
    param = slot.param
    for name in rule.buffers(slot.group):
        shape = layouts[name][0] if name in layouts else tuple(param.shape)
        is_complex = layouts[name][1].is_complex if name in layouts else param.is_complex()
        reason = _why_not(slot.state[name], name, shape, param, complex=is_complex)
        _refuse(slot, reason)
        if name not in layouts and local_part(slot.state[name]).shape != local_part(param).shape:
            _refuse(slot, f"its {name} is sharded otherwise than the parameter")
    for name in ("step", *rule.tensor_scalars(slot.group)):
        _refuse(slot, _why_not(slot.state[name], name, (), param, complex=False))


def may_be_cast(entry: Any, dtype: torch.dtype) -> bool:
    """Tell whether an entry of a state is of another dtype than wanted, but of the same kind, and can be read."""
    return (
        isinstance(entry, torch.Tensor)
        and entry.dtype != dtype
        and (entry.is_floating_point(), entry.is_complex()) == (dtype.is_floating_point, dtype.is_complex)
        and has_memory(local_part(entry))
    )


def _why_not(entry: Any, name: str, shape: tuple[int, ...], param: torch.Tensor, *, complex: bool) -> str:
    if not isinstance(entry, torch.Tensor):
        return f"its {name} is a {type(entry).__name__}, no tensor"
    if tuple(entry.shape) != shape:
        return f"its {name} has shape {tuple(entry.shape)}, where it has to have {shape}"
    if shape and entry.device != param.device:
        return f"its {name} is on {entry.device}, and the parameter on {param.device}"
    if entry.layout is not torch.strided or entry.is_complex() != complex:
        return f"its {name} is of {entry.dtype} and layout {entry.layout}, and the parameter of {param.dtype}"
    if entry.is_conj():
        return f"its {name} is kept conjugated"
    if not has_memory(local_part(entry)):
        return f"its {name} has no memory: {_freed(local_part(entry))}"
    return ""


def _refuse(slot: ParamSlot, reason: str) -> None:
    if reason:
        raise DataError(
            f"cannot step {slot.name}, of shape {tuple(slot.param.shape)}: {reason}; the parameter, its state or a"
            " setting that shapes it was replaced after the state was made: either put entries that fit into"
            " optimizer.state[parameter], or begin its state anew with del optimizer.state[parameter]"
        )


def refuse_nonfinite(params: Iterable[torch.Tensor]) -> NoReturn:
    """Refuse a step for the gradients of some parameters.

    Raises
    ------
    DataError
        With the parameters' shapes.
    """
    shapes = ", ".join(str(tuple(param.shape)) for param in params)
    raise DataError(
        f"cannot step: found NaN or infinity in the gradients of parameters of shape {shapes};"
        " accepted are finite gradients (nonfinite='skip' leaves such steps out)"
    )


def _freed(tensor: torch.Tensor) -> str:
    if tensor._is_zerotensor():
        return "it is one of torch's zero tensors, which have none"
    held = tensor.untyped_storage().nbytes()
    return f"its storage has {held:,} bytes, too few for {tensor.numel():,} coordinates of {tensor.dtype}"
