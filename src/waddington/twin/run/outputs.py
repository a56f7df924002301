"""The tables, settings and weights that a run leaves, each written whole or not at all."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import pandas as pd
import torch

from waddington._files import write_text
from waddington.twin._moved import names_moved_from
from waddington.twin.run.artifacts import WEIGHTS, save_state
from waddington.twin.run.choice import Chosen
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.jobs import TwinJob
from waddington.twin.run.records import RunRecords

__all__ = ["versions", "write_config", "write_measurability", "write_metrics", "write_weights"]

__getattr__ = names_moved_from(__name__)

_PACKAGES = (
    "waddington", "torch", "numpy", "scipy", "pandas", "scikit-learn", "anndata", "mudata", "torch_geometric",
    "gymnasium", "stable_baselines3", "matplotlib",
)  # fmt: skip


def write_metrics(folder: RunFolder, metrics: pd.DataFrame) -> None:
    """Write ``metrics.csv``."""
    write_text(folder.path / "metrics.csv", metrics.to_csv(index=False))


def write_measurability(folder: RunFolder, table: pd.DataFrame) -> None:
    """Write ``measurability.csv``: which conditions can be measured, and why others cannot."""
    write_text(folder.path / "measurability.csv", table.to_csv(index=False))


def write_config(folder: RunFolder, config: RunConfig, finished: RunRecords, chosen: Chosen, data: str) -> None:
    """Write ``config.json``: settings, seeds, versions, machine, chosen rates, and a hash of the data."""
    rates = finished.tuned[finished.tuned["chosen"]].drop(columns="chosen").to_dict("records")
    record = {
        "config": config.to_dict(),
        "seeds": list(config.evaluation_seeds),
        "tuning_seed": config.tuning_seed if config.lr_grid else None,
        "tuned_rates": [
            {**row, "objective": row["objective"] if np.isfinite(row["objective"]) else None} for row in rates
        ],
        "final_model": {"encoder": chosen.encoder.label, "agent": chosen.agent.label if chosen.agent else None},
        "data_sha256": data,
        "versions": versions(),
    }
    write_text(folder.path / "config.json", json.dumps(record, indent=2))


def versions() -> dict[str, str]:
    """Give the versions of what a result depends on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def write_weights(folder: RunFolder, config: RunConfig, prepared: RunData, chosen: Chosen) -> None:
    """Write ``final_model.pt``: the model's weights of encoder and policy, loadable with ``weights_only=True``."""

    def state(job: TwinJob | None) -> Any:
        path = folder.files_of(job) / WEIGHTS if job else None
        return torch.load(path, weights_only=True) if path and path.exists() else None

    model = {
        "format": 1,
        "config": json.dumps(config.to_dict()),
        "features": {name: [str(x) for x in names] for name, names in prepared.names.items()},
        "encoder": state(chosen.encoder),
        "encoder_optimizer": chosen.encoder.optimizer,
        "policy": state(chosen.agent),
        "policy_optimizer": chosen.agent.optimizer if chosen.agent else None,
    }
    save_state(folder.path / "final_model.pt", model)
