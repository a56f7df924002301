"""One look for the pictures of an analysis, and what they share: scales, levels, colours, saving."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import numpy as np

from waddington._checks import check_choice, require_extra
from waddington._files import replacing
from waddington.analysis.landscape import Landscape
from waddington.analysis.records import Arrays
from waddington.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLORS", "INK", "MAP", "MUTED", "Scale", "axis_label", "bad_points", "check_dimensions", "color_of", "height_at",
    "is_log", "new_figure", "note", "on_logs", "save", "styled",
]  # fmt: skip

_P = ParamSpec("_P")
_R = TypeVar("_R")
Scale = Literal["auto", "log", "linear"]
"""Of the loss; ``"auto"`` takes logarithms of positive values that span more than a factor of 20."""

INK, MUTED = "#1b1f24", "#6b7480"
COLORS = ("#D55E00", "#0072B2", "#009E73", "#B8578D", "#E69F00", "#4FA9DC", "#5B4B9A", "#8C6D31", "#333F48", "#A0A7AF")
"""Okabe and Ito's colours, darkened a little where white paper needs it, and four more."""
MAP = ("#2b4a5e", "#4d7f8c", "#8fb3a8", "#cfd6bd", "#ece2cb", "#f7f1e6")
"""Valleys dark and cool, heights light and warm; lightness rises evenly."""
_SETTINGS = {
    "font.size": 8.0, "axes.titlesize": 9.0, "axes.titleweight": "bold", "axes.titlelocation": "left",
    "axes.labelsize": 8.0, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.linewidth": 0.7,
    "axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True, "text.color": INK,
    "text.parse_math": False, "xtick.color": INK, "ytick.color": INK, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5, "legend.frameon": False, "lines.linewidth": 1.4, "figure.facecolor": "white",
    "axes.facecolor": "white", "savefig.facecolor": "white",
}  # fmt: skip


def styled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Draw with the settings of this module, and leave matplotlib's own as they were."""

    @wraps(function)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        matplotlib = require_extra("matplotlib", "bench")
        with matplotlib.rc_context(_SETTINGS):
            return function(*args, **kwargs)

    return drawn


def new_figure(size: tuple[float, float]) -> Figure:
    """Make an empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=size, layout="constrained")


def save(figure: Figure, path: str | Path, *, dpi: int = 200) -> Path:
    """Write a picture, whole or not at all.

    Parameters
    ----------
    figure
        From a function of this room.
    path
        Its suffix says the format: ``.png``, ``.pdf``, ``.svg``.
    dpi
        Dots per inch of a ``.png``.

    Returns
    -------
    pathlib.Path
        Where it was written.

    Raises
    ------
    ArgumentError
        The suffix is no format that can be written.
    OutputError
        The place cannot be written.
    """
    path = Path(path)
    known, kind = figure.canvas.get_supported_filetypes(), path.suffix.lstrip(".").lower()
    if kind and kind not in known:
        raise ArgumentError(f"cannot write {str(path)!r}: accepted are names that end in .{', .'.join(sorted(known))}")
    with replacing(path) as beside:
        figure.savefig(beside, dpi=dpi, format=kind or "png")
    return path


def on_logs(axes: Axes, which: Literal["x", "y"]) -> None:
    """Make an axis logarithmic, with numbers at its ticks; between decades, too, where it spans less than three.

    One that spans less than a factor of four has even steps.
    """
    from matplotlib.ticker import FuncFormatter, Locator, LogLocator, MaxNLocator, NullFormatter, NullLocator

    getattr(axes, f"set_{which}scale")("log")
    axis = getattr(axes, f"{which}axis")
    low, high = axis.get_view_interval()
    found: Locator = LogLocator(subs=(1.0, 2.0, 5.0) if high < 1e3 * low else (1.0,))
    if high < 4.0 * low:
        found = MaxNLocator(nbins=5, steps=[1, 2, 5, 10])
        axis.set_minor_locator(NullLocator())
    axis.set_major_locator(found)
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def is_log(values: Arrays, scale: Scale) -> bool:
    """Say whether values are drawn on a logarithmic scale.

    Raises
    ------
    ArgumentError
        No value is finite, or a logarithm was asked for and the values are not positive.
    """
    check_choice("scale", scale, ("auto", "log", "linear"))
    finite = values[np.isfinite(values)]
    if not finite.size:
        raise ArgumentError("cannot draw losses of which none is finite; accepted is at least one")
    is_positive = bool(finite.min() > 0)
    if scale == "log" and not is_positive:
        raise ArgumentError(
            f"cannot use scale='log': the smallest loss is {finite.min():.4g}; accepted are positive ones"
        )
    return is_positive and (scale == "log" or (scale == "auto" and finite.max() > 20.0 * finite.min()))


def check_dimensions(landscape: Landscape, count: int, instead: str) -> None:
    """Refuse a landscape of another number of directions, and say what draws it."""
    if len(landscape.axes) != count:
        raise ArgumentError(
            f"cannot draw a landscape of {len(landscape.axes)} directions here: accepted are {count}; see {instead}"
        )


def color_of(names: Iterable[str], name: str) -> str:
    """Give a path its colour by its place among all."""
    return COLORS[list(names).index(name) % len(COLORS)]


def axis_label(landscape: Landscape, at: int, of: str = " of the path") -> str:
    """Name an axis, with the share of the path's variance that it holds."""
    if landscape.shares is None:
        return landscape.names[at]
    return f"{landscape.names[at]} ({landscape.shares[at]:.0%}{of})"


def bad_points(landscape: Landscape) -> str:
    """Count what cannot be drawn."""
    count = int((~np.isfinite(landscape.loss)).sum())
    return f"{count} of {landscape.loss.size} points have no finite loss" if count else ""


def note(figure: Figure, parts: Iterable[str]) -> None:
    """Say below a picture what it leaves out."""
    text = "; ".join(part for part in parts if part)
    if text:
        figure.supxlabel(text, fontsize=7.0, color=MUTED, x=0.01, ha="left")


def height_at(landscape: Landscape, points: Arrays) -> Arrays:
    """Interpolate the loss of a plane between its grid's points.

    Parameters
    ----------
    landscape
        Of two directions.
    points
        Of shape (T, 2), inside the grid.
    """
    (x, y), z = landscape.axes, landscape.loss
    cells = []
    for axis, values in ((x, points[:, 0]), (y, points[:, 1])):
        low = np.clip(np.searchsorted(axis, values, side="right") - 1, 0, len(axis) - 2)
        cells.append((low, (values - axis[low]) / (axis[low + 1] - axis[low])))
    (i, s), (j, t) = cells
    lower = z[i, j] * (1 - s) + z[i + 1, j] * s
    upper: Any = z[i, j + 1] * (1 - s) + z[i + 1, j + 1] * s
    return np.asarray(lower * (1 - t) + upper * t)
