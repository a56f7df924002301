"""Stepping inside ``backward()``: each parameter as soon as its gradient is there, which is then freed.

The gradients of a model then never exist all at once. What needs all of them (a switched rate, a norm over the model,
the question whether all are finite) cannot be had, and is refused.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from waddington.errors import UnsupportedError
from waddington.optim.engine.params import is_sharded
from waddington.optim.engine.state import RuleState
from waddington.optim.engine.whole_model import why_all_gradients

__all__ = ["BackwardSteps", "why_not_in_backward"]


def why_not_in_backward(optimizer: RuleState) -> str:
    """Say what an optimizer needs that a step inside backward does not have; empty where there is nothing."""
    group = optimizer.param_groups[0]
    reason = why_all_gradients(optimizer._control, optimizer._rule, group)
    if reason:
        return reason
    if any(is_sharded(param) for each in optimizer.param_groups for param in each["params"]):
        return "its parameters are sharded (DTensor), whose gradients are there only after backward"
    return ""


class BackwardSteps:
    """Hooks that step each parameter when its gradient has been accumulated.

    Parameters
    ----------
    optimizer
        Whose parameters.
    step_one
        Takes the step of one parameter, by its group's place and its own.
    """

    def __init__(self, optimizer: RuleState, step_one: Callable[[torch.Tensor, int, int], None]) -> None:
        self._stepped: set[int] = set()
        self._step_one = step_one
        self._handles = []
        index = -1
        for group_index, group in enumerate(optimizer.param_groups):
            for at, param in enumerate(group["params"]):
                index += 1
                if param.requires_grad:
                    hook = self._hook(optimizer, group_index, at, index)
                    self._handles.append(param.register_post_accumulate_grad_hook(hook))

    def _hook(self, optimizer: RuleState, group_index: int, at: int, index: int) -> Callable[[torch.Tensor], None]:
        def hook(param: torch.Tensor) -> None:
            if not _is_at(optimizer, group_index, at, param):
                raise UnsupportedError(
                    f"cannot step a parameter of shape {tuple(param.shape)} inside backward: it was parameter {at} of"
                    f" group {group_index} and is not any more, so it is not known whose settings are meant; call"
                    " step_in_backward() again after groups were changed"
                )
            if index in self._stepped:
                raise UnsupportedError(
                    "cannot step inside a second backward() before optimizer.step(): gradients are used and freed as"
                    " they come, so none can be accumulated; accepted is one backward() for each step()"
                )
            self._stepped.add(index)
            self._step_one(param, group_index, index)
            param.grad = None

        return hook

    def begin_anew(self) -> None:
        """Allow the next backward."""
        self._stepped.clear()

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()


def _is_at(optimizer: RuleState, group_index: int, at: int, param: torch.Tensor) -> bool:
    """Tell whether a parameter has this place: a user may move it to another group, or take it out."""
    params = [group["params"] for group in optimizer.param_groups[group_index : group_index + 1]]
    return any(len(listed) > at and listed[at] is param for listed in params)
