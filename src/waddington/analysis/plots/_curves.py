"""Pictures along one axis: the loss on a line, a spectrum, an optimizer's own figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from waddington.analysis.diagnostics import Curves
from waddington.analysis.landscape import Landscape
from waddington.analysis.plots import _style as style
from waddington.analysis.plots._style import Scale
from waddington.analysis.spectrum import Spectrum
from waddington.errors import ArgumentError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["curves", "line", "spectrum"]

_FLOOR = 1e-4
"""Densities below this share of the highest are not drawn: there the probes have hardly a node."""


@style.styled
def line(
    landscapes: Landscape | Mapping[str, Landscape],
    *,
    title: str = "",
    scale: Scale = "auto",
    size: tuple[float, float] = (5.2, 3.2),
) -> Figure:
    """Draw the loss along lines.

    Parameters
    ----------
    landscapes
        Of one direction; or several, by name, which may belong to several models.
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
        A landscape has another number of directions, or no loss is finite.
    """
    named = {"loss": landscapes} if isinstance(landscapes, Landscape) else dict(landscapes)
    for each in named.values():
        style.check_dimensions(each, 1, "contour and slices")
    log = style.is_log(np.concatenate([each.loss for each in named.values()]), scale)
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    for name, each in named.items():
        color = style.color_of(named, name)
        axes.plot(each.axes[0], each.loss, color=color, label=name)
        axes.plot(0.0, each.center_loss, "o", color=color, markersize=4.0)
    axes.set(xlabel=next(iter(named.values())).names[0], ylabel="loss", title=title)
    if log:
        style.on_logs(axes, "y")
    if len(named) > 1:
        axes.legend()
    style.note(figure, [f"{name}: {text}" for name, each in named.items() if (text := style.bad_points(each))])
    return figure


@style.styled
def spectrum(
    spectra: Spectrum | Mapping[str, Spectrum], *, title: str = "", size: tuple[float, float] = (5.6, 3.2)
) -> Figure:
    """Draw the density of a Hessian's eigenvalues, on a logarithmic scale.

    The small marks on the axis are the least and the largest node.

    Parameters
    ----------
    spectra
        One, or several by name.
    title
        Above the picture.
    size
        In inches.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.
    """
    named = {"density": spectra} if isinstance(spectra, Spectrum) else dict(spectra)
    figure = style.new_figure(size)
    axes = figure.add_subplot()
    top = max(float(each.density.max()) for each in named.values())
    for name, each in named.items():
        color = style.color_of(named, name)
        shown = np.where(each.density > _FLOOR * top, each.density, np.nan)
        axes.plot(each.grid, shown, color=color, label=name)
        axes.fill_between(each.grid, _FLOOR * top, shown, color=color, alpha=0.15, linewidth=0.0)
        ends = [each.nodes.min(), each.nodes.max()]
        axes.plot(ends, [_FLOOR * top] * 2, "|", color=color, markersize=9.0, markeredgewidth=1.5, clip_on=False)
    axes.set(xlabel="eigenvalue of the Hessian", ylabel="density", title=title, yscale="log")
    axes.set_ylim(_FLOOR * top, 2.0 * top)
    axes.axvline(0.0, color=style.MUTED, linewidth=0.6, zorder=0)
    if len(named) > 1:
        axes.legend()
    lead = "{}: " if len(named) > 1 else ""
    style.note(
        figure,
        [
            f"{lead.format(name)}{each.size:,} eigenvalues, mean {each.mean:.2g}, {each.negative_share:.0%} below zero"
            for name, each in named.items()
        ],
    )
    return figure


@style.styled
def curves(
    runs: Curves | Mapping[str, Curves],
    names: Sequence[str] | None = None,
    *,
    columns: int = 3,
    title: str = "",
    size: tuple[float, float] = (2.7, 1.9),
) -> Figure:
    """Draw optimizers' own figures along a run, a panel for each figure.

    Parameters
    ----------
    runs
        From :func:`watch_diagnostics`; one, or several by name.
    names
        Figures to draw; None takes every one that moves.
    columns
        Panels in a row.
    title
        Above the picture.
    size
        Of a panel, in inches.

    Returns
    -------
    matplotlib.figure.Figure
        The picture.

    Raises
    ------
    ArgumentError
        No run has such a figure.
    """
    named = {"run": runs} if isinstance(runs, Curves) else dict(runs)
    known = list(dict.fromkeys(name for run in named.values() for name in run.figures))
    unknown = [name for name in names or () if name not in known]
    if unknown or not known:
        raise ArgumentError(f"cannot draw {', '.join(unknown) or 'nothing'}: accepted are {', '.join(known) or 'runs'}")
    shown = list(names) if names is not None else [name for name in known if _moves(named, name)] or known
    rows = -(-len(shown) // columns)
    wide = min(columns, len(shown))
    figure = style.new_figure((size[0] * wide, size[1] * rows + 0.4))
    panels = figure.subplots(rows, wide, squeeze=False).ravel()
    for axes, name in zip(panels, shown, strict=False):
        for run, each in named.items():
            if name in each.figures:
                axes.plot(each.steps, each.figures[name], color=style.color_of(named, run), label=run, linewidth=1.0)
        axes.set_title(name.replace("_", " "), fontweight="normal", fontsize=8.0)
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    for axes in panels[max(len(shown) - wide, 0) : len(shown)]:
        axes.set_xlabel("step")
    if len(named) > 1:
        found = {
            label: handle for axes in panels for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        figure.legend(found.values(), found.keys(), loc="outside lower center", ncols=4)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=9.0, fontweight="bold")
    return figure


def _moves(runs: Mapping[str, Curves], name: str) -> bool:
    values = np.concatenate([run.figures[name] for run in runs.values() if name in run.figures])
    values = values[np.isfinite(values)]
    return bool(values.size and np.ptp(values) > 0)
