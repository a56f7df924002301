"""The two phases of a step for one tensor, written once: run as they stand, or compiled to a kernel.

``collect_stats`` takes sums over the tensor and changes nothing; ``apply_update`` writes new values in place. Between
them the engine has added sums over shards and drawn conclusions. Nothing that the first computed needs to be kept for
the second: reading the moments once more costs less memory than holding new ones, and no more time where both phases
are compiled.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from waddington.optim.engine.diagnostics import common_terms
from waddington.optim.engine.names import Flags
from waddington.optim.engine.noise import Words, round_stochastically, slice_of
from waddington.optim.engine.params import mask_nonfinite
from waddington.optim.moments import Number, Numbers
from waddington.optim.rule import Measured, Rule, Settings, Stage, Tensors

__all__ = [
    "DROPPED",
    "TAKEN",
    "BoundRule",
    "Spread",
    "StatsSpec",
    "Total",
    "UpdateSpec",
    "apply_update",
    "collect_stats",
]

TAKEN = "taken"
"""The number that says whether the step is taken, 1 or 0; where it is missing all steps are."""

DROPPED = "dropped"
"""The sum that counts coordinates without a finite gradient, under ``nonfinite="mask"``."""

Total = Callable[[torch.Tensor], torch.Tensor]
"""Sums one term for each coordinate over the tensor, or over each of several tensors that lie in one."""

Spread = Callable[[torch.Tensor], torch.Tensor]
"""The way back: brings one number per tensor to where it can be computed with."""


@dataclass(frozen=True)
class BoundRule:
    """A rule under the settings that are no numbers.

    Attributes
    ----------
    rule
        The mathematics.
    settings
        Names and values of those settings, which can be hashed.
    dtype
        Of the computation.
    """

    rule: Rule
    settings: tuple[tuple[str, Any], ...]
    dtype: torch.dtype

    @cached_property
    def flags(self) -> Settings:
        """The settings as the rule reads them."""
        return Flags(self.settings)


@dataclass(frozen=True)
class StatsSpec:
    """Which sums are to be taken: squares of the gradient, the rule's own, those of a rate control's stage.

    With `masks`, coordinates whose gradient is not finite are taken for zero, and counted.
    """

    squares: bool = False
    own: bool = False
    stage: Stage | None = None
    masks: bool = False


@dataclass(frozen=True)
class UpdateSpec:
    """What is done besides updating.

    Attributes
    ----------
    own
        Sums of the rule's own are taken, for the next step.
    uses_sums
        Sums of the rule's own are taken first, and what follows from them is used: one tensor after the other, which
        then is read from memory once and from cache the second time.
    observed
        Sums for diagnostics are taken.
    stage
        Sums of a rate control's stage are taken, which reads the gradient alone.
    masks
        Coordinates whose gradient is not finite stay as they are, and are counted.
    """

    own: bool = False
    uses_sums: bool = False
    observed: bool = False
    stage: Stage | None = None
    masks: bool = False

    @property
    def sums(self) -> bool:
        """Whether anything is summed while it is written."""
        return self.own or self.observed or self.masks or self.stage is not None


def collect_stats(
    bound: BoundRule,
    stats: StatsSpec,
    value: torch.Tensor,
    grad: torch.Tensor,
    buffers: Tensors,
    scalars: Numbers,
    total: Total,
) -> tuple[Tensors, Measured | None]:
    """Take sums over a tensor, and change nothing.

    Parameters
    ----------
    bound, stats
        What is done.
    value, grad, buffers
        The parameter, its gradient and its state, of one shape but for buffers of another layout.
    scalars
        See :mod:`waddington.optim.rule`.
    total
        How terms are summed.

    Returns
    -------
    sums
        By name.
    measured
        What the rule's first phase gave, if it was run.
    """
    flags = bound.flags
    terms: Tensors = {}
    if stats.masks:
        grad, keep = _masked(bound, grad)
        terms[DROPPED] = keep.logical_not()
    grad = _minimized(bound, value, grad, scalars)
    terms |= {"grad_sq": grad.square()} if stats.squares else {}
    reads = stats.stage is not None and bool(stats.stage.reads) and not stats.stage.before
    measured = None
    if stats.own or stats.stage is not None:
        buffers = _raised(bound, buffers)
        grad = _prepared(bound, grad, buffers, scalars)
        after = buffers
        if stats.own or reads:
            measured = bound.rule.update_moments(grad, buffers, scalars, flags)
            after = buffers | measured.buffers
            terms |= measured.terms if stats.own else {}
        if stats.stage is not None:
            seen = buffers if stats.stage.before else after
            terms |= stats.stage.terms(grad, seen, scalars)  # type: ignore[arg-type]
    return {name: total(term) for name, term in terms.items()}, measured


def apply_update(
    bound: BoundRule,
    update: UpdateSpec,
    value: torch.Tensor,
    grad: torch.Tensor,
    buffers: Tensors,
    scalars: Numbers,
    total: Total,
    spread: Spread,
    *,
    size: torch.Tensor | None = None,
    measured: Measured | None = None,
    words: Words | None = None,
    begin: Callable[[], None] | None = None,
) -> Tensors:
    """Write the new values of a tensor and of its buffers, unless the step is being left out.

    Parameters
    ----------
    bound, value, grad, buffers, scalars, total
        As for :func:`collect_stats`; `scalars` has ``rate`` too.
    update
        What to do on the way.
    spread
        The inverse of `total`.
    size
        Number of coordinates of the tensor, or of each of several; needed where something is settled.
    measured
        What the first phase gave, if it was kept.
    words
        64 random bits for each coordinate, where values are rounded stochastically.
    begin
        Called when all is computed, before the first is written.

    Returns
    -------
    dict
        The sums, and what was settled if diagnostics want to know.
    """
    flags = bound.flags
    before, keep = _raised(bound, buffers), None
    if update.masks:
        grad, keep = _masked(bound, grad)
    grad = _prepared(bound, _minimized(bound, value, grad, scalars), before, scalars)
    if measured is None:
        measured = bound.rule.update_moments(grad, before, scalars, flags)
    after = before | measured.buffers
    terms: Tensors = {} if keep is None else {DROPPED: keep.logical_not()}
    sums: Tensors = {}
    derived: Tensors = {}
    if update.uses_sums:
        assert bound.rule.from_sums is not None
        assert size is not None
        own = {name: total(term) for name, term in (terms | measured.terms).items()}
        sums = {name: own.pop(name) for name in terms}
        terms = {}
        derived = bound.rule.from_sums(own, size, scalars, flags)
        scalars = ChainMap({name: spread(value) for name, value in derived.items()}, scalars)  # type: ignore[arg-type]
    direction = bound.rule.update(grad, measured, after, scalars, flags)
    old = value.to(bound.dtype)
    new = _stepped(bound, old, direction, scalars)
    terms |= measured.terms if update.own else {}
    if update.observed:
        if bound.rule.observe is not None:
            terms |= bound.rule.observe(direction, measured, after, scalars, flags)
        terms |= common_terms(old - (new if keep is None else torch.where(keep, new, old)), grad, old)
    if update.stage is not None:
        terms |= update.stage.terms(grad, {}, {})
    sums |= {name: total(term) for name, term in terms.items()} | (derived if update.observed else {})
    if begin is not None:
        begin()
    taken: torch.Tensor | bool | None = scalars[TAKEN] > 0.5 if TAKEN in scalars else keep
    # There are words for the coordinates of the parameter; buffers of another form are rounded by their rule.
    for_buffers = words if bound.rule.layouts is None else None
    for place, (name, what) in enumerate(_apart(measured.buffers, buffers).items(), start=1):
        bits = None if for_buffers is None else slice_of(for_buffers, place)
        _write(buffers[name], what, taken, bits)
    rounds = flags["stochastic_rounding"] and words is not None
    _write(value, new, taken, slice_of(words, 0) if rounds else None)  # type: ignore[arg-type]
    return sums


def _apart(new: Tensors, buffers: Tensors) -> Tensors:
    """Copy what is both one buffer's old value and another's new one: they are written one after the other."""
    held = {id(buffer): name for name, buffer in buffers.items()}
    return {name: what.clone() if held.get(id(what), name) != name else what for name, what in new.items()}


def _masked(bound: BoundRule, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return mask_nonfinite(grad if grad.dtype == bound.dtype else grad.to(bound.dtype))


def _minimized(bound: BoundRule, value: torch.Tensor, grad: torch.Tensor, scalars: Numbers) -> torch.Tensor:
    """Give the gradient of what is minimized."""
    flags = bound.flags
    if grad.dtype != bound.dtype:
        grad = grad.to(bound.dtype)
    if flags["maximize"]:
        grad = -grad
    if "weight_decay" in scalars and not flags["decoupled_weight_decay"]:
        # Not in one operation, which rounds once: where the two cancel, the first step is their sign.
        grad = grad + value.to(bound.dtype) * scalars["weight_decay"]
    return grad


def _prepared(bound: BoundRule, grad: torch.Tensor, buffers: Tensors, scalars: Numbers) -> torch.Tensor:
    return grad if bound.rule.prepare is None else bound.rule.prepare(grad, buffers, scalars, bound.flags)


def _raised(bound: BoundRule, buffers: Tensors) -> Tensors:
    """Give buffers in the dtype of the computation, where it is only for memory that they have another."""
    if bound.rule.layouts is not None or all(buffer.dtype == bound.dtype for buffer in buffers.values()):
        return buffers
    return {name: buffer.to(bound.dtype) for name, buffer in buffers.items()}


def _stepped(bound: BoundRule, old: torch.Tensor, direction: torch.Tensor, scalars: Numbers) -> torch.Tensor:
    flags, rate = bound.flags, scalars["rate"]
    if "weight_decay" in scalars and flags["decoupled_weight_decay"]:
        decay = scalars["weight_decay"]
        if not bound.rule.decays_by_rate(flags):
            return _plus(_plus(old, direction, -rate), old, -decay)
        direction = _plus(direction, old, decay)
    return _plus(old, direction, -rate)


def _plus(to: torch.Tensor, what: torch.Tensor, factor: Number) -> torch.Tensor:
    if isinstance(factor, torch.Tensor):
        return to + what * factor
    return torch.add(to, what, alpha=factor)


def _write(
    target: torch.Tensor, new: torch.Tensor, taken: torch.Tensor | bool | None, bits: torch.Tensor | None
) -> None:
    if bits is not None and target.dtype == torch.bfloat16:
        new = round_stochastically(new.to(torch.float32), bits)
    if taken is None:
        target.copy_(new)
    elif new.dtype == target.dtype and not torch.compiler.is_exporting():
        torch.where(taken, new, target, out=target)  # type: ignore[arg-type]
    else:
        target.copy_(torch.where(taken, new, target.to(new.dtype)))  # type: ignore[arg-type]
