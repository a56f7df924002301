"""What pictures of claims are made of: intervals beside a claimed value, curves with slopes, bars."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from waddington.analysis.plots._style import COLORS, INK, MUTED, new_figure, note, on_logs, styled
from waddington.bench.statistics import Interval
from waddington.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Logs", "Row", "bars", "curves", "forest"]

Logs: TypeAlias = Literal["", "x", "y", "xy"]
"""Which axes are logarithmic."""
_WIDTH = 5.6
_NAME, _LABEL = 36, 60
"""Letters of a line in the name of a row, and of an axis."""


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
def forest(rows: Sequence[Row], *, label: str, line: float | None = 0.0, is_log: bool = False) -> Figure:
    """Draw a row for each figure: a point, its interval, and what the paper claims.

    Parameters
    ----------
    rows
        From top to bottom, at least one.
    label
        Of the axis, with its unit.
    line
        Where there is no effect: 0 of a difference, 1 of a ratio; None draws none.
    is_log
        Whether the axis is logarithmic.

    Raises
    ------
    ArgumentError
        There is no row.
    """
    figure, axes = _axes(_height(_some(rows, "rows")))
    if line is not None:
        axes.axvline(line, color=MUTED, linewidth=0.8)
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
    _ends(figure, rows)
    return figure


@styled
def bars(rows: Sequence[Row], *, label: str, line: float | None = None) -> Figure:
    """Draw a bar for each figure from zero, with its interval and what the paper claims.

    Parameters
    ----------
    rows
        From top to bottom, at least one.
    label
        Of the axis, with its unit.
    line
        A limit that the paper names; None draws none.

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
    if line is not None:
        axes.axvline(line, color=COLORS[0], linewidth=1.0, linestyle="--")
    axes.set_yticks(range(len(rows)), [textwrap.fill(row.name, _NAME) for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel(textwrap.fill(label, _LABEL))
    _ends(figure, rows)
    return figure


@styled
def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    *,
    x: str,
    y: str,
    logs: Logs = "",
    slopes: Iterable[float] = (),
    shaded: tuple[float, float] | None = None,
) -> Figure:
    """Draw curves by name; points that are not finite are left out and counted.

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
    dropped = 0
    for at, (name, (xs, ys)) in enumerate(_some(lines, "lines").items()):
        pairs = [(a, b) for a, b in zip(xs, ys, strict=True) if _is_drawn(a, "x" in logs) and _is_drawn(b, "y" in logs)]
        dropped += len(xs) - len(pairs)
        shown: list[list[float]] = [[a for a, _ in pairs], [b for _, b in pairs]]
        axes.plot(*shown, color=COLORS[at % len(COLORS)], label=name, marker="o" if len(pairs) < 30 else None, ms=3)
        if at == 0 and pairs:
            for slope in slopes:
                (first, start), last = pairs[0], pairs[-1][0]
                end = start * (last / first) ** slope
                axes.plot([first, last], [start, end], color=MUTED, linewidth=0.9, linestyle="--")
                axes.annotate(f"slope {slope:g}", (last, end), color=MUTED, fontsize=7, ha="right", va="bottom")
    if "x" in logs:
        on_logs(axes, "x")
    if "y" in logs:
        on_logs(axes, "y")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend()
    note(figure, [f"{dropped} points are not finite or cannot be drawn on this scale" if dropped else ""])
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


def _ends(figure: Figure, rows: Iterable[Row]) -> None:
    """Say below what the marks are, and what is not drawn."""
    lost = [row.name for row in rows if not math.isfinite(row.middle)]
    marks = [
        "lines: 95 % intervals" if any(row.interval is not None for row in rows) else "",
        "diamond: the paper's" if any(row.claimed is not None for row in rows) else "",
        f"not finite: {', '.join(lost)}" if lost else "",
    ]
    note(figure, marks)
