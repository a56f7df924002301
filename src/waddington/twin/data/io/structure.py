"""How sparse matrices are stored, held against their shape before a value is touched.

SciPy trusts indices and pointers: with a wrong one its routines read past the end of an array or move a count to
another gene. So every sparse matrix of the data is looked at once, whole, whether it is used or not: a file that is
damaged in one place is not to be believed in another.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import anndata as ad
import mudata as md
import numpy as np
import scipy.sparse as sp

from waddington._text import counted
from waddington.errors import DataError

__all__ = ["check_sparse", "check_structure"]


def check_structure(data: ad.AnnData | md.MuData, *, source: str) -> None:
    """Refuse data of which any sparse matrix is stored wrongly: ``X``, layers, ``raw``, ``obsm``, ``uns`` and the rest.

    Raises
    ------
    DataError
        Names the matrix, the first wrong index or pointer, and what would be right.
    """
    for place, matrix in _matrices(data):
        check_sparse(matrix, what=f"{place} of {source}")


def check_sparse(matrix: Any, *, what: str) -> None:
    """Refuse a sparse matrix with indices out of range, pointers that fall, parts of unlike length, or repeats.

    The order of the indices in a row has no meaning and is free. An entry that is stored twice is refused: SciPy would
    add the two, while a logarithm taken of the stored values has been taken of each alone.

    Parameters
    ----------
    matrix
        A SciPy sparse matrix or array in the form ``csr``, ``csc`` or ``coo``.
    what
        The matrix in words, for messages.

    Raises
    ------
    DataError
        Names the matrix, the first wrong index or pointer, and what would be right.
    """
    if matrix.format == "csr":
        _check_compressed(matrix, matrix.shape, what, ("row", "column"))
    elif matrix.format == "csc":
        _check_compressed(matrix, matrix.shape[::-1], what, ("column", "row"))
    elif matrix.format == "coo":
        for name, indices, size in zip(("row", "column"), matrix.coords, matrix.shape, strict=True):
            _check_range(indices, size, what, name)
        if sp.csr_matrix(matrix).nnz != len(matrix.data):
            _refuse(what, "an entry that is stored twice", "each once (sum_duplicates() of SciPy adds them)")
    else:
        raise DataError(f"cannot use {what}: found a sparse matrix of form {matrix.format!r}; accepted is 'csr'")


def _matrices(data: Any) -> Iterator[tuple[str, Any]]:
    """Give every sparse matrix with its place in words."""
    if isinstance(data, md.MuData):
        for name, part in data.mod.items():
            for place, matrix in _matrices(part):
                yield f"{place} of {name}", matrix
    else:
        if data.is_view:
            # A view cuts its matrices out of its parent's when they are asked for.
            yield from _matrices(data._adata_ref)
        if sp.issparse(data.X):
            yield "X", data.X
        yield from _nested("layers", data.layers)
        if data.raw is not None:
            yield from _nested("raw.X", data.raw.X)
    for name in ("obsm", "varm", "obsp", "varp", "uns"):
        yield from _nested(name, getattr(data, name))


def _nested(place: str, values: Any) -> Iterator[tuple[str, Any]]:
    if sp.issparse(values):
        yield place, values
    elif isinstance(values, Mapping):
        for key, value in values.items():
            yield from _nested(f"{place}[{key!r}]", value)


def _check_compressed(matrix: Any, shape: tuple[int, int], what: str, names: tuple[str, str]) -> None:
    """Check a matrix that is stored by row (or, with the shape turned around, by column)."""
    (n_major, n_minor), (major, minor) = shape, names
    data, indices, indptr = matrix.data, matrix.indices, matrix.indptr
    for name, array, kinds in (("data", data, "biufc"), ("indices", indices, "iu"), ("indptr", indptr, "iu")):
        if array.ndim != 1 or array.dtype.kind not in kinds:
            _refuse(
                what, f"{name} of type {array.dtype} in {counted(array.ndim, 'dimension')}", "numbers in one dimension"
            )
    if len(indptr) != n_major + 1:
        _refuse(what, f"{counted(len(indptr), 'pointer')} for {counted(n_major, major)}", f"{n_major + 1}")
    if len(data) != len(indices):
        _refuse(
            what, f"{counted(len(data), 'value')} with {counted(len(indices), 'index', 'indices')}", "as many of each"
        )
    if indptr[0] != 0 or indptr[-1] != len(data):
        _refuse(
            what,
            f"pointers from {indptr[0]} to {indptr[-1]} for {counted(len(data), 'value')}",
            f"pointers from 0 to {len(data)}",
        )
    falls = indptr[1:] < indptr[:-1]
    if falls.any():
        at = int(falls.argmax())
        _refuse(
            what, f"a pointer that falls from {indptr[at]} to {indptr[at + 1]} at {major} {at}", "pointers that rise"
        )
    _check_range(indices, n_minor, what, minor)
    # One byte a value, so that a large matrix is not copied whole for its order.
    order = sp.csr_matrix((np.zeros(len(data), dtype=np.int8), indices, indptr), shape=shape)
    if not order.has_sorted_indices:
        order = order.copy()
        order.sort_indices()
    if not order.has_canonical_format:
        again = order.indices[1:] == order.indices[:-1]
        again[order.indptr[1:-1][np.diff(order.indptr)[1:] > 0] - 1] = False
        at = int(again.argmax())
        line = int(np.searchsorted(order.indptr, at, side="right")) - 1
        _refuse(
            what,
            f"{major} {line}, {minor} {order.indices[at]} stored twice",
            "each entry once (sum_duplicates() of SciPy adds them)",
        )


def _check_range(indices: Any, size: int, what: str, name: str) -> None:
    if len(indices) and (indices.min() < 0 or indices.max() >= size):
        wrong = (indices < 0) | (indices >= size)
        first = indices[int(wrong.argmax())]
        _refuse(
            what,
            f"{counted(int(wrong.sum()), f'{name} index', f'{name} indices')} out of range, the first is {first}",
            f"0 to {size - 1}",
        )


def _refuse(what: str, found: str, accepted: str) -> NoReturn:
    raise DataError(f"cannot use {what}: its sparse structure is damaged: found {found}; accepted: {accepted}")
