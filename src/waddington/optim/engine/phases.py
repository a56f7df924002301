"""The two phases of a step for one tensor, written once: run as they stand, or compiled to a kernel.

``look`` takes sums over the tensor and changes nothing; ``take`` writes new values in place. Between them the engine
has added sums over shards and drawn conclusions. Nothing that ``look`` computed needs to be kept for ``take``: reading
the moments once more costs less memory than holding new ones, and no more time where both phases are compiled.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from waddington.optim.engine.diagnostics import common_terms
from waddington.optim.engine.names import Choices
from waddington.optim.engine.noise import Words, round_stochastically, slice_of
from waddington.optim.engine.params import mask_nonfinite
from waddington.optim.moments import Number, Numbers
from waddington.optim.rule import Measured, Rule, Settings, Stage, Tensors

__all__ = ["DROPPED", "TAKEN", "Spread", "Take", "Total", "Want", "Work", "look", "take"]

TAKEN = "taken"
"""The number that says whether the step is taken, 1 or 0; where it is missing all steps are."""

DROPPED = "dropped"
"""The sum that counts coordinates without a finite gradient, under ``nonfinite="mask"``."""

Total = Callable[[torch.Tensor], torch.Tensor]
"""Sums one term for each coordinate over the tensor, or over each of several tensors that lie in one."""

Spread = Callable[[torch.Tensor], torch.Tensor]
"""The way back: brings one number per tensor to where it can be computed with."""


@dataclass(frozen=True)
class Work:
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
    def choices(self) -> Settings:
        """The settings as the rule reads them."""
        return Choices(self.settings)


@dataclass(frozen=True)
class Want:
    """Which sums a look is to take: squares of the gradient, the rule's own, those of a rate control's stage.

    With `masks`, coordinates whose gradient is not finite are taken for zero, and counted.
    """

    squares: bool = False
    own: bool = False
    stage: Stage | None = None
    masks: bool = False


@dataclass(frozen=True)
class Take:
    """What is done besides updating.

    Attributes
    ----------
    own
        Sums of the rule's own are taken, for the next step.
    settles
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
    settles: bool = False
    observed: bool = False
    stage: Stage | None = None
    masks: bool = False

    @property
    def sums(self) -> bool:
        """Whether anything is summed while it is written."""
        return self.own or self.observed or self.masks or self.stage is not None


def look(
    work: Work, want: Want, value: torch.Tensor, grad: torch.Tensor, buffers: Tensors, numbers: Numbers, total: Total
) -> tuple[Tensors, Measured | None]:
    """Take sums over a tensor, and change nothing.

    Parameters
    ----------
    work, want
        What is done.
    value, grad, buffers
        The parameter, its gradient and its state, of one shape but for buffers of another layout.
    numbers
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
    choices = work.choices
    terms: Tensors = {}
    if want.masks:
        grad, keep = _masked(work, grad)
        terms[DROPPED] = keep.logical_not()
    grad = _minimized(work, value, grad, numbers)
    terms |= {"grad_sq": grad.square()} if want.squares else {}
    reads = want.stage is not None and bool(want.stage.reads)
    measured = None
    if want.own or want.stage is not None:
        buffers = _raised(work, buffers)
        grad = _prepared(work, grad, buffers, numbers)
        if want.own or reads:
            measured = work.rule.measure(grad, buffers, numbers, choices)
            buffers = buffers | measured.buffers
            terms |= measured.terms if want.own else {}
        if want.stage is not None:
            terms |= want.stage.terms(grad, buffers, numbers)  # type: ignore[arg-type]
    return {name: total(term) for name, term in terms.items()}, measured


def take(
    work: Work,
    wanted: Take,
    value: torch.Tensor,
    grad: torch.Tensor,
    buffers: Tensors,
    numbers: Numbers,
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
    work, value, grad, buffers, numbers, total
        As for :func:`look`; `numbers` has ``rate`` too.
    wanted
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
    choices = work.choices
    before, keep = _raised(work, buffers), None
    if wanted.masks:
        grad, keep = _masked(work, grad)
    grad = _prepared(work, _minimized(work, value, grad, numbers), before, numbers)
    if measured is None:
        measured = work.rule.measure(grad, before, numbers, choices)
    after = before | measured.buffers
    terms: Tensors = {} if keep is None else {DROPPED: keep.logical_not()}
    sums: Tensors = {}
    settled: Tensors = {}
    if wanted.settles:
        assert work.rule.settle is not None
        assert size is not None
        own = {name: total(term) for name, term in (terms | measured.terms).items()}
        sums = {name: own.pop(name) for name in terms}
        terms = {}
        settled = work.rule.settle(own, size, numbers, choices)
        numbers = ChainMap({name: spread(value) for name, value in settled.items()}, numbers)  # type: ignore[arg-type]
    direction = work.rule.update(grad, measured, after, numbers, choices)
    old = value.to(work.dtype)
    new = _stepped(work, old, direction, numbers)
    terms |= measured.terms if wanted.own else {}
    if wanted.observed:
        if work.rule.observe is not None:
            terms |= work.rule.observe(direction, measured, after, numbers, choices)
        terms |= common_terms(old - (new if keep is None else torch.where(keep, new, old)), grad, old)
    if wanted.stage is not None:
        terms |= wanted.stage.terms(grad, {}, {})
    sums |= {name: total(term) for name, term in terms.items()} | (settled if wanted.observed else {})
    if begin is not None:
        begin()
    taken: torch.Tensor | bool | None = numbers[TAKEN] > 0.5 if TAKEN in numbers else keep
    # There are words for the coordinates of the parameter; buffers of another form are rounded by their rule.
    for_buffers = words if work.rule.layouts is None else None
    for place, name in enumerate(measured.buffers, start=1):
        bits = None if for_buffers is None else slice_of(for_buffers, place)
        _write(buffers[name], measured.buffers[name], taken, bits)
    rounds = choices["stochastic_rounding"] and words is not None
    _write(value, new, taken, slice_of(words, 0) if rounds else None)  # type: ignore[arg-type]
    return sums


def _masked(work: Work, grad: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return mask_nonfinite(grad if grad.dtype == work.dtype else grad.to(work.dtype))


def _minimized(work: Work, value: torch.Tensor, grad: torch.Tensor, numbers: Numbers) -> torch.Tensor:
    """Give the gradient of what is minimized."""
    choices = work.choices
    if grad.dtype != work.dtype:
        grad = grad.to(work.dtype)
    if choices["maximize"]:
        grad = -grad
    if "weight_decay" in numbers and not choices["decoupled_weight_decay"]:
        # Not in one operation, which rounds once: where the two cancel, the first step is their sign.
        grad = grad + value.to(work.dtype) * numbers["weight_decay"]
    return grad


def _prepared(work: Work, grad: torch.Tensor, buffers: Tensors, numbers: Numbers) -> torch.Tensor:
    return grad if work.rule.prepare is None else work.rule.prepare(grad, buffers, numbers, work.choices)


def _raised(work: Work, buffers: Tensors) -> Tensors:
    """Give buffers in the dtype of the computation, where it is only for memory that they have another."""
    if work.rule.layouts is not None or all(buffer.dtype == work.dtype for buffer in buffers.values()):
        return buffers
    return {name: buffer.to(work.dtype) for name, buffer in buffers.items()}


def _stepped(work: Work, old: torch.Tensor, direction: torch.Tensor, numbers: Numbers) -> torch.Tensor:
    choices, rate = work.choices, numbers["rate"]
    if "weight_decay" in numbers and choices["decoupled_weight_decay"]:
        decay = numbers["weight_decay"]
        if choices.get("decoupled") == "literal":
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
