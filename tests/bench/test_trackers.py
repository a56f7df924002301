"""Trackers are told what the record says: each one's own reader reads it back."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

import pytest

from waddington import bench
from waddington.bench.trackers import TRACKERS
from waddington.errors import UnknownNameError

Found = tuple[bench.Run, dict[str, Any], Path]


def tracked(name: str, folder: Path) -> Found:
    study = bench.Study.of(
        ["rosenbrock"], ["AdamW"], seeds=1, trials=1, tuning_seeds=1, size="tiny", horizons=["known"], widenings=0
    )
    with bench.Store(folder) as store:
        (cell,) = bench.conduct(study, store, trackers=(name,))
    result = cell.evaluations[0].result
    assert result is not None
    run = study.run(study.entries[0], study.horizons[0], study.arms[0], cell.trials[0].arguments, 100, test=True)
    return run, result["curve"], folder / name


@pytest.fixture(autouse=True)
def installed(request: pytest.FixtureRequest) -> None:
    for module in ("tensorboard", "mlflow", "wandb"):
        if module in request.node.name:
            pytest.importorskip(module, reason=f"the extra 'trackers' is not installed: no {module}")


def test_tensorboard_has_the_curve(tmp_path: Path) -> None:
    run, curve, folder = tracked("tensorboard", tmp_path)
    reader = importlib.import_module("tensorboard.backend.event_processing.event_accumulator")
    (place,) = folder.glob(f"*{run.key[:8]}")
    events = reader.EventAccumulator(str(place)).Reload()
    assert [event.step for event in events.Scalars("loss")] == curve["step"]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx(curve["loss"])


@pytest.mark.slow  # its tables take ten seconds to make
@pytest.mark.filterwarnings("ignore")  # MLflow's own libraries warn of each other
def test_mlflow_has_the_curve(tmp_path: Path) -> None:
    run, curve, folder = tracked("mlflow", tmp_path)
    client = importlib.import_module("mlflow.tracking").MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    (experiment,) = [one for one in client.search_experiments() if one.name == "waddington"]
    found = {one.info.run_name: one for one in client.search_runs([experiment.experiment_id])}
    assert len(found) == 2, "one for each run"
    one = next(value for name, value in found.items() if name.endswith(run.key[:8]))
    history = client.get_metric_history(one.info.run_id, "loss")
    assert [metric.value for metric in sorted(history, key=lambda metric: metric.step)] == pytest.approx(curve["loss"])
    assert one.info.status == "FINISHED"
    assert one.data.params["optimizer"] == "AdamW"


@pytest.mark.slow  # it starts a service for every run
def test_wandb_writes_offline_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    _, _, folder = tracked("wandb", tmp_path)
    runs = list((folder / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    assert all(any(os.path.getsize(path) > 0 for path in run.glob("*.wandb")) for run in runs)


def test_an_unknown_tracker_is_refused_before_anything_runs(tmp_path: Path) -> None:
    study = bench.Study.of(["rosenbrock"], ["AdamW"], seeds=1, trials=1, size="tiny")
    with bench.Store(tmp_path) as store:
        with pytest.raises(UnknownNameError, match="Did you mean 'tensorboard'"):
            bench.conduct(study, store, trackers=("tensorbord",))
        assert not store.records()
    assert set(TRACKERS) == {"tensorboard", "mlflow", "wandb"}
