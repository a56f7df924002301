"""What a task gives for one seed: a model, batches, a loss, and measures of how good the model is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from waddington._checks import check_choice, check_count, check_in_range
from waddington.errors import ArgumentError

__all__ = ["Evaluate", "Pair", "Problem", "Shuffled", "Split", "accuracy", "supervised"]

Split: TypeAlias = Literal["validation", "test"]
Pair: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Inputs and targets of a data set, of equal length."""
Evaluate: TypeAlias = Callable[[nn.Module, Split], Mapping[str, float]]
Loss: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_AT_ONCE = 1024
"""Cases that are evaluated together."""


@dataclass(kw_only=True)
class Problem:
    """One training problem, as the training loop takes it.

    Attributes
    ----------
    model
        The model, initialized. It has been made under the run's seed.
    batch
        ``(generator, step) -> batch``: the batch of a step, counted from 0. All that is random in it comes from the
        generator, so that every optimizer sees the same data in the same order. (The global random numbers of torch,
        numpy and Python are seeded, too; a generator that the task keeps for itself is not, unless it is made in the
        task's function. What a run begins with is compared, and the page says where arms did not begin alike.)
    loss
        ``(model, batch) -> loss``: a scalar tensor with a graph. Dropout and other noise come from torch's own random
        numbers, which the loop seeds anew for every step.
    evaluate
        ``(model, split) -> {name: value}`` for ``"validation"`` and ``"test"``; must hold ``"loss"`` and the metric of
        the task. Called with the model in evaluation mode and without gradients.
    parameters
        ``model -> parameters or groups`` for the optimizer; None is all parameters in one group.
    clip
        Largest norm of the whole gradient; None does not clip.
    accumulate
        Batches whose mean gradient makes one step.
    autocast
        Type in which the forward pass runs (``torch.bfloat16``); None is the parameters' own.
    state, load
        What `batch` remembers from step to step, as tensors and numbers by name, and how it is brought back, so that a
        long run goes on where it was killed. None: it remembers nothing.
    """

    model: nn.Module
    batch: Callable[[torch.Generator, int], Any]
    loss: Callable[[nn.Module, Any], torch.Tensor]
    evaluate: Evaluate
    parameters: Callable[[nn.Module], Iterable[Any]] | None = None
    clip: float | None = None
    accumulate: int = 1
    autocast: torch.dtype | None = None
    state: Callable[[], dict[str, Any]] | None = None
    load: Callable[[dict[str, Any]], None] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.model, nn.Module):
            raise ArgumentError(f"cannot use model of type {type(self.model).__name__}: accepted is a torch.nn.Module")
        if self.clip is not None:
            check_in_range("clip", self.clip, 0.0, open_low=True)
        check_count("accumulate", self.accumulate, 1)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next((p.device for p in self.model.parameters()), torch.device("cpu"))


def accuracy(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Give the share of cases whose largest output is that of their class; a tensor without dimensions."""
    return (output.argmax(-1) == target).float().mean()


def supervised(
    model: nn.Module,
    loss: Loss,
    *,
    train: Pair,
    validation: Pair,
    test: Pair,
    batch_size: int = 32,
    metrics: Mapping[str, Loss] | None = None,
    prepare: Callable[[torch.Tensor, torch.Generator], torch.Tensor] | None = None,
    device: str = "cpu",
    clip: float | None = None,
) -> Problem:
    """Make a problem of a model, a loss and data sets in memory.

    Batches are drawn without replacement: every pass over the data has an order of its own.

    Parameters
    ----------
    model
        Takes inputs, gives outputs.
    loss
        ``(outputs, targets) -> mean over cases``.
    train, validation, test
        Inputs and targets of each split.
    batch_size
        Cases in a batch. At most those of `train`.
    metrics
        Further measures by name, each ``(outputs, targets) -> mean over cases``.
    prepare
        ``(inputs, generator) -> inputs`` for every training batch, such as crops and flips.
    device
        Where model and data go.
    clip
        As :attr:`Problem.clip`.

    Raises
    ------
    ArgumentError
        A split is empty or its inputs and targets differ in number, or `batch_size` is larger than the training data.
    """
    splits = {"train": train, "validation": validation, "test": test}
    for name, (x, y) in splits.items():
        if len(x) != len(y) or not len(x):
            raise ArgumentError(
                f"cannot use {name} of {len(x)} inputs and {len(y)} targets: accepted are as many of both, one at least"
            )
    check_count("batch_size", batch_size, 1, len(train[0]))
    splits = {name: (x.to(device), y.to(device)) for name, (x, y) in splits.items()}
    measures = {"loss": loss, **(metrics or {})}
    draw = Shuffled(len(train[0]), batch_size)

    def batch(generator: torch.Generator, step: int) -> Pair:
        x, y = splits["train"]
        chosen = draw(generator, step).to(device)
        inputs = x[chosen]
        return inputs if prepare is None else prepare(inputs, generator), y[chosen]

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        check_choice("split", split, splits)
        x, y = splits[split]
        sums = dict.fromkeys(measures, 0.0)
        for at in range(0, len(x), _AT_ONCE):
            some_x, some_y = x[at : at + _AT_ONCE], y[at : at + _AT_ONCE]
            output = model(some_x)
            for name, measure in measures.items():
                sums[name] += float(measure(output, some_y).detach()) * len(some_x)
        return {name: total / len(x) for name, total in sums.items()}

    return Problem(
        model=model.to(device),
        batch=batch,
        loss=lambda model, pair: loss(model(pair[0]), pair[1]),
        evaluate=evaluate,
        clip=clip,
        state=draw.state,
        load=draw.load,
    )


@dataclass
class Shuffled:
    """Indices of batches, pass after pass, each in an order of its own; what is left of a pass is not used.

    Parameters
    ----------
    size
        Cases.
    batch_size
        Cases in a batch.
    accumulate
        Batches of a step, as :attr:`Problem.accumulate`: who asks again for a step is given its next batch.
    """

    size: int
    batch_size: int
    accumulate: int = 1
    _order: torch.Tensor | None = field(default=None, repr=False)
    _asked: tuple[int, int] = field(default=(-1, 0), repr=False)
    """The step that was asked for last, and how often before."""

    def __call__(self, generator: torch.Generator, step: int) -> torch.Tensor:
        """Give the indices of a step's batch; steps must be asked for in order."""
        before, times = self._asked
        times = (times + 1) % self.accumulate if step == before else 0
        self._asked = step, times
        at = (step * self.accumulate + times) % (self.size // self.batch_size) * self.batch_size
        if at == 0 or self._order is None:
            self._order = torch.randperm(self.size, generator=generator)
        return self._order[at : at + self.batch_size]

    def state(self) -> dict[str, Any]:
        """Give the order of the present pass."""
        return {} if self._order is None else {"order": self._order}

    def load(self, state: dict[str, Any]) -> None:
        """Bring an order back."""
        self._order = state.get("order")
        self._asked = -1, 0
