"""What an optimizer is in this package: a rule, that is a few pure functions of tensors, and perhaps a rate control.

A rule is stated for one tensor and knows nothing of devices, sizes, shards, groups or files; the engine
(:mod:`waddington.optim._engine`) decides how it is run. Three functions make a rule:

``coefficients(step, settings)``
    What depends on the step alone (bias corrections, schedules). Written elementwise, so that the engine may call it
    with one step or with those of many tensors stacked.
``measure(grad, param, buffers, coefficients, settings)``
    First phase: the new buffers, the partial sums that are to be reduced over the whole tensor, and whatever the second
    phase needs and the buffers do not hold.
``update(grad, measured, buffers, coefficients, settings, totals)``
    Second phase: the direction d of ``param -= rate * d``. `totals` holds the partial sums of the first phase, reduced
    over every shard of the tensor.

A rate control (:mod:`waddington.optim.switching` is one) looks at all tensors of the model between the phases and sets
how large the rate is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch

__all__ = ["Measured", "RateControl", "Rule", "Settings", "Stage", "Tensors"]

Tensors = dict[str, torch.Tensor]
Settings = Mapping[str, Any]
Stage = Callable[[torch.Tensor, Tensors, int, Tensors], Tensors]


class Measured(NamedTuple):
    """What the first phase of a rule gives.

    Attributes
    ----------
    buffers
        New values of the named buffers; the engine writes them into the state.
    partials
        0-d sums over this tensor (over this shard of it, where it is sharded).
    carry
        Tensors kept until the second phase and then dropped.
    """

    buffers: Tensors
    partials: Tensors = {}  # noqa: RUF012  (never written to: a named tuple's default)
    carry: Tensors = {}  # noqa: RUF012


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """An optimizer's mathematics, for one tensor.

    Attributes
    ----------
    buffers
        Names of the buffers that the settings ask for; each has the tensor's shape and starts at zero. The names are
        torch's own, so that states move between torch's optimizers and these.
    coefficients, measure, update
        The three functions of the module's docstring.
    partials
        Names of the partial sums that `measure` gives; where there are any, the engine reduces them before `update`.
    """

    buffers: Callable[[Settings], tuple[str, ...]]
    coefficients: Callable[[torch.Tensor, Settings], Tensors]
    measure: Callable[[torch.Tensor, torch.Tensor, Tensors, Tensors, Settings], Measured]
    update: Callable[[torch.Tensor, Measured, Tensors, Tensors, Settings, Tensors], torch.Tensor]
    partials: tuple[str, ...] = ()


class RateControl(Protocol):
    """Sets one rate for the whole model at each step, from statistics of all its tensors.

    Its state is a flat dictionary of 0-d float64 tensors which the engine keeps, saves and loads.
    """

    @property
    def settings(self) -> tuple[str, ...]:
        """Names of the settings that hold for the whole model and so must agree between parameter groups."""
        ...

    def initial(self, settings: Settings) -> dict[str, float]:
        """Name every entry of the state, and give its first value."""
        ...

    def stages(self, settings: Settings) -> tuple[Stage, ...]:
        """Give the statistics of one tensor, as functions ``(grad, buffers, size, totals) -> partial sums``.

        `size` is the number of coordinates of the whole tensor. Each stage is reduced over shards before the next,
        which finds the results in `totals`.
        """
        ...

    def decide(self, totals: Tensors, count: int, state: Tensors, settings: Settings) -> Tensors:
        """Give the new state.

        Each of `totals` has one entry per tensor; `count` is the number of coordinates of the model.
        """
        ...

    def rate(self, state: Tensors, settings: Settings) -> torch.Tensor:
        """Give the rate of a parameter group under this state, as a 0-d tensor."""
        ...

    def describe(self, state: Mapping[str, float]) -> dict[str, float]:
        """Say what the state means, in numbers for the user."""
        ...
