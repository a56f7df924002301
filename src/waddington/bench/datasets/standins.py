"""Stand-ins: generated data of the shapes of real ones, so that code runs where no data are. They measure nothing."""

from __future__ import annotations

import functools

import torch

from waddington.bench.datasets.glue import GLUE_TASKS, Sentences
from waddington.bench.datasets.images import Images
from waddington.bench.datasets.problems import WordProblem
from waddington.bench.datasets.text import Text, encode_words, split_letters
from waddington.bench.problem import Pair

__all__ = [
    "FolderStandin",
    "images_standin",
    "letters_standin",
    "problems_standin",
    "sentences_standin",
    "tokens_standin",
    "words_standin",
]

_WORDS = ("a", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "sleeps", "well")


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@functools.cache
def images_standin(
    shape: tuple[int, int, int], *, classes: int = 10, train_cases: int = 96, test_cases: int = 32
) -> Images:
    """Give images of a shape: each class has a pattern, and noise is added."""
    draw = _generator()
    patterns = 255 * torch.rand(classes, *shape, generator=draw)

    def part(cases: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = torch.arange(cases) % classes
        noisy = patterns[labels] + 60 * torch.randn(cases, *shape, generator=draw)
        return noisy.clamp(0, 255).to(torch.uint8), labels

    return Images(name="stand-in", train=part(train_cases), test=part(test_cases), classes=classes)


def _prose(count: int, seed: int = 0) -> list[str]:
    chosen = torch.randint(0, len(_WORDS), (count,), generator=_generator(seed))
    return [_WORDS[int(i)] for i in chosen]


class FolderStandin:
    """Images that are generated when they are asked for, read as those of an ImageFolder are."""

    def __init__(self, cases: int, classes: int = 10, seed: int = 0) -> None:
        self.labels = torch.arange(cases) % classes
        self.seed = seed

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, chosen: torch.Tensor, size: int, random: torch.Tensor | None = None) -> Pair:
        """Give images of noise around their class's shade, mirrored by the last of an image's numbers."""
        rows = []
        for i in chosen.tolist():
            noise = 40 * torch.randn(3, size, size, generator=_generator(1000 * self.seed + i))
            rows.append((noise + 25 * float(self.labels[i])).clamp(0, 255).to(torch.uint8))
        x = torch.stack(rows)
        if random is not None:
            x = torch.where(random[:, -1, None, None, None] < 0.5, x.flip(-1), x)
        return x, self.labels[chosen]


@functools.cache
def letters_standin(count: int = 400) -> Text:
    """Give a text of random words, letter by letter."""
    return split_letters(" ".join(_prose(count)) + "\n")


@functools.cache
def words_standin(count: int = 1500) -> Text:
    """Give a text of random words, word by word."""
    found = _prose(count)
    lines = "\n".join(" ".join(found[i : i + 10]) for i in range(0, count, 10))
    third = len(lines) // 3
    return encode_words(lines[:third], lines[third : 2 * third], lines[2 * third :])


def tokens_standin(vocabulary: int, count: int = 2000) -> tuple[torch.Tensor, torch.Tensor]:
    """Give tokens to train and to choose by, each of which is near the one before."""
    steps = torch.randint(0, 3, (2, count), generator=_generator())
    found = steps.cumsum(1) % vocabulary
    return found[0], found[1]


@functools.cache
def sentences_standin(task: str, train_cases: int = 64, test_cases: int = 24) -> tuple[Sentences, Sentences]:
    """Give sentences for a task of GLUE, labelled by whether their first word comes early in the alphabet."""
    about = GLUE_TASKS[task]

    def part(cases: int, seed: int) -> Sentences:
        found = _prose(12 * cases, seed)
        texts = [
            tuple(" ".join(found[12 * i + 6 * j : 12 * i + 6 * j + 6]) for j in range(len(about.sentences)))
            for i in range(cases)
        ]
        labels = [float(text[0] < "k") if about.labels else 5.0 * (ord(text[0][0]) - 97) / 26 for text in texts]
        return Sentences(texts=texts, labels=[float(label) for label in labels])

    return part(train_cases, 1), part(test_cases, 2)


@functools.cache
def problems_standin(train_cases: int = 24, test_cases: int = 8) -> tuple[list[WordProblem], list[WordProblem]]:
    """Give sums of two numbers as word problems."""

    def one(i: int) -> WordProblem:
        a, b = i % 7 + 1, i % 5 + 2
        return WordProblem(
            question=f"Ann has {a} apples and gets {b}. How many has she?",
            answer=f"She has {a}+{b}=<<{a}+{b}={a + b}>>{a + b}\n#### {a + b}",
        )

    return [one(i) for i in range(train_cases)], [one(i + 3) for i in range(test_cases)]
