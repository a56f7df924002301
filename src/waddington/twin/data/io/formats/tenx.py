"""10x Genomics' own outputs: ``.h5`` matrices of Cell Ranger 2 and later, and folders with ``matrix.mtx``.

Both become an AnnData (cells x features, counts as CSR float32) whose ``var`` holds ``gene_ids`` and ``feature_types``.
Gene symbols repeat in every 10x reference, so a repeated symbol gets its id appended; ids are unique.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from waddington._text import counted
from waddington.errors import DataError
from waddington.twin.data.io.formats.base import Contents, Format
from waddington.twin.data.io.formats.mtx import BROKEN, open_packed, read_header, read_matrix
from waddington.twin.data.io.structure import check_sparse

__all__ = ["TENX_FOLDER", "TENX_H5", "TENX_MTX", "read_tenx_h5", "read_tenx_mtx"]

_MATRICES: Final = ("matrix.mtx", "matrix.mtx.gz")
"""How a matrix's name ends, with or without a prefix such as a GEO accession."""
_LONGEST_LINE: Final = 2**16
_MATRIX_KEYS: Final = {"data", "indices", "indptr", "shape", "barcodes"}
_ACCEPTED_FOLDER: Final = (
    "a folder with matrix.mtx, barcodes.tsv and features.tsv (or genes.tsv, peaks.bed), each also as .gz"
)


def _is_matrix(group: Any) -> bool:
    """Say whether an HDF5 group holds one matrix as Cell Ranger writes it."""
    return isinstance(group, h5py.Group) and set(group) >= _MATRIX_KEYS


def _holds_matrix(contents: Contents) -> bool:
    with h5py.File(contents.path, "r") as file:
        return any(_is_matrix(file[name]) for name in contents.names)


def read_tenx_h5(path: Path) -> ad.AnnData:
    """Read a Cell Ranger ``.h5``: genes, peaks and antibodies of one run.

    Parameters
    ----------
    path
        The file, already known to be HDF5.

    Raises
    ------
    DataError
        When the file holds several genomes in the form of Cell Ranger 2.
    """
    with h5py.File(path, "r") as file:
        groups = [name for name in file if _is_matrix(file[name])]
        if len(groups) != 1:
            raise DataError(
                f"cannot read {path}: found the matrices of {len(groups)} genomes ({', '.join(groups)}); "
                "accepted is a 10x file with one matrix"
            )
        group = file[groups[0]]
        n_features, n_cells = (int(size) for size in group["shape"][:2])
        if "features" in group:
            table = group["features"]
            columns = [table[key] for key in ("id", "name", "feature_type")]
        else:
            columns = [group["genes"], group["gene_names"]]
        sizes = {"barcodes": (n_cells,), "indptr": (n_cells + 1,), "indices": group["data"].shape}
        found = {key: group[key].shape for key in sizes}
        if found != sizes or any(column.shape != (n_features,) for column in columns):
            raise DataError(
                f"cannot read {path}: it is damaged: found {found} for {counted(n_features, 'feature')} x "
                f"{counted(n_cells, 'cell')}; "
                f"accepted are {sizes} and as many features"
            )
        # 10x stores features x barcodes by column, which read by row is barcodes x features.
        # Its parts are set as they are: SciPy's constructor would drop what lies past the last pointer.
        size: Any = (n_cells, n_features)
        counts = sp.csr_matrix(size, dtype=np.float32)
        counts.data, counts.indices, counts.indptr = (group[key][:] for key in ("data", "indices", "indptr"))
        barcodes = group["barcodes"].asstr()[:]
        ids, names, *rest = (column.asstr()[:] for column in columns)
        kinds = rest[0] if rest else np.full(n_features, "Gene Expression", dtype=object)
    return _to_anndata(counts, barcodes, names, ids, kinds)


def read_tenx_mtx(path: Path) -> ad.AnnData:
    """Read a 10x folder, or one matrix of it together with its tables of barcodes and features.

    Parameters
    ----------
    path
        The folder, or its ``matrix.mtx`` or ``matrix.mtx.gz``; a prefix before ``matrix`` must stand before the names
        of the tables as well.

    Raises
    ------
    DataError
        When a part is missing, empty or broken, or the sizes do not fit.
    """
    matrix_path = path if path.is_file() else _only_matrix(path)
    prefix = matrix_path.name.removesuffix(".gz").removesuffix("matrix.mtx")
    header = read_header(matrix_path)
    # No table has more lines than the matrix has on its longer side; one more is read to say so.
    most_lines = max(header.n_rows, header.n_columns) + 1
    barcodes = _read_table(_companion(matrix_path, prefix, ("barcodes.tsv",)), most_lines)
    features_path = _companion(matrix_path, prefix, ("features.tsv", "genes.tsv", "peaks.bed"))
    features = _read_table(features_path, most_lines)
    shape, size = (header.n_rows, header.n_columns), (len(barcodes), len(features))
    if shape not in (size, size[::-1]):
        raise DataError(
            f"cannot read {matrix_path}: found a matrix of {shape[0]} x {shape[1]} beside "
            f"{counted(size[0], 'barcode')} and {counted(size[1], 'feature')}; accepted is features x barcodes"
        )
    entries = read_matrix(matrix_path, header)
    check_sparse(entries, what=str(matrix_path))
    # The format's order is features x barcodes; a square matrix is taken so as well.
    counts = entries.T.tocsr() if shape[::-1] == size else entries.tocsr()
    names, ids, kinds = _name_features(features, is_bed="peaks.bed" in features_path.name)
    return _to_anndata(counts, barcodes[0].to_numpy(dtype=object), names, ids, kinds)


def _only_matrix(folder: Path) -> Path:
    found = sorted(file for file in folder.iterdir() if file.name.endswith(_MATRICES))
    if len(found) != 1:
        what = ", ".join(file.name for file in found) or "no matrix"
        raise DataError(
            f"cannot read folder {folder}: found {what}; accepted is {_ACCEPTED_FOLDER}; of several matrices name one"
        )
    return found[0]


def _companion(matrix: Path, prefix: str, names: tuple[str, ...]) -> Path:
    """Find the table that belongs to a matrix."""
    for name in names:
        for candidate in (matrix.with_name(prefix + name), matrix.with_name(f"{prefix}{name}.gz")):
            if candidate.is_file():
                return candidate
    raise DataError(
        f"cannot read {matrix}: beside it no {' or '.join(prefix + name for name in names)} was found; "
        f"accepted is {_ACCEPTED_FOLDER}"
    )


def _read_table(path: Path, most_lines: int) -> pd.DataFrame:
    """Read a headless table of strings, up to a number of lines."""
    rows: list[list[str]] = []
    try:
        with open_packed(path) as stream:
            while len(rows) < most_lines and (line := stream.readline(_LONGEST_LINE).decode("utf-8")):
                if line.strip() and not line.startswith("#"):
                    rows.append(line.rstrip("\r\n").split("\t"))
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(
            f"cannot read {path}: {error}; accepted is a tab-separated table in UTF-8, also as .gz"
        ) from error
    if not rows:
        raise DataError(f"cannot read {path}: found no line in it; accepted is one line for each barcode or feature")
    return pd.DataFrame(rows, dtype=object)


def _name_features(table: pd.DataFrame, *, is_bed: bool) -> tuple[Any, Any, Any]:
    """Take names, ids and feature types from a table of features, however many columns it has."""
    if is_bed:
        names = (table[0] + ":" + table[1] + "-" + table[2]).to_numpy(dtype=object)
        return names, names, np.full(len(table), "Peaks", dtype=object)
    ids = table[0].to_numpy(dtype=object)
    names = table[1].to_numpy(dtype=object) if table.shape[1] > 1 else ids
    kinds = table[2].to_numpy(dtype=object) if table.shape[1] > 2 else None
    return names, ids, kinds


def _to_anndata(counts: sp.csr_matrix, barcodes: Any, names: Any, ids: Any, kinds: Any) -> ad.AnnData:
    """Put the parts together, with repeated symbols told apart by their ids."""
    index = pd.Index(names, dtype=object)
    repeated = index.duplicated(keep=False)
    unique = [f"{name}_{own}" if again else name for name, own, again in zip(names, ids, repeated, strict=True)]
    var = pd.DataFrame({"gene_ids": ids}, index=pd.Index(unique, dtype=object))
    if kinds is not None:
        var["feature_types"] = kinds
    return ad.AnnData(X=counts, obs=pd.DataFrame(index=pd.Index(barcodes, dtype=object)), var=var)


TENX_H5 = Format(
    name="10x h5",
    suffix=".h5",
    container="HDF5",
    holds=("AnnData",),
    recognises=_holds_matrix,
    read=read_tenx_h5,
)
TENX_FOLDER = Format(
    name="10x folder",
    suffix="",
    container="folder",
    holds=("AnnData",),
    recognises=lambda contents: any(name.endswith(_MATRICES) for name in contents.names),
    read=read_tenx_mtx,
)
TENX_MTX = Format(
    name="10x mtx",
    suffix="matrix.mtx",
    container="text",
    holds=("AnnData",),
    recognises=lambda contents: True,
    read=read_tenx_mtx,
)
