"""Links between features and genes: planted ones are found, permuted ones are not."""

from __future__ import annotations

import re

import anndata as ad
import mudata as md
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from waddington import twin
from waddington.errors import ArgumentError, DataError

CELLS, GENES, PEAKS, PLANTED = 400, 40, 60, 8


def planted(*, paired: bool = True) -> md.MuData:
    """Give cells in which the first genes go with the first peaks, each pair along a direction of its own."""
    rng = np.random.default_rng(0)
    states = rng.standard_normal((CELLS, PLANTED))
    drive = np.zeros((CELLS, GENES))
    drive[:, :PLANTED] = 1.2 * states
    rna = rng.poisson(np.exp(2.0 + drive)).astype(np.float32)
    drive = np.zeros((CELLS, PEAKS))
    drive[:, :PLANTED] = 1.5 * states
    atac = rng.poisson(0.7 * np.exp(drive - 0.5)).astype(np.float32)
    if not paired:
        atac = atac[rng.permutation(CELLS)]
    cells = [f"cell{i}" for i in range(CELLS)]
    genes = pd.DataFrame({"interval": [f"chr1:{100_000 * (i + 1)}-{100_000 * (i + 1) + 500}" for i in range(GENES)]})
    genes.index = [f"gene{i}" for i in range(GENES)]
    peaks = pd.DataFrame(index=[f"chr1:{100_000 * (i + 1) - 2000}-{100_000 * (i + 1) - 1500}" for i in range(PEAKS)])
    obs = pd.DataFrame(index=cells)
    mdata = md.MuData({"rna": ad.AnnData(rna, obs, genes), "atac": ad.AnnData(atac, obs.copy(), peaks)})
    twin.pp.preprocess(mdata, n_pcs=8, n_lsi=8)
    return mdata


@pytest.fixture(scope="module")
def cells() -> md.MuData:
    """Give cells with links; not to be changed."""
    return planted()


def own(found: pd.DataFrame) -> pd.Series:
    """Mark the pairs that were planted: the peak just before its gene, of the first genes."""
    start = found["feature"].str.extract(r":(\d+)-")[0].astype(int)
    at = found["gene"].str.removeprefix("gene").astype(int)
    return (start == 100_000 * (at + 1) - 2000) & (at < PLANTED)


def test_planted_links_are_found_among_all_pairs(cells: md.MuData) -> None:
    everywhere = cells.copy()
    del everywhere["rna"].var["interval"]
    with pytest.warns(UserWarning, match="no places in var of rna: every peak is tried with every gene"):
        found = twin.tl.links(everywhere)
    assert found.attrs["pairs"] == "all"
    assert found.attrs["tested"] == GENES * PEAKS
    assert own(found).sum() == PLANTED
    assert len(found) <= PLANTED + 2
    assert (found["score"] > found["null"]).all()
    assert (found["q_value"] <= 0.05).all()


def test_cells_that_are_not_paired_have_no_links(cells: md.MuData) -> None:
    unpaired = planted(paired=False)
    assert twin.tl.links(unpaired, window=5_000).empty
    assert twin.tl.links(unpaired, window=10_000_000).empty


def test_pairs_nearby_are_candidates_where_places_are_known(cells: md.MuData) -> None:
    found = twin.tl.links(cells, window=5_000, keep="all")
    assert found.attrs["pairs"] == "within 5,000 bases"
    assert set(found["distance"]) == {1500}
    assert len(found) == GENES
    assert found[found["linked"]].shape[0] == own(found).sum() == PLANTED
    assert found["linked"].iloc[:PLANTED].all()  # best first


def test_candidates_of_ones_own_are_judged_alone_and_keep_their_columns(cells: md.MuData) -> None:
    peaks = cells["atac"].var_names
    given = pd.DataFrame({"feature": [*peaks[:6], "chrX:1-2"], "gene": ["gene0", "gene1", *["gene9"] * 4, "gene1"]})
    found = twin.tl.links(cells, candidates=given.assign(source="mine"), fdr=0.01)
    assert list(found["gene"].sort_values()) == ["gene0", "gene1"]
    assert set(found["source"]) == {"mine"}
    assert found.attrs["left_out"] == 1
    assert found.attrs["tested"] == 6


def test_what_was_found_may_be_asked_again(cells: md.MuData) -> None:
    found = twin.tl.links(cells, window=5_000, keep="all")
    again = twin.tl.links(cells, candidates=found, keep="all")
    assert list(again.columns) == list(found.columns)
    pd.testing.assert_frame_equal(again, found, check_like=True)
    with pytest.raises(ArgumentError, match="candidates of type list"):
        twin.tl.links(cells, candidates=[("peak", "gene")])  # type: ignore[arg-type]


def test_a_models_attention_and_read_out_score_the_same_pairs(cells: md.MuData) -> None:
    model = twin.Twin(cells, embedding_dim=4, joint_dim=4, hidden=8, heads=2)
    model.train(max_epochs=1)
    found = twin.tl.links(cells, method="read-out", model=model, window=5_000, keep="all")
    assert len(found) == GENES
    assert found["null"].isna().all()
    assert found["score"].between(-1, 1).all()
    attended = twin.tl.links(cells, method="attention", model=model, window=5_000, keep="all")
    assert set(attended["feature"]) == set(found["feature"])
    assert attended["score"].abs().max() < 1
    assert attended["null"].notna().all()


@pytest.mark.parametrize("what", ["profiles", "counts"])
def test_one_value_that_is_no_number_is_refused_and_not_taken_for_no_links(cells: md.MuData, what: str) -> None:
    spoiled = cells.copy()
    atac = spoiled["atac"]
    x = sparse.csr_matrix(atac.X if what == "profiles" else atac.layers["counts"], dtype=np.float32)
    x.data[0] = np.nan
    if what == "profiles":
        atac.X = x
    else:
        atac.layers["counts"] = x
    with pytest.raises(DataError, match=f"atac: found NaN or infinity in the {what} of 1 cell;"):
        twin.tl.links(spoiled)


def test_what_cannot_be_linked_is_refused_by_name(cells: md.MuData) -> None:
    with pytest.raises(DataError, match=re.escape("cannot link rna alone")):
        twin.tl.links(md.MuData({"rna": cells["rna"]}))
    with pytest.raises(ArgumentError, match="read-out without a model"):
        twin.tl.links(cells, method="read-out")
    with pytest.raises(DataError, match=r"without columns \['gene'\]"):
        twin.tl.links(cells, candidates=pd.DataFrame({"feature": ["a"]}))
    with pytest.raises(DataError, match="window=10: no peak is so near"):
        twin.tl.links(cells, window=10)
    with pytest.raises(DataError, match=r"none of 1 candidate \(as given\)"):
        twin.tl.links(cells, candidates=pd.DataFrame({"feature": ["a"], "gene": ["b"]}))
