"""Each kind of bad input gets one message: what, where, how many, and what would be accepted."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import mudata as md
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse as sp

from waddington.errors import ArgumentError, DataError, OutputError
from waddington.twin.data.io import read, validate, write

Make = Callable[..., ad.AnnData]


def refuse(*parts: str, **sources: Any) -> str:
    """Read, expect a refusal of one line, and check that it says each part."""
    with pytest.raises(DataError) as caught:
        read(**sources)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("cannot ")
    assert "accepted" in message or "found:" in message
    for part in parts:
        assert part in message, message
    return message


class TestFiles:
    def test_missing(self, tmp_path: Path, make: Make) -> None:
        make().write_h5ad(tmp_path / "cells.h5ad")
        refuse("does not exist", "beside it is 'cells.h5ad'", ".h5mu or .h5ad", path=tmp_path / "cell.h5ad")
        refuse("does not exist", path=tmp_path / "nowhere" / "x.h5mu")

    def test_a_missing_file_is_noticed_before_another_is_opened(self, tmp_path: Path, make: Make) -> None:
        (tmp_path / "broken.h5ad").write_bytes(b"not opened")
        refuse("absent.h5ad: it does not exist", rna=tmp_path / "broken.h5ad", atac=tmp_path / "absent.h5ad")

    def test_empty(self, tmp_path: Path) -> None:
        (tmp_path / "cells.h5mu").touch()
        refuse("the file is empty (0 bytes)", path=tmp_path / "cells.h5mu")

    @pytest.mark.parametrize(
        ("content", "found"),
        [(b"cell,gene\n1,2\n", "no HDF5 file (it starts with b'cell,gen'"), (b"\x1f\x8b123", "gzip")],
    )
    def test_not_hdf5(self, tmp_path: Path, content: bytes, found: str) -> None:
        (tmp_path / "cells.h5ad").write_bytes(content)
        refuse(found, path=tmp_path / "cells.h5ad")

    @pytest.mark.parametrize("share", [0.2, 0.6, 0.999])
    def test_truncated(self, tmp_path: Path, make: Make, share: float) -> None:
        whole = write(read(make(n_cells=200)), tmp_path / "whole.h5mu").read_bytes()
        (tmp_path / "cells.h5mu").write_bytes(whole[: int(len(whole) * share)])
        refuse("cut off (truncated", "copy or download it again", path=tmp_path / "cells.h5mu")

    def test_damaged_inside(self, tmp_path: Path, make: Make) -> None:
        make(n_cells=400, n_features=60).write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
        with h5py.File(tmp_path / "cells.h5ad") as file:
            chunk = file["X/data"].id.get_chunk_info(0)
        content = bytearray((tmp_path / "cells.h5ad").read_bytes())
        content[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xff" * chunk.size
        (tmp_path / "cells.h5ad").write_bytes(content)
        refuse("damaged or incomplete", path=tmp_path / "cells.h5ad")

    def test_hdf5_of_another_kind(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "model.h5", "w") as file:
            file["weights"] = [1.0]
        refuse("HDF5 file of another kind (at its root: weights)", path=tmp_path / "model.h5")

    def test_a_folder_of_something_else(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").touch()
        refuse("found notes.txt in it", path=tmp_path)

    @pytest.mark.filterwarnings("ignore:Writing zarr v2 data")
    def test_a_broken_zarr_store(self, tmp_path: Path, make: Make) -> None:
        make().write_zarr(tmp_path / "cells.zarr")
        (tmp_path / "cells.zarr" / "X" / "data" / "0").write_bytes(b"no compressed numbers")
        refuse("damaged or incomplete", path=tmp_path / "cells.zarr")


class TestMtxFolders:
    @pytest.fixture
    def folder(self, tmp_path: Path, make: Make) -> Path:
        scipy.io.mmwrite(tmp_path / "matrix.mtx", make(n_features=3).X.T.astype(int))
        (tmp_path / "barcodes.tsv").write_text("\n".join(f"c{i}" for i in range(30)))
        (tmp_path / "features.tsv").write_text("A\nB\nC\n")
        return tmp_path

    def test_as_made(self, folder: Path) -> None:
        assert read(folder).mod["rna"].shape == (30, 3)

    def test_a_missing_table(self, folder: Path) -> None:
        (folder / "features.tsv").unlink()
        refuse("no features.tsv or genes.tsv or peaks.bed", path=folder)

    def test_sizes_that_do_not_fit(self, folder: Path) -> None:
        (folder / "barcodes.tsv").write_text("a\nb\n")
        refuse("found a matrix of 3 x 30 beside 2 barcodes and 3 features", path=folder)

    def test_a_matrix_that_is_cut_off(self, folder: Path) -> None:
        text = (folder / "matrix.mtx").read_text()
        (folder / "matrix.mtx").write_text(text[: len(text) // 2])
        refuse("empty, cut off or no Matrix Market file", path=folder)

    def test_an_empty_table(self, folder: Path) -> None:
        (folder / "barcodes.tsv").write_text("")
        refuse("barcodes.tsv: found no line", path=folder)

    def test_two_matrices(self, folder: Path) -> None:
        (folder / "other_matrix.mtx").touch()
        refuse("found matrix.mtx, other_matrix.mtx", "name one", path=folder)


class TestCells:
    def test_no_shared_cells(self, make: Make) -> None:
        rna, atac = make(), make(stem="peak")
        atac.obs_names = [f"other{i}" for i in range(30)]
        message = refuse("no shared cell", "30 cells such as 'cell0-1'", "such as 'other0'", rna=rna, atac=atac)
        assert "suffix" not in message

    def test_barcodes_that_differ_by_a_suffix(self, make: Make) -> None:
        rna, atac = make(), make(stem="peak")
        atac.obs_names = [name.removesuffix("-1") for name in atac.obs_names]
        refuse("no shared cell", "without the suffix after '-'", rna=rna, atac=atac)

    def test_too_few_shared_cells(self, make: Make) -> None:
        rna, atac = make(), make(stem="peak")
        atac.obs_names = [f"other{i}" if i > 3 else name for i, name in enumerate(atac.obs_names)]
        refuse("found 4 shared cells", "at least 10", rna=rna, atac=atac)

    def test_one_cell(self, make: Make) -> None:
        refuse("found 1 cell;", "at least 10", path=make(n_cells=1))
        refuse("found 9 cells;", "at least 10", path=make(n_cells=9))
        assert read(make(n_cells=9), min_cells=5).n_obs == 9

    def test_no_features(self, make: Make) -> None:
        refuse("protein of the AnnData given: found 0 features", rna=make(), protein=make()[:, []].copy())

    @pytest.mark.filterwarnings("ignore:Observation names are not unique", "ignore:Variable names are not unique")
    def test_duplicates(self, make: Make, tmp_path: Path) -> None:
        barcodes, features = make(), make()
        barcodes.obs_names = ["same", "same", *barcodes.obs_names[2:]]
        features.var_names = ["Gata1", "Gata1", "Gata1", *features.var_names[3:]]
        barcodes.write_h5ad(tmp_path / "barcodes.h5ad")
        refuse("barcodes.h5ad: found 1 duplicate barcode, the first is 'same'", path=tmp_path / "barcodes.h5ad")
        refuse("found 2 duplicate features, the first is 'Gata1'", path=features)

    def test_columns_of_one_name(self, make: Make) -> None:
        adata = make()
        adata.obs = pd.DataFrame({"a": 1, "b": 2}, index=adata.obs_names)
        adata.obs.columns = ["batch", "batch"]
        refuse("cannot use obs of the AnnData given: found 1 duplicate column, the first is 'batch'", path=adata)


class TestCounts:
    @pytest.mark.parametrize("dense", [False, True])
    @pytest.mark.parametrize(
        ("value", "parts"),
        [
            (np.nan, ("found 1 NaN or infinite value, first nan in cell 'cell4-1', feature 'Gene2'",)),
            (np.inf, ("found 1 NaN or infinite value, first inf",)),
            (-2, ("found 1 negative value, first -2 in cell 'cell4-1', feature 'Gene2'",)),
            (0.37, ("no integers", "first 0.37 in cell 'cell4-1'", "normalized already", "counts_layer")),
        ],
    )
    def test_one_bad_value_is_pointed_at(self, make: Make, value: float, parts: tuple[str, ...], dense: bool) -> None:
        adata = make(dense=True)
        adata.X[4, 2] = value
        if not dense:
            adata.X = sp.csr_matrix(adata.X)
        refuse("cannot use X of rna", *parts, path=adata)

    def test_normalized_data(self, make: Make, tmp_path: Path) -> None:
        adata = make()
        adata.X = adata.X.log1p()
        adata.write_h5ad(tmp_path / "cells.h5ad")
        refuse("X of rna in cells.h5ad", "normalized already", "raw counts", path=tmp_path / "cells.h5ad")

    def test_a_counts_layer_is_taken_at_its_word(self, make: Make) -> None:
        adata = make()
        adata.layers["counts"] = adata.X.log1p()
        refuse("layers['counts'] of rna", "no integers", path=adata)

    def test_nothing_but_zeros(self, make: Make) -> None:
        refuse(
            "30 cells x 8 features, all of them 0",
            path=ad.AnnData(sp.csr_matrix((30, 8)), obs=make().obs, var=make().var),
        )

    def test_no_matrix(self, make: Make) -> None:
        refuse("found no matrix", path=ad.AnnData(obs=make().obs, var=make().var))

    def test_an_unknown_counts_layer(self, make: Make) -> None:
        adata = make()
        adata.layers["scaled"] = adata.X
        refuse("counts_layer='umis'", "layers found: scaled", path=adata, counts_layer="umis")


class TestLabels:
    @pytest.mark.parametrize(
        "option", ["perturbation_key", "mode_key", "time_key", "split_key", "batch_key", "cell_type_key", "label_keys"]
    )
    def test_a_column_that_does_not_exist(self, make: Make, option: str) -> None:
        adata = make()
        adata.obs["donor"] = "d1"
        value: Any = ["guide"] if option == "label_keys" else "guide"
        refuse("label column 'guide'", "columns found: 'donor'", path=adata, **{option: value})

    def test_columns_that_cannot_be_read_as_named(self, make: Make) -> None:
        adata = make()
        adata.obs["when"] = ["early"] + ["3h"] * 29
        adata.obs["fold"] = ["train"] * 20 + ["fold2"] * 10
        refuse("1 of 30 cells without a time, the first is 'early'", path=adata, time_key="when")
        refuse("found 'fold2'", "'train', 'validation' and 'test'", path=adata, split_key="fold")

    def test_too_few_cells_with_a_label(self, make: Make) -> None:
        adata = make()
        adata.obs["perturbation"] = ["A", "control", *[None] * 28]
        refuse("found 2 cells", path=adata)

    def test_an_unknown_mode_is_an_argument_error(self, make: Make) -> None:
        with pytest.raises(ArgumentError, match=r"perturbation_mode='zap'.*'knockout'"):
            read(make(), perturbation_mode="zap")


class TestContent:
    def test_no_known_modality(self, make: Make) -> None:
        refuse("modalities found: 'methylation'", path=md.MuData({"methylation": make()}))

    def test_no_known_feature_type(self, make: Make) -> None:
        adata = make()
        adata.var["feature_types"] = "Custom"
        refuse("feature types found: 'Custom'", "'Gene Expression', 'Peaks', 'Antibody Capture'", path=adata)

    def test_a_modality_that_the_file_does_not_have(self, make: Make) -> None:
        adata = make()
        adata.var["feature_types"] = "Gene Expression"
        refuse("cannot read atac from", "found rna", atac=adata)

    def test_protein_names_that_do_not_fit(self, make: Make) -> None:
        adata = make()
        adata.obsm["protein_counts"] = np.ones((30, 3))
        adata.uns["protein_names"] = np.array(["CD3"])
        refuse("found 3 columns and 1 name in uns", path=adata)

    def test_more_proteins_than_there_can_be(self, make: Make) -> None:
        adata = make()
        adata.obsm["protein_counts"] = sp.csr_matrix((30, 10**9))
        refuse("found 1,000,000,000 columns", path=adata)


class TestInMemory:
    def test_good_data_come_back_as_they_are(self, make: Make) -> None:
        mdata = read(make())
        assert validate(mdata) is mdata
        assert list(validate(make()).mod) == ["rna"]

    @pytest.mark.parametrize(
        ("spoil", "message"),
        [
            (lambda mdata: mdata.mod["rna"].layers["counts"].data.__setitem__(0, np.nan), "found 1 NaN"),
            (lambda mdata: mdata.mod["rna"].layers["counts"].data.__setitem__(0, 0.5), "no integers"),
        ],
    )
    def test_spoilt_data_are_refused(self, make: Make, spoil: Callable[[md.MuData], None], message: str) -> None:
        mdata = read(make())
        spoil(mdata)
        with pytest.raises(DataError, match=message):
            validate(mdata)

    def test_labels_and_size_are_checked(self, make: Make) -> None:
        mdata = read(make())
        with pytest.raises(DataError, match="label column 'guide'"):
            validate(mdata, label_keys=["guide"])
        with pytest.raises(DataError, match="at least 100"):
            validate(mdata, min_cells=100)

    def test_something_else_is_refused(self) -> None:
        with pytest.raises(ArgumentError, match="cannot read from DataFrame"):
            validate(pd.DataFrame())  # type: ignore[arg-type]


class TestWriting:
    def test_a_failed_write_leaves_what_was_there(
        self, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        target = write(read(make()), tmp_path / "cells.h5mu")
        before = target.read_bytes()

        def fail(path: Path, *_: Any, **__: Any) -> None:
            Path(path).write_bytes(b"half a file")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(md, "write_h5mu", fail)
        with pytest.raises(OutputError, match=r"cannot write .*cells.h5mu.*: No space left on device"):
            write(read(make(seed=1)), target)
        assert target.read_bytes() == before
        assert [entry.name for entry in tmp_path.iterdir()] == ["cells.h5mu"]

    def test_a_place_that_cannot_be_written(self, make: Make, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(OutputError, match="accepted: a place that can be written"):
            write(read(make()), tmp_path / "file" / "cells.h5mu")

    def test_another_ending_is_refused(self, make: Make, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=re.escape("accepted is '.h5mu'")):
            write(read(make()), tmp_path / "cells.h5ad")


def test_a_link_to_nothing_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "cells.h5ad").symlink_to("gone.h5ad")
    refuse("cells.h5ad: it is a link to 'gone.h5ad', where nothing is", path=tmp_path / "cells.h5ad")
