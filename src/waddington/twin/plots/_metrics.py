"""Metrics with their baselines: a dot for the mean over seeds, a bar for the deviation, small dots for the seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from waddington.errors import DataError
from waddington.twin.data.modalities import TITLES
from waddington.twin.evaluate.metrics import get_metric
from waddington.twin.evaluate.summary import (
    BASELINES,
    is_baseline,
    model_name,
    summarize,
)
from waddington.twin.plots.style import (
    INK,
    MUTED,
    Panels,
    clean,
    colors_for,
    new_figure,
    panels_from,
    styled,
)

__all__ = ["metric_bars", "metric_table"]

_SHOWN = ("pearson", "r2", "mse", "accuracy", "auprc")
_MARKERS = ("o", "s", "D", "^", "v", "P")


def metric_table(
    metrics: pd.DataFrame, *, protocol: str | None = None, split: str | None = None, digits: int = 3
) -> pd.DataFrame:
    """Write tidy metrics as the table of a paper.

    Parameters
    ----------
    metrics
        Tidy metrics (see :mod:`waddington.twin.evaluate.summary`).
    protocol, split
        Keep only these.
    digits
        Digits after the point.

    Returns
    -------
    Rows (modality, contestant), columns metrics, cells "mean ± sd"; "n/a" where a metric is not measurable.
    """
    table = _chosen(metrics, protocol, split)
    summary = summarize(table)
    summary["text"] = [_cell(mean, sd, digits) for mean, sd in zip(summary["mean"], summary["sd"], strict=True)]
    wide = summary.pivot_table(
        index=["modality", "contestant"], columns="metric", values="text", aggfunc="first", sort=False
    ).fillna("n/a")
    wide.columns = [get_metric(str(name)).label for name in wide.columns]
    return wide


@styled
def metric_bars(
    metrics: pd.DataFrame,
    *,
    names: Sequence[str] | None = None,
    protocol: str | None = None,
    split: str | None = None,
    axes: Axes | Sequence[Axes] | Mapping[str, Axes] | None = None,
    size: tuple[float, float] | None = None,
) -> Panels:
    """Draw one panel a metric, one row a contestant, one marker a modality; baselines stand below on grey ground.

    Parameters
    ----------
    metrics
        Tidy metrics (see :mod:`waddington.twin.evaluate.summary`).
    names
        Metrics to show, in this order; by default the first of Pearson, R², MSE, accuracy and AUPRC that are there.
    protocol, split
        Keep only these.
    axes
        Axes to draw in, one a metric; by default a new figure.
    size
        Width and height of a new figure in inches.

    Returns
    -------
    Panels named after the metrics.

    Raises
    ------
    DataError
        Nothing left to draw.
    """
    table = _chosen(metrics, protocol, split)
    present = list(dict.fromkeys(table["metric"].astype(str)))
    wanted = [name for name in (names or _SHOWN) if name in present] or present[:4]
    table = table[table["metric"].isin(wanted)]
    rows = _rows(table)
    modalities = [str(name) for name in dict.fromkeys(table["modality"])]
    colors = colors_for(modalities)
    if axes is None:
        height = 1.05 + 0.15 * len(rows) + 0.075 * len(rows) * len(modalities)
        figure = new_figure(*(size or (1.7 + 1.75 * len(wanted), max(height, 2.2))))
        panels = dict(zip(wanted, np.atleast_1d(figure.subplots(1, len(wanted), sharey=True)), strict=True))
    else:
        panels = panels_from(axes, wanted)
    for metric, panel in panels.items():
        _draw_metric(panel, table[table["metric"] == metric], rows, modalities, colors)
        arrow = "better →" if get_metric(metric).better == "higher" else "← better"
        panel.set_title(get_metric(metric).label)
        panel.set_xlabel(arrow, fontsize=7, color=MUTED)
    first = next(iter(panels.values()))
    first.set_yticks(range(len(rows)), [name for name, _ in rows])
    first.set_ylim(len(rows) - 0.5, -0.5)
    for tick, (_, baseline) in zip(first.get_yticklabels(), rows, strict=True):
        tick.set_color(MUTED if baseline else INK)
    if axes is None:
        handles = [
            Line2D([], [], marker=_MARKERS[i % len(_MARKERS)], color=colors[m], label=TITLES.get(m, m))
            for i, m in enumerate(modalities)
        ]
        if any(baseline for _, baseline in rows):
            handles.append(Line2D([], [], marker="o", color=MUTED, markerfacecolor="white", label="hollow: baseline"))
        seeds = int(table.groupby("predictor")["seed"].nunique().max())
        title = f"Mean ± sd, {seeds} seeds" if seeds > 1 else "One seed"
        legend = figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), title=title)
        legend.get_title().set_fontsize(7.5)
    return Panels(panels)


def _chosen(metrics: pd.DataFrame, protocol: str | None, split: str | None) -> pd.DataFrame:
    """Keep one protocol and one split."""
    table = metrics
    for column, value in (("protocol", protocol), ("split", split)):
        if value is not None:
            found = ", ".join(sorted(map(str, table[column].unique())))
            table = table[table[column] == value]
            if table.empty:
                raise DataError(f"cannot show metrics with {column} {value!r}: found {found or 'none'}")
    if table.empty:
        raise DataError("cannot show metrics: the table is empty")
    return table


def _rows(table: pd.DataFrame) -> list[tuple[str, bool]]:
    """List models from top to bottom: models as they come, then baselines in their fixed order."""
    pairs = table[["predictor", "optimizer"]].fillna("none").astype(str).drop_duplicates()
    listed = [(model_name(p, o), is_baseline(p), p) for p, o in pairs.itertuples(index=False)]
    models = [(name, False) for name, baseline, _ in listed if not baseline]
    below = sorted(((name, p) for name, baseline, p in listed if baseline), key=lambda pair: BASELINES.index(pair[1]))
    return models + [(name, True) for name, _ in below]


def _draw_metric(
    axes: Axes, table: pd.DataFrame, rows: list[tuple[str, bool]], modalities: list[str], colors: Mapping[str, str]
) -> None:
    """Draw one metric's dots, intervals and seeds."""
    summary = {(str(r["contestant"]), str(r["modality"])): r for r in summarize(table).to_dict("records")}
    pairs = zip(table["predictor"], table["optimizer"].fillna("none"), strict=True)
    named = table.assign(contestant=[model_name(str(p), str(o)) for p, o in pairs])
    n_models = sum(not baseline for _, baseline in rows)
    if n_models < len(rows):
        axes.axhspan(n_models - 0.5, len(rows) - 0.5, color="#f1f3f5", zorder=0)
    offsets = np.linspace(-0.27, 0.27, len(modalities)) if len(modalities) > 1 else np.zeros(1)
    for row, (name, baseline) in enumerate(rows):
        for offset, (i, modality) in zip(offsets, enumerate(modalities), strict=True):
            entry = summary.get((name, modality))
            if entry is None or not np.isfinite(entry["mean"]):
                continue
            mean, deviation = float(entry["mean"]), float(np.nan_to_num(entry["sd"]))
            height, color = row + offset, colors[modality]
            seeds = named[(named["contestant"] == name) & (named["modality"] == modality)]["value"]
            if len(seeds) > 1:
                axes.plot(seeds, np.full(len(seeds), height), ".", color=color, markersize=2.5, alpha=0.45, zorder=2)
            axes.plot([mean - deviation, mean + deviation], [height, height], color=color, linewidth=1.2, zorder=3)
            axes.plot(
                mean, height, marker=_MARKERS[i % len(_MARKERS)], markersize=4.6, color=color,
                markerfacecolor="white" if baseline else color, markeredgewidth=1.1, zorder=4,
            )  # fmt: skip
    low, high = axes.get_xlim()
    if low < 0 < high:
        axes.axvline(0.0, color=MUTED, linewidth=0.6, zorder=1)
    if low < -2.0 and high < 2.0:
        # One contestant far below zero (R² has no floor) would press all others onto one line.
        axes.set_xscale("symlog", linthresh=1.0)
        axes.set_xlim(1.5 * low, max(high, 1.0))
        axes.set_xticks([*(tick for tick in (-100, -10, -3) if tick > low), -1, 0, 1])
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}".replace("-", "−")))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    clean(axes, grid="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def _cell(mean: float, deviation: float, digits: int) -> str:
    """Write one cell of the table."""
    if not np.isfinite(mean):
        return "n/a"
    return f"{mean:.{digits}f}" if not np.isfinite(deviation) else f"{mean:.{digits}f} ± {deviation:.{digits}f}"
