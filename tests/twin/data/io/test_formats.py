"""What biologists keep their cells in is read, and means the same whatever it is kept in."""

from __future__ import annotations

import gzip
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

from waddington.errors import ArgumentError
from waddington.twin.data.io import read, write

Make = Callable[..., ad.AnnData]


def dense(mdata: md.MuData, modality: str) -> Any:
    return mdata.mod[modality].layers["counts"].toarray()


def write_tenx_h5(path: Path, adata: ad.AnnData, names: list[str], kinds: list[str]) -> None:
    by_cell = sp.csr_matrix(adata.X)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        group["data"], group["indices"], group["indptr"] = by_cell.data.astype("i4"), by_cell.indices, by_cell.indptr
        group["shape"] = np.array([adata.n_vars, adata.n_obs])
        group["barcodes"] = np.array(adata.obs_names, dtype="S")
        features = group.create_group("features")
        features["id"] = np.array([f"ENSG{i}" for i in range(adata.n_vars)], dtype="S")
        features["name"] = np.array(names, dtype="S")
        features["feature_type"] = np.array(kinds, dtype="S")


class TestH5mu:
    def test_counts_labels_and_extra_content_survive_a_round_trip(self, make: Make, tmp_path: Path) -> None:
        rna, atac = make(), make(n_features=5, stem="peak")
        rna.layers["truth"] = rna.X.toarray() * 0.5
        mdata = read(rna=rna, atac=atac)
        mdata.obs["perturbation"] = ["control"] * 20 + ["Cebpa+Gata1"] * 10
        mdata.obs["perturbation_mode"] = ["control"] * 20 + ["knockout+activation"] * 10
        mdata.uns["simulation"] = {"seed": 7}
        mdata.obsm["X_joint"] = np.arange(60.0).reshape(30, 2)
        back = read(write(mdata, tmp_path / "deep" / "cells.h5mu"))
        assert list(back.mod) == ["rna", "atac"]
        np.testing.assert_array_equal(dense(back, "rna"), rna.X.toarray())
        np.testing.assert_array_equal(back.mod["rna"].X.toarray(), rna.X.toarray())
        np.testing.assert_array_equal(back.mod["rna"].layers["truth"], rna.layers["truth"])
        assert back.uns["simulation"] == {"seed": 7}
        np.testing.assert_array_equal(back.obsm["X_joint"], mdata.obsm["X_joint"])
        assert list(back.obs["perturbation_mode"].unique()) == ["control", "knockout+activation"]
        assert back.mod["rna"].layers["counts"].dtype == np.float32

    def test_modalities_go_by_many_names_and_others_are_left_out(self, make: Make, tmp_path: Path) -> None:
        mdata = md.MuData({"gex": make(), "ADT": make(stem="CD"), "hto": make(stem="tag")})
        mdata.write(tmp_path / "cells.h5mu")
        back = read(tmp_path / "cells.h5mu")
        assert list(back.mod) == ["rna", "protein"]
        assert any("'hto' is not used" in note for note in back.uns["waddington"]["notes"])

    def test_the_name_of_the_file_does_not_matter(self, make: Make, tmp_path: Path) -> None:
        write(read(make()), tmp_path / "cells.h5mu").rename(tmp_path / "cells.data")
        assert list(read(tmp_path / "cells.data").mod) == ["rna"]


class TestH5ad:
    @pytest.mark.parametrize("dense_x", [False, True])
    def test_rna(self, make: Make, tmp_path: Path, dense_x: bool) -> None:
        adata = make(dense=dense_x)
        adata.write_h5ad(tmp_path / "rna.h5ad")
        mdata = read(tmp_path / "rna.h5ad")
        expected = adata.X if dense_x else adata.X.toarray()
        np.testing.assert_array_equal(dense(mdata, "rna"), expected)
        assert sp.issparse(mdata.mod["rna"].X)

    def test_genomic_intervals_are_atac(self, make: Make, tmp_path: Path) -> None:
        adata = make()
        adata.var_names = [f"chr1:{100 * i}-{100 * i + 50}" for i in range(adata.n_vars)]
        adata.write_h5ad(tmp_path / "peaks.h5ad")
        assert list(read(tmp_path / "peaks.h5ad").mod) == ["atac"]

    def test_feature_types_split_one_matrix(self, make: Make, tmp_path: Path) -> None:
        adata = make(n_features=6)
        kinds = ["Gene Expression", "Peaks", "Antibody Capture", "Gene Expression", "CRISPR Guide Capture", "Peaks"]
        adata.var["feature_types"] = kinds
        adata.write_h5ad(tmp_path / "all.h5ad")
        mdata = read(tmp_path / "all.h5ad")
        assert {name: list(part.var_names) for name, part in mdata.mod.items()} == {
            "rna": ["Gene0", "Gene3"],
            "atac": ["Gene1", "Gene5"],
            "protein": ["Gene2"],
        }
        assert any("'CRISPR Guide Capture'" in note for note in mdata.uns["waddington"]["notes"])

    @pytest.mark.parametrize("as_frame", [False, True])
    def test_protein_in_obsm(self, make: Make, tmp_path: Path, as_frame: bool) -> None:
        adata = make()
        table = np.arange(60).reshape(30, 2)
        if as_frame:
            adata.obsm["protein_expression"] = pd.DataFrame(table, index=adata.obs_names, columns=["CD3", "CD4"])
        else:
            adata.obsm["protein_counts"] = table
            adata.uns["protein_names"] = np.array(["CD3", "CD4"])
        adata.write_h5ad(tmp_path / "cite.h5ad")
        mdata = read(tmp_path / "cite.h5ad")
        assert list(mdata.mod["protein"].var_names) == ["CD3", "CD4"]
        np.testing.assert_array_equal(dense(mdata, "protein"), table)
        assert list(read(rna=tmp_path / "cite.h5ad", protein=tmp_path / "cite.h5ad").mod) == ["rna", "protein"]

    def test_counts_are_found_behind_normalized_values(self, make: Make, tmp_path: Path) -> None:
        adata = make()
        counts = adata.X.toarray()
        in_layer, in_raw, named = adata.copy(), adata.copy(), adata.copy()
        for other in (in_layer, in_raw, named):
            other.X = np.log1p(counts) * 1.1
        in_layer.layers["counts"] = adata.X
        in_raw.raw = adata
        named.layers["umis_of_mine"] = adata.X
        for one, options in ((in_layer, {}), (in_raw, {}), (named, {"counts_layer": "umis_of_mine"})):
            np.testing.assert_array_equal(dense(read(one, **options), "rna"), counts)

    @pytest.mark.filterwarnings("ignore::UserWarning:zarr")
    @pytest.mark.parametrize("suffix", ["h5mu", "zarr"])
    def test_counts_in_raw_of_several_modalities(self, make: Make, tmp_path: Path, suffix: str) -> None:
        parts = {name: make() for name in ("rna", "protein")}
        counts = {name: part.X.toarray() for name, part in parts.items()}
        for part in parts.values():
            part.raw = part.copy()
            part.X = np.log1p(part.X.toarray()) * 1.1
        path = tmp_path / f"cells.{suffix}"
        mdata = md.MuData(parts)
        mdata.write_h5mu(path) if suffix == "h5mu" else mdata.write_zarr(path)
        found = read(path)
        for name in parts:
            np.testing.assert_array_equal(dense(found, name), counts[name])

    def test_integers_and_rounding_noise_are_counts(self, make: Make) -> None:
        adata = make(dense=True)
        noisy, whole = adata.copy(), adata.copy()
        noisy.X = adata.X * np.float32(1 + 1e-5)
        whole.X = adata.X.astype(np.int64)
        np.testing.assert_array_equal(dense(read(noisy), "rna"), adata.X)
        np.testing.assert_array_equal(dense(read(whole), "rna"), adata.X)


class TestTenx:
    NAMES = ("CD4", "TBCE", "TBCE", "chr1:5-9", "CD4_TotalSeqB", "guide")
    KINDS = ("Gene Expression",) * 3 + ("Peaks", "Antibody Capture", "CRISPR Guide Capture")

    def test_h5_with_three_modalities(self, make: Make, tmp_path: Path) -> None:
        adata = make(n_features=6)
        write_tenx_h5(tmp_path / "run.h5", adata, list(self.NAMES), list(self.KINDS))
        mdata = read(tmp_path / "run.h5")
        assert list(mdata.mod["rna"].var_names) == ["CD4", "TBCE_ENSG1", "TBCE_ENSG2"]
        assert list(mdata.mod["atac"].var_names) == ["chr1:5-9"]
        np.testing.assert_array_equal(dense(mdata, "protein"), adata.X.toarray()[:, [4]])
        assert list(read(atac=tmp_path / "run.h5").mod) == ["atac"]

    def test_h5_of_cell_ranger_2(self, make: Make, tmp_path: Path) -> None:
        adata = make(n_features=3)
        by_cell = sp.csr_matrix(adata.X)
        with h5py.File(tmp_path / "old.h5", "w") as file:
            group = file.create_group("GRCh38")
            group["data"], group["indices"], group["indptr"] = by_cell.data, by_cell.indices, by_cell.indptr
            group["shape"], group["barcodes"] = [3, 30], np.array(adata.obs_names, dtype="S")
            group["genes"], group["gene_names"] = np.array(["E0", "E1", "E2"], "S"), np.array(["A", "B", "C"], "S")
        mdata = read(tmp_path / "old.h5")
        assert list(mdata.mod["rna"].var_names) == ["A", "B", "C"]
        np.testing.assert_array_equal(dense(mdata, "rna"), adata.X.toarray())

    @pytest.mark.parametrize("prefix", ["", "GSM1_"])
    @pytest.mark.parametrize("packed", [False, True])
    def test_mtx_folder(self, make: Make, tmp_path: Path, packed: bool, prefix: str) -> None:
        adata = make(n_features=6)
        features = [
            f"ENSG{i}\t{name}\t{kind}" for i, (name, kind) in enumerate(zip(self.NAMES, self.KINDS, strict=True))
        ]
        scipy.io.mmwrite(tmp_path / "plain.mtx", adata.X.T.astype(int))
        parts = {
            "matrix.mtx": (tmp_path / "plain.mtx").read_text(),
            "barcodes.tsv": "\n".join(adata.obs_names) + "\n",
            "features.tsv": "\n".join(features) + "\n",
        }
        folder = tmp_path / "run"
        folder.mkdir()
        for name, text in parts.items():
            if packed:
                (folder / f"{prefix}{name}.gz").write_bytes(gzip.compress(text.encode()))
            else:
                (folder / f"{prefix}{name}").write_text(text)
        mdata = read(folder)
        assert list(mdata.mod) == ["rna", "atac", "protein"]
        np.testing.assert_array_equal(dense(mdata, "rna"), adata.X.toarray()[:, :3])
        assert list(read(folder / f"{prefix}matrix.mtx{'.gz' if packed else ''}").mod) == ["rna", "atac", "protein"]

    def test_atac_folder_with_a_bed_file(self, make: Make, tmp_path: Path) -> None:
        adata = make(n_features=2)
        scipy.io.mmwrite(tmp_path / "matrix.mtx", adata.X.T.astype(int))
        (tmp_path / "barcodes.tsv").write_text("\n".join(adata.obs_names))
        (tmp_path / "peaks.bed").write_text("# made by hand\nchr1\t10\t20\nchr2\t5\t9\n")
        assert list(read(tmp_path).mod["atac"].var_names) == ["chr1:10-20", "chr2:5-9"]


@pytest.mark.filterwarnings("ignore:Writing zarr v2 data")
class TestZarr:
    def test_anndata_and_mudata_stores(self, make: Make, tmp_path: Path) -> None:
        rna, atac = make(), make(stem="peak")
        rna.write_zarr(tmp_path / "rna.zarr")
        md.MuData({"rna": rna, "atac": atac}).write_zarr(str(tmp_path / "both.zarr"))
        assert list(read(tmp_path / "rna.zarr").mod) == ["rna"]
        both = read(tmp_path / "both.zarr")
        assert list(both.mod) == ["rna", "atac"]
        np.testing.assert_array_equal(dense(both, "atac"), atac.X.toarray())


class TestJoining:
    def test_cells_are_matched_by_barcode_in_the_order_of_the_first(self, make: Make) -> None:
        rna, atac = make(), make(stem="peak", seed=1)
        order = np.random.default_rng(3).permutation(30)[:25]
        mdata = read(rna=rna, atac=atac[order].copy())
        kept = [name for i, name in enumerate(rna.obs_names) if i in set(order)]
        assert list(mdata.obs_names) == kept
        assert all(list(part.obs_names) == kept for part in mdata.mod.values())
        np.testing.assert_array_equal(dense(mdata, "atac"), atac[kept].X.toarray())
        np.testing.assert_array_equal(dense(mdata, "rna"), rna[kept].X.toarray())
        assert "RNA: 5 of 30 cells left out, other modalities lack them" in mdata.uns["waddington"]["notes"]

    def test_columns_of_all_files_are_kept(self, make: Make) -> None:
        rna, atac = make(), make(stem="peak")
        rna.obs["batch"], atac.obs["batch"] = "b1", "b1"
        rna.obs["n_counts"], atac.obs["n_counts"] = 10, 20
        rna.obs["treatment_time"] = ["0h", "1h", "3h"] * 10
        obs = read(rna=rna, atac=atac).obs
        assert set(obs["n_counts"]) == {10}
        assert set(obs["atac:n_counts"]) == {20}
        assert set(obs["batch"]) == {"b1"}
        assert "atac:batch" not in obs
        assert set(obs["time"]) == {0.0, 1.0, 3.0}

    def test_what_the_caller_holds_is_not_changed(self, make: Make) -> None:
        rna = make()
        before = rna.copy()
        mdata = read(rna)
        mdata.mod["rna"].X.data[:] = 0
        mdata.obs["new"] = 1
        np.testing.assert_array_equal(rna.X.toarray(), before.X.toarray())
        assert list(rna.obs.columns) == list(before.obs.columns)
        assert mdata.mod["rna"].layers["counts"].data.all()

    def test_one_modality_from_two_places_is_refused(self, make: Make) -> None:
        with pytest.raises(ArgumentError, match="cannot read rna twice"):
            read(make(), rna=make())

    def test_no_source_is_refused(self) -> None:
        with pytest.raises(ArgumentError, match="cannot read without a source"):
            read()
        with pytest.raises(ArgumentError, match="cannot read from int"):
            read(3)  # type: ignore[arg-type]
