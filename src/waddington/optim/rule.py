"""What an optimizer is in this package: a rule, that is a few pure functions of tensors, and perhaps a rate control.

A rule is stated for one tensor and knows nothing of devices, sizes, shards, groups or files; the engine
(:mod:`waddington.optim.engine.optimizer`) decides how it is run. Its parts, in the order of a step:

``scalars(step, tensor_scalars, settings)``
    What depends on no coordinate: decays, bias corrections, schedules, factors per tensor. Called with the values of
    many tensors stacked, shape (tensors,), so it is written elementwise; where all have taken the same number of steps
    and the host may know it, `step` is a Python number.
``update_moments(grad, buffers, scalars, flags)``
    First phase: the new buffers, the terms of sums that are to be taken over the whole tensor, and whatever the second
    phase needs and the buffers do not hold. It may be run twice for one step, rather than have its results kept.
``from_sums(totals, size, scalars, flags)``
    What follows from those sums, again for many tensors stacked or for one; only for rules that have some.
``update(grad, measured, buffers, scalars, flags)``
    Second phase: the direction d of ``param -= rate * d``. `scalars` holds what `from_sums` gave, too.
``observe(direction, measured, buffers, scalars, flags)``
    Terms of sums for those who asked for diagnostics; not called for anybody else.

The functions of coordinates never see a number of the settings: what they compute with is in `scalars`, as the
function of that name and `from_sums` give it, and may be a Python number, a 0-d tensor or a tensor with one entry per
coordinate. `flags` are the settings that are no numbers. So a compiled rule stays compiled when a rate, a decay or a
threshold is changed. What is switched off by a number (a threshold of 0) is left out of `scalars`, and its name asked
for.

Buffers, sums and numbers have names of the rule's own. Those that the engine keeps, such as ``step`` of the buffers and
``rate`` and ``size`` of the numbers, are refused when the optimizer is made, with a list of them.

Some rules remember numbers per tensor (a momentum weight, a variance). They name them in `tensor_scalars`, and an entry
of that name in what `scalars` or `from_sums` give is the number's new value.

A rate control (:mod:`waddington.optim.switching` is one) looks at all tensors of the model between the phases and sets
how large the rate is.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import torch

from waddington.optim.moments import Arithmetic, Number, Numbers

__all__ = ["Layouts", "Measured", "RateControl", "Rule", "Settings", "Stage", "Tensors"]

Tensors = dict[str, torch.Tensor]
"""Tensors by name: buffers, terms of sums."""
Layouts = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape and dtype of buffers by name."""
Settings = Mapping[str, Any]
"""Entries of a parameter group by name."""


class Measured(NamedTuple):
    """What the first phase of a rule gives.

    Attributes
    ----------
    buffers
        New values of the named buffers; the engine writes them into the state.
    terms
        What is to be summed over the tensor: one term for each coordinate, numbers or truth values.
    saved
        Tensors kept until the second phase and then dropped.
    """

    buffers: Tensors
    terms: Tensors = {}  # noqa: RUF012  (never written to: a named tuple's default)
    saved: Tensors = {}  # noqa: RUF012

    @property
    def carry(self) -> Tensors:
        """The old name of `saved`; it warns, and goes with the next release."""
        warnings.warn("Measured.carry is called saved now", DeprecationWarning, stacklevel=2)
        return self.saved


class Stage(NamedTuple):
    """One round of a rate control's statistics.

    Attributes
    ----------
    terms
        ``(grad, buffers, totals) -> terms`` of sums over one tensor. `totals` has the sums of the rounds before, and
        ``size``, the number of coordinates of the whole tensor.
    reads
        The buffers that it looks at, as they are after the step.
    before
        Whether it looks at them as they were before the step instead. `totals` then has the rule's scalars, too.
    """

    terms: Callable[[torch.Tensor, Tensors, Tensors], Tensors]
    reads: tuple[str, ...] = ()
    before: bool = False


def _moments(settings: Settings) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq")


def _always(settings: Settings) -> bool:
    return True


def _none(settings: Settings) -> tuple[str, ...]:
    return ()


def _nothing(step: torch.Tensor, settings: Settings) -> Tensors:
    return {}


def _nobody(settings: Settings) -> str:
    return ""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Rule:
    """An optimizer's mathematics, for one tensor.

    Attributes
    ----------
    buffers
        Names of the buffers that the settings ask for; each has the tensor's shape and starts at zero. The names are
        torch's own, so that states move between torch's optimizers and these. A name that ends in ``_sq`` or ``_var``
        says that no value is negative, which is looked at when a state is loaded.
    scalars, update_moments, from_sums, update, observe
        The functions of the module's docstring; `from_sums` and `observe` may be missing.
    needs_sums
        Whether the settings ask for `from_sums`; where no group does, no sums are taken.
    sums_for_next_step
        Whether the next step is the first to use what `from_sums` gives, so that the sums may be taken while updating.
    layouts
        Shape and dtype of buffers that are not like their parameter, by name, ``(parameter, settings) -> layouts``.
    whole_tensor_reason
        What the rule does that cannot be done with parts of a tensor, as the end of "it ..."; empty where all can. Such
        rules see tensors in their own shape, are not compiled, and find all settings among their choices.
    init_missing
        Buffers that a loaded state of another optimizer lacks, ``(buffers, step, settings) -> buffers``, where zero is
        not what they would be; None makes them zero.
    required
        Buffers that a loaded state must have: without them its step count is of no use. All others can be begun. As a
        rule the two moments, where the rule has them.
    tensor_scalars
        Names of the numbers that the rule remembers for each tensor.
    tensor_scalars_after
        Those numbers as they are after so many steps of a plain Adam, ``(step, settings) -> scalars``: a state that
        comes from there has none, and a fresh one has taken no step.
    needs_norm
        Which of the settings ask for the norm of all gradients before anything else, in words; empty where none does.
    from_norm
        What follows from that norm, ``(norm, settings) -> scalars``, 0-d.
    prepare
        The gradient that the rule is to work on, ``(grad, buffers, scalars, flags) -> grad``; None leaves gradients
        as they are.
    rate_factor
        What the rate is multiplied by at a step, ``(step, settings) -> factor``, elementwise; None is 1. Decay that is
        coupled to the rate is scaled with it.
    decays_by_rate
        Whether the settings have decoupled decay multiplied by the rate, as AdamW does; False: ``θ -= λ θ`` at any
        rate. Called with the settings that are words, True or False alone.
    reported
        Scalars that diagnostics show for each tensor.
    ratios
        Figures that diagnostics show, each the quotient of two of `observe`'s sums, which are then not shown.
    """

    buffers: Callable[[Settings], tuple[str, ...]]
    scalars: Callable[[Number, Tensors, Settings], dict[str, Number]]
    update_moments: Callable[[torch.Tensor, Tensors, Numbers, Settings], Measured]
    update: Callable[[torch.Tensor, Measured, Tensors, Numbers, Settings], torch.Tensor]
    from_sums: Callable[[Tensors, torch.Tensor, Numbers, Settings], Tensors] | None = None
    needs_sums: Callable[[Settings], bool] = _always
    sums_for_next_step: bool = False
    observe: Callable[[torch.Tensor, Measured, Tensors, Numbers, Settings], Tensors] | None = None
    layouts: Callable[[torch.Tensor, Settings], Layouts] | None = None
    whole_tensor_reason: str = ""
    init_missing: Callable[[Tensors, torch.Tensor, Settings], Tensors] | None = None
    required: Callable[[Settings], tuple[str, ...]] = _moments
    tensor_scalars: Callable[[Settings], tuple[str, ...]] = _none
    tensor_scalars_after: Callable[[torch.Tensor, Settings], Tensors] = _nothing
    needs_norm: Callable[[Settings], str] = _nobody
    from_norm: Callable[[torch.Tensor, Settings], Tensors] | None = None
    prepare: Callable[[torch.Tensor, Tensors, Numbers, Settings], torch.Tensor] | None = None
    rate_factor: Callable[[Number, Settings], Number] | None = None
    decays_by_rate: Callable[[Settings], bool] = _always
    reported: tuple[str, ...] = ()
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)


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
        """Give the rounds of statistics; each is summed over shards before the next."""
        ...

    def defers_stats(self, state: Mapping[str, float], settings: Settings) -> bool:
        """Tell whether the coming step's rate is settled already, so that statistics may be taken while writing.

        Only ever asked where the host may read the state; the stage then reads no buffers.
        """
        ...

    def summarize(self, totals: Tensors, sizes: torch.Tensor, settings: Settings) -> torch.Tensor:
        """Make one number of the model's statistics, 0-d; `totals` and `sizes` have one entry per tensor."""
        ...

    def decide(self, summary: Number, state: Numbers, settings: Settings, arithmetic: Arithmetic) -> dict[str, Number]:
        """Give the new state; all are Python numbers, or all 0-d tensors, and `arithmetic` has functions of either."""
        ...

    def rate(self, state: Numbers, settings: Settings) -> Number:
        """Give the rate of a parameter group under this state."""
        ...

    def describe(self, state: Mapping[str, float]) -> dict[str, float]:
        """Say what the state means, in numbers for the user."""
        ...
