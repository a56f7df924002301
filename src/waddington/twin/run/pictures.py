"""The pictures of a run, with the words that stand below them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import mudata as md
import numpy as np
import numpy.typing as npt
import pandas as pd

from waddington.twin import plots
from waddington.twin.data.modalities import in_words
from waddington.twin.data.splits import SPLITS
from waddington.twin.evaluate.paper import is_published
from waddington.twin.evaluate.summary import headline, is_policy
from waddington.twin.plots.labels import short_labels
from waddington.twin.report.page import Picture
from waddington.twin.run.data import RunData
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.records import RunRecords

__all__ = ["metric_panels", "shortened_labels", "shown_conditions", "write_pictures"]

Float = npt.NDArray[np.float32]

_PREDICTORS = (
    "Filled: models; hollow, on grey: baselines, and a replicate of half the test cells, which a good model can "
    "surpass because it learns from more."
)
_POLICIES = "Filled: agents; hollow, on grey: doing nothing, and acting at random."


def write_pictures(
    folder: RunFolder,
    prepared: RunData,
    finished: RunRecords,
    metrics: pd.DataFrame,
    *,
    latent: Float,
    trajectories: dict[str, Float],
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
    trajectories
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
            trajectories={name: _on_map(course, latent, flat) for name, course in trajectories.items()},
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


def shortened_labels(prepared: RunData, trajectories: Iterable[str]) -> dict[str, pd.DataFrame]:
    """Tabulate labels that pictures show otherwise than the data have them; empty where there are none."""
    shown = short_labels(np.unique(prepared.groups)) | short_labels(trajectories)
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
