"""What tasks on GLUE share: numbers for words, batches of sentences, and the measures that GLUE reports."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_count
from waddington.bench.datasets.glue import GLUE_TASKS, GlueTask, Sentences
from waddington.bench.problem import Problem, Shuffled, Split
from waddington.bench.tasks._vision import check_device

__all__ = ["Encoded", "Encoder", "glue_measures", "sentence_problem", "word_encoder"]

Encoder: TypeAlias = Callable[[Sequence[tuple[str, ...]]], "list[tuple[list[int], list[int]]]"]
"""Texts to numbers of tokens, and of the sentence that each is from."""

PAD, UNKNOWN, START, END = range(4)
_WORD = re.compile(r"\w+|[^\w\s]")
_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class Encoded:
    """Sentences as numbers.

    Attributes
    ----------
    tokens, segments
        Cases by length, filled up with `pad`; and of which sentence a token is.
    lengths
        Of each case.
    labels
        Classes, or scores.
    pad
        The number that fills up.
    """

    tokens: torch.Tensor
    segments: torch.Tensor
    lengths: torch.Tensor
    labels: torch.Tensor
    pad: int

    def __len__(self) -> int:
        return len(self.tokens)

    def batch(self, chosen: torch.Tensor, device: str) -> dict[str, torch.Tensor]:
        """Give cases, cut to the longest of them."""
        longest = int(self.lengths[chosen].max())
        found = {
            "input_ids": self.tokens[chosen, :longest].long(),
            "token_type_ids": self.segments[chosen, :longest].long(),
            "attention_mask": (torch.arange(longest) < self.lengths[chosen, None]).long(),
            "labels": self.labels[chosen],
        }
        return {name: value.to(device) for name, value in found.items()}


def encoded(sentences: Sentences, encode: Encoder, task: GlueTask, pad: int) -> Encoded:
    """Number all sentences."""
    pairs = encode(sentences.texts)
    lengths = torch.tensor([len(tokens) for tokens, _ in pairs])
    tokens = torch.full((len(pairs), int(lengths.max())), pad, dtype=torch.int32)  # QQP's fill a gigabyte
    segments = torch.zeros_like(tokens, dtype=torch.int8)
    for row, (numbers, from_which) in enumerate(pairs):
        tokens[row, : len(numbers)] = torch.tensor(numbers, dtype=torch.int32)
        segments[row, : len(numbers)] = torch.tensor(from_which, dtype=torch.int8)
    labels = torch.tensor(sentences.labels)
    return Encoded(
        tokens=tokens, segments=segments, lengths=lengths, labels=labels.long() if task.labels else labels, pad=pad
    )  # fmt: skip


def word_encoder(texts: Sequence[tuple[str, ...]], vocabulary: int, length: int) -> tuple[Encoder, int]:
    """Number the words and signs of training texts by how often they come; give an encoder and how many there are.

    ``[START] first [END]`` or ``[START] first [END] second [END]``, cut to `length`; rarer words are one unknown.
    """
    counts: dict[str, int] = {}
    for text in texts:
        for word in _words(" ".join(text)):
            counts[word] = counts.get(word, 0) + 1
    kept = sorted(counts, key=lambda word: (-counts[word], word))[: vocabulary - 4]
    number = {word: i + 4 for i, word in enumerate(kept)}

    def one(text: tuple[str, ...]) -> tuple[list[int], list[int]]:
        tokens, segments = [START], [0]
        for which, sentence in enumerate(text):
            room = max(1, (length - 1) // len(text)) - 1
            found = [number.get(word, UNKNOWN) for word in _words(sentence)[:room]] + [END]
            tokens += found
            segments += [which] * len(found)
        return tokens, segments

    return (lambda texts: [one(text) for text in texts]), len(number) + 4


@functools.lru_cache(maxsize=100_000)
def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def glue_measures(logits: torch.Tensor, labels: torch.Tensor, task: GlueTask) -> dict[str, float]:
    """Give what GLUE reports of a task: accuracy, Matthews' or Pearson's correlation, and F1 of pairs beside.

    A correlation with a constant is 0, as scikit-learn has Matthews'.
    """
    if not task.labels:
        return {"pearson": _pearson(logits.flatten().double(), labels.double())}
    said = logits.argmax(-1)
    right = float((said == labels).double().mean())
    found = {"accuracy": right}
    if task.metric == "matthews":
        found["matthews"] = _pearson(said.double(), labels.double())  # of 0 and 1 the two are the same number
    hits = float(((said == 1) & (labels == 1)).sum())
    found["f1"] = 2 * hits / max(1.0, float((said == 1).sum() + (labels == 1).sum()))
    return found


def _pearson(x: torch.Tensor, y: torch.Tensor) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = float(x.norm() * y.norm())
    return float((x * y).sum()) / scale if scale else 0.0


def sentence_problem(
    model: nn.Module,
    task: str,
    splits: dict[str, Encoded],
    *,
    batch_size: int,
    device: str,
    **settings: Any,
) -> Problem:
    """Make a problem of a classifier or regressor of transformers' and a task of GLUE.

    Parameters
    ----------
    model
        Takes ``input_ids``, ``attention_mask`` and, if it knows two sentences apart, ``token_type_ids``.
    task
        Name of the task.
    splits
        ``"train"``, ``"validation"`` and ``"test"``.
    batch_size
        Cases of a batch.
    device, **settings
        Where it is computed, and further fields of a Problem.
    """
    check_device(device)
    check_count("batch_size", batch_size, 1, len(splits["train"]))
    about = GLUE_TASKS[task]
    draw = Shuffled(len(splits["train"]), batch_size)
    knows_segments = getattr(getattr(model, "config", None), "type_vocab_size", 1) > 1

    def logits(model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        given = {name: batch[name] for name in ("input_ids", "attention_mask")}
        if knows_segments:
            given["token_type_ids"] = batch["token_type_ids"]
        found: torch.Tensor = model(**given).logits.float()
        return found

    def criterion(found: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(found, labels) if about.labels else F.mse_loss(found.flatten(), labels)

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        data = splits[split]
        outputs, labels = [], []
        for some in torch.split(torch.arange(len(data)), _AT_ONCE):  # in order: alike for every model
            batch = data.batch(some, device)
            outputs.append(logits(model, batch))
            labels.append(batch["labels"])
        found, wanted = torch.cat(outputs), torch.cat(labels)
        return {"loss": float(criterion(found, wanted)), **glue_measures(found, wanted, about)}

    return Problem(
        model=model.to(device),
        batch=lambda generator, step: splits["train"].batch(draw(generator, step), device),
        loss=lambda model, batch: criterion(logits(model, batch), batch["labels"]),
        evaluate=evaluate,
        state=draw.state,
        load=draw.load,
        **settings,
    )
