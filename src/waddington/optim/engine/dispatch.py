"""How each tensor is to be stepped, and why: a function of sizes and settings alone, so that runs can be repeated."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from waddington.optim.engine.noise import frame_of
from waddington.optim.engine.params import HasGroup, is_sharded, local_real
from waddington.optim.kernels import failures, why_unavailable
from waddington.optim.kernels.devices import why_eager_on
from waddington.optim.rule import Rule, Settings

__all__ = [
    "COMPILE_FROM",
    "Execution",
    "bucket_below",
    "choose_paths",
    "memory_order",
    "merged",
    "rounds_stochastically",
]

COMPILE_FROM = 1 << 12
"""Coordinates on one type of device from which ``compile="auto"`` compiles."""

_BUCKET_BELOW = 1 << 14
_BUCKET_BELOW_ON_GPU = 1 << 11  # where the large ones are compiled
_ADDRESSED = 1 << 31


def bucket_below(device: str, *, compiled: bool) -> int:
    """Give the number of coordinates below which a tensor is laid out with others.

    Parameters
    ----------
    device
        Type of the device.
    compiled
        Whether its other tensors are stepped by kernels. A processor's go through all of them in one call; a GPU's are
        called for one after the other.
    """
    if not compiled:
        return _BUCKET_BELOW
    return 0 if device == "cpu" else _BUCKET_BELOW_ON_GPU


@dataclass(frozen=True)
class Execution:
    """How some of the tensors of an optimizer are stepped.

    Attributes
    ----------
    path
        ``"compiled"``: by a kernel. ``"eager"``: by torch's operations, one tensor after the other. ``"together"``: by
        torch's operations, laid end to end with others.
    reason
        Why so.
    tensors, coordinates
        How many are stepped in this way, and how many coordinates they have on this process.
    """

    path: str
    reason: str
    tensors: int
    coordinates: int

    @property
    def how(self) -> str:
        """The old name of `path`; it warns, and goes with the next release."""
        warnings.warn("Execution.how is called path now", DeprecationWarning, stacklevel=2)
        return self.path

    def __str__(self) -> str:
        return f"{self.path}: {self.tensors:,} tensors, {self.coordinates:,} coordinates ({self.reason})"


def merged(executions: Iterable[Execution]) -> list[Execution]:
    """Add up what is stepped on one path for one reason; the largest comes first."""
    alike: dict[tuple[str, str], list[Execution]] = {}
    for each in executions:
        alike.setdefault((each.path, each.reason), []).append(each)
    found = [
        Execution(*key, sum(each.tensors for each in some), sum(each.coordinates for each in some))
        for key, some in alike.items()
    ]
    return sorted(found, key=lambda each: -each.coordinates)


def choose_paths(rule: Rule, holders: Sequence[HasGroup], among: Iterable[HasGroup] | None = None) -> list[Execution]:
    """Say how each of some tensors is to be stepped.

    Parameters
    ----------
    rule
        What is run.
    holders
        The tensors, with their groups.
    among
        All tensors of the model, whose size decides, if they are not all in `holders`.
    """
    sizes: dict[str, int] = {}
    for holder in holders if among is None else among:
        if holder.group["compile"] is not False:
            local = local_real(holder.param)
            sizes[local.device.type] = sizes.get(local.device.type, 0) + local.numel()
    return [_path(rule, holder.param, holder.group, sizes) for holder in holders]


def _path(rule: Rule, param: torch.Tensor, group: Settings, sizes: dict[str, int]) -> Execution:
    local = local_real(param)
    device, wish = local.device.type, group["compile"]
    reason = _why_eager(rule, group, device, sizes.get(device, 0))
    limit = bucket_below(device, compiled=not reason)
    if wish is not True and not rule.whole_tensor_reason and not is_sharded(param) and 0 < local.numel() < limit:
        return Execution(
            "together", " and ".join(filter(None, [f"fewer than {limit:,} coordinates", reason])), 1, local.numel()
        )
    reason = reason or _why_not_this(param, local, group)
    if reason:
        return Execution("eager", reason, 1, local.numel())
    reason = "compile=True" if wish is True else f"at least {COMPILE_FROM:,} coordinates on the {device}"
    return Execution("compiled", reason, 1, local.numel())


def _why_eager(rule: Rule, group: Settings, device: str, size: int) -> str:
    """Say why tensors of a group are not compiled; empty where they are."""
    if rule.whole_tensor_reason:
        return f"the rule {rule.whole_tensor_reason}"
    if group["compile"] is False:
        return "compile=False"
    if group["compile"] == "auto" and size < COMPILE_FROM:
        return f"the model has fewer than {COMPILE_FROM:,} on the {device}, so compiling would not pay"
    if group["compile"] != "auto":
        return ""
    return why_eager_on(device) or why_unavailable(device) or failures.get(device, "")


def _why_not_this(param: torch.Tensor, local: torch.Tensor, group: Settings) -> str:
    """Say what is in the way of compiling the step of one tensor; empty where nothing is."""
    kind = type(local.detach())
    if kind is not torch.Tensor:
        return f"it is a {kind.__name__}, which may keep its values elsewhere"
    order = memory_order(local)
    if order is None:
        return "its memory has gaps"
    if local.device.type != "cpu" and local.numel() >= _ADDRESSED:
        return f"it has {_ADDRESSED:,} coordinates or more, which a GPU's kernels do not number"
    if not rounds_stochastically(param, group):
        return ""
    if order:
        return "it is rounded stochastically, and its memory is not in the order of its dimensions"
    return "it is rounded stochastically, and sharded along several dimensions" if frame_of(param) is None else ""


def rounds_stochastically(param: torch.Tensor, group: Settings) -> bool:
    """Tell whether anything of a parameter is rounded at random: itself, or its state."""
    itself = group["stochastic_rounding"] and param.dtype == torch.bfloat16
    return bool(itself) or group.get("state_dtype") == "bfloat16"


def memory_order(value: torch.Tensor) -> tuple[int, ...] | None:
    """Give the order of dimensions in which a tensor lies in memory, () if in its own; None if it has gaps."""
    if value.is_contiguous():
        return ()
    order = tuple(sorted(range(value.dim()), key=lambda dim: (value.stride(dim), value.shape[dim]), reverse=True))
    return order if value.permute(order).is_contiguous() else None
