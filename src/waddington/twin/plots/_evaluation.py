"""Pictures of an evaluation: models by split, predictions under their ceiling, intervals, best and worst features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from waddington.errors import DataError
from waddington.twin.data.modalities import TITLES
from waddington.twin.evaluate.metrics import get_metric
from waddington.twin.evaluate.summary import headline
from waddington.twin.plots.style import INK, MUTED, Panels, clean, colors_for, new_figure, panels_from, styled
from waddington.twin.respond.registry import MODELS

__all__ = ["calibration", "ceiling", "forest", "gene_ranking"]

_SUPPORTS = ("measured", "added", "combined", "interpolated", "partial", "none")
"""What an answer may rest on, the best first."""
_GUESSES = ("partial", "none")
"""Support of an answer part of which is a guess; drawn hollow."""
_LIGHT = "#9db4d0"
"""What stands beside what is meant."""


@styled
def forest(
    summary: pd.DataFrame,
    *,
    metric: str = "pearson",
    modality: str | None = None,
    conditions: str | None = None,
    axes: Axes | Sequence[Axes] | None = None,
) -> Panels:
    """Draw one metric of every model, a panel a split, with its 95 % interval over conditions.

    A hollow dot is a mean over fewer conditions than others answered; it is not to be compared with them.

    Parameters
    ----------
    summary
        ``Evaluation.summary``.
    metric, modality
        Rows to show; the first modality by default.
    conditions
        ``"measurable"`` or ``"all"``; by default the measurable ones of a split, or all where none can be measured.
    axes
        Axes to draw in, one a split; by default a new figure.

    Returns
    -------
    Panels named after the splits.

    Raises
    ------
    DataError
        Nothing to draw.
    """
    shown = headline(summary) if conditions is None else summary[summary["conditions"] == conditions]
    rows = shown[shown["metric"] == metric]
    modality = modality or (str(rows["modality"].iloc[0]) if len(rows) else "")
    rows = rows[(rows["modality"] == modality) & rows["value"].notna()]
    if rows.empty:
        raise DataError(f"cannot draw {metric} of {modality or 'nothing'}: found no value of it")
    splits = list(dict.fromkeys(rows["split"]))
    there = dict.fromkeys(rows["model"])
    models = [name for name in MODELS if name in there] + [name for name in there if name not in MODELS]
    if axes is None:
        figure = new_figure(2.0 + 1.7 * len(splits), 1.0 + 0.22 * len(models))
        made = np.atleast_1d(figure.subplots(1, len(splits), sharey=True))
        panels = dict(zip(splits, made, strict=True))
    else:
        panels = panels_from(axes, splits)
    row = get_metric(metric)
    places = {name: len(models) - 1 - at for at, name in enumerate(models)}
    for split, panel in panels.items():
        part = rows[rows["split"] == split]
        most = int(part["n"].max())
        for name, value, low, high, n in part[["model", "value", "low", "high", "n"]].itertuples(index=False):
            color = MUTED if name == "replicate" else INK
            if np.isfinite(low):
                panel.plot([low, high], [places[name]] * 2, color=color, linewidth=1.2, zorder=2)
            panel.plot(
                [value], [places[name]], "D" if name == "replicate" else "o", color=color, markersize=4.5, zorder=3,
                markerfacecolor=color if n == most else "white",
            )  # fmt: skip
        panel.set_title(f"{split} (n = {most})", fontsize=8)
        arrow = "better →" if row.better == "higher" else "← better"
        panel.set_xlabel(f"{row.label}, {arrow}", fontsize=7, color=MUTED)
        panel.set_ylim(-0.7, len(models) - 0.3)
        clean(panel, grid="x")
    next(iter(panels.values())).set_yticks(list(places.values()), list(places))
    return Panels(panels)


@styled
def ceiling(
    scores: pd.DataFrame,
    conditions: pd.DataFrame,
    *,
    model: str,
    modality: str | None = None,
    axes: Axes | Sequence[Axes] | None = None,
) -> Panels:
    """Draw how well each condition is predicted against how well it is measured.

    The line is what a prediction without noise reaches: the root of the replicates' reliability. Answers part of which
    is a guess are hollow; conditions that cannot be measured are grey.

    Parameters
    ----------
    scores, conditions
        Of an ``Evaluation``.
    model
        Whose predictions.
    modality
        The first by default.
    axes
        Axes to draw in; by default a new figure.

    Returns
    -------
    One panel, ``"ceiling"``.
    """
    rows = scores[(scores["metric"] == "pearson") & (scores["model"] == model) & scores["value"].notna()]
    modality = modality or (str(rows["modality"].iloc[0]) if len(rows) else "")
    rows = rows[rows["modality"] == modality].merge(
        conditions.drop(columns="measurable"), on=["perturbation", "group", "modality"]
    )
    if rows.empty:
        raise DataError(f"cannot draw predictions of {model!r}: found no score of it")
    panel = new_figure(5.6, 4.0).subplots() if axes is None else panels_from(axes, ["ceiling"])["ceiling"]
    splits = [str(name) for name in dict.fromkeys(rows["split"])]
    colors = colors_for(splits)
    for split, part in rows.groupby("split", sort=False):
        for guessed, measurable in ((False, True), (True, True), (False, False), (True, False)):
            chosen = part[(part["support"].isin(_GUESSES) == guessed) & (part["measurable"].astype(bool) == measurable)]
            color = colors[str(split)] if measurable else "#b8bec6"
            panel.scatter(
                chosen["reliability"].clip(-0.2, 1.0), chosen["value"], s=22, linewidths=1.0, edgecolors=color,
                facecolors="none" if guessed else color, zorder=3 if measurable else 2,
            )  # fmt: skip
    x = np.linspace(0.0, 1.0, 50)
    panel.plot(x, np.sqrt(x), color=MUTED, linewidth=1.0, linestyle="--", zorder=1)
    panel.axvline(0.5, color=MUTED, linewidth=0.7, linestyle=":", zorder=1)
    panel.set_xlabel("Reliability of the replicates, R")
    panel.set_ylabel("Pearson r of the prediction")
    panel.set_title(f"{model}: predictions under their ceiling")
    marks = [Line2D([], [], marker="o", linestyle="", color=colors[name], label=name, markersize=5) for name in splits]
    marks += [
        Line2D([], [], marker="o", linestyle="", color=INK, markerfacecolor="none", label="part is a guess"),
        Line2D([], [], marker="o", linestyle="", color="#b8bec6", label="not measurable"),
        Line2D([], [], color=MUTED, linestyle="--", label="best without noise, √R"),
    ]
    panel.legend(handles=marks, loc="center left", bbox_to_anchor=(1.01, 0.5))
    clean(panel, grid="both")
    return Panels({"ceiling": panel})


@styled
def calibration(coverage: pd.DataFrame, *, axes: Axes | Sequence[Axes] | None = None) -> Panels:
    """Draw what share of features lies inside the intervals, by what the answers rest on.

    Dark are calibrated intervals, with the 95 % interval of the share over expressed features; light is what the
    model's own standard deviations hold.

    Parameters
    ----------
    coverage
        ``Evaluation.coverage``.
    axes
        Axes to draw in; by default a new figure.

    Returns
    -------
    One panel, ``"calibration"``.

    Raises
    ------
    DataError
        When no model gives intervals.
    """
    if coverage.empty:
        raise DataError("cannot draw intervals: no model gives any")
    keys = ["modality", "model", "split", "support"]
    places_of = {name: {value: at for at, value in enumerate(dict.fromkeys(coverage[name]))} for name in keys[:3]}
    places_of["support"] = {value: at for at, value in enumerate(_SUPPORTS)}
    table = coverage.sort_values(keys, key=lambda column: column.map(places_of[str(column.name)]), kind="stable")
    rows = table.drop_duplicates(keys)
    told = [name for name in ("model", "modality") if rows[name].nunique() > 1]
    names = [
        ", ".join([*(TITLES.get(row[name], row[name]) for name in told), row["split"], row["support"]])
        + f" (n = {row['n']})"
        for row in rows.to_dict("records")
    ]
    panel = (
        new_figure(6.4, 1.3 + 0.3 * len(rows)).subplots()
        if axes is None
        else panels_from(axes, ["calibration"])["calibration"]
    )
    place = {tuple(row): len(rows) - 1 - at for at, row in enumerate(rows[keys].itertuples(index=False))}
    level = float(rows["level"].iloc[0])
    panel.axvspan(level - 0.05, level + 0.05, color="#e9eef3", zorder=0)
    panel.axvline(level, color=MUTED, linewidth=0.8)
    for interval, (color, shift) in {"normal": (_LIGHT, -0.17), "conformal": (INK, 0.17)}.items():
        for features, marker in {"expressed": "o", "changed": "^"}.items():
            part = table[(table["interval"] == interval) & (table["features"] == features)]
            y = np.array([place[tuple(row)] + shift for row in part[keys].itertuples(index=False)])
            if features == "expressed":
                panel.hlines(y, part["low"], part["high"], color=color, linewidth=1.0, zorder=2)
            guessed = part["support"].isin(_GUESSES).to_numpy()
            for hollow in (False, True):
                panel.scatter(
                    part["coverage"][guessed == hollow], y[guessed == hollow], marker=marker, s=20, edgecolors=color,
                    facecolors="white" if hollow else color, zorder=3,
                )  # fmt: skip
    panel.set_yticks(list(place.values()), names)
    panel.set_ylim(-0.6, len(rows) - 0.4)
    panel.set_xlim(-0.02, 1.02)
    panel.set_xlabel(f"Share inside the {level:.0%} interval; hollow: part of the answer is a guess")
    marks = [
        Line2D([], [], marker="o", linestyle="", color=INK, markersize=4, label="expressed features"),
        Line2D([], [], marker="^", linestyle="", color=INK, markersize=4, label="changed features"),
        Line2D([], [], color=INK, linewidth=3, label="calibrated"),
        Line2D([], [], color=_LIGHT, linewidth=3, label="as the model says"),
    ]
    panel.legend(handles=marks, loc="lower left")
    one = [str(rows[name].iloc[0]) for name in ("model", "modality") if name not in told]
    panel.set_title(", ".join(TITLES.get(name, name) for name in one))
    clean(panel, grid="x")
    return Panels({"calibration": panel})


@styled
def gene_ranking(
    genes: pd.DataFrame,
    *,
    model: str,
    split: str,
    modality: str | None = None,
    n: int = 12,
    axes: Axes | Sequence[Axes] | None = None,
) -> Panels:
    """Draw the features that are predicted best and worst over conditions, among those that can be measured.

    Parameters
    ----------
    genes
        ``Evaluation.genes``.
    model, split, modality
        Rows to show; the first modality by default.
    n
        Features at either end.
    axes
        Axes to draw in, two; by default a new figure.

    Returns
    -------
    Panels ``"best"`` and ``"worst"``.

    Raises
    ------
    DataError
        No feature of these can be measured.
    """
    rows = genes[(genes["model"] == model) & (genes["split"] == split) & genes["measurable"].astype(bool)]
    modality = modality or (str(rows["modality"].iloc[0]) if len(rows) else "")
    rows = rows[(rows["modality"] == modality) & rows["pearson"].notna()].sort_values("pearson", kind="stable")
    if rows.empty:
        raise DataError(f"cannot draw features of {model!r} under {split!r}: none of them can be measured")
    names = ("best", "worst")
    few = min(n, max(len(rows) // 2, 1))
    if axes is None:
        figure = new_figure(6.2, 0.9 + 0.19 * few)
        panels = dict(zip(names, figure.subplots(1, 2, sharex=True), strict=True))
    else:
        panels = panels_from(axes, names)
    for name, part in (("best", rows.iloc[::-1][:few]), ("worst", rows[:few])):
        panel = panels[name]
        places = np.arange(len(part))[::-1]
        panel.hlines(places, 0.0, part["pearson"], color="#b8bec6", linewidth=1.4)
        panel.plot(part["pearson"], places, "o", color=INK, markersize=4)
        panel.set_yticks(places, [str(gene) for gene in part["gene"]])
        panel.set_title(f"Predicted {name}")
        panel.set_xlabel("Pearson r over conditions", fontsize=7, color=MUTED)
        clean(panel, grid="x")
    return Panels(panels)
