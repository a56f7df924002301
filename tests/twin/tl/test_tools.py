"""The tools on what scanpy left, and on cells of which some bear no label."""

from __future__ import annotations

import anndata as ad
import mudata as md
import numpy as np
import pytest
import scanpy as sc
from tests.twin.user_cells import one_modality, simulated

from waddington import twin
from waddington.errors import DataError
from waddington.twin.evaluate.protocol import screen_of

SMALL = {"epochs": 1, "embedding_dim": 4, "joint_dim": 4}


@pytest.fixture(scope="module")
def scanpys() -> ad.AnnData:
    """Give RNA as scanpy's tutorial leaves it; not to be changed."""
    adata = one_modality(simulated(n_cells=300))
    adata.layers["counts"] = adata.X.copy()
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=40)
    sc.pp.pca(adata, n_comps=10)
    sc.pp.neighbors(adata, method="gauss")  # umap's weights have the same form, and take half a minute to compile
    return adata


def test_scanpys_results_are_used_and_named(scanpys: ad.AnnData) -> None:
    adata = scanpys.copy()
    twin.tl.embed(adata, **SMALL)
    twin.tl.pseudotime(adata, root="time")
    notes = " ".join(adata.uns["waddington"]["notes"])
    assert "RNA: highly variable features of X as another tool normalized it" in notes
    assert adata.uns["waddington"]["pseudotime"]["graph"] == "connectivities"
    predicted = twin.tl.predict(adata, ["Cebpa:knockout+Gata1:knockout"])
    assert predicted.n_vars == 40
    controls = adata[adata.obs["perturbation"] == "control", predicted.var_names].X.toarray()
    np.testing.assert_allclose(predicted.X - predicted.layers["effect"], controls.mean(axis=0)[None], atol=1e-5)


def test_scanpys_components_alone_are_enough_to_predict(scanpys: ad.AnnData) -> None:
    adata = scanpys.copy()
    assert twin.tl.predict(adata, "Cebpa:knockout", use_rep="X_pca").n_obs == 1
    assert twin.tl.environment(adata, use_rep="X_pca").reset(seed=0)[0].shape[0] > 10
    assert "X_twin" not in adata.obsm


def test_values_without_counts_are_learned_with_gaussian_noise(scanpys: ad.AnnData) -> None:
    adata = scanpys.copy()
    del adata.layers["counts"]
    twin.tl.embed(adata, **SMALL)
    assert any("no layer of counts" in note for note in adata.uns["waddington"]["notes"])


def test_the_graph_that_is_named_is_used(scanpys: ad.AnnData) -> None:
    adata = scanpys.copy()
    sc.pp.neighbors(adata, n_neighbors=5, key_added="few", method="gauss")
    twin.pp.neighbors(adata)
    twin.tl.pseudotime(adata, neighbors_key="few")
    assert adata.uns["waddington"]["pseudotime"]["graph"] == "few_connectivities"
    twin.tl.pseudotime(adata)
    assert adata.uns["waddington"]["pseudotime"]["graph"] == "twin_connectivities"
    with pytest.raises(DataError, match=r"neighbors_key='many': found no graph"):
        twin.tl.pseudotime(adata, neighbors_key="many")


def test_a_root_is_named_as_in_a_run(screen: md.MuData) -> None:
    data = screen.copy()
    twin.tl.pseudotime(data, root="control")
    assert data.uns["waddington"]["pseudotime"]["how"] == "the centre of the controls"
    cell = str(data.obs_names[7])
    twin.tl.pseudotime(data, root=cell)
    assert data.obs["pseudotime"][cell] == 0
    assert data.uns["waddington"]["pseudotime"]["root"] == cell


def test_cells_without_a_label_are_kept_and_not_learned_from() -> None:
    adata = one_modality(simulated(n_cells=400))
    labels = adata.obs["perturbation"].astype(object)
    labels.iloc[::7] = np.nan
    adata.obs["perturbation"] = labels
    twin.pp.split(adata)
    assert (adata.obs["split"].iloc[::7] == "none").all()
    twin.pp.preprocess(adata)
    twin.tl.embed(adata, **SMALL)
    assert np.isfinite(adata.obsm["X_twin"]).all()
    known = adata[adata.obs["perturbation"].notna()].copy()
    one, other = (twin.tl.predict(data, "EKLF:knockout", "additive") for data in (adata, known))
    np.testing.assert_allclose(one.layers["effect"], other.layers["effect"], atol=1e-6)


def test_held_out_cells_teach_nothing(screen: md.MuData, response: twin.Response) -> None:
    data = screen.copy()
    test = (data.obs["split"] == "test").to_numpy()
    data.obsm["X_twin"][test] += 5
    data["rna"].X = data["rna"].X.multiply(~test[:, None]).tocsr()
    one, other = twin.tl.predict(data, "EKLF:knockout"), response.predict("EKLF:knockout")
    np.testing.assert_array_equal(one.X, other.X)


class TestEvaluate:
    def test_predictions_of_ones_own_stand_beside_the_models(self, screen: md.MuData, response: twin.Response) -> None:
        data = screen.copy()
        own = response.predict(["EKLF:knockout+Gfi1:knockout"])
        found = twin.tl.evaluate(data, own, name="mine", models=["mean", "additive"], repeats=1, null_repeats=0)
        assert set(found.scores["model"]) == {"mine", "mean", "additive", "replicate"}
        mine = found.scores[found.scores["model"] == "mine"]
        assert set(mine["perturbation"]) == {"EKLF:knockout+Gfi1:knockout"}
        assert set(mine["split"]) == {"combo_seen2"}
        assert set(mine["modality"]) == {"rna", "atac", "protein"}
        assert data.uns["waddington"]["metrics"].equals(found.metrics)

    def test_cells_without_a_split_are_hidden_in_turn(self, rna_screen: ad.AnnData) -> None:
        data = rna_screen.copy()
        del data.obs["split"]
        found = twin.tl.evaluate(data, models=["additive"], splits=["held-out cells"], repeats=1, null_repeats=0)
        assert set(found.scores["split"]) == {"held-out cells"}

    def test_a_representation_is_used_where_it_is_named(self, rna_screen: ad.AnnData) -> None:
        found = twin.tl.evaluate(
            rna_screen.copy(), models=["latent additive"], use_rep="X_twin", repeats=1, null_repeats=0
        )
        assert "latent additive" in set(found.scores["model"])

    def test_a_prediction_of_something_else_is_refused(self, screen: md.MuData, response: twin.Response) -> None:
        own = response.predict(["Cebpa:knockout+Gata2:knockout"])
        with pytest.raises(DataError, match="accepted: at least one of its conditions"):
            twin.tl.evaluate(screen.copy(), own)

    def test_missing_features_are_refused_by_name(self, screen: md.MuData, response: twin.Response) -> None:
        own = response.predict(["EKLF:knockout+Gfi1:knockout"])[:, 1:]
        with pytest.raises(DataError, match="1 of 80 features are missing, the first is"):
            twin.tl.evaluate(screen.copy(), own)

    def test_a_column_of_groups_that_is_not_there_is_refused_by_name(self, rna_screen: ad.AnnData) -> None:
        with pytest.raises(DataError, match="group_key='donor': obs has no such column"):
            twin.tl.evaluate(rna_screen.copy(), group_key="donor")

    def test_columns_that_cannot_be_read_are_said(self, rna_screen: ad.AnnData) -> None:
        data = rna_screen.copy()
        data.obs["split"] = "fold 1"
        assert "obs['split'] is not used as split: cannot read" in screen_of(data).notes[0]
        model = twin.Response(data, "additive")
        model.train()
        said = model.predict("EKLF:knockout").uns["waddington"]["prediction"]["notes"]
        assert any("obs['split'] is not used as split" in note for note in said)
        late = ad.AnnData(data.X, var=data.var, obs=data.obs[[]].assign(time=np.nan), uns=data.uns)
        for refuse in (screen_of, twin.Response):
            with pytest.raises(DataError, match=r"neither perturbations nor times.*obs\['time'\] is not used as time"):
                refuse(late)

    def test_cells_without_a_condition_or_a_group_are_counted(self, rna_screen: ad.AnnData) -> None:
        data = rna_screen.copy()
        data.obs["perturbation"] = data.obs["perturbation"].astype(object).where(np.arange(data.n_obs) >= 7, None)
        data.obs["donor"] = np.where(np.arange(data.n_obs) % 2 == 0, 1.0, 2.0)
        data.obs.loc[data.obs_names[5:10], "donor"] = np.nan
        assert screen_of(data, group_key="donor").notes == (
            "7 cells without a condition left out.", "3 cells without 'donor' left out.",
        )  # fmt: skip
