"""The contract of every format of the registry: a new row is tested by being there, and needs a writer below."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp
from tests.twin.data.io.test_formats import write_tenx_h5

from waddington.errors import DataError
from waddington.twin.data.io import files, read
from waddington.twin.data.io.formats import FORMATS

pytestmark = pytest.mark.filterwarnings("ignore:Writing zarr v2:UserWarning")

CELLS, GENES = [f"cell{i}-1" for i in range(24)], [f"Gene{i}" for i in range(6)]


def cells() -> ad.AnnData:
    counts = sp.csr_matrix(np.random.default_rng(0).poisson(2.0, (24, 6)).astype(np.float32))
    return ad.AnnData(X=counts, obs=pd.DataFrame(index=CELLS), var=pd.DataFrame(index=GENES))


def write_folder(path: Path) -> Path:
    path.mkdir()
    scipy.io.mmwrite(path / "matrix.mtx", sp.coo_matrix(cells().X.T.astype(int)))
    (path / "barcodes.tsv").write_text("\n".join(CELLS))
    (path / "features.tsv").write_text("\n".join(f"ENSG{i}\t{gene}\tGene Expression" for i, gene in enumerate(GENES)))
    return path


def write_mudata(path: Path) -> Path:
    md.MuData({"rna": cells()}).write_h5mu(path)
    return path


def write_zarr(path: Path) -> Path:
    cells().write_zarr(path)
    return path


def write_zip(path: Path) -> Path:
    store = write_zarr(path.with_name("inner.zarr"))
    made = Path(shutil.make_archive(str(path.with_suffix("")), "zip", store))
    shutil.rmtree(store)
    return made


def write_h5ad(path: Path) -> Path:
    cells().write_h5ad(path)
    return path


def write_h5(path: Path) -> Path:
    write_tenx_h5(path, cells(), GENES, ["Gene Expression"] * 6)
    return path


WRITERS: dict[str, Callable[[Path], Path]] = {
    "h5mu": lambda folder: write_mudata(folder / "cells.h5mu"),
    "h5ad": lambda folder: write_h5ad(folder / "cells.h5ad"),
    "10x h5": lambda folder: write_h5(folder / "cells.h5"),
    "zarr": lambda folder: write_zarr(folder / "cells.zarr"),
    "zarr.zip": lambda folder: write_zip(folder / "cells.zarr.zip"),
    "10x folder": lambda folder: write_folder(folder / "cells"),
    "10x mtx": lambda folder: write_folder(folder / "cells") / "matrix.mtx",
}


@pytest.mark.parametrize("name", FORMATS)
class TestEveryFormat:
    def test_a_tiny_file_is_read_as_it_was_written(self, name: str, tmp_path: Path) -> None:
        found = read(WRITERS[name](tmp_path)).mod["rna"]
        np.testing.assert_array_equal(found.X.toarray(), cells().X.toarray())
        assert (found.obs_names.tolist(), found.var_names.tolist()) == (CELLS, GENES)

    def test_one_format_and_no_other_knows_the_file(self, name: str, tmp_path: Path) -> None:
        contents = files._look_into(WRITERS[name](tmp_path))
        knowing = [
            form.name for form in FORMATS.values() if form.container == contents.container and form.recognises(contents)
        ]
        assert knowing == [name]

    def test_reading_gives_what_the_row_says(self, name: str, tmp_path: Path) -> None:
        kind = type(files.open_file(WRITERS[name](tmp_path))).__name__
        assert kind in FORMATS[name].holds

    def test_messages_name_its_suffix(self, name: str, tmp_path: Path) -> None:
        assert FORMATS[name].suffix in files.ACCEPTED


@pytest.mark.parametrize("container", ["HDF5", "folder", "zip"])
def test_what_no_format_knows_is_refused_with_what_is_in_it(container: str, tmp_path: Path) -> None:
    path = tmp_path / "foreign"
    if container == "HDF5":
        import h5py

        with h5py.File(path, "w") as file:
            file["spikes"] = 1
        said = "HDF5 file of another kind .at its root: spikes."
    elif container == "folder":
        path.mkdir()
        (path / "notes.txt").touch()
        said = "found notes.txt in it"
    else:
        path = Path(shutil.make_archive(str(path), "zip", tmp_path))
        said = "a zip archive without a zarr store"
    with pytest.raises(DataError, match=f"{said}.*; accepted is a .h5mu or .h5ad"):
        files.open_file(path)
