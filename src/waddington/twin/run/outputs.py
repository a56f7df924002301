"""What a run leaves: metrics, pictures, weights and settings, each written whole or not at all."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from waddington._files import write_text
from waddington.twin import plots
from waddington.twin.data.modalities import in_words
from waddington.twin.data.splits import SPLITS
from waddington.twin.evaluate.paper import is_published
from waddington.twin.evaluate.summary import headline, is_policy
from waddington.twin.plots.labels import short_labels
from waddington.twin.report.page import Picture
from waddington.twin.run.artifacts import save_state, state_path
from waddington.twin.run.config import RunConfig
from waddington.twin.run.executor import Unit
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.prepare import Prepared
from waddington.twin.run.schedule import Finished, best_optimizer

__all__ = [
    "Chosen",
    "choose",
    "metric_panels",
    "shortened_labels",
    "shown_conditions",
    "versions",
    "write_config",
    "write_measurability",
    "write_metrics",
    "write_model",
    "write_pictures",
]

Float = npt.NDArray[np.float32]

_PACKAGES = (
    "waddington", "torch", "numpy", "scipy", "pandas", "scikit-learn", "anndata", "mudata", "scanpy", "torch_geometric",
    "gymnasium", "stable_baselines3", "matplotlib",
)  # fmt: skip

_PREDICTORS = (
    "Filled: models; hollow, on grey: baselines, and a replicate of half the test cells, which a good model can "
    "surpass because it learns from more."
)
_POLICIES = "Filled: agents; hollow, on grey: doing nothing, and acting at random."


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """The units whose weights are kept, chosen on training and validation cells, never on test cells."""

    encoder: Unit
    agent: Unit | None


def choose(finished: Finished, config: RunConfig) -> Chosen:
    """Choose the optimizer that is best by the mean over seeds, as verdicts do, and of its units the best one.

    Of encoders that is the least validation loss, of agents the greatest return in their training world.
    """

    def best(units: list[Unit], kind: str, protocol: str) -> Unit | None:
        records = {unit: finished.records[unit] for unit in units if unit in finished.records}
        optimizer = best_optimizer(records, kind=kind, protocol=protocol)
        known = [
            (record["objective"], unit)
            for unit, record in records.items()
            if unit.optimizer == optimizer and record["objective"] is not None
        ]
        return max(known, key=lambda pair: (pair[0], pair[1].key))[1] if known else None

    protocol = config.protocols[-1]
    encoder = best(list(finished.encoders.values()), "encoder", "held-out")
    agent = best([unit for (p, *_), unit in finished.agents.items() if p == protocol], "agent", protocol)
    return Chosen(encoder=encoder or next(iter(finished.encoders.values())), agent=agent)


def write_metrics(folder: RunFolder, metrics: pd.DataFrame) -> None:
    """Write ``metrics.csv``."""
    write_text(folder.path / "metrics.csv", metrics.to_csv(index=False))


def write_measurability(folder: RunFolder, table: pd.DataFrame) -> None:
    """Write ``measurability.csv``: which conditions can be measured, and why others cannot."""
    write_text(folder.path / "measurability.csv", table.to_csv(index=False))


def write_config(folder: RunFolder, config: RunConfig, finished: Finished, chosen: Chosen, data: str) -> None:
    """Write ``config.json``: settings, seeds, versions, machine, chosen rates, and a hash of the data."""
    rates = finished.tuned[finished.tuned["chosen"]].drop(columns="chosen").to_dict("records")
    record = {
        "config": config.to_dict(),
        "seeds": list(config.evaluation_seeds),
        "tuning_seed": config.tuning_seed if config.lr_grid else None,
        "tuned_rates": [
            {**row, "objective": row["objective"] if np.isfinite(row["objective"]) else None} for row in rates
        ],
        "final_model": {"encoder": chosen.encoder.key, "agent": chosen.agent.key if chosen.agent else None},
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


def write_model(folder: RunFolder, config: RunConfig, prepared: Prepared, chosen: Chosen) -> None:
    """Write ``final_model.pt``: plain tensors, numbers and strings, loadable with ``weights_only=True``."""

    def state(unit: Unit | None) -> Any:
        path = state_path(folder.units, unit) if unit else None
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


def write_pictures(
    folder: RunFolder,
    prepared: Prepared,
    finished: Finished,
    metrics: pd.DataFrame,
    *,
    latent: Float,
    courses: dict[str, Float],
    predicted: md.MuData | None,
    tell: Callable[[], None] = lambda: None,
) -> dict[str, Picture | Path]:
    """Draw every picture of a run.

    Parameters
    ----------
    folder, prepared, finished, metrics
        The run.
    latent
        Joint embedding of all cells, (cells, dimensions).
    courses
        Trajectories of an agent in that embedding, (steps, dimensions), by name.
    predicted
        Result of :func:`predictions`.
    tell
        Called after each picture.

    Returns
    -------
    dict
        Picture by name, or its path where the report knows its words.
    """
    made: dict[str, Picture | Path] = {}

    def keep(name: str, panels: plots.Panels) -> None:
        path = folder.path / f"{name}.png"
        made[name] = panels.save(path)
        tell()

    flat, order = plots.project_2d(latent, seed=0), prepared.order
    keep(
        "landscape",
        plots.landscape(
            flat,
            prepared.pseudotime,
            labels=prepared.groups,
            label_order=prepared.design.label_order,
            trajectories={name: _on_map(course, latent, flat) for name, course in courses.items()},
            roots=[root.cell for root in order.roots.values()],
            possible_roots=[cell for root in order.roots.values() for cell in root.others],
            descent=order.is_descent,
        ),
    )
    keep(
        "trajectories",
        plots.trajectories(
            prepared.pseudotime,
            prepared.inputs,
            {name: list(x) for name, x in prepared.names.items()},
            label="Pseudotime (root: a guess)" if order.is_guess else "Pseudotime",
        ),
    )
    keep("loss_curves", plots.loss_curves(finished.history()))
    shown = headline(metrics)
    for index, (protocol, split, told) in enumerate(metric_panels(metrics)):
        chosen = shown[(shown["protocol"] == protocol) & (shown["split"] == split)]
        if protocol == "held-out":
            chosen = chosen[chosen["predictor"].map(lambda predictor: is_policy(str(predictor))) == told]
        who = "policies, told the target" if told else ""
        name = "metrics" if index == 0 else f"metrics_{_slug(f'{protocol} {split} {who}')}"
        keep(name, plots.metric_bars(chosen))
        made[name] = Picture(
            path=folder.path / f"{name}.png",
            title=f"Metrics: {', '.join(filter(None, (protocol, split, who)))}",
            caption=(_POLICIES if chosen["predictor"].map(is_policy).all() else _PREDICTORS)
            + " Mean ± standard deviation over seeds; small dots are seeds."
            + (_without(_unmeasurable(chosen)) if protocol == "held-out" else ""),
            alt=f"Dot plots of the main metrics, {protocol} protocol, {split}; all values are in the tables.",
        )
    if predicted is not None and predicted.obs["measured_support"].any():
        rows = {name: shown_conditions(part.obs) for name, part in predicted.mod.items()}
        before = {name: part.layers["change"][rows[name]].ravel() for name, part in predicted.mod.items()}
        after = {name: part.layers["observed_change"][rows[name]].ravel() for name, part in predicted.mod.items()}
        none = [name for name, part in predicted.mod.items() if not part.obs["measurable"][rows[name]].all()]
        keep("scatter", plots.scatter(before, after))
        made["scatter"] = Picture(
            path=folder.path / "scatter.png",
            title="Predicted against observed change",
            caption="A point is one feature in one measurable condition that can be predicted; the dashed line is "
            f"perfect prediction.{_without(none)}",
            alt="Scatter plots of predicted against observed change for each modality, with correlation and R².",
        )
    return made


def shown_conditions(obs: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Choose the rows of a modality's predictions that are drawn: the measurable ones, or all where there are none."""
    known = obs["measured_support"].to_numpy(dtype=bool)
    wanted = known & obs["measurable"].to_numpy(dtype=bool)
    return wanted if wanted.any() else known


def _unmeasurable(metrics: pd.DataFrame) -> list[str]:
    """Name the modalities of one picture of which :func:`headline` had to keep all conditions."""
    return [str(name) for name in metrics.loc[metrics["conditions"] == "all", "modality"].unique()]


def _without(modalities: list[str]) -> str:
    return (
        f" None is measurable in {', '.join(map(in_words, modalities))}: all conditions are shown there."
        if modalities
        else ""
    )


def metric_panels(metrics: pd.DataFrame) -> list[tuple[str, str, bool]]:
    """List what is drawn as (protocol, split, whether of policies): predictors, policies, then the published tables."""
    told = metrics["predictor"].map(lambda predictor: is_policy(str(predictor)))
    found = set(zip(metrics["protocol"], metrics["split"], told, strict=True))
    held_out = [("held-out", split, who) for who in (False, True) for split in SPLITS]
    return [panel for panel in held_out if panel in found] + sorted(
        panel for panel in found if panel[0] == "paper" and panel[2] and is_published(panel[1])
    )


def shortened_labels(prepared: Prepared, courses: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Tabulate labels that pictures show otherwise than the data have them; empty where there are none."""
    shown = short_labels(np.unique(prepared.groups)) | short_labels(courses)
    changed = [(short, full) for full, short in shown.items() if short != full]
    table = pd.DataFrame(changed, columns=["in pictures", "in the data"])
    return {"Labels as pictures show them": table} if changed else {}


def _slug(text: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in text).strip("_")


def _on_map(course: Float, latent: Float, flat: Float, *, n_neighbors: int = 30, substeps: int = 6) -> Float:
    """Put a latent course on the 2-D picture: where the nearest cells of its points lie, near ones counting most."""
    steps = np.arange(len(course))
    fine = np.linspace(0, len(course) - 1, substeps * (len(course) - 1) + 1)
    points = np.stack([np.interp(fine, steps, column) for column in course.T], axis=1)
    squared = np.maximum((points**2).sum(axis=1)[:, None] + (latent**2).sum(axis=1) - 2.0 * points @ latent.T, 0.0)
    near = np.argpartition(squared, n_neighbors, axis=1)[:, :n_neighbors]
    distance = np.take_along_axis(squared, near, axis=1)
    weight = np.exp(-distance / (distance.mean(axis=1, keepdims=True) + 1e-12))
    placed = (weight[..., None] * flat[near]).sum(axis=1) / weight.sum(axis=1)[:, None]
    # A moving average over one step takes out the jumps between neighbourhoods.
    padded = np.pad(placed, ((substeps // 2, substeps // 2), (0, 0)), mode="edge")
    kernel = np.full(2 * (substeps // 2) + 1, 1.0) / (2 * (substeps // 2) + 1)
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1).astype(np.float32)
