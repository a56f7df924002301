"""Tables in LIBSVM's text: a9a."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import numpy as np
import torch

from waddington.bench.datasets.published import get_data_set
from waddington.bench.datasets.source import find, read_file
from waddington.bench.problem import Pair
from waddington.errors import DataError

__all__ = ["parse_libsvm", "read_a9a"]

_FEATURES = 123


def read_a9a(root: str | os.PathLike[str] | None = None) -> tuple[Pair, Pair]:
    """Give the Adult census: 32,561 people to train and 16,281 to test, 123 features of 0 or 1, labels 0 and 1.

    Parameters
    ----------
    root
        As :func:`~waddington.bench.datasets.data_root` takes it.

    Returns
    -------
    train, test
        Features as floats and labels as floats. They are shared by all who ask; don't write into them.

    Raises
    ------
    DataError
        The data set is not at hand, or a file of it is not what was published.
    """
    return _a9a(*find(get_data_set("a9a"), root)[1].values())


@functools.cache
def _a9a(*paths: Path) -> tuple[Pair, Pair]:
    files = get_data_set("a9a").forms[0].files
    train, test = (parse_libsvm(read_file(file, path), _FEATURES) for file, path in zip(files, paths, strict=True))
    return train, test


def parse_libsvm(content: bytes, features: int) -> Pair:
    """Read LIBSVM's text: ``label index:value …``, indices from 1, labels -1 and +1.

    Parameters
    ----------
    content
        The text.
    features
        Columns of the table.

    Returns
    -------
    features, labels
        Rows by `features`, and a label of 0 or 1 for each.

    Raises
    ------
    DataError
        A line is no line of this form, or has a larger index.
    """
    lines = [line for line in content.split(b"\n") if line.strip()]
    entries = np.array([line.count(b":") for line in lines], np.int64)
    for row, line in enumerate(lines):
        if len(line.split()) != 1 + entries[row]:
            raise _refused(row, "it is no label and pairs", features)
    try:
        numbers = np.array(b" ".join(lines).replace(b":", b" ").split()).astype(np.float64)
    except ValueError as error:
        raise _refused(None, str(error), features) from error
    starts = np.cumsum(1 + 2 * entries) - 1 - 2 * entries
    labels = numbers[starts]
    rows = np.repeat(np.arange(len(lines)), entries)
    pairs = np.delete(numbers, starts).reshape(-1, 2)
    columns = pairs[:, 0] - 1
    is_wrong = (columns < 0) | (columns >= features) | (columns % 1 != 0)
    for row in (*np.flatnonzero(np.abs(labels) != 1), *rows[is_wrong]):
        raise _refused(int(row), "its label or an index", features)
    table = np.zeros((len(lines), features), np.float32)
    table[rows, columns.astype(np.int64)] = pairs[:, 1]
    return torch.from_numpy(table), torch.from_numpy((labels > 0).astype(np.float32))


def _refused(row: int | None, reason: str, features: int) -> DataError:
    where = "a line" if row is None else f"line {row + 1}"
    return DataError(
        f"cannot read {where} of a LIBSVM file ({reason}): accepted is a label of -1 or +1, and index:value with"
        f" indices from 1 to {features}"
    )
