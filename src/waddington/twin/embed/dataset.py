"""Cells in mini-batches: rows of tables, sampled neighbours and random masks, all from generators that are passed in.

Only the rows of a batch are ever made dense, so memory follows the batch and not the number of cells.
"""

from __future__ import annotations

import copy
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from waddington.errors import DataError
from waddington.twin._moved import names_moved_from

__all__ = [
    "CellDataset",
    "drop_modalities",
    "hold_out",
    "moments",
    "random_masks",
    "sample_neighbors",
    "shuffled_batches",
]

__getattr__ = names_moved_from(__name__)

Matrix = Any  # a float array or a SciPy CSR matrix: (cells, features)
IntArray = npt.NDArray[np.int64]

_DENSE_ENTRIES = 20_000_000  # 80 MB


class CellDataset:
    """Profiles, and counts where they are known, of the same cells in several modalities.

    Parameters
    ----------
    inputs
        Normalized profiles by modality, dense or CSR, (cells, features). A row with a NaN: the cell lacks that
        modality.
    counts
        Raw counts of the same features by modality, or None.
    n_features
        Expected number of features by modality.

    Raises
    ------
    DataError
        For no modality, an unknown one, a wrong number of features, or modalities that differ in their number of cells.
    """

    def __init__(
        self, inputs: Mapping[str, Matrix], counts: Mapping[str, Matrix] | None, *, n_features: Mapping[str, int]
    ) -> None:
        unknown = [name for name in inputs if name not in n_features]
        if unknown or not inputs:
            raise DataError(f"cannot use modalities {list(inputs)}: accepted are one or more of {list(n_features)}")
        sizes = {name: matrix.shape[0] for name, matrix in inputs.items()}
        if len(set(sizes.values())) != 1:
            raise DataError(f"cannot use inputs: found cells {sizes}; accepted is one number for all modalities")
        for label, tables in (("inputs", inputs), ("counts", counts or inputs)):
            for name in inputs:
                if name not in tables:
                    raise DataError(f"cannot use {label}: found no {name!r}; accepted are all of {list(inputs)}")
                expected = (sizes[name], n_features[name])
                if tables[name].shape != expected:
                    raise DataError(
                        f"cannot use {label}[{name!r}]: found shape {tables[name].shape}; accepted is {expected}"
                    )
        self.inputs = {name: _rows_first(inputs[name]) for name in n_features if name in inputs}
        self.counts = None if counts is None else {name: _compact(counts[name]) for name in self.inputs}
        self.present = {name: _measured(matrix) for name, matrix in self.inputs.items()}
        self.complete = {name: bool(here.all()) for name, here in self.present.items()}
        self.n_cells = next(iter(sizes.values()))

    def subset(self, rows: IntArray) -> CellDataset:
        """Give the same table with some of the cells, in this order."""
        part = copy.copy(self)
        part.inputs = {name: matrix[rows] for name, matrix in self.inputs.items()}
        part.counts = None if self.counts is None else {name: matrix[rows] for name, matrix in self.counts.items()}
        part.present = {name: here[rows] for name, here in self.present.items()}
        part.n_cells = rows.size
        return part

    def profiles(self, rows: IntArray) -> dict[str, Tensor]:
        """Normalized profiles of some cells, (rows, features) by modality; zeros where missing."""
        return {name: self._filled(name, matrix, rows) for name, matrix in self.inputs.items()}

    def observed(self, rows: IntArray) -> dict[str, Tensor]:
        """Raw counts of some cells, (rows, features) by modality; empty without counts."""
        return {name: self._filled(name, matrix, rows) for name, matrix in (self.counts or {}).items()}

    def _filled(self, name: str, matrix: Matrix, rows: IntArray) -> Tensor:
        block = _dense(matrix, rows)
        return torch.from_numpy(block if self.complete[name] else np.nan_to_num(block))

    def fingerprint(self) -> int:
        """Checksum of everything the table holds, so that a checkpoint can be refused when the data changed."""
        value = 0
        for matrix in [*self.inputs.values(), *(self.counts or {}).values()]:
            for part in (matrix.indptr, matrix.indices, matrix.data) if _is_sparse(matrix) else (matrix,):
                value = zlib.crc32(np.ascontiguousarray(part).view(np.uint8).data, value)
        return value

    def measured(self, rows: IntArray) -> dict[str, Tensor]:
        """Give 1 where a cell has the modality, else 0, (rows,) by modality."""
        return {name: torch.from_numpy(here[rows].astype(np.float32)) for name, here in self.present.items()}


def moments(
    matrix: Matrix, rows: IntArray, *, chunk: int = 4096
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation of each feature over some rows, chunk by chunk.

    Parameters
    ----------
    matrix
        Dense or CSR, (cells, features).
    rows
        Rows to look at, none of them missing.
    chunk
        Rows made dense at once.

    Returns
    -------
    Mean and standard deviation, each (features,), float64; zeros where there is no row.
    """
    total, square = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    for start in range(0, rows.size, chunk):
        block = _dense(matrix, rows[start : start + chunk]).astype(np.float64)
        total += block.sum(axis=0)
        square += (block**2).sum(axis=0)
    n = max(rows.size, 1)
    mean = total / n
    return mean, np.sqrt(np.maximum(square / n - mean**2, 0.0))


def hold_out(rows: IntArray, share: float, *, seed: int) -> tuple[IntArray, IntArray]:
    """Draw rows to train on, and a share of them to validate on instead; both sorted."""
    order = np.random.default_rng((seed, 1)).permutation(rows)
    n_held = round(share * rows.size)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


def shuffled_batches(rows: IntArray, batch_size: int, rng: np.random.Generator) -> Iterator[IntArray]:
    """Cut a random order of the rows into batches of nearly equal size, none above `batch_size`."""
    order = rng.permutation(rows)
    yield from np.array_split(order, max(1, -(-rows.size // batch_size)))


def sample_neighbors(table: IntArray, fanout: int, rng: np.random.Generator) -> IntArray:
    """Draw `fanout` neighbours of each cell without replacement.

    Parameters
    ----------
    table
        (cells, neighbours) indices, -1 where there is none.
    fanout
        How many to keep.
    rng
        Source of randomness.

    Returns
    -------
    (cells, min(fanout, neighbours)), -1 where there were fewer.
    """
    if table.shape[1] <= fanout:
        return table
    keys = rng.random(table.shape, dtype=np.float32)
    keys[table < 0] = 2.0  # empty places are chosen last
    return np.take_along_axis(table, np.argpartition(keys, fanout - 1, axis=1)[:, :fanout], axis=1)


def random_masks(shapes: Mapping[str, tuple[int, int]], fraction: float, rng: np.random.Generator) -> dict[str, Tensor]:
    """Hide each entry with probability `fraction`; true where hidden."""
    return {name: torch.from_numpy(rng.random(shape, dtype=np.float32) < fraction) for name, shape in shapes.items()}


def drop_modalities(present: Mapping[str, Tensor], probability: float, rng: np.random.Generator) -> dict[str, Tensor]:
    """Withhold measured modalities at random, but never the last one that a cell has.

    Parameters
    ----------
    present
        1 where measured, (cells,) by modality.
    probability
        Chance of withholding each.
    rng
        Source of randomness.

    Returns
    -------
    1 where measured and not withheld, by modality.
    """
    here = torch.stack(list(present.values()))
    keys = torch.from_numpy(rng.random(tuple(here.shape), dtype=np.float32))
    kept = here * (keys >= probability)
    lost = kept.sum(dim=0) == 0
    return {name: torch.where(lost, here[i], kept[i]) for i, name in enumerate(present)}


def _is_sparse(matrix: Matrix) -> bool:
    return bool(sparse.issparse(matrix))


def _rows_first(matrix: Matrix) -> Matrix:
    """CSR stays CSR (any other sparse form becomes it); everything else becomes a float32 array."""
    return matrix.tocsr() if _is_sparse(matrix) else np.asarray(matrix, dtype=np.float32)


def _compact(matrix: Matrix) -> Matrix:
    """Give counts as they are cheapest to read row by row: dense while small, CSR beyond."""
    if _is_sparse(matrix) and matrix.shape[0] * matrix.shape[1] <= _DENSE_ENTRIES:
        return np.asarray(matrix.toarray(), dtype=np.float32)
    return _rows_first(matrix)


def _measured(matrix: Matrix) -> npt.NDArray[np.bool_]:
    """Rows without NaN; a sparse matrix has no NaN rows."""
    if _is_sparse(matrix):
        return np.ones(matrix.shape[0], dtype=np.bool_)
    return np.asarray(~np.isnan(matrix).any(axis=1))


def _dense(matrix: Matrix, rows: IntArray) -> npt.NDArray[np.float32]:
    block = matrix[rows]
    return np.asarray(block.toarray() if _is_sparse(block) else block, dtype=np.float32)
