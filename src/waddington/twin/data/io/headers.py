"""What HDF5 files and zarr stores declare, looked at before a value is read.

Readers allocate what a header asks for. So each declared shape is held against the bytes that are there, the parts of
each sparse matrix against each other, and what only other software can unpack is named.
"""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import zlib
from pathlib import Path
from typing import Any, Final

import h5py

from waddington.errors import DataError
from waddington.twin.data.io.limits import check_declared, check_regular

__all__ = ["check_hdf5", "check_parts", "check_zarr", "store_bytes"]

_SPARSE: Final = ("csr_matrix", "csc_matrix")
_SLACK: Final = 2**16
_LARGE_CHUNK: Final = 2**20


def check_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that declares what it does not hold, points elsewhere, or needs a filter that is not here.

    Raises
    ------
    DataError
        Names the data set, what it declares, and what would be right.
    """
    links: list[tuple[str, Any]] = []
    items: list[tuple[str, Any]] = []
    with h5py.File(path, "r") as file:
        # HDF5 walks its groups itself, each once; errors are raised outside of its walk.
        file.visititems_links(lambda name, link: links.append((name, link)))
        file.visititems(lambda name, item: items.append((name, item)))
        for name, link in links:
            if isinstance(link, h5py.ExternalLink):
                raise _elsewhere(path, name, link.filename)
        declared = 0
        for name, item in items:
            if isinstance(item, h5py.Dataset):
                declared += _check_dataset(item, path, name)
            elif isinstance(item, h5py.Group):
                check_parts(item, path, name)
    check_declared(declared, path.stat().st_size, what=str(path))


def check_zarr(group: Any, path: Path, stored: int) -> None:
    """Refuse a zarr store that declares what it does not hold.

    A chunk that is not there means that all of it is the fill value, which is usual. Where zeros cannot fill a chunk,
    in the values and indices of a sparse matrix, it means that the store is incomplete.

    Parameters
    ----------
    group
        The root, as zarr opened it.
    path, stored
        The store, and its bytes on disk.

    Raises
    ------
    DataError
        Names the array, what it declares, and what would be right.
    """
    declared = 0
    for name, item in group.members(max_depth=None):
        if hasattr(item, "chunks"):
            declared += item.dtype.itemsize * max(math.prod(item.shape), math.prod(item.chunks))
        elif check_parts(item, path, name):
            for part in ("data", "indices"):
                array = item[part]
                # Counted one by one, so only where the declared sizes can be true at all.
                if array.nbytes <= max(stored * 1000, _SLACK) and array.nchunks_initialized < array.nchunks:
                    raise _incomplete(path, f"{name}/{part}", array.nchunks_initialized, array.nchunks)
    check_declared(declared, stored, what=str(path))


def check_parts(group: Any, path: Path, name: str) -> bool:
    """Hold the declared parts of a sparse matrix against each other; say whether the group is one.

    Parameters
    ----------
    group
        A group of HDF5 or zarr.
    path, name
        Where it stands, for messages.

    Raises
    ------
    DataError
        When a part is missing, or sizes do not fit.
    """
    form = group.attrs.get("encoding-type", group.attrs.get("h5sparse_format"))
    if isinstance(form, str) and not form.endswith("_matrix"):
        form = f"{form}_matrix"
    if form not in _SPARSE:
        return False
    shape = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
    try:
        n_rows, n_columns = (int(size) for size in shape)
        sizes = {part: tuple(group[part].shape) for part in ("data", "indices", "indptr")}
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise DataError(
            f"cannot read {path}: {name} is an incomplete sparse matrix ({error}); accepted are data, indices, indptr "
            "and a shape of two whole numbers"
        ) from error
    n_lines = n_rows if form == "csr_matrix" else n_columns
    expected = {"data": sizes["data"], "indices": sizes["data"], "indptr": (n_lines + 1,)}
    if min(n_rows, n_columns) < 0 or len(sizes["data"]) != 1 or sizes != expected:
        found = ", ".join(f"{part} of shape {size}" for part, size in sizes.items())
        raise DataError(
            f"cannot read {path}: {name} is damaged: found {found} for a {form} of {n_rows} x {n_columns}; "
            f"accepted are as many data as indices, and {n_lines + 1} in indptr"
        )
    return True


def store_bytes(folder: Path) -> int:
    """Add up the bytes in a folder.

    Raises
    ------
    DataError
        When a pipe or a device is in it.
    """
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            entry = Path(parent, name)
            if entry.exists():
                check_regular(entry)
                total += entry.stat().st_size
    return total


def _check_dataset(dataset: Any, path: Path, name: str) -> int:
    """Check one data set of HDF5; give the bytes that reading it takes."""
    if dataset.is_virtual or dataset.external:
        raise _elsewhere(path, name, "other files")
    item_size = int(dataset.id.get_type().get_size())
    declared = int(math.prod(dataset.shape or (0,))) * item_size
    if declared == 0:
        return 0
    stored = int(dataset.id.get_storage_size())
    if dataset.chunks:
        _check_filters(dataset, path, name)
        n_chunks = math.prod(-(-size // chunk) for size, chunk in zip(dataset.shape, dataset.chunks, strict=True))
        n_found = dataset.id.get_num_chunks()
        if n_found < n_chunks:
            raise _incomplete(path, name, n_found, n_chunks)
        room = n_chunks * math.prod(dataset.chunks) * item_size
    elif stored < declared:
        raise DataError(
            f"cannot read {path}: {name} is incomplete: found {stored:,} of {declared:,} bytes; "
            "accepted is a complete file: copy or download it again"
        )
    else:
        room = declared
    if stored > 2 * room + _SLACK:
        raise DataError(
            f"cannot read {path}: {name} is damaged: found {stored:,} bytes where {room:,} are declared; accepted is a "
            "complete file: copy or download it again"
        )
    if dataset.chunks and dataset.compression == "gzip" and stored > _LARGE_CHUNK:
        _check_unpacked(dataset, path, name, math.prod(dataset.chunks) * item_size)
    return declared


def _check_unpacked(dataset: Any, path: Path, name: str, chunk_bytes: int) -> None:
    """Unpack the large chunks, no further than they may go: HDF5 itself goes as far as the packed bytes lead.

    A chunk of 1 MiB can unpack to 1 GiB. What HDF5's writers make by default is smaller, so real files seldom pay.
    """
    large: list[tuple[int, ...]] = []
    dataset.id.chunk_iter(
        lambda chunk: large.append(chunk.chunk_offset) if chunk.size > _LARGE_CHUNK and not chunk.filter_mask else None
    )
    for place in large:
        unpacked = zlib.decompressobj().decompress(dataset.id.read_direct_chunk(place)[1], chunk_bytes + _SLACK)
        if len(unpacked) >= chunk_bytes + _SLACK:
            raise DataError(
                f"cannot read {path}: {name} is damaged: a chunk of {chunk_bytes:,} bytes unpacks to more; accepted is "
                "a complete file: copy or download it again"
            )


def _check_filters(dataset: Any, path: Path, name: str) -> None:
    """Name the filter that is missing; hdf5plugin brings most of them once it is imported."""
    settings = dataset.id.get_create_plist()
    for position in range(settings.get_nfilters()):
        code, _, _, label = settings.get_filter(position)
        if not h5py.h5z.filter_avail(code):
            with contextlib.suppress(ImportError):
                importlib.import_module("hdf5plugin")
        if not h5py.h5z.filter_avail(code):
            raise DataError(
                f"cannot read {path}: {name} is packed with a filter of HDF5 that is not installed "
                f"({code}, {label.decode(errors='replace') or 'without a name'}); accepted: pip install hdf5plugin, "
                "which brings the usual ones, or a file packed with gzip"
            )


def _incomplete(path: Path, name: str, n_found: int, n_chunks: int) -> DataError:
    return DataError(
        f"cannot read {path}: {name} is incomplete: found {n_found:,} of {n_chunks:,} chunks; "
        "accepted is a complete file: copy or download it again"
    )


def _elsewhere(path: Path, name: str, target: str) -> DataError:
    return DataError(
        f"cannot read {path}: {name} lies in {target}; accepted is a file that holds all of its data (write it anew "
        "from an AnnData or MuData in memory)"
    )
