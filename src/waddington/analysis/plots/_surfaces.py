"""Loss surfaces of two and three directions, with the paths on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from waddington.analysis.landscape import Landscape
from waddington.analysis.plots import _style as style
from waddington.analysis.plots._paths import PathStyle, in_words, path_styles, starts
from waddington.analysis.plots._style import Scale
from waddington.analysis.records import Arrays

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["contour", "slices", "surface"]

_LEVELS = 18


@style.styled
def contour(
    landscape: Landscape, *, title: str = "", scale: Scale = "auto", size: tuple[float, float] = (5.2, 4.2)
) -> Figure:
    """Draw a loss surface as contours, with the paths projected on it.

    A path begins at an open circle and ends at a mark of its own; the cross is the center. Paths that lie on each other
    are nested, the widest below, and the legend says which of them the picture cannot tell apart.

    Parameters
    ----------
    landscape
        Of two directions.
    title
        Above the picture.
    scale
        Of the loss: ``"log"``, ``"linear"`` or ``"auto"``.
    size
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        The landscape has another number of directions, or no finite loss.
    """
    style.check_dimensions(landscape, 2, "line and slices")
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    drawn = _contours(axes, landscape.axes[0], landscape.axes[1], landscape.loss, _levels(landscape.loss, scale))
    bar = figure.colorbar(drawn, ax=axes, shrink=0.9, format="%.3g")
    bar.set_label("loss")
    bar.outline.set_visible(False)
    looks = path_styles(landscape)
    for name, look in looks.items():  # below all of them, so that it hides none
        axes.plot(*landscape.paths[name].T, color="white", linewidth=look.width + 1.4, alpha=0.7)
    for name, look in looks.items():
        path = landscape.paths[name]
        axes.plot(*path.T, color=look.color, label=name, marker=".", markersize=look.width + 1.3, linewidth=look.width)
    for start in starts(landscape):
        color = style.INK if len(start.names) > 1 else looks[start.names[0]].color
        axes.plot(*start.place, "o", color=color, markerfacecolor="white", markersize=start.size)
    for name, look in sorted(looks.items(), key=lambda item: -item[1].size):
        axes.plot(
            *landscape.paths[name][-1],
            look.marker,
            color=look.color,
            markersize=look.size,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
    axes.plot(0.0, 0.0, "+", color=style.INK, markersize=8.0, label="center")
    axes.set(xlabel=style.axis_label(landscape, 0), ylabel=style.axis_label(landscape, 1), title=title)
    if landscape.paths:
        _legend(figure, axes, landscape, looks)
    style.note(figure, [style.bad_points(landscape)])
    return figure


@style.styled
def surface(
    landscape: Landscape,
    *,
    title: str = "",
    scale: Scale = "auto",
    view: tuple[float, float] = (38.0, -58.0),
    size: tuple[float, float] = (5.6, 4.6),
) -> Figure:
    """Draw a loss surface in space, with the paths on it.

    A path is drawn where the plane lies below it: its own loss differs where it leaves the plane.

    Parameters
    ----------
    landscape, title, scale, size
        As for :func:`contour`.
    view
        Elevation and azimuth of the eye, in degrees.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        As for :func:`contour`.
    """
    from matplotlib.ticker import MaxNLocator

    style.check_dimensions(landscape, 2, "line and slices")
    figure = style.new_figure(size)
    axes: Any = figure.add_subplot(projection="3d")
    log = style.is_log(landscape.loss, scale)
    x, y = np.meshgrid(*landscape.axes, indexing="ij")
    height = _height(landscape.loss, log)
    axes.plot_surface(
        x, y, height, cmap=_map(), rcount=200, ccount=200, linewidth=0.15, edgecolor="#ffffff66", antialiased=True
    )
    lift = 0.01 * float(np.nanmax(height) - np.nanmin(height) or 1.0)
    looks = path_styles(landscape)
    for name, look in looks.items():
        path = landscape.paths[name]
        z = _height(style.height_at(landscape, path), log) + lift
        axes.plot(*path.T, z, color=look.color, label=name, linewidth=look.width + 0.4, zorder=10)
        axes.plot(*path[-1:].T, z[-1:], look.marker, color=look.color, markersize=look.size, markeredgecolor="white",
                  markeredgewidth=0.6, zorder=11)  # fmt: skip
    if not landscape.paths:
        middle = _height(np.array([landscape.center_loss]), log) + lift
        axes.plot([0.0], [0.0], middle, "o", color=style.COLORS[0], markersize=4.5, zorder=11, label="center")
    labels = [style.axis_label(landscape, at, of="") for at in range(2)]
    axes.set(xlabel=labels[0], ylabel=labels[1], zlabel="loss")
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.0, fontweight="bold")
    if log:
        ticks = axes.get_zticks()
        low, high = axes.get_zlim()
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        axes.set_zticks(ticks, [f"{10.0**tick:.2g}" for tick in ticks])
    axes.view_init(*view)
    axes.set_box_aspect((1.0, 1.0, 0.7), zoom=0.88)
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        if axis is not axes.zaxis:
            axis.set_major_locator(MaxNLocator(5))
        axis.pane.set_facecolor("white")
        axis.pane.set_edgecolor("#d8dce1")
        axis._axinfo["grid"]["color"] = "#e4e7eb"
    _legend(figure, axes, landscape, looks)
    style.note(figure, [style.bad_points(landscape)])
    return figure


@style.styled
def slices(
    landscape: Landscape,
    *,
    count: int = 5,
    title: str = "",
    scale: Scale = "auto",
    size: tuple[float, float] = (9.6, 2.7),
) -> Figure:
    """Draw a loss in a box as contours of some planes through it, on one scale.

    Parameters
    ----------
    landscape
        Of three directions.
    count
        Planes, evenly along the third direction.
    title, scale, size
        As for :func:`contour`.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        As for :func:`contour`.
    """
    style.check_dimensions(landscape, 3, "line and contour")
    figure = style.new_figure(size)
    levels = _levels(landscape.loss, scale)
    places = np.unique(np.linspace(0, len(landscape.axes[2]) - 1, count).round().astype(int))
    panels = figure.subplots(1, len(places), sharex=True, sharey=True, squeeze=False)[0]
    for axes, at in zip(panels, places, strict=True):
        drawn = _contours(axes, landscape.axes[0], landscape.axes[1], landscape.loss[:, :, at], levels)
        axes.set_title(f"{landscape.names[2]} = {landscape.axes[2][at]:.2g}", fontsize=8.0, fontweight="normal")
        axes.set_xlabel(landscape.names[0])
    panels[0].set_ylabel(landscape.names[1])
    bar = figure.colorbar(drawn, ax=list(panels), shrink=0.9, format="%.3g")
    bar.set_label("loss")
    bar.outline.set_visible(False)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.0, fontweight="bold")
    style.note(figure, [style.bad_points(landscape)])
    return figure


def _legend(figure: Figure, axes: Axes, landscape: Landscape, looks: Mapping[str, PathStyle]) -> None:
    """Name the center and the paths with their ends, and say below which of them lie on each other."""
    from matplotlib.lines import Line2D

    drawn = dict(zip(*axes.get_legend_handles_labels()[::-1], strict=True))
    labels = [label for label in drawn if label not in looks]
    handles = [drawn[label] for label in labels]
    for name in landscape.paths:
        look = looks[name]
        handles.append(
            Line2D([], [], color=look.color, linewidth=min(look.width, 3.5), marker=look.marker, markersize=6.5,
                   markeredgecolor="white", markeredgewidth=0.6)
        )  # fmt: skip
        labels.append(name)
    said = "\n".join(in_words(landscape)) or None
    figure.legend(handles, labels, loc="outside lower center", ncols=4, title=said, title_fontsize=7.5)


def _contours(axes: Axes, x: Arrays, y: Arrays, loss: Arrays, scaling: tuple[Arrays, Any]) -> Any:
    levels, norm = scaling
    shown = np.ma.masked_invalid(loss.T)
    axes.set_facecolor("#d8dce1")  # where there is no finite loss
    drawn = axes.contourf(x, y, shown, levels=levels, norm=norm, cmap=_map(), extend="both")
    if np.ptp(shown) > 0:
        axes.contour(x, y, shown, levels=levels[::3], norm=norm, colors="white", linewidths=0.5, alpha=0.7)
    return drawn


def _levels(loss: Arrays, scale: Scale) -> tuple[Arrays, Any]:
    """Choose contour levels from the least loss to all but the highest hundredth."""
    from matplotlib.colors import LogNorm, Normalize

    log = style.is_log(loss, scale)
    finite = loss[np.isfinite(loss)]
    low, high = float(finite.min()), float(np.quantile(finite, 0.99))
    if not high - low > 1e-12 * max(abs(low), abs(high)):  # flat: levels between would be one number
        low, high = low - 0.5 * abs(low or 1.0), low + 0.5 * abs(low or 1.0)
    levels = np.geomspace(low, high, _LEVELS) if log else np.linspace(low, high, _LEVELS)
    return levels, (LogNorm if log else Normalize)(levels[0], levels[-1])


def _height(loss: Arrays, log: bool) -> Arrays:
    finite = np.where(np.isfinite(loss), loss, np.nan)
    return np.log10(finite) if log else finite


def _map() -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("loss", list(style.MAP))
