"""What tasks on running text share: random windows, streams that are read from end to end, perplexity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_count
from waddington.bench.problem import Problem, Split
from waddington.bench.tasks._networks import Hidden, TokenLSTM
from waddington.bench.tasks._vision import check_device
from waddington.errors import ArgumentError

__all__ = ["Tokens", "decayed", "next_token_loss", "streamed_problem", "windowed_problem", "with_perplexity"]

Tokens: TypeAlias = Any
"""Tokens one after the other: a tensor, or an array on disk."""
_AT_ONCE = 64
_LARGEST = 700.0
"""Losses above have no perplexity that a float holds."""


def next_token_loss(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Give the mean cross-entropy of the next token, in nats."""
    return F.cross_entropy(logits.flatten(0, 1).float(), targets.flatten())


def with_perplexity(loss: float) -> dict[str, float]:
    """Give the loss and its exponential."""
    return {"loss": loss, "perplexity": math.exp(min(loss, _LARGEST))}


def decayed(model: nn.Module) -> list[dict[str, Any]]:
    """Give matrices in one group, vectors (biases, gains) in one without weight decay, as nanoGPT does."""
    free = [p for p in model.parameters() if p.requires_grad]
    return [
        {"params": [p for p in free if p.ndim >= 2]},
        {"params": [p for p in free if p.ndim < 2], "weight_decay": 0.0},
    ]


def windowed_problem(
    model: nn.Module,
    predict: Callable[[nn.Module, torch.Tensor], torch.Tensor],
    splits: Mapping[str, Tokens],
    *,
    context: int,
    batch_size: int,
    evaluated: int,
    device: str = "cpu",
    **settings: Any,
) -> Problem:
    """Make a problem of windows drawn at random from a training text.

    Parameters
    ----------
    model, predict
        The model, and ``(model, tokens) -> logits``.
    splits
        Tokens of ``"train"``, ``"validation"`` and ``"test"``.
    context
        Tokens of a window.
    batch_size
        Windows in a batch.
    evaluated
        Windows of a split that are evaluated at most, even over it.
    device, **settings
        Where it is computed, and further fields of a Problem.
    """
    check_count("context", context, 1)
    check_count("batch_size", batch_size, 1)
    check_device(device)
    for name, tokens in splits.items():
        if len(tokens) <= context + 1:
            raise ArgumentError(
                f"cannot use context={context}: the {name} text has {len(tokens)} tokens; accepted is less than that"
            )

    def windows(tokens: Tokens, starts: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if isinstance(tokens, torch.Tensor):
            found = tokens[starts[:, None] + torch.arange(context + 1)]
        else:  # an array on disk, of which only these are read
            rows = [torch.from_numpy(tokens[at : at + context + 1].astype("int64")) for at in starts.tolist()]
            found = torch.stack(rows)
        found = found.to(device)
        return found[:, :-1], found[:, 1:]

    def batch(generator: torch.Generator, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        last = len(splits["train"]) - context
        return windows(splits["train"], torch.randint(0, last, (batch_size,), generator=generator))

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        tokens = splits[split]
        count = min(evaluated, (len(tokens) - 1) // context)
        starts = (torch.arange(count) * ((len(tokens) - 1 - context) / max(1, count - 1))).long()
        total = 0.0
        for some in torch.split(starts, _AT_ONCE):
            inputs, targets = windows(tokens, some)
            total += float(next_token_loss(predict(model, inputs), targets)) * len(some)
        return with_perplexity(total / count)

    return Problem(
        model=model.to(device),
        batch=batch,
        loss=lambda model, pair: next_token_loss(predict(model, pair[0]), pair[1]),
        evaluate=evaluate,
        **settings,
    )


class _Streams:
    """A text cut into streams that are read side by side, `length` tokens a step, and what a model remembers of them.

    What it remembers belongs to a step: a loss that is computed twice for one batch begins from the same memory.
    """

    def __init__(self, tokens: torch.Tensor, streams: int, length: int) -> None:
        rows = len(tokens) // streams
        if rows <= length:
            raise ArgumentError(
                f"cannot use batch_size={streams} and length={length}: the text has {len(tokens)} tokens; accepted is"
                " a product below that"
            )
        self.rows = tokens[: rows * streams].view(streams, rows)
        self.length = length
        self.before: Hidden | None = None
        self.after: Hidden | None = None

    @property
    def steps(self) -> int:
        """Steps of a pass."""
        return (self.rows.shape[1] - 1) // self.length

    def at(self, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Give the inputs and targets of a step; a pass begins with an empty memory."""
        self.before = self.after if step % self.steps else None
        start = step % self.steps * self.length
        return self.rows[:, start : start + self.length], self.rows[:, start + 1 : start + self.length + 1]

    def predict(self, model: nn.Module, inputs: torch.Tensor) -> torch.Tensor:
        """Give logits, from what is remembered; remember."""
        logits, (hidden, cell) = model(inputs, self.before)
        self.after = (hidden.detach(), cell.detach())
        return logits  # type: ignore[no-any-return]

    def state(self) -> dict[str, Any]:
        return {} if self.after is None else {"hidden": self.after[0], "cell": self.after[1]}

    def load(self, state: dict[str, Any]) -> None:
        self.after = (state["hidden"], state["cell"]) if state else None


def streamed_problem(
    model: TokenLSTM,
    splits: Mapping[str, torch.Tensor],
    *,
    batch_size: int,
    length: int,
    clip: float | None,
    evaluated: int | None = None,
    device: str = "cpu",
) -> Problem:
    """Make a problem of a text that is read from end to end, gradients cut after `length` tokens.

    Every seed reads in the same order: a language model's memory needs the text as it goes.
    """
    check_count("length", length, 1)
    check_count("batch_size", batch_size, 1)
    check_device(device)
    text = {name: tokens.to(device) for name, tokens in splits.items()}
    training = _Streams(text["train"], batch_size, length)

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        streams = min(batch_size, max(1, len(text[split]) // (4 * length)))
        reading = _Streams(text[split], streams, length)
        steps = reading.steps if evaluated is None else min(evaluated, reading.steps)
        total = 0.0
        for step in range(steps):
            inputs, targets = reading.at(step)
            total += float(next_token_loss(reading.predict(model, inputs), targets))
        return with_perplexity(total / steps)

    return Problem(
        model=model.to(device),
        batch=lambda generator, step: training.at(step),
        loss=lambda model, pair: next_token_loss(training.predict(model, pair[0]), pair[1]),
        evaluate=evaluate,
        clip=clip,
        state=training.state,
        load=training.load,
    )
