"""Llama-2-7B, fine-tuned on GSM8K: the loss of worked answers, and exact answers to questions, by generation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count
from waddington.bench._task import task
from waddington.bench.datasets.problems import WordProblem, final_answer, read_gsm8k
from waddington.bench.datasets.standins import problems_standin
from waddington.bench.problem import Problem, Shuffled, Split
from waddington.bench.tasks._letters import LetterTokenizer
from waddington.bench.tasks._transformers import from_folder, local_weights, transformers_library
from waddington.bench.tasks._vision import Data, check_device

__all__ = ["gsm8k_llama", "is_right", "prompt"]

Precision: TypeAlias = Literal["bfloat16", "float32"]

_IGNORED = -100
_AT_ONCE = 16


def prompt(problem: WordProblem) -> str:
    """Give the question as the usual harness asks it."""
    return f"Question: {problem.question}\nAnswer:"


def is_right(text: str, problem: WordProblem) -> bool:
    """Tell whether a text comes to the problem's answer, exactly; what follows a further question is not read."""
    found = final_answer(text.partition("\nQuestion:")[0])
    return found is not None and found == final_answer(problem.answer)


class _Worked:
    """Problems as numbers: the prompt, and the worked answer that is learned."""

    def __init__(self, problems: Sequence[WordProblem], tokenizer: Any, length: int) -> None:
        self.problems, self.pad = problems, int(tokenizer.pad_token_id)
        self.rows: list[tuple[list[int], int]] = []
        for one in problems:
            asked = tokenizer.encode(prompt(one))
            answer = tokenizer.encode(f" {one.answer}", add_special_tokens=False)
            self.rows.append(([*asked, *answer, int(tokenizer.eos_token_id)][:length], len(asked)))

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, chosen: torch.Tensor, device: str) -> dict[str, torch.Tensor]:
        """Give cases filled up at their end; only tokens of answers are targets."""
        rows = [self.rows[int(i)] for i in chosen]
        longest = max(len(tokens) for tokens, _ in rows)
        tokens = torch.full((len(rows), longest), self.pad)
        mask = torch.zeros_like(tokens)
        labels = torch.full((len(rows), longest), _IGNORED)
        for row, (numbers, asked) in enumerate(rows):
            tokens[row, : len(numbers)] = torch.tensor(numbers)
            mask[row, : len(numbers)] = 1
            labels[row, asked : len(numbers)] = torch.tensor(numbers[asked:], dtype=torch.long)
        return {"input_ids": tokens.to(device), "attention_mask": mask.to(device), "labels": labels.to(device)}


def _answer_loss(model: nn.Module, batch: dict[str, torch.Tensor], reduction: str = "mean") -> torch.Tensor:
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    return F.cross_entropy(
        logits.flatten(0, 1).float(), batch["labels"][:, 1:].flatten(), ignore_index=_IGNORED, reduction=reduction
    )


def _answered(model: Any, problems: Sequence[WordProblem], tokenizer: Any, new_tokens: int, device: str) -> float:
    """Give the share of problems that a model answers exactly, token by token the likeliest."""
    right = 0
    for at in range(0, len(problems), _AT_ONCE):
        some = problems[at : at + _AT_ONCE]
        asked = [tokenizer.encode(prompt(one)) for one in some]
        longest = max(map(len, asked))
        tokens = torch.full((len(some), longest), int(tokenizer.pad_token_id))
        mask = torch.zeros_like(tokens)
        for row, numbers in enumerate(asked):  # filled up before: what is generated stands behind the question
            tokens[row, longest - len(numbers) :] = torch.tensor(numbers)
            mask[row, longest - len(numbers) :] = 1
        said = model.generate(
            input_ids=tokens.to(device),
            attention_mask=mask.to(device),
            max_new_tokens=new_tokens,
            do_sample=False,
            pad_token_id=int(tokenizer.pad_token_id),
            eos_token_id=int(tokenizer.eos_token_id),
        )
        for row, one in zip(said[:, longest:].tolist(), some, strict=True):
            right += is_right(tokenizer.decode(row, skip_special_tokens=True), one)
    return right / len(problems)


@functools.lru_cache(maxsize=1)
def _tokenizer(folder: Path) -> Any:
    found = from_folder("AutoTokenizer", folder)
    if found.pad_token_id is None:
        found.pad_token = found.eos_token
    return found


@task(
    steps=702,
    evaluations=3,
    tier="gpu",
    needs=("gsm8k",),
    tiny={
        "steps": 3, "data": "stand-in", "weights": "", "length": 160, "batch_size": 4, "accumulate": 2,
        "new_tokens": 4, "device": "cpu", "precision": "float32",
    },
)  # fmt: skip
def gsm8k_llama(
    seed: int,
    *,
    weights: str = "Llama-2-7b-hf",
    length: int = 512,
    batch_size: int = 8,
    accumulate: int = 4,
    held_out: int = 373,
    answered: int = 128,
    new_tokens: int = 320,
    clip: float | None = 1.0,
    precision: Precision = "bfloat16",
    checkpointing: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """Llama-2-7B from transformers, all of its weights fine-tuned on GSM8K with the AlphaAdam paper's settings (F.3).

    702 steps of 32 problems, of which 20 warm up: ``Schedule(warmup=20 / 702)``;
    :func:`waddington.bench.tasks.recipes.gsm8k_arms` has the paper's arms. ``loss`` is that of the worked answers'
    tokens, ``accuracy`` the share of questions whose generated answer is exactly right.

    Parameters
    ----------
    seed
        Of the data order.
    weights
        Folder with the model and its tokenizer: a path, or a name below ``models`` of the folder of data sets. Empty: a
        tiny model from its configuration, over letters.
    length
        Tokens of question and answer at most.
    batch_size, accumulate
        Problems at once, and how often; their product, 32, makes a step.
    held_out
        Problems to choose by, out of the 7,473 training ones; tested is on the 1,319 test ones.
    answered
        Of those to choose by, how many are answered by generation; of the test all are.
    new_tokens
        Tokens of an answer at most.
    clip
        Largest norm of the gradient.
    precision
        Type of the weights; Adam's moments beside 7 billion weights in bfloat16 fill 54 GB.
    checkpointing
        Whether the backward pass computes activations anew.
    data
        ``"disk"``, or ``"stand-in"`` for generated problems.
    device
        Where it is computed.
    """
    check_choice("data", data, ("disk", "stand-in"))
    check_choice("precision", precision, ("bfloat16", "float32"))
    check_device(device)
    check_count("answered", answered, 1)
    train, test = read_gsm8k() if data == "disk" else problems_standin()
    held_out = min(held_out, len(train) // 4)
    check_count("held_out", held_out, 1)
    if weights:
        folder = local_weights(weights, "Llama-2-7B", "https://huggingface.co/meta-llama/Llama-2-7b-hf")
        tokenizer = _tokenizer(folder)
        model = from_folder("AutoModelForCausalLM", folder, dtype=getattr(torch, precision))
    else:
        tokenizer = LetterTokenizer(text for one in (*train, *test) for text in (prompt(one), one.answer))
        model = _tiny_llama(len(tokenizer), length + new_tokens)
    if checkpointing and weights:
        enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
        enable({"use_reentrant": False})  # the older name of early versions of transformers 5
    parts = {"train": train[:-held_out], "validation": train[-held_out:], "test": test}
    worked = {name: _Worked(part, tokenizer, length) for name, part in parts.items()}
    check_count("batch_size", batch_size, 1, len(worked["train"]))
    draw = Shuffled(len(worked["train"]), batch_size, accumulate)

    def batch(generator: torch.Generator, step: int) -> dict[str, torch.Tensor]:
        return worked["train"].batch(draw(generator, step), device)

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        total, count = 0.0, 0
        for some in torch.split(torch.arange(len(worked[split])), _AT_ONCE):
            part = worked[split].batch(some, device)
            total += float(_answer_loss(model, part, "sum"))
            count += int((part["labels"][:, 1:] != _IGNORED).sum())
        asked = parts[split] if split == "test" else parts[split][:answered]
        return {"loss": total / count, "accuracy": _answered(model, asked, tokenizer, new_tokens, device)}

    return Problem(
        model=model.to(device),
        batch=batch,
        loss=_answer_loss,
        evaluate=evaluate,
        clip=clip,
        accumulate=accumulate,
        state=draw.state,
        load=draw.load,
    )


def _tiny_llama(vocabulary: int, length: int) -> Any:
    library = transformers_library()
    config = library.LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=length,
        pad_token_id=LetterTokenizer.pad_token_id,
        bos_token_id=LetterTokenizer.bos_token_id,
        eos_token_id=LetterTokenizer.eos_token_id,
    )
    return library.LlamaForCausalLM(config)
