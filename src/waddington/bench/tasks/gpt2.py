"""GPT-2 from scratch on OpenWebText, with nanoGPT's settings, in the three sizes of the AlphaAdam paper."""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

import torch
from torch import nn

from waddington._checks import check_choice, check_count
from waddington.bench._task import task
from waddington.bench.datasets.standins import tokens_standin
from waddington.bench.datasets.text import read_openwebtext
from waddington.bench.problem import Problem
from waddington.bench.tasks._language import Tokens, decayed, windowed_problem
from waddington.bench.tasks._transformers import transformers_library
from waddington.bench.tasks._vision import Data

__all__ = ["gpt2", "gpt2_model"]

Size: TypeAlias = Literal["125M", "355M", "770M", "tiny"]

_SIZES: dict[str, tuple[int, int, int]] = {
    "125M": (768, 12, 12),
    "355M": (1024, 16, 24),
    "770M": (1280, 20, 36),
    "tiny": (16, 2, 2),
}
"""Width, heads and blocks (Table 5 of the AlphaAdam paper)."""
_BATCH = {"125M": 12, "355M": 6, "770M": 4, "tiny": 2}
_VOCABULARY = 50_304
"""GPT-2's 50,257 tokens, brought to a multiple of 64, as nanoGPT has them."""


@task(
    steps=100_000,
    evaluations=100,
    tier="gpu",
    needs=("openwebtext",),
    tiny={
        "steps": 4, "size": "tiny", "context": 16, "accumulate": 2, "vocabulary": 32, "evaluated": 4,
        "data": "stand-in", "device": "cpu", "autocast": False,
    },
)  # fmt: skip
def gpt2(
    seed: int,
    *,
    size: Size = "125M",
    context: int = 1024,
    batch_size: int | None = None,
    accumulate: int = 40,
    vocabulary: int = _VOCABULARY,
    dropout: float = 0.0,
    clip: float | None = 1.0,
    evaluated: int = 800,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """GPT-2 from transformers, from scratch on OpenWebText: 125M, 355M or 770M weights, nanoGPT's settings.

    The schedule is the arm's: cosine to a tenth after warming up, ``Schedule(name="cosine", warmup=0.02, end=0.1)``;
    :func:`waddington.bench.tasks.recipes.gpt2_arms` has the paper's arms. Vectors are in a group without weight decay.
    The loss on OpenWebText's validation tokens is chosen by on their first half and tested on their second.

    Parameters
    ----------
    seed
        Of the initialization and the windows.
    size
        ``"125M"``, ``"355M"`` or ``"770M"``; ``"tiny"`` for tests.
    context
        Tokens of a window.
    batch_size
        Windows of a batch; None is the paper's for the size: 12, 6 and 4.
    accumulate
        Batches whose mean gradient makes a step.
    vocabulary
        Tokens that the model knows.
    dropout
        Of embeddings, attention and blocks.
    clip
        Largest norm of the gradient.
    evaluated
        Windows of a split that are evaluated at most.
    autocast
        Whether the forward pass runs in bfloat16.
    data
        ``"disk"``: nanoGPT's ``train.bin`` and ``val.bin``; or ``"stand-in"`` for generated tokens.
    device
        Where it is computed.
    """
    check_choice("size", size, _SIZES)
    check_choice("data", data, ("disk", "stand-in"))
    check_count("vocabulary", vocabulary, 2)
    train, validation = read_openwebtext() if data == "disk" else tokens_standin(vocabulary)
    half = len(validation) // 2
    splits: dict[str, Tokens] = {"train": train, "validation": validation[:half], "test": validation[half:]}
    return windowed_problem(
        gpt2_model(size, vocabulary=vocabulary, context=context, dropout=dropout),
        lambda model, tokens: model(tokens).logits,
        splits,
        context=context,
        batch_size=batch_size or _BATCH[size],
        evaluated=evaluated,
        device=device,
        parameters=decayed,
        clip=clip,
        accumulate=accumulate,
        autocast=torch.bfloat16 if autocast else None,
    )


def gpt2_model(size: Size, *, vocabulary: int = _VOCABULARY, context: int = 1024, dropout: float = 0.0) -> nn.Module:
    """Build GPT-2; what blocks add begins smaller with their number, whatever the library's version does."""
    library = transformers_library()
    width, heads, layers = _SIZES[size]
    config = library.GPT2Config(
        vocab_size=vocabulary,
        n_positions=context,
        n_embd=width,
        n_head=heads,
        n_layer=layers,
        resid_pdrop=dropout,
        embd_pdrop=dropout,
        attn_pdrop=dropout,
        bos_token_id=0,
        eos_token_id=0,
        use_cache=False,
    )
    model: nn.Module = library.GPT2LMHeadModel(config)
    for name, parameter in model.named_parameters():
        if name.endswith("c_proj.weight"):
            nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers))
    return model
