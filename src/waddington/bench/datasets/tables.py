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
    lines = content.split(b"\n")
    lines = [line for line in lines if line.strip()]
    table = np.zeros((len(lines), features), np.float32)
    labels = np.zeros(len(lines), np.float32)
    for row, line in enumerate(lines):
        label, *entries = line.split()
        try:
            labels[row] = {b"-1": 0.0, b"+1": 1.0, b"1": 1.0}[label]
            for entry in entries:
                index, value = entry.split(b":")
                if not 1 <= int(index) <= features:
                    raise ValueError(f"index {int(index)}")
                table[row, int(index) - 1] = float(value)
        except (KeyError, ValueError) as error:
            raise DataError(
                f"cannot read line {row + 1} of a LIBSVM file ({error}): accepted is a label of -1 or +1, and"
                f" index:value with indices from 1 to {features}"
            ) from error
    return torch.from_numpy(table), torch.from_numpy(labels)
