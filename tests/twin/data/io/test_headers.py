"""What a file declares is held against what it holds before anything is allocated, and "damaged" means damaged."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import mudata as md
import numpy as np
import pytest

from waddington.errors import DataError
from waddington.twin.data.io import limits, read
from waddington.twin.data.io.refusals import fitting_in_memory, refusal

Make = Callable[..., ad.AnnData]
HUGE = 10**12
pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2 data")


def replace(name: str, **settings: Any) -> Callable[[h5py.File], None]:
    """Put another data set in the place of one, with its attributes."""

    def edit(file: h5py.File) -> None:
        attributes = dict(file[name].attrs)
        del file[name]
        file.create_dataset(name, **settings).attrs.update(attributes)

    return edit


def mark(name: str, key: str, value: Any) -> Callable[[h5py.File], None]:
    return lambda file: file[name].attrs.__setitem__(key, value)


class TestHdf5:
    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (mark("X", "shape", [HUGE, 8]), "X is damaged: found .* for a csr_matrix of 1000000000000 x 8"),
            (mark("X", "shape", "wide"), "X is an incomplete sparse matrix"),
            (replace("X/data", shape=(HUGE,), chunks=(10**6,), dtype="f4"), "X is damaged: found data of shape"),
            (replace("obs/_index", shape=(HUGE,), chunks=(10**6,), dtype="f4"), "found 0 of 1,000,000 chunks"),
            (replace("obs/_index", shape=(HUGE,), dtype="f4"), "found 0 of 4,000,000,000,000 bytes"),
            (replace("obs/_index", shape=(3,), dtype="f4", external=[("/dev/zero", 0, 12)]), "lies in other files"),
            (lambda file: file.__setitem__("uns/x", h5py.ExternalLink("/etc/hosts", "/x")), "lies in /etc/hosts"),
            (mark("X", "encoding-version", "9.9.9"), "'csr_matrix' in version '9.9.9' .* needs a newer anndata"),
            (mark("X", "encoding-type", "quilt"), "'quilt' in version '0.1.0' .* needs a newer anndata"),
            (replace("X/data", data=np.ones(3, ">f4")), "X is damaged"),
        ],
    )
    def test_what_cannot_be_is_refused(self, make: Make, tmp_path: Path, edit: Any, message: str) -> None:
        make().write_h5ad(tmp_path / "cells.h5ad")
        with h5py.File(tmp_path / "cells.h5ad", "a") as file:
            edit(file)
        with pytest.raises(DataError, match=message):
            read(tmp_path / "cells.h5ad")

    def test_a_type_without_a_sparse_form_is_not_damage(self, make: Make, tmp_path: Path) -> None:
        make().write_h5ad(tmp_path / "cells.h5ad")
        with h5py.File(tmp_path / "cells.h5ad", "a") as file:
            replace("X/data", data=file["X/data"][:].astype("f2"))(file)
        with pytest.raises(DataError, match="sparse matrix of type float16"):
            read(tmp_path / "cells.h5ad")

    @pytest.mark.parametrize("length", [0, 2**40])
    def test_a_heap_that_leads_nowhere_is_refused(self, make: Make, tmp_path: Path, length: int) -> None:
        path = tmp_path / "cells.h5ad"
        make().write_h5ad(path)
        content = bytearray(path.read_bytes())
        at = content.index(b"GCOL") + 16
        content[at : at + 16] = bytes(8) + length.to_bytes(8, "little")
        path.write_bytes(content)
        with pytest.raises(DataError, match="the heap of text at byte"):
            read(path)

    def test_a_chunk_that_unpacks_without_end_is_refused(self, make: Make, tmp_path: Path) -> None:
        adata = make(dense=True)
        adata.obsm["wide"] = np.random.default_rng(0).random((30, 10_000))
        adata.write_h5ad(tmp_path / "cells.h5ad")
        with h5py.File(tmp_path / "cells.h5ad", "a") as file:
            values = file["obsm/wide"][:]
            replace("obsm/wide", data=values, chunks=values.shape, compression="gzip")(file)
        assert read(tmp_path / "cells.h5ad").n_obs == 30
        packed = zlib.compress(values.tobytes() + bytes(2**24), 1)
        with h5py.File(tmp_path / "cells.h5ad", "a") as file:
            file["obsm/wide"].id.write_direct_chunk((0, 0), packed)
        with pytest.raises(DataError, match="obsm/wide is damaged: a chunk of 2,400,000 bytes unpacks to more"):
            read(tmp_path / "cells.h5ad")

    def test_a_missing_filter_is_named(self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make().write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
        monkeypatch.setattr(h5py.h5z, "filter_avail", lambda _: False)
        with pytest.raises(DataError, match=r"filter of HDF5 that is not installed \(1, deflate\).*hdf5plugin"):
            read(tmp_path / "cells.h5ad")

    @pytest.mark.parametrize("key", ["barcodes", "indptr", "indices", "last pointer"])
    def test_parts_of_a_10x_file_must_fit(self, make: Make, tmp_path: Path, key: str) -> None:
        matrix = make(n_features=3).X
        with h5py.File(tmp_path / "run.h5", "w") as file:
            group = file.create_group("matrix")
            group["data"], group["indices"], group["indptr"] = matrix.data, matrix.indices, matrix.indptr
            group["shape"], group["barcodes"] = [3, 30], np.array([f"c{i}" for i in range(30)], "S")
            group["genes"], group["gene_names"] = np.array(["E0", "E1", "E2"], "S"), np.array(["A", "B", "C"], "S")
        assert read(tmp_path / "run.h5").n_obs == 30
        with h5py.File(tmp_path / "run.h5", "a") as file:
            if key == "last pointer":
                file["matrix/indptr"][-1] -= 1
            else:
                replace(f"matrix/{key}", data=file[f"matrix/{key}"][:-1])(file)
        with pytest.raises(DataError, match=f"damaged: found .*{key.removeprefix('last ')}"):
            read(tmp_path / "run.h5")


class TestZarr:
    @pytest.fixture
    def store(self, make: Make, tmp_path: Path) -> Path:
        make().write_zarr(tmp_path / "cells.zarr")
        (tmp_path / "cells.zarr" / ".zmetadata").unlink()
        return tmp_path / "cells.zarr"

    @pytest.mark.parametrize(
        ("name", "changes", "message"),
        [
            ("X/data/.zarray", {"shape": [HUGE]}, "X is damaged: found data of shape"),
            ("X/data/.zarray", {"chunks": [HUGE]}, "it declares 3,725.3 GiB in"),
            ("X/.zattrs", {"shape": [HUGE, HUGE]}, "for a csr_matrix of 1000000000000 x 1000000000000"),
            ("X/.zattrs", {"encoding-version": "9.9"}, "needs a newer anndata"),
            ("X/data/.zarray", {"dtype": "<f16"}, "needs a newer zarr"),
            ("X/data/.zarray", {"compressor": {"id": "zfpy"}}, "the codec 'zfpy', which is not installed"),
            ("X/data/.zarray", {"zarr_format": 4}, "damaged or incomplete"),
        ],
    )
    def test_what_cannot_be_is_refused(self, store: Path, name: str, changes: dict[str, Any], message: str) -> None:
        written = json.loads((store / name).read_text())
        (store / name).write_text(json.dumps({**written, **changes}))
        with pytest.raises(DataError, match=message):
            read(store)

    def test_a_missing_chunk_of_counts_is_not_zeros(self, store: Path) -> None:
        (store / "X" / "data" / "0").unlink()
        with pytest.raises(DataError, match="X/data is incomplete: found 0 of 1 chunks"):
            read(store)

    def test_a_pipe_in_a_store_is_not_waited_for(self, store: Path) -> None:
        (store / "X" / "data" / "0").unlink()
        os.mkfifo(store / "X" / "data" / "0")
        with pytest.raises(DataError, match="found a named pipe"):
            read(store)

    @pytest.mark.parametrize("around", [None, "cells.zarr"])
    @pytest.mark.parametrize("both", [False, True])
    def test_a_zipped_store(self, make: Make, tmp_path: Path, around: str | None, both: bool) -> None:
        rna = make()
        if both:
            md.MuData({"rna": rna, "atac": make(stem="peak")}).write_zarr(str(tmp_path / "cells.zarr"))
        else:
            rna.write_zarr(tmp_path / "cells.zarr")
        root = tmp_path / (around or ".") / ("." if around else "cells.zarr")
        shutil.make_archive(str(tmp_path / "cells.zarr"), "zip", tmp_path if around else root, around)
        mdata = read(tmp_path / "cells.zarr.zip")
        assert list(mdata.mod) == (["rna", "atac"] if both else ["rna"])
        np.testing.assert_array_equal(mdata.mod["rna"].X.toarray(), rna.X.toarray())

    def test_a_zip_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "notes.txt").write_text("nothing")
        shutil.make_archive(str(tmp_path / "notes"), "zip", tmp_path / "in")
        with pytest.raises(DataError, match="zip archive without a zarr store"):
            read(tmp_path / "notes.zip")


class TestMtx:
    HEAD = "%%MatrixMarket matrix coordinate integer general\n"
    ENTRIES = "".join(f"{1 + i % 3} {1 + i} {i + 1}\n" for i in range(30))

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        (tmp_path / "barcodes.tsv").write_text("\n".join(f"c{i}" for i in range(30)))
        (tmp_path / "features.tsv").write_text("A\nB\nC\n")
        return tmp_path

    @pytest.mark.parametrize("packed", [False, True])
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (HEAD + "1000000000 1000000000 30\n" + ENTRIES, "found a matrix of 1000000000 x 1000000000 beside 30"),
            (HEAD + "3 30 1000000000\n" + ENTRIES, "1,000,000,000 entries declared for 3 x 30 in"),
            (HEAD + "3 30 31\n" + ENTRIES + "1 1 1\n", "an entry that is stored twice"),
            (HEAD + "3 30 30\n" + ENTRIES * 2, "file too long"),
            (HEAD + "3 30 31\n" + ENTRIES + "4 1 1\n", "out of bounds"),
            (HEAD + "3 30 31\n" + ENTRIES + "2 1 -1\n", "1 negative value,"),
            (HEAD + "3 30 31\n" + ENTRIES + f"2 1 {10**30}\n", "out of range"),
            (HEAD.replace("general", "symmetric") + "3 30 30\n" + ENTRIES, "'symmetric'"),
            (HEAD.replace("coordinate", "array") + "3 30\n", "first line is"),
        ],
    )
    def test_what_cannot_be_is_refused(self, folder: Path, text: str, message: str, packed: bool) -> None:
        if packed:
            (folder / "matrix.mtx.gz").write_bytes(gzip.compress(text.encode()))
        else:
            (folder / "matrix.mtx").write_text(text)
        with pytest.raises(DataError, match=message):
            read(folder)

    def test_what_unpacks_without_end_is_refused(self, folder: Path) -> None:
        text = (self.HEAD + "3 30 30\n" + self.ENTRIES).encode() + b"\n" * 2**22
        (folder / "matrix.mtx.gz").write_bytes(gzip.compress(text))
        with pytest.raises(DataError, match="unpacks to more than its header allows"):
            read(folder)

    def test_a_table_is_read_no_further_than_the_matrix_goes(self, folder: Path) -> None:
        (folder / "matrix.mtx").write_text(self.HEAD + "3 30 30\n" + self.ENTRIES)
        (folder / "barcodes.tsv").write_text("a\n" * 1000)
        with pytest.raises(DataError, match="beside 31 barcodes and 3 features"):
            read(folder)

    def test_a_pipe_is_not_waited_for(self, folder: Path) -> None:
        os.mkfifo(folder / "matrix.mtx")
        with pytest.raises(DataError, match="found a named pipe"):
            read(folder)


def test_devices_and_odd_paths_are_refused(tmp_path: Path) -> None:
    os.symlink("loop", tmp_path / "loop")
    for path, message in (
        ("/dev/zero", "a device"),
        (tmp_path / "loop", "a link to .loop., where nothing"),
        ("x" * 5000, "not exist"),
    ):
        with pytest.raises(DataError, match=message):
            read(path)


def test_limits_lie_far_from_real_data_and_name_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_memory", lambda: 2**36)
    million_cells = 2_000_000_000 * 12
    limits.check_declared(million_cells, million_cells // 20, what="cells.h5ad")
    with pytest.raises(DataError, match=r"declares 22.4 GiB in 4,000,000 bytes"):
        limits.check_declared(million_cells, 4_000_000, what="cells.h5ad")
    with pytest.raises(DataError, match=r"holds 89.4 GiB.*memory \(64.0 GiB\)"):
        limits.check_declared(4 * million_cells, million_cells, what="cells.h5ad")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryError(), "does not fit into memory"),
        (ModuleNotFoundError("No module named 'awkward'", name="awkward"), "pip install awkward"),
        (PermissionError(errno.EACCES, "Permission denied"), "permission denied"),
        (OSError("unable to lock file, errno = 11, error message"), "another program has it open"),
        (KeyError("indices"), r"damaged or incomplete \('indices'\)"),
    ],
)
def test_only_damage_is_called_damage(error: Exception, message: str) -> None:
    text = str(refusal(Path("cells.h5ad"), error))
    assert ("damaged" in text) == isinstance(error, KeyError)
    with pytest.raises(DataError, match=message):
        raise refusal(Path("cells.h5ad"), error)


@pytest.mark.parametrize("error", [MemoryError("Unable to allocate 7 TiB"), OverflowError("too large to convert")])
def test_sizes_beyond_memory_end_in_one_line(error: Exception) -> None:
    with pytest.raises(DataError, match=r"^cannot read the data: .*$"), fitting_in_memory():
        raise error
