"""The main job, whole: what it leaves, what it says, and that a kill changes nothing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import mudata as md
import numpy as np
import pandas as pd
import pytest
import torch
from tests.twin.run.tiny import TINY, flags

from waddington import twin
from waddington.errors import OutputError
from waddington.jobs import Event, Store
from waddington.twin._keys import KEYS
from waddington.twin.data.splits import SPLITS
from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.run import OUTPUTS, Listener, RunResult


class Recorder(Listener):
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.done: dict[str, float] = {}

    def stage(self, title: str, total: int) -> None:
        self.stages.append(title)

    def advance(self, event: Event | None = None) -> None:
        if event is not None:
            assert 0.0 <= event.fraction <= 1.0
            self.done[event.job.key] = event.fraction


# Both protocols, whole; test_cells.py goes through a run of the paper's at once.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunResult, Recorder]:
    listener = Recorder()
    return twin.run(out=tmp_path_factory.mktemp("run") / "out", listener=listener, **TINY), listener


def test_every_output_is_there(tiny: tuple[RunResult, Recorder]) -> None:
    out = tiny[0].out
    for name in OUTPUTS:
        assert (out / name).stat().st_size > 100, name
    assert not [path for path in out.rglob("*") if ".part." in path.name]
    assert "Loss landscape of the encoder" in (out / "report.html").read_text(encoding="utf-8")


def test_metrics_are_tidy_and_complete(tiny: tuple[RunResult, Recorder]) -> None:
    metrics = pd.read_csv(tiny[0].out / "metrics.csv")
    wanted = {"protocol", "predictor", "optimizer", "seed", "modality", "split", "conditions", "n", "metric", "value"}
    assert wanted == set(metrics.columns)
    assert set(metrics["metric"]) == set(PAPER)
    assert set(metrics["protocol"]) == {"paper", "held-out"}
    held_out = metrics[metrics["protocol"] == "held-out"]
    assert {"no change", "mean", "additive", "untrained", "pca", "replicate"} <= set(held_out["predictor"])
    assert set(held_out["modality"]) == {"rna", "atac", "protein"}
    for predictor in ("response", "agent"):
        assert set(held_out[held_out["predictor"] == predictor]["optimizer"]) == {"Adam", "ASGDAdam"}
    assert not metrics.duplicated(list(wanted - {"value", "n"})).any()


def test_in_the_paper_protocol_doing_nothing_has_the_least_published_error(tiny: tuple[RunResult, Recorder]) -> None:
    metrics = tiny[0].metrics
    published = metrics[metrics["split"].str.contains("as published") & (metrics["metric"] == "mse")]
    error = published[published["modality"] == "all"].groupby("predictor")["value"].mean()
    assert set(error.index) == {"agent", *FIXED_POLICIES}
    # An untrained net decides on next to nothing; all others move, and what moves is further from where it was.
    assert error["untrained policy"] == pytest.approx(error["do nothing"], rel=0.1)
    assert error["do nothing"] < error.drop(["do nothing", "untrained policy"]).min()


def test_the_model_loads_as_plain_tensors(tiny: tuple[RunResult, Recorder]) -> None:
    model = torch.load(tiny[0].out / "final_model.pt", weights_only=True)
    assert model["encoder"] is not None
    assert all(torch.is_tensor(value) for value in model["policy"].values())
    assert json.loads(model["config"])["epochs"] == 2


def test_predictions_stand_beside_what_was_observed(tiny: tuple[RunResult, Recorder]) -> None:
    predicted = md.read_h5mu(tiny[0].out / "predictions.h5mu")
    for part in predicted.mod.values():
        assert {"change", "std", "low", "high", "observed_change"} <= set(part.layers)
        assert all(np.isfinite(layer).all() for layer in part.layers.values())
        assert (part.layers["low"] <= part.layers["high"]).all()
    columns = {"split", "support", "flagged", "measured_support", "perturbation", "perturbation_mode"}
    assert columns <= set(predicted.obs.columns)
    unseen = predicted.obs["split"] == "unseen_single"
    assert predicted.obs.loc[unseen, "flagged"].all()


def test_the_report_opens_with_what_can_be_predicted(tiny: tuple[RunResult, Recorder]) -> None:
    out, verdicts = tiny[0].out, tiny[0].verdicts
    assert verdicts[0].question.startswith("Do these cells show what the conditions do")
    scores = pd.read_csv(out / "scores.csv")
    assert {"hierarchical additive", "scaled additive", "mean", "replicate"} <= set(scores["model"])
    assert set(scores["split"]) == set(tiny[0].metrics.loc[tiny[0].metrics["protocol"] == "held-out", "split"])
    assert (out / "null.csv").exists()


def test_the_model_predicts_and_embeds_as_the_run_did(tiny: tuple[RunResult, Recorder]) -> None:
    model, cells = tiny[0].model, tiny[0].cells
    assert np.array_equal(model.get_latent_representation(cells), cells.obsm["X_twin"])
    for modality, part in md.read_h5mu(tiny[0].out / "predictions.h5mu").mod.items():
        assert np.array_equal(model.get_latent_representation(cells, modality=modality), cells[modality].obsm["X_twin"])
        known = part
        asked = model.predict(list(known.obs_names), modality=modality, guess=True)
        assert list(asked.obs_names) == list(known.obs_names)
        assert np.array_equal(asked.X, known.X)
        assert np.array_equal(asked.layers["effect"], known.layers["change"])


def test_the_agent_of_the_model_was_trained_in_the_space_of_its_encoder(tiny: tuple[RunResult, Recorder]) -> None:
    result, model = tiny[0], tiny[0].model
    train = result.cells.obs["split"].isin(["train", "validation"]).to_numpy()
    control = (result.cells.obs["twin_condition"] == "control").to_numpy()
    assert model.agent is not None
    assert np.array_equal(model.agent.task.starts, result.cells.obsm["X_twin"][train & control])
    chosen = json.loads((result.out / "config.json").read_text())["final_model"]
    with Store(result.out / "work") as store:
        agents = [found for found in store.records("agent") if found.spec["protocol"] == "held-out"]
    encoder, optimizer = (chosen[part].split("_")[2] for part in ("encoder", "agent"))
    assert any(found.spec["optimizer"] == optimizer and encoder in json.dumps(found.spec) for found in agents)
    weights = torch.load(result.out / "final_model.pt", weights_only=True)
    kept = model.agent.agent().policy.state_dict()
    assert all(torch.equal(kept[name], value) for name, value in weights["policy"].items())


def test_the_cells_come_back_with_what_was_found_of_each(tiny: tuple[RunResult, Recorder]) -> None:
    cells = tiny[0].cells
    assert cells.n_obs == TINY["n_cells"]
    assert cells.obs["twin_used"].all()
    assert "twin_left_out" not in cells.obs
    assert set(cells.obs["split"]) == {"train", "validation", "test"}
    assert set(cells.obs["stage"]) == {f"stage {n}" for n in range(1, 5)}
    assert cells.obs["pseudotime"].between(0, 1).all()
    graph = cells.obsp["twin_connectivities"]
    assert (abs(graph - graph.T) > 0).nnz == 0
    assert 0 < graph.max() <= 1
    names = {key.name for key in KEYS}
    for key in cells.uns["waddington"]["keys"]:
        where, name = key.split(":")
        assert f'{where}["{name}"]' in names
    for part in cells.mod.values():
        assert (part.X.data == np.rint(part.X.data)).all(), "counts as they came"


def test_every_scored_condition_is_measurable_or_named_with_the_reason(tiny: tuple[RunResult, Recorder]) -> None:
    table = pd.read_csv(tiny[0].out / "measurability.csv", keep_default_na=False)
    predicted = md.read_h5mu(tiny[0].out / "predictions.h5mu")
    assert set(table["modality"]) == set(predicted.mod)
    for name, part in table.groupby("modality"):
        found = predicted.mod[name].obs["measurable"]
        assert found.to_dict() == part.set_index("condition")["measurable"].astype(bool).to_dict()
        assert ((part["reason"] == "") == part["measurable"].astype(bool)).all()
    page = (tiny[0].out / "report.html").read_text(encoding="utf-8")
    for condition in table["condition"]:
        assert condition in page


def test_the_configuration_says_how_to_repeat_it(tiny: tuple[RunResult, Recorder]) -> None:
    record = json.loads((tiny[0].out / "config.json").read_text())
    assert record["config"]["batch_size"] == 128
    assert record["seeds"] == [0]
    assert {"python", "torch", "waddington"} <= set(record["versions"])
    assert re.fullmatch("[0-9a-f]{64}", record["data_sha256"])


def test_the_report_is_self_contained(tiny: tuple[RunResult, Recorder]) -> None:
    page = (tiny[0].out / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?:https?:)?//""", page)
    for verdict in tiny[0].verdicts:
        assert verdict.sentence in page or verdict.sentence.replace("'", "&#39;") in page
    for way in tiny[0].metrics.loc[tiny[0].metrics["protocol"] == "held-out", "split"].unique():
        assert f"{way}, {SPLITS[way]}" in page


def test_progress_reaches_the_end(tiny: tuple[RunResult, Recorder]) -> None:
    recorder = tiny[1]
    assert recorder.stages[0] == "Reading cells"
    assert recorder.stages[-1] == "Writing results"
    assert set(recorder.done.values()) == {1.0}


def test_a_finished_run_is_not_overwritten(tiny: tuple[RunResult, Recorder]) -> None:
    before = (tiny[0].out / "metrics.csv").read_bytes()
    with pytest.raises(OutputError, match="already holds"):
        twin.run(out=tiny[0].out, **TINY)
    assert (tiny[0].out / "metrics.csv").read_bytes() == before


@pytest.mark.usefixtures("unpictured")
def test_rates_are_tuned_on_a_seed_of_their_own(tmp_path: Path) -> None:
    fields = {**TINY, "protocol": "held-out", "lr_grid": (1e-9, 1e-2), "tune_epochs": 2, "n_cells": 320}
    result = twin.run(out=tmp_path / "out", **{**fields, "optimizer": ["Adam"]})
    record = json.loads((tmp_path / "out" / "config.json").read_text())
    assert {(row["kind"], row["lr"]) for row in record["tuned_rates"]} >= {("encoder", 1e-2)}
    assert record["tuning_seed"] not in record["seeds"]
    with Store(tmp_path / "out" / "work") as store:
        trials = [found for found in store.records("encoder") if found.spec["variant"] == "trial"]
    assert len(trials) == 2
    assert {found.spec["seed"] for found in trials} == {record["tuning_seed"]}
    assert set(result.metrics["seed"]) == {0}


@pytest.mark.usefixtures("unpictured")
def test_two_processes_find_what_one_finds(tiny: tuple[RunResult, Recorder], tmp_path: Path) -> None:
    other = twin.run(out=tmp_path / "out", **{**TINY, "workers": 2})
    pd.testing.assert_frame_equal(other.metrics, tiny[0].metrics)


def left(out: Path) -> dict[Path, bytes]:
    """Give every file, those of the jobs too, but for the store, which says when each job ran and how long it took.

    Nor is given what a process was writing when it was killed.
    """
    files = [path for path in out.rglob("*") if path.is_file() and path.name != "jobs.sqlite"]
    files = [path for path in files if ".part." not in path.name]
    return {path.relative_to(out): path.read_bytes() for path in files}


def test_a_killed_run_resumes_to_the_same_bytes(tiny: tuple[RunResult, Recorder], tmp_path: Path) -> None:
    """SIGKILL twice, in the middle of the work: at the first and at the third new mark; then to the end.

    So three other processes leave, between them, the bytes of one that was left alone.
    """
    out = tmp_path / "out"
    command = [sys.executable, "-m", "waddington", "run", "--out", str(out), *flags(), "--resume"]
    marks = out / "work" / "files"
    for more in (1, 3):
        seen = len(list(marks.glob("*/*")))
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list(marks.glob("*/*"))) < seen + more:
            time.sleep(0.02)
        assert process.poll() is None, "it ended before it was killed"
        process.kill()
        process.wait()
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    found, whole = left(out), left(tiny[0].out)
    assert found.keys() == whole.keys()
    assert not [str(name) for name in whole if found[name] != whole[name]]
