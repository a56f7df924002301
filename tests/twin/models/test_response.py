"""A model of responses as one object: every row of the registry is trained, asked, saved and loaded through it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from tests.twin.respond.test_calibration import Z
from tests.twin.respond.test_priors import PATHWAYS
from tests.twin.respond.test_priors import world as pathways

from waddington import twin
from waddington.errors import ArgumentError, DataError, UnknownNameError, UnsupportedError
from waddington.twin.respond import MODELS
from waddington.twin.respond.baselines import scale_of

GENES = [f"G{i}" for i in range(6)] + [f"x{i}" for i in range(14)]
NEEDS = {"latent additive": {"use_rep": "X_pca"}, "similarity-weighted": {"group_key": "donor"}}
NO_COMBINATION = {"similarity-weighted"}


def screen() -> ad.AnnData:
    """Give log-normalized cells of 6 activations and 6 of their doubles, of two donors; nothing else is in obs."""
    rng = np.random.default_rng(0)
    effects = {f"G{i}": np.where(rng.random(20) < 0.4, rng.normal(0, 0.6, 20), 0.0) for i in range(6)}
    doubles = ["G0+G1", "G2+G3", "G4+G5", "G0+G2", "G1+G4", "G3+G5"]
    labels = np.repeat(["NT", *effects, *doubles], [120, *[24] * 12])
    change = np.stack([sum((effects[g] for g in one.split("+") if g != "NT"), np.zeros(20)) for one in labels])
    x = np.maximum(1.5 + 0.8 * change + 0.4 * rng.standard_normal((len(labels), 20)), 0.0).astype(np.float32)
    obs = pd.DataFrame({"guide": labels, "donor": np.where(np.arange(len(labels)) % 2, "d1", "d2")})
    adata = ad.AnnData(x, obs=obs.set_index(pd.Index([f"c{i}" for i in range(len(labels))])))
    adata.var_names = GENES
    adata.obsm["X_pca"] = (x - x.mean(axis=0)) @ np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:8].T
    keys = {"perturbation_key": "guide", "control": "NT", "perturbation_mode": "activation"}
    twin.Response.setup_anndata(adata, **keys, combination_separator="+")
    return adata


@pytest.fixture(scope="module")
def cells() -> ad.AnnData:
    """Not to be changed."""
    return screen()


@pytest.fixture(scope="module")
def model(cells: ad.AnnData) -> twin.Response:
    made = twin.Response(cells)
    made.train()
    return made


@pytest.mark.parametrize("name", MODELS)
def test_every_model_is_trained_asked_saved_and_loaded(cells: ad.AnnData, tmp_path: Path, name: str) -> None:
    made = twin.Response(cells, name, **NEEDS.get(name, {}))
    made.train()
    asked = ["G0:activation"] if name in NO_COMBINATION else ["G0:activation", "G0:activation+G5:activation"]
    predicted = made.predict(asked)
    assert predicted.shape == (len(asked), 20)
    assert np.isfinite(predicted.X).all()
    assert (predicted.layers["low"] <= predicted.layers["effect"]).all()
    assert (predicted.layers["effect"] <= predicted.layers["high"]).all()
    loaded = twin.Response.load(made.save(tmp_path / "model"))
    again = loaded.predict(asked)
    for layer in ("effect", "std", "low", "high", "spread"):
        np.testing.assert_array_equal(again.layers[layer], predicted.layers[layer])
    pd.testing.assert_frame_equal(again.obs, predicted.obs)
    assert again.uns["waddington"]["prediction"] == predicted.uns["waddington"]["prediction"]
    assert repr(loaded) == repr(made)
    assert [path.name for path in sorted((tmp_path / "model").iterdir())] == ["model.json", "response.pt"]
    torch.load(tmp_path / "model" / "response.pt", weights_only=True)


def test_the_object_and_the_tool_are_two_doors_to_one_room(cells: ad.AnnData, model: twin.Response) -> None:
    asked = ["G0:activation+G5:activation", "G2"]
    one, other = model.predict(asked), twin.tl.predict(cells, asked)
    for layer in one.layers:
        np.testing.assert_array_equal(one.layers[layer], other.layers[layer])
    assert one.uns["waddington"]["prediction"]["model"] == "hierarchical additive"
    scaled = twin.tl.predict(cells, asked, "scaled additive")
    both = twin.Response(cells, "scaled additive")
    both.train()
    effects = both.model.measured.effects("rna")  # type: ignore[attr-defined]
    row = both.model.measured.row  # type: ignore[attr-defined]
    wanted = scale_of(both.model.measured, effects) * (effects[row["G0:activation"]] + effects[row["G5:activation"]])  # type: ignore[attr-defined]
    np.testing.assert_allclose(scaled.layers["effect"][0], wanted, atol=1e-6)


class TestWhatAPredictionSays:
    def test_of_support(self, model: twin.Response) -> None:
        asked = ["control", "G0", "G0+G5", "G0:activation+Q:activation", "Q:activation"]
        predicted = model.predict(asked, guess=True)
        assert predicted.obs["support"].tolist() == ["measured", "measured", "added", "partial", "none"]
        assert predicted.obs["flagged"].tolist() == [False, False, False, True, True]
        assert predicted.obs["missing"].tolist() == ["", "", "", "Q:activation", "Q:activation"]
        assert predicted.obs["n_cells"].tolist() == [120, 24, 24, 24, 0]
        np.testing.assert_array_equal(predicted.layers["effect"][0], 0)
        wide = predicted.layers["high"] - predicted.layers["low"]
        assert (wide[3] > wide[1]).all(), "a guess is less sure than what was measured"
        assert (wide[4] > 0).all()

    def test_a_perturbation_seen_only_in_combinations(self, cells: ad.AnnData) -> None:
        kept = cells[cells.obs["guide"] != "G0"].copy()
        assert twin.tl.predict(kept, ["G0", "G0+G5"]).obs["support"].tolist() == ["combined", "combined"]

    def test_what_was_never_measured_is_refused_with_the_nearest(self, model: twin.Response) -> None:
        for asked in ("G00", "G0:activation+G00:activation"):
            with pytest.raises(UnsupportedError, match=r"G00.*nearest: .*G0:activation"):
                model.predict(asked)

    def test_of_the_interval(self, model: twin.Response) -> None:
        asked = ["G0+G5", "G1"]
        narrow, wide = model.predict(asked, level=0.5), model.predict(asked)
        factors = wide.uns["waddington"]["prediction"]["factor"]
        assert factors["added"]["rna"] == pytest.approx(model.calibration.factor("rna"))
        assert factors["measured"]["rna"] == pytest.approx(model.calibration.factor("rna", how="measured"))
        assert factors["measured"]["rna"] != factors["added"]["rna"]
        assert model.calibration.why.startswith("calibrated on 6 conditions, left out in 5 folds; answers have factors")
        half = wide.layers["high"] - wide.layers["effect"]
        factor = np.array([[factors[how]["rna"]] for how in wide.obs["support"]])
        np.testing.assert_allclose(half, factor * wide.layers["std"], rtol=1e-4, atol=1e-6)
        assert (narrow.layers["high"] < wide.layers["high"]).all()
        with pytest.raises(ArgumentError, match="level must be a number"):
            model.predict(asked, level=95)

    def test_of_where_the_deviation_comes_from(self, cells: ad.AnnData, model: twin.Response) -> None:
        said = model.predict("G1").uns["waddington"]["prediction"]
        assert said["std"] == "posterior standard deviation of the effect"
        additive = twin.tl.predict(cells, "G1", "additive")
        assert additive.uns["waddington"]["prediction"]["std"] == "sampling error of the cells behind the effect"
        x, guide = np.asarray(cells.X, np.float64), cells.obs["guide"].to_numpy()
        wanted = np.sqrt(sum(x[guide == one].var(axis=0, ddof=1) / (guide == one).sum() for one in ("G1", "NT")))
        np.testing.assert_allclose(additive.layers["std"][0], wanted, rtol=1e-5)

    def test_too_few_conditions_are_not_calibrated(self, cells: ad.AnnData) -> None:
        few = cells[cells.obs["guide"].isin(["NT", "G0", "G1", "G2"]).to_numpy()].copy()
        said = twin.tl.predict(few, "G1").uns["waddington"]["prediction"]
        assert said["calibration"].startswith("not calibrated: 0 conditions of 3 conditions")
        assert said["factor"]["measured"]["rna"] == pytest.approx(Z)
        singles = cells[~cells.obs["guide"].str.contains("+", regex=False).to_numpy()].copy()
        said = twin.tl.predict(singles, "G1").uns["waddington"]["prediction"]
        assert "measured (6 conditions)" in said["calibration"]

    def test_it_is_written_and_read(self, model: twin.Response, tmp_path: Path) -> None:
        predicted = model.predict(["G0+G5", "Q:activation"], guess=True)
        predicted.write_h5ad(tmp_path / "predicted.h5ad")
        back = ad.read_h5ad(tmp_path / "predicted.h5ad")
        assert back.obs["flagged"].tolist() == [False, True]
        assert back.uns["waddington"]["prediction"]["level"] == 0.9


class TestFromCellsOfOnesOwn:
    def test_any_order_of_features_and_views(self, cells: ad.AnnData, model: twin.Response) -> None:
        own = cells[cells.obs["donor"] == "d1", ::-1]
        predicted = model.predict("G1", own)
        first = np.asarray(own.X, np.float64).mean(axis=0)[::-1]
        np.testing.assert_allclose(predicted.X[0] - predicted.layers["effect"][0], first, atol=1e-5)

    def test_a_missing_feature_is_refused_by_name(self, cells: ad.AnnData, model: twin.Response) -> None:
        with pytest.raises(DataError, match="1 of 20 fitted features missing, the first is 'G3'"):
            model.predict("G1", cells[:, cells.var_names != "G3"].copy())

    def test_no_cells_are_refused(self, cells: ad.AnnData, model: twin.Response) -> None:
        for ask in (model.predict, model.predict_cells):
            with pytest.raises(DataError, match="cannot use 0 cells"):
                ask("G0", cells[:0])

    def test_a_feature_named_twice_is_refused(self, cells: ad.AnnData, model: twin.Response) -> None:
        twice = cells.copy()
        twice.var_names = ["G0", "G0", *GENES[2:]]
        with pytest.raises(DataError, match="1 name of more than one feature, the first is 'G0'"):
            twin.Response(twice)
        with pytest.raises(DataError, match="1 name of more than one feature, the first is 'G0'"):
            model.predict("G0", twice)

    def test_raw_counts_are_refused(self, cells: ad.AnnData, model: twin.Response) -> None:
        raw = cells.copy()
        raw.X = np.rint(raw.X)
        with pytest.raises(DataError, match="it holds raw counts"):
            model.predict("G1", raw)

    def test_likeness_at_rest_counts_where_the_model_says_so(self, cells: ad.AnnData) -> None:
        made = twin.Response(cells, "similarity-weighted", group_key="donor")
        made.train()
        own = cells[(cells.obs["donor"] == "d1") & (cells.obs["guide"] == "NT")].copy()
        assert np.abs(made.predict("G1", own).layers["effect"] - made.predict("G1").layers["effect"]).max() > 0


class TestCells:
    def test_all_move_alike_where_the_model_says_no_more(self, cells: ad.AnnData, model: twin.Response) -> None:
        moved = model.predict_cells("G0+G5")
        controls = cells[cells.obs["guide"] == "NT"]
        assert moved.obs_names.tolist() == controls.obs_names.tolist()
        assert set(moved.obs["condition"]) == {"G0:activation+G5:activation"}
        effect = model.predict("G0+G5").layers["effect"]
        np.testing.assert_allclose(moved.layers["effect"], np.repeat(effect, len(controls), axis=0), atol=1e-5)
        np.testing.assert_allclose(moved.X, controls.X + effect, atol=1e-5)

    def test_of_ones_own_and_of_one_that_was_never_measured(self, cells: ad.AnnData, model: twin.Response) -> None:
        own = cells[5:9]
        moved = model.predict_cells("G0:activation+Q:activation", own, guess=True)
        assert moved.obs_names.tolist() == own.obs_names.tolist()
        said = moved.uns["waddington"]["prediction"]
        assert (said["support"], said["flagged"], said["missing"]) == ("partial", True, "Q:activation")
        with pytest.raises(UnsupportedError, match="Q:activation"):
            model.predict_cells("Q:activation", own)
        with pytest.raises(ArgumentError, match="accepted is one condition, as text"):
            model.predict_cells(["G0", "G1"])  # type: ignore[arg-type]

    @pytest.mark.parametrize("name", ["state-dependent", "similarity-weighted", "hierarchical additive"])
    def test_each_cell_gets_the_prediction_of_its_own_group(self, tmp_path: Path, name: str) -> None:
        rng = np.random.default_rng(0)
        guides, lines = (one.ravel() for one in np.meshgrid(["NT", "G0", "G1"], ["one", "two"], indexing="ij"))
        guides, lines = np.repeat(guides, 60), np.repeat(lines, 60)
        x = 2.0 + 0.1 * rng.standard_normal((len(guides), 20)) + (lines == "two")[:, None] * np.linspace(0, 0.2, 20)
        x[guides == "G0", 5] += np.where(lines[guides == "G0"] == "one", -1.0, 1.0)
        obs = pd.DataFrame({"guide": guides, "line": lines}, index=[f"c{i}" for i in range(len(guides))])
        adata = ad.AnnData(x.astype(np.float32), obs=obs, var=pd.DataFrame(index=GENES))
        twin.Response.setup_anndata(adata, perturbation_key="guide", control="NT", perturbation_mode="activation")
        made = twin.Response(adata, name, group_key="line")
        made.train()
        made.save(tmp_path / "model")
        for model in (made, twin.Response.load(tmp_path / "model", adata)):
            moved = model.predict_cells("G0")
            by_line = pd.Series(moved.layers["effect"][:, 5]).groupby(moved.obs["group"].to_numpy()).mean()
            expected = [0.0, 0.0] if name == "hierarchical additive" else [-1.0, 1.0]  # it knows the mean of groups
            assert by_line.tolist() == pytest.approx(expected, abs=0.15)
            own = adata[::-7].copy()
            assert model.predict_cells("G0", own).obs["group"].tolist() == own.obs["line"].tolist()
        del own.obs["line"]
        with pytest.raises(DataError, match="cannot use group_key='line': no such column of obs"):
            made.predict_cells("G0", own)


def test_a_column_of_wrong_counts_is_named_beside_the_prediction(cells: ad.AnnData) -> None:
    wrong = cells.copy()
    noise = np.random.default_rng(0).random(13).astype(np.float32)
    wrong.X[:, 7] += 500 * noise[pd.factorize(wrong.obs["guide"])[0]]
    (note,) = twin.tl.predict(wrong, "G1").uns["waddington"]["prediction"]["notes"]
    assert note.startswith("feature 'x1' of 'rna' responds more than all others together")


def test_a_prior_answers_for_a_gene_never_perturbed_and_says_what_it_gains(tmp_path: Path) -> None:
    world = pathways()
    obs = pd.DataFrame({"perturbation": world.split.labels}, index=[f"c{i}" for i in range(len(world.split.labels))])
    adata = ad.AnnData(world.values["rna"], obs=obs, var=pd.DataFrame(index=list("abcdefghij")))
    PATHWAYS.to_csv(tmp_path / "pathways.csv", index=False)
    made = twin.Response(adata, prior=tmp_path / "pathways.csv")
    made.train()
    predicted = made.predict(["U0:knockout", "U9:knockout"])
    assert np.corrcoef(predicted.layers["effect"])[0, 1] > 0.9
    assert predicted.obs["flagged"].tolist() == [False, True]
    assert np.isfinite(predicted.layers["low"]).all()
    assert predicted.uns["waddington"]["prediction"]["notes"][0].startswith("pathways.csv: leave-one-out r ")
    loaded = twin.Response.load(made.save(tmp_path / "model"))
    np.testing.assert_array_equal(loaded.predict("U9:knockout").X, made.predict("U9:knockout").X)
    assert repr(loaded) == repr(made)
    assert "prior pathways.csv" in repr(loaded)
    with pytest.raises(ArgumentError, match="cannot use prior= with the response model 'additive'"):
        twin.Response(adata, "additive", prior=PATHWAYS)


def test_an_effect_on_a_representation(cells: ad.AnnData, tmp_path: Path) -> None:
    made = twin.Response(cells, "hierarchical additive", use_rep="X_pca")
    made.train()
    predicted = made.predict("G0+G5", cells[cells.obs["guide"] == "NT"].copy())
    assert predicted.var_names.tolist() == [f"X_pca_{i + 1}" for i in range(8)]
    assert set(predicted.var["modality"]) == {"X_pca"}
    guide, latent = cells.obs["guide"].to_numpy(), cells.obsm["X_pca"]
    wanted = sum(latent[guide == one].mean(axis=0) for one in ("G0", "G5")) - 2 * latent[guide == "NT"].mean(axis=0)
    assert np.corrcoef(predicted.layers["effect"][0], wanted)[0, 1] > 0.9
    loaded = twin.Response.load(made.save(tmp_path / "model"), cells)
    np.testing.assert_array_equal(loaded.predict("G0+G5").X, made.predict("G0+G5").X)
    cells = cells.copy()
    cells.obsm["X_pca"] = cells.obsm["X_pca"][:, :3]
    with pytest.raises(DataError, match="found 3 dimensions; accepted are the 8 that were learned"):
        made.predict("G0", cells)


def test_features_are_predicted_by_what_learns_in_a_representation(cells: ad.AnnData) -> None:
    predicted = twin.tl.predict(cells, "G0+G5", use_rep="X_pca")
    assert predicted.uns["waddington"]["prediction"]["model"] == "latent additive"
    assert predicted.var_names.tolist() == GENES


def test_coverage_is_counted_on_test_cells(cells: ad.AnnData) -> None:
    data = cells.copy()
    held = data.obs["guide"].isin(["G0+G2", "G3+G5"]) | (np.arange(data.n_obs) % 3 == 0)
    data.obs["split"] = np.where(held, "test", "train")
    made = twin.Response(data)
    made.train()
    table = made.coverage()
    assert set(table["support"]) == {"measured", "added"}
    assert set(table["features"]) == {"expressed", "changed"}
    every = table[table["features"] == "expressed"].set_index("support")
    assert every.loc["added", "n_conditions"] == 2
    assert every.loc["added", "n"] == 2 * 18, "what a condition edits itself is not counted"
    assert every["coverage"].between(0.7, 1.0).all()
    everything = twin.Response(cells)
    everything.train()
    with pytest.raises(DataError, match="found 0 conditions among cells that were not learned from"):
        everything.coverage()


REFUSED: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "a model that there is not": ({"model": "aditive"}, UnknownNameError, "'additive'"),
    "no representation": (
        {"model": "latent additive"},
        ArgumentError,
        r"'latent additive' without a representation of the cells: accepted is use_rep=.*'X_pca'",
    ),
    "a key that is none": ({"use_rep": "X_umap"}, DataError, "no such key of obsm"),
    "a column that is none": ({"group_key": "patient"}, DataError, r"group_key='patient': no such column.*'donor'"),
    "groups that hold no control": ({"group_key": "guide"}, DataError, "none of its 13 groups holds"),
    "groups that are passed over": (
        {"use_rep": "X_pca", "group_key": "donor"},
        UnsupportedError,
        "group_key='donor' with the response model 'latent additive'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_is_refused_by_name_before_training(cells: ad.AnnData, what: str) -> None:
    options, error, words = REFUSED[what]
    with pytest.raises(error, match=words):
        twin.Response(cells, **options)


def test_a_model_that_needs_groups_asks_for_them(cells: ad.AnnData) -> None:
    with pytest.raises(UnsupportedError, match="'similarity-weighted' without groups"):
        twin.tl.predict(cells, "G0", "similarity-weighted")


def test_cells_of_no_group_are_refused(cells: ad.AnnData) -> None:
    data = cells.copy()
    data.obs.loc["c3", "donor"] = None
    with pytest.raises(DataError, match="group_key='donor': 1 cell bear none"):
        twin.Response(data, group_key="donor")


def test_a_model_of_another_class_is_refused(model: twin.Response, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    with pytest.raises(DataError, match=r"found a model of Response; accepted: twin\.Response\.load"):
        twin.Twin.load(folder)
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**facts, "class": "Twin"}))
    with pytest.raises(DataError, match=r"found a model of Twin; accepted: twin\.Twin\.load"):
        twin.Response.load(folder)


def test_a_damaged_file_is_refused(model: twin.Response, tmp_path: Path) -> None:
    folder = model.save(tmp_path / "model")
    content = bytearray((folder / "response.pt").read_bytes())
    content[len(content) // 2] ^= 64
    (folder / "response.pt").write_bytes(content)
    with pytest.raises(DataError, match=r"response\.pt is damaged.*accepted is a folder that Response\.save wrote$"):
        twin.Response.load(folder)


def test_before_training_and_without_data_it_says_so(cells: ad.AnnData, model: twin.Response, tmp_path: Path) -> None:
    fresh = twin.Response(cells)
    assert "not trained" in repr(fresh)
    with pytest.raises(ArgumentError, match="before train"):
        fresh.predict("G0")
    with pytest.raises(ArgumentError, match="loaded without data"):
        twin.Response.load(model.save(tmp_path / "model")).train()


@pytest.mark.data
@pytest.mark.slow
def test_the_level_is_met_on_a_measured_screen_where_both_singles_were_seen(data_dir: Path) -> None:
    """Doubles of which both singles are there, each left out in turn with half of the controls."""
    screen = ad.read_h5ad(data_dir / "perturbseq_norman19" / "norman19_subset.h5ad")
    keys = {"perturbation_key": "perturbation", "perturbation_mode": "activation", "normalization": "none"}
    labels = screen.obs["perturbation"].astype(str).to_numpy()
    doubles = [one for one in sorted(set(labels)) if "+" in one and set(one.split("+")) <= set(labels)]
    control = np.flatnonzero(labels == "control")
    half = np.random.default_rng(0).permutation(control)[: len(control) // 2]
    tables = []
    for label in doubles:
        screen.obs["split"] = np.where((labels == label) | np.isin(np.arange(len(labels)), half), "test", "train")
        twin.Response.setup_anndata(screen, **keys, split_key="split")
        made = twin.Response(screen)
        made.train()
        table = made.coverage()
        tables.append(table[table["support"] == "added"])
    table = pd.concat(tables)
    table["inside"] = table["coverage"] * table["n"]
    sums = table.groupby("features")[["inside", "n"]].sum()
    found = sums["inside"] / sums["n"]
    assert len(doubles) == 5
    assert 0.85 < found["expressed"] < 0.95
    assert found["changed"] > 0.8
