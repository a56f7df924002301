"""What a kernel is: a phase of a step, for tensors of some dtypes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from waddington.optim._identity import identity, processor, sources
from waddington.optim._noise import Frame, coordinates, random_words
from waddington.optim._phases import Take, Want, Work, look, take
from waddington.optim._rule import Tensors
from waddington.optim.moments import Numbers

__all__ = ["NUMBERS", "SUMS", "Recipe", "examples", "names_of", "perform"]

NUMBERS = 48
"""Length of the row of numbers that a kernel is given; what it does not use it does not read."""

SUMS = 24
"""Length of the row that a kernel writes its sums to; a whole number of 16 bytes, which GPUs want."""


@dataclass(frozen=True)
class Recipe:
    """What a kernel is.

    Attributes
    ----------
    work, phase
        What is done.
    numbers
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

    work: Work
    phase: Want | Take
    numbers: tuple[tuple[str, int], ...]
    device: str
    dtype: torch.dtype
    buffers: tuple[tuple[str, torch.dtype], ...]
    rounds: bool
    cut: bool = False

    def key(self) -> str:
        """Give the name under which the kernel is kept."""
        rule, stage = self.work.rule, getattr(self.phase, "stage", None)
        functions = [rule.measure, rule.settle, rule.update, rule.prepare, rule.observe, stage and stage.terms]
        parts = [
            *(identity(function) for function in functions if function is not None),
            repr((self.work.settings, self.work.dtype, self.numbers, self.dtype, self.buffers, self.rounds, self.cut)),
            repr((type(self.phase).__name__, [v for v in vars(self.phase).values() if isinstance(v, bool)])),
            repr((sources(), torch.__version__, self.device)),
            processor(),
        ]
        if self.device == "cuda":
            parts.append(repr(torch.cuda.get_device_capability()))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


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
    numbers: Numbers = {name: row[place] for name, place in recipe.numbers}

    def total(term: torch.Tensor) -> torch.Tensor:
        return term.to(recipe.work.dtype).sum()

    if isinstance(recipe.phase, Want):
        return look(recipe.work, recipe.phase, value, grad, named, numbers, total)[0]
    size = row[dict(recipe.numbers)["size"]] if recipe.phase.settles else None
    words = None
    if recipe.rounds:
        salt, *frame = noise
        index = torch.arange(value.numel(), device=value.device)
        # Processors do not divide several integers at once, and only shards need it.
        places = coordinates(index, Frame(*frame)) if recipe.cut else index + frame[2]  # type: ignore[arg-type]
        words = random_words(places, salt)
    return take(recipe.work, recipe.phase, value, grad, named, numbers, total, _same, size=size, words=words)


def _same(found: torch.Tensor) -> torch.Tensor:
    return found


def names_of(recipe: Recipe) -> tuple[str, ...]:
    """Give the names of the sums that a kernel takes, in their order."""
    return tuple(perform(recipe, *examples(recipe, 2)))


def examples(
    recipe: Recipe, length: int, device: str = "cpu"
) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor], torch.Tensor, list[torch.Tensor]]:
    """Give something to :func:`perform` a recipe on: zeros, and a row of ones."""

    def fresh(dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(length, dtype=dtype, device=device)

    row = torch.ones(NUMBERS, dtype=recipe.work.dtype, device=device)
    noise = [torch.tensor(number, device=device) for number in (0, length, length, 0)] if recipe.rounds else []
    return fresh(recipe.dtype), fresh(recipe.dtype), [fresh(dtype) for _, dtype in recipe.buffers], row, noise
