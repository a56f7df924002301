"""GLUE: a small BERT from scratch, and the fine-tuning of RoBERTa and BERT as the AlphaAdam paper has it (F.1)."""

from __future__ import annotations

import functools
from typing import Any, Literal, TypeAlias

import torch

from waddington._checks import check_choice, check_count
from waddington.bench._task import task
from waddington.bench.datasets.glue import GLUE_TASKS, Sentences, read_glue
from waddington.bench.datasets.standins import sentences_standin
from waddington.bench.problem import Problem
from waddington.bench.tasks._language import decayed
from waddington.bench.tasks._sentences import PAD, Encoded, encoded, sentence_problem, word_encoder
from waddington.bench.tasks._transformers import from_folder, local_weights, transformers_library
from waddington.bench.tasks._vision import Data

__all__ = ["EPOCHS", "glue_bert", "glue_bert_base", "glue_roberta", "paper_batch", "passes"]

Dataset: TypeAlias = Literal["CoLA", "SST-2", "MRPC", "STS-B", "QQP", "QNLI", "RTE"]

EPOCHS = 3
"""Passes over the training sentences (F.1)."""
_ROWS = {"CoLA": 8551, "SST-2": 67349, "MRPC": 3668, "STS-B": 5749, "QQP": 363846, "QNLI": 104743, "RTE": 2490}
_HELD_OUT = 0.1
_TINY = {"steps": 6, "dataset": "RTE", "data": "stand-in", "batch_size": 8}
_TINY_LARGE = {**_TINY, "weights": "", "device": "cpu", "autocast": False}


def passes(dataset: str, batch_size: int | None = None, epochs: int = EPOCHS) -> int:
    """Give the steps of some passes over a task: 3 in batches of 32, of 128 for QQP, unless said otherwise (F.1)."""
    check_choice("dataset", dataset, GLUE_TASKS)
    return epochs * int(_ROWS[dataset] * (1 - _HELD_OUT) // (batch_size or paper_batch(dataset)))


def paper_batch(dataset: str) -> int:
    """Give the batch size of F.1."""
    return 128 if dataset == "QQP" else 32


def _sentences(dataset: str, data: Data, cases: int | None = None) -> dict[str, Sentences]:
    """Give the training sentences, every tenth of them to choose by, and GLUE's development split to test on.

    At most `cases` of the training sentences are taken, of a mixed order that is always the same.
    """
    check_choice("dataset", dataset, GLUE_TASKS)
    check_choice("data", data, ("disk", "stand-in"))
    train, test = read_glue(dataset) if data == "disk" else sentences_standin(dataset)
    every = round(1 / _HELD_OUT)
    rows = torch.randperm(len(train.texts), generator=torch.Generator().manual_seed(0))[:cases].sort().values.tolist()
    held_out = rows[::every]
    kept = sorted({*rows} - {*held_out})
    first, second = (
        Sentences(texts=[train.texts[i] for i in part], labels=[train.labels[i] for i in part])
        for part in (kept, held_out)
    )
    return {"train": first, "validation": second, "test": test}


@functools.lru_cache(maxsize=4)
def _numbered(
    dataset: str, data: Data, vocabulary: int, length: int, cases: int | None = None
) -> tuple[dict[str, Encoded], int]:
    sentences = _sentences(dataset, data, cases)
    encode, size = word_encoder(sentences["train"].texts, vocabulary, length)
    about = GLUE_TASKS[dataset]
    return {name: encoded(part, encode, about, PAD) for name, part in sentences.items()}, size


def _outputs(dataset: str) -> int:
    return max(1, len(GLUE_TASKS[dataset].labels))


@task(
    steps=300,
    evaluations=10,
    tier="minutes",
    needs=tuple(f"glue/{name}" for name in GLUE_TASKS),
    tiny={**_TINY, "width": 8, "layers": 1, "heads": 2},
)
def glue_bert(
    seed: int,
    *,
    dataset: Dataset = "SST-2",
    cases: int = 10_000,
    width: int = 64,
    layers: int = 2,
    heads: int = 4,
    length: int = 48,
    vocabulary: int = 4_000,
    batch_size: int = 32,
    dropout: float = 0.1,
    clip: float | None = 1.0,
    data: Data = "disk",
) -> Problem:
    """A small BERT of transformers', from scratch on a task of GLUE, over the words of its training sentences.

    A tenth of the training sentences is chosen by; tested is on GLUE's development split, as its test labels were never
    published.

    Parameters
    ----------
    seed
        Of the initialization.
    dataset
        The task of GLUE.
    cases
        Training sentences at most, with those that are chosen by.
    width, layers, heads
        Units, blocks, and heads of attention.
    length
        Words of both sentences at most.
    vocabulary
        Words that are told apart: the most frequent ones.
    batch_size
        Sentences of a batch.
    dropout
        Of embeddings, attention and blocks.
    clip
        Largest norm of the gradient; None does not clip.
    data
        ``"disk"``, or ``"stand-in"`` for generated sentences.
    """
    check_count("vocabulary", vocabulary, 5)
    check_count("cases", cases, 20)
    splits, words = _numbered(dataset, data, vocabulary, length, cases)
    library = transformers_library()
    config = library.BertConfig(
        vocab_size=words,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=length,
        hidden_dropout_prob=dropout,
        attention_probs_dropout_prob=dropout,
        num_labels=_outputs(dataset),
        pad_token_id=PAD,
    )
    model = library.BertForSequenceClassification(config)
    return sentence_problem(model, dataset, splits, batch_size=batch_size, device="cpu", clip=clip)


def _pretrained(
    kind: str,
    page: str,
    dataset: str,
    weights: str,
    *,
    length: int,
    batch_size: int | None,
    autocast: bool,
    data: Data,
    device: str,
    clip: float | None,
) -> Problem:
    """Fine-tune what lies in a folder; an empty name builds a tiny model of the same make from its configuration."""
    check_choice("dataset", dataset, GLUE_TASKS)
    library, about = transformers_library(), GLUE_TASKS[dataset]
    if weights:
        folder = local_weights(weights, kind, page)
        tokenizer = from_folder("AutoTokenizer", folder)
        model = from_folder("AutoModelForSequenceClassification", folder, num_labels=_outputs(dataset))
        sentences = _sentences(dataset, data)

        def encode(texts: Any) -> list[tuple[list[int], list[int]]]:
            columns = [list(column) for column in zip(*texts, strict=True)]
            found = tokenizer(*columns, truncation=True, max_length=length, return_token_type_ids=True)
            return list(zip(found["input_ids"], found["token_type_ids"], strict=True))

        pad = int(tokenizer.pad_token_id)
        splits = {name: encoded(part, encode, about, pad) for name, part in sentences.items()}
    else:
        splits, words = _numbered(dataset, data, 500, 32)
        config = getattr(library, f"{kind}Config")(
            vocab_size=words, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
            max_position_embeddings=64, num_labels=_outputs(dataset), pad_token_id=PAD,
        )  # fmt: skip
        model = getattr(library, f"{kind}ForSequenceClassification")(config)
    return sentence_problem(
        model,
        dataset,
        splits,
        batch_size=batch_size or paper_batch(dataset),
        device=device,
        clip=clip,
        parameters=decayed,
        autocast=torch.bfloat16 if autocast else None,
    )


@task(
    steps=passes("RTE"),
    evaluations=EPOCHS,
    tier="gpu",
    needs=tuple(f"glue/{name}" for name in GLUE_TASKS),
    tiny=_TINY_LARGE,
)
def glue_roberta(
    seed: int,
    *,
    dataset: Dataset = "RTE",
    weights: str = "roberta-base",
    length: int = 512,
    batch_size: int | None = None,
    clip: float | None = 1.0,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """RoBERTa-base, fine-tuned on a task of GLUE with the AlphaAdam paper's settings: three passes, an evaluation each.

    The steps are RTE's; `passes` gives those of another task: ``Entry.of("glue-roberta", dataset="QQP",
    steps=passes("QQP"))``. :func:`waddington.bench.tasks.recipes.glue_arms` has the paper's arms.

    Parameters
    ----------
    seed
        Of the head's initialization and the data order.
    dataset
        The task of GLUE.
    weights
        Folder with the model and its tokenizer: a path, or a name below ``models`` of the folder of data sets. Empty: a
        tiny model from its configuration.
    length
        Tokens of both sentences at most.
    batch_size
        Sentences of a batch; None is the paper's: 128 for QQP, 32 for the others.
    clip
        Largest norm of the gradient; 1 is what transformers' own training has.
    autocast
        Whether the forward pass runs in bfloat16.
    data
        As for `glue-bert`.
    device
        Where it is computed.
    """
    return _pretrained(
        "Roberta", "https://huggingface.co/FacebookAI/roberta-base", dataset, weights, length=length,
        batch_size=batch_size, autocast=autocast, data=data, device=device, clip=clip,
    )  # fmt: skip


@task(
    steps=passes("RTE"),
    evaluations=EPOCHS,
    tier="gpu",
    needs=tuple(f"glue/{name}" for name in GLUE_TASKS),
    tiny=_TINY_LARGE,
)
def glue_bert_base(
    seed: int,
    *,
    dataset: Dataset = "RTE",
    weights: str = "bert-base-uncased",
    length: int = 512,
    batch_size: int | None = None,
    clip: float | None = 1.0,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """BERT-base, fine-tuned on a task of GLUE with the settings of `glue-roberta`.

    Parameters
    ----------
    seed
        Of the head's initialization and the data order.
    dataset, weights, length, batch_size, clip, autocast, data, device
        As for `glue-roberta`.
    """
    return _pretrained(
        "Bert", "https://huggingface.co/google-bert/bert-base-uncased", dataset, weights, length=length,
        batch_size=batch_size, autocast=autocast, data=data, device=device, clip=clip,
    )  # fmt: skip
