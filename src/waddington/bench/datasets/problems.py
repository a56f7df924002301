"""GSM8K: grade-school problems with worked answers, and the exact reading of a final answer."""

from __future__ import annotations

import functools
import json
import os
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from waddington.bench.datasets.published import get_data_set
from waddington.bench.datasets.source import find, read_file
from waddington.errors import DataError

__all__ = ["WordProblem", "final_answer", "read_gsm8k"]

_MARKED = re.compile(r"####\s*\$?\s*(-?[\d,]*\.?\d+)")
_NUMBER = re.compile(r"-?(?:\d[\d,]*\.?\d*|\.\d+)")


@dataclass(frozen=True)
class WordProblem:
    """A question and its worked answer, which ends in ``#### number``."""

    question: str
    answer: str


def read_gsm8k(root: str | os.PathLike[str] | None = None) -> tuple[list[WordProblem], list[WordProblem]]:
    """Give 7,473 problems to train and 1,319 to test.

    Parameters
    ----------
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Raises
    ------
    DataError
        The data set is not at hand, or not what was published.
    """
    return _gsm8k(*find(get_data_set("gsm8k"), root)[1].values())


@functools.cache
def _gsm8k(*paths: Path) -> tuple[list[WordProblem], list[WordProblem]]:
    files = get_data_set("gsm8k").forms[0].files
    train, test = (
        [_problem(line, str(path)) for line in read_file(file, path).decode("utf-8").split("\n") if line.strip()]
        for file, path in zip(files, paths, strict=True)
    )
    return train, test


def _problem(line: str, place: str) -> WordProblem:
    try:
        found = json.loads(line)
        return WordProblem(question=found["question"], answer=found["answer"])
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"cannot read {place}: a line is no question with an answer ({error})") from error


def final_answer(text: str) -> Decimal | None:
    """Read the final answer of a worked one: the first number after ``####``, else the last number of the text.

    ``1,200``, ``$1200`` and ``1200.00`` are equal. This is the flexible reading of the usual harness; where
    the text goes on after its answer, as models do, the marked one counts.

    Parameters
    ----------
    text
        A worked answer.

    Returns
    -------
    Decimal or None
        The number, exact; None where there is none.
    """
    marked = _MARKED.search(text)
    numbers = [marked[1]] if marked else _NUMBER.findall(text)
    if not numbers:
        return None
    try:
        return Decimal(numbers[-1].replace(",", "").rstrip("."))
    except InvalidOperation:
        return None
