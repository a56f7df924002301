"""The twin as one object: trained on either kind of data, asked, saved, loaded; features are checked by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import anndata as ad
import mudata as md
import numpy as np
import pytest
import torch
from tests.twin.user_cells import one_modality, simulated

from waddington import twin
from waddington.errors import ArgumentError, DataError, OutputError, UnknownNameError, UnsupportedError
from waddington.twin.models import SavedAgent
from waddington.twin.plan.agent import AgentConfig, rollout

SIZES = {"embedding_dim": 8, "joint_dim": 8}


@pytest.fixture(scope="module")
def cells() -> md.MuData:
    return simulated()


@pytest.fixture(scope="module")
def model(cells: md.MuData) -> twin.Twin:
    made = twin.Twin(cells, **SIZES)
    made.train(max_epochs=1)
    return made


@pytest.fixture(scope="module")
def saved(model: twin.Twin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return model.save(str(tmp_path_factory.mktemp("models") / "model"))


class TestTraining:
    def test_data_are_not_changed(self, cells: md.MuData, model: twin.Twin) -> None:
        fresh = simulated()
        assert set(cells.obsm) == set(fresh.obsm)
        assert set(cells["rna"].var) == set(fresh["rna"].var)
        np.testing.assert_array_equal(cells["rna"].X.data, fresh["rna"].X.data)

    def test_progress_and_history(self) -> None:
        news = []
        made = twin.Twin(one_modality(simulated(n_cells=300)), **SIZES)
        history = made.train(2, progress=news.append, optimizer="ASGDAdam")
        assert [one["epoch"] for one in news] == [1, 2]
        assert made.history is history
        assert set(history.to_frame()["split"]) == {"train", "validation"}

    def test_it_is_what_the_tools_do(self, cells: md.MuData, model: twin.Twin) -> None:
        """Twin and pp/tl are two doors to one room: the same numbers behind both."""
        data = cells.copy()
        twin.pp.preprocess(data)
        twin.tl.embed(data, epochs=1, **SIZES)
        np.testing.assert_allclose(model.get_latent_representation(), data.obsm["X_twin"], atol=1e-5)
        asked = ["Cebpa:knockout+Gata1:knockout", "EKLF:activation"]
        one, other = model.predict(asked), twin.tl.predict(data, asked)
        for name in ("effect", "std", "spread"):
            np.testing.assert_allclose(one.layers[name], other.layers[name], atol=1e-4)

    @pytest.mark.slow
    def test_the_latent_model_may_be_asked_for(self) -> None:
        data = one_modality(simulated(n_cells=300))
        made = twin.Twin(data, response="latent additive", **SIZES)
        made.train(1)
        twin.pp.preprocess(data)
        data.obsm["X_twin"] = made.get_latent_representation()
        asked = ["EKLF:activation", "Cebpa:knockout+Gata1:knockout"]
        one, other = made.predict(asked), twin.tl.predict(data, asked, use_rep="X_twin")
        np.testing.assert_allclose(one.layers["effect"], other.layers["effect"], atol=1e-4)
        assert one.uns["waddington"]["prediction"]["model"] == "latent additive"

    def test_a_model_of_responses_that_there_is_not_is_refused(self, cells: md.MuData) -> None:
        with pytest.raises(UnknownNameError, match=r"unknown response model 'latent'\. Known: .*latent additive"):
            twin.Twin(cells, response="latent")

    def test_without_perturbations_it_embeds_and_refuses_to_predict(self) -> None:
        adata = one_modality(simulated(n_cells=200))
        adata.obs = adata.obs[["batch"]]
        made = twin.Twin(adata, **SIZES)
        made.train(1)
        assert made.get_latent_representation().shape == (200, 8)
        with pytest.raises(DataError, match="bear neither perturbations nor times"):
            made.predict("Cebpa:knockout")

    def test_times_are_conditions_where_nothing_was_perturbed(self) -> None:
        adata = one_modality(simulated(n_cells=300))
        adata.obs = adata.obs[["time"]].rename(columns={"time": "harvest"})
        twin.Twin.setup_anndata(adata, time_key="harvest")
        made = twin.Twin(adata, **SIZES)
        made.train(1)
        times = sorted(set(adata.obs["harvest"]))
        predicted = made.predict(f"time {times[-1]:g}")
        assert predicted.obs["support"].tolist() == ["measured"]
        assert made.dynamics is not None
        assert made.dynamics.n_perturbations == 0

    def test_setup_names_columns_and_layers(self) -> None:
        adata = one_modality(simulated(n_cells=300))
        adata.obs = adata.obs.rename(columns={"perturbation": "guide", "perturbation_mode": "how"})
        adata.obs["guide"] = adata.obs["guide"].astype(str).replace({"control": "none of them"})
        adata.layers["umi"] = adata.layers.pop("counts")
        adata.X = None
        keys = {"perturbation_key": "guide", "mode_key": "how", "control": "none of them", "layer": "umi"}
        twin.Twin.setup_anndata(adata, **keys)
        made = twin.Twin(adata, **SIZES)
        made.train(1)
        assert "Cebpa:knockout" in made.predict("Cebpa:knockout").obs_names


class TestLatentRepresentation:
    def test_of_new_cells_in_any_order_of_features(self, model: twin.Twin, cells: md.MuData) -> None:
        here = model.get_latent_representation()
        rng = np.random.default_rng(0)
        with md.set_options(pull_on_update=False):
            shuffled = md.MuData({
                name: part[:100, rng.permutation(part.n_vars)].copy() for name, part in cells.mod.items()
            })  # fmt: skip
        np.testing.assert_allclose(model.get_latent_representation(shuffled), here[:100], atol=1e-4)

    def test_of_a_single_cell(self, model: twin.Twin, cells: md.MuData) -> None:
        whole = model.get_latent_representation()
        np.testing.assert_allclose(model.get_latent_representation(cells[:1].copy()), whole[:1], atol=1e-5)
        assert model.predict("Cebpa:knockout", cells[:1].copy()).n_obs == 1
        with pytest.raises(DataError, match="found 0 cells; accepted are at least 1"):
            model.get_latent_representation(cells[:0].copy())

    def test_what_is_no_data_is_refused_by_name(self, model: twin.Twin) -> None:
        with pytest.raises(ArgumentError, match=r"cannot use str 'cells\.h5ad': accepted is an AnnData or a MuData"):
            model.get_latent_representation("cells.h5ad")  # type: ignore[arg-type]

    def test_more_features_are_left_out(self, model: twin.Twin, cells: md.MuData) -> None:
        rna = cells["rna"]
        extra = ad.AnnData(rna.layers["counts"][:, :3].copy(), obs=rna.obs, var={"n": range(3)})
        extra.var_names = ["Extra1", "Extra2", "Extra3"]
        wide = ad.concat([rna, extra], axis="var", merge="same")
        with md.set_options(pull_on_update=False):
            more = md.MuData({**{name: part.copy() for name, part in cells.mod.items()}, "rna": wide})
        np.testing.assert_allclose(model.get_latent_representation(more), model.get_latent_representation(), atol=1e-4)

    def test_missing_features_are_refused_by_name(self, model: twin.Twin, cells: md.MuData) -> None:
        gone = str(cells["rna"].var_names[4])
        with md.set_options(pull_on_update=False):
            fewer = md.MuData({**cells.mod, "rna": cells["rna"][:, cells["rna"].var_names != gone].copy()})
        with pytest.raises(DataError, match=f"1 of 80 fitted features missing, the first is '{gone}'"):
            model.get_latent_representation(fewer)

    def test_of_one_modality(self, model: twin.Twin, cells: md.MuData) -> None:
        assert model.get_latent_representation(modality="atac").shape == (cells.n_obs, 8)
        with pytest.raises(ArgumentError, match="modality must be one of 'rna', 'atac', 'protein'"):
            model.get_latent_representation(modality="adt")


class TestPredict:
    def test_profiles_effects_spread_and_support(self, model: twin.Twin, cells: md.MuData) -> None:
        predicted = model.predict(["control", "Cebpa:knockout", "Cebpa:knockout+Gata1:knockout"])
        assert predicted.obs["support"].tolist() == ["measured", "measured", "added"]
        assert predicted.obs["perturbation_mode"].tolist() == ["control", "knockout", "knockout+knockout"]
        measured = int((cells.obs["perturbation"].eq("Cebpa") & cells.obs["perturbation_mode"].eq("knockout")).sum())
        assert predicted.obs["n_cells"]["Cebpa:knockout"] == measured
        np.testing.assert_allclose(predicted.layers["effect"][0], 0, atol=1e-12)
        np.testing.assert_allclose(predicted.X[1:] - predicted.X[:1], predicted.layers["effect"][1:], atol=1e-5)
        assert (predicted.layers["std"] >= 0).all()
        assert (predicted.layers["spread"][0] > 0).any()
        assert set(predicted.var["modality"]) == {"rna", "atac", "protein"}
        assert predicted.var_names.is_unique

    def test_features_of_one_modality(self, model: twin.Twin, cells: md.MuData) -> None:
        predicted = model.predict("EKLF:knockout", modality="protein")
        assert predicted.var_names.tolist() == cells["protein"].var_names.tolist()

    def test_the_spread_is_that_of_cells_of_one_condition(self, model: twin.Twin, cells: md.MuData) -> None:
        data = cells.copy()
        twin.pp.preprocess(data)
        values = data["protein"].X.astype(np.float64)
        labels = (data.obs["perturbation"].astype(str) + ":" + data.obs["perturbation_mode"].astype(str)).to_numpy()
        within = sum(
            ((values[labels == one] - values[labels == one].mean(axis=0)) ** 2).sum(axis=0) for one in set(labels)
        )
        expected = np.sqrt(within / (len(values) - len(set(labels))))
        np.testing.assert_allclose(
            model.predict("control", modality="protein").layers["spread"][0], expected, rtol=1e-5
        )

    def test_from_cells_of_ones_own(self, model: twin.Twin, cells: md.MuData) -> None:
        controls = cells[cells.obs["perturbation"] == "control"].copy()
        early = controls[controls.obs["time"] == controls.obs["time"].min()].copy()
        one, other = model.predict("Cebpa:knockout", cells=early), model.predict("Cebpa:knockout")
        np.testing.assert_array_equal(one.layers["effect"], other.layers["effect"])
        assert np.abs(one.X - other.X).max() > 0.01

    def test_a_bare_name_of_two_modes_is_refused_by_name(self, model: twin.Twin) -> None:
        with pytest.raises(DataError, match="'Cebpa' is meant: measured are Cebpa:activation and Cebpa:knockout"):
            model.predict("Cebpa+Gata1:knockout")

    @pytest.mark.parametrize("asked", ["Gata11", "Gata11:knockout", "Cebpa:knockout+Gata11:knockout"])
    def test_what_was_never_measured_is_refused_with_the_nearest(self, model: twin.Twin, asked: str) -> None:
        with pytest.raises(UnsupportedError, match=r"Gata11.*nearest: .*Gata1:"):
            model.predict(asked)

    def test_twice_the_same_is_refused(self, model: twin.Twin) -> None:
        with pytest.raises(DataError, match="twice"):
            model.predict(["Cebpa:knockout", "Cebpa:knockout"])


class TestSaving:
    @pytest.mark.parametrize("kind", [str, Path])
    def test_a_loaded_model_says_the_same(self, model: twin.Twin, cells: md.MuData, saved: Path, kind: type) -> None:
        loaded = twin.Twin.load(kind(saved), cells)
        asked = ["Cebpa:knockout+Gata1:knockout", "EKLF:activation"]
        np.testing.assert_array_equal(loaded.predict(asked).X, model.predict(asked).X)
        np.testing.assert_array_equal(loaded.predict(asked).layers["std"], model.predict(asked).layers["std"])
        np.testing.assert_array_equal(loaded.get_latent_representation(), model.get_latent_representation())
        assert loaded.dynamics is not None
        assert model.dynamics is not None
        np.testing.assert_array_equal(loaded.dynamics.drift, model.dynamics.drift)
        assert repr(loaded) == repr(model)

    def test_files_are_plain_and_the_same_each_time(self, model: twin.Twin, saved: Path, tmp_path: Path) -> None:
        again = model.save(tmp_path / "deep" / "model")
        files = sorted(path.name for path in saved.iterdir())
        assert files == ["dynamics.pt", "encoder.pt", "model.json", "preprocessor.pt", "response.pt"]
        for name in files:
            assert (again / name).read_bytes() == (saved / name).read_bytes()
            if name.endswith(".pt"):
                torch.load(saved / name, weights_only=True)
        assert json.loads((saved / "model.json").read_text())["parts"] == [
            "preprocessor", "encoder", "response", "dynamics",
        ]  # fmt: skip

    def test_nothing_is_written_over_unasked(self, model: twin.Twin, saved: Path, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match=r"found a model there; accepted is a free place, or overwrite=True"):
            model.save(saved)
        model.save(saved, overwrite=True)
        (tmp_path / "thesis.doc").write_text("mine")
        with pytest.raises(OutputError, match="found something that is no model"):
            model.save(tmp_path, overwrite=True)

    def test_what_is_no_model_is_refused(self, saved: Path, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"accepted is a folder that Twin\.save wrote, or model/ of a run"):
            twin.Twin.load(tmp_path)
        (tmp_path / "model.json").write_text('{"format": 99, "parts": []}')
        with pytest.raises(DataError, match="found no model of format 1"):
            twin.Twin.load(tmp_path)

    @pytest.mark.parametrize("part", ["encoder", "response", "preprocessor"])
    def test_a_damaged_file_is_refused_and_not_believed(self, saved: Path, tmp_path: Path, part: str) -> None:
        damaged = Path(shutil.copytree(saved, tmp_path / "model"))
        content = bytearray((damaged / f"{part}.pt").read_bytes())
        content[len(content) // 2] ^= 64
        (damaged / f"{part}.pt").write_bytes(content)
        with pytest.raises(DataError, match=rf"{part}\.pt is damaged, or of another model"):
            twin.Twin.load(damaged)

    @pytest.mark.parametrize("facts", [{"parts": []}, {"parts": ["encoder"]}, {"setup": {"x": "1"}}, {"sha256": None}])
    def test_facts_that_lack_something_are_refused(self, saved: Path, tmp_path: Path, facts: dict[str, Any]) -> None:
        damaged = Path(shutil.copytree(saved, tmp_path / "model"))
        known = json.loads((damaged / "model.json").read_text())
        (damaged / "model.json").write_text(json.dumps({**known, **facts}))
        with pytest.raises(DataError, match="cannot load"):
            twin.Twin.load(damaged)

    def test_a_folder_that_holds_more_than_a_model_is_never_replaced(
        self, model: twin.Twin, saved: Path, tmp_path: Path
    ) -> None:
        folder = Path(shutil.copytree(saved, tmp_path / "model"))
        (folder / "thesis.doc").write_text("mine")
        with pytest.raises(OutputError, match=r"found 'thesis\.doc' beside a model there; accepted is a free place"):
            model.save(folder, overwrite=True)
        assert (folder / "thesis.doc").read_text() == "mine"

    def test_data_without_its_features_are_refused_when_it_is_loaded(self, saved: Path) -> None:
        other = simulated(n_cells=200, n_genes=40)
        with pytest.raises(DataError, match="fitted features missing"):
            twin.Twin.load(saved, other)

    def test_a_loaded_model_without_data_asks_for_them(self, saved: Path) -> None:
        loaded = twin.Twin.load(saved)
        with pytest.raises(ArgumentError, match="loaded without data"):
            loaded.get_latent_representation()
        with pytest.raises(ArgumentError, match="loaded without data"):
            loaded.train()


def test_an_agent_is_kept_with_its_model(model: twin.Twin, cells: md.MuData, tmp_path: Path) -> None:
    data = cells.copy()
    data.obsm["X_twin"] = model.get_latent_representation()
    env = twin.tl.environment(data, max_steps=3)
    config = AgentConfig(net_arch=(8,), n_steps=3)
    agent = twin.tl.train_agent(env, total_timesteps=24, n_envs=4, config=config)
    model.keep_agent(SavedAgent.of(agent, config))
    loaded = twin.Twin.load(model.save(tmp_path / "model"))
    assert loaded.agent is not None
    rebuilt = loaded.agent.agent()
    acts = [rollout(one, agent.get_env(), episodes=6, seed=1).actions for one in (agent, rebuilt)]
    np.testing.assert_array_equal(*acts)
    wide = twin.Twin(data, embedding_dim=8, joint_dim=4)
    wide.train(1)
    with pytest.raises(DataError, match="another space"):
        wide.keep_agent(loaded.agent)
