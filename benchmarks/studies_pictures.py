"""The pictures of the registered studies, drawn from their records. Does nothing by itself."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from waddington.analysis.plots._style import COLORS, INK, MUTED, new_figure, note, on_logs, styled
from waddington.bench.comparison import Comparison, metric_name
from waddington.bench.statistics import Pooled
from waddington.bench.statistics.values import ratio_of

__all__ = ["forest"]

LENGTHS = {"known": "length known", "open": "length open"}


SCALES = {"log ratio": "{metric}: first over second", "standardized": "{metric}: mean d_z of first less second"}
"""What an axis says of the scales that are drawn."""


@styled
def forest(comparison: Comparison) -> Figure:
    """Draw the effect of every contrast over tasks, with its interval, and a mark for each task; a panel a length.

    A panel has one scale, that of its first contrast: ratios, or d_z where a metric lies below zero. Contrasts of
    another scale are named and not drawn.
    """
    horizons = comparison.study.horizons
    rows = max(len(comparison.over_tasks(horizon)) for horizon in horizons)
    figure = new_figure((7.6, 1.7 + 0.46 * rows))
    panels = figure.subplots(1, len(horizons), squeeze=False, sharey=True)[0]
    missing = []
    for axes, horizon in zip(panels, horizons, strict=True):
        found = comparison.over_tasks(horizon)
        scale = next((one.pooled.scale for one in found if one.pooled and one.pooled.scale in SCALES), "log ratio")
        axes.axvline(1.0 if scale == "log ratio" else 0.0, color=MUTED, linewidth=0.8)
        for at, one in enumerate(found):
            if one.pooled is None or one.pooled.scale != scale:
                missing.append(f"{one.first} to {one.second}, {LENGTHS[horizon.name]}")
                continue
            _row(axes, at, one.pooled)
        axes.set_yticks(range(len(found)), [f"{one.first}\nto {one.second}" for one in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        if scale == "log ratio":
            on_logs(axes, "x")
        axes.set_xlabel(SCALES[scale].format(metric=metric_name(comparison.study.entries[0], horizon)))
        axes.set_title(LENGTHS[horizon.name])
    handles, _ = panels[0].get_legend_handles_labels()
    if handles:
        names = [entry.label for entry in comparison.study.entries]
        columns = 4 if max(map(len, names)) < 36 else 2
        figure.legend(handles[: len(names)], names, loc="outside upper center", ncols=columns)
    note(figure, [
        "black: over tasks, with 95 % intervals; left of the line the first is better",
        f"on another scale, not drawn: {', '.join(missing)}" if missing else "",
    ])  # fmt: skip
    return figure


def _row(axes: Any, at: int, pool: Pooled) -> None:
    n = len(pool.effects)
    as_drawn = ratio_of if pool.scale == "log ratio" else float
    for task, effect in enumerate(pool.effects):
        place = at + 0.3 * (task / max(1, n - 1) - 0.5) + 0.16
        marker = "os"[task // len(COLORS) % 2]
        color = COLORS[task % len(COLORS)]
        axes.plot([as_drawn(effect)], [place], marker, color=color, markersize=3.5, label=str(task))
    ends = [as_drawn(pool.interval.low), as_drawn(pool.interval.high)]
    axes.plot(ends, [at - 0.18] * 2, color=INK, linewidth=2.0)
    axes.plot([as_drawn(pool.mean)], [at - 0.18], "D", color=INK, markersize=4.5)
