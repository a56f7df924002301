from __future__ import annotations

from pathlib import Path

import mudata as md
import numpy as np
import pytest
from scipy import sparse

from waddington.errors import ArgumentError, OutputError
from waddington.twin.data.conditions import parse_label
from waddington.twin.data.io import write
from waddington.twin.datasets import NoiseModel, default_conditions, simulate
from waddington.twin.simulate.fates import STATE_NAMES

SIZES = {"n_cells": 480, "n_genes": 90, "n_peaks": 120, "n_proteins": 24, "n_truth_cells": 12}


@pytest.fixture(scope="module")
def mdata() -> md.MuData:
    return simulate(**SIZES)


def test_every_modality_holds_counts_in_csr_and_its_truth(mdata: md.MuData) -> None:
    assert list(mdata.mod) == ["rna", "atac", "protein"]
    for name, n_features in (("rna", 90), ("atac", 120), ("protein", 24)):
        adata = mdata[name]
        assert adata.shape == (480, n_features)
        for counts in (adata.X, adata.layers["counts"]):
            assert sparse.isspmatrix_csr(counts)
            assert counts.dtype == np.float32
            np.testing.assert_array_equal(counts.data, np.round(counts.data))
            assert (counts.data > 0).all()
        assert adata.layers["truth"].dtype == np.float32
        assert np.isfinite(adata.layers["truth"]).all()
        assert (adata.layers["truth"] >= 0).all()


def test_cells_are_labelled_as_files_label_them(mdata: md.MuData) -> None:
    obs = mdata.obs
    assert {"perturbation", "perturbation_mode", "time", "batch", "cell_type", "true_pseudotime"} <= set(obs)
    assert (obs["perturbation"] == "control").sum() == 192
    double = obs[obs["perturbation"] == "EgrNab+Pu.1"]
    assert set(double["perturbation_mode"]) == {"knockout+activation"}
    assert set(obs["cell_type"]) <= set(STATE_NAMES)
    assert obs["true_pseudotime"].between(0, 1).all()
    assert obs["time"].dtype == np.float64


def test_counts_look_like_measurements(mdata: md.MuData) -> None:
    totals = {name: np.median(np.asarray(adata.X.sum(axis=1))) for name, adata in mdata.mod.items()}
    assert 500 < totals["rna"] < 2000
    assert 1500 < totals["protein"] < 4000
    assert mdata["atac"].X.nnz / np.prod(mdata["atac"].shape) < 0.3
    assert mdata["protein"].X.nnz / np.prod(mdata["protein"].shape) > 0.9


def test_cells_move_on_with_time(mdata: md.MuData) -> None:
    control = mdata.obs[mdata.obs["perturbation"] == "control"]
    median = control.groupby("time")["true_pseudotime"].median()
    assert median.is_monotonic_increasing
    assert median.iloc[0] < 0.2
    assert median.iloc[-1] > 0.9
    assert (control.loc[control["time"] == 0, "cell_type"] == "Progenitor").mean() > 0.95
    assert set(STATE_NAMES[:4]) <= set(control.loc[control["time"] >= 48, "cell_type"])


def test_knocked_out_genes_are_absent_but_for_the_soup(mdata: md.MuData) -> None:
    for gene in ("Gata1", "Pu.1", "Cebpa"):
        knocked = ((mdata.obs["perturbation"] == gene) & (mdata.obs["perturbation_mode"] == "knockout")).to_numpy()
        assert (mdata["rna"][knocked, gene].layers["truth"] == 0).all()
        others = mdata["rna"][~knocked, gene].X.mean()
        assert mdata["rna"][knocked, gene].X.mean() < 0.2 * others


def test_losing_gata1_closes_the_erythroid_and_megakaryocyte_branches() -> None:
    screen = [(), parse_label("Gata1:knockout"), parse_label("Pu.1:activation")]
    obs = simulate(**(SIZES | {"n_truth_cells": 0}), conditions=screen, hours=(96.0,)).obs
    share = obs.groupby("perturbation", observed=True)["cell_type"].value_counts(normalize=True).unstack()
    assert share.loc["control", ["Erythrocyte", "Megakaryocyte"]].min() > 0.1
    assert share.loc["Gata1", ["Erythrocyte", "Megakaryocyte"]].max() == 0
    assert share.loc["Pu.1", ["Monocyte", "Neutrophil"]].sum() > 0.95


def test_one_seed_gives_the_same_bits_and_another_gives_other_cells_of_the_same_genome(mdata: md.MuData) -> None:
    again, other = simulate(**SIZES), simulate(**SIZES, seed=1)
    for name in mdata.mod:
        for part in ("indptr", "indices", "data"):
            np.testing.assert_array_equal(getattr(again[name].X, part), getattr(mdata[name].X, part))
        np.testing.assert_array_equal(again[name].layers["truth"], mdata[name].layers["truth"])
        assert (mdata[name].X != other[name].X).nnz > 0
        assert list(other[name].var_names) == list(mdata[name].var_names)
    assert again.obs.equals(mdata.obs)
    assert (other["rna"].var["program"] == mdata["rna"].var["program"]).all()


def test_the_stored_truth_is_that_of_each_condition(mdata: md.MuData) -> None:
    record = mdata.uns["simulation"]
    assert list(record["conditions"])[:2] == ["control", "Gata2:knockout"]
    assert len(record["conditions"]) == len(default_conditions())
    for name, adata in mdata.mod.items():
        for kind in ("true_response", "true_response_log1p"):
            assert record[kind][name].shape == (32, adata.n_vars)
            assert np.abs(record[kind][name][0]).max() < 1e-2
            assert (np.abs(record[kind][name][1:]).max(axis=1) > 0.02).all()


def test_modalities_can_be_left_out() -> None:
    alone = simulate(n_cells=40, n_genes=11, n_peaks=0, n_proteins=0, n_truth_cells=6)
    assert list(alone.mod) == ["rna"]
    assert alone["rna"].shape == (40, 11)
    assert list(alone.uns["simulation"]["true_response"]) == ["rna"]


def test_a_screen_without_controls_can_be_simulated() -> None:
    mdata = simulate(n_cells=20, n_genes=40, n_peaks=20, n_proteins=4, conditions=[parse_label("Gata1:knockdown")])
    assert set(mdata.obs["perturbation_mode"]) == {"knockdown"}


def test_a_file_holds_everything(mdata: md.MuData, tmp_path: Path) -> None:
    path = write(mdata, tmp_path / "new" / "cells.h5mu")
    back = md.read_h5mu(path)
    assert [file.name for file in path.parent.iterdir()] == ["cells.h5mu"]
    for name in mdata.mod:
        assert (back[name].layers["counts"] != mdata[name].layers["counts"]).nnz == 0
        np.testing.assert_array_equal(back[name].layers["truth"], mdata[name].layers["truth"])
    np.testing.assert_array_equal(back.obs["true_pseudotime"], mdata.obs["true_pseudotime"])
    np.testing.assert_array_equal(
        back.uns["simulation"]["true_response"]["atac"], mdata.uns["simulation"]["true_response"]["atac"]
    )
    with pytest.raises(OutputError, match="h5ad"):
        write(mdata, tmp_path / "cells.h5ad")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_cells": 20}, "n_cells=20: 32 conditions"),
        ({"n_genes": 5}, "n_genes=5"),
        ({"n_truth_cells": -1}, "n_truth_cells=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"hours": ()}, r"hours=\(\)"),
    ],
)
def test_arguments_that_cannot_be_are_refused_before_any_work(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        simulate(**(SIZES | arguments))


def test_noise_is_a_choice() -> None:
    deep = simulate(
        n_cells=40, n_genes=40, n_peaks=40, n_proteins=4, n_truth_cells=0, noise=NoiseModel(rna_depth=20_000.0)
    )
    assert np.median(np.asarray(deep["rna"].X.sum(axis=1))) > 10_000
    assert deep.uns["simulation"]["noise"]["rna_depth"] == 20_000.0
