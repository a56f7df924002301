"""What must hold before any work begins: names, sizes and counts, each with one message that says what and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
import scipy.sparse as sp

from waddington._text import counted
from waddington.errors import DataError

__all__ = ["MIN_CELLS", "as_csr", "check_columns", "check_counts", "check_names", "check_size", "check_values"]

MIN_CELLS: Final = 10
"""Fewest cells with which graphs, components and held-out means make sense at all."""

_INTEGER_TOLERANCE: Final = 1e-3
"""Counts that went through a division and back in float32 are off by less than this."""

_ZERO_TOLERANCE: Final = 1e-6
"""A zero stays zero through a division: a larger value that rounds to 0 is a share, such as a term frequency."""

_LARGEST_COUNT: Final = 2**24
"""Beyond it float32, which counts are kept in, does not hold every integer."""


_DECLARED: Final = "or normalization='none', which takes X, or the layer named with layer=, as it is"


def check_size(n_cells: int, n_features: int, *, modality: str, source: str, min_cells: int = MIN_CELLS) -> None:
    """Refuse a modality without features or with too few cells.

    Raises
    ------
    DataError
        Names the modality, where it came from and both numbers.
    """
    if n_features == 0:
        raise DataError(
            f"cannot use {modality} of {source}: found 0 features ({counted(n_cells, 'cell')}); accepted is at least 1"
        )
    if n_cells < min_cells:
        raise DataError(
            f"cannot use {modality} of {source}: found {counted(n_cells, 'cell')}; accepted are at least {min_cells}"
        )


def check_names(names: pd.Index, *, kind: str, modality: str, source: str) -> None:
    """Refuse barcodes or features of which two bear one name.

    Parameters
    ----------
    names
        ``obs_names`` or ``var_names``.
    kind
        ``"barcodes"`` or ``"features"``.
    modality, source
        Where they stand, for the message.

    Raises
    ------
    DataError
        Counts the repeats and shows the first.
    """
    repeats = names[names.duplicated()]
    if len(repeats):
        remedy = (
            "give the cells of each sample a prefix of their own"
            if kind == "barcodes"
            else "var_names_make_unique() of scanpy gives repeats a number"
        )
        raise DataError(
            f"cannot use {modality} of {source}: found "
            f"{counted(len(repeats), f'duplicate {kind[:-1]}', f'duplicate {kind}')}, "
            f"the first is {str(repeats[0])!r}; accepted are unique names ({remedy})"
        )


def check_columns(columns: Iterable[str], obs: pd.DataFrame, *, source: str) -> None:
    """Refuse label columns that the cells do not have.

    Raises
    ------
    DataError
        Names the missing one and lists the columns that exist.
    """
    for column in columns:
        if column not in obs.columns:
            existing = ", ".join(map(repr, obs.columns)) or "none"
            raise DataError(
                f"cannot use label column {column!r} of {source}: it does not exist; columns found: {existing}"
            )


def as_csr(matrix: Any, *, what: str) -> sp.csr_matrix:
    """Bring a dense or sparse matrix into CSR without changing its values.

    Types that SciPy has no sparse form for become the next that it has: float16 becomes float32, long double float64.

    Raises
    ------
    DataError
        When it is no matrix in memory, or its values are no real numbers, or masked.
    """
    if isinstance(matrix, pd.DataFrame):
        matrix = matrix.to_numpy()
    in_memory = isinstance(matrix, np.ndarray) or sp.issparse(matrix)
    if not in_memory:
        raise DataError(
            f"cannot use {what}: found {type(matrix).__name__}; accepted are NumPy arrays and SciPy sparse matrices "
            "(to_memory() of anndata reads what is left on disk)"
        )
    dtype: np.dtype[Any] = matrix.dtype
    if dtype.kind not in "biuf":
        raise DataError(f"cannot use {what}: found values of type {dtype}; accepted are numbers")
    if np.ma.is_masked(matrix):
        raise DataError(f"cannot use {what}: found masked values; accepted is a number for each cell and feature")
    kept = {"e": "f", "g": "d"}.get(dtype.char, dtype.newbyteorder("="))
    return sp.csr_matrix(matrix.astype(kept, copy=False))


def check_counts(
    matrix: sp.csr_matrix, *, what: str, obs_names: Sequence[str] | pd.Index, var_names: Sequence[str] | pd.Index
) -> None:
    """Refuse a matrix that cannot be raw counts.

    Parameters
    ----------
    matrix
        Cells x features.
    what
        The matrix in words, for messages: ``"layers['counts'] of rna in FILE"``.
    obs_names, var_names
        Names of rows and columns, so that the first bad value can be pointed at.

    Raises
    ------
    DataError
        On NaN or infinite values, negative values, values that are no integers (normalized data) or too large for
        float32, or nothing but zeros.
    """
    values = matrix.data
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        bad = ~np.isfinite(values)
        raise DataError(
            f"cannot use {what} as counts: found {counted(int(bad.sum()), 'NaN or infinite value')}, "
            f"{_first(matrix, bad, obs_names, var_names)}; accepted are finite integers of 0 or more"
        )
    negative = values < 0
    if negative.any():
        raise DataError(
            f"cannot use {what} as counts: found {counted(int(negative.sum()), 'negative value')}, "
            f"{_first(matrix, negative, obs_names, var_names)}; "
            f"accepted are integers of 0 or more (scaled data are not counts); {_DECLARED}"
        )
    if values.dtype.kind == "f":
        rounded = np.rint(values)
        fractional = np.abs(values - rounded) > np.where(rounded == 0, _ZERO_TOLERANCE, _INTEGER_TOLERANCE)
        if fractional.any():
            raise DataError(
                f"cannot use {what} as counts: found {int(fractional.sum()):,} of {counted(values.size, 'value')} to "
                "be "
                f"no integers (largest value {values.max():.4g}; {_first(matrix, fractional, obs_names, var_names)}), "
                "so it is normalized already; accepted are raw counts in layers['counts'], X or raw.X, "
                f"or in a layer named with counts_layer=; {_DECLARED}"
            )
    large = values > _LARGEST_COUNT
    if large.any():
        raise DataError(
            f"cannot use {what} as counts: found {counted(int(large.sum()), 'value')} above {_LARGEST_COUNT:,}, "
            f"{_first(matrix, large, obs_names, var_names)}; accepted are counts that float32 holds exactly"
        )
    if not values.any():
        raise DataError(
            f"cannot use {what} as counts: found {counted(matrix.shape[0], 'cell')} x "
            f"{counted(matrix.shape[1], 'feature')}, all of them 0; "
            "accepted is at least one count"
        )


def check_values(
    matrix: sp.csr_matrix, *, what: str, obs_names: Sequence[str] | pd.Index, var_names: Sequence[str] | pd.Index
) -> None:
    """Refuse values that cannot be taken as they are.

    Parameters
    ----------
    matrix
        Cells x features.
    what
        The matrix in words, for messages.
    obs_names, var_names
        Names of rows and columns, so that the first bad value can be pointed at.

    Raises
    ------
    DataError
        On NaN or infinite values, or when every feature is the same in all cells.
    """
    bad = ~np.isfinite(matrix.data)
    if bad.any():
        raise DataError(
            f"cannot use {what} as it is: found {counted(int(bad.sum()), 'NaN or infinite value')}, "
            f"{_first(matrix, bad, obs_names, var_names)}; accepted are finite numbers (missing ones filled in)"
        )
    if not abs(matrix.max(axis=0) - matrix.min(axis=0)).sum():
        raise DataError(
            f"cannot use {what} as it is: found {counted(matrix.shape[0], 'cell')} that do not differ in any of "
            f"{counted(matrix.shape[1], 'feature')}; accepted are values that vary"
        )


def _first(matrix: sp.csr_matrix, bad: Any, obs_names: Any, var_names: Any) -> str:
    """Point at the first bad value among the stored ones."""
    position = int(np.argmax(bad))
    row = int(np.searchsorted(matrix.indptr, position, side="right")) - 1
    column = int(matrix.indices[position])
    return f"first {matrix.data[position]:.4g} in cell {str(obs_names[row])!r}, feature {str(var_names[column])!r}"
