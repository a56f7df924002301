"""Loading a state so that it keeps its precision, its settings and its distance from the dictionary it came from.

torch's own ``load_state_dict`` casts every floating-point entry to the dtype of its parameter (float32 moments under
bfloat16 parameters lose two thirds of their digits), drops the settings that the saved groups lack, and keeps
references to the loaded tensors.

A kernel computes with whatever it is given, and a spoilt model does not say when it was spoilt. So each entry is looked
at once, when it is loaded: no step count of -5, no moment of NaN, no square below zero. That costs one pass over its
values, and one wait for its device.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch

from waddington.errors import ArgumentError
from waddington.optim.engine.params import compute_dtype, local_real, named, statistics_dtype
from waddington.optim.kernels.memory import has_memory

__all__ = ["load_and_place", "place", "why_not_loaded", "with_present_names"]

_NEVER_NEGATIVE = ("_sq", "_var")
"""How names of averages of squares end: torch's own, and by :class:`~waddington.optim.rule.Rule` every rule's."""

ShapeOf = Callable[[torch.Tensor, dict[str, Any], str], tuple[int, ...] | None]
Place = Callable[[torch.Tensor, dict[str, Any], str, Any], Any]


def load_and_place(
    optimizer: torch.optim.Optimizer,
    load: Callable[[], None],
    put: Place,
    shape_of: ShapeOf,
    needed: Callable[[dict[str, Any]], tuple[str, ...]] = lambda group: (),
    check: Callable[[dict[str, Any]], None] = lambda group: None,
    computed_with: Callable[[dict[str, Any]], Collection[str]] = lambda group: (),
) -> None:
    """Load a state through torch, then put each entry where it belongs.

    Parameters
    ----------
    optimizer
        What is loaded into.
    load
        Calls torch's loading.
    put
        ``(parameter, group, name, saved value) -> value to keep``.
    shape_of
        ``(parameter, group, name) -> shape`` that a saved entry must have; None where any will do.
    needed
        ``group -> names`` of entries without which the state of a parameter that has been stepped is refused.
    check
        Refuses a group as it is going to be.
    computed_with
        ``group -> names`` of entries whose values are looked at (:func:`why_not_loaded`).

    Raises
    ------
    ValueError
        From torch: the groups or their sizes do not match; nothing has been changed.
    ArgumentError
        An entry is missing that is needed, has another shape than its parameter asks for, or holds what no step leaves
        behind, or a setting is refused; nothing has been changed.
    """
    present = [dict(group) for group in optimizer.param_groups]
    captured: list[dict[str, Any]] = []

    def look(_: Any, loaded: dict[str, Any]) -> None:
        captured.append(loaded)
        for group, saved in zip(optimizer.param_groups, loaded["param_groups"], strict=False):
            settings = {**group, **saved}
            check(settings)
            for key in saved["params"]:
                entries = loaded["state"].get(key, {})
                lacking = [name for name in needed(settings) if not isinstance(entries.get(name), torch.Tensor)]
                if "step" in entries and lacking:  # without a step there are the entries of the whole model at most
                    raise ArgumentError(
                        f"cannot load a state of {', '.join(map(str, entries))}: it lacks {', '.join(lacking)};"
                        f" accepted are states of {type(optimizer).__name__}"
                    )
        for param, group, group_index, name, value in _entries(optimizer, loaded):
            shape = shape_of(param, group, name)
            if shape is not None and isinstance(value, torch.Tensor) and tuple(value.shape) != shape:
                raise ArgumentError(
                    f"cannot load {name} of shape {tuple(value.shape)} for a parameter of shape {tuple(param.shape)}:"
                    f" it must have the shape {shape}"
                )
            if shape is not None and isinstance(value, torch.Tensor) and value.is_complex() and not param.is_complex():
                raise ArgumentError(
                    f"cannot load {name} of {value.dtype} for a parameter of {param.dtype}: real numbers are accepted"
                )
            reason = why_not_loaded(name, value) if name in computed_with(group) else ""
            if reason:
                raise ArgumentError(f"cannot load the state of {named(param, group, group_index)}: {reason}")

    # Registered last, it sees what the user's own hooks have made of the state.
    handle = optimizer.register_load_state_dict_pre_hook(look)
    try:
        load()
    finally:
        handle.remove()
    for group, before in zip(optimizer.param_groups, present, strict=True):
        for name, value in before.items():
            group.setdefault(name, value)
    for param, group, _, name, value in _entries(optimizer, captured[-1]):
        optimizer.state[param][name] = put(param, group, name, value)


def _entries(
    optimizer: torch.optim.Optimizer, loaded: Mapping[str, Any]
) -> Iterator[tuple[torch.Tensor, dict[str, Any], int, str, Any]]:
    """Pair the entries of a saved state with the parameters that they are for, by their order as torch does.

    A group's settings are given as they are going to be: those that were saved, where there are such.
    """
    for at, (group, saved) in enumerate(zip(optimizer.param_groups, loaded["param_groups"], strict=False)):
        settings = {**group, **saved, "params": group["params"]}
        for key, param in zip(saved["params"], group["params"], strict=False):
            for name, value in loaded["state"].get(key, {}).items():
                yield param, settings, at, name, value


def with_present_names(state_dict: Mapping[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Give a saved state whose groups have the present names of settings that were renamed since."""
    found = dict(state_dict)
    if renamed and "param_groups" in found:
        groups = found["param_groups"]
        found["param_groups"] = [{renamed.get(name, name): group[name] for name in group} for group in groups]
    return found


def place(param: torch.Tensor, name: str, value: Any, *, is_buffer: bool) -> Any:
    """Copy a loaded entry to the device of its parameter, in the dtype that this package keeps it in."""
    if name == "step":
        return torch.as_tensor(value, dtype=torch.float32, device=param.device).clone()
    if not isinstance(value, torch.Tensor):
        return value
    is_like_param = is_buffer or (value.dim() > 0 and value.shape == param.shape)
    dtype = compute_dtype(param) if is_like_param else statistics_dtype(param.device)
    return value.to(device=param.device, dtype=dtype, copy=True)


def why_not_loaded(name: str, value: Any) -> str:
    """Say why an entry that an optimizer computes with cannot be loaded, or "" if it can.

    Parameters
    ----------
    name
        Of the entry; ``step`` is a count, and what ends in ``_sq`` or ``_var`` is never negative.
    value
        A tensor; a count may be a number, as older states have it.
    """
    if name == "step":
        return _why_no_count(value)
    if not isinstance(value, torch.Tensor):
        return ""  # what is no tensor is refused where the entry's form is held against its parameter
    local = local_real(value.detach())
    if local.is_meta or local.layout is not torch.strided or not local.numel() or not local.is_floating_point():
        return ""
    if not has_memory(local):
        return "" if local._is_zerotensor() else f"{name}: its storage was freed; accepted are tensors with memory"
    low, high = torch.stack(torch.aminmax(local if local.element_size() > 1 else local.float())).tolist()
    broken = next((end for end in (low, high) if not math.isfinite(end)), None)
    if broken is not None:
        return f"{name}, which holds {broken}: accepted are finite numbers"
    if low < 0.0 and name.endswith(_NEVER_NEGATIVE):
        return f"{name}, which holds {low:g}: it is an average of squares; accepted are numbers from 0"
    return ""


def _why_no_count(value: Any) -> str:
    found = value
    if isinstance(value, torch.Tensor):
        if value.is_meta:
            return ""
        local = local_real(value.detach())
        if local.dim() or value.is_complex() or not has_memory(local):
            return f"step of shape {tuple(value.shape)} and {value.dtype}: accepted is one whole number from 0"
        found = local.item()
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    if is_number and math.isfinite(found) and found >= 0 and found == int(found):
        return ""
    return f"step={found!r}: accepted is one whole number from 0"
