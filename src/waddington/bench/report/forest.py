"""The forest of paired differences: one row a task, one panel a contrast, and what could have been found."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import numpy as np

from waddington.bench.report.data import PooledContrast, ReportData, TaskResult
from waddington.bench.report.plotly_json import Panel, axis, figure, label
from waddington.bench.report.style import ArmStyle
from waddington.bench.report.summary import task_verdict
from waddington.bench.statistics import number, pooled_verdict
from waddington.bench.statistics.blocks import Contrast

__all__ = ["forest_figures"]

_WIDEST = 100.0
"""Percent that the axis shows at most; what lies beyond is an arrow at the edge."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    """One row, in percent of the second arm's mean; where there is no percentage, words stand instead."""

    name: str
    middle: float | None
    low: float | None
    high: float | None
    detectable: float | None
    is_found: bool
    text: str
    instead: str = "not measurable"


def forest_figures(data: ReportData, horizon: str, styles: dict[str, ArmStyle]) -> list[Panel]:
    """Draw one panel for each contrast at a horizon, all with the same range."""
    results = [result for result in data.results if result.horizon == horizon]
    rows: dict[tuple[str, str], list[_Row]] = {}
    for result in results:
        for contrast in result.several.contrasts:
            rows.setdefault((contrast.first, contrast.second), []).append(_task_row(result, contrast))
    for pooled_row in (row for row in data.pooled if row.horizon == horizon):
        rows.setdefault((pooled_row.first, pooled_row.second), []).append(_pooled_row(pooled_row))
    reach = _reach([row for own in rows.values() for row in own])
    return [_panel(pair, own, styles[pair[0]], reach) for pair, own in rows.items()]


def _task_row(result: TaskResult, contrast: Contrast) -> _Row:
    """Turn a task's contrast into percent of the second arm's mean."""
    pair = contrast.paired
    found = task_verdict(result, contrast)
    base = float(np.mean(result.finals[contrast.second])) if contrast.second in result.finals else math.nan
    unit = 100 / abs(base) if math.isfinite(base) and base else math.nan

    def scaled(value: float | None) -> float | None:
        return None if value is None or math.isnan(unit) else value * unit

    return _Row(
        name=label(result.task),
        middle=scaled(pair.mean),
        low=scaled(None if pair.interval is None else pair.interval.low),
        high=scaled(None if pair.interval is None else pair.interval.high),
        detectable=scaled(pair.mde),
        is_found=found.answer in ("first", "second"),
        text=found.sentence,
        instead=f"by ranks, {pair.wins} seeds to {pair.losses}" if pair.by_ranks else "not measurable",
    )


def _pooled_row(row: PooledContrast) -> _Row:
    """Turn a contrast over tasks into percent, where it is one of ratios."""
    found = pooled_verdict(row.pooled, first=row.first, second=row.second, p=row.p_holm, metric=row.metric)
    ends, mde = row.pooled.interval, row.pooled.over_tasks.mde
    has_ratio = row.pooled.ratio is not None
    return _Row(
        name="all tasks",
        middle=_percent(row.pooled.mean) if has_ratio else None,
        low=_percent(ends.low) if has_ratio else None,
        high=_percent(ends.high) if has_ratio else None,
        detectable=_percent(mde) if has_ratio and mde is not None else None,
        is_found=found.answer in ("first", "second"),
        text=found.sentence,
        instead=f"on the scale of {row.pooled.scale}",
    )


def _percent(log_ratio: float) -> float:
    return 100 * math.expm1(min(log_ratio, 700.0))


def _reach(rows: list[_Row]) -> float:
    """Choose the half width of the axis."""
    ends = [abs(end) for row in rows for end in (row.middle, row.low, row.high) if end is not None]
    return min(_WIDEST, 1.15 * max(ends, default=1.0)) or 1.0


def _panel(pair: tuple[str, str], rows: list[_Row], style: ArmStyle, reach: float) -> Panel:
    """Draw one contrast."""
    shown = [row for row in rows if row.middle is not None]
    names = [row.name for row in rows]
    inside = [min(max(row.middle or 0.0, -reach), reach) for row in shown]
    symbols = [_symbol(row, reach) for row in shown]
    marks: dict[str, Any] = {
        "type": "scatter",
        "mode": "markers",
        "meta": pair[0],
        "name": label(pair[0]),
        "showlegend": False,
        "x": inside,
        "y": [row.name for row in shown],
        "text": [_wrapped(row.text) for row in shown],
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": style.color, "size": 10, "symbol": symbols, "line": {"color": style.color, "width": 2}},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "color": style.color,
            "thickness": 2,
            "width": 4,
            "array": [_beyond(row.high, at) for row, at in zip(shown, inside, strict=True)],
            "arrayminus": [-_beyond(row.low, at) for row, at in zip(shown, inside, strict=True)],
        },
    }
    unknown = {
        "type": "scatter",
        "mode": "text",
        "showlegend": False,
        "x": [0.0 for row in rows if row.middle is None],
        "y": [row.name for row in rows if row.middle is None],
        "text": [row.instead for row in rows if row.middle is None],
        "hovertext": [_wrapped(row.text) for row in rows if row.middle is None],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }
    title = f"{pair[0]} against {pair[1]}"
    return Panel(
        title=title,
        alt=f"{title}. " + " ".join(f"{row.name}: {row.text}" for row in rows),
        json=figure(
            [_bars(rows, reach), marks, unknown],
            xaxis=axis(f"difference in % of {label(pair[1])}", range=[-1.04 * reach, 1.04 * reach], zeroline=True),
            yaxis={"automargin": True, "categoryorder": "array", "categoryarray": names[::-1], "showgrid": False},
            height=100 + 30 * len(rows),
            barmode="overlay",
            bargap=0.35,
        ),
    )


def _bars(rows: list[_Row], reach: float) -> dict[str, Any]:
    """Draw what was too small to be found as a grey bar around zero."""
    widths = [min(row.detectable or 0.0, 1.04 * reach) for row in rows]
    return {
        "type": "bar",
        "orientation": "h",
        "showlegend": False,
        "base": [-width for width in widths],
        "x": [2 * width for width in widths],
        "y": [row.name for row in rows],
        "text": [f"found with 80%: {number(row.detectable)}% or more" if row.detectable else "" for row in rows],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": "rgba(128,128,128,0.28)"},
    }


def _symbol(row: _Row, reach: float) -> str:
    """Choose a filled mark for what was found, an open one else, an arrow at the edge."""
    middle = row.middle or 0.0
    shape = "triangle-right" if middle > reach else "triangle-left" if middle < -reach else "circle"
    return shape if row.is_found else f"{shape}-open"


def _beyond(end: float | None, at: float) -> float:
    """Give how far an interval's end is from the mark."""
    return 0.0 if end is None else end - at


def _wrapped(text: str, width: int = 48) -> str:
    """Break a sentence into lines for the pointer's box."""
    return "<br>".join(label(line) for line in textwrap.wrap(text, width, break_long_words=False))
