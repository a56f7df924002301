"""Running text: letters of tiny Shakespeare, words of Penn Treebank and WikiText-2, tokens of OpenWebText."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from waddington._checks import check_choice
from waddington.bench.datasets.published import get_data_set
from waddington.bench.datasets.source import find, read_file
from waddington.errors import DataError

__all__ = ["Text", "encode_words", "read_openwebtext", "read_tiny_shakespeare", "read_words", "split_letters"]


@dataclass(frozen=True, kw_only=True)
class Text:
    """A text as numbers, cut into splits.

    Attributes
    ----------
    train, validation, test
        Token after token. They are shared by all who ask; don't write into them.
    tokens
        What each number stands for: letters or words.
    """

    train: torch.Tensor
    validation: torch.Tensor
    test: torch.Tensor
    tokens: Sequence[str]


def read_tiny_shakespeare(root: str | os.PathLike[str] | None = None) -> Text:
    """Give Shakespeare letter by letter: 80 % to train, 10 % to choose by, 10 % to test.

    Parameters
    ----------
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Raises
    ------
    DataError
        The data set is not at hand, or not what was published.
    """
    return _tiny_shakespeare(*find(get_data_set("tinyshakespeare"), root)[1].values())


@functools.cache
def _tiny_shakespeare(path: Path) -> Text:
    file = get_data_set("tinyshakespeare").forms[0].files[0]
    return split_letters(read_file(file, path).decode("utf-8"))


def split_letters(text: str) -> Text:
    """Cut a text letter by letter into 80, 10 and 10 %."""
    letters = sorted(set(text))
    number = {letter: i for i, letter in enumerate(letters)}
    numbers = torch.tensor([number[letter] for letter in text])
    first, second = int(0.8 * len(text)), int(0.9 * len(text))
    return Text(train=numbers[:first], validation=numbers[first:second], test=numbers[second:], tokens=letters)


def read_words(name: str, root: str | os.PathLike[str] | None = None) -> Text:
    """Give a text word by word, with ``<eos>`` at line ends.

    Parameters
    ----------
    name
        ``"ptb"`` and ``"wikitext2"`` in their published splits; ``"wikitext2_valid_test"``, which needs no large
        training file: nine tenths of WikiText-2's validation text train, the last tenth is chosen by. Its perplexities
        are not those of WikiText-2.
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Raises
    ------
    DataError
        The data set is not at hand, or a file of it is not what was published.
    """
    check_choice("data set of words", name, ("ptb", "wikitext2", "wikitext2_valid_test"))
    return _words(name, *find(get_data_set(name), root)[1].values())


@functools.cache
def _words(name: str, *paths: Path) -> Text:
    files = get_data_set(name).forms[0].files
    texts = [read_file(file, path).decode("utf-8") for file, path in zip(files, paths, strict=True)]
    if len(texts) == 2:
        lines = texts[0].split("\n")
        cut = int(0.9 * len(lines))
        texts = ["\n".join(lines[:cut]), "\n".join(lines[cut:]), texts[1]]
    return encode_words(*texts)


def encode_words(train: str, validation: str, test: str) -> Text:
    """Number the words of a training text by how often they come; words that are not in it become ``<unk>``."""
    split = [
        [word for line in part.removesuffix("\n").split("\n") for word in (*line.split(), "<eos>")]
        for part in (train, validation, test)
    ]
    counts: dict[str, int] = {"<unk>": 0}
    for word in split[0]:
        counts[word] = counts.get(word, 0) + 1
    tokens = sorted(counts, key=lambda word: (-counts[word], word))
    number = {word: i for i, word in enumerate(tokens)}
    parts = [torch.tensor([number.get(word, number["<unk>"]) for word in part]) for part in split]
    return Text(train=parts[0], validation=parts[1], test=parts[2], tokens=tokens)


def read_openwebtext(root: str | os.PathLike[str] | None = None) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """Give nanoGPT's ``train.bin`` and ``val.bin``: GPT-2 tokens on disk, of which only what is asked for is read.

    Parameters
    ----------
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Raises
    ------
    DataError
        They are not at hand, or hold what are no tokens of GPT-2.
    """
    train, validation = find(get_data_set("openwebtext"), root)[1].values()
    return _tokens(train), _tokens(validation)


def _tokens(path: Path) -> NDArray[np.uint16]:
    if path.stat().st_size < 4 or path.stat().st_size % 2:
        raise DataError(
            f"cannot use {path} of {path.stat().st_size} bytes: accepted are tokens of 16 bits, two at least"
        )
    found = np.memmap(path, np.uint16, "r")
    if (largest := int(found[:1_000_000].max())) >= 50257:
        raise DataError(f"cannot use {path}: it holds token {largest}; accepted are those of GPT-2, below 50257")
    return found
