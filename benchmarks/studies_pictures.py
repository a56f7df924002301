"""The pictures of the registered studies, drawn from their records. Does nothing by itself."""

from __future__ import annotations

import math
from typing import Any

from matplotlib.figure import Figure

from waddington.analysis.plots._style import COLORS, INK, MUTED, new_figure, note, on_logs, styled
from waddington.bench.comparison import Comparison, TasksContrast, metric_name

__all__ = ["forest"]

LENGTHS = {"known": "length known", "open": "length open"}


@styled
def forest(comparison: Comparison) -> Figure:
    """Draw the factor of every contrast over tasks, with its interval, and a mark for each task; a panel a length."""
    horizons = comparison.study.horizons
    rows = max(len(comparison.over_tasks(horizon)) for horizon in horizons)
    figure = new_figure((7.6, 1.7 + 0.46 * rows))
    panels = figure.subplots(1, len(horizons), squeeze=False, sharey=True)[0]
    missing = []
    for axes, horizon in zip(panels, horizons, strict=True):
        found = comparison.over_tasks(horizon)
        axes.axvline(1.0, color=MUTED, linewidth=0.8)
        for at, one in enumerate(found):
            if one.pooled is None or one.pooled.scale != "log ratio":
                missing.append(f"{one.first} to {one.second}, {LENGTHS[horizon.name]}")
                continue
            _row(axes, at, one)
        axes.set_yticks(range(len(found)), [f"{one.first}\nto {one.second}" for one in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        on_logs(axes, "x")
        metric = metric_name(comparison.study.entries[0], horizon)
        axes.set_xlabel(f"{metric}: first over second")
        axes.set_title(LENGTHS[horizon.name])
    handles, _ = panels[0].get_legend_handles_labels()
    if handles:
        names = [entry.label for entry in comparison.study.entries]
        figure.legend(handles[: len(names)], names, loc="outside upper center", ncols=4)
    note(figure, [
        "black: over tasks, with 95 % intervals; left of the line the first is better",
        f"no ratio: {', '.join(missing)}" if missing else "",
    ])  # fmt: skip
    return figure


def _row(axes: Any, at: int, one: TasksContrast) -> None:
    pool = one.pooled
    assert pool is not None
    n = len(pool.effects)
    for task, effect in enumerate(pool.effects):
        place = at + 0.3 * (task / max(1, n - 1) - 0.5) + 0.16
        marker = "os"[task // len(COLORS) % 2]
        axes.plot(
            [math.exp(effect)], [place], marker, color=COLORS[task % len(COLORS)], markersize=3.5, label=str(task)
        )
    axes.plot([math.exp(pool.interval.low), math.exp(pool.interval.high)], [at - 0.18] * 2, color=INK, linewidth=2.0)
    axes.plot([math.exp(pool.mean)], [at - 0.18], "D", color=INK, markersize=4.5)
