"""What pictures of claims are made of: intervals beside a claimed value, curves with slopes, bars."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from waddington.analysis.plots._style import COLORS, INK, MUTED, new_figure, note, on_logs, styled
from waddington.bench.statistics import Interval
from waddington.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["INTERVALS", "Logs", "Row", "bars", "curves", "forest"]

Logs: TypeAlias = Literal["", "x", "y", "xy"]
"""Which axes are logarithmic."""
INTERVALS = "95 % intervals"
"""What the lines of rows are, unless said otherwise."""
_WIDTH = 5.6
_NAME, _LABEL = 36, 60
"""Letters of a line in the name of a row, and of an axis."""
_FEW = 30
"""Fewer points of a curve have marks."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A figure with its interval.

    Attributes
    ----------
    name
        Of the row.
    middle
        The figure; one that is not finite is named below the picture and not drawn.
    interval
        Around it; None where there is none.
    claimed
        What the paper says it is; drawn as a diamond.
    """

    name: str
    middle: float
    interval: Interval | None = None
    claimed: float | None = None


@styled
def forest(
    rows: Sequence[Row],
    *,
    label: str,
    line: float | None = 0.0,
    limit: float | None = None,
    is_log: bool = False,
    spans: str = INTERVALS,
) -> Figure:
    """Draw a row for each figure: a point, its interval, and what the paper claims.

    Parameters
    ----------
    rows
        From top to bottom, at least one.
    label
        Of the axis, with its unit.
    line
        Where there is no effect: 0 of a difference, 1 of a ratio; None draws none.
    limit
        What the claim is judged by, drawn dashed; None draws none.
    is_log
        Whether the axis is logarithmic.
    spans
        What the lines of the rows are, in words.

    Raises
    ------
    ArgumentError
        There is no row.
    """
    figure, axes = _axes(_height(_some(rows, "rows")))
    if line is not None:
        axes.axvline(line, color=MUTED, linewidth=0.8)
    _limit(axes, limit)
    for at, row in enumerate(rows):
        if row.interval is not None:
            axes.plot([row.interval.low, row.interval.high], [at, at], color=COLORS[1], linewidth=2.2)
        if math.isfinite(row.middle):
            axes.plot([row.middle], [at], "o", color=COLORS[1], markersize=5)
        if row.claimed is not None:
            axes.plot([row.claimed], [at], "D", color=COLORS[0], markersize=5, markerfacecolor="none")
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.name, _NAME) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(textwrap.fill(label, _LABEL))
    if is_log:
        on_logs(axes, "x")
    _ends(figure, rows, limit=limit, spans=spans)
    return figure


@styled
def bars(rows: Sequence[Row], *, label: str, limit: float | None = None) -> Figure:
    """Draw a bar for each figure from zero, with its interval and what the paper claims.

    Parameters
    ----------
    rows
        From top to bottom, at least one.
    label
        Of the axis, with its unit.
    limit
        What the claim is judged by, drawn dashed; None draws none.

    Raises
    ------
    ArgumentError
        There is no row.
    """
    figure, axes = _axes(_height(_some(rows, "rows")))
    for at, row in enumerate(rows):
        if math.isfinite(row.middle):
            axes.barh(at, row.middle, height=0.6, color=COLORS[5])
        if row.interval is not None:
            axes.plot([row.interval.low, row.interval.high], [at, at], color=INK, linewidth=1.4)
        if row.claimed is not None:
            axes.plot([row.claimed], [at], "D", color=COLORS[0], markersize=5, markerfacecolor="none")
    _limit(axes, limit)
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.name, _NAME) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(textwrap.fill(label, _LABEL))
    _ends(figure, rows, limit=limit)
    return figure


@styled
def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    logs: Logs = "",
    slopes: Iterable[float] = (),
    least: float = 0.0,
    shaded: tuple[float, float] | None = None,
) -> Figure:
    """Draw curves by name; points that are not finite are left out and counted.

    A later curve is thinner, and every other one is dashed: curves that coincide are seen one through the other.

    Parameters
    ----------
    lines
        Abscissas and ordinates by name, at least one curve.
    x, y
        Names of the axes, with units.
    logs
        Which axes are logarithmic.
    slopes
        Powers of x that are drawn from the first curve's first point, grey: rates to compare with. For ``logs="xy"``.
    least
        On a logarithmic y, smaller ones are left out and counted: rounding errors, say.
    shaded
        Stretch of x that the paper speaks of.

    Raises
    ------
    ArgumentError
        There is no curve.
    """
    figure, axes = _axes(3.0)
    if shaded is not None:
        axes.axvspan(*shaded, color=COLORS[4], alpha=0.12, linewidth=0)
    dropped, widths = 0, np.linspace(2.2, 1.0, len(_some(lines, "lines")))
    for at, (name, (xs, ys)) in enumerate(lines.items()):
        pairs = [
            (a, b)
            for a, b in zip(xs, ys, strict=True)
            if _is_drawn(a, "x" in logs) and _is_drawn(b, "y" in logs) and (b >= least or "y" not in logs)
        ]
        dropped += len(xs) - len(pairs)
        style: dict[str, Any] = {"linestyle": "--" if at % 2 else "-", "marker": "o" if len(pairs) < _FEW else None}
        axes.plot(*zip(*pairs, strict=True) if pairs else ([], []), color=COLORS[at % len(COLORS)], label=name,
                  linewidth=widths[at], ms=3, **style)  # fmt: skip
        if at == 0 and pairs:
            for slope in slopes:
                (first, start), last = pairs[0], pairs[-1][0]
                end = start * (last / first) ** slope
                axes.plot([first, last], [start, end], color=MUTED, linewidth=0.9, linestyle=":")
                axes.annotate(f"slope {slope:g}", (last, end), xytext=(4, 0), textcoords="offset points", va="center",
                              color=MUTED, fontsize=7)  # fmt: skip
    if "x" in logs:
        on_logs(axes, "x")
    if "y" in logs:
        on_logs(axes, "y")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend()
    below = f", or are below {least:g}" if least and "y" in logs else ""
    note(figure, [f"{dropped} points are not finite or cannot be drawn on this scale{below}" if dropped else ""])
    return figure


def _axes(height: float) -> tuple[Figure, Any]:
    figure = new_figure((_WIDTH, height))
    return figure, figure.add_subplot()


def _height(rows: Sequence[Row]) -> float:
    """Give the height, in inches, of rows whose names may have several lines."""
    return sum(0.18 + 0.13 * len(textwrap.wrap(row.name, _NAME)) for row in rows) + 1.0


def _some(given: Any, name: str) -> Any:
    if not given:
        raise ArgumentError(f"cannot draw a picture without {name}; accepted: at least one")
    return given


def _is_drawn(value: float, is_log: bool) -> bool:
    return math.isfinite(value) and (value > 0.0 or not is_log)


def _limit(axes: Any, limit: float | None) -> None:
    if limit is not None:
        axes.axvline(limit, color=COLORS[0], linewidth=1.0, linestyle="--")


def _ends(figure: Figure, rows: Iterable[Row], *, limit: float | None, spans: str = INTERVALS) -> None:
    """Say below what the marks are, and what is not drawn."""
    lost = [row.name for row in rows if not math.isfinite(row.middle)]
    marks = [
        f"lines: {spans}" if any(row.interval is not None for row in rows) else "",
        "diamond: the paper's" if any(row.claimed is not None for row in rows) else "",
        f"dashed: judged by {limit:g}" if limit is not None else "",
        f"not finite: {', '.join(lost)}" if lost else "",
    ]
    note(figure, marks)
