"""Language models that run on a processor or one GPU: letters of Shakespeare, words of Penn Treebank."""

from __future__ import annotations

from typing import Literal, TypeAlias

import torch

from waddington._checks import check_choice, check_count
from waddington.bench._task import task
from waddington.bench.datasets.standins import letters_standin, words_standin
from waddington.bench.datasets.text import Text, read_tiny_shakespeare, read_words
from waddington.bench.problem import Problem
from waddington.bench.tasks._language import streamed_problem, windowed_problem
from waddington.bench.tasks._networks import TokenLSTM, TokenTransformer
from waddington.bench.tasks._vision import Data
from waddington.errors import ArgumentError

__all__ = ["char_lstm", "char_transformer", "ptb_lstm", "ptb_lstm_large"]

Words: TypeAlias = Literal["ptb", "wikitext2", "wikitext2_valid_test", "stand-in"]


def _letters(data: Data) -> Text:
    check_choice("data", data, ("disk", "stand-in"))
    return read_tiny_shakespeare() if data == "disk" else letters_standin()


def _words(data: Words) -> Text:
    check_choice("data", data, ("ptb", "wikitext2", "wikitext2_valid_test", "stand-in"))
    return words_standin() if data == "stand-in" else read_words(data)


def _splits(text: Text) -> dict[str, torch.Tensor]:
    return {"train": text.train, "validation": text.validation, "test": text.test}


@task(
    steps=250,
    tier="minutes",
    needs=("tinyshakespeare",),
    tiny={"steps": 10, "data": "stand-in", "width": 8, "context": 8, "batch_size": 4},
)
def char_lstm(
    seed: int,
    *,
    width: int = 64,
    layers: int = 1,
    context: int = 32,
    batch_size: int = 16,
    dropout: float = 0.0,
    clip: float | None = 1.0,
    data: Data = "disk",
) -> Problem:
    """An LSTM that foretells the next letter of Shakespeare.

    Parameters
    ----------
    seed
        Of the initialization and the windows.
    width, layers
        Units of a layer, and layers.
    context
        Letters of a window; each begins with an empty memory.
    batch_size
        Windows in a batch, drawn at random.
    dropout
        Between layers, first and last included.
    clip
        Largest norm of the gradient; None does not clip.
    data
        ``"disk"``, or ``"stand-in"`` for generated text.
    """
    text = _letters(data)
    return windowed_problem(
        TokenLSTM(len(text.tokens), width=width, layers=layers, dropout=dropout),
        lambda model, tokens: model(tokens)[0],
        _splits(text),
        context=context,
        batch_size=batch_size,
        evaluated=128,
        clip=clip,
    )


@task(
    steps=200,
    tier="minutes",
    needs=("tinyshakespeare",),
    tiny={"steps": 10, "data": "stand-in", "width": 8, "layers": 1, "heads": 2, "context": 8, "batch_size": 4},
)
def char_transformer(
    seed: int,
    *,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    context: int = 64,
    batch_size: int = 12,
    dropout: float = 0.0,
    clip: float | None = 1.0,
    data: Data = "disk",
) -> Problem:
    """A transformer of GPT-2's make that foretells the next letter of Shakespeare; a larger one is width=128, layers=4.

    Parameters
    ----------
    seed
        Of the initialization and the windows.
    width, layers, heads
        Units, blocks, and heads of attention.
    context
        Letters of a window.
    batch_size
        Windows in a batch, drawn at random.
    dropout
        Of embeddings, attention and blocks.
    clip, data
        As for `char-lstm`.
    """
    check_count("heads", heads, 1)
    if width % heads:
        raise ArgumentError(f"cannot use width={width} with heads={heads}: accepted is a multiple of heads")
    text = _letters(data)
    return windowed_problem(
        TokenTransformer(
            len(text.tokens), width=width, layers=layers, heads=heads, context=context, dropout=dropout
        ),
        lambda model, tokens: model(tokens),
        _splits(text),
        context=context,
        batch_size=batch_size,
        evaluated=64,
        clip=clip,
    )  # fmt: skip


@task(
    steps=250,
    evaluations=10,
    tier="minutes",
    needs=("ptb",),
    tiny={"steps": 10, "data": "stand-in", "width": 8, "layers": 1, "length": 5, "batch_size": 4},
)
def ptb_lstm(
    seed: int,
    *,
    width: int = 200,
    layers: int = 2,
    length: int = 20,
    batch_size: int = 20,
    dropout: float = 0.0,
    clip: float | None = 5.0,
    evaluated: int | None = 20,
    data: Words = "ptb",
) -> Problem:
    """The small LSTM of Zaremba et al. (2014) on Penn Treebank, read from end to end.

    Parameters
    ----------
    seed
        Of the initialization.
    width, layers
        Units of a layer, and layers.
    length
        Words after which gradients are cut.
    batch_size
        Streams that are read side by side.
    dropout
        Between layers, first and last included.
    clip
        Largest norm of the gradient.
    evaluated
        Steps of a split that are evaluated at most; None is all of it.
    data
        ``"ptb"``; ``"wikitext2"``; ``"wikitext2_valid_test"``, WikiText-2 without its large training file, whose
        perplexities are not WikiText-2's; or ``"stand-in"`` for generated text.
    """
    text = _words(data)
    model = TokenLSTM(len(text.tokens), width=width, layers=layers, dropout=dropout, spread=0.1)
    return streamed_problem(
        model, _splits(text), batch_size=batch_size, length=length, clip=clip, evaluated=evaluated
    )  # fmt: skip


@task(
    steps=73_000,
    evaluations=55,
    tier="gpu",
    needs=("ptb",),
    tiny={"steps": 10, "data": "stand-in", "width": 8, "length": 5, "batch_size": 4, "device": "cpu"},
)
def ptb_lstm_large(
    seed: int,
    *,
    width: int = 1500,
    layers: int = 2,
    length: int = 35,
    batch_size: int = 20,
    dropout: float = 0.65,
    clip: float | None = 10.0,
    data: Words = "ptb",
    device: str = "cuda",
) -> Problem:
    """The large LSTM of Zaremba et al. (2014) on Penn Treebank: 1,500 units, 55 passes, an evaluation after each.

    Parameters
    ----------
    seed
        Of the initialization.
    width, layers, length, batch_size, dropout, clip, data
        As for `ptb-lstm`.
    device
        Where it is computed.
    """
    text = _words(data)
    model = TokenLSTM(len(text.tokens), width=width, layers=layers, dropout=dropout, spread=0.04)
    return streamed_problem(model, _splits(text), batch_size=batch_size, length=length, clip=clip, device=device)
