"""What an optimizer of Adam's kind remembers of each parameter, read and not changed."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from waddington.analysis.preconditioner import group_of
from waddington.errors import ArgumentError, UnsupportedError

__all__ = ["AdamState", "adam_states"]


class AdamState(NamedTuple):
    """Moments and settings of one parameter, between two steps.

    Attributes
    ----------
    exp_avg, exp_avg_sq
        m and v, shaped as the parameter.
    step
        Steps that were taken.
    betas, eps
        Settings of its group.
    bias_correction
        Whether the optimizer corrects the moments; one that has no such setting does.
    """

    exp_avg: torch.Tensor
    exp_avg_sq: torch.Tensor
    step: int
    betas: tuple[float, float]
    eps: float
    bias_correction: bool


def adam_states(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[AdamState]:
    """Read the state of every parameter that requires grad, in the model's order.

    Parameters
    ----------
    model
        The model.
    optimizer
        With all of its parameters in its groups, after at least one step.

    Raises
    ------
    ArgumentError
        A parameter is in no group, or has no state yet.
    UnsupportedError
        The optimizer does not keep both moments in the parameter's shape.
    """
    return [_state(optimizer, name, param) for name, param in model.named_parameters() if param.requires_grad]


def _state(optimizer: torch.optim.Optimizer, name: str, param: nn.Parameter) -> AdamState:
    kind, group = type(optimizer).__name__, group_of(optimizer, param)
    if group is None:
        raise ArgumentError(f"cannot use {kind}: {name!r} is in none of its groups; accepted: all parameters in one")
    state = optimizer.state.get(param, {})
    if not state:
        raise ArgumentError(f"cannot use {kind}: it has no state of {name!r}; accepted: after a step that moved it")
    moments = [state.get(each) for each in ("exp_avg", "exp_avg_sq")]
    if "betas" not in group or any(not isinstance(m, torch.Tensor) or m.shape != param.shape for m in moments):
        raise UnsupportedError(
            f"cannot use {kind}: it keeps {', '.join(sorted(state))} of {name!r}; accepted: optimizers that keep"
            " exp_avg and exp_avg_sq in the parameter's shape, and have betas"
        )
    first, second = (moment.detach().to(param.dtype) for moment in moments)
    return AdamState(
        exp_avg=first,
        exp_avg_sq=second,
        step=int(state["step"]),
        betas=(float(group["betas"][0]), float(group["betas"][1])),
        eps=float(group["eps"]),
        bias_correction=bool(group.get("bias_correction", True)),
    )
