"""CIFAR's batches in the form of Python, which are pickles: read without ever running what a pickle can run."""

from __future__ import annotations

import codecs
import io
import pickle
from typing import Any

import numpy as np

from waddington.errors import DataError

__all__ = ["loads"]


def _array(kind: type, shape: tuple[int, ...], code: bytes) -> Any:
    """Make an empty array, whose state the pickle sets next; what numpy's ``_reconstruct`` does."""
    return np.ndarray.__new__(np.ndarray, shape, "u1")


_ACCEPTED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _array,
    ("numpy._core.multiarray", "_reconstruct"): _array,
    ("_codecs", "encode"): codecs.encode,
}


class _Unpickler(pickle.Unpickler):
    """Takes arrays, texts, bytes, numbers and their lists and mappings; refuses everything else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ACCEPTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}; accepted are arrays, texts, bytes and numbers")
        return _ACCEPTED[module, name]


def loads(content: bytes, place: str) -> dict[bytes, Any]:
    """Read a batch.

    Parameters
    ----------
    content
        The pickle, of Python 2 or 3.
    place
        Where it comes from, for errors.

    Raises
    ------
    DataError
        It asks for anything but arrays, texts, bytes and numbers, is damaged, or holds no mapping.
    """
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:
        raise DataError(f"cannot read {place}: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"cannot read {place}: it holds a {type(found).__name__}; accepted is a mapping")
    return found
