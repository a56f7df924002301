"""What a kernel is: a phase of a step, for tensors of some dtypes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from waddington.optim.engine.noise import Frame, coordinates, random_words
from waddington.optim.engine.phases import BoundRule, StatsSpec, UpdateSpec, apply_update, collect_stats
from waddington.optim.kernels.trace import Program, trace
from waddington.optim.moments import Numbers
from waddington.optim.rule import Tensors

__all__ = ["SCALARS", "SUMS", "Recipe", "examples", "perform", "programs_of"]

SCALARS = 48
"""Length of the row of numbers that a kernel is given; what it does not use it does not read."""

SUMS = 24
"""Length of the row that a kernel writes its sums to; a whole number of 16 bytes, which GPUs want."""


@dataclass(frozen=True)
class Recipe:
    """What a kernel is.

    Attributes
    ----------
    bound, phase
        What is done.
    scalars
        Names of the numbers, each with its place in the row that the kernel is given.
    device
        Type of the device.
    dtype
        Of parameter and gradient.
    buffers
        Names and dtypes of the buffers.
    rounds
        Whether anything is rounded stochastically.
    cut
        Whether tensors may be shards that are cut along another dimension than the first, so that their coordinates are
        not neighbours in the whole tensor.
    """

    bound: BoundRule
    phase: StatsSpec | UpdateSpec
    scalars: tuple[tuple[str, int], ...]
    device: str
    dtype: torch.dtype
    buffers: tuple[tuple[str, torch.dtype], ...]
    rounds: bool
    cut: bool = False


def perform(
    recipe: Recipe,
    value: torch.Tensor,
    grad: torch.Tensor,
    buffers: Sequence[torch.Tensor],
    row: Sequence[torch.Tensor] | torch.Tensor,
    noise: Sequence[torch.Tensor],
) -> Tensors:
    """Do what a kernel of a recipe does, by torch's operations.

    Parameters
    ----------
    recipe
        What is done.
    value, grad, buffers
        One tensor, in one dimension, its gradient, and the buffers in the recipe's order.
    row
        The numbers, 0-d each.
    noise
        Where something is rounded stochastically: salt, and the three numbers of the frame, 0-d, int64.

    Returns
    -------
    dict
        The sums by name, 0-d.
    """
    named = {name: buffer for (name, _), buffer in zip(recipe.buffers, buffers, strict=True)}
    scalars: Numbers = {name: row[place] for name, place in recipe.scalars}

    def total(term: torch.Tensor) -> torch.Tensor:
        return term.to(recipe.bound.dtype).sum()

    if isinstance(recipe.phase, StatsSpec):
        return collect_stats(recipe.bound, recipe.phase, value, grad, named, scalars, total)[0]
    size = row[dict(recipe.scalars)["size"]] if recipe.phase.uses_sums else None
    words = None
    if recipe.rounds:
        salt, *frame = noise
        index = torch.arange(value.numel(), device=value.device)
        # Processors do not divide several integers at once, and only shards need it.
        places = coordinates(index, Frame(*frame)) if recipe.cut else index + frame[2]  # type: ignore[arg-type]
        words = random_words(places, salt)
    return apply_update(recipe.bound, recipe.phase, value, grad, named, scalars, total, _same, size=size, words=words)


def _same(found: torch.Tensor) -> torch.Tensor:
    return found


def programs_of(recipe: Recipe) -> tuple[Program, Program]:
    """Write down what a kernel of a recipe does, for tensors of two lengths.

    Their inputs are ``value``, ``grad``, ``buffer_0`` and so on, ``number_`` with the place in the row, and where
    something is rounded stochastically ``salt``, ``local``, ``whole`` and ``start``. The programs differ where the rule
    computes with the length of a tensor.

    Raises
    ------
    UnsupportedError
        The rule does what cannot be written down.
    """
    one, other = (_traced(recipe, length) for length in (7, 11))
    return one, other


def _traced(recipe: Recipe, length: int) -> Program:
    value, grad, buffers, row, noise = examples(recipe, length)
    vectors = {"value": value, "grad": grad} | {f"buffer_{place}": buffer for place, buffer in enumerate(buffers)}
    scalars = {f"number_{place}": number for place, number in enumerate(row.unbind())}
    drawn = dict(zip(("salt", "local", "whole", "start"), noise, strict=False))

    def phase(**given: torch.Tensor) -> Tensors:
        held = [given[f"buffer_{place}"] for place in range(len(buffers))]
        row, noise = ([given[name] for name in names] for names in (scalars, drawn))
        return perform(recipe, given["value"], given["grad"], held, row, noise)

    return trace(phase, vectors | scalars | drawn)


def examples(
    recipe: Recipe, length: int, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
    """Give something to :func:`perform` a recipe on: zeros, and a row of ones."""

    def fresh(dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(length, dtype=dtype, device=device)

    row = torch.ones(SCALARS, dtype=recipe.bound.dtype, device=device)
    noise = [torch.tensor(number, device=device) for number in (0, length, length, 0)] if recipe.rounds else []
    return fresh(recipe.dtype), fresh(recipe.dtype), [fresh(dtype) for _, dtype in recipe.buffers], row, noise
