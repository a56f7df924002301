"""What is added to a step: AMVT's fourth module (Section 3.1), each piece usable alone.

"Deep learning optimization using adaptive gradient methods: a mathematical framework for enhanced convergence" decays
weights after the step (Algorithm 1, line j) and names update clipping without a formula. Every function is pure, works
on any shape, and reads no value on the host.
"""

from __future__ import annotations

import torch

from waddington._checks import check_in_range
from waddington.optim.moments import Number

__all__ = ["clip_update", "decay"]


def decay(param: torch.Tensor, rate: float | torch.Tensor, weight_decay: float, literal: bool = False) -> torch.Tensor:
    """Term that weight decay takes off a parameter, by either of two readings.

    Parameters
    ----------
    param
        θ_{t-1}, the parameter before the step.
    rate
        Base rate α of the step, a number or 0-d.
    weight_decay
        λ.
    literal
        False: ``α λ θ``, decoupled decay as torch's AdamW has it (Loshchilov & Hutter 2019), which follows the schedule
        of the rate. True: ``λ θ``, as Algorithm 1 is printed, the same at any rate: with AdamW's usual λ = 0.01 weights
        then halve within 69 steps.

    Returns
    -------
    Tensor
        Shape of `param`.
    """
    return param * weight_decay if literal else param * (rate * weight_decay)


def clip_update(direction: torch.Tensor, bound: Number) -> torch.Tensor:
    """Limit each coordinate of an update to ``[-bound, bound]``.

    Parameters
    ----------
    direction
        Real update, any shape, in the units of `bound`: for a direction before the rate is applied, a bound of 1 allows
        each coordinate one rate per step.
    bound
        Largest absolute value to let through, in (0, inf]; a tensor is not checked.

    Raises
    ------
    ArgumentError
        `bound` outside its range.
    """
    if isinstance(bound, torch.Tensor):
        return torch.clamp(direction, -bound, bound)
    check_in_range("bound", bound, 0.0, open_low=True)
    return direction.clamp(-bound, bound)
