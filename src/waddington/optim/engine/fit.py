"""What has to fit before a step is begun: a parameter, its gradient and its state; misfits are refused by name.

A user may swap ``.data``, resize, tie, free and replace between two steps, and a kernel reads and writes wherever it is
told to. So all is held against each other when a layout is made, which it is anew whenever anything was replaced, and
gradients, which are new at every step, whenever they are of another form than before.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, Any, NoReturn

import torch

from waddington._errors import DataError
from waddington.optim.engine.params import ParamSlot, gradient_of, named, named_at
from waddington.optim.kernels.memory import has_memory, is_plain, overlapping
from waddington.optim.rule import Layouts, Rule

if TYPE_CHECKING:
    from waddington.optim.engine.state import RuleState

__all__ = ["Apart", "check_gradient", "check_parameter", "check_state", "may_be_cast"]

_VALUES = "the values"
"""What a parameter's own coordinates are called beside its buffers."""
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
    local = _local(param)
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
    mine, local = _local(param), _local(grad)
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
        if name not in layouts and _local(slot.state[name]).shape != _local(param).shape:
            _refuse(slot, f"its {name} is sharded otherwise than the parameter")
    for name in ("step", *rule.tensor_scalars(slot.group)):
        _refuse(slot, _why_not(slot.state[name], name, (), param, complex=False))


def may_be_cast(entry: Any, dtype: torch.dtype) -> bool:
    """Tell whether an entry of a state is of another dtype than wanted, but of the same kind, and can be read."""
    return (
        isinstance(entry, torch.Tensor)
        and entry.dtype != dtype
        and (entry.is_floating_point(), entry.is_complex()) == (dtype.is_floating_point, dtype.is_complex)
        and has_memory(_local(entry))
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
    if not has_memory(_local(entry)):
        return f"its {name} has no memory: {_freed(_local(entry))}"
    return ""


def _refuse(slot: ParamSlot, reason: str) -> None:
    if reason:
        raise DataError(
            f"cannot step {slot.name}, of shape {tuple(slot.param.shape)}: {reason}; the parameter, its state or a"
            " setting that shapes it was replaced after the state was made: either put entries that fit into"
            " optimizer.state[parameter], or begin its state anew with del optimizer.state[parameter]"
        )


class Apart:
    """Whether all coordinates that a step writes to lie in places of their own; looked at where something moved.

    The values of a parameter that is not stepped may be those of others, too: a frozen one that is tied, or one of two
    views that take turns. A step of either does to the memory what it would do alone. Buffers are their parameter's
    alone at all times, for what is not stepped now may be stepped next.
    """

    def __init__(self) -> None:
        self._tensors: list[torch.Tensor] = []
        self._places: list[tuple[int, int]] = []
        self._stepped: AbstractSet[int] = frozenset()

    def learn(self, optimizer: RuleState) -> None:
        """Take note of where all is, after moves into memory of its own."""
        self._tensors = list(_written(optimizer).values())
        self._places = _places(self._tensors)

    def knows(self, stepped: AbstractSet[int]) -> bool:
        """Tell whether parameters, none of which has moved since, were found to lie apart."""
        return stepped <= self._stepped

    def check(self, optimizer: RuleState, stepped: AbstractSet[int]) -> None:
        """Check that no coordinate that a step may write to is another's as well.

        Parameters
        ----------
        optimizer
            Whose parameters and buffers.
        stepped
            Identities of the parameters that are stepped together.

        Raises
        ------
        DataError
            Names both.
        """
        written = _written(optimizer)
        keys, tensors = list(written), list(written.values())
        same = len(tensors) == len(self._tensors) and all(map(operator.is_, tensors, self._tensors))
        if same and _places(tensors) == self._places and stepped <= self._stepped:
            return
        left = list(range(len(keys)))
        while (found := overlapping([_local(tensors[at]) for at in left])) is not None:
            pair = [left[place] for place in found]
            are_values = all(keys[at][2] == _VALUES for at in pair)
            idle = [at for at in pair if are_values and id(tensors[at]) not in stepped]
            if not idle:
                _refuse_overlap(optimizer, *(keys[at] for at in pair))
            left.remove(idle[0])
        are_all_apart = len(left) == len(keys)
        self._tensors, self._places = tensors, _places(tensors)
        self._stepped = frozenset(map(id, tensors)) if are_all_apart else stepped


def _refuse_overlap(optimizer: RuleState, first: tuple[int, int, str], second: tuple[int, int, str]) -> NoReturn:
    if first == second:
        raise DataError(
            f"cannot step: several coordinates of {_name(optimizer, *first)} lie in one place of memory; accepted are"
            " tensors of their own memory (.clone())"
        )
    raise DataError(
        f"cannot step: {_name(optimizer, *first)} and {_name(optimizer, *second)} lie in one memory, and a step of one"
        " would overwrite the other; accepted is one Parameter in both places (module_b.weight = module_a.weight),"
        " listed once, or memory of its own for each (.clone())"
    )


def _written(optimizer: RuleState) -> dict[tuple[int, int, str], torch.Tensor]:
    """Give parameters and buffers by group, place in the group, and name."""
    found: dict[tuple[int, int, str], torch.Tensor] = {}
    for group_index, group in enumerate(optimizer.param_groups):
        names = optimizer._rule.buffers(group)
        for at, param in enumerate(group["params"]):
            found[group_index, at, _VALUES] = param
            state = optimizer.state.get(param, {})
            for name in names:
                entry = state.get(name)
                if isinstance(entry, torch.Tensor):
                    found[group_index, at, name] = entry
    return found


def _places(tensors: Sequence[torch.Tensor]) -> list[tuple[int, int]]:
    return list(zip(map(torch.Tensor.data_ptr, tensors), map(torch.Tensor.numel, tensors), strict=True))


def _name(optimizer: RuleState, group_index: int, at: int, entry: str) -> str:
    return f"{entry} of {named_at(at, optimizer.param_groups[group_index], group_index)}"


def _local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if hasattr(tensor, "to_local") else tensor


def _freed(tensor: torch.Tensor) -> str:
    if tensor._is_zerotensor():
        return "it is one of torch's zero tensors, which have none"
    held = tensor.untyped_storage().nbytes()
    return f"its storage has {held:,} bytes, too few for {tensor.numel():,} coordinates of {tensor.dtype}"
